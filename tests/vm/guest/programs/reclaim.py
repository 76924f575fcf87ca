#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: reclaim.py [--root DIR] [SECONDS]

Takes memory from the guest's programs by the law of senpai, in the background: of system.slice, user.slice and
init.scope (below DIR, else /sys/fs/cgroup), each by itself, as long as its tasks hardly wait for memory. What
becomes free is for free page reporting or a balloon to give away. Needs root, cgroup v2, PSI and memory.reclaim
(Linux 5.19). Says "watching ..." when it begins and ends after so many seconds, or at SIGTERM. The last line
says how it went, "rc=OK s=... probes=... asked_mib=... short=... backoffs=..." or "rc=WHY at=FILE"; the exit
status is 0 or 1. short: how often the kernel found less than it was asked for.

The law, as in oomd (src/oomd/plugins/Senpai.cpp, the ticks with pressure_ms) and senpai (senpai.py), with their
defaults: each second, what the tasks of the cgroup waited for memory (memory.pressure, some) is added up. Once
that is 10 ms it is too much, and the count of seconds begins anew. After 6 s without, a share of what the
cgroup has is taken: 1 % if they waited for up to 1 ms, less the longer they waited, by the square. It keeps
what cannot be reclaimed and 100 MiB of what can; without free swap only files can.

Where it is not as there: they set memory.high and raise it again by up to 100 % when it was too much. Here
there is no limit that would have to be raised, so max_backoff and coeff_backoff have nothing to act on and to
back off is to wait. (oomd has a second rule, for memory.reclaim: it takes 1 % of what it may while the averages
of memory and I/O pressure over 10 and 60 s are below 0.1 %.) A second is senpai's; oomd wakes up every 5 s by
default and waits one wake-up more.

Left out: memory.min, memory.swap.max and other limits of the cgroups, swappiness by the rate of swap-out, and
cgroups further down.
"""
import errno
import os
import signal
import sys
import time

MIB = 1 << 20
PAGE = 4096
ROOT = "/sys/fs/cgroup"
NAMES = ("system.slice", "user.slice", "init.scope")

TICK_S = 1
INTERVAL = 6
PRESSURE_US = 10000
MAX_PROBE = 0.01
COEFF_PROBE = 10
KEPT = 100 * MIB


class Stopped(BaseException):
    """SIGTERM, SIGINT."""


class Senpai:
    """The law of one cgroup."""

    def __init__(self, total_us):
        self.last_us, self.waited_us = total_us, 0
        self.ticks = INTERVAL
        self.backoffs = 0

    def tick(self, total_us):
        """The share to take now; mostly 0."""
        self.waited_us += total_us - self.last_us
        self.last_us = total_us
        if self.waited_us >= PRESSURE_US:
            self.backoffs += 1
            share = 0.0
        elif self.ticks:
            self.ticks -= 1
            return 0.0
        else:
            # A whole number, as in oomd: from half of the target on it is 1.
            error = PRESSURE_US // max(self.waited_us, 1)
            share = min((error / COEFF_PROBE) ** 2 * MAX_PROBE, MAX_PROBE)
        self.waited_us = 0
        self.ticks = INTERVAL - 1
        return share


def read(*path):
    path = os.path.join(*path)
    try:
        with open(path, encoding="ascii") as f:
            return f.read()
    except OSError as e:
        # A file can be opened and yet not be read, and such an error does not know its name.
        e.filename = path
        raise


def some_us(text):
    """The sum of a pressure file's line "some"."""
    for line in text.splitlines():
        kind, *fields = line.split()
        if kind == "some":
            return int(dict(f.split("=") for f in fields)["total"])
    raise ValueError("no line \"some\"")


def swap_free():
    """Bytes that anonymous memory could go to."""
    if int(read("/proc/sys/vm/swappiness")) == 0:
        return 0
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("SwapFree:"):
            return int(line.split()[1]) << 10
    return 0


def amount(share, current, stat, swap):
    """Bytes to reclaim of a cgroup that has @current and the memory.stat @stat."""
    reclaimable = stat["active_file"] + stat["inactive_file"]
    reclaimable += min(swap, stat["active_anon"] + stat["inactive_anon"])
    return max(0, min(int(current * share), reclaimable - KEPT)) // PAGE * PAGE


class Group:
    """A cgroup that is watched."""

    def __init__(self, path, inode):
        self.path, self.inode = path, inode
        self.law = Senpai(some_us(read(path, "memory.pressure")))

    def tick(self, tally):
        before = self.law.backoffs
        share = self.law.tick(some_us(read(self.path, "memory.pressure")))
        tally["backoffs"] += self.law.backoffs - before
        if not share:
            return
        stat = {k: int(v) for k, v in (line.split() for line in read(self.path, "memory.stat").splitlines())}
        size = amount(share, int(read(self.path, "memory.current")), stat, swap_free())
        if size:
            self.reclaim(size, tally)

    def reclaim(self, size, tally):
        tally["probes"] += 1
        tally["asked"] += size
        path = os.path.join(self.path, "memory.reclaim")
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, b"%d" % size)
        except OSError as e:
            # What could be had has been taken.
            if e.errno != errno.EAGAIN:
                e.filename = path
                raise
            tally["short"] += 1
        finally:
            os.close(fd)


def look(root, groups):
    """The cgroups that are there now; user.slice comes with the first login. One made anew begins anew."""
    out = {}
    for name in NAMES:
        path = os.path.join(root, name)
        try:
            inode = os.stat(os.path.join(path, "memory.reclaim")).st_ino
        except FileNotFoundError:
            continue
        old = groups.get(name)
        out[name] = old if old and old.inode == inode else Group(path, inode)
    return out


def watch(root, seconds, tally):
    groups = look(root, {})
    if not groups:
        raise FileNotFoundError(errno.ENOENT, "no cgroup", os.path.join(root, NAMES[0], "memory.reclaim"))
    print("watching", *groups, flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(TICK_S)
        try:
            groups = look(root, groups)
            for group in groups.values():
                group.tick(tally)
        except OSError as e:
            # A cgroup that ends meanwhile is no error; the next look does not find it.
            if e.errno not in (errno.ENOENT, errno.ENODEV) or os.path.isdir(os.path.dirname(e.filename)):
                raise


def stop(signum, frame):
    raise Stopped


def main():
    args = sys.argv[1:]
    root, seconds = ROOT, float("inf")
    try:
        if args[:1] == ["--root"]:
            root, args = args[1], args[2:]
        if args:
            seconds = float(args.pop(0))
        if args:
            raise ValueError
    except (IndexError, ValueError):
        sys.exit(__doc__)
    tally = dict.fromkeys(("probes", "asked", "short", "backoffs"), 0)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        watch(root, seconds, tally)
    except Stopped:
        pass
    except OSError as e:
        print(f"rc={errno.errorcode.get(e.errno, e.errno)} at={e.filename}")
        sys.exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(f"rc=OK s={time.monotonic() - began:.0f} probes={tally['probes']} asked_mib={tally['asked'] // MIB} "
          f"short={tally['short']} backoffs={tally['backoffs']}")


if __name__ == "__main__":
    main()
