# SPDX-License-Identifier: GPL-2.0-or-later
"""Part "latency": from the host's request to its first MiB, both ways, and where that time goes.

QEMU's clock alone, by its trace, for small moves in a guest at rest:

  ask     the target reaches the device, until the driver reads it there: an interrupt and a task of the
          kernel's that it wakes. Both drivers need that
  hand    ... until the first pages are handed over (a queue is notified): with uballoon the program that
          decides has to be woken in between. Missing where nothing need be said: what was reported comes
          back without a word
  tell    ... until the device has heard of at least 1 MiB

What the module itself needs is measured in the guest, without anybody to be woken: a LOCK of one page of
2 MiB, to its return with the device's answer, again and again; the UNLOCK likewise. The rest of the time
is that of waking somebody; what it takes to wake a program that sleeps in poll() at all is measured
in the same guest, without module or device (waker.c).

Left out: the daemon, which waits in the same poll(); what it reads and weighs before it answers is in
bench tick.
"""
import re
import statistics
import time

from . import drivers, unit
from .drivers import MIB, PAGE, MoveFailed
from .unit import Unit

from harness.trace import DeviceTrace

RAM_MIB, MOVE_MIB, OWN_CALLS = 1024, 64, 50
_LINE = re.compile(r"\d+@(\d+\.\d+):virtio_(\w+) (.*)")


class WakeTrace(DeviceTrace):
    """More of what the device notes: when its configuration is read, and its queues notified."""

    MORE = ("virtio_balloon_get_config", "virtio_queue_notify", "virtio_set_status")

    def __init__(self):
        super().__init__()
        self.arguments = [*self.arguments, *(word for event in self.MORE for word in ("-trace", event))]
        self._device = None

    def events(self):
        """As its parent's; ("get_config", pages wanted) and ("notify", queue) of the balloon's device as well."""
        found, self._device = parse(self.text(), self._device)
        return found


def parse(text, device=None):
    """([(seconds, event, number)], the balloon's device). It is the last whose driver has been loaded:
    nothing else is, once the guest is up."""
    found = []
    for seconds, event, rest in _LINE.findall(text):
        numbers = [int(n, 0) for n in re.findall(r"\b0x[0-9a-f]+\b|\b\d+\b", rest)]
        if event == "set_status":
            device = numbers[0]
        elif event == "queue_notify":
            if numbers[0] == device:
                found.append((float(seconds), "notify", numbers[1]))
        elif event.startswith("balloon_"):
            found.append((float(seconds), event.removeprefix("balloon_"), numbers[0]))
    return found, device


def split(events, start_pages):
    """{"ask", "hand", "tell", "first_mib"} in ms of a move away from @start_pages; "hand" only if
    something was handed over before the device heard of it. None: it did not move."""
    asked = next((s for s, event, _ in events if event == "to_target"), None)
    if asked is None:
        return None
    later = [e for e in events if e[0] >= asked]
    told = next((s for s, event, n in later if event == "set_config" and abs(n - start_pages) * PAGE >= MIB), None)
    seen = next((s for s, event, _ in later if event == "get_config"), None)
    if told is None or seen is None or seen > told:
        return None
    # Queue 2 is that of the statistics.
    handed = next((s for s, event, n in later if event == "notify" and n != 2 and seen <= s <= told), None)
    parts = {"ask": seen - asked, "tell": told - (handed or seen), "first_mib": told - asked}
    if handed is not None:
        parts["hand"] = handed - seen
    return {name: s * 1000 for name, s in parts.items()}


def _moves(g, driver, trace, moves, record):
    pages = 0
    for n in range(2 * moves + 2):
        way, mib = (("inflate", MOVE_MIB), ("deflate", 0))[n % 2]
        want = mib * MIB // PAGE
        driver.prepare("unlock" if n % 2 else "lock", MOVE_MIB, False)
        trace.events()
        g.balloon(g.memory - mib * MIB)
        events, end, now = [], time.monotonic() + drivers.MOVE_LIMIT_S, pages
        while now != want:
            if time.monotonic() > end or not g.alive():
                raise MoveFailed(f"{driver.name}: at {now} pages, want {want}")
            time.sleep(drivers.LOOK_S)
            events += trace.events()
            now = next((n for _, event, n in reversed(events) if event == "set_config"), now)
        parts = split(events, pages)
        driver.finish()
        pages = want
        # The first ones load what they need into caches.
        for name, value in (parts or {}).items() if n > 1 else ():
            record("latency", f"{way}_{name}_ms", value)


def _own(g, record):
    """What the module needs for its first pages, nobody being woken."""
    calls = [f"target {MOVE_MIB}M"] + ["lock 2m 2M 10000", "unlock 2m 2M 10000"] * OWN_CALLS
    by_verb = {"lock": [], "unlock": []}
    for a in unit.answers(g, calls):
        if a[""] in by_verb and a["stop"] in ("DONE", "TARGET"):
            by_verb[a[""]].append(int(a["us"]) / 1000)
    for verb, way in (("lock", "inflate"), ("unlock", "deflate")):
        record("latency", f"{way}_own_ms", statistics.median(by_verb[verb][1:]))


def _wake(g, moves, record):
    """What it takes to wake a program, whoever does."""
    for line in g.sh(f"waker {moves}", 60).splitlines():
        record("latency", "wake_ms", int(unit.fields(line)["us"]) / 1000)


def _run(series, driver, sizes, record):
    trace = WakeTrace()
    with unit.guest(series, f"latency-{driver.name}", RAM_MIB, trace=trace) as g:
        d = driver(g)
        _moves(g, d, trace, sizes.latency_moves, record)
        if driver.name == "uballoon":
            _own(g, record)
            _wake(g, sizes.latency_moves, record)


def units(sizes, series):
    for rnd in range(sizes.rounds):
        for s in series:
            for driver in drivers.DRIVERS[::-1] if rnd % 2 else drivers.DRIVERS:
                yield Unit("latency", "request to first MiB", rnd, s, 0, driver.name, 10 + 1.2 * sizes.latency_moves,
                           lambda record, s=s, d=driver: _run(s, d, sizes, record))
