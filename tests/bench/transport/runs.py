# SPDX-License-Identifier: GPL-2.0-or-later
"""Part "move": what is measured with one driver in one boot, and the order of the boots.

A boot is a micro guest with the driver loaded at once, as it would be. In turn:

  fresh        the balloon takes memory that the guest has not touched
  rested       the same, but for some seconds between the two ways: until all large pages have been
               marked for crash dumps, which is taken off them again when they come back
  touched      ... that a program has just used, so that the host holds it; after the
               deflate a program uses it again: what the balloon's discards have left
               of the host's huge pages shows in its time
  scattered    ... while a program keeps every second page: no two free neighbours;
               half the memory
  fragmented   ... while it keeps every eighth page: runs of seven at most
  bound        uballoon without a device (host=none), at its own clock: the page allocator and
               the book-keeping, which no device can make faster

  offline      init_on_alloc=1, a candidate: blocks of memory are taken offline by sysfs, without the
               module, for offlining does not clear pages. The host gains nothing by it; what it would
               cost to tell it comes on top. At the clock of who asks, as good as 10 ms

What leaves the state as it was (fresh) is repeated in the same boot. Drivers take
turns round by round, and who begins alternates. The balloon device is the
harness's own, the same for both.
"""
import time

from . import scale, unit
from .drivers import CALLS, DRIVERS, INSMOD, MIB, PAGE, CpuClock, MoveFailed, move
from .unit import Unit, free_mib

from harness.trace import DeviceTrace

# Free memory beside the fragments; the guest needs some to live on.
SPARE_MIB = 64
WARM_UP_MIB = 64
# What the guest may have used for itself meanwhile.
LOST_MIB = 64
STATES = ("fresh", "rested", "touched", "scattered", "fragmented", "bound", "offline")
QUICK_STATES = ("fresh", "fragmented", "bound")
INIT_ON_ALLOC = (0, 1)


