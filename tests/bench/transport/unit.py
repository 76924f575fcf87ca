# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parts of the benchmark share: a unit of work, sizes, a guest for it, and what is read in it.

A unit is what one guest measures. Units of all parts run one after the other, for two guests at a time
would measure each other.
"""
import contextlib
import dataclasses
import os
import re
import sys
import typing

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "vm")]

from harness import kernels, micro                                    # noqa: E402

from .drivers import MIB, MoveFailed                                  # noqa: E402

SERIES = (*kernels.SERIES, kernels.NEWEST)
GIB_MIB = 1024
MODULES = ("uballoon", "virtio_balloon")


@dataclasses.dataclass
class Unit:
    """@run(record) measures and calls record(state, metric, value[, driver])."""

    part: str
    title: str
    rnd: int
    series: str
    init: int
    driver: str
    # About how long it takes on an idle machine: what the time left is reckoned from.
    seconds: float
    run: typing.Callable


@dataclasses.dataclass
class Sizes:
    """Of a whole run, or of a quick one."""

    rounds: int = 3
    # Of parts that repeat within a guest, or take long.
    long_rounds: int = 1
    ram_mib: int = 4096
    balloon_mib: int = 3072
    # One order for nearly all of the guest, so often.
    order_mib: int = 3584
    orders: int = 100
    scale_gib: tuple = (4, 16, 64, 256)
    latency_moves: int = 20
    # Guests of less than 512 MiB have no huge pages.
    fragmented_mib: int = 2048
    cycles: int = 50
    returns: int = 3


QUICK = Sizes(rounds=1, ram_mib=1024, balloon_mib=512, order_mib=512, orders=5, scale_gib=(1, 2), latency_moves=5,
              fragmented_mib=1024, cycles=5, returns=1)


def programs():
    """What the guest needs for this, as micro.guest() takes it."""
    return [(f"bin/{name}", kernels.build_static(os.path.join(HERE, f"{name}.c"), name), 0o755)
            for name in ("fragment", "cpuclock", "toucher", "waker")]


@contextlib.contextmanager
def guest(series, name, ram_mib, init=0, trace=None, append="", devices=(), **options):
    """A running guest, which has to pass the harness's end checks, too."""
    devices = [*devices, *([trace.arguments] if trace else [])]
    g = micro.guest(series, name=f"bench-{name}", memory=ram_mib * MIB, files=programs(),
                    append=f"init_on_alloc={init} {append}".strip(), devices=devices, **options)
    try:
        yield g.start()
        g.finish(MODULES)
    finally:
        g.kill()
        if trace:
            trace.close()


def fields(line):
    """{key: text} of a line of ubtool or toucher; {"": its first word}."""
    words = line.split()
    return {"": words[0] if words else ""} | dict(w.split("=", 1) for w in words[1:] if "=" in w)


def answers(g, commands, timeout=120):
    """[fields] of a run of ubtool with such commands, all of which the module must have taken."""
    text = g.sh("ubtool " + " , ".join(commands), timeout)
    lines = [fields(line) for line in text.splitlines()]
    if len(lines) != len(commands) or any(a.get("rc") != "OK" for a in lines):
        raise MoveFailed(f"ubtool: {text}")
    return lines


def touch(g, mib, how="", timeout=300):
    """A program uses so much memory; its answer as numbers."""
    text = g.sh(f"toucher {mib} {how}", timeout)
    said = fields(text)
    if said.get("rc") != "OK":
        raise MoveFailed(f"touching {mib} MiB: {text}")
    return {key: int(value) for key, value in said.items() if value.isdigit()}


def free_mib(g):
    """Free memory; pages on the CPUs' lists, which MemFree leaves out, included."""
    lists = re.findall(r"^ +count: +(\d+)$", g.read("/proc/zoneinfo"), re.M)
    return g.meminfo()["MemFree"] / MIB + sum(map(int, lists)) / 256


def start_fragments(g, size_mib, every):
    """A job that keeps one page in each of the numbers of @every, the next one at each SIGUSR1."""
    # Else the kernel mends what is measured, and works meanwhile.
    g.sh("echo 0 > /proc/sys/vm/compaction_proactiveness")
    return g.spawn(f"exec fragment {size_mib} {' '.join(map(str, every))}", 600)
