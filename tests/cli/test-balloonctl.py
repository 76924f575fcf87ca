# SPDX-License-Identifier: GPL-2.0-or-later
"""balloonctl's command line: arguments -> exit status and output.

No daemon and no bus: what can be judged without them must be. Each failure is
one sentence on standard error, nothing on standard output, and a status as
balloonctl(1) documents it; each success says nothing on standard error.
"""
import os
import re
import subprocess
import tempfile

import tap

BALLOONCTL = os.environ["BALLOONCTL"]

NO_BUS = "--bus-address=unix:path=/nonexistent/bus"

# arguments, exit status, pattern in the output (of standard error if the status is not 0)
TABLE = [
    ("--help", 0, r"(?s)^Usage: balloonctl .*\n  set-target .*\n  --bus-address ADDR"),
    ("-h", 0, r"^Usage: balloonctl "),
    ("help", 0, r"^Usage: balloonctl "),
    ("--version", 0, r"^balloonctl \d+\.\d+\.\d+\n$"),
    ("status --version", 0, r"^balloonctl \d"),
    ("help set-target", 0, r"(?s)^Usage: balloonctl set-target \[OPTION\.\.\.\] SIZE"),
    ("set-target --help", 0, r"(?s)^Usage: balloonctl set-target .*--wait\[=TIME\]"),
    ("--help set-target", 0, r"^Usage: balloonctl set-target "),
    ("status --help", 0, r"--json"),
    ("mode --help", 0, r"observe"),
    ("reload --help", 0, r"root"),
    ("check-config --help", 0, r"FILE:LINE: KEY: reason"),

    ("frob", 2, r"'frob' is not a verb; balloonctl --help lists them"),
    ("help help", 0, r"^Usage: balloonctl \[OPTION"),
    ("help --no-pager", 0, r"^Usage: balloonctl \[OPTION"),
    ("help status --no-pager", 0, r"^Usage: balloonctl status"),
    ("help --no-pager status", 0, r"^Usage: balloonctl status"),
    ("help --frob", 2, r"'--frob' is not an option here; see balloonctl --help"),
    ("help status --frob", 2, r"'--frob' is not an option here"),
    ("help --version", 0, r"^balloonctl \d"),
    ("help frob", 2, r"'frob' is not a verb"),
    ("stauts", 2, r"'stauts' is not a verb; did you mean status\?"),
    ("help settarget", 2, r"'settarget' is not a verb; did you mean set-target\?"),
    ("start", 2, r"'start' is not a verb; balloonctl --help lists them"),
    ("history --sinec 2h", 2, r"'--sinec' is not an option here; did you mean --since\?"),
    ("status --jsno=short", 2, r"'--jsno=short' is not an option here; did you mean --json\?"),
    ("--bus-adress x", 2, r"'--bus-adress' is not an option here; did you mean --bus-address\?"),
    # Not one that would be refused, too.
    ("reload --jsno", 2, r"'--jsno' is not an option here; see balloonctl reload --help"),
    ("simulate --s x", 2, r"'--s' may be several options"),
    ("set-target --memory=5 1G", 2, r"'--memory=5': it takes no argument; see balloonctl set-target --help"),
    ("help status frob", 2, r"'frob' is one argument too many"),
    ("--frob", 2, r"'--frob' is not an option here; see balloonctl --help"),
    ("-x", 2, r"'-x' is not an option"),
    ("status --frob", 2, r"'--frob' .*balloonctl status --help"),
    ("status -x", 2, r"'-x' "),
    ("status --json=yes", 2, r"--json: 'yes' is neither pretty, short nor off"),
    ("reload --json", 2, r"--json means nothing to reload; see balloonctl reload --help"),
    ("--json=off set-target 1G", 2, r"--json means nothing to set-target"),
    ("--no-pager reload", 3, r"cannot connect"),
    ("explain --no-legend", 2, r"--no-legend means nothing to explain"),
    # The rows name a bus.
    ("-H somewhere status", 2, r"--host, --machine and --bus-address exclude each other"),
    ("status --machine=box", 2, r"exclude each other"),
    ("--host", 2, r"--host needs an argument"),
    ("config -H somewhere", 2, r"--host means nothing to config"),
    ("adopt -M box", 2, r"--machine means nothing to adopt"),
    ("record --host somewhere x.csv", 2, r"--host means nothing to record"),
    ("--json=short status", 3, r"cannot connect"),
    ("status more", 2, r"'more' is one argument too many"),
    ("status --memory", 2, r"'--memory' is not an option"),
    ("--bus-address", 2, r"--bus-address needs an argument"),
    ("--bus-address nonsense status", 2, r"'nonsense' is not a D-Bus address"),
    ("--bus-address nonsense record -", 2, r"'nonsense' is not a D-Bus address"),
    ("--bus-address= status", 2, r"not a D-Bus address"),

    ("set-target", 2, r"needs an argument: balloonctl set-target SIZE"),
    ("set-target 512", 2, r"'512': needs a unit"),
    ("set-target 1.5", 2, r"'1.5': needs a unit"),
    ("set-target 5G 6G", 2, r"'6G' is one argument too many"),
    ("set-target -5G", 2, r"'-5G' is negative; sizes are written as"),
    ("set-target 1G -5G", 2, r"'-5G' is negative"),
    ("set-target -.5G", 2, r"'-.5G' is negative"),
    ("set-target -5", 2, r"'-5' is negative"),
    ("mode -5", 2, r"'-5' is not an option here; see balloonctl mode --help"),
    ("-5G", 2, r"'-5' is not an option here"),
    ("hold foo -xh", 2, r"'-x' is not an option here; see balloonctl hold --help"),
    ("hold -hx foo", 2, r"'-x' is not an option here"),
    ("hold foo -hx", 2, r"'-x' is not an option here"),
    ("hold foo -x", 2, r"'-x' is not an option here"),
    ("hold foo --frob", 2, r"'--frob' is not an option here"),
    ("status -hH", 2, r"-H needs an argument"),
    ("status -H", 2, r"-H needs an argument"),
    ("set-target -x 1G", 2, r"'-x' is not an option here"),
    ("set-target -- -5G", 2, r"'-5G': "),
    ("set-target 5Q", 2, r"'5Q': "),
    ("set-target 5GB/s", 2, r"'5GB/s': "),
    ("set-target 1e3M", 2, r"'1e3M': "),
    ("set-target 99999999T", 2, r"'99999999T': "),
    ("set-target ten%", 2, r"'ten%': "),
    ("set-target nan", 2, r"'nan': "),
    ("set-target AUTO", 2, r"'AUTO': "),
    ("set-target --memory auto", 2, r"need a size"),
    ("set-target --wait auto", 2, r"need a size"),
    ("set-target --wait=5 1G", 2, r"--wait: '5': needs a unit"),
    ("set-target --wait=0s 1G", 2, r"--wait: no time to wait"),
    ("set-target --wait=-1s 1G", 2, r"--wait: '-1s'"),
    ("mode frob", 2, r"the modes are auto, host, manual and observe"),
    ("mode auto host", 2, r"'host' is one argument too many"),
    ("policy frob", 2, r"'frob' is not a law; the laws are adaptive, committed"),
    ("policy adaptive committed", 2, r"one argument too many"),
    ("hold", 2, r"hold needs an argument: balloonctl hold REASON"),
    ("hold --for 5 x", 2, r"--for: '5': needs a unit"),
    ("release x", 2, r"'x' is one argument too many"),
    # What it does is for a guest; here it must not even try.
    ("adopt --help", 0, r"--undo"),
    ("adopt x", 2, r"'x' is one argument too many"),
    ("adopt --undo --if-configured", 2, r"exclude each other"),
    ("explain --last x", 2, r"--last: 'x' is not a number"),
    ("explain --since 5", 2, r"--since: '5': needs a unit"),
    ("explain --since frob", 2, r"--since: 'frob': is no time; it may be yesterday, today, now, -2h"),
    ("history --since 2026-02-30", 2, r"--since: '2026-02-30': is in no calendar"),
    ("history --until 25:00", 2, r"--until: '25:00': is in no calendar, or on no clock"),
    ("history --since now --until yesterday", 2, r"--since 'now' is later than --until 'yesterday'"),
    ("history --svg", 2, r"--svg needs an argument"),
    ("watch --interval=0", 2, r"at least 100ms"),
    ("reload now", 2, r"'now' is one argument too many"),
    ("check-config a b", 2, r"'b' is one argument too many"),

    ("status", 3, r"cannot connect to unix:path=/nonexistent/bus .*D-Bus daemon"),
    ("status --json", 3, r"cannot connect"),
    ("", 3, r"cannot connect"),
    ("set-target 1G", 3, r"cannot connect"),
    ("set-target --memory --wait=1s 10%", 3, r"cannot connect"),
    ("set-target auto", 3, r"cannot connect"),
    ("mode", 3, r"cannot connect"),
    ("mode observe", 3, r"cannot connect"),
    ("reload", 3, r"cannot connect"),
    ("policy", 3, r"cannot connect"),
    ("policy committed", 3, r"cannot connect"),
    ("hold x", 3, r"cannot connect"),
    ("release", 3, r"cannot connect"),
    ("explain", 3, r"cannot connect"),
    ("history", 3, r"cannot connect"),
    ("history --since yesterday --until -1h", 3, r"cannot connect"),
    ("metrics", 3, r"cannot connect"),
    ("dump", 3, r"cannot connect"),
    ("watch", 3, r"cannot connect"),
]