class Boot:
    """One guest with one driver; calls @record(state, metric, value)."""

    def __init__(self, sizes, states, repeats, record):
        self.plan, self.states, self.repeats, self.record = sizes, states, repeats, record

    def run(self, series, init_on_alloc, driver):
        self.trace = DeviceTrace()
        # Clearing pages hides what having no neighbours costs.
        states = [s for s in self.states if s != "scattered" or not init_on_alloc]
        with unit.guest(series, driver.name, self.plan.ram_mib, init_on_alloc, self.trace) as self.g:
            driver = driver(self.g)
            self.clock = CpuClock(self.g)
            # Code that runs for the first time is loaded into caches, and translated under emulation.
            for mib in (WARM_UP_MIB, 0):
                move(driver, self.trace, self.clock, mib)
            if "fresh" in states:
                for _ in range(self.repeats):
                    self._there_and_back(driver, "fresh", self.plan.balloon_mib)
            if "rested" in states:
                self._there_and_back(driver, "rested", self.plan.balloon_mib,
                                     rest_s=scale.rest_s(self.plan.balloon_mib))
            if "touched" in states:
                self._touch()
                self._there_and_back(driver, "touched", self.plan.balloon_mib)
                seconds, huge = self._touch()
                self.record("touched", "retouch_s", seconds)
                self.record("touched", "retouch_huge_mib", huge)
            self._holes(driver, [s for s in ("scattered", "fragmented") if s in states])
            self.clock.stop()
            if driver.name != "uballoon":
                return
            if "bound" in states:
                self._bound()
            if "offline" in states and init_on_alloc:
                self._offline()

    def _there_and_back(self, driver, state, mib, only_4k=False, rest_s=0):
        free = free_mib(self.g)
        for way, to_mib in (("inflate", mib), ("deflate", 0)):
            for metric, value in move(driver, self.trace, self.clock, to_mib, only_4k).items():
                self.record(state, f"{way}_{metric}", value)
            if to_mib:
                time.sleep(rest_s)
        lost = free - free_mib(self.g)
        if lost > LOST_MIB:
            raise MoveFailed(f"{driver.name}, {state}: {lost:.0f} MiB are not free again after the deflate")

    def _touch(self):
        """A program uses the memory; (seconds, huge pages of the host in MiB)."""
        said = unit.fields(self.g.sh(f"ubtool hog {self.plan.balloon_mib}M", 200))
        if said["rc"] != "OK":
            raise MoveFailed(f"touching {self.plan.balloon_mib} MiB: {said}")
        return int(said["us"]) / 1e6, self.g.smaps()["ram_anon_huge"] / MIB

    def _bound(self):
        self.g.sh(f"rmmod uballoon && {INSMOD} host=none")
        mib = self.plan.balloon_mib
        # Memory that is cleared has to be found by the host first, which may take longer than a call may.
        calls = {verb: [f"{verb} 2m {mib}M 10000"] * CALLS for verb in ("lock", "unlock")}
        for n in range(self.repeats + 1):
            rested = n == self.repeats
            rest = [f"sleep {scale.rest_s(mib) * 1000:.0f}"] if rested else []
            got = unit.answers(self.g, [f"target {mib}M", *calls["lock"], *rest, *calls["unlock"]])
            for way, verb in (("inflate", "lock"), ("rested" if rested else "deflate", "unlock")):
                worked = [a for a in got if a[""] == verb and int(a["done_pages"])]
                if sum(int(a["done_pages"]) for a in worked) * PAGE != mib * MIB:
                    raise MoveFailed(f"without a device: {got}")
                self.record("bound", f"{way}_total_ms", sum(int(a["us"]) for a in worked) / 1000)

    def _offline(self):
        self.g.sh("rmmod uballoon")
        folder = "/sys/devices/system/memory"
        blocks = -(-self.plan.balloon_mib * MIB // int(self.g.read(f"{folder}/block_size_bytes"), 16))
        offline = f"""n=0; for b in $(ls -d {folder}/memory[0-9]* | sort -r -n -t y -k 5); do
            [ $n -lt {blocks} ] || break
            ! echo offline 2>/dev/null > $b/state || n=$((n + 1)); done; echo $n"""
        online = f"for b in $(grep -l offline {folder}/memory[0-9]*/state); do echo online > $b; done"
        for _ in range(self.repeats):
            for way, command in (("inflate", offline), ("deflate", online)):
                start = time.monotonic()
                said = self.g.sh(command)
                self.record("offline", f"{way}_total_ms", (time.monotonic() - start) * 1000)
                if way == "inflate":
                    self.record("offline", "share", int(said.split()[-1]) / blocks)

    def _holes(self, driver, states):
        if not states:
            return
        every = {"scattered": 2, "fragmented": 8}
        mib = {"scattered": self.plan.balloon_mib // 2, "fragmented": self.plan.balloon_mib}
        size = self.g.meminfo()["MemAvailable"] // MIB - SPARE_MIB
        job = unit.start_fragments(self.g, size, [every[s] for s in states])
        for state in states:
            while f"ready {every[state]}" not in job.output:
                if not job.running():
                    raise MoveFailed(f"fragment: {job.output}")
                time.sleep(0.05)
            self._there_and_back(driver, state, mib[state], only_4k=True)
            self.g.sh("killall -USR1 fragment")
        job.wait()


def units(sizes, series, states=None, quick=False):
    """Of @states, all that there are if it is None."""
    states = states or (QUICK_STATES if quick else STATES)
    repeats = 3 if quick else 5
    for rnd in range(sizes.rounds):
        for s in series:
            for init in (0,) if quick else INIT_ON_ALLOC:
                for driver in DRIVERS[::-1] if rnd % 2 else DRIVERS:
                    yield Unit("move", "both ways", rnd, s, init, driver.name, 10 + sizes.balloon_mib / 125,
                               lambda record, s=s, init=init, d=driver:
                               Boot(sizes, states, repeats, record).run(s, init, d))
