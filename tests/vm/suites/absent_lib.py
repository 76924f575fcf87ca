# SPDX-License-Identifier: GPL-2.0-or-later
"""What guests without our module have in common: the kernel's own driver has the device, and we say why.

Left out: why the module is not there (absent.py, secure_boot.py).
"""
import json

from harness.guest import BALLOON

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
