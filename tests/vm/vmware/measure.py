# SPDX-License-Identifier: GPL-2.0-or-later
"""Moves of the balloon as the hypervisor sees them: how many calls, how long.

A Move begins when the driver hears of a new target (which it asks for once a
second; that wait is not counted) and ends when it has followed. Its time is
the test's clock, with the guest stopped at each call, so only ratios of moves
that were measured in one run say anything.
"""
import time
from dataclasses import dataclass

from .hypervisor import Cmd, MOVES

PAGES_PER_GIB = 1 << 18


@dataclass
class Move:
    pages: int
    seconds: float
    calls: int          # that carry pages
    polls: int          # GET_TARGET

    def calls_per_gib(self):
        return self.calls * PAGES_PER_GIB / self.pages


class Meter:
    """Sets the target, waits until it has been heard; stop() ends the Move."""

    def __init__(self, monitor, target):
        self._monitor = monitor
        with monitor.script() as hv:
            self._calls, self._locked = dict(hv.calls), hv.locked
            hv.target = target
        monitor.wait_for(lambda hv: hv.calls[Cmd.GET_TARGET] > self._calls[Cmd.GET_TARGET], 15,
                         "a driver that asks for the target")
        self._begin = time.monotonic()

    def stop(self):
        seconds = time.monotonic() - self._begin
        with self._monitor.script() as hv:
            calls = {cmd: n - self._calls[cmd] for cmd, n in hv.calls.items()}
            pages = abs(hv.locked - self._locked)
        return Move(pages, seconds, sum(calls[c] for c in MOVES), calls[Cmd.GET_TARGET])


def follow(monitor, target, reached, timeout, what):
    """A driver that follows by itself: sets the target, waits until reached(hypervisor)."""
    meter = Meter(monitor, target)
    monitor.wait_for(reached, timeout, what)
    return meter.stop()


def table(rows):
    """Text of (name, capabilities, Move up, Move down), aligned."""
    lines = [("driver", "capabilities", "pages", "calls/GiB up", "down", "s up", "down")]
    lines += [(name, caps, str(up.pages), f"{up.calls_per_gib():.0f}", f"{down.calls_per_gib():.0f}",
               f"{up.seconds:.1f}", f"{down.seconds:.1f}") for name, caps, up, down in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in lines)
