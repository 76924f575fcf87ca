# SPDX-License-Identifier: GPL-2.0-or-later
"""What each analyser is called with, and what it says: a list of Findings.

  Unit   one C file as it is compiled: for userspace as meson has written it down (compile_commands.json of a build
         by clang), for a kernel module as make says that the kernel's own build would

Headers that are not ours are none of our business: an analyser is told that they are the system's, or what it says
of them is left out. Left out here: what is excepted (exceptions.py), and what is looked at (analyse.py).
"""
import collections
import concurrent.futures
import glob
import json
import os
import re
import shlex
import subprocess

Finding = collections.namedtuple("Finding", "tool check path line text")
Unit = collections.namedtuple("Unit", "path folder options")

# A kernel that was configured for gcc asks for what clang (14) does not know: how functions are traced and left,
# where stack and variables are laid. It makes no difference to what is found; but such code is not for use.
GCC_ONLY = re.compile(r"-mrecord-mcount|-mfunction-return=.*|-fconserve-stack|-ftrivial-auto-var-init=.*|"
                      r"-mharden-sls=.*|"
                      r"-mindirect-branch.*|-fno-allow-store-data-races|-fplugin.*|-Wp,-MMD,.*|-falign-jumps=.*|"
                      r"-f(min-function-alignment|patchable-function-entry|zero-init-padding-bits)=.*|"
                      r"-Wimplicit-fallthrough=.*|"
                      r"-mpreferred-stack-boundary=.*|-mskip-rax-setup|-mno-fp-ret-in-387|-Werror(=.*)?|-Wno-.*|-c")
LINE = re.compile(r"^(?P<path>[^\s:][^:]*):(?P<line>\d+):(?:\d+:)? "
                  r"(?:fatal )?(?:warning|error|style|portability|performance): "
                  r"(?P<text>.*)$")


def _nice():
    os.nice(10)


def run(argv, folder=None, timeout=3600):
    return subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout, preexec_fn=_nice)


def parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        return list(pool.map(function, items))


# -- what there is --------------------------------------------------------
def userspace(build):
    """The Units of a build by meson. sparse knows a header by its name: so a folder has one name only."""
    with open(os.path.join(build, "compile_commands.json")) as f:
        entries = {e["file"]: e for e in json.load(f) if e["file"].endswith(".c")}

    def option(word, folder):
        return "-I" + os.path.realpath(os.path.join(folder, word[2:])) if word.startswith("-I") else word
    return [Unit(os.path.realpath(os.path.join(e["directory"], e["file"])), e["directory"],
                 [option(a, e["directory"]) for a in shlex.split(e["command"])[1:]
                  if re.match(r"-(I|D|U|std=|isystem|fno-strict)", a)])
            for e in entries.values()]


def module(headers, folder):
    """({sparse, cc: Units} of the module in @folder as a build with the kernel's @headers would make it, and what
    make said).

    Make says it and does nothing: that takes a second, and a build a minute."""
    said = run(["make", "-n", "-k", "-C", headers, f"M={folder}", "C=2", "CF=-D__CHECK_ENDIAN__", "modules"]).stdout
    units = {"cc": [], "sparse": []}
    for line in said.splitlines():
        for command in re.findall(r"(?:^|;)\s*(\S*(?:gcc|sparse)\S*\s[^;]*\.c)\s*(?=;|$)", line):
            words = shlex.split(command)
            path = words[-1]
            if not path.startswith(folder) or path.endswith(".mod.c"):
                continue
            kind = "sparse" if os.path.basename(words[0]) == "sparse" else "cc"
            options = words[1:words.index("-c")] if "-c" in words else words[1:-1]
            units[kind].append(Unit(path, headers, options))
    return units, said


def for_clang(options, folder, kernel):
    """The @options of a module that clang knows, its headers the system's. @kernel: where the build ran."""
    out, words = [], iter(options)
    for word in words:
        if GCC_ONLY.fullmatch(word):
            continue
        if word in ("-include", "-I", "-isystem"):
            value = next(words)
            value = os.path.normpath(os.path.join(kernel, value))
            out += [word if word == "-include" or value.startswith(folder) else "-isystem", value]
        elif word.startswith("-I"):
            value = os.path.normpath(os.path.join(kernel, word[2:]))
            out += ["-I" if value.startswith(folder) else "-isystem", value]
        else:
            out.append(word)
    return out + ["-Wno-unknown-warning-option", "-Qunused-arguments", "-Wno-unused-command-line-argument"]


