# SPDX-License-Identifier: GPL-2.0-or-later
"""balloonctl given what nobody means: arguments and files that are huge, binary, endless or cut off,
and nowhere to write to.

Whatever it is given it ends by itself, with a status that balloonctl(1) names and, where that is not
0, with a sentence of a sensible length without control characters. No bus is asked: the address that
is given has none. The seed is the day's, FUZZ_SEED gives another one.

Left out: adopt and record, which do what they are told to the machine; what the daemon makes of what
it is sent (tests/bus/test-fuzz.py).
"""
import os
import random
import re
import shutil
import subprocess
import tempfile
import time

import tap

BALLOONCTL = os.environ["BALLOONCTL"]
SEED = int(os.environ.get("FUZZ_SEED") or time.strftime("%Y%m%d", time.gmtime()))
NO_BUS = "--bus-address=unix:path=/nonexistent/bus"
STATUSES = range(7)
LONGEST = 1100
# Longer than any of the programs needs, on a machine that is busy; an endless file must not be read to its end.
LIMIT_S = 60
MEMORY = 512 << 20
VERBS = ("status", "set-target", "mode", "policy", "hold", "release", "explain", "history", "watch", "metrics",
         "dump", "reload", "check-config", "simulate", "help")
OPTIONS = ("--json", "--memory", "--wait", "--for", "--since", "--until", "--last", "--csv", "--svg", "--interval", "--help",
           "--law", "--version", "--", "-", "-h", "-x", "--wait=", "--for=", "--interval=", "--last=")
WORDS = (b"", b" ", b"auto", b"-1", b"0", b"nan", b"inf", b"1e999G", b"18446744073709551615",
         b"18446744073709551616T", b"-0x1", b"99999999999999999999%", b"5G", b"10%", b"1s", b"%s%n%p%999999d",
         b"\x1b[31m\x1b]0;x\x07", b"a\nb",
         b"\xff\xfe\x80", "\u202e\U0001f388".encode(), b"../../../etc/passwd", b"/dev/null", b"/", b"x" * 121,
         b"x" * 100000, b"9" * 100000, b"'\";$(id)`id`")


def sanitized():
    with open(BALLOONCTL, "rb") as f:
        return b"__asan_init" in f.read()


def limited():
    """A bound on memory, where the program's own is what counts."""
    import resource
    if not sanitized():
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def ctl(*args, **kwargs):
    kwargs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs}
    kwargs = {"stdin": subprocess.DEVNULL, "timeout": LIMIT_S, "preexec_fn": limited, **kwargs}
    return subprocess.run([BALLOONCTL, *args], **kwargs)


