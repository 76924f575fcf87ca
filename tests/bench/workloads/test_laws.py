# SPDX-License-Identifier: GPL-2.0-or-later
"""The laws of rivals, without a guest: each rule has a point that fails if the rule is another one.

Of reclaim.py, which runs in the guest, the law, and the program on a tree of plain files.
"""
import os
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
PROGRAMS = os.path.join(HERE, "..", "..", "vm", "guest", "programs")
sys.path[:0] = [os.path.join(HERE, "..", "..", "lib"), HERE, PROGRAMS]

import laws                                                           # noqa: E402
import reclaim                                                        # noqa: E402
import tap                                                            # noqa: E402
from laws import KIB, MIB, UNKNOWN, Host                              # noqa: E402

GIB = 1 << 30
MAX, MIN = 4 * GIB, 1 * GIB


def stats(free, total=4 * GIB):
    return {"stat-total-memory": total, "stat-free-memory": free, "stat-available-memory": 3 * GIB,
            "stat-disk-caches": 2 * GIB}


def mib(size):
    return None if size is None else size / MIB


# -- Proxmox --------------------------------------------------------------------------------------------

def proxmox(name, actual, goal, want, free=GIB, minimum=MIN, maximum=MAX):
    """@goal in MiB: how much less than 80 % of 100 GiB the host uses; @actual and @want in MiB."""
    @tap.case(f"proxmox: {name}")
    def case(t):
        host = Host(100 * GIB, 80 * GIB - goal * MIB)
        t.equal(mib(laws.Proxmox(maximum, minimum).step(actual * MIB, stats(free), host)), want, "target, MiB")


proxmox("a host below 80 %: 100 MiB more", 2000, 5000, 2100)
proxmox("a host above 80 %: 100 MiB less", 2000, -5000, 1900)
proxmox("less than 100 MiB is done at once, up", 2000, 60, 2060)
proxmox("less than 100 MiB is done at once, down", 2000, -60, 1940)
proxmox("10 MiB are not worth a change, up", 2000, 10, None)
proxmox("10 MiB are not worth a change, down", 2000, -10, None)
proxmox("11 MiB are, up", 2000, 11, 2011)
proxmox("11 MiB are, down", 2000, -11, 1989)
proxmox("not above the maximum", 4050, 5000, 4096)
proxmox("not below the minimum", 1050, -5000, 1024)
proxmox("nothing at the maximum", 4096, 5000, None)
proxmox("nothing at the minimum", 1024, -5000, None)
proxmox("alone, it shrinks without free memory too", 2000, -5000, 1900, free=0)
proxmox("alone, it grows with much free memory too", 2000, 5000, 2100, free=GIB)
proxmox("statistics are not needed", 2000, -5000, 1900, free=UNKNOWN)
proxmox("below the minimum it grows", 900, 20, 1000)
proxmox("below the minimum it does not shrink", 900, -5000, None)
proxmox("without a minimum it is left alone", 2000, -5000, None, minimum=0)
proxmox("without a balloon it is left alone", 0, 5000, None)


@tap.case("proxmox: every 10 s, from the minimum on")
def proxmox_start(t):
    law = laws.Proxmox(MAX, MIN)
    t.equal(law.INTERVAL_S, 10, "interval")


# -- MOM ------------------------------------------------------------------------------------------------

def mom(name, actual, free, host_free, want, total=4 * GIB, minimum=MIN, maximum=MAX):
    """@actual, @free and @want in MiB, @host_free in % of 100 GiB. The first look: there is nothing to average."""
    @tap.case(f"mom: {name}")
    def case(t):
        host = Host(100 * GIB, int((100 - host_free) * GIB))
        free_bytes = free if free in (-1, None, UNKNOWN) else free * MIB
        target = laws.Mom(maximum, minimum).step(actual * MIB, stats(free_bytes, total), host)
        t.check(target is None or target % KIB == 0, "whole KiB")
        # What the law reckons in floating point may be a KiB less.
        got = mib(target)
        t.check(got == want or None not in (got, want) and abs(got - want) < 0.01, f"target: {got} MiB, want {want}")


