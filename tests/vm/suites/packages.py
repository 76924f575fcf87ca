# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian packages: lintian's judgement, DKMS for both kernels, and an
administrator's life with them (install, upgrade, disable, remove, purge) in a guest.

The module is compiled by the real DKMS out of the real package's maintainer
scripts, in a chroot (harness/packaged.py): in an emulated guest that would take
minutes. The guests boot from that very root, so that what modprobe.d and
modules-load.d are for happens at a real boot.

Left out: DKMS inside the running guest, and a new version of /etc/balloond.conf
meeting an edited one (dpkg's question, which is dpkg's to test).
"""
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib"), os.path.join(HERE, "..", "..", "lint")]

import tap                                            # noqa: E402
from harness import archive, debian, kernels, packaged  # noqa: E402
from harness.paths import cache                       # noqa: E402
from pages import pages, wrong_links                  # noqa: E402

MIB = 1 << 20
EDIT = 'idle_interval = "9s";\n'
# Where systemd's and udev's own files are: Debian 13 has merged /usr in its packages, too.
LIB = "/lib" if archive.HERE == "bookworm" else "/usr/lib"
OWN_FILES = ("/etc/balloond.conf", "/etc/balloond.conf.d/", "/usr/sbin/balloond", "/usr/bin/balloonctl", "/usr/lib/sysusers.d/balloond.conf",
             "/usr/lib/tmpfiles.d/balloond.conf",
             f"{LIB}/systemd/system/balloond.service", f"{LIB}/systemd/system/balloond.slice",
             f"{LIB}/systemd/system-preset/80-balloond.preset", f"{LIB}/udev/rules.d/60-balloond.rules",
             "/usr/share/dbus-1/system.d/org.balloond1.conf",
             "/usr/share/dbus-1/system-services/org.balloond1.service", "/usr/share/doc/balloond/balloond.rules.yml",
             "/usr/share/bash-completion/completions/balloonctl", "/usr/share/zsh/vendor-completions/_balloonctl",
             "/usr/share/man/man1/balloonctl.1.gz", "/usr/share/man/man5/balloond.conf.5.gz",
             "/usr/share/man/man8/balloond.8.gz")
# Those that this machine's Debian has packages of.
SERIES = kernels.of(archive.HERE)
DKMS_FILES = ("/usr/lib/modprobe.d/uballoon.conf", "/usr/lib/modules-load.d/uballoon.conf",
              "/usr/share/man/man4/uballoon.4.gz")

_image = None


def version_of(deb):
    return subprocess.run(["dpkg-deb", "-f", deb, "Version"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def contents(deb):
    text = subprocess.run(["dpkg-deb", "-c", deb], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {line.split()[5][1:]: line.split()[1] for line in text.splitlines()}


def newer():
    """The packages of a version to upgrade to."""
    return packaged.packages(version_of(packaged.packages()["balloond"]) + ".1")


@tap.case("built and checked", timeout=300)
def the_packages(t):
    debs = packaged.packages()
    with t.subtest("lintian has nothing to say"):
        p = t.run(["lintian", "--pedantic", "--allow-root", "--fail-on", "none", debs["changes"]], timeout=120)
        t.equal((p.returncode, p.stdout), (0, ""), "lintian")
    with t.subtest("everything that meson installs is in one of them"):
        own, dkms = contents(debs["balloond"]), contents(debs["uballoon-dkms"])
        for name in OWN_FILES:
            t.contains(own, name, "balloond's files")
        for name in DKMS_FILES:
            t.contains(dkms, name, "uballoon-dkms's files")
        source = f"/usr/src/uballoon-{version_of(debs['uballoon-dkms'])}/"
        for name in ("dkms.conf", "Kbuild", "main.c", "host/virtio.c", "compat/compat.h", "uapi/uballoon.h"):
            t.contains(dkms, source + name, "the module's source")
        t.equal({o for o in [*own.values(), *dkms.values()]}, {"root/root"}, "owners")
    with t.subtest("its pages lead to each other, and to pictures"):
        with tempfile.TemporaryDirectory() as tmp:
            t.run(["dpkg-deb", "-x", debs["balloond"], tmp], status=0)
            documents = f"{tmp}/usr/share/doc/balloond"
            t.contains(pages(documents), "docs/troubleshooting.md", "pages")
            t.equal(wrong_links(documents), [], "links")
    with t.subtest("the configuration is the administrator's"):
        p = t.run(["dpkg-deb", "-I", debs["balloond"], "conffiles"], status=0)
        t.equal(p.stdout.split(), ["/etc/balloond.conf"], "conffiles")


def built(root, release):
    """Version of the module that DKMS has installed for the kernel, None if there is none."""
    status, text = root.run("modinfo", "-k", release, "-F", "version", "uballoon")
    return text.strip() if status == 0 else None


def make_image(t):
    """Installs and upgrades uballoon-dkms in a chroot; that root is what the guests boot."""
    global _image
    first, second = packaged.packages(), newer()
    old, new = (kernels.Kernel(s).release for s in SERIES)
    root = packaged.Root(t, SERIES[0], t.diag)
    with t.subtest("installed on a machine with one kernel"):
        os.rename(f"{root.path}/lib/modules/{new}", f"{root.path}/absent")
        # Takes as long as a module; once is enough.
        setting = f"{root.path}/etc/initramfs-tools/update-initramfs.conf"
        os.rename(setting, setting + ".away")
        with open(setting, "w") as f:
            f.write("update_initramfs=no\n")
        said = root.install(first["uballoon-dkms"])
        t.contains(said, f"Building initial module for {old}", "dpkg")
        t.equal(built(root, old), version_of(first["uballoon-dkms"]), f"module for {old}")
        os.rename(f"{root.path}/absent", f"{root.path}/lib/modules/{new}")
        os.rename(setting + ".away", setting)
    with t.subtest("upgraded when there is a second one"):
        root.install(second["uballoon-dkms"])
        version = version_of(second["uballoon-dkms"])
        for release in (old, new):
            t.equal(built(root, release), version, f"module for {release}")
            vermagic = root.sh("modinfo", "-k", release, "-F", "vermagic", "uballoon")
            t.equal(vermagic.split()[0], release, "vermagic")
        t.equal(sorted(re.findall(r"^uballoon/([^,]+), ([^,]+), x86_64: installed$", root.sh("dkms", "status"), re.M)),
                sorted((version, r) for r in (old, new)), "dkms status")
        t.equal([d for d in os.listdir(root.path + "/usr/src") if d.startswith("uballoon")],
                [f"uballoon-{version}"], "sources")
    with t.subtest("the initramfs was made anew, and puts uballoon before the kernel's own drivers"):
        t.contains(root.sh("lsinitramfs", f"/boot/initrd.img-{new}"), "usr/lib/modprobe.d/uballoon.conf", "initramfs")
    image = tempfile.mkstemp(prefix="packaged-", suffix=".ext4", dir=os.path.dirname(cache("debian", "x")))[1]
    root.make_image(image)
    _image = image


@tap.case("not built: the package is installed, and says what is missing", timeout=600)
def not_built(t):
    first = packaged.packages()["uballoon-dkms"]
    old, new = (kernels.Kernel(s).release for s in SERIES)
    root = packaged.Root(t, SERIES[0], t.diag)
    with open(f"{root.path}/etc/initramfs-tools/update-initramfs.conf.new", "w") as f:
        f.write("update_initramfs=no\n")
    os.rename(f"{root.path}/etc/initramfs-tools/update-initramfs.conf.new",
              f"{root.path}/etc/initramfs-tools/update-initramfs.conf")
    with t.subtest("no headers: which packages to install"):
        for release in (old, new):
            os.rename(f"{root.path}/lib/modules/{release}/build", f"{root.path}/build-{release}")
        said = root.install(first)
        for release in (old, new):
            t.contains(said, f"uballoon is not built for kernel {release}, whose headers are missing: "
                             f"apt install linux-headers-{release}", "dpkg")
        t.equal((built(root, old), built(root, new)), (None, None), "modules")
    with t.subtest("a build that fails: where the log is; the package is installed"):
        for release in (old, new):
            os.rename(f"{root.path}/build-{release}", f"{root.path}/lib/modules/{release}/build")
        os.unlink(f"{root.path}/usr/bin/make")
        said = root.install(first)
        log = re.search(r"uballoon could not be built for kernel \S+: (/\S+) says why", said)
        t.check(log and os.path.exists(root.path + log.group(1)), said)
        t.equal(root.sh("dpkg-query", "-W", "-f", "${Status}", "uballoon-dkms"), "install ok installed", "status")


@tap.case("dkms", timeout=900)
def dkms(t):
    make_image(t)


def installed(t, g, debs):
    g.put(debs, "/root/" + os.path.basename(debs))
    return g.sh(f"dpkg -i /root/{os.path.basename(debs)} 2>&1", 120)


def state(g):
    return (g.run("systemctl is-enabled balloond")[1].strip(), g.run("systemctl is-active balloond")[1].strip())


def until(t, g, what, condition):
    def look():
        status, text = g.run("balloonctl status --json")
        s = json.loads(text) if status == 0 else None
        return s if s and condition(s) else None
    return t.wait(look, 60, what, 0.5)


def holder(g):
    """The driver of the balloon device, as sysfs says."""
    return g.sh("d=$(dirname $(grep -l '^virtio:d00000005' /sys/bus/virtio/devices/*/modalias)); "
                "basename $(readlink -f $d/driver)").strip()


def leftovers(g, *names):
    patterns = " -o ".join(f"-name '*{n}*'" for n in names)
    return g.sh(f"find /etc /lib/systemd /usr/bin /usr/sbin /usr/lib/modprobe.d /usr/lib/modules-load.d /usr/src "
                f"/usr/share/dbus-1 /var/lib /run /lib/modules/*/updates \\( {patterns} \\) 2>/dev/null "
                "| grep -vE '^/(run/(vmtest|udev|systemd/(units|journal|generator|inaccessible))|var/lib/dpkg/)' "
                "|| true").split()


def change_of_mind(t, g, deb):
    """Disabled, removed, installed again: what does not depend on the kernel."""
    with t.subtest("disabled stays disabled, the preset enables it"):
        g.sh("systemctl disable --now balloond 2>&1", 60)
        installed(t, g, deb)
        t.equal(state(g), ("disabled", "inactive"), "state")
        g.sh("systemctl preset balloond 2>&1")
        t.equal(state(g), ("enabled", "inactive"), "state after systemctl preset")
        g.sh("systemctl start balloond", 60)
        g.sh("balloonctl release")
        until(t, g, "it inflates", lambda s: s["size"] > 64 * MIB)
    with t.subtest("removed: the memory is back, configuration and history stay"):
        g.sh("dpkg -r balloond 2>&1", 120)
        t.equal(g.memory - g.balloon_actual(), 0, "balloon")
        t.equal(g.run("test -e /usr/sbin/balloond -o -e /lib/systemd/system/balloond.service")[0], 1, "programs")
        g.sh("test -s /etc/balloond.conf -a -s /var/lib/balloond/history")
        t.equal(g.sh("systemctl --failed --no-legend --plain"), "", "failed units")
    with t.subtest("installed again, it goes on"):
        installed(t, g, deb)
        t.equal(state(g), ("enabled", "active"), "state")
        t.check(g.read("/etc/balloond.conf").endswith(EDIT), "the edited configuration")
        until(t, g, "ready", lambda s: s["host"] == "virtio")
        t.check(sum("started" in line for line in g.sh("balloonctl history --csv -").splitlines()) >= 4,
                "the history of the earlier ones")


def life(t, series):
    if not _image:
        make_image(t)
    first, second = packaged.packages()["balloond"], newer()["balloond"]
    with debian.debian(t, series, image=_image, name="packages") as g:
        t.on_failure(lambda: g.journal("balloond", 20))
        with t.subtest("the module is there after a boot, and has the device, not the kernel's own"):
            t.equal(g.sh("modinfo -n uballoon").strip().split("/updates/")[1].split(".ko")[0], "dkms/uballoon", "module")
            t.equal(g.read("/sys/module/uballoon/version").strip(), version_of(second), "version of the loaded one")
            t.equal(holder(g), "uballoon", "driver")
        with t.subtest("installed is enabled, running, and at work"):
            # As if a device had an event meanwhile: udev reads the rule before there is the group that it names.
            g.put(first, "/root/first.deb")
            g.sh("dpkg --unpack /root/first.deb 2>&1 && udevadm control --reload && "
                 "udevadm trigger --settle --subsystem-match=misc && dpkg --configure balloond 2>&1", 120)
            t.equal(state(g), ("enabled", "active"), "state")
            s = until(t, g, "it inflates", lambda s: s["size"] > 64 * MIB)
            t.equal((s["host"], s["problem"]), ("virtio", ""), "host, problem")
            t.check(g.memory - g.balloon_actual() > 64 * MIB, "the host sees it")
        with t.subtest("and had nothing to complain about"):
            t.equal(g.sh("journalctl --no-pager -o cat -p warning -u balloond"), "", "warnings of the service")
        with t.subtest("an upgrade keeps what the administrator did"):
            g.sh("balloonctl hold --for 1h of the package test")
            g.sh(f"cat >> /etc/balloond.conf << 'EOF'\n{EDIT}EOF")
            pid = g.property("balloond", "MainPID")
            until(t, g, "held", lambda s: s["reason"] == "held" and s["size"] == s["target"] and
                  s["size"] == g.memory - g.balloon_actual())
            size = g.balloon_actual()
            installed(t, g, second)
            t.contains(g.sh("balloonctl --version"), version_of(second), "version")
            t.equal(state(g), ("enabled", "active"), "state")
            t.check(g.property("balloond", "MainPID") != pid, "the new one runs")
            t.check(g.read("/etc/balloond.conf").endswith(EDIT), "the edited configuration is still there")
            until(t, g, "held", lambda s: s["held"] == "of the package test" and s["host"] == "virtio")
            # What had been given back meanwhile would not be taken again while held.
            t.equal(g.balloon_actual(), size, "what the balloon leaves to the guest")
        if series == SERIES[-1]:
            change_of_mind(t, g, second)
        with t.subtest("purged: nothing is left but the user, who owns nothing"):
            g.sh("dpkg -P balloond 2>&1", 120)
            t.equal(leftovers(g, "balloond"), [], "files")
            t.equal(g.sh("find / -xdev -user balloond"), "", "files of the user")
            t.equal(g.sh("getent passwd balloond").split(":")[6].strip(), "/usr/sbin/nologin", "shell")
        with t.subtest("the module purged: the kernel's own driver is back"):
            g.sh("echo update_initramfs=no > /etc/initramfs-tools/update-initramfs.conf; rmmod uballoon; "
                 "dpkg -P uballoon-dkms 2>&1", 180)
            t.equal(leftovers(g, "uballoon"), [], "files")
            t.equal(g.sh("dkms status 2> /dev/null"), "", "dkms status")
            # As udev asks for a device's driver.
            g.sh("modprobe --use-blacklist $(grep -h '^virtio:d00000005' /sys/bus/virtio/devices/*/modalias)")
            t.equal(holder(g), "virtio_balloon", "driver")
            g.sh("rmmod virtio_balloon")


for _series in SERIES:
    tap.add(f"{_series}: the life of the packages", life, _series, timeout=900)


@tap.teardown
def drop_image():
    if _image:
        os.unlink(_image)


if __name__ == "__main__":
    tap.main()
