# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways to ask for memory as Programs of programs_lib.py, and the figures that programs plan with.

Beside those for which the same outcome is all, cases that look at the balloon: it comes back after
a program has ended, and it stays where it is while a unit is at its own limit or cold files are read.
"""
import contextlib
import time

from programs_lib import (BIG, EAT, MIB, OK, RAM, UNIT, Lowest, Program, Result, at_rest, compare, eaten, reference,
                          share)

# The balloon may breathe by so much where it is to stay.
STAYS = RAM // 50
# A file on the disk.
WARM, WARM_MIB = "/var/tmp/warm", 60
# Longer than stalls without a pause that the daemon takes for a shortage for that alone (5 s), and an answer to it.
CHURN_S = 8
# Seconds after a program's end in which the balloon must be on its way back, and by how much.
BACK_S, BACK = 120, 16 * MIB


def eats(name, arguments, before=""):
    return Program(name, lambda b: b.eat(arguments, before=before), {"ends": OK})


GROWS = eats("python, 60 % of RAM in 1 MiB steps", f"grow {share(60)} 1")


def grows(t, b):
    """No restart in between: what follows the program's end is part of it."""
    expected = reference(t, b, GROWS)
    # How much tasks lose is the machine's matter; what that is paid with is cheap, so that it is paid in time.
    b.g.put(b'tail: { stall_price = "16M"; };\n', "/etc/balloond.conf")
    balloon, got = at_rest(t, b, GROWS, expected, fresh=True)
    with t.subtest("the balloon comes back"):
        began = time.monotonic()
        with Lowest(b) as after:
            t.wait(lambda: RAM - b.g.balloon_actual() >= after.size + BACK, BACK_S + 5, "the balloon is on its way back")
        t.diag(f"on its way back {time.monotonic() - began:.0f} s after the end")


# -- overcommit ---------------------------------------------------------
def forks(mode):
    """With ratio 95, a guest without a balloon can commit nearly all of its RAM."""
    def run(b):
        b.g.sh(f"sysctl -q vm.overcommit_ratio=95 vm.overcommit_memory={mode}")
        try:
            return b.eat(f"fork {share(25)} {share(5)}")
        finally:
            b.g.sh("sysctl -q vm.overcommit_memory=0 vm.overcommit_ratio=50")
    return Program(f"fork with {share(25)} MiB, overcommit_memory={mode}", run, {"ends": OK})


def maps_all(b):
    """The size comes from the guest without a balloon."""
    if not hasattr(b, "all_mib"):
        b.all_mib = b.g.meminfo()["MemTotal"] // MIB - 100
    return b.eat(f"map {b.all_mib}")


# -- figures ------------------------------------------------------------
OWN_MAX = "cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/memory.max"


def figures(b):
    g = b.g
    m = g.meminfo()
    limit = g.sh(f"{UNIT} -p MemoryMax=50% sh -c '{OWN_MAX}'", 60).strip()
    tmpfs = g.sh("mkdir -p /run/t && mount -t tmpfs none /run/t && stat -f -c %b /run/t; umount /run/t").strip()
    return Result({"MemTotal": m["MemTotal"], "CommitLimit": m["CommitLimit"],
                   "MemoryMax=50%": limit, "pages of a tmpfs": tmpfs,
                   "total of free": g.sh("free -b | awk '/^Mem:/ { print $2 }'").strip()}, {})


def huge_pages(b):
    """What of 400 is there; the kernel says nothing if it has fewer."""
    try:
        _, _, ms = b.timed("sysctl -q vm.nr_hugepages=400", 60)
        return Result({"huge pages": int(b.g.read("/proc/sys/vm/nr_hugepages"))}, {"all": ms})
    finally:
        b.g.sh("sysctl -q vm.nr_hugepages=0", 60)


# -- the balloon stays --------------------------------------------------
def at_its_limit(t, b):
    """A unit that reads a file again and again for which its own limit leaves not enough room."""
    b.guest(t).sh(f"test -e {WARM} || dd if=/dev/zero of={WARM} bs=1M count={WARM_MIB} status=none")
    b.rest(t)
    job = b.g.spawn(f"{UNIT} -p MemoryMax=100M python3 {EAT} churn {WARM} {90 - WARM_MIB // 2} {CHURN_S} 2>&1", 90)
    t.wait(lambda: "settled" in job.output or not job.running(), 60, "the unit has its memory")
    before, stalls = b.look(), b.stalls()
    with Lowest(b) as balloon:
        status, text = job.wait()
    stalled = [(after - b4) / 1000 for after, b4 in zip(b.stalls(), stalls)]
    t.diag(f"balloon {balloon.first >> 20} MiB, lowest {balloon.size >> 20}; the guest stalled for memory: "
           f"some {stalled[0]:.0f} ms, full {stalled[1]:.0f} ms")
    t.equal(eaten(status, text).outcome["ends"], OK, "the unit")
    t.equal(b.look(), before, "afterwards")
    t.check(balloon.size >= balloon.first - STAYS, f"the balloon fell from {balloon.first >> 20} to {balloon.size >> 20} MiB")


@contextlib.contextmanager
def cold(b):
    """Nothing is in the page cache."""
    b.g.sh("echo 3 > /proc/sys/vm/drop_caches")
    yield


READS = eats("a file larger than what is free is read", f"read {BIG}")._replace(setting=cold)


def reads(t, b):
    b.guest(t)
    balloon, _ = at_rest(t, b, READS, reference(t, b, READS))
    with t.subtest("the balloon stays"):
        t.check(balloon.size >= balloon.first - STAYS,
                f"the balloon fell from {balloon.first >> 20} to {balloon.size >> 20} MiB")


# Those that leave the balloon alone come first, so that the guest is at rest for the next one.
PROGRAMS = (
    Program("figures", figures),
    Program("one mapping of nearly all of RAM", maps_all, {"ends": OK}),
    *(forks(mode) for mode in (0, 1, 2)),
    eats("fork with 1 GiB", "fork 1024 16"),
    eats("python, one bytearray of 60 % of RAM", f"grow {share(60)} {share(60)}"),
    eats("50 processes of 20 MiB", "many 50 20"),
    eats("mlock of 50 % of RAM", f"mlock {share(50)}"),
    eats("a tmpfs file of 50 % of RAM", f"write /run/t/file {share(50)}; s=$?; umount /run/t; exit $s",
         f"mkdir -p /run/t; mount -t tmpfs -o size={share(60)}M none /run/t;"),
    Program("sysctl vm.nr_hugepages=400", huge_pages, {"huge pages": 400}),
)
WITHOUT = (*PROGRAMS, READS, GROWS)
CASES = (
    ("a unit at its own limit leaves the balloon alone", at_its_limit),
    (READS.name, reads),
    *((p.name, lambda t, b, p=p: compare(t, b, p)) for p in PROGRAMS),
    (GROWS.name, grows),
)