def ctl(*args, **kwargs):
    return subprocess.run([BALLOONCTL, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=30, **kwargs)


def row(t, args, status, pattern):
    # The address stands first, so that a row may name another one.
    p = ctl(NO_BUS, *args.split())
    t.equal(p.returncode, status, "exit status")
    if status == 0:
        t.equal(p.stderr, "", "standard error")
        t.check(re.search(pattern, p.stdout), f"no {pattern!r} in {p.stdout!r}")
        return
    t.equal(p.stdout, "", "standard output")
    t.check(re.search(pattern, p.stderr), f"no {pattern!r} in {p.stderr!r}")
    t.check(re.fullmatch(r"balloonctl: [^\n]+\n", p.stderr), f"more than a sentence: {p.stderr!r}")


for entry in TABLE:
    tap.add(f"balloonctl {entry[0]} -> {entry[1]}", row, *entry)


@tap.case("no system bus")
def no_system_bus(t):
    env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent/bus")
    p = ctl("status", env=env)
    t.equal(p.returncode, 3, "exit status")
    t.contains(p.stderr, "cannot connect to the system bus")


CONFIGS = [
    # what, text, patterns of the lines that are to be printed
    ("empty", "", []),
    ("good", 'mode = "observe";\nfloor = "10%";\ntail: { hold_off = "5min"; };\n', []),
    ("unknown key", 'mod = "auto";\n', [r":1: mod: unknown key; did you mean mode\?$"]),
    ("unknown key of nothing known", 'frob = "auto";\n', [r":1: frob: unknown key$"]),
    ("wrong type", "limit = 512;\n", [r":1: limit: "]),
    ("no unit", '\nlimit = "512";\n', [r":2: limit: .*unit"]),
    ("out of range", 'lease = "1ms";\n', [r":1: lease: "]),
    ("unknown word", 'law = "murphy";\n', [r":1: law: .*murphy"]),
    ("keys of earlier versions", 'tail: { dwell = "3s"; emergency_hold_off = "10min"; };\n', []),
    ("in a group", 'tail: {\n\n  settle = "5";\n};\n', [r":3: tail\.settle: "]),
    ("syntax", 'mode = "auto"\n\nlease "30s";\n', [r":3: syntax error; a key is written as NAME = \"VALUE\";$"]),
    ("twice", 'mode = "auto";\n\nmode = "host";\n', [r":3: duplicate setting name$"]),
    ("mixed", 'mode = ["auto", 1];\n', [r":1: mismatched element type in array$"]),
    ("all errors", 'mod = "auto";\nlimit = "512";\nlease = "1d";\n', [r":1: mod", r":2: limit",
                                                                     r":3: lease"]),
    ("a byte order mark", "\ufeffmode = \"auto\";\n", [r":1: a byte order mark"]),
    ("binary", "\x01\x02\x7f\n", [r":1: "]),
]


def config_row(t, text, patterns):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "a file.conf")
        with open(path, "w") as f:
            f.write(text)
        p = ctl("check-config", path)
        if not patterns:
            t.equal((p.returncode, p.stdout, p.stderr), (0, f"{path}: valid\n", ""), "outcome")
            return
        t.equal(p.returncode, 6, "exit status")
        lines = p.stdout.splitlines()
        t.equal(len(lines), len(patterns), f"number of errors in {lines}")
        for line, pattern in zip(lines, patterns):
            t.check(line.startswith(path + ":") and re.search(pattern, line),
                    f"no {pattern!r} in {line!r}")
        n = f"{len(patterns)} error" + "s" * (len(patterns) > 1)
        t.check(re.fullmatch(rf"balloonctl: .* is not valid: {n};[^\n]*\n", p.stderr), p.stderr)


