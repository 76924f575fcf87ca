# SPDX-License-Identifier: GPL-2.0-or-later
"""The two drivers, moved by the same hand and seen by the same eye.

Both follow the host's target. The stock driver does so by itself; for uballoon
a small program in the guest (ubtool) waits in poll() and answers with LOCK or UNLOCK,
as the daemon would without its rate limit. What counts is what the host sees: the
clock starts when the target reaches the device and ends when the device's "actual" has arrived.

"actual" is honest for both: each writes it after the pages are with the host, or
are free again.

The times are those of QEMU's own trace. Asking it over and over would take, on a machine of two
CPUs, a good part of what is to be measured. A line of the trace costs some microseconds; the stock driver
causes one a MiB, ours one a batch.
"""
import time

MIB = 1 << 20
PAGE = 4096
# What the stock driver does not have is a floor; there is room for as much as it takes.
INSMOD = "insmod /lib/modules-test/uballoon.ko floor_mb=64"
# Between two looks at the trace: a disturbance of the machine, not a limit of the resolution.
LOOK_S = 0.01
# Beyond that something is wrong, not slow.
MOVE_LIMIT_S = 120
# LOCK is bounded in time; the calls after the one that ends answer at once.
CALL_MS, CALLS = 10000, 8


class MoveFailed(Exception):
    """The balloon did not get where it was sent."""


class Stock:
    name = "stock"

    def __init__(self, guest):
        self.g = guest
        guest.sh("insmod /lib/modules-test/virtio_balloon.ko")

    def prepare(self, verb, mib, only_4k):
        """Ready for a target of the host: @verb "lock" or "unlock", of @mib."""

    def finish(self):
        """What the driver itself has to say of the last move: {}."""
        return {}


class Uballoon:
    name = "uballoon"

    def __init__(self, guest):
        self.g, self._job = guest, None
        guest.sh(INSMOD)

    def prepare(self, verb, mib, only_4k):
        calls = [f"{verb} 2m {mib}M {CALL_MS}"]
        if only_4k:
            calls += [f"{verb} 4k {mib}M {CALL_MS}"] * CALLS
        self._job = self.g.spawn(f"ubtool target {mib}M , state , poll 60000 , {' , '.join(calls)}")
        end = time.monotonic() + 20
        while "state rc=OK" not in self._job.output:
            if time.monotonic() > end:
                raise MoveFailed(f"ubtool: {self._job.output!r}")
            time.sleep(0.02)
        # It says so just before it waits.
        time.sleep(0.2)

    def finish(self):
        _, text = self._job.wait()
        answers = [dict(p.split("=", 1) for p in line.split()[1:]) | {"": line.split()[0]}
                   for line in text.splitlines()]
        moves = [a for a in answers if a[""] in ("lock", "unlock") and a.get("rc") == "OK"]
        if not moves or any(a["rc"] != "OK" for a in answers):
            raise MoveFailed(f"ubtool: {text}")
        worked = [a for a in moves if int(a["done_pages"])]
        # Seen from outside the first MiB is a whole batch, which would be left out.
        return {"moving_ms": sum(int(a["us"]) for a in worked) / 1000}


DRIVERS = (Stock, Uballoon)


class CpuClock:
    """CPU time of all tasks of the guest; the kernel's threads are tasks, too."""

    def __init__(self, guest):
        self._job = guest.spawn("exec cpuclock", 3600)

    def ms(self):
        """Now, in ms: the second line from here on."""
        start, end = self._job.output.count("\n"), time.monotonic() + 60
        while self._job.output.count("\n") < start + 2:
            if not self._job.running() or time.monotonic() > end:
                raise MoveFailed(f"cpuclock: {self._job.output[-200:]!r}")
            time.sleep(0.01)
        return int(self._job.output.splitlines()[start + 1]) / 1e6

    def stop(self):
        self._job.kill()
        self._job.wait()


def move(driver, trace, clock, balloon_mib, only_4k=False):
    """Sends the balloon to @balloon_mib and measures; {metric: value}. @trace: the guest's
    harness.trace.DeviceTrace; @clock: a CpuClock, or None for whom CPU time does not matter."""
    g = driver.g
    start_pages, want_pages = (g.memory - g.balloon_actual()) // PAGE, balloon_mib * MIB // PAGE
    driver.prepare("lock" if want_pages > start_pages else "unlock",
                   abs(want_pages - start_pages) * PAGE // MIB, only_4k)
    before = g.smaps()
    cpu_before_ms = clock.ms() if clock else 0
    trace.events()
    events, pages = [], start_pages
    end = time.monotonic() + MOVE_LIMIT_S
    g.balloon(g.memory - want_pages * PAGE)
    while pages != want_pages:
        if time.monotonic() > end or not g.alive():
            raise MoveFailed(f"{driver.name}: at {pages * PAGE // MIB} MiB of balloon after {MOVE_LIMIT_S} s, "
                             f"want {balloon_mib}; driver: {driver.finish() if g.alive() else 'guest is gone'}")
        time.sleep(LOOK_S)
        events += trace.events()
        pages = next((n for _, event, n in reversed(events) if event == "set_config"), pages)
    asked = next(s for s, event, _ in events if event == "to_target")
    first = next(s for s, event, n in events
                 if event == "set_config" and abs(n - start_pages) * PAGE >= MIB)
    arrived = next(s for s, event, n in events if event == "set_config" and n == want_pages)
    result = {"total_ms": (arrived - asked) * 1000, "first_mib_ms": (first - asked) * 1000,
              "moving_ms": (arrived - first) * 1000, **driver.finish()}
    if clock:
        result["guest_cpu_ms"] = clock.ms() - cpu_before_ms
    after = g.smaps()
    result["host_before_mib"], result["host_after_mib"] = before["ram_rss"] / MIB, after["ram_rss"] / MIB
    return result
