# SPDX-License-Identifier: GPL-2.0-or-later
"""Part "thp": a guest without one free block of 2 MiB, and what the balloon leaves of its huge pages.

A process keeps one page in each MiB of all memory (fragment.c). Those pages can be moved, so that compaction may
make blocks of 2 MiB. It needs some memory to live on; what that leaves in one piece another one takes in huge
pages, and keeps (toucher.c). In such a guest:

  before   a program asks for huge pages for half of the memory; AnonHugePages are what it got. Compaction has worked
           for it, so the memory is fragmented anew afterwards
  inflate  half of the memory: "nosleep" takes what is free, in 4 KiB pages, as the daemon does by default; "compact"
           lets the module reclaim and compact for 2 MiB pages first, 4 KiB pages for the rest
  cycles   so often there and back, with compaction where the driver has it
  after    the same program once more

/proc/pagetypeinfo says what kind each block of 2 MiB is of. A block that was made unmovable is filled by the
kernel's own memory from then on, and no huge page may ever be had from it again. "none" is the guest
without a driver that waits as long as the cycles take: what happens without a balloon, the bound.

Left out: other sizes of fragments, and programs that do not ask (then the guest's khugepaged decides).
"""
import re
import time

from . import drivers, unit
from .drivers import MIB, MoveFailed
from .unit import Unit

from harness.trace import DeviceTrace

EVERY = 256
LARGE_ORDER = 9
NAMES = ("none", "stock", "uballoon")
BUDGET_MS = 10000


def free_large_blocks(buddyinfo):
    """Free blocks of 2 MiB, of /proc/buddyinfo, but for zone DMA, which is kept for others."""
    blocks = 0
    for line in buddyinfo.splitlines():
        zone, *counts = line.partition("zone")[2].split()
        counts = [int(n) for n in counts] if zone != "DMA" else []
        blocks += sum(n << (order - LARGE_ORDER) for order, n in enumerate(counts) if order >= LARGE_ORDER)
    return blocks


def block_types(pagetypeinfo):
    """{type: blocks}, summed over zones, of /proc/pagetypeinfo."""
    _, _, text = pagetypeinfo.partition("Number of blocks type")
    # Kernels that track page owners have another such table behind it.
    head, *lines = text.partition("\n\n")[0].splitlines() or [""]
    names, sums = head.split(), {}
    for line in lines:
        m = re.match(r"Node\s+\d+, zone\s+\S+((?:\s+\d+)+)\s*$", line)
        for name, n in zip(names, m[1].split()) if m else ():
            sums[name] = sums.get(name, 0) + int(n)
    return sums


