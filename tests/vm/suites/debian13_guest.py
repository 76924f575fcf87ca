# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian 13 as a guest, with its own kernel and that of its backports: what the demo shows, and how it is installed.

The packages are built on Debian 13 (debian13.py has its suites run there), the module by DKMS there, as an
administrator has it, at this machine's speed. The guest boots that root, with earlyoom at work, and
gets balloond's package while it runs, a newer one, and loses it again.

Left out: the packages file by file, and an administrator's changes of mind (packages.py); the module itself on these
kernels (kmod_calls.py, kmod_memory.py; kernels_build.py has the compilers).
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                            # noqa: E402
import crashes_lib                                    # noqa: E402
from harness import debian, kernels, packaged         # noqa: E402
from harness.paths import cache                       # noqa: E402

MIB, GIB = 1 << 20, 1 << 30
RELEASE = "trixie"
SERIES = kernels.of(RELEASE)
RAM = GIB
# What a program wants beyond what is available without the balloon.
BEYOND_MIB = 100
PROGRAM = ("stress-ng --vm 4 --vm-bytes {mib}M --vm-keep --vm-populate --vm-method zero-one --oomable "
           "--vm-ops 40 --timeout 100 2>&1")
TARGET = 300 * MIB
# The versions that this suite is about: what it was written for, and what it says on another.
VERSIONS = {"systemd": "257", "libproc2-0": "2:4.0.4", "earlyoom": "1.8", "libconfig11": "1.7"}
MOST_EXPOSED = 1.5

_image = None


def make_image(t):
    global _image
    debs = packaged.packages(release=RELEASE)
    root = packaged.Root(t, SERIES[0], t.diag, RELEASE, more=("earlyoom",))
    # As packages.py: takes as long as a module, and is tested there.
    with open(f"{root.path}/etc/initramfs-tools/update-initramfs.conf", "w") as f:
        f.write("update_initramfs=no\n")
    said = root.install(debs["uballoon-dkms"])
    for series in SERIES:
        release = kernels.Kernel(series).release
        with t.subtest(f"DKMS has built for {release}"):
            status, text = root.run("modinfo", "-k", release, "-F", "vermagic", "uballoon")
            t.equal((status, text.split()[:1]), (0, [release]), f"modinfo\n{said}")
    with t.subtest("the versions"):
        for package, version in VERSIONS.items():
            got = root.sh("dpkg-query", "-W", "-f", "${Version}", package)
            t.diag(f"{package} {got}")
            t.check(got.startswith(version), f"{package} is {got}, not {version}")
    path = tempfile.mkstemp(prefix="debian13-", suffix=".ext4", dir=os.path.dirname(cache("debian", "x")))[1]
    root.make_image(path)
    _image = path


@tap.case("dkms", timeout=900)
def dkms(t):
    make_image(t)


def status(g):
    code, text = g.run("balloonctl status --json")
    return json.loads(text) if code == 0 else None


def until(t, g, what, condition, timeout=60):
    def look():
        s = status(g)
        return s if s and condition(s) else None
    return t.wait(look, timeout, what, 0.5)


def held(g):
    return g.memory - g.balloon_actual()


def installed(t, g):
    deb = packaged.packages(release=RELEASE)["balloond"]
    with t.subtest("the module is there after a boot, and has the device"):
        t.contains(g.sh("modinfo -n uballoon"), "/updates/dkms/uballoon.ko", "module")
        t.equal(g.sh("d=$(dirname $(grep -l '^virtio:d00000005' /sys/bus/virtio/devices/*/modalias)); "
                     "basename $(readlink -f $d/driver)").strip(), "uballoon", "driver")
    with t.subtest("the package is installed: enabled and running; so after systemctl disable and enable --now"):
        g.put(deb, "/root/balloond.deb")
        g.sh("dpkg -i /root/balloond.deb 2>&1", 400)
        t.equal(g.sh("systemctl is-enabled balloond; systemctl is-active balloond"), "enabled\nactive\n", "state")
        g.sh("systemctl disable --now balloond 2>&1 && systemctl enable --now balloond 2>&1", 300)
        t.equal(g.sh("systemctl is-enabled balloond; systemctl is-active balloond"), "enabled\nactive\n", "state")
    g.sh("systemctl start earlyoom", 200)


