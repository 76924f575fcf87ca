# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages against the programs, the module and the header.

What a page lists must exist, and what exists must be listed: verbs and options
(from --help), exit statuses, configuration keys with default and range (from
the reader's own table, also against the default file), calls, structures and
constants of the device (from the header), module parameters. The D-Bus members
and the JSON keys are compared in the bus suite, where a daemon runs.

Names are compared, meaning is not: whether a sentence is true is for review.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

import tap
from mdoc import PAGES, items, options, section, source, top_level

ROOT = os.environ["SOURCE_ROOT"]
BALLOONCTL = os.environ["BALLOONCTL"]
BALLOOND = os.environ["BALLOOND"]


def read(*path):
    with open(os.path.join(ROOT, *path)) as f:
        return f.read()


def compare(t, got, want, what):
    got, want = set(got), set(want)
    t.check(got == want, f"{what}: not in the page: {sorted(want - got)}; "
            f"only in the page: {sorted(got - want)}")


def run(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          timeout=30, check=True).stdout


def help_options(text):
    """Long options in the help of a program."""
    return re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.M)


@tap.case("mandoc -T lint")
def lint(t):
    if not shutil.which("mandoc"):
        t.skip("mandoc is not installed")
    for page in PAGES:
        p = subprocess.run(["mandoc", "-T", "lint", os.path.join(ROOT, "man", page)],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=30)
        # Which other manuals a machine has installed is none of our business, except for ours.
        found = [line for line in p.stdout.splitlines()
                 if not re.search(r"referenced manual not found|outdated mandoc.db", line)]
        with t.subtest(page):
            t.check(not found, "\n".join(found))


@tap.case("references between the pages exist")
def references(t):
    own = {(name, number) for name, _, number in (p.rpartition(".") for p in PAGES)}
    for page in PAGES:
        refs = re.findall(r"^\.Xr (\S+) (\d)", source(page), re.M)
        for name, number in refs:
            if name.startswith(("balloon", "uballoon")):
                t.check((name, number) in own, f"{page} refers to {name}({number})")
        see = re.findall(r"\.Xr (\S+) (\d)", section(page, "SEE ALSO"))
        missing = own - set(see) - {tuple(page.rsplit(".", 1))}
        t.check(not missing, f"{page}: SEE ALSO lacks {missing}")


@tap.case("all pages are installed")
def installed(t):
    on_disk = {os.path.basename(p) for p in glob.glob(os.path.join(ROOT, "man", "*.[1-9]"))}
    compare(t, on_disk, PAGES, "pages tested")
    compare(t, re.findall(r"'([a-z.-]+\.\d)'", read("man", "meson.build")), PAGES, "pages installed")


# Of the options that verbs share: those for each that asks the daemon.
EVERY = {"bus-address", "host", "machine"}


@tap.case("balloonctl(1): verbs and options")
def balloonctl(t):
    text = run(BALLOONCTL, "--help")
    listed = text.split("Verbs:\n")[1].split("\n\n")[0]
    verbs = re.findall(r"^  (\S+)", listed, re.M)
    t.check(len(verbs) > 4, f"--help lists only {verbs}")
    page = {head[0]: "\n".join(body) for head, body in top_level(section("balloonctl.1", "VERBS"))}
    compare(t, page, verbs, "verbs")
    compare(t, options(section("balloonctl.1", "OPTIONS")), help_options(text), "options")
    synopsis = section("balloonctl.1", "SYNOPSIS")
    shared = set(help_options(text))
    told = {option: set(re.split(r"[^a-z-]+", item)) for item in section("balloonctl.1", "OPTIONS").split("\n.It ")
            for option in re.findall(r"^(?:Fl \w , )?Fl Fl ([a-z-]+)", item)}
    for verb in verbs:
        t.check(re.search(rf"^\.Cm {verb}$", synopsis, re.M), f"SYNOPSIS lacks {verb}")
        # "help" is the one word that the dispatcher itself answers.
        want = [] if verb == "help" else help_options(run(BALLOONCTL, verb, "--help"))
        # Those that it shares with others are told once, with the names of the verbs.
        compare(t, options(page[verb]), set(want) - shared, f"options of {verb}")
        for option in shared & set(want):
            t.check(verb in told[option] or option in EVERY, f"--{option} does not tell that it is for {verb}")
        own = re.search(rf"^\.Cm {verb}$(.*?)(?=^\.Nm$|\Z)", synopsis, re.M | re.S)
        own = set(re.findall(r"Fl Fl ([a-z-]+)", own[1]))
        compare(t, own - shared, set(want) - shared, f"SYNOPSIS of {verb}")
        t.check(own <= set(want), f"SYNOPSIS of {verb} has {own - set(want)}")