for what, text, patterns in CONFIGS:
    tap.add(f"check-config: {what}", config_row, text, patterns)


@tap.case("check-config: a file that cannot be read")
def config_unreadable(t):
    p = ctl("check-config", "/nonexistent/balloond.conf")
    t.equal(p.returncode, 6, "exit status of a missing file")
    t.contains(p.stderr, "/nonexistent/balloond.conf: there is no such file")
    p = ctl("check-config", "/")
    t.equal(p.returncode, 6, "exit status of a directory")
    t.contains(p.stdout, "directory")


@tap.case("a configuration from a pipe: the advice is -")
def config_pipe(t):
    for args in (["check-config", "/dev/stdin"], ["config", "/dev/stdin"], ["simulate", "--config", "/dev/stdin", "x"]):
        p = subprocess.run([BALLOONCTL, *args], input='mode = "auto";\n', stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=30)
        t.equal(p.returncode, 6, "exit status")
        t.contains(p.stderr, "make that the standard input, and name it -\n", " ".join(args))


@tap.case("--help: lines for a terminal of 80 columns")
def help_lines(t):
    listed = ctl("--help").stdout
    verbs = re.findall(r"^  (\S+)", listed.split("Verbs:\n")[1].split("\n\n")[0], re.M)
    t.check(len(verbs) > 15, verbs)
    for verb, text in [("", listed), *((v, ctl("help", v).stdout) for v in verbs)]:
        t.equal([line for line in text.splitlines() if len(line) > 80], [], f"longer lines {verb}")


