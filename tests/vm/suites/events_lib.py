# SPDX-License-Identifier: GPL-2.0-or-later
"""What the suites of events have in common: a Debian guest with balloond as a service, and what both say of it.

    with serving(t, "7.3") as s:                  # a Service, balloond runs
        s.until("the balloon inflates", lambda x: x["size"] > 200 * MIB)
        s.g                                        # the guest itself

Leaving the block stops the service and demands the guest's verdict: all memory back, the module unloaded,
the kernel log clean.
"""
import contextlib
import json

import tap
from harness import debian, kernels

MIB = 1 << 20
SERIES = (kernels.SERIES[0], kernels.NEWEST)
CONFIG = "/etc/balloond.conf"
# Patience is for servers; a test may not wait ten minutes after each deflation.
QUICK = 'tail: { hold_off = "1s"; stall_price = "1M"; };\n'
# A limit for hangs only: other guests may boot beside it.
PATIENT = {"boot_timeout": 500, "lifetime": 2400}


def runs_on():
    """Kernel parameters of a guest whose clock runs on while its host lets it stand still: by the emulator's
    other clocks it would not notice. How fast it runs is told, since measuring fails on a machine that is busy."""
    with open("/proc/cpuinfo") as f:
        khz = next(int(float(line.split(":")[1]) * 1000) for line in f if line.startswith("cpu MHz"))
    return f"clocksource=tsc tsc=reliable tsc_early_khz={khz}"


class Service:
    """balloond in the Debian guest @g, which runs."""

    def __init__(self, t, g):
        self.t, self.g = t, g

    def status(self):
        status, text = self.g.run("balloonctl status --json")
        return json.loads(text) if status == 0 else {}

    def until(self, what, condition, timeout=120):
        """Waits until condition(status of the daemon) is true; that status."""
        def look():
            s = self.status()
            return s if s and condition(s) else None
        return self.t.wait(look, timeout, what, 0.3)

    def start(self, config=QUICK):
        self.g.put(config.encode(), CONFIG, 0o644)
        self.g.sh("modprobe uballoon && systemctl restart balloond", 90)

    def held(self):
        """The balloon as the host sees it."""
        return self.g.memory - self.g.balloon_actual()

    def counter(self, name):
        return int(self.g.sh(f"awk '$1 ~ /^{name}:?$/ {{ print $2 }}' /sys/kernel/debug/uballoon/state"))

    def pid(self):
        return int(self.g.property("balloond", "MainPID"))

    def said(self):
        return self.g.sh("journalctl --no-pager -o cat -u balloond", 60)

    def metric(self, name):
        """The value of a metric, which the daemon gives by itself."""
        for line in self.g.sh("balloonctl metrics").splitlines():
            if line.split()[0] == "balloond_" + name:
                return float(line.split()[1])
        return None

    def report(self):
        return "\n".join([self.g.run("balloonctl status")[1], self.g.journal("balloond", 15), self.g.console_tail(5)])


@contextlib.contextmanager
def serving(t, series, config=QUICK, **options):
    with debian.debian(t, series, name="events", **{**PATIENT, **options}) as g:
        s = Service(t, g)
        t.on_failure(s.report)
        s.start(config)
        yield s
        g.sh("systemctl stop balloond", 90)


def both(name, fn, timeout=600):
    """The case @fn(t, series) on the oldest and the newest kernel."""
    for series in SERIES:
        tap.add(f"{series}: {name}", fn, series, timeout=timeout)