mom("short of memory: 5 % less", 2000, 1500, 19, 1900)
mom("20 % free is not short: 5 % more", 2000, 400, 20, 2100)
mom("at 10 % the guest keeps 10 %: a limit of the change", 2000, 250, 10, 1950)
mom("at 18 % the guest keeps 18 %", 2000, 400, 18, 1960)
mom("at 6 % the guest keeps 6 %", 2000, 150, 6, 1970)
mom("at 5 % it is to have nothing free", 2000, 50, 5, 1950)
mom("at 2 % less than nothing", 2000, 0, 2, 1940)
mom("at 2 % by 5 % at most", 2000, 100, 2, 1900)
mom("free, not available: a guest full of cache keeps all", 2000, 100, 10, None)
mom("short, and the guest needs more: not for it", 2000, 0, 10, None)
mom("not below the minimum", 1040, 1000, 10, 1024)
mom("nothing at the minimum", 1024, 1000, 10, None)
mom("0.25 % is not worth a change, down", 2000, 205, 10, None)
mom("a little more is, down", 2000, 206, 10, 1994)
mom("0.25 % is not worth a change, up", 4086, 100, 20, None)
mom("a little more is, up", 4085, 100, 20, 4096)
mom("it grows by more than 5 % if it has less free than it should", 2000, 100, 20, 2300)
mom("that share follows the host", 2000, 100, 50, 2900)
mom("not above the maximum", 3900, 100, 60, 4096)
mom("nothing at the maximum", 4096, 100, 60, None)
mom("nothing above the maximum", 4200, 100, 60, None)
mom("whole KiB, if 5 % are not", 1999, 1900, 19, 1899.05)
mom("no statistics: nothing", 2000, 1000, 10, None, total=UNKNOWN)
mom("no statistics, signed: nothing", 2000, 1000, 10, None, total=-1)
mom("no statistics, but below the minimum: the minimum", 900, 1000, 10, 1024, total=UNKNOWN)
mom("free memory not known counts as none: does not shrink", 2000, UNKNOWN, 10, None)
mom("free memory not known counts as none: grows", 2000, None, 20, 2400)
mom("below the minimum it is set to it, no more", 1000, 0, 60, 1024)
mom("below the minimum it is set to it, short of memory too", 900, 800, 10, 1024)


@tap.case("mom: every 15 s, from the maximum on")
def mom_start(t):
    law = laws.Mom(MAX, MIN)
    t.equal(law.INTERVAL_S, 15, "interval")


@tap.case("mom: the host's free memory is an average of ten")
def mom_host_average(t):
    law = laws.Mom(MAX, MIN)
    for _ in range(10):
        law.step(2000 * MIB, stats(1500 * MIB), Host(100 * GIB, 70 * GIB))
    # Nine of 30 % and one of 1 %, then one each less.
    for n in range(1, 11):
        target = law.step(2000 * MIB, stats(1500 * MIB), Host(100 * GIB, 99 * GIB))
        average = (30 * (10 - n) + n) / 10
        t.equal(mib(target), 1900 if average < 20 else 2100, f"after {n} samples, MiB")


@tap.case("mom: what the guest uses is an average of ten, of sizes and of free memory each")
def mom_guest_average(t):
    short = Host(100 * GIB, 90 * GIB)
    law = laws.Mom(MAX, MIN)
    for _ in range(10):
        law.step(2000 * MIB, stats(50 * MIB), short)
    # Nine have 50 MiB free and one 1900, so it uses 1765; and a tenth of 2000.
    t.between(mib(law.step(2000 * MIB, stats(1900 * MIB), short)), 1964.99, 1965, "idle now, MiB")
    # Nine of 2000 MiB and one of 1960; (8 * 50 + 1900 + 100) / 10 free; and a tenth of 1960.
    t.between(mib(law.step(1960 * MIB, stats(100 * MIB), short)), 1951.99, 1952, "another size, MiB")


@tap.case("mom: a guest that becomes busy is taken from by what it used before")
def mom_busy(t):
    law, short = laws.Mom(MAX, MIN), Host(100 * GIB, 90 * GIB)
    for _ in range(9):
        law.step(2000 * MIB, stats(1800 * MIB), short)
    t.equal(mib(law.step(2000 * MIB, stats(0), short)), 1900, "nothing free, MiB")


