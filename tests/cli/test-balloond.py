# SPDX-License-Identifier: GPL-2.0-or-later
"""balloond's command line, and what it holds while it runs: arguments -> exit status, output,
open files, memory.

The real daemon over the /proc of this machine, in mode observe, without a bus
and without a device.
"""
import os
import re
import signal
import subprocess
import tempfile
import time

import tap
from lab import BALLOOND, PATIENCE_S, Daemon, end, sanitized

# Of its private memory, a promise (1.5 MiB, see vm-footprint), the part that does not depend on who
# else uses the same libraries: heap, stacks, relocations. RSS adds the pages of those libraries.
DIRTY_MAX_KIB = 768
RSS_MAX_KIB = 12 * 1024

GOOD = 'mode = "observe";\ninterval = "100ms";\nidle_interval = "100ms";\n'

# arguments, exit status, pattern in standard output (status 0) or standard error
TABLE = [
    ("--help", 0, r"(?s)^balloond \[OPTIONS\].*--config FILE.*balloond\.conf\(5\)"),
    ("-h", 0, r"^balloond "),
    ("--version", 0, r"^balloond \d+\.\d+\.\d+\n$"),
    ("--check-config --config GOOD", 0, r"^$"),
    ("--frob", 2, r"frob"),
    ("-x", 2, r"x"),
    ("frob", 2, r'"frob"'),
    ("--config", 2, r"config"),
    ("--mode", 2, r"mode"),
    ("--mode frob", 2, r'no mode "frob"; auto, host, manual and observe exist'),
    ("--log-level loud", 2, r'no log level "loud"'),
    ("--config /nonexistent/file", 6, r"/nonexistent/file: there is no such file"),
    ("--config BAD", 6, r"(?s)BAD:1: frob: .*BAD:2: lease: "),
    ("--check-config --config BAD", 6, r"(?s)BAD:1: frob: .*BAD:2: lease: "),
    ("--config /", 6, r"directory"),
]


def row(t, args, status, pattern):
    with tempfile.TemporaryDirectory() as d:
        for name, text in [("GOOD", GOOD), ("BAD", 'frob = "1";\nlease = "soon";\n')]:
            with open(os.path.join(d, name), "w") as f:
                f.write(text)
        argv = [os.path.join(d, a) if a in ("GOOD", "BAD") else a for a in args.split()]
        p = t.run([BALLOOND, "--no-bus", *argv], timeout=PATIENCE_S)
    t.equal(p.returncode, status, f"exit status ({p.stderr})")
    text = p.stderr if status else p.stdout
    t.check(re.search(pattern, text), f"no {pattern!r} in {text!r}")
    t.equal(p.stdout if status else p.stderr, "", "the other stream")


for entry in TABLE:
    tap.add(f"balloond {entry[0]} -> {entry[1]}", row, *entry)


@tap.case("observe in the foreground: a line per decision, until SIGINT")
def foreground(t):
    with tempfile.NamedTemporaryFile("w") as config:
        config.write(GOOD)
        config.flush()
        p = subprocess.Popen([BALLOOND, "--no-bus", "--config", config.name, "--mode", "observe",
                              "--foreground"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
        t.defer(end, p)
        lines = [p.stdout.readline() for _ in range(5)]
        p.send_signal(signal.SIGINT)
        rest = p.stdout.read()
        t.equal(p.wait(PATIENCE_S), 0, "exit status")
    for line in lines + rest.splitlines(keepends=True):
        t.check(re.match(r"\d\d:\d\d:\d\d  usable [\d.]+ .iB  available [\d.]+ .iB  psi some .*  "
                         r"balloon 0  goal .*\.\n$", line), f"line {line!r}")
        t.check(not re.search("Inflating|Deflating", line), f"said to be done: {line!r}")


@tap.case("its reader goes away: it ends, and not by a signal")
def reader_gone(t):
    with tempfile.NamedTemporaryFile("w") as config:
        config.write(GOOD)
        config.flush()
        p = subprocess.Popen([BALLOOND, "--no-bus", "--config", config.name, "--foreground"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
        t.defer(end, p)
        p.stdout.readline()
        p.stdout.close()
        t.equal(p.wait(PATIENCE_S), 0, "exit status")


def said(t, *args):
    """What a daemon without a bus says on standard error until it is ended after its first look."""
    p = subprocess.Popen([BALLOOND, "--no-bus", "--mode", "observe", "--foreground", *args], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    t.defer(end, p)
    p.stdout.readline()
    p.terminate()
    text = p.communicate(timeout=PATIENCE_S)[1]
    t.equal(p.returncode, 0, f"exit status ({text!r})")
    return text


@tap.case("--log-level: more, or nothing")
def log_level(t):
    t.equal(said(t, "--log-level", "err"), "", "level err")
    # That it has a device to look at, or none.
    t.check(said(t, "--log-level", "debug"), "level debug")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@tap.case("open files, memory and time while it runs", timeout=120)
def footprint(t):
    daemon = Daemon(t, None, GOOD, args=["--no-bus"])
    time.sleep(1)
    files = daemon.kept()
    # Standard streams, /proc, event loop, timers and signals, the notification socket. No file of
    # anybody else, and a number that a leak would pass soon.
    t.between(len(files), 6, 24, f"open files {files}")
    strange = [f for f in files if not re.match(r"/proc/|/dev/null$|anon_inode|socket|/memfd:balloond-history|" +
                                                re.escape(daemon.log_path), f)]
    t.equal(strange, [], "files that it has no business with")
    cpu = cpu_seconds(daemon.process.pid)
    time.sleep(5)
    with t.subtest("open files stay the same"):
        t.wait(lambda: daemon.descriptors() == files, PATIENCE_S, f"open files as before ({files})")
    with t.subtest("memory"):
        if sanitized():
            t.diag("a sanitizer build: no bound on its memory")
        else:
            t.check(daemon.rss_kib() < RSS_MAX_KIB, f"RSS is {daemon.rss_kib()} KiB")
            t.check(daemon.private_kib() < DIRTY_MAX_KIB, f"private: {daemon.private_kib()} KiB")
        t.diag(f"RSS {daemon.rss_kib()} KiB, private and dirty {daemon.private_kib()} KiB")
    with t.subtest("time"):
        used = cpu_seconds(daemon.process.pid) - cpu
        t.diag(f"{used:.2f} s of CPU for 50 ticks")
        t.check(used < 1, f"{used} s of CPU in 5 s")
    t.equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    tap.main()
