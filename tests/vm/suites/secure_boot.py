# SPDX-License-Identifier: GPL-2.0-or-later
"""Secure Boot: firmware, shim, GRUB and kernel as Debian's users have them, and a module with and without
a key that the kernel trusts.

What absent.py shows of a kernel that refuses the module is so here, too, and the advice that status gives is
followed to the letter: mokutil --import, a reboot, "Enroll MOK" on the screen of MokManager. Then
uballoon has the device, and nothing else was to be done.

Left out: DKMS, which makes the key and signs (here the same commands do); keys in the firmware's own list, db.
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                           # noqa: E402
from absent_lib import DEVICE, MIB, NOBODY, cannot_adopt, holder, says, stock_has_it    # noqa: E402
from harness import debian, kernels, libraries, micro, secureboot    # noqa: E402

MOKUTIL = "/usr/bin/mokutil"
# The path that status names.
CERTIFICATE = "var/lib/dkms/mok.pub"
ADVICE = "mokutil --import /" + CERTIFICATE
BOOT_LIMIT = 400
TARGET = 200 * MIB


def tools():
    """mokutil, and what it needs that the guest does not have."""
    return [(f"usr/{name}" if name.startswith("lib/") else MOKUTIL[1:], path, mode)
            for name, path, mode in libraries.files([(MOKUTIL, MOKUTIL)])
            if name == MOKUTIL[1:] or "libefivar" in name or "libkeyutils" in name]


def secure_guest(t, series, box, **options):
    g = debian.guest(series, "secure-boot", report=t.diag, boot=box.boot, machine=secureboot.MACHINE,
                     boot_timeout=BOOT_LIMIT, lifetime=1800, **options)
    t.defer(g.kill)
    t.on_failure(g.console_tail)
    t.on_failure(lambda: g.run("balloonctl; lsmod; dmesg | tail -20")[1] + g.journal("balloond", 20))
    g.start()
    return g


def locked_down(t, g):
    with t.subtest("the kernel has seen Secure Boot"):
        t.contains(g.dmesg(), "Kernel is locked down from EFI Secure Boot", "kernel log")
        t.contains(g.read("/sys/kernel/security/lockdown"), "[integrity]", "lockdown")


def refused_by_kernel(t, g, text):
    with t.subtest("modprobe uballoon is refused"):
        status, said = g.run("modprobe uballoon")
        t.check(status != 0 and "Key was rejected by service" in said, f"modprobe uballoon: status {status}: {said}")
        t.contains(g.dmesg(), text, "kernel log")


def unsigned(t, series):
    g = secure_guest(t, series, secureboot.SecureBoot(t.defer), balloon=DEVICE)
    locked_down(t, g)
    stock_has_it(t, g)
    refused_by_kernel(t, g, "Loading of unsigned module is rejected")
    says(t, g, "this kernel loads signed modules only (Secure Boot), and uballoon has no signature: "
         "see Secure Boot in README")
    cannot_adopt(t, g, "this kernel loads signed modules only (Secure Boot)")
    with t.subtest("verdict of the guest"):
        g.finish(("virtio_balloon",))


def status_until(t, g, what, condition):
    def look():
        status, text = g.run("balloonctl status --json")
        return status == 0 and condition(s := json.loads(text)) and s

    return t.wait(look, 120, what, 0.5)


def waiting(t, g):
    """The kernel asks for a key that it does not have."""
    stock_has_it(t, g)
    g.balloon(g.memory)
    refused_by_kernel(t, g, "Loading of module with unavailable key is rejected")
    with t.subtest("status says what to do, and that free page reports are served meanwhile"):
        g.sh("systemctl start balloond", 60)
        s = status_until(t, g, "the host that takes reports", lambda s: s["host"] == "reporting")
        shown = g.sh(NOBODY + "balloonctl status")
        for said in (s["problem"], shown):
            t.contains(said, f"if modprobe uballoon is refused (Secure Boot): {ADVICE}, and reboot", "status")
            t.contains(said, "pushing out cold cache", "status")
        t.equal(g.sh("systemctl --failed --no-legend --plain"), "", "failed units")
        g.sh("systemctl stop balloond", 60)


def enrolled(t, g):
    """Nothing was done in this boot."""
    with t.subtest("uballoon was loaded at boot, and has the device"):
        t.wait(lambda: holder(g) == "uballoon", 60, "udev has loaded the driver")
        t.equal(g.run("test -e /sys/module/virtio_balloon")[0], 1, "virtio_balloon")
        t.equal(g.sh("systemctl --failed --no-legend --plain"), "", "failed units")
    with t.subtest("balloond moves the balloon, and the host sees it"):
        g.sh("systemctl start balloond", 60)
        s = status_until(t, g, "the device", lambda s: s["host"] == "virtio")
        t.equal(s["problem"], "", "problem")
        g.sh(f"balloonctl set-target {TARGET // MIB}M")
        t.wait(lambda: abs(g.memory - g.balloon_actual() - TARGET) <= 2 * MIB, 120, "the balloon, as the host has it")
        g.sh("systemctl stop balloond", 60)
        t.wait(lambda: g.balloon_actual() == g.memory, 60, "the balloon is empty")


def key_comes(t, series):
    box = secureboot.SecureBoot(t.defer)
    kernel = kernels.Kernel(series)
    key = secureboot.Key(box.folder, "test")
    g = secure_guest(t, series, box, module=key.sign(kernel, micro.uballoon(kernel)),
                     files=[*tools(), (CERTIFICATE, key.certificate, 0o644)])
    locked_down(t, g)
    waiting(t, g)
    with t.subtest("the key is enrolled: mokutil, a reboot, MokManager"):
        g.sh(f"mokutil --generate-hash={secureboot.PASSWORD} > /run/password && {ADVICE} --hash-file /run/password")
        # Not waited for: the agent ends before it could answer.
        g.spawn("systemctl poweroff")
        g.process.wait(120)
        box.enroll(g, BOOT_LIMIT)
    g.start()
    t.contains(g.run(f"mokutil --test-key /{CERTIFICATE}")[1], "is already enrolled", "mokutil")
    locked_down(t, g)
    enrolled(t, g)
    with t.subtest("verdict of the guest"):
        g.finish()


for kernel in kernels.SERIES:
    tap.add(f"{kernel}: no signature", unsigned, kernel, timeout=900)
    tap.add(f"{kernel}: a key that is not enrolled, and then is", key_comes, kernel, timeout=1500)

if __name__ == "__main__":
    tap.main()
