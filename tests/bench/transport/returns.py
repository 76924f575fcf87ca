# SPDX-License-Identifier: GPL-2.0-or-later
"""Part "return": a program touches 3 of 4 GiB while the balloon has all that it may have.

At rest means: LOCK has taken what it takes, down to the module's own floor, and the relief line is at its
highest, three quarters of that floor (daemon/decide/relief.c). What the program then touches comes back by
the module's own relief, beside reclaim; the daemon does not run, for nothing of this waits for it.

In one guest, in turn, the same program:

  without      before the module is loaded; the host has found the memory already
  found anew   the balloon has been emptied before it starts: nobody has to give anything back, but the
               host has to find the memory. The bound of "return"
  return       the balloon is at rest

Each touch is timed in the guest (toucher.c). A pause of the machine's that has nothing to do with the
balloon counts as well, so that the longest is to be read beside the other two.

Left out: the stock driver, which gives back only when the OOM killer is about to act.
"""
from . import unit
from .drivers import MIB, MoveFailed
from .unit import Unit

# By pages of 4 KiB, each of them a fault, and by huge pages as the guest gives them to who does not ask.
HOW = {"small": "small", "huge": ""}
COUNTERS = ("shrink_events", "shrink_pages", "direct_events", "oom_events", "alloc_stalls")


def _rest(g):
    """The balloon takes what it takes; its size in MiB."""
    state = unit.answers(g, ["state"])[0]
    line = int(state["module_floor_pages"]) // 4 * 3
    most = int(state["ram_pages"]) // 512 * 512
    got = unit.answers(g, [f"target {most} 0 0 {line}", f"lock 2m {most} 10000", f"lock 4k {most} 10000", "state"])
    return int(got[-1]["size_pages"]) * 4096 / MIB


def _counters(g):
    state = unit.answers(g, ["open r", "state"])[1]
    stalls = sum(n for key, n in g.vmstat().items() if key.startswith("allocstall"))
    return {name: int(state.get(name, stalls)) for name in COUNTERS}


def _touched(g, sizes, how, state, record):
    said = unit.touch(g, sizes.balloon_mib, HOW[how])
    state = f"return-{how}{state}"
    record(state, "s", said["us"] / 1e6)
    record(state, "p50_us", said["p50_ns"] / 1e3)
    record(state, "p99_us", said["p99_ns"] / 1e3)
    record(state, "p9999_us", said["p9999_ns"] / 1e3)
    record(state, "max_ms", said["max_us"] / 1e3)
    record(state, "pauses", said["pauses"])
    record(state, "huge_mib", said["huge_kib"] / 1024)


def _from_rest(g, sizes, how, record):
    record("return", "rest_mib", _rest(g))
    before = _counters(g)
    _touched(g, sizes, how, "", record)
    after = _counters(g)
    for name in COUNTERS:
        record(f"return-{how}", name, after[name] - before[name])
    if after["shrink_pages"] == before["shrink_pages"]:
        raise MoveFailed(f"return: the balloon gave nothing back: {after}")
    unit.answers(g, ["pop"])


def _run(series, sizes, record):
    with unit.guest(series, "return", sizes.ram_mib, lifetime=1800) as g:
        # The first one is for the host.
        unit.touch(g, sizes.balloon_mib)
        for _ in range(sizes.returns):
            for how in HOW:
                _touched(g, sizes, how, "-without", record)
        # With the module's own floor.
        g.sh("insmod /lib/modules-test/uballoon.ko")
        for _ in range(sizes.returns):
            for how in HOW:
                _rest(g)
                unit.answers(g, ["pop"])
                _touched(g, sizes, how, "-anew", record)
                _from_rest(g, sizes, how, record)


def units(sizes, series):
    for rnd in range(sizes.long_rounds):
        for s in series:
            yield Unit("return", f"touching {sizes.balloon_mib} of {sizes.ram_mib} MiB", rnd, s, 0, "uballoon",
                       20 + 30 * sizes.returns * sizes.balloon_mib / 3072,
                       lambda record, s=s: _run(s, sizes, record))
