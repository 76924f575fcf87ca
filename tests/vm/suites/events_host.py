# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts that ask for too much, that do not let go, and devices that no driver can have; memory that is plugged.

Whoever looks at status, at the metrics or into the journal finds out: a host without deflate-on-oom that asks
for more than the guest can spare; what the module's last resort gave, which may be nothing; iommu_platform=on.
While the daemon is stopped, what such a host lets go of comes back by itself. DIMMs and virtio-mem change the
guest's size under the running daemon, and a device whose group is set late is waited for without wrong advice.

Left out: what the module does by itself when it runs short (kmod suites).
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from events_lib import MIB, PATIENT, SERIES, Service, both, serving      # noqa: E402
from harness import debian                                            # noqa: E402

RAM = 1024 * MIB
INSISTS = "virtio-balloon-pci,id=b0,deflate-on-oom=off,free-page-reporting=on"
TOO_MUCH = 900 * MIB
# Holds on to it until it is killed.
GREEDY = "stress-ng --vm 1 --vm-bytes {mib}M --vm-keep --vm-populate --vm-method zero-one --oomable --timeout 60"


def asks_too_much(t, series):
    with serving(t, series, memory=RAM, balloon=INSISTS) as s:
        g = s.g
        t.equal((s.status()["problem"], s.metric("host_excess_bytes")), ("", 0), "at first")
        g.balloon(g.memory - TOO_MUCH)
        x = s.until("the problem", lambda x: "does not let go" in x["problem"])
        with t.subtest("status, metrics and journal say so, and the floor is kept"):
            t.check(x["size"] < TOO_MUCH, f"the balloon is {x['size'] // MIB} MiB")
            t.contains(g.sh("balloonctl status"), "asks for more memory than the guest can spare", "balloonctl status")
            excess = s.metric("host_excess_bytes")
            t.between(excess, 8 * MIB, TOO_MUCH, "balloond_host_excess_bytes")
            t.contains(s.said(), "the host asks for more memory than the guest can spare", "journal")
        with t.subtest("a program wants more: what the last resort gave is told, if it is nothing"):
            kills = g.oom_kills()
            g.run(GREEDY.format(mib=600), 150)
            t.check(g.oom_kills() > kills, "the kernel has killed")
            x = s.until("the events", lambda x: x["rescue_events"] > 0, 30)
            t.equal(x["rescued"], s.counter("oom_pages") * 4096, "bytes that they gave")
            t.contains(g.sh("balloonctl status"), "given", "balloonctl status")
            t.contains(s.said(), "out of memory", "journal")
        with t.subtest("it is over when the host asks for less"):
            g.balloon(g.memory - 64 * MIB)
            s.until("no problem", lambda x: x["problem"] == "", 180)
            t.contains(s.said(), "can be spared again", "journal")
        g.balloon(g.memory)