@tap.case("balloonctl(1): exit statuses")
def exit_statuses(t):
    enum = re.search(r"enum ctl_exit \{(.*?)\}", read("daemon", "ctl", "ctl.h"), re.S).group(1)
    compare(t, [head[0] for head, _ in top_level(section("balloonctl.1", "EXIT STATUS"))],
            re.findall(r"CTL_\w+ = (\d+)", enum), "exit statuses")


@tap.case("balloonctl(1): reasons")
def reasons(t):
    table = dict(re.findall(r'\[REASON_\w+\] = \{ "([^"]+)", "([^"]+)" \}', read("daemon", "decide", "names.c")))
    t.check(len(table) > 10, f"names.c has only {table}")
    page = {head[-1]: " ".join(body).strip() for head, body in top_level(section("balloonctl.1", "REASONS"))}
    t.equal(page, table, "words and sentences")


@tap.case("environment")
def environment(t):
    def used(*patterns):
        paths = [p for pattern in patterns for p in glob.glob(os.path.join(ROOT, "daemon", pattern))]
        return {v for p in paths for v in re.findall(r'getenv\("(\w+)"\)', read(os.path.relpath(p, ROOT)))}

    def listed(page):
        return {w for item in items(section(page, "ENVIRONMENT")) for w in item}
    # The libraries' own, which no getenv() of ours shows.
    libraries = {w for w in listed("balloond.8") if w.startswith(("LISTEN_", "WATCHDOG_"))}
    compare(t, listed("balloond.8") - libraries, used("*.c", "[!cs]*/*.c", "config/*.c", "se*/*.c"), "balloond(8)")
    compare(t, listed("balloonctl.1") - {"DBUS_SYSTEM_BUS_ADDRESS", "TZ"}, used("ctl/*.c"), "balloonctl(1)")


@tap.case("balloond(8): exit statuses")
def daemon_exit_statuses(t):
    enum = re.search(r"enum \{\n(\tEXIT_.*?)\}", read("daemon", "balloond.c"), re.S).group(1)
    compare(t, [head[0] for head, _ in top_level(section("balloond.8", "EXIT STATUS"))],
            ["0", "1", *re.findall(r"EXIT_\w+ = (\d+)", enum)], "exit statuses")


@tap.case("balloond(8): errors on the bus")
def bus_errors(t):
    sources = "".join(read(os.path.relpath(p, ROOT)) for p in glob.glob(os.path.join(ROOT, "daemon", "*", "*.c")))
    names = r"org\.(?:balloond1|freedesktop\.DBus)\.Error\.\w+"
    # Those of a caller that asks wrongly are the bus library's.
    want = {n for n in re.findall(names, sources) if "balloond1" in n}
    t.check(want, "the daemon has no errors of its own")
    compare(t, {n for n in re.findall(names, source("balloond.8")) if "balloond1" in n}, want, "errors")


@tap.case("every file that is installed has its place in a page")
def installed_files(t):
    build = os.path.join(os.path.dirname(BALLOONCTL), "..", "..")
    files = [os.path.normpath(f) for f in
             json.loads(run("meson", "introspect", "--installed", build)).values()]
    t.check(len(files) > 20, f"meson installs only {files}")
    said = " ".join(w for page in PAGES if ".Sh FILES" in source(page)
                    for item in items(section(page, "FILES")) for w in item).split()
    for path in files:
        folder = os.path.dirname(path)
        # Programs and pages are found by their names, completion by the shell; the module's source is a folder.
        if re.search(r"/(s?bin|man\d|vendor-completions|bash-completion/completions)$|/src/uballoon-", folder):
            continue
        t.check(any(path.endswith(word) for word in said if "/" in word), f"no FILES section has {path}")


@tap.case("balloond(8): options")
def balloond_options(t):
    compare(t, options(section("balloond.8", "OPTIONS")),
            help_options(run(BALLOOND, "--help")), "options")


def config_table():
    for line in run(os.environ["CONFIG_KEYS"]).splitlines():
        yield line.split("\t")


@tap.case("balloond.conf(5): keys, defaults and ranges")
def config_keys(t):
    text = source("balloond.conf.5")
    text = text[text.index(".Sh KEYS"):text.index(".Sh FILES")]
    # Other people's names, in a table.
    text = re.sub(r"^\.Bl -column.*?^\.El$", "", text, flags=re.M | re.S)
    table = list(config_table())
    names = [row[0] for row in table]
    page = {head[0]: body for head, body in top_level(text)}
    # In order, so that table, file and manual can be read side by side.
    t.equal(list(page), names, "keys in the page")
    for name, default, least, most, allowed in table:
        allowed = allowed.split()
        t.check(f"Default: {default}." in page[name], f"{name}: the default is {default}")
        if least:
            kind = "Window" if name.startswith("psi.") else "Range"
            tail = f", or {allowed[0]}" if allowed else ""
            line = f"{kind}: {least} to {most}{tail}."
        else:
            line = f"One of: {', '.join(allowed)}."
        t.check(line in page[name], f"{name}: no line {line!r}")


