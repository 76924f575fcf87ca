# SPDX-License-Identifier: GPL-2.0-or-later
"""The host lets its guests stand still while their clocks run on, for 40 s and for 120 s.

QEMU is stopped by SIGSTOP, as an overloaded host or one that takes a snapshot does it. Then nothing was lost: not
the daemon to systemd's watchdog, not the balloon to its lease or to a shortage that there was not, in none of three
busy guests of one host, which all wake in the same second. A daemon that stands still alone still loses its lease.

Left out: the module's lease by itself (kmod suites), sleep (sleep is announced).
"""
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from events_lib import MIB, QUICK, alone_in, each, runs_on, serving   # noqa: E402

RAM = 768 * MIB
LEASE_S = 30
BUSY_MIB = 120
# Busy, and with memory in use that it touches all the time.
BUSY = "stress-ng --cpu 1 --vm 1 --vm-bytes 160M --vm-keep --vm-method zero-one --timeout 0"


def uptime(g):
    return float(g.read("/proc/uptime").split()[0])


def stand_still(guests, seconds):
    """Stops the QEMUs of @guests, all at once."""
    for g in guests:
        os.kill(g.process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    for g in guests:
        os.kill(g.process.pid, signal.SIGCONT)


def has_noticed(t, s, before, seconds):
    """The guest's own clock has run on: else nothing was tested."""
    t.check(uptime(s.g) - before >= seconds, f"the guest's clock ran on: {uptime(s.g) - before:.0f} of {seconds} s")
    s.says("nothing ran here for")


def is_unharmed(t, s, before, pid):
    """The daemon is the same, the balloon too, and nothing was taken for a shortage."""
    x = s.status()
    t.equal((s.pid(), s.g.property("balloond", "NRestarts")), (pid, "0"), "pid, restarts")
    t.equal((x["emergencies"], x["rescue_events"], x["problem"]), (0, 0, ""), "emergencies, rescues, problem")
    t.check(x["size"] >= before * 9 // 10, f"the balloon: {before // MIB} MiB, {x['size'] // MIB} MiB after")


def lone(t, series):
    """Busy, for 40 s and 120 s."""
    with serving(t, series, memory=RAM, append=runs_on()) as s:
        t.equal(s.g.read("/sys/devices/system/clocksource/clocksource0/current_clocksource").strip(), "tsc", "clock")
        job = s.g.spawn(BUSY)
        before = s.until("the balloon inflates", lambda x: x["size"] >= 160 * MIB)["size"]
        pid = s.pid()
        for seconds in (40, 120):
            with t.subtest(f"{seconds} s"):
                s.g.sh("journalctl --rotate && journalctl --vacuum-time=1s", 60)
                before = s.status()["size"]
                started = uptime(s.g)
                stand_still([s.g], seconds)
                has_noticed(t, s, started, seconds)
                time.sleep(5)
                is_unharmed(t, s, before, pid)
                lines = s.said()
                t.check("the lease ran out" not in lines and "watchdog" not in lines.lower(), f"journal: {lines}")
        job.kill()
        job.wait()
        with t.subtest("a daemon that stands still alone loses its lease, and the journal says so"):
            s.start(QUICK + 'lease = "4s";\n')
            s.until("the balloon inflates", lambda x: x["size"] >= 160 * MIB)
            pid = s.pid()
            s.g.sh(f"kill -STOP {pid}")
            t.wait(lambda: s.held() <= 2 * MIB, 60, "the module has given it back")
            s.g.sh(f"kill -CONT {pid}")
            said = t.wait(lambda: (j := s.said()) and "the lease ran out" in j and j, 30, "a line in the journal")
            t.contains(said, "It grows again when", "what follows")


def three(t, series):
    """Three guests of one host: what each of them holds before and after, together."""
    alone = []
    for _ in range(3):
        alone.append(alone_in(t, series, memory=RAM, append=runs_on(), cpus=1, end_tolerance=12 * MIB))
        alone[-1].start()
        alone[-1].g.spawn(f"(until [ -e /stop ]; do ubtool hog {BUSY_MIB}M; done) & until [ -e /stop ]; do :; done")
    before, started = [], []
    for d in alone:
        d.until("the balloon inflates", lambda m: m["balloon_bytes"] >= 128 * MIB)
    for d in alone:
        before.append(d.b.state())
        started.append(uptime(d.g))
    stand_still([d.g for d in alone], 40)
    for i, (d, was, when) in enumerate(zip(alone, before, started)):
        with t.subtest(f"guest {i}"):
            has_noticed(t, d, when, 40)
            time.sleep(5)
            now = d.b.state()
            gave = sum(now[k] - was[k] for k in ("unlocked_4k_pages", "unlocked_2m_pages")) // 256
            t.check(gave <= 32, f"MiB that it took back after it: {gave}")
            t.equal([now[k] - was[k] for k in ("lease_events", "oom_events")], [0, 0], "leases, last resorts")
            t.equal(d.metrics()["emergencies_total"], 0, "emergencies")
            t.check(d.job.running(), "the daemon runs")
    for i, d in enumerate(alone):
        with t.subtest(f"verdict of guest {i}"):
            d.g.sh("touch /stop; while pidof ubtool; do sleep 1; done", 100)
            d.stop()
            d.g.finish()


each("stands still with busy vCPUs", lone, 2400)
each("three guests at once", three, 2400)

if __name__ == "__main__":
    tap.main()
