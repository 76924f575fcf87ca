# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian guest with real programs, of which each runs first without a balloon and then at rest with it.

    def java(b):
        ...
        return Result({"starts": status == 0}, {"start": ms})
    compare(t, b, Program("java", java))

A Result's outcome must be the same both times; its times are shown side by side and judged by
nobody here (tests/bench/programs.py does). While a program runs at rest, nobody may be killed and
no emergency be counted.

At rest means: the daemon with its default configuration, a balloon of more than half of RAM,
and it has stopped growing. The law comes there by itself the first time, which takes a quarter of a
minute. Where a program has left the guest otherwise, the service is stopped, which gives
all memory back, and started again, and the host asks for as much as it was the first time and then
for nothing: that is followed at once, and what the law makes of it is waited for. All that is to be had
without a balloon comes before, in one go, so that a program which leaves the balloon alone costs
no restart.
"""
import collections
import contextlib
import csv
import json
import os
import re
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import programs                                          # noqa: E402
from harness.guest import qemu_path                                   # noqa: E402

MIB = 1 << 20
RAM = 2048 * MIB
SWAP_MIB = 96
SWAP = "/dev/vdb"
# A balloon is at rest above this share of RAM and of what it was at rest before, and when it has
# not grown for so long: a little more than it settles, or, where the host has brought it there, than
# its time between two looks.
REST_SHARE, REST_AGAIN, REST_S, REST_AGAIN_S = 0.5, 0.9, 4, 1.5
# ... nor is the daemon doing something.
UNDER_WAY = ("starting", "start-wait", "host", "settling", "free")
EAT = f"/{programs.FOLDER}/eat.py"
# How a way of eat.py ends that has got all it asked for.
OK = "status 0: OK"
UNIT = "systemd-run --quiet --wait --pipe --collect --unit=test-unit"
# A file of zeros that takes no room on the disk, but in the page cache like any other.
BIG, BIG_MIB = "/var/tmp/big", 800

# outcome: {what: value}, equal without and with a balloon; times: {what: ms}
Result = collections.namedtuple("Result", "outcome times")
# run(b) gives a Result. wants: what of its outcome the guest without a balloon must have, so that "the same"
# means something. setting(b): a context for it, entered before the guest comes to rest.
Program = collections.namedtuple("Program", "name run wants setting", defaults=({}, contextlib.nullcontext))


def share(percent):
    """MiB of that much of RAM."""
    return RAM // MIB * percent // 100


class Boot:
    """The guest of one kernel; started by the first case that needs it."""

    def __init__(self, series, lifetime=3600):
        self.series, self.lifetime = series, lifetime
        self.g = self.swap = None
        self.reference, self.rows, self.rested = {}, [], 0
        self.stopped = True

    def guest(self, t):
        if self.g is None:
            self.swap = tempfile.NamedTemporaryFile(prefix="vmtest-swap-")
            self.swap.truncate(SWAP_MIB * MIB)
            disk = ["-drive", f"file={qemu_path(self.swap.name)},if=none,id=swap,format=raw,cache=unsafe",
                    # Behind the root, so that this is not the first disk.
                    "-device", "virtio-blk-pci,drive=swap,addr=0x10"]
            self.g = programs.guest(self.series, memory=RAM, lifetime=self.lifetime, report=t.diag, devices=[disk])
            started = time.monotonic()
            self.g.start()
            self.g.sh(f"truncate -s {BIG_MIB}M {BIG}")
            t.diag(f"{self.series}: systemd was up after {time.monotonic() - started:.1f} s ({self.g.accelerator})")
        t.on_failure(self.report)
        return self.g

    def report(self):
        """Short: many a case may fail for the same reason."""
        return "\n".join([self.g.run("free -m; balloonctl history 2>&1 | tail -2")[1], self.g.console_tail(2)])

    def kill(self):
        if self.g:
            self.g.kill()
        self.g = None

    # -- the two states -------------------------------------------------
    def status(self):
        status, text = self.g.run("balloonctl status --json")
        return json.loads(text) if status == 0 else {}

    def stop(self):
        """No balloon, and no page cache, of which a balloon would leave little."""
        self.g.sh("systemctl stop balloond && sync && echo 3 > /proc/sys/vm/drop_caches", 60)
        self.stopped = True
        if self.g.balloon_actual() != RAM:
            raise tap.Failure("the balloon is not empty although the service has stopped")

    def rest(self, t, fresh=False):
        """Waits for it, with a service that was just started if need be or @fresh."""
        s = {} if fresh else self.status()
        if self.rested and s.get("size", 0) >= self.rested * REST_AGAIN and not s["emergencies"]:
            return
        self.stop()
        self.stopped = False
        self.g.sh("systemctl start balloond", 60)
        if self.rested:
            self.host_asks(t)
        least = max(self.rested * REST_AGAIN, RAM * REST_SHARE)
        still = REST_AGAIN_S if self.rested else REST_S
        seen = [0, time.monotonic()]

        def grown():
            s = self.status()
            if s.get("size", 0) > seen[0]:
                seen[:] = s["size"], time.monotonic()
            return (seen[0] > least and time.monotonic() - seen[1] >= still and
                    s["reason"] not in UNDER_WAY and s)
        size = t.wait(grown, 90, "the guest at rest", 0.3)["size"]
        self.rested = self.rested or size

    def host_asks(self, t):
        """A balloon as large as the first one, from the outside, and no more of it then."""
        self.g.balloon(RAM - self.rested)
        t.wait(lambda: RAM - self.g.balloon_actual() >= self.rested * REST_AGAIN, 60, "what the host has asked for")
        self.g.balloon(RAM)
        t.wait(lambda: not self.status().get("host_target", 1), 30, "the host asks for nothing")

    # -- what a program does there --------------------------------------
    def timed(self, command, timeout=60):
        """(status, output, ms) of a shell command, by the guest's clock."""
        status, text = self.g.run(f"read a b < /proc/uptime; {{ {command}\n}} 2>&1; s=$?; read c d < /proc/uptime; "
                                  "echo \"took $a $c\"; exit $s", timeout)
        took = re.search(r"^took (\S+) (\S+)$", text, re.M)
        ms = round((float(took[2]) - float(took[1])) * 1000) if took else None
        return status, text[:took.start()] if took else text, ms

    def eat(self, arguments, timeout=90, before=""):
        """Result of one way of eat.py; @before may put it into a unit."""
        status, text = self.g.run(f"{before} python3 {EAT} {arguments} 2>&1", timeout)
        return eaten(status, text)

    def stalls(self):
        """Microseconds in which some task, all tasks waited for memory, since the boot."""
        return [int(n) for n in re.findall(r"total=(\d+)", self.g.read("/proc/pressure/memory"))]

    def look(self):
        """What may not change while a program runs."""
        s = self.status()
        return {"OOM kills": self.g.oom_kills(), "emergencies": s.get("emergencies"), "problem": s.get("problem")}


