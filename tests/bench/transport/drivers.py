# SPDX-License-Identifier: GPL-2.0-or-later
"""The two drivers, moved by the same hand and seen by the same eye.

Both follow the host's target. The stock driver does so by itself; for uballoon
a small program in the guest (ubtool) waits in poll() and answers with LOCK or UNLOCK,
as the daemon would without its rate limit. What counts is what the host sees: the
clock starts before the QMP command and ends when the device's "actual" has arrived.

"actual" is honest for both: each writes it after the pages are with the host, or
are free again.
"""
import time

MIB = 1 << 20
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
        # The stock driver has no floor; give 3 of 4 GiB room.
        guest.sh("insmod /lib/modules-test/uballoon.ko floor_mb=64")

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
        # Seen from outside it may be over between two looks.
        return {"moving_ms": sum(int(a["us"]) for a in worked) / 1000}


DRIVERS = (Stock, Uballoon)


def cpu_s(guest):
    """CPU time of all tasks of the guest so far; the kernel's threads are tasks, too."""
    return sum(int(line.split()[7]) for line in guest.read("/proc/schedstat").splitlines()
               if line.startswith("cpu")) / 1e9


def move(driver, balloon_mib, only_4k=False):
    """Sends the balloon to @balloon_mib and measures; {metric: value}."""
    g = driver.g
    start_actual, want = g.balloon_actual(), g.memory - balloon_mib * MIB
    driver.prepare("lock" if want < start_actual else "unlock", abs(want - start_actual) // MIB, only_4k)
    before = g.smaps()
    cpu_start = cpu_s(g)
    cpu_before = cpu_s(g)
    start = time.monotonic()
    g.balloon(want)
    first = None
    while True:
        actual = g.balloon_actual()
        passed = time.monotonic() - start
        if first is None and abs(actual - start_actual) >= MIB:
            first = passed
        if actual == want:
            break
        if passed > MOVE_LIMIT_S or not g.alive():
            raise MoveFailed(f"{driver.name}: at {actual >> 20} MiB of guest memory after {passed:.0f} s, "
                             f"want {want >> 20}; driver: {driver.finish() if g.alive() else 'guest is gone'}")
        # Asking costs the machine that is measured: every ms at first, later to 2 %.
        time.sleep(max(0.001, passed / 50))
    result = {"total_ms": passed * 1000, "first_mib_ms": first * 1000, "moving_ms": (passed - first) * 1000,
              **driver.finish()}
    # Without what the look itself costs, a program's start.
    result["guest_cpu_ms"] = (cpu_s(g) - cpu_before - (cpu_before - cpu_start)) * 1000
    after = g.smaps()
    result["host_before_mib"], result["host_after_mib"] = before["ram_rss"] / MIB, after["ram_rss"] / MIB
    return result
