# SPDX-License-Identifier: GPL-2.0-or-later
"""balloond does not grow: 10,000 ticks and more than 1,000 reloads of the real daemon, with all that it
can have to keep (bus, history, metrics file), leave its memory and its open files as they were.

A reload is followed by a tick, so that a few hundred a second stand for
hours. A sanitizer build has other memory and less time: fewer rounds, and LeakSanitizer judges.
"""
import shutil
import signal
import tempfile
import time

import tap
from lab import GROWTH_MAX_KIB, Bus, Daemon, sanitized

WARM_UP = 300
RELOADS = 500 if sanitized() else 1000
TICKS = 1500 if sanitized() else 10000


def reload(t, daemon):
    """A reload from SIGHUP to READY=1."""
    before = len(daemon.notified)
    daemon.signal(signal.SIGHUP)
    while "READY=1" not in daemon.notified[before:]:
        if t.left() < 5 or daemon.process.poll() is not None:
            t.fail("balloond does not answer a reload")
        time.sleep(0.0005)
    # Its tick is due now, and may be late by 1 ms; another reload would put it off.
    time.sleep(0.0015)


@tap.case("10,000 ticks and 1,000 reloads", timeout=240)
def growth(t):
    folder = tempfile.mkdtemp(prefix="balloond-growth-")
    t.defer(shutil.rmtree, folder, ignore_errors=True)
    bus = Bus(t)
    daemon = Daemon(t, bus, f'interval = "100ms";\nidle_interval = "100ms";\nlog_level = "err";\n'
                            f'metrics_file = "{folder}/balloond.prom";\n', env={"STATE_DIRECTORY": folder})
    began = time.monotonic()
    for _ in range(WARM_UP):
        reload(t, daemon)
    ticks, used, files = bus.get("Ticks"), daemon.private_kib(), daemon.kept()
    for _ in range(RELOADS):
        reload(t, daemon)
    while (made := bus.get("Ticks") - ticks) < TICKS:
        for _ in range(500):
            reload(t, daemon)
    t.diag(f"{made} ticks in {time.monotonic() - began:.1f} s; private dirty memory {used} -> {daemon.private_kib()} KiB")
    with t.subtest("open files"):
        t.equal(daemon.kept(), files, "open files")
    with t.subtest("memory"):
        if not sanitized():
            t.check(daemon.private_kib() <= used + GROWTH_MAX_KIB, f"{used} -> {daemon.private_kib()} KiB")
    with t.subtest("it ends well"):
        t.equal(daemon.stop(), 0, f"exit status ({daemon.log()[-2000:]})")


if __name__ == "__main__":
    tap.main()
