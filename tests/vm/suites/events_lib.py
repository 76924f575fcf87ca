# SPDX-License-Identifier: GPL-2.0-or-later
"""What the suites of events have in common: a guest in which balloond runs, and what both say of it.

    with serving(t, "7.3") as s:                  # a Service: Debian, systemd, D-Bus
        s.until("the balloon inflates", lambda x: x["size"] > 200 * MIB)
    with alone(t, "7.3") as d:                    # an Alone: balloond in the micro guest
        d.until("the balloon inflates", lambda x: x["balloon_bytes"] > 200 * MIB)

Both have the guest itself as .g. Leaving the block stops the daemon and demands the guest's verdict: all memory
back, the module unloaded, the kernel log clean.
"""
import contextlib
import json

import tap
from harness import debian, kernels, micro
from kmod_lib import Balloon, daemon

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

    def says(self, what, timeout=60):
        self.t.wait(lambda: what in self.said(), timeout, f"the journal says: {what}", 0.5)

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


class Alone:
    """balloond in the foreground of the micro guest @g, without a bus; .b is the module."""

    CONFIG = QUICK + 'interval = "500ms"; idle_interval = "1s"; metrics_file = "/run/balloond.prom";\n'

    def __init__(self, t, g):
        self.t, self.g, self.b, self.job = t, g, Balloon(t, g), None

    def start(self, config=""):
        self.g.put((self.CONFIG + config).encode(), CONFIG, 0o644)
        self.job = self.g.spawn("exec balloond --no-bus --foreground >> /run/balloond.log 2>&1", 6000)

    def stop(self):
        self.g.sh("kill -CONT $(pidof balloond); kill -TERM $(pidof balloond)")
        self.t.equal(self.job.wait(150)[0], 0, "balloond's exit status")

    def metrics(self):
        """{name without balloond_: value}, at most ten seconds old."""
        status, text = self.g.run("cat /run/balloond.prom")
        lines = [line.split() for line in text.splitlines() if line.startswith("balloond_") and "{" not in line]
        return {name[len("balloond_"):]: float(value) for name, value in lines} if status == 0 else {}

    def until(self, what, condition, timeout=200):
        """Waits until condition(metrics) is true; these."""
        return self.t.wait(lambda: (m := self.metrics()) and condition(m) and m, timeout, what, 0.5)

    def lines(self):
        """What it has said, without its line a tick."""
        return "\n".join(x for x in self.g.read("/run/balloond.log").splitlines() if x.startswith("balloond: "))

    def says(self, what, timeout=60):
        self.t.wait(lambda: what in self.lines(), timeout, f"it says: {what}", 0.5)

    def held(self):
        """The balloon as the host sees it."""
        return self.g.memory - self.g.balloon_actual()

    def report(self):
        return self.g.run("tail -n 12 /run/balloond.log; cat /run/balloond.prom | grep -v '^#' | head -40")[1]


def alone_in(t, series, **options):
    """An Alone in a guest that has been started, without verdict; the module is loaded."""
    g = micro.guest(series, files=daemon(series), **{**PATIENT, **options})
    t.defer(g.kill)
    g.start()
    d = Alone(t, g)
    t.on_failure(d.report)
    d.b.load()
    return d


@contextlib.contextmanager
def alone(t, series, config="", **options):
    d = alone_in(t, series, end_tolerance=12 * MIB, **options)
    d.start(config)
    yield d
    if d.job.running():
        d.stop()
    with t.subtest("verdict of the guest"):
        d.g.finish()


def each(name, fn, timeout=1800):
    """The case @fn(t, series) on the oldest and the newest kernel."""
    for series in SERIES:
        tap.add(f"{name} ({series})", fn, series, timeout=timeout)