@tap.case("mom: a sample without a figure has a size nevertheless")
def mom_hole(t):
    law = laws.Mom(MAX, MIN)
    law.step(3000 * MIB, stats(0, total=UNKNOWN), Host(100 * GIB, 10 * GIB))
    target = law.step(2000 * MIB, stats(1000 * MIB), Host(100 * GIB, 75 * GIB))
    # Of the host (90 + 25) / 2 = 57.5 % are free; (3000 + 2000) / 2 less 1000 used, and 57.5 % of 2000.
    t.between(mib(target), 2649.99, 2650, "target, MiB")


# -- senpai, in the guest -------------------------------------------------------------------------------

def ticks(waits, n):
    """The shares of @n seconds; @waits: second -> microseconds waited in it. The sum starts anywhere."""
    law, total, out = reclaim.Senpai(7000), 7000, []
    for second in range(1, n + 1):
        total += waits.get(second, 0)
        out.append(law.tick(total))
    return out, law.backoffs


@tap.case("senpai: the first after 6 s, then every 6 s, 1 %")
def senpai_idle(t):
    shares, backoffs = ticks({}, 19)
    t.equal([i + 1 for i, share in enumerate(shares) if share], [7, 13, 19], "seconds")
    t.equal(set(shares), {0.0, 0.01}, "shares")
    t.equal(backoffs, 0, "backoffs")


@tap.case("senpai: 10 ms is too much, at once or in pieces, and the count begins anew")
def senpai_backs_off(t):
    shares, backoffs = ticks({3: 10000}, 9)
    t.equal([i + 1 for i, share in enumerate(shares) if share], [9], "seconds after 10 ms")
    t.equal((shares[-1], backoffs), (0.01, 1), "share, backoffs")
    t.equal(ticks({2: 5000, 4: 5000}, 9)[1], 1, "backoffs by twice 5 ms")
    t.equal(ticks({2: 9999}, 9)[1], 0, "backoffs by 9.999 ms")
    t.equal(ticks({6: 9999, 8: 9999}, 9)[1], 0, "backoffs by as much on either side of a probe")
    t.equal(ticks({second: 20000 for second in range(1, 20)}, 19), ([0.0] * 19, 19), "nothing while it lasts")


@tap.case("senpai: less, by the square, the longer tasks waited")
def senpai_shares(t):
    for us, want in ((1000, 0.01), (1112, 0.0064), (2000, 0.0025), (3000, 0.0009), (5000, 0.0004), (5001, 0.0001),
                     (9999, 0.0001)):
        t.between(ticks({4: us}, 7)[0][-1], want * 0.999, want * 1.001, f"share after {us} us")


@tap.case("senpai: 100 MiB of what can be reclaimed stays, files only without swap, whole pages")
def senpai_amount(t):
    stat = {"active_file": 100 * MIB, "inactive_file": 300 * MIB, "active_anon": 200 * MIB, "inactive_anon": 50 * MIB}
    t.equal(reclaim.amount(0.01, 1000 * MIB, stat, 0), 10 * MIB, "1 %")
    t.equal(reclaim.amount(0.01, 1000 * MIB + 99999, stat, 0) % 4096, 0, "odd bytes")
    t.equal(reclaim.amount(1, 1000 * MIB, stat, 0), 300 * MIB, "without swap")
    t.equal(reclaim.amount(1, 1000 * MIB, stat, 70 * MIB), 370 * MIB, "with little swap")
    t.equal(reclaim.amount(1, 1000 * MIB, stat, GIB), 550 * MIB, "with much swap")
    t.equal(reclaim.amount(0.01, 100 * MIB, dict.fromkeys(stat, 10 * MIB), 0), 0, "too little to begin with")


PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=%d\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=99999999\n"


def tree(t, *names):
    top = tempfile.TemporaryDirectory()
    t.defer(top.cleanup)
    for name in names:
        os.mkdir(os.path.join(top.name, name))
        put(top.name, name, "memory.reclaim", "")
        put(top.name, name, "memory.pressure", PRESSURE % 5)
        put(top.name, name, "memory.current", f"{1000 * MIB}\n")
        put(top.name, name, "memory.stat",
            f"active_anon 0\ninactive_anon 0\nactive_file 0\ninactive_file {900 * MIB}\n")
    return top.name


def put(*parts):
    *path, text = parts
    with open(os.path.join(*path), "w", encoding="ascii") as f:
        f.write(text)


