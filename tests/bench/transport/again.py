# SPDX-License-Identifier: GPL-2.0-or-later
"""Part "again": a program has its memory back after the balloon was there, and what that time depends on.

It is the host's time: what was given away has to be found anew, in huge pages if the host has them and the
discards left room for them. So each driver runs in guests that differ in that:

  huge    QEMU asks for huge pages for its guests' RAM (madvise), and the host may give them
  small   it may not (prctl PR_SET_THP_DISABLE), as on hosts that have "never" there
  fresh   huge pages, and nobody has touched the memory before the balloon took it

In each: the first touch of the memory (the host finds all of it), a second one (it has it), the balloon
there and back, and the touch that is measured. What its time depends on is how often the host has to
fault: with huge pages once for 2 MiB at best, without them 512 times. Times differ from machine to machine and
so does their ratio; the QEMU process's faults through those of the first touch do not, as long as the host
has huge pages to give.

Left out: the time from deflate to touch, a fraction of a second here. Both drivers report free memory to the host
two seconds after it became free, in large blocks, which the host then has to find anew as well.
"""
import contextlib
import ctypes

from . import drivers, unit
from .drivers import MIB
from .unit import Unit

from harness.trace import DeviceTrace

PR_SET_THP_DISABLE = 41
STATES = ("huge", "small", "fresh")
_LIBC = ctypes.CDLL(None)


@contextlib.contextmanager
def _huge_pages(allowed):
    """Of what is started meanwhile: the setting is inherited."""
    if not allowed and _LIBC.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0):
        raise OSError("PR_SET_THP_DISABLE")
    try:
        yield
    finally:
        _LIBC.prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)


def _faults(g):
    """Minor faults of QEMU, all threads."""
    with open(f"/proc/{g.process.pid}/stat") as f:
        return int(f.read().rpartition(")")[2].split()[7])


def _touch(g, sizes, state, what, record):
    before = _faults(g)
    seconds = unit.touch(g, sizes.balloon_mib)["us"] / 1e6
    gib = sizes.balloon_mib / unit.GIB_MIB
    record(state, f"{what}_s", seconds)
    record(state, f"{what}_faults_gib", (_faults(g) - before) / gib)
    record(state, f"{what}_huge_mib", g.smaps()["ram_anon_huge"] / MIB)
    return seconds


def _run(series, driver, state, sizes, record):
    trace, full = DeviceTrace(), f"again-{state}"
    with _huge_pages(state != "small"), \
            unit.guest(series, f"again-{driver.name}", sizes.ram_mib, trace=trace) as g:
        d = driver(g)
        first = None
        if state != "fresh":
            first = _touch(g, sizes, full, "first", record)
            _touch(g, sizes, full, "second", record)
        for mib in (sizes.balloon_mib, 0):
            drivers.move(d, trace, None, mib)
        again = _touch(g, sizes, full, "again", record)
        if first:
            record(full, "again_through_first", again / first)


def units(sizes, series):
    for rnd in range(sizes.long_rounds):
        for s in series:
            for state in STATES:
                for driver in drivers.DRIVERS[::-1] if rnd % 2 else drivers.DRIVERS:
                    yield Unit("again", f"memory again, {state}", rnd, s, 0, driver.name,
                               12 + sizes.balloon_mib / 150,
                               lambda record, s=s, d=driver, state=state: _run(s, d, state, sizes, record))