@tap.case("a long sentence is cut between characters")
def long_sentence(t):
    # One byte more each time: every cut there can be of a character of three bytes.
    for n in range(3):
        p = subprocess.run([BALLOONCTL, "x" * n + "\u20ac" * 500], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=30)
        t.equal(p.returncode, 2, "exit status")
        said = p.stderr.decode()
        t.check(re.fullmatch("balloonctl: 'x*\u20ac+\\.\\.\\.\u20ac+' is not a verb; [^\\n]*\\n", said), said)
        t.check(890 <= len(p.stderr) <= 930, f"{len(p.stderr)} bytes")


@tap.case("a reason to hold is judged before there is a bus")
def hold_reasons(t):
    for words, why in (((b"bad \xff",), "one line of plain text"), ((b"cut \xc3", b"\xa4"), "one line of plain text"),
                       (("a\tb",), "one line of plain text"), (("",), "needs a reason"), ((" ", "  "), "needs a reason")):
        p = ctl(NO_BUS, "hold", *words)
        t.equal((p.returncode, p.stdout), (2, ""), f"outcome of {words}")
        t.contains(p.stderr, why, f"{words}")


@tap.case("output that cannot be written is an error")
def full_disk(t):
    with open("/dev/full", "w") as full:
        p = subprocess.run([BALLOONCTL, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                           timeout=30)
    t.equal(p.returncode, 1, "exit status")
    t.contains(p.stderr, "cannot write the output")


@tap.case("started with standard input and output closed")
def closed_descriptors(t):
    # With 0, 1 and 2 closed the first files opened get these numbers.
    p = subprocess.run(["/bin/sh", "-c", 'exec <&- >&-; exec "$0" check-config /nonexistent',
                        BALLOONCTL], stderr=subprocess.PIPE, text=True, timeout=30)
    t.equal(p.returncode, 6, "exit status")


if __name__ == "__main__":
    tap.main()