def asked(top, name):
    return reclaim.read(top, name, "memory.reclaim")


def tally():
    return dict.fromkeys(("probes", "asked", "short", "backoffs"), 0)


@tap.case("reclaim.py: asks memory.reclaim of each cgroup, by its own pressure")
def reclaim_asks(t):
    top = tree(t, "system.slice", "user.slice")
    groups, counts = reclaim.look(top, {}), tally()
    t.equal(list(groups), ["system.slice", "user.slice"], "cgroups")
    for second in range(1, 8):
        if second == 3:
            put(top, "user.slice", "memory.pressure", PRESSURE % 20000)
        for group in groups.values():
            group.tick(counts)
    t.equal(asked(top, "system.slice"), str(10 * MIB), "asked of the quiet one")
    t.equal(asked(top, "user.slice"), "", "asked of the busy one")
    t.equal(counts, {"probes": 1, "asked": 10 * MIB, "short": 0, "backoffs": 1}, "counts")


@tap.case("reclaim.py: a cgroup that comes, goes or is made anew begins anew")
def reclaim_looks(t):
    top = tree(t, "system.slice")
    groups = reclaim.look(top, {})
    first = groups["system.slice"]
    t.check(reclaim.look(top, groups)["system.slice"] is first, "the same one stays")
    # Not in place of the old one, so that it is another inode.
    os.rename(os.path.join(top, "system.slice"), os.path.join(top, "old"))
    t.equal(list(reclaim.look(top, groups)), [], "cgroups without it")
    os.mkdir(os.path.join(top, "system.slice"))
    for name, text in (("memory.reclaim", ""), ("memory.pressure", PRESSURE % 0)):
        put(top, "system.slice", name, text)
    t.check(reclaim.look(top, groups)["system.slice"] is not first, "another one is another one")


@tap.case("reclaim.py: less than asked is no error, anything else is")
def reclaim_errors(t):
    top = tree(t, "system.slice")
    group, counts = reclaim.look(top, {})["system.slice"], tally()
    real = os.write
    t.defer(setattr, reclaim.os, "write", real)

    def refuse(number):
        def write(fd, data):
            raise OSError(number, "refused")
        return write

    reclaim.os.write = refuse(reclaim.errno.EAGAIN)
    group.reclaim(MIB, counts)
    t.equal(counts, {"probes": 1, "asked": MIB, "short": 1, "backoffs": 0}, "counts")
    reclaim.os.write = refuse(reclaim.errno.EINVAL)
    e = t.raises(OSError, group.reclaim, MIB, counts, errno=reclaim.errno.EINVAL)
    t.equal(e.filename, os.path.join(top, "system.slice", "memory.reclaim"), "file")


def program(*args):
    return subprocess.Popen([sys.executable, os.path.join(PROGRAMS, "reclaim.py"), *args], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@tap.case("reclaim.py: SIGTERM ends it well")
def reclaim_ends(t):
    p = program("--root", tree(t, "init.scope"))
    t.defer(p.kill)
    t.equal(p.stdout.readline(), "watching init.scope\n", "first line")
    p.send_signal(signal.SIGTERM)
    out, err = p.communicate(timeout=30)
    t.check(out.startswith("rc=OK s="), f"the last line begins with the outcome: {out}")
    t.contains(out, " probes=0 asked_mib=0 short=0 backoffs=0\n", "last line")
    t.equal((p.returncode, err), (0, ""), "status, errors")


@tap.case("reclaim.py: says what is missing")
def reclaim_missing(t):
    top = tree(t)
    out, _ = program("--root", top).communicate(timeout=30)
    t.equal(out, f"rc=ENOENT at={top}/system.slice/memory.reclaim\n", "without a cgroup")
    top = tree(t, "system.slice")
    os.unlink(os.path.join(top, "system.slice", "memory.pressure"))
    p = program("--root", top)
    out, _ = p.communicate(timeout=30)
    t.equal((out, p.returncode), (f"rc=ENOENT at={top}/system.slice/memory.pressure\n", 1), "without PSI")
    _, err = program("--root").communicate(timeout=30)
    t.contains(err, "usage: reclaim.py", "errors")


if __name__ == "__main__":
    tap.main()
