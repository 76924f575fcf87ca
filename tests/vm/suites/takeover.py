# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has the balloon device: nobody, the kernel's own driver, or us; and how to change it.

One Debian guest a kernel that starts without a balloon device. It gets a poor
one, a good one, sees the kernel's virtio_balloon in its place, and hands it
over and back: by hand, with a failure half-way, and at the start of the
service. What status says is read in each of these states, since it is what an
operator has to go by. The last part needs no device at all: starting by a call
on the bus, and what the service's one capability is for.

The host's view (`actual` of the device) says who moves what.
"""
import contextlib
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                         # noqa: E402
from harness import debian, kernels, libraries     # noqa: E402
from harness.guest import BALLOON                  # noqa: E402
from vmware.machine import vmware                  # noqa: E402

MIB = 1 << 20
CONFIG = "/etc/balloond.conf"
# Follows the host at once, so that what a driver holds is known.
QUICK = 'mode = "host";\ninterval = "200ms";\nidle_interval = "500ms";\n' \
        'tail: { hold_off = "0"; settle = "0"; dead_band = "1M"; worthwhile = "1M"; };\n'
POOR = "virtio-balloon-pci,id=b0,deflate-on-oom=off,free-page-reporting=off"
HOST_OPTIONS = ("QEMU     -device virtio-balloon-pci,deflate-on-oom=on,free-page-reporting=on",
                "libvirt  <memballoon model='virtio' autodeflate='on' freePageReporting='on'/>",
                "Proxmox  qm set VMID ")
NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups "
ASKED = 300 * MIB


def configure(g, text):
    g.put(text.encode(), CONFIG, 0o644)


def status(g):
    return json.loads(g.sh("balloonctl status --json"))


def until(t, g, what, condition, timeout=60):
    return t.wait(lambda: (s := status(g)) and condition(s) and s, timeout, what, 0.3)


def driver(g):
    """Of the balloon device: "" if it has none, None if there is no device."""
    return g.sh("""for d in /sys/bus/virtio/devices/*; do
        [ "$(cat $d/device)" = 0x0005 ] || continue
        [ -e $d/driver ] && basename "$(readlink -f $d/driver)" || echo -
    done""").strip() or None


def held_by_host(t, g, want, what, slack=2 * MIB):
    t.wait(lambda: abs(g.memory - g.balloon_actual() - want) <= slack, 60, what)


def expect(t, g, command, code, *texts):
    got, out = g.run(command, 60)
    t.equal(got, code, f"exit status of {command}: {out}")
    for text in texts:
        t.contains(out, text, f"output of {command}")
    return out


def no_device(t, g):
    configure(g, QUICK)
    g.sh("systemctl start balloond", 60)
    with t.subtest("no device: status says so, and what to set on the host"):
        out = expect(t, g, "balloonctl", 0, "Problem  no balloon device", "The hypervisor offers none", *HOST_OPTIONS)
        t.contains(out, "power the machine off and on", "advice")
        expect(t, g, "balloonctl adopt", 1, "the hypervisor offers none")


def poor_device(t, g):
    with t.subtest("no free page reports, no deflate-on-oom: status says what that means and what to set"):
        g.device_add(POOR)
        until(t, g, "the device is found", lambda s: s["host"] == "virtio")
        expect(t, g, "balloonctl", 0, "takes no free page reports", "never larger than the host asks for",
               "not even before an out-of-memory kill", *HOST_OPTIONS)
    with t.subtest("a device that has both: nothing of the kind"):
        g.device_del("b0", 60)
        until(t, g, "the device has gone", lambda s: s["host"] == "")
        g.device_add(BALLOON)
        until(t, g, "the device is found", lambda s: s["host"] == "virtio" and s["problem"] == "")
        out = expect(t, g, "balloonctl", 0)
        t.check("On the host" not in out and "Problem" not in out, out)
        expect(t, g, "balloonctl adopt", 0, "nothing to do: uballoon has the balloon")


def undo(t, g):
    with t.subtest("adopt --undo, under the running daemon"):
        g.balloon(g.memory - ASKED)
        held_by_host(t, g, ASKED, "the daemon follows the host")
        out = expect(t, g, "balloonctl adopt --undo", 0, "load virtio_balloon", "unbind uballoon from virtio",
                     "bind virtio_balloon to virtio", "virtio_balloon has the balloon now")
        t.check("would" not in out, out)
        t.equal(driver(g), "virtio_balloon", "driver")
        held_by_host(t, g, ASKED, "the kernel's driver follows the host", 0)
        # For a moment it has none.
        s = until(t, g, "the daemon sees it", lambda s: s["host"] == "reporting")
        t.contains(s["problem"], "virtio_balloon holds it", "problem")
        expect(t, g, "balloonctl adopt --undo", 0, "nothing to do: virtio_balloon has the balloon")


def held(t, g):
    with t.subtest("held by another driver: status says by which, and what to do"):
        until(t, g, "why", lambda s: "balloonctl adopt" in s["problem"])
        expect(t, g, "balloonctl", 0, "virtio_balloon holds it; balloonctl adopt hands it over to uballoon")
    with t.subtest("--dry-run says what would be done, and does nothing"):
        expect(t, g, NOBODY + "balloonctl adopt --dry-run", 0, "would unbind virtio_balloon from virtio",
               "which gives its 300 MiB back", "would bind uballoon to virtio")
        t.equal(driver(g), "virtio_balloon", "driver")
        held_by_host(t, g, ASKED, "the balloon")
    with t.subtest("only root may"):
        expect(t, g, NOBODY + "balloonctl adopt", 4, "only root")
        t.equal(driver(g), "virtio_balloon", "driver")


@contextlib.contextmanager
def uballoon_unloadable(g):
    """The daemon has to let go first: it reopens nothing, there is nothing of ours."""
    g.sh("mkdir -p /run/modprobe.d && echo 'install uballoon /bin/false' > /run/modprobe.d/test.conf && modprobe -r uballoon")
    try:
        yield
    finally:
        g.sh("rm /run/modprobe.d/test.conf && modprobe uballoon")


def failures(t, g):
    with t.subtest("a module that cannot be loaded: nothing changes"):
        with uballoon_unloadable(g):
            expect(t, g, "balloonctl adopt", 1, "cannot be loaded; nothing has changed")
            t.equal(driver(g), "virtio_balloon", "driver")
    with t.subtest("a failure half-way: the driver before has the device again"):
        # Writing into the driver's file fails, after the other one has let go.
        out = expect(t, g, "unshare -m sh -c 'mount --bind /dev/full /sys/bus/virtio/drivers/uballoon/bind && "
                     "balloonctl adopt'", 1, "unbind virtio_balloon", "the driver before has it again")
        t.contains(out, "No space left on device", "reason")
        t.equal(driver(g), "virtio_balloon", "driver")
        held_by_host(t, g, ASKED, "it follows the host again")
    with t.subtest("the same the other way round"):
        expect(t, g, "balloonctl adopt", 0)
        expect(t, g, "unshare -m sh -c 'mount --bind /dev/full /sys/bus/virtio/drivers/virtio_balloon/bind && "
               "balloonctl adopt --undo'", 1, "the driver before has it again")
        t.equal(driver(g), "uballoon", "driver")
        expect(t, g, "balloonctl adopt --undo", 0)


def adopt(t, g):
    with t.subtest("adopt: the daemon that waited takes it up"):
        pid = g.property("balloond", "MainPID")
        # It is to say how much that is.
        held_by_host(t, g, ASKED, "the kernel's driver follows the host", 0)
        out = expect(t, g, "balloonctl adopt", 0, "unbind virtio_balloon from virtio", "gives its 300 MiB back",
                     "bind uballoon to virtio", "uballoon has the balloon now")
        t.check("At the next boot" not in out, f"modprobe.d has uballoon in its place: {out}")
        t.equal(driver(g), "uballoon", "driver")
        until(t, g, "the daemon has the device", lambda s: s["host"] == "virtio" and s["problem"] == "")
        held_by_host(t, g, ASKED, "the daemon follows the host", 0)
        until(t, g, "its own account", lambda s: s["size"] == ASKED)
        t.equal(g.property("balloond", "MainPID"), pid, "the same daemon all along")


def at_start(t, g):
    with t.subtest("adopt = true: at the start of the service, which itself is not root"):
        g.sh("balloonctl adopt --undo")
        configure(g, QUICK + "adopt = true;\n")
        g.sh("systemctl restart balloond", 60)
        t.equal(driver(g), "uballoon", "driver when the service is ready")
        until(t, g, "the device", lambda s: s["host"] == "virtio")
        t.contains(g.journal("balloond", 20), "uballoon has the balloon now", "journal")
        t.equal(g.sh(f"stat -c %U /proc/{g.property('balloond', 'MainPID')}").strip(), "balloond", "user")
    with t.subtest("a module that cannot be loaded keeps no daemon from starting"):
        g.sh("balloonctl adopt --undo; systemctl stop balloond")
        with uballoon_unloadable(g):
            g.sh("systemctl start balloond", 60)
            t.contains(g.journal("balloond", 20), "cannot be loaded; nothing has changed", "journal")
            t.contains(status(g)["problem"], "balloonctl adopt", "problem")
    with t.subtest("adopt = false: it stays where it is"):
        configure(g, QUICK)
        g.sh("systemctl restart balloond", 60)
        t.equal(driver(g), "virtio_balloon", "driver")
    g.sh("balloonctl adopt && rmmod virtio_balloon")
    g.balloon(g.memory)
    until(t, g, "no balloon", lambda s: s["host"] == "virtio" and s["size"] == 0)


def activation(t, g):
    ask = "busctl get-property org.balloond1 /org/balloond1 org.balloond1.Manager Mode"

    def active():
        return g.run("systemctl is-active balloond")[1].strip()

    with t.subtest("not enabled: a call on the bus starts nothing"):
        g.sh("systemctl stop balloond", 60)
        t.check(g.run(ask)[0] != 0, "the call fails")
        t.equal(active(), "inactive", "service")
    with t.subtest("enabled: a call on the bus starts it"):
        g.sh("systemctl enable balloond 2>&1")
        t.contains(expect(t, g, ask, 0), '"host"', "answer")
        t.equal(active(), "active", "service")
    with t.subtest("stopped by the administrator: no verb of balloonctl starts it again"):
        g.sh("systemctl stop balloond", 60)
        for verb in ("status", "mode", "mode auto", "policy", "set-target 1M", "hold x", "release", "explain",
                     "history", "metrics", "reload"):
            expect(t, g, "balloonctl " + verb, 3, "balloond is not running")
        g.run("timeout 2 balloonctl watch; balloonctl dump; balloonctl check-config; balloonctl adopt")
        t.equal(active(), "inactive", "service")
        g.sh("systemctl disable balloond 2>&1")


def capability(t, g):
    def capabilities():
        return {k: int(v, 16) for k, v in (line.split() for line in g.sh(
            f"grep ^Cap /proc/{g.property('balloond', 'MainPID')}/status").splitlines())}

    cap_sys_resource = 1 << 24
    with t.subtest("the daemon has CAP_SYS_RESOURCE, and can get no other"):
        g.sh("systemctl start balloond", 60)
        t.equal(set(capabilities().values()), {cap_sys_resource}, "all sets")
        t.equal(status(g)["problem"], "", "problem")
    with t.subtest("it is for the pressure triggers, and the service works without it"):
        folder = "/run/systemd/system/balloond.service.d"
        g.sh(f"mkdir -p {folder} && printf '[Service]\\nAmbientCapabilities=\\nCapabilityBoundingSet=\\n'"
             f" > {folder}/test.conf && systemctl daemon-reload && systemctl restart balloond", 60)
        t.equal(set(capabilities().values()), {0}, "all sets")
        s = until(t, g, "the device", lambda s: s["host"] == "virtio")
        said = s["problem"] + g.journal("balloond", 20)
        # Since Linux 6.5 everyone may have windows of 2 s.
        t.check("CAP_SYS_RESOURCE is needed" in said or "instead of 1000 ms" in said, said)
        g.sh(f"rm -r {folder}; systemctl daemon-reload; systemctl stop balloond", 60)


def whole(t, series):
    with debian.debian(t, series, balloon=None) as g:
        t.on_failure(lambda: g.journal("balloond", 20) + g.run("balloonctl")[1])
        for part in (no_device, poor_device, undo, held, failures, adopt, at_start, activation, capability):
            started = time.monotonic()
            part(t, g)
            t.diag(f"{part.__name__}: {time.monotonic() - started:.1f} s")


# -- VMware: one module for the other ------------------------------------------

def on_vmware(t, series):
    """Without a service: the monitor is the hypervisor, and it sees every call of both drivers."""
    programs = [("/sbin/modprobe", "/bin/kmod"), ("/sbin/depmod", "/bin/kmod"),
                ("/bin/balloonctl", os.path.join(debian.build_dir(), "daemon", "ctl", "balloonctl"))]
    with vmware(t, series, ("uballoon", "vmw_balloon"), files=libraries.files(programs),
                unload=("vmw_vmci",)) as (g, monitor):
        folder = "/lib/modules/$(uname -r)"
        g.sh(f"mkdir -p {folder} && cp /lib/modules-test/vmw_*.ko /lib/modules-test/uballoon.ko {folder} && "
             f"touch {folder}/modules.order {folder}/modules.builtin && /sbin/depmod", 60)

        def loaded():
            return set(g.sh("awk '{ print $1 }' /proc/modules").split()) & {"uballoon", "vmw_balloon"}

        def locked(pages, what):
            monitor.wait_for(lambda hv: hv.locked >= pages if pages else not hv.locked, 30, what)

        def ask(pages, what):
            with monitor.script() as hv:
                hv.target = pages
            locked(pages, what)

        g.sh("/sbin/modprobe vmw_balloon", 60)
        with t.subtest("VMware: a balloon that vmw_balloon could not free on unloading: nothing changes"):
            ask(8192, "vmw_balloon inflates")
            expect(t, g, "balloonctl adopt", 1, "vmw_balloon holds 32 MiB", "nothing has changed")
            t.equal(loaded(), {"vmw_balloon"}, "modules")
            ask(0, "vmw_balloon deflates")
            # The driver hears of the target a little later than the monitor sees the last page.
            t.wait(lambda: "would" in g.run("balloonctl adopt --dry-run")[1] and
                   g.sh("awk '/^(target|current) *:/ && !/failed/ { n += $3 } END { print n + 0 }' /sys/kernel/debug/vmmemctl")
                   .strip() == "0", 20, "vmw_balloon is idle")
        with t.subtest("VMware: --dry-run does nothing"):
            expect(t, g, "balloonctl adopt --dry-run", 0, "would unload vmw_balloon", "would load uballoon")
            t.equal(loaded(), {"vmw_balloon"}, "modules")
        with t.subtest("VMware: a module that is not there: nothing changes"):
            expect(t, g, f"mv {folder}/uballoon.ko /; /sbin/depmod; balloonctl adopt; r=$?; mv /uballoon.ko {folder}; /sbin/depmod; "
                   "exit $r", 1, "is not there; nothing has changed")
            t.equal(loaded(), {"vmw_balloon"}, "modules")
        with t.subtest("VMware: a failure half-way: vmw_balloon has it again"):
            expect(t, g, "mkdir -p /etc/modprobe.d && echo 'install uballoon /bin/false' > /etc/modprobe.d/t.conf; "
                   "balloonctl adopt; r=$?; rm /etc/modprobe.d/t.conf; exit $r", 1, "unload vmw_balloon",
                   "the driver before has it again")
            t.equal(loaded(), {"vmw_balloon"}, "modules")
        with t.subtest("VMware: adopt, and what it says of the next boot"):
            expect(t, g, "balloonctl adopt", 0, "uballoon has the balloon now", "At the next boot vmw_balloon comes first")
            t.equal(loaded(), {"uballoon"}, "modules")
            expect(t, g, "balloonctl adopt", 0, "nothing to do")
        with t.subtest("VMware: --undo, not while somebody moves the balloon"):
            # As a daemon would have it.
            job = g.spawn("exec sleep 600 <> /dev/uballoon")
            t.wait(lambda: g.run("ls -l /proc/[0-9]*/fd | grep -q uballoon")[0] == 0, 10, "the device is open")
            expect(t, g, "balloonctl adopt --undo", 1, "cannot be unloaded; nothing has changed", "systemctl stop balloond")
            t.equal(loaded(), {"uballoon"}, "modules")
            job.kill()
            job.wait()
            expect(t, g, "balloonctl adopt --undo", 0, "vmw_balloon has the balloon now")
            t.equal(loaded(), {"vmw_balloon"}, "modules")
            ask(8192, "vmw_balloon inflates")
            ask(0, "vmw_balloon deflates")
        with t.subtest("VMware: both at once, as a boot may leave them: uballoon alone"):
            g.sh("/sbin/modprobe uballoon", 60)
            t.equal(loaded(), {"uballoon", "vmw_balloon"}, "modules")
            expect(t, g, "balloonctl adopt", 0, "unload uballoon, which was loaded beside vmw_balloon")
            t.equal(loaded(), {"uballoon"}, "modules")
            # One driver's end is the other's, too: that much is wrong with two of them.
            with monitor.script() as hv:
                hv.violations = [v for v in hv.violations if v.kind != "not-started"]


for kernel in kernels.SERIES:
    tap.add(f"{kernel}: VMware", on_vmware, kernel, timeout=400)
    tap.add(f"{kernel}: who has the device", whole, kernel, timeout=600)

if __name__ == "__main__":
    tap.main()