def works(t, g):
    with t.subtest("idle: the balloon grows, and the host sees it"):
        s = until(t, g, "it inflates", lambda s: s["size"] > 256 * MIB)
        t.equal((s["host"], s["problem"], s["mode"]), ("virtio", "", "auto"), "host, problem, mode")
        t.wait(lambda: held(g) > 256 * MIB, 60, "the host's view")
        t.contains(g.sh("balloonctl status", 100), "Balloon", "balloonctl status")
    with t.subtest("a program that wants more than is left gets it, and nobody is killed"):
        mib = status(g)["available"] // MIB + BEYOND_MIB
        before, kills = held(g), g.oom_kills()
        seen = []
        job = g.spawn(PROGRAM.format(mib=mib), 300)
        while job.running():
            seen.append(held(g))
            time.sleep(0.1)
        code, said = job.wait()
        t.diag(f"{mib} MiB; the host's view of the balloon: {before // MIB} MiB, then {min(seen) // MIB} MiB")
        t.equal(code, 0, said)
        t.equal(g.oom_kills() - kills, 0, "OOM kills")
        t.check(min(seen) <= before - BEYOND_MIB // 2 * MIB, "the balloon gave memory to it")
    with t.subtest("the operator's target"):
        g.sh(f"balloonctl set-target {TARGET // MIB}MiB", 100)
        t.wait(lambda: abs(held(g) - TARGET) <= 2 * MIB, 60, f"a balloon of {TARGET // MIB} MiB, as the host sees it")
        t.equal(status(g)["mode"], "manual", "mode")


def judged(t, g):
    with t.subtest("earlyoom has been there all the time, and killed nobody"):
        t.equal(g.sh("systemctl is-active earlyoom").strip(), "active", "earlyoom")
        said = g.sh("journalctl --no-pager -o cat -u earlyoom")
        t.contains(said, "mem total", "earlyoom's first words")
        t.equal(re.findall(r"^.*sending SIG\w+ to process.*$", said, re.M), [], "what it killed")
    with t.subtest("nothing to complain about"):
        t.equal(g.sh("journalctl --no-pager -o cat -p warning -u balloond"), "", "warnings of the service")
        t.equal(g.sh("systemctl --failed --no-legend --plain"), "", "failed units")
        t.equal(g.run("systemd-analyze verify --man=no balloond.service 2>&1", 300), (0, ""), "verify")
        said = g.sh("systemd-analyze security --no-pager balloond", 300)
        level = re.search(r"Overall exposure level for balloond.service: ([\d.]+)", said)
        t.check(level and float(level[1]) <= MOST_EXPOSED, said)
        t.diag(level[0])


def version_of(deb):
    return subprocess.run(["dpkg-deb", "-f", deb, "Version"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def upgraded(t, g):
    version = version_of(packaged.packages(release=RELEASE)["balloond"]) + ".1"
    deb = packaged.packages(version, RELEASE)["balloond"]
    with t.subtest("an upgrade: the new one runs, with the hold of the old one and its balloon"):
        g.sh("balloonctl hold --for 1h until upgraded", 100)
        size = status(g)["size"]
        pid = g.property("balloond", "MainPID")
        g.put(deb, "/root/newer.deb")
        g.sh("dpkg -i /root/newer.deb 2>&1", 400)
        t.contains(g.sh("balloonctl --version", 100), version, "version")
        t.check(g.property("balloond", "MainPID") != pid, "another process")
        until(t, g, "held", lambda s: s["held"] == "until upgraded" and s["host"] == "virtio")
        t.equal(held(g), size, "the balloon, as the host sees it")
        t.equal(g.sh("systemctl is-enabled balloond; systemctl is-active balloond"), "enabled\nactive\n", "state")


def purged(t, g):
    with t.subtest("removed: the host has nothing, the configuration stays"):
        g.sh("dpkg -r balloond 2>&1", 400)
        t.equal(held(g), 0, "what the host has")
        g.sh("test -s /etc/balloond.conf -a ! -e /usr/sbin/balloond")
        t.equal(g.sh("systemctl --failed --no-legend --plain"), "", "failed units")
    with t.subtest("purged: nothing is left of either package, and the kernel's own driver is back"):
        g.sh("rmmod uballoon; dpkg -P balloond uballoon-dkms 2>&1", 400)
        t.equal(g.run("test -e /etc/balloond.conf -o -e /var/lib/balloond")[0], 1, "configuration, history")
        t.equal(g.run("ls /lib/modules/*/updates/dkms/uballoon.ko*")[0] != 0, True, "no module")
        g.sh("modprobe --use-blacklist $(grep -h '^virtio:d00000005' /sys/bus/virtio/devices/*/modalias)")
        t.equal(g.sh("d=$(dirname $(grep -l '^virtio:d00000005' /sys/bus/virtio/devices/*/modalias)); "
                     "basename $(readlink -f $d/driver)").strip(), "virtio_balloon", "driver")


def guest(t, series):
    if not _image:
        make_image(t)
    with debian.debian(t, series, image=_image, name="debian13", memory=RAM, lifetime=1800) as g:
        t.on_failure(lambda: g.journal("balloond", 20))
        installed(t, g)
        works(t, g)
        judged(t, g)
        upgraded(t, g)
        for name, case, _ in crashes_lib.CASES:
            with t.subtest(name):
                case(t, g)
        with t.subtest("stopped, it gives the memory back"):
            g.sh("systemctl stop balloond earlyoom", 300)
            t.equal(held(g), 0, "what the host has")
        purged(t, g)


for _series in SERIES:
    tap.add(f"{_series}: a guest", guest, _series, timeout=1500)


@tap.teardown
def drop_image():
    if _image:
        os.unlink(_image)


if __name__ == "__main__":
    tap.main()
