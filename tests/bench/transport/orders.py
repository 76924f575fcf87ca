# SPDX-License-Identifier: GPL-2.0-or-later
"""Part "orders": nearly all of a guest's memory in one order, and back in one, again and again.

3584 of 4096 MiB; what counts is each single time, and how many are in time. The guest's memory has been
touched before the first order and before each 25th, so that the host holds it. A move that gets stuck
counts as one that is late, and ends its guest's series.

Only uballoon: the stock driver's times are in part "move".
"""
from . import drivers, unit
from .drivers import MoveFailed
from .unit import Unit

from harness.trace import DeviceTrace

TOUCH_EACH = 25


def _run(series, sizes, record):
    trace = DeviceTrace()
    with unit.guest(series, "orders", sizes.ram_mib, trace=trace, lifetime=3600) as g:
        driver = drivers.Uballoon(g)
        for n in range(sizes.orders):
            if n % TOUCH_EACH == 0:
                unit.touch(g, sizes.balloon_mib)
            for way, mib in (("out", sizes.order_mib), ("back", 0)):
                try:
                    ms = drivers.move(driver, trace, None, mib, only_4k=True)["total_ms"]
                except MoveFailed:
                    record("orders", f"{way}_ms", float("inf"))
                    raise
                record("orders", f"{way}_ms", ms)


def units(sizes, series):
    for s in series:
        yield Unit("orders", f"{sizes.order_mib} of {sizes.ram_mib} MiB, {sizes.orders} times", 0, s, 0, "uballoon",
                   20 + 1.2 * sizes.orders, lambda record, s=s: _run(s, sizes, record))