def judged(t, p, what, statuses=STATUSES, sentences=1):
    """It ended as the manual says."""
    error = p.stderr.decode(errors="replace")
    t.check(p.returncode in statuses, f"{what}: status {p.returncode}, {error[-1000:]!r}")
    if p.returncode:
        t.check(re.fullmatch(r"(balloonctl: [^\n]+\n){1,%d}" % sentences, error), f"{what}: it says {error[:300]!r}")
        t.check(len(error) < LONGEST * sentences, f"{what}: {len(error)} characters of error")
    said = error + p.stdout.decode(errors="replace")
    t.check(not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", said), f"{what}: control characters: {said[:300]!r}")
    return p


def short(args):
    return [a if len(a) < 50 else a[:20] + b"..." for a in args]


@tap.case("arguments", timeout=120)
def arguments(t):
    t.diag(f"seed {SEED}")
    dice = random.Random(f"{SEED} arguments")
    statuses = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(60 if sanitized() else 150):
            args = [dice.choice(VERBS).encode()] if dice.random() < 0.9 else []
            for _ in range(dice.randrange(4)):
                word = dice.choice(WORDS)
                if dice.random() < 0.4:
                    word = dice.choice(OPTIONS).encode() + (word if dice.random() < 0.3 else b"")
                args.append(word)
            # simulate has a sentence for each file.
            sentences = 4 if args[:1] == [b"simulate"] else 1
            p = judged(t, ctl(NO_BUS, *args, cwd=folder), short(args), sentences=sentences)
            statuses[p.returncode] = statuses.get(p.returncode, 0) + 1
        t.equal(os.listdir(folder), [], "files that it left behind")
    t.diag(f"statuses: {statuses}")
    t.check({0, 2, 3} <= set(statuses), f"some are right, some are wrong, some have no bus: {statuses}")


TRACE = b"time,mem_available,mem_total\n"
GARBAGE = random.Random(f"{SEED} files").randbytes(1 << 16)
FILES = {
    "empty": b"",
    "noise": GARBAGE,
    "zeros": bytes(1 << 20),
    "one line of 8 MiB": b"x" * (8 << 20),
    "a string without an end": b'mode = "' + b"x" * (1 << 20),
    "a number of 100,000 digits": b"limit = " + b"9" * 100000 + b";\n",
    "1,000 unknown keys": b"".join(b"key%d = %d;\n" % (i, i) for i in range(1000)),
    "groups in groups": b"a: { " * 2000,
    "lists in lists": b"a = " + b"(" * 2000,
    "brackets": b"{[(" * 2000,
    "not UTF-8": b'mode = "\xff\xfe\x80";\n',
    "control characters": b'\x1b[31m = "\x1b]0;x\x07";\n',
    "a file that includes itself": b'@include "self"\n',
    "a trace of nonsense": b"time_ms,free\n" + b"nan,-1,1e999,0x,,,\n" * 1000,
    "a trace of one line": b",".join([b"time_ms"] * 10000),
}
ENDLESS = ("/dev/zero", "/dev/full", "/dev/urandom")
# As they are: nothing to read, or no way to.
STRANGE = ("/", "/dev/null", "/proc/self/mem", "/nonexistent", "", "\n", "x" * 5000)


def file_cases(t, verb, statuses, sentences):
    with tempfile.TemporaryDirectory() as folder:
        for name, data in FILES.items():
            with open(os.path.join(folder, "self"), "wb") as f:
                f.write(data)
            judged(t, ctl(verb, "self", cwd=folder), f"{verb}: {name}", statuses, sentences)
        for path in (*STRANGE, *ENDLESS):
            judged(t, ctl(verb, path, cwd=folder), f"{verb}: {path[:50]!r}", statuses, sentences)
        with open("/dev/zero", "rb") as zeros:
            judged(t, ctl(verb, "/dev/stdin", stdin=zeros, cwd=folder), f"{verb}: endless standard input", statuses,
                   sentences)


@tap.case("files: check-config", timeout=120)
def configurations(t):
    # An empty file is a good one.
    file_cases(t, "check-config", (0, 6), 1)


@tap.case("files: simulate", timeout=120)
def traces(t):
    # A sentence a row that is bad, and not for all of them.
    file_cases(t, "simulate", range(1, 7), 25)


@tap.case("nowhere to write to", timeout=60)
def outputs(t):
    folder = tempfile.mkdtemp(prefix="balloonctl-fuzz-")
    t.defer(shutil.rmtree, folder, ignore_errors=True)
    good, bad = (os.path.join(folder, name) for name in ("good", "bad"))
    for path, text in ((good, 'mode = "observe";\n'), (bad, "frob;\n")):
        with open(path, "w") as f:
            f.write(text)
    # What, its status if all is well, and if nobody takes what it prints.
    calls = ((["--help"], 0, 1), (["help", "hold"], 0, 1), (["--version"], 0, 1), (["check-config", good], 0, 1),
             (["check-config", bad], 6, None), (["frob"], 2, 2), ([NO_BUS, "status"], 3, 3))

    def status(args, redirect):
        return subprocess.run(["/bin/sh", "-c", f'exec "$0" "$@" {redirect}', BALLOONCTL, *args], timeout=LIMIT_S,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE).returncode
    for args, well, unheard in calls:
        with t.subtest(" ".join(args).replace(folder + "/", "")):
            t.equal(status(args, ""), well, "as usual")
            for where in (">/dev/full", ">&-"):
                # Where two things are wrong, either is told.
                t.check(status(args, where) in ((1, well) if unheard is None else (unheard,)), f"{where}: its status")
            for where in ("2>/dev/full", "2>&-"):
                t.equal(status(args, where), well, where)


if __name__ == "__main__":
    tap.main()