# -- what is said -----------------------------------------------------------
def parse(tool, text, folder, root, ours=None):
    """The Findings in @text of files below @root. @ours maps where a copy of them was looked at: (copy, original)."""
    out = []
    for line in text.splitlines():
        found = LINE.match(line)
        if not found:
            continue
        path = os.path.realpath(os.path.join(folder, found["path"]))
        if ours and path.startswith(ours[0] + "/"):
            path = ours[1] + path[len(ours[0]):]
        if not path.startswith(root + "/"):
            continue
        said = re.match(r"(.*) \[([\w.,=+-]+)\]$", found["text"])
        text_, check = (said[1], said[2]) if said else (found["text"], "-")
        out.append(Finding(tool, check, os.path.relpath(path, root), int(found["line"]), text_))
    return out


def once(findings):
    return sorted(set(findings))


def sparse(units, root, ours=None):
    def one(u):
        options = u.options if ours else [o for o in u.options if re.match(r"-(I|D|U|std=)", o)]
        said = run(["sparse", *options, u.path], u.folder)
        found = parse("sparse", said.stdout, u.folder, root, ours)
        if said.returncode and not found:
            name = os.path.relpath(u.path, ours[0] if ours else root)
            found = [Finding("sparse", "failed", name, 1, said.stdout[-2000:])]
        return found
    return once(f for found in parallel(one, units) for f in found)


def clang_analyser(units, root, ours=None, kernel=None):
    def one(u):
        options = for_clang(u.options, ours[0], kernel) if kernel else u.options
        said = run(["clang", "--analyze", "-Xclang", "-analyzer-output=text", *options, u.path], kernel or u.folder)
        if said.returncode:
            return [Finding("clang-analyser", "failed", os.path.relpath(u.path, root), 1, said.stdout[-2000:])]
        return parse("clang-analyser", said.stdout, kernel or u.folder, root, ours)
    return once(f for found in parallel(one, units) for f in found)


def clang_compiles(units, root, ours, kernel):
    """Code is made, too, and thrown away: some warnings come from there."""
    def one(u):
        said = run(["clang", *for_clang(u.options, ours[0], kernel), "-Wall", "-Wextra", "-Wno-unused-parameter",
                    "-Wno-sign-compare", "-Wno-missing-field-initializers", "-Wno-pointer-sign", "-c", "-o",
                    "/dev/null", u.path], kernel)
        found = parse("clang", said.stdout, kernel, root, ours)
        if said.returncode and not found:
            found = [Finding("clang", "failed", os.path.relpath(u.path, ours[0]), 1, said.stdout[-2000:])]
        return found
    return once(f for found in parallel(one, units) for f in found)


def cppcheck(argv, root, folder):
    """@argv: what is to be looked at, and with which settings."""
    said = run(["cppcheck", "--enable=warning,portability,performance", "--inconclusive", "--quiet",
                f"-j{min(os.cpu_count() or 1, 4)}", "--template={file}:{line}: warning: {message} [{id}]",
                "--template-location=", *argv], folder)
    return once(parse("cppcheck", said.stdout, folder, root))


def cocci_options(script):
    with open(script) as f:
        return [w for line in re.findall(r"^// Options: *(.*)$", f.read(), re.M) for w in line.split()]


def coccinelle(scripts, folders, headers, root, ours):
    """(Findings, {script: why it did not run}). A script that has no mode `report` is not one of those."""
    def one(script):
        name = os.path.basename(script)[:-len(".cocci")]
        found, why = [], None
        for folder in folders:
            said = run(["spatch", "-D", "report", "--no-show-diff", "--very-quiet", *cocci_options(script),
                        "--cocci-file", script, "--dir", folder, *(w for h in headers for w in ("-I", h))])
            if said.returncode:
                why = said.stdout.strip()[-300:]
            for line in said.stdout.splitlines():
                hit = re.match(r"(\S+\.[ch]):(\d+)(?::\d+-\d+)?: *(.*)$", line)
                if hit:
                    path = os.path.realpath(hit[1])
                    path = ours[1] + path[len(ours[0]):] if path.startswith(ours[0] + "/") else path
                    found.append(Finding("coccinelle", name, os.path.relpath(path, root), int(hit[2]), hit[3]))
        return found, name, why
    results = parallel(one, scripts)
    return once(f for found, _, _ in results for f in found), {name: why for _, name, why in results if why}