class Guest:
    """The steps, in one guest."""

    def __init__(self, g, name, sizes, trace, record):
        self.g, self.name, self.sizes, self.trace, self.record = g, name, sizes, trace, record
        self.half_mib = sizes.fragmented_mib // 2
        self.fragments = self.taker = None
        self.driver = {d.name: d for d in drivers.DRIVERS}[name](g) if name != "none" else None

    def fragment(self):
        self.release()
        size = self.g.meminfo()["MemAvailable"] // MIB - 64
        self.fragments = start_and_wait(self.g, size)
        self.take_large()

    def take_large(self):
        """What is free in pieces of 2 MiB, without making any: a program takes those."""
        defrag = "/sys/kernel/mm/transparent_hugepage/defrag"
        was = re.search(r"\[(.*?)\]", self.g.read(defrag))[1]
        blocks = free_large_blocks(self.g.read("/proc/buddyinfo"))
        self.g.sh(f"echo never > {defrag}")
        self.taker = self.g.spawn(f"exec toucher {2 * blocks + 2} huge hold", 1800)
        while "toucher rc=OK" not in self.taker.output:
            if not self.taker.running():
                raise MoveFailed(f"toucher: {self.taker.output}")
            time.sleep(0.05)
        self.g.sh(f"echo {was} > {defrag}")

    def free_blocks(self, when):
        self.record("thp", f"{when}_free_blocks", free_large_blocks(self.g.read("/proc/buddyinfo")))

    def release(self):
        if self.fragments:
            self.g.sh("killall -USR1 fragment")
            self.fragments.wait()
            self.taker.kill()
            self.taker.wait()
            self.fragments = None

    def program(self, when):
        self.free_blocks(when)
        events = self.compactions()
        said = unit.touch(self.g, self.half_mib * 3 // 4, "huge")
        self.compacted(when, events)
        self.record("thp", f"{when}_huge_mib", said["huge_kib"] / 1024)
        self.record("thp", f"{when}_s", said["us"] / 1e6)

    def blocks(self, when):
        types = block_types(self.g.read("/proc/pagetypeinfo"))
        if "Unmovable" not in types:
            raise MoveFailed(f"/proc/pagetypeinfo: {types}")
        self.record("thp", f"{when}_unmovable_blocks", types["Unmovable"])

    def stock_there_and_back(self, figures):
        for way, mib in (("inflate", self.half_mib), ("deflate", 0)):
            ms = drivers.move(self.driver, self.trace, None, mib)["total_ms"]
            if figures:
                self.record("thp", f"{way}_nosleep_ms", ms)
            if mib:
                self.blocks("inflated")

    def our_calls(self, compact):
        size = f"{self.half_mib}M"
        return [f"target {size}", f"lock 2m {size} {BUDGET_MS} {'cansleep' if compact else 'nosleep'}",
                f"lock 4k {size} {BUDGET_MS}", "state"], \
               [f"unlock 2m {size} {BUDGET_MS}", f"unlock 4k {size} {BUDGET_MS}", "state"]

    def our_there_and_back(self, compact, figures):
        how, events = "compact" if compact else "nosleep", self.compactions()
        for way, calls in zip(("inflate", "deflate"), self.our_calls(compact)):
            got = unit.answers(self.g, calls)
            state = got[-1]
            if way == "inflate":
                self.blocks("inflated")
            if way == "deflate" and int(state["size_pages"]):
                raise MoveFailed(f"thp: not empty: {got}")
            if not figures:
                continue
            if compact and way == "inflate":
                self.compacted("inflate", events)
            self.record("thp", f"{way}_{how}_ms", sum(int(a.get("us", 0)) for a in got) / 1000)
            if way == "inflate":
                self.record("thp", f"{how}_large_mib", int(state["size_2m_pages"]) * 4096 / MIB)
                self.record("thp", f"{how}_mib", int(state["size_pages"]) * 4096 / MIB)

    def compactions(self):
        """(allocations that compacted, those of them that got a page by it), so far."""
        events = self.g.vmstat()
        return events["compact_stall"], events["compact_success"]

    def compacted(self, when, events):
        for what, n, before in zip(("stalls", "successes"), self.compactions(), events):
            self.record("thp", f"{when}_compaction_{what}", n - before)

    def cycles(self):
        if self.name == "none":
            time.sleep(self.sizes.cycles * 0.2)
            return
        for n in range(self.sizes.cycles):
            if self.name == "stock":
                self.stock_there_and_back(figures=not n)
            else:
                self.our_there_and_back(compact=True, figures=not n)

    def run(self):
        self.fragment()
        self.program("before")
        self.fragment()
        self.blocks("before")
        self.free_blocks("inflate")
        if self.name == "uballoon":
            self.our_there_and_back(compact=False, figures=True)
            self.blocks("nosleep")
        self.cycles()
        self.blocks("after")
        self.program("after")
        self.blocks("end")
        self.release()


def start_and_wait(g, size_mib):
    job = unit.start_fragments(g, size_mib, [EVERY])
    while f"ready {EVERY}" not in job.output:
        if not job.running():
            raise MoveFailed(f"fragment: {job.output}")
        time.sleep(0.05)
    return job


def _run(series, name, sizes, record):
    trace = DeviceTrace()
    with unit.guest(series, f"thp-{name}", sizes.fragmented_mib, trace=trace, lifetime=1800) as g:
        Guest(g, name, sizes, trace, record).run()


def units(sizes, series):
    for rnd in range(sizes.long_rounds):
        for s in series:
            for name in NAMES:
                yield Unit("thp", "fragmented, and its huge pages", rnd, s, 0, name,
                           30 + (0 if name == "none" else 2 * sizes.cycles),
                           lambda record, s=s, name=name: _run(s, name, sizes, record))
