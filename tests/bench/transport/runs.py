# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured with one driver in one boot, and the order of the boots.

A boot is a micro guest with the driver loaded at once, as it would be. In turn:

  fresh        the balloon takes memory that the guest has not touched
  touched      ... that a program has just used, so that the host holds it; after the
               deflate a program uses it again: what the balloon's discards have left
               of the host's huge pages shows in its time
  scattered    ... while a program keeps every second page: no two free neighbours;
               half the memory
  fragmented   ... while it keeps every eighth page: runs of seven at most
  bound        uballoon without a device (host=none), at its own clock: the page allocator and
               the book-keeping, which no device can make faster

What leaves the state as it was (fresh) is repeated in the same boot. Drivers take
turns round by round, and who begins alternates. The balloon device is the
harness's own, the same for both.
"""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "vm")]

from harness import kernels, micro                                    # noqa: E402
from harness.trace import DeviceTrace                                 # noqa: E402

from .drivers import DRIVERS, MIB, CpuClock, MoveFailed, move         # noqa: E402

# Free memory beside the fragments; the guest needs some to live on.
SPARE_MIB = 64
WARM_UP_MIB = 64
# What the guest may have used for itself meanwhile.
LOST_MIB = 64


class Plan:
    """Sizes and numbers of a run."""

    def __init__(self, ram_mib, balloon_mib, states, series=kernels.SERIES, init_on_alloc=(0, 1),
                 rounds=3, repeats=5):
        self.ram_mib, self.balloon_mib, self.states = ram_mib, balloon_mib, states
        self.series, self.init_on_alloc = series, init_on_alloc
        self.rounds, self.repeats = rounds, repeats

    def boots(self):
        """(round, series, init_on_alloc, driver) in the order in which they run."""
        for r in range(self.rounds):
            for series in self.series:
                for init in self.init_on_alloc:
                    for driver in DRIVERS[::-1] if r % 2 else DRIVERS:
                        yield r, series, init, driver


STATES = ("fresh", "touched", "scattered", "fragmented", "bound")


def full_plan():
    return Plan(4096, 3072, STATES)


def quick_plan():
    return Plan(1024, 512, ("fresh", "fragmented"), init_on_alloc=(0,), rounds=1, repeats=3)


def programs():
    """What the guest needs for this, as micro.guest() takes it."""
    return [(f"bin/{name}", kernels.build_static(os.path.join(HERE, f"{name}.c"), name), 0o755)
            for name in ("fragment", "cpuclock")]


def free_mib(g):
    """Free memory; pages on the CPUs' lists, which MemFree leaves out, included."""
    lists = re.findall(r"^ +count: +(\d+)$", g.read("/proc/zoneinfo"), re.M)
    return g.meminfo()["MemFree"] / MIB + sum(map(int, lists)) / 256


class Boot:
    """One guest with one driver; calls @record(state, metric, value)."""

    def __init__(self, plan, series, init_on_alloc, driver, record):
        self.plan, self.driver, self.record = plan, driver, record
        # Clearing pages hides what having no neighbours costs.
        self.states = [s for s in plan.states if s != "scattered" or not init_on_alloc]
        self.trace = DeviceTrace()
        self.g = micro.guest(series, name=f"bench-{driver.name}", memory=plan.ram_mib * MIB, files=programs(),
                             append=f"init_on_alloc={init_on_alloc}", devices=[self.trace.arguments])

    def run(self):
        try:
            self.g.start()
            driver = self.driver(self.g)
            self.clock = CpuClock(self.g)
            # Code that runs for the first time is loaded into caches, and translated under emulation.
            for mib in (WARM_UP_MIB, 0):
                move(driver, self.trace, self.clock, mib)
            if "fresh" in self.states:
                for _ in range(self.plan.repeats):
                    self._there_and_back(driver, "fresh", self.plan.balloon_mib)
            if "touched" in self.states:
                self._touch()
                self._there_and_back(driver, "touched", self.plan.balloon_mib)
                seconds, huge = self._touch()
                self.record("touched", "retouch_s", seconds)
                self.record("touched", "retouch_huge_mib", huge)
            self._holes(driver, [s for s in ("scattered", "fragmented") if s in self.states])
            self.clock.stop()
            if "bound" in self.states and driver.name == "uballoon":
                self._bound()
            self.g.finish(("uballoon", "virtio_balloon"))
        finally:
            self.g.kill()
            self.trace.close()

    def _there_and_back(self, driver, state, mib, only_4k=False):
        free = free_mib(self.g)
        for way, to_mib in (("inflate", mib), ("deflate", 0)):
            for metric, value in move(driver, self.trace, self.clock, to_mib, only_4k).items():
                self.record(state, f"{way}_{metric}", value)
        lost = free - free_mib(self.g)
        if lost > LOST_MIB:
            raise MoveFailed(f"{driver.name}, {state}: {lost:.0f} MiB are not free again after the deflate")

    def _touch(self):
        """A program uses the memory; (seconds, huge pages of the host in MiB)."""
        text = self.g.sh(f"ubtool hog {self.plan.balloon_mib}M", 200)
        fields = dict(p.split("=", 1) for p in text.split()[1:])
        if fields["rc"] != "OK":
            raise MoveFailed(f"touching {self.plan.balloon_mib} MiB: {text}")
        return int(fields["us"]) / 1e6, self.g.smaps()["ram_anon_huge"] / MIB

    def _bound(self):
        self.g.sh("rmmod uballoon && insmod /lib/modules-test/uballoon.ko floor_mb=64 host=none")
        mib = self.plan.balloon_mib
        for _ in range(self.plan.repeats):
            text = self.g.sh(f"ubtool target {mib}M , lock 2m {mib}M 10000 , unlock 2m {mib}M 10000", 60)
            for way, verb in (("inflate", "lock"), ("deflate", "unlock")):
                done = re.search(rf"^{verb} rc=OK .* stop=DONE us=(\d+)$", text, re.M)
                if not done:
                    raise MoveFailed(f"without a device: {text}")
                self.record("bound", f"{way}_total_ms", int(done[1]) / 1000)

    def _holes(self, driver, states):
        if not states:
            return
        every = {"scattered": 2, "fragmented": 8}
        mib = {"scattered": self.plan.balloon_mib // 2, "fragmented": self.plan.balloon_mib}
        # Else the kernel mends what is measured, and works meanwhile.
        self.g.sh("echo 0 > /proc/sys/vm/compaction_proactiveness")
        size = self.g.meminfo()["MemAvailable"] // MIB - SPARE_MIB
        job = self.g.spawn(f"exec fragment {size} {' '.join(str(every[s]) for s in states)}", 400)
        for state in states:
            while f"ready {every[state]}" not in job.output:
                if not job.running():
                    raise MoveFailed(f"fragment: {job.output}")
                time.sleep(0.05)
            self._there_and_back(driver, state, mib[state], only_4k=True)
            self.g.sh("killall -USR1 fragment")
        job.wait()