def eaten(status, text):
    """Result of what eat.py said."""
    said = dict(re.findall(r"(\w+)=(\S+)", text))
    times = {"all": int(said["ms"]), "longest step": int(said["longest_ms"])} if status == 0 and "ms" in said else {}
    # Where it failed is worth showing, but nothing to compare.
    where = f" at {said['at_mib']} MiB" if said.get("at_mib", "0") != "0" else ""
    return Result({"ends": f"status {status}: {said.get('rc', text.strip()[-200:])}{where}"}, times)


class Lowest:
    """The smallest balloon that the host saw while the block ran, bytes: .size"""

    def __init__(self, b):
        self.b, self.done = b, threading.Event()

    def __enter__(self):
        self.first = self.size = RAM - self.b.g.balloon_actual()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self):
        while not self.done.wait(0.1):
            self.size = min(self.size, RAM - self.b.g.balloon_actual())

    def __exit__(self, *exc):
        self.done.set()
        self.thread.join()
        self.last = RAM - self.b.g.balloon_actual()
        self.size = min(self.size, self.last)


def reference(t, b, p):
    """The Result of @p without a balloon, which must be what it wants; measured once."""
    if p.name not in b.reference:
        b.guest(t)
        if not b.stopped:
            b.stop()
        with p.setting(b):
            r = p.run(b)
        for what, want in p.wants.items():
            t.equal(r.outcome.get(what), want, f"{what}, without a balloon")
        b.reference[p.name] = r
    return b.reference[p.name]


