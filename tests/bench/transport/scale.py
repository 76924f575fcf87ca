# SPDX-License-Identifier: GPL-2.0-or-later
"""Part "scale": what a GiB costs in guests of 4, 16, 64 and 256 GiB.

Three quarters of each guest's memory, init_on_alloc=0. The memory is mapped without being reserved and
never touched, so that it costs the host nothing but the guest's own struct pages (1/64 of it) and its page tables:
guests may be larger than the host, but a size whose struct pages do not fit is left out, and said.
Per GiB moved: the time from the host's request on, CPU time of the guest, and the time to the first MiB, which
should not depend on the size at all. "without a device" is the same with host=none: the bound.

Large pages are marked for crash dumps in the background, a second after they came. What that costs is CPU time
while the balloon rests, beside what the idle guest and its clock use; and each page of a balloon that has rested
has its marks taken off when it is given back: "rested" is the deflate of such a balloon.

Left out: the stock driver, which needs minutes for the largest guest; guests with several nodes.
"""
import sys
import time

from . import drivers, unit
from .drivers import MIB, CpuClock, MoveFailed
from .unit import GIB_MIB, Unit

from harness.trace import DeviceTrace

REPEATS = 3
# Until all is marked, by kmod/lists.c: a second, then 64 pages of 2 MiB a tick of 4 ms; and twice that.
MARK_S, MARK_S_GIB = 3, 2 * 512 / 64 * 0.004
# Struct pages and a quarter for what else grows with the guest, and the guest itself.
OVERHEAD_SHARE, OVERHEAD_MIB = 1.25 / 64, 1024


def needs_mib(gib):
    """What a guest of that size costs a host whose memory it does not touch."""
    return gib * GIB_MIB * OVERHEAD_SHARE + OVERHEAD_MIB


def host_available_mib():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("MemAvailable:")) / 1024


def unreserved(ram_mib):
    """Options of a guest whose RAM is not reserved by its host."""
    return {"machine": "pc,memory-backend=ram0",
            "devices": [["-object", f"memory-backend-ram,id=ram0,size={ram_mib}M,reserve=off"]]}


def rest_s(mib):
    """After so long a balloon of that size has been marked."""
    return MARK_S + MARK_S_GIB * mib / GIB_MIB


def _cpu_of(clock, seconds):
    before = clock.ms()
    time.sleep(seconds)
    return clock.ms() - before


def _rested(driver, trace, clock, state, mib, record):
    gib, seconds = mib / GIB_MIB, rest_s(mib)
    idle = _cpu_of(clock, seconds)
    drivers.move(driver, trace, clock, mib)
    record(state, "marking_cpu_ms_gib", max(_cpu_of(clock, seconds) - idle, 0) / gib)
    got = drivers.move(driver, trace, clock, 0)
    record(state, "rested_ms_gib", got["total_ms"] / gib)
    record(state, "rested_cpu_ms_gib", got["guest_cpu_ms"] / gib)


def _with_device(g, state, mib, trace, record):
    driver, clock = drivers.Uballoon(g), CpuClock(g)
    for to_mib in (64, 0):
        drivers.move(driver, trace, clock, to_mib)
    for _ in range(REPEATS):
        for way, to_mib in (("inflate", mib), ("deflate", 0)):
            got = drivers.move(driver, trace, clock, to_mib)
            for metric in ("total_ms", "moving_ms", "guest_cpu_ms"):
                record(state, f"{way}_{metric}_gib", got[metric] / (mib / GIB_MIB))
            record(state, f"{way}_first_mib_ms", got["first_mib_ms"])
        record(state, "host_mib", g.smaps()["ram_rss"] / MIB)
    _rested(driver, trace, clock, state, mib, record)
    clock.stop()


def _without_device(g, state, mib, record):
    g.sh(f"rmmod uballoon && {drivers.INSMOD} host=none")
    for _ in range(REPEATS):
        got = unit.answers(g, [f"target {mib}M", f"lock 2m {mib}M 10000", f"unlock 2m {mib}M 10000"])
        for way, a in (("inflate", got[1]), ("deflate", got[2])):
            if a["stop"] != "DONE":
                raise MoveFailed(f"without a device: {got}")
            record(state, f"{way}_bound_ms_gib", int(a["us"]) / 1000 / (mib / GIB_MIB))
    got = unit.answers(g, [f"target {mib}M", f"lock 2m {mib}M 10000", f"sleep {rest_s(mib) * 1000:.0f}",
                           f"unlock 2m {mib}M 10000"])
    record(state, "rested_bound_ms_gib", int(got[-1]["us"]) / 1000 / (mib / GIB_MIB))


def _run(series, gib, record):
    have = host_available_mib()
    if have < needs_mib(gib):
        print(f"           left out: {gib} GiB need {needs_mib(gib):.0f} MiB of the host, which has {have:.0f}",
              file=sys.stderr, flush=True)
        return
    trace, mib, state = DeviceTrace(), gib * GIB_MIB * 3 // 4, f"scale-{gib}"
    more = unreserved(gib * GIB_MIB)
    with unit.guest(series, f"scale-{gib}", gib * GIB_MIB, trace=trace, boot_timeout=600, lifetime=1800,
                    end_tolerance=max(4, gib) * MIB, **more) as g:
        _with_device(g, state, mib, trace, record)
        _without_device(g, state, mib, record)


def units(sizes, series):
    for s in series:
        for gib in sizes.scale_gib:
            yield Unit("scale", f"{gib} GiB", 0, s, 0, "uballoon", 20 + gib / 4,
                       lambda record, s=s, gib=gib: _run(s, gib, record))
