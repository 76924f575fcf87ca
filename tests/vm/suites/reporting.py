# SPDX-License-Identifier: GPL-2.0-or-later
"""balloond without its module, on the kernel's own virtio_balloon that reports free pages.

The host's view counts: what QEMU holds of the guest's RAM. One boot a kernel; the cases build on each other.
Cold cache goes to the host, what memory.low protects stays, a program has memory at once, and when our module
comes the daemon goes on with it.

Left out: what the law makes of real programs (bench workloads), and a host that takes no reports (absent.py).
"""
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                    # noqa: E402
from harness import debian, kernels, micro    # noqa: E402

MIB = 1 << 20
RAM = 1024 * MIB
QUICK = 'interval = "500ms"; idle_interval = "1s";\n' \
        'tail: { start_wait = "0s"; settle = "2s"; hold_off = "1s"; stall_price = "1M"; };\n' \
        'adaptive: { probe_interval = "1s"; };\n'
CONFIG = "/etc/balloond.conf"
KEPT = "/sys/fs/cgroup/kept"
COLD_MIB, KEPT_MIB = 400, 100
GROUPS = "/sys/fs/cgroup/memory.reclaim /sys/fs/cgroup/*/memory.reclaim"
STATS = "/sys/fs/cgroup/memory.stat /sys/fs/cgroup/*/memory.stat"


class Boot:
    def __init__(self, series):
        self.series, self.g = series, None

    def guest(self, t):
        if not self.g:
            kernel = kernels.Kernel(self.series)
            self.g = debian.guest(self.series, "reporting", memory=RAM, lifetime=1500, report=t.diag, module=False,
                                  files=[("root/uballoon.ko", micro.uballoon(kernel), 0o644)])
            self.g.start()
        t.on_failure(lambda: self.g.run("balloonctl status; free -m; cat /proc/pressure/memory; ls -l " + GROUPS +
                                        "; grep -E '^(in|)active_file|^file_(dirty|writeback)' " + STATS)[1] +
                     self.g.journal("balloond", 30))
        return self.g

    def status(self):
        status, text = self.g.run("balloonctl status --json")
        return json.loads(text) if status == 0 else {}

    def until(self, t, what, condition, limit=120):
        return t.wait(lambda: (s := self.status()) and condition(s) and s, limit, what, 0.5)

    def configure(self, text):
        self.g.put(text.encode(), CONFIG, 0o644)


def cached(g, group):
    return int(g.sh(f"sed -n 's/^file //p' {group}/memory.stat"))


