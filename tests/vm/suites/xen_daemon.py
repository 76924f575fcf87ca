# SPDX-License-Identifier: GPL-2.0-or-later
"""balloond in a real Xen guest: what it says, what the guest has, and what dom0 sees.

Each case has a machine of its own with the daemon just started. Sizes: the
guest was built with 384 MiB; whenever nothing moves, `xl list` in dom0, the
guest's own Xen balloon driver and 384 MiB minus the daemon's size agree.

Left out: the daemon as a service of systemd (daemon_service.py), the module by
itself (xen_module.py).
"""
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from xen import lab as xenlab                                         # noqa: E402
from xen.lab import lab                                               # noqa: E402

MIB = 1 << 20
RAM_MIB = xenlab.MEMORY_MIB
GUEST = ("6.1", "pv")
# Patience is for servers; a test may not wait ten minutes after each deflation, nor two after the boot, as where
# there is no systemd.
QUICK = ('interval = "250ms"; idle_interval = "500ms"; '
         'tail: {{ settle = "1s"; start_wait = "0"; hold_off = "1s"; stall_price = "1M"; '
         '{tail} }};\n')


class Daemon:
    """balloond in the guest of @xen, with @config; status() and what to wait for."""

    def __init__(self, t, xen, config="", tail=""):
        self.t, self.xen, self.g = t, xen, xen.domu
        t.on_failure(lambda: self.g.run("tail -25 /run/balloond.log; balloonctl status")[1])
        # Below the daemon's own floor: once the module's has stopped it, it asks again after a minute.
        self.g.sh("insmod /lib/modules-test/uballoon.ko floor_mb=64 && mkdir -p /run/dbus && "
                  "dbus-daemon --config-file=/etc/dbus.conf --fork")
        self.start(config, tail)

    def start(self, config, tail=""):
        # A here-document, because the console carries no files.
        self.g.sh(f"cat >/etc/balloond.conf <<'END'\n{QUICK.format(tail=tail)}{config}\nEND\n"
                  "balloond >/run/balloond.log 2>&1 </dev/null & echo $! >/run/balloond.pid")
        self.until("the daemon answers", lambda s: s["host"] == "xen")

    def status(self):
        status, text = self.g.run("balloonctl status --json")
        return json.loads(text) if status == 0 else {}

    def until(self, what, condition, timeout=30):
        """Waits until condition(status) is true; that status."""
        def look():
            s = self.status()
            return s if s and condition(s) else None
        return self.t.wait(look, timeout, what, 0.3)

    def kill(self, signal):
        self.g.sh(f"kill -{signal} $(cat /run/balloond.pid)")

    def agree(self, what, timeout=20):
        """Daemon, guest and host have come to rest at the same size; the guest's memory in MiB."""
        last = []

        def look():
            kib = self.xen.driver_kib()
            last[:] = [kib, self.xen.driver_kib("target_kb"), RAM_MIB * 1024 - self.status()["size"] // 1024,
                       self.xen.memory_mib()]
            return kib == last[1] == last[2] and kib // 1024 == last[3]
        self.t.wait(look, timeout, f"{what}: driver, its target, daemon (KiB) and xl list (MiB) agree", 0.3)
        return last[3]


@tap.setup
def build():
    xenlab.build(*GUEST)


build.timeout = 600


@tap.case("set-target, up and down, agrees with xl list", timeout=90)
def set_target(t):
    with lab(t, *GUEST) as xen:
        d = Daemon(t, xen, 'mode = "manual";')
        d.g.sh("balloonctl set-target 100M --wait", 40)
        t.equal(d.agree("set-target 100M"), RAM_MIB - 100, "the guest's memory")
        d.g.sh("balloonctl set-target 30M --wait", 40)
        t.equal(d.agree("set-target 30M"), RAM_MIB - 30, "the guest's memory")
        d.g.sh("balloonctl set-target 0 --wait", 40)
        t.equal(d.agree("set-target 0"), RAM_MIB, "the guest's memory")
        d.kill("TERM")


@tap.case("mode host: the balloon is where xl mem-set wants it", timeout=90)
def mode_host(t):
    with lab(t, *GUEST) as xen:
        d = Daemon(t, xen, 'mode = "host";')
        xen.mem_set(300)
        s = d.until("the host's target arrives", lambda s: s["host_target"] == 84 * MIB and s["size"] == 84 * MIB)
        t.equal(d.agree("xl mem-set 300"), 300, "the guest's memory")
        t.check(s["ticks"] > 0, "the daemon is alive")
        # Somebody in the guest moves it elsewhere: the daemon follows the host.
        d.g.sh(f"echo {250 * 1024} >{xenlab.SYSFS}/target_kb")
        t.wait(lambda: xen.driver_kib("target_kb") != 250 * 1024, 20, "the daemon moves the driver's target")
        t.equal(d.agree("after a write to target_kb"), 300, "the guest's memory")
        xen.mem_set(RAM_MIB)
        d.until("the balloon is empty", lambda s: s["size"] == 0 and s["host_target"] == 0)
        t.equal(d.agree("xl mem-set 384"), RAM_MIB, "the guest's memory")
        d.kill("TERM")