def references(t, b, wanted):
    """The case that runs all of them; one that was left out is run when it is needed."""
    b.guest(t)
    for p in wanted:
        with t.subtest(p.name):
            r = reference(t, b, p)
            t.diag(f"{p.name}: {r.outcome} {r.times}")


def at_rest(t, b, p, want, fresh=False):
    """Runs @p at rest and demands @want's outcome; the Lowest balloon of it and the Result.

    With a service that was just started if @fresh."""
    with p.setting(b):
        began = time.monotonic()
        b.rest(t, fresh)
        waited = time.monotonic() - began
        before = b.look()
        with Lowest(b) as balloon:
            got = p.run(b)
        after = b.look()
    b.rows.append((p.name, want, got, balloon))
    t.diag(f"{p.name}: at rest after {waited:.0f} s; balloon {balloon.first >> 20} MiB, lowest {balloon.size >> 20}, "
           f"afterwards {balloon.last >> 20}")
    for what, value in want.outcome.items():
        with t.subtest(f"{what} as without a balloon"):
            t.equal(got.outcome.get(what), value, what)
    with t.subtest("nobody is killed, no emergency"):
        t.equal(after, before, "afterwards")
    return balloon, got


def compare(t, b, p):
    """The case of a Program for which the same outcome is all."""
    at_rest(t, b, p, reference(t, b, p))


# -- side by side -------------------------------------------------------
def table(rows):
    """Markdown lines of [(name, Result without, Result with, Lowest)]."""
    lines = ["| program | without a balloon | at rest | ratio | balloon, MiB: before | lowest | after |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    for name, without, with_, balloon in rows:
        sizes = " | ".join(str(n >> 20) for n in (balloon.first, balloon.size, balloon.last))
        for what, value in without.outcome.items():
            got = with_.outcome.get(what)
            if got != value:
                lines.append(f"| {name}: {what} | {value} | **{got}** | | {sizes} |")
        for what, ms in without.times.items():
            got = with_.times.get(what)
            shown = f"{got:.0f} ms | {got / max(ms, 1):.2f}" if got is not None else "- | "
            lines.append(f"| {name}: {what} | {ms:.0f} ms | {shown} | {sizes} |")
        if not without.times and with_.outcome == without.outcome:
            outcome = "; ".join(f"{k} {v}" for k, v in without.outcome.items())
            lines.append(f"| {name} | {outcome} | the same | | {sizes} |")
    return lines


COLUMNS = ("kernel", "round", "program", "what", "without", "at_rest", "balloon_before", "balloon_lowest", "balloon_after")


class Csv:
    """Outcomes and times (ms), one line each, sizes in bytes; in the file @path as soon as they are there."""

    def __init__(self, path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        self.file = open(path, "w", newline="")
        self.out = csv.writer(self.file)
        self.out.writerow(COLUMNS)

    def add(self, series, n, rows):
        """@rows of round @n."""
        for name, without, with_, balloon in rows:
            sizes = (balloon.first, balloon.size, balloon.last)
            for kind in ("outcome", "times"):
                for what, value in getattr(without, kind).items():
                    self.out.writerow((series, n, name, what, value, getattr(with_, kind).get(what), *sizes))
        self.file.flush()