def stopped(t, series):
    """What the host insists on stays when the daemon stops; what it lets go of later comes back."""
    with serving(t, series, memory=RAM, balloon=INSISTS) as s:
        g = s.g
        g.balloon(g.memory - 300 * MIB)
        s.until("the host's target", lambda x: x["size"] >= 300 * MIB)
        g.sh("systemctl stop balloond", 90)
        t.equal(s.held() // MIB, 300, "MiB that the host has still")
        t.contains(s.said(), "stay with the host", "journal")
        free = g.meminfo()["MemAvailable"]
        for mib in (200, 64, 0):
            g.balloon(g.memory - mib * MIB)
            t.wait(lambda: s.held() <= (mib + 2) * MIB, 30, f"{mib} MiB")
        t.check(g.meminfo()["MemAvailable"] > free + 250 * MIB, "the guest has it back")
        with t.subtest("and nothing is left over for the next daemon"):
            g.balloon(g.memory - 200 * MIB)
            g.sh("systemctl start balloond", 90)
            s.until("the host's target", lambda x: x["size"] >= 200 * MIB)
            t.check("no daemon came within the lease" not in s.said(), "the lease was not lost")
        g.balloon(g.memory)


def protected(t, series):
    """iommu_platform=on: the device is refused, and that is said instead of advice that fails."""
    device = "virtio-balloon-pci,id=b0,deflate-on-oom=on,iommu_platform=on,disable-legacy=on,disable-modern=off"
    with debian.debian(t, series, name="protected", memory=RAM, balloon=device, **PATIENT) as g:
        s = Service(t, g)
        t.on_failure(s.report)
        s.start()
        t.equal(g.run("test -e /dev/uballoon")[0], 1, "there is no balloon")
        for said in (s.until("the problem", lambda x: x["problem"] != "")["problem"], g.sh("balloonctl status")):
            t.contains(said, "iommu_platform=on", "the reason")
            t.check("balloonctl adopt" not in said, f"no advice that fails: {said}")
        t.contains(g.dmesg(), "iommu_platform=on", "kernel log")
        status, said = g.run("balloonctl adopt", 60)
        t.check(status != 0, f"adopt fails: {said}")
        t.contains(said, "iommu_platform=on", "and says why")
        g.sh("systemctl stop balloond", 60)


def late_group(t, series):
    """The device is there before udev has set its group: it is waited for, and nobody is sent anywhere."""
    with serving(t, series, memory=RAM) as s:
        g = s.g
        g.sh("systemctl stop balloond && chgrp root /dev/uballoon && chmod 600 /dev/uballoon")
        cursor = g.sh("journalctl -n 1 --show-cursor | sed -n 's/^-- cursor: //p'").strip()
        g.sh("systemctl start balloond", 60)
        time.sleep(4)
        # As udev does it, a while later.
        g.sh("chgrp balloond /dev/uballoon && chmod 660 /dev/uballoon && udevadm trigger /dev/uballoon")
        s.until("it has the device", lambda x: x["host"] == "virtio", 60)
        said = g.sh(f"journalctl --no-pager -o cat -u balloond --after-cursor '{cursor}'")
        t.check("run as root" not in said and "no permission" not in said, f"journal: {said}")


def hotplug(t, series):
    """A DIMM comes and goes; virtio-mem grows and shrinks."""
    more = [["-m", "slots=4,maxmem=4G"], ["-object", "memory-backend-ram,id=vm0,size=512M"],
            "virtio-mem-pci,memdev=vm0,id=vmem,requested-size=0"]
    with serving(t, series, memory=RAM, devices=more, append="memhp_default_state=online_movable",
                 end_tolerance=64 * MIB) as s:
        g = s.g
        x = s.until("the balloon inflates", lambda x: x["size"] > 200 * MIB)
        ram, floor, pid = x["ram"], x["floor"], s.pid()
        with t.subtest("a DIMM comes"):
            g.qmp("object-add", **{"qom-type": "memory-backend-ram", "id": "d0", "size": 512 * MIB})
            g.device_add("pc-dimm,id=dimm0,memdev=d0")
            x = s.until("the daemon sees it", lambda x: x["ram"] >= ram + 500 * MIB, 60)
            t.check(x["floor"] > floor, "the floor is that of the larger guest")
            g.sh("balloonctl set-target --memory 512MiB", 60)
            s.until("the guest is led to 512 MiB", lambda x: abs(x["ram"] - x["size"] - 512 * MIB) < 8 * MIB, 60)
        with t.subtest("and goes"):
            g.sh("balloonctl set-mode auto", 60)
            g.device_del("dimm0", 120)
            x = s.until("the daemon sees it", lambda x: x["ram"] <= ram + 8 * MIB, 60)
            t.equal(x["floor"], floor, "the floor is that of the smaller one")
        with t.subtest("virtio-mem grows, and shrinks"):
            g.sh("modprobe virtio_mem", 60)
            g.qmp("qom-set", path="/machine/peripheral/vmem", property="requested-size", value=256 * MIB)
            s.until("it has grown", lambda x: x["ram"] >= ram + 250 * MIB, 90)
            g.qmp("qom-set", path="/machine/peripheral/vmem", property="requested-size", value=0)
            s.until("it has shrunk", lambda x: x["ram"] <= ram + 8 * MIB, 120)
        t.equal((s.pid(), s.status()["problem"]), (pid, ""), "the same daemon, and no problem")


both("a host asks for more than there is", asks_too_much, 1800)
both("a daemon stops, and the host lets go later", stopped, 1800)
both("iommu_platform=on", protected, 1800)
both("memory is plugged and unplugged", hotplug, 1800)
tap.add(f"{SERIES[0]}: the device's group comes late", late_group, SERIES[0], timeout=1800)

if __name__ == "__main__":
    tap.main()