@tap.case("the default file has every key with its default")
def config_file(t):
    text = read("conf", "balloond.conf")
    group, found = "", []
    for line in text.splitlines():
        line = line.lstrip("# \t")
        if m := re.match(r"([a-z]+)\s*:\s*\{", line):
            group = m.group(1) + "."
        elif line.startswith("}"):
            group = ""
        elif m := re.match(r'([a-z_]+)\s*=\s*"?([^";]*)"?;', line):
            found.append((group + m.group(1), m.group(2)))
    t.equal(found, [(row[0], row[1]) for row in config_table()], "keys and defaults in the file")


UAPI = read("kmod", "uapi", "uballoon.h")


@tap.case("uballoon(4): calls")
def calls(t):
    page = section("uballoon.4", "IOCTLS")
    compare(t, re.findall(r"^\.It Dv (UBALLOON_IOC_\w+)", page, re.M),
            set(re.findall(r"#define (UBALLOON_IOC_\w+)", UAPI)) - {"UBALLOON_IOC_MAGIC"}, "calls")
    for call, kind in re.findall(r"#define (UBALLOON_IOC_\w+)\s+_IOW?R?\(\w+, \d+, (struct \w+)\)",
                                 UAPI):
        t.check(f'.It Dv {call} Fa "{kind} *"' in page, f"{call} takes a {kind}")


@tap.case("uballoon(4): structures")
def structures(t):
    page = source("uballoon.4")
    for name, body in re.findall(r"^struct (uballoon_\w+) \{\n(.*?)^\};", UAPI, re.M | re.S):
        body = re.sub(r"\s*/\*.*?\*/", "", body)
        if name == "uballoon_counters":
            fields = set(re.findall(r"(\w+)(?:\[\d+\])?;", body)) - {"reserved"}
            listed = section("uballoon.4", "COUNTERS")
            compare(t, [w for item in items(listed) for w in item], fields, name)
            continue
        shown = re.search(rf"^struct {name} \{{\n(.*?)^\}};", page, re.M | re.S)
        t.check(shown, f"{name} is not shown")
        t.equal(" ".join(shown.group(1).split()), " ".join(body.split()), name)


@tap.case("uballoon(4): constants")
def constants(t):
    page = source("uballoon.4")
    for prefix in ["CAP", "STATE", "MOVE", "ORDER", "STOP", "MAX"]:
        want = re.findall(rf"(?:#define |^\t)(UBALLOON_{prefix}_\w+)", UAPI, re.M)
        t.check(want, f"the header has no UBALLOON_{prefix}_*")
        compare(t, re.findall(rf"^\.(?:It )?Dv (UBALLOON_{prefix}_\w+)", page, re.M), want, prefix)


@tap.case("uballoon(4): errors")
def errors(t):
    # What the header promises must be explained.
    want = set(re.findall(r"\b(E[A-Z2]{3,})\b", UAPI)) - {"EINTR"}
    got = re.findall(r"^\.It Bq Er (\w+)", section("uballoon.4", "ERRORS"), re.M)
    t.check(want <= set(got), f"not in the page: {sorted(want - set(got))}")


# For each line that DIAGNOSTICS shows of a file: what has to stand there.
DIAGNOSED = ('tail: { hold_off = "10"; };', 'mode = "autoo";', 'adaptive: { probe_share = "20%"; };', 'interval = 5;',
             'hold_off = "10s";')


@tap.case("balloond.conf(5): what DIAGNOSTICS shows is what is printed")
def diagnostics(t):
    page = section("balloond.conf.5", "DIAGNOSTICS").replace("\\(dq", '"')
    shown = re.findall(r"^\.It /etc/balloond\.conf:\d+: (.*)$", page, re.M)
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write("\n".join(DIAGNOSED) + "\n")
        f.flush()
        p = subprocess.run([BALLOONCTL, "check-config", f.name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True, timeout=30)
    compare(t, shown, re.findall(rf"^{re.escape(f.name)}:\d+: (.*)$", p.stdout, re.M), "errors")


@tap.case("uballoon(4): module parameters")
def parameters(t):
    source = "".join(read(os.path.relpath(p, ROOT))
                     for p in glob.glob(os.path.join(ROOT, "kmod", "**", "*.c"), recursive=True))
    names = re.findall(r"\bmodule_param(?:_named|_cb|_string)?\(\s*(\w+)", source)
    t.check(names, "the module has no parameters")
    compare(t, re.findall(r"MODULE_PARM_DESC\(\s*(\w+)", source), names, "descriptions (modinfo)")
    page = section("uballoon.4", "MODULE PARAMETERS")
    compare(t, [head[0] for head, _ in top_level(page)], names, "parameters")


if __name__ == "__main__":
    tap.main()
