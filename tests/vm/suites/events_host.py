# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts that ask for too much, that do not let go, and devices that no driver can have; memory that is plugged.

Whoever looks at the metrics or into the journal finds out: a host without deflate-on-oom that asks
for more than the guest can spare; what the module's last resort gave, which may be nothing; iommu_platform=on.
While the daemon is stopped, what such a host lets go of comes back by itself. DIMMs and virtio-mem change the
guest's size under the running daemon; the balloon is spread over NUMA nodes; a device whose group is set late is
waited for without wrong advice.

Left out: what the module does by itself when it runs short (kmod suites).
"""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from events_lib import MIB, SERIES, alone, each, serving              # noqa: E402

RAM = 768 * MIB
INSISTS = "virtio-balloon-pci,id=b0,deflate-on-oom=off,free-page-reporting=on"
TOO_MUCH = 680 * MIB
NO_LETTING_GO = "the host asks for more memory than the guest can spare"


def asks_too_much(t, series):
    with alone(t, series, memory=RAM, balloon=INSISTS) as d:
        g = d.g
        d.until("metrics", lambda m: m["host_excess_bytes"] == 0 and m["problem"] == 0)
        g.balloon(g.memory - TOO_MUCH)
        with t.subtest("journal and metrics say so, and the floor is kept"):
            d.says(NO_LETTING_GO, 200)
            m = d.until("the metrics", lambda m: m["host_excess_bytes"] > 0 and m["problem"] == 1)
            t.between(m["host_excess_bytes"], 8 * MIB, TOO_MUCH, "balloond_host_excess_bytes")
            t.check(m["balloon_bytes"] < TOO_MUCH, f"the balloon is {m['balloon_bytes'] // MIB} MiB")
        with t.subtest("a program wants more: what the last resort gave is told, and if it was nothing"):
            status = g.run("ubtool hog 600M", 200)[0]
            t.check(status != 0 and g.oom_kills() > 0, "the kernel has killed it")
            d.says("out of memory")
            s = d.b.state()
            t.check(s["oom_events"] > 0, "the module's last resort")
            m = d.until("the metrics", lambda m: m["rescue_events_total"] >= s["oom_events"])
            t.equal(m["rescued_bytes_total"], d.b.state()["oom_pages"] * 4096, "bytes that they gave")
        with t.subtest("it is over when the host asks for less"):
            g.balloon(g.memory - 64 * MIB)
            d.says("can be spared again", 300)
            d.until("the metrics", lambda m: m["host_excess_bytes"] == 0 and m["problem"] == 0)
        g.balloon(g.memory)


def stopped(t, series):
    """What the host insists on stays when the daemon stops; what it lets go of later comes back."""
    with alone(t, series, memory=RAM, balloon=INSISTS) as d:
        g = d.g
        g.balloon(g.memory - 300 * MIB)
        t.wait(lambda: d.held() >= 300 * MIB, 120, "the host's target")
        d.stop()
        d.says("stay with the host")
        t.equal(d.held() // MIB, 300, "MiB that the host has still")
        # Longer than the lease of a daemon that crashed would have to be.
        total = g.meminfo()["MemTotal"]
        for mib in (200, 64, 0):
            g.balloon(g.memory - mib * MIB)
            t.wait(lambda m=mib: d.held() // MIB == m, 60, f"{mib} MiB")
        t.equal((g.meminfo()["MemTotal"] - total) // MIB, 300, "MiB that the guest has again")
        with t.subtest("and nothing is left over for the next daemon"):
            g.balloon(g.memory - 200 * MIB)
            d.start()
            t.wait(lambda: d.held() >= 200 * MIB, 120, "the host's target")
            t.check("within the lease" not in d.lines(), f"no lease was lost: {d.lines()}")
        g.balloon(g.memory)


def protected(t, series):
    """iommu_platform=on: the device is refused, and that is said instead of advice that fails."""
    device = "virtio-balloon-pci,id=b0,deflate-on-oom=on,iommu_platform=on,disable-legacy=on,disable-modern=off"
    with alone(t, series, memory=RAM, balloon=device) as d:
        t.equal(d.g.run("test -e /dev/uballoon")[0], 1, "there is no balloon")
        d.says("With iommu_platform=on no balloon driver can use it")
        t.contains(d.g.dmesg(), "iommu_platform=on", "kernel log")
        t.check("adopt" not in d.lines(), f"no advice that fails: {d.lines()}")
        status, said = d.g.run("balloonctl adopt 2>&1", 60)
        t.check(status != 0, f"adopt fails: {said}")
        t.contains(said, "iommu_platform=on", "and says why")


def late_group(t, series):
    """The device is there before udev has set its group: it is waited for, and nobody is sent anywhere."""
    with serving(t, series, memory=1024 * MIB) as s:
        g = s.g
        g.sh("systemctl stop balloond && chgrp root /dev/uballoon && chmod 600 /dev/uballoon", 90)
        cursor = g.sh("journalctl -n 1 --show-cursor | sed -n 's/^-- cursor: //p'").strip()
        g.sh("systemctl start balloond", 90)
        time.sleep(4)
        t.contains(s.status()["problem"], "waiting for that", "problem")
        # As udev does it, a while later.
        g.sh("chgrp balloond /dev/uballoon && chmod 660 /dev/uballoon && udevadm trigger /dev/uballoon")
        s.until("it has the device", lambda x: x["host"] == "virtio", 60)
        said = g.sh(f"journalctl --no-pager -o cat -u balloond --after-cursor '{cursor}'")
        t.check("run as root" not in said and "no permission" not in said, f"journal: {said}")


def hotplug(t, series):
    """A DIMM comes and goes; virtio-mem grows and shrinks."""
    more = [["-m", "slots=4,maxmem=4G"], ["-object", "memory-backend-ram,id=vm0,size=512M"],
            "virtio-mem-pci,memdev=vm0,id=vmem,requested-size=0"]
    with alone(t, series, memory=RAM, devices=more, append="memhp_default_state=online_movable") as d:
        g = d.g
        m = d.until("the balloon inflates", lambda m: m["balloon_bytes"] > 100 * MIB)
        ram, floor = m["ram_bytes"], m["floor_bytes"]
        with t.subtest("a DIMM comes"):
            g.qmp("object-add", **{"qom-type": "memory-backend-ram", "id": "d0", "size": 512 * MIB})
            g.device_add("pc-dimm,id=dimm0,memdev=d0")
            m = d.until("the daemon sees it", lambda m: m["ram_bytes"] >= ram + 500 * MIB)
            t.check(m["floor_bytes"] > floor, "the floor is that of the larger guest")
            d.until("and the balloon goes on", lambda m: m["balloon_bytes"] > 500 * MIB)
        with t.subtest("and goes, with the balloon in it"):
            g.device_del("dimm0", 200)
            m = d.until("the daemon sees it", lambda m: m["ram_bytes"] <= ram + 8 * MIB)
            t.equal(m["floor_bytes"], floor, "the floor is that of the smaller one")
        with t.subtest("virtio-mem grows, and shrinks"):
            for name, module in g.kernel.closure(["virtio_mem"]):
                g.put(module, f"/run/{name}.ko")
                g.run(f"insmod /run/{name}.ko")
            g.qmp("qom-set", path="/machine/peripheral/vmem", property="requested-size", value=256 * MIB)
            d.until("it has grown", lambda m: m["ram_bytes"] >= ram + 250 * MIB)
            g.qmp("qom-set", path="/machine/peripheral/vmem", property="requested-size", value=0)
            m = d.until("it has shrunk", lambda m: m["ram_bytes"] <= ram + 8 * MIB)
            t.equal(m["problem"], 0, "problem")
        t.check(d.job.running(), "the same daemon all along")


def nodes(t, series):
    """Two NUMA nodes: the balloon is of both, and a program that is bound to one gets that one's part of it."""
    numa = [["-object", "memory-backend-ram,id=m0,size=512M", "-object", "memory-backend-ram,id=m1,size=512M",
             "-numa", "node,nodeid=0,cpus=0-1,memdev=m0", "-numa", "node,nodeid=1,memdev=m1"]]
    with alone(t, series, memory=1024 * MIB, devices=numa) as d:
        def of(node, key):
            text = d.g.read(f"/sys/devices/system/node/node{node}/meminfo")
            return int(re.search(rf"{key}:\s+(\d+)", text)[1]) // 1024

        def held(node):
            return of(node, "KReclaimable") - of(node, "SReclaimable")
        d.until("the balloon inflates", lambda m: m["balloon_bytes"] > 450 * MIB, 300)
        had, free = [held(n) for n in (0, 1)], [of(n, "MemFree") for n in (0, 1)]
        t.diag(f"MiB on the nodes: balloon {had}, free {free}")
        t.check(min(had) > 100 and min(free) > 40, "each node has a part of the balloon, and something left")
        wanted = free[1] + had[1] // 2
        t.equal(d.b.ok("node 1", f"hog {wanted}M", timeout=200)["rc"], "OK", f"{wanted} MiB of node 1")
        t.equal((d.g.oom_kills(), d.b.state()["oom_events"]), (0, 0), "kills, last resorts")


each("a host asks for more than there is", asks_too_much)
each("a daemon stops, and the host lets go later", stopped)
each("iommu_platform=on", protected)
each("two NUMA nodes", nodes)
each("memory is plugged and unplugged", hotplug)
tap.add(f"the device's group comes late ({SERIES[0]})", late_group, SERIES[0], timeout=1800)

if __name__ == "__main__":
    tap.main()