@tap.case("mode auto: idle memory goes, and comes back before a program dies", timeout=180)
def auto(t):
    with lab(t, *GUEST) as xen:
        d = Daemon(t, xen)
        s = d.until("the balloon inflates and is at rest", lambda s: s["size"] >= 100 * MIB and
                    s["reason"] in ("steady", "dead-band", "floor"), 60)
        d.agree("at rest")
        t.wait(lambda: xen.memory_mib() == RAM_MIB - -(-d.status()["size"] // MIB), 20,
               "the guest's memory as the host rounds it")
        t.diag(f"idle: balloon {s['size'] // MIB} MiB, available {s['available'] // MIB} MiB")
        before = d.g.meminfo()["MemAvailable"]
        hog = before // MIB + 60
        status, text = d.g.run(f"ubtool hog {hog}M 1000", 100)
        t.contains(text, "hog rc=OK", f"a program that needs {hog} MiB where {before // MIB} are available")
        t.equal(d.g.oom_kills(), 0, "OOM kills")
        s = d.status()
        t.diag(f"after {hog} MiB: balloon {s['size'] // MIB} MiB, relief {s.get('relief_events')}, "
               f"emergencies {s.get('emergencies')}")
        d.until("the balloon inflates again", lambda s: s["size"] >= 100 * MIB, 60)
        d.kill("TERM")
        t.wait(lambda: xen.driver_kib() == RAM_MIB * 1024, 20, "SIGTERM gives everything back")


@tap.case("two parties: xl mem-set while the daemon moves", timeout=150)
def two_parties(t):
    with lab(t, *GUEST) as xen:
        d = Daemon(t, xen, 'mode = "manual";', 'inflate_rate = "3MiB/s";')
        d.g.sh("balloonctl set-target 100M")
        d.until("the balloon begins to inflate", lambda s: s["size"] > 0)
        for mib in (360, 375, 350, 370):
            xen.mem_set(mib)
            t.check(d.status()["size"] < 100 * MIB, "the daemon is still moving")
            time.sleep(0.5)
        # The host's last word bounds the balloon from below, and the daemon goes on from there.
        s = d.until("the operator's target", lambda s: s["size"] == 100 * MIB, 60)
        t.equal(s["host_target"], 14 * MIB, "host target")
        t.equal(d.agree("after four xl mem-set"), RAM_MIB - 100, "the guest's memory")
        d.g.sh("balloonctl set-target 70M --wait", 40)
        t.equal(d.agree("beyond the host's target"), RAM_MIB - 70, "the guest's memory")
        xen.mem_set(280)
        d.until("the host's target arrives", lambda s: s["host_target"] == 104 * MIB)
        t.equal(d.agree("xl mem-set beyond the manual target"), 280, "the guest's memory")
        xen.mem_set(RAM_MIB)
        d.kill("TERM")
        t.wait(lambda: xen.driver_kib() == RAM_MIB * 1024, 20, "everything is back")


@tap.case("the daemon is killed: the lease gives everything back", timeout=120)
def killed(t):
    with lab(t, *GUEST) as xen:
        d = Daemon(t, xen, 'lease = "2s";')
        d.until("the balloon inflates", lambda s: s["size"] >= 80 * MIB, 60)
        d.kill("KILL")
        t.wait(lambda: xen.driver_kib() == RAM_MIB * 1024, 20, "the guest's memory is back")
        t.equal(xen.memory_mib(), RAM_MIB, "xl list")
        with t.subtest("and a stopped one, which goes on afterwards"):
            d.start('lease = "2s";')
            d.until("the balloon inflates", lambda s: s["size"] >= 80 * MIB, 60)
            d.kill("STOP")
            t.wait(lambda: xen.driver_kib() == RAM_MIB * 1024, 20, "the guest's memory is back")
            d.kill("CONT")
            d.until("the balloon inflates", lambda s: s["size"] >= 80 * MIB, 60)
            d.kill("TERM")
            t.wait(lambda: xen.driver_kib() == RAM_MIB * 1024, 20, "SIGTERM gives everything back")


@tap.case("law committed: selfballooning with swap", timeout=180)
def committed(t):
    with lab(t, *GUEST) as xen:
        d = Daemon(t, xen, 'law = "committed"; committed: { interval = "1s"; down = 2; };')
        with t.subtest("without swap it does nothing and says why"):
            s = d.until("a decision", lambda s: s["ticks"] > 3)
            t.equal((s["size"], s["reason"]), (0, "no-swap"), "size and reason")
        d.g.sh("echo 128M >/sys/block/zram0/disksize && mkswap /dev/zram0 && swapon /dev/zram0")
        d.until("with swap it inflates", lambda s: s["size"] >= 100 * MIB, 60)
        s = d.until("rest", lambda s: s["size"] == s["target"], 60)
        d.agree("at rest")
        job = d.g.spawn("ubtool hog 220M 3600000", 100)
        d.until("memory comes back for what is committed", lambda s: s["size"] <= 100 * MIB)
        t.wait(lambda: "hog rc=OK" in job.output, 30, "a program that commits to 220 MiB")
        job.kill()
        job.wait()
        t.equal(d.g.oom_kills(), 0, "OOM kills")
        d.kill("TERM")
        t.wait(lambda: xen.driver_kib() == RAM_MIB * 1024, 20, "SIGTERM gives everything back")
        d.g.sh("swapoff /dev/zram0; echo 1 >/sys/block/zram0/reset")


if __name__ == "__main__":
    tap.main()