def unused_mib(g):
    """MemFree, the most of a second: while free pages are being reported, some of them are not in it."""
    seen = []
    for _ in range(5):
        seen.append(int(g.sh("sed -n 's/^MemFree: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) >> 10)
        time.sleep(0.2)
    return max(seen)


def cold(t, b):
    g = b.guest(t)
    t.wait(lambda: g.run("test -e /sys/bus/virtio/drivers/virtio_balloon/virtio*")[0] == 0, 60, "the kernel's driver")
    g.sh(f"mkdir {KEPT} && echo max > {KEPT}/memory.low && echo 0 > {KEPT}/memory.swap.max || true")
    g.sh(f"sh -c 'echo $$ > {KEPT}/cgroup.procs && dd if=/dev/vda of=/dev/null bs=1M count={KEPT_MIB} 2>&1'", 120)
    g.sh(f"dd if=/dev/vda of=/dev/null bs=1M skip=200 count={COLD_MIB} 2>&1", 120)
    kept, before = cached(g, KEPT), g.smaps()["ram_rss"]
    t.check(kept >= 0.9 * KEPT_MIB * MIB, f"protected cache: {kept >> 20} MiB")
    b.configure(QUICK)
    g.sh("systemctl start balloond", 60)
    with t.subtest("it is said, in status and journal"):
        s = b.until(t, "the host", lambda s: s["host"] == "reporting")
        t.contains(s["problem"], "pushing out cold cache", "problem")
        t.contains(s["problem"], "uballoon is not built", "problem")
        t.contains(g.sh("setpriv --reuid=65534 --regid=65534 --clear-groups balloonctl status"),
                   "Nothing is held", "balloonctl status")
        t.contains(g.journal("balloond"), "pushing out cold cache", "journal")
        t.equal(s["lease_left"], 0, "lease")
    with t.subtest("cold cache goes to the host"):
        # The law would take it in small probes; an order in steps that double.
        goal = unused_mib(g) + COLD_MIB - 100
        g.sh(f"balloonctl set-target {goal}M")
        s = b.until(t, "the balloon", lambda s: s["size"] >= (goal - 40) * MIB)
        t.wait(lambda: before - g.smaps()["ram_rss"] >= (COLD_MIB - 200) * MIB, 120, "memory of QEMU has gone")
        t.diag(f"QEMU held {before >> 20} MiB, and holds {g.smaps()['ram_rss'] >> 20}; balloon {s['size'] >> 20} MiB")
    with t.subtest("what is protected stays"):
        t.check(cached(g, KEPT) >= 0.98 * kept, f"protected cache: {kept >> 20} -> {cached(g, KEPT) >> 20} MiB")
        g.sh("balloonctl mode auto")
    with t.subtest("it is part of nobody's books"):
        s = b.status()
        t.between(s["size"] >> 20, 0, unused_mib(g), "the balloon, of what is free, MiB")


def needed(t, b):
    g = b.guest(t)
    killed = g.sh("sed -n 's/^oom_kill //p' /proc/vmstat")
    g.sh("mount -t tmpfs -o size=80% none /mnt && dd if=/dev/zero of=/mnt/x bs=1M count=550 2>&1", 240)
    s = b.until(t, "it makes room by itself", lambda s: s["size"] <= 300 * MIB)
    t.equal(g.sh("sed -n 's/^oom_kill //p' /proc/vmstat"), killed, "OOM kills")
    t.equal(s["emergencies"], 0, "emergencies")
    t.diag(g.sh("cat /proc/pressure/memory"))
    g.sh("umount /mnt")
    b.until(t, "and goes on when it is over", lambda s: s["size"] >= 400 * MIB, 240)


def ordered(t, b):
    g = b.guest(t)
    with t.subtest("where nothing is protected all groups are asked at once, by the root's file"):
        g.sh(f"echo 0 > {KEPT}/memory.low && cat /sys/fs/cgroup/*/memory.low | grep -v '^0$' && exit 1; exit 0")
        g.sh("balloonctl set-target 0 && sysctl -q vm.drop_caches=1")
        g.sh(f"dd if=/dev/vda of=/dev/null bs=1M skip=200 count={COLD_MIB} 2>&1", 120)
        free, before = unused_mib(g), g.smaps()["ram_rss"]
        g.sh(f"balloonctl set-target {free + COLD_MIB - 200}M")
        b.until(t, "the balloon", lambda s: s["size"] >= (free + COLD_MIB - 240) * MIB)
        t.wait(lambda: before - g.smaps()["ram_rss"] >= (COLD_MIB - 300) * MIB, 120, "memory of QEMU has gone")
    g.sh("balloonctl set-target 200M")
    b.until(t, "the target", lambda s: abs(s["size"] - 200 * MIB) <= 8 * MIB)
    g.sh("balloonctl mode auto")
    with t.subtest("without_module = \"wait\" ends it, \"reclaim\" begins it again"):
        b.configure(QUICK + 'without_module = "wait";\n')
        g.sh("systemctl reload balloond", 60)
        s = b.until(t, "no device", lambda s: s["host"] == "")
        t.contains(s["problem"], "only watching", "problem")
        b.configure(QUICK)
        g.sh("systemctl reload balloond", 60)
        b.until(t, "the balloon", lambda s: s["host"] == "reporting" and s["size"] >= 100 * MIB, 240)
    with t.subtest("a restart goes on, a stop ends at once"):
        g.sh("systemctl restart balloond", 60)
        b.until(t, "the balloon", lambda s: s["host"] == "reporting" and s["size"] >= 100 * MIB, 240)
    with t.subtest("not as root"):
        t.equal(g.sh("ps -o user= -C balloond").strip(), "balloond", "user")
        t.equal(g.sh("stat -c '%a %U %G' /sys/fs/cgroup/memory.reclaim").strip(), "220 root balloond", "memory.reclaim")


def ours_comes(t, b):
    g = b.guest(t)
    g.sh("modprobe -r virtio_balloon; insmod /root/uballoon.ko && udevadm settle", 60)
    s = b.until(t, "the module's device", lambda s: s["host"] == "virtio", 200)
    t.equal(s["problem"], "", "problem")
    b.until(t, "the balloon", lambda s: s["size"] >= 100 * MIB, 240)
    t.wait(lambda: g.memory - g.balloon_actual() >= 100 * MIB, 60, "the host's view")
    with t.subtest("and goes"):
        g.sh("systemctl stop balloond && rmmod uballoon && modprobe -i virtio_balloon && systemctl start balloond", 90)
        b.until(t, "the kernel's driver serves", lambda s: s["host"] == "reporting")
        g.sh("systemctl stop balloond", 60)
        g.sh(f"rmdir {KEPT}")
    with t.subtest("verdict of the guest"):
        b.g.finish(("virtio_balloon",))


for series in kernels.SERIES:
    boot = Boot(series)
    for name, fn in (("cold cache is pushed out, and told", cold), ("a program needs memory", needed),
                     ("orders, reload, restart", ordered), ("our module comes", ours_comes)):
        tap.add(f"{series}: {name}", fn, boot, timeout=600)
    tap.teardown(lambda boot=boot: boot.g and boot.g.kill())

if __name__ == "__main__":
    tap.main()
