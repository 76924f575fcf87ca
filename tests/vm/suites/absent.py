# SPDX-License-Identifier: GPL-2.0-or-later
"""Without our module: not built for the kernel, or refused by it. The kernel's own driver has the
device as if nothing of ours were installed, no unit fails, and status and the daemon say why.

modprobe.d and modules-load.d do what they do at a real boot: udev asks for the device's driver by
its alias, systemd-modules-load for ours by name. The host's view says that the other driver works.

Left out: Secure Boot itself, which needs keys in a firmware; the kernel refuses the module for
module.sig_enforce=1 in the same way.
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                  # noqa: E402
from harness import debian, kernels         # noqa: E402
from harness.guest import BALLOON           # noqa: E402

MIB = 1 << 20
ASKED = 200 * MIB
# Where the host takes reports, balloond does more (reporting.py).
DEVICE = BALLOON.replace(",free-page-reporting=on", "")
NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups "


def holder(g):
    return g.sh("d=$(dirname $(grep -l '^virtio:d00000005' /sys/bus/virtio/devices/*/modalias)); "
                "basename $(readlink -f $d/driver)").strip()


def stock_has_it(t, g):
    with t.subtest("the kernel's own driver has the device, and follows the host"):
        t.wait(lambda: holder(g) == "virtio_balloon", 60, "udev has loaded the driver")
        t.equal(g.run("test -e /sys/module/uballoon")[0], 1, "uballoon")
        t.equal(g.sh("systemctl --failed --no-legend --plain"), "", "failed units")
        g.balloon(g.memory - ASKED)
        t.wait(lambda: abs(g.memory - g.balloon_actual() - ASKED) <= 2 * MIB, 60, "the balloon")


def says(t, g, *texts):
    def problem():
        status, text = g.run("balloonctl status --json")
        return status == 0 and json.loads(text)["problem"]

    with t.subtest("the daemon and balloonctl, for everybody, say why"):
        g.sh("systemctl start balloond", 60)
        said = t.wait(problem, 60, "the problem", 0.5)
        shown = g.sh(NOBODY + "balloonctl status")
        for text in (*texts, "the kernel's driver virtio_balloon has it meanwhile"):
            t.contains(said, text, "the daemon's problem")
            t.contains(shown, text, "balloonctl status")
        t.contains(shown, "is held by virtio_balloon", "balloonctl status")


def cannot_adopt(t, g, text):
    with t.subtest("adopt changes nothing, and says why"):
        status, said = g.run("balloonctl adopt", 60)
        t.equal(status, 1, f"exit status: {said}")
        t.contains(said, "cannot be loaded; nothing has changed: " + text, "balloonctl adopt")
        t.equal(holder(g), "virtio_balloon", "driver")
    g.balloon(g.memory)
    t.wait(lambda: g.balloon_actual() == g.memory, 60, "the balloon is empty")
    g.sh("systemctl stop balloond", 60)


def not_built(t, series):
    release = kernels.Kernel(series).release
    with debian.debian(t, series, modules=("virtio_balloon",), module=False, balloon=DEVICE,
                       name="absent") as g:
        t.on_failure(lambda: g.journal("balloond", 20) + g.journal("systemd-modules-load") +
                     g.run("balloonctl; lsmod")[1])
        stock_has_it(t, g)
        says(t, g, "uballoon is not built for this kernel: apt install uballoon-dkms linux-headers-" + release)
        cannot_adopt(t, g, "uballoon is not built for this kernel")


def refused(t, series):
    with debian.debian(t, series, modules=("virtio_balloon",), append="module.sig_enforce=1", balloon=DEVICE,
                       name="refused") as g:
        t.on_failure(lambda: g.journal("balloond", 20) + g.run("balloonctl; lsmod; dmesg | tail")[1])
        t.equal(g.read("/sys/module/module/parameters/sig_enforce").strip(), "Y", "sig_enforce")
        stock_has_it(t, g)
        says(t, g, "(lockdown or sig_enforce), and uballoon has no signature")
        cannot_adopt(t, g, "this kernel loads signed modules only")


for kernel in kernels.SERIES:
    tap.add(f"{kernel}: not built", not_built, kernel, timeout=400)
    tap.add(f"{kernel}: refused by its signature", refused, kernel, timeout=400)

if __name__ == "__main__":
    tap.main()
