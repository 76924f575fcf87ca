# SPDX-License-Identifier: GPL-2.0-or-later
"""Without our module: not built for the kernel, or refused by it. The kernel's own driver has the
device as if nothing of ours were installed, no unit fails, and status and the daemon say why.

modprobe.d and modules-load.d do what they do at a real boot: udev asks for the device's driver by
its alias, systemd-modules-load for ours by name. The host's view says that the other driver works.

Left out: Secure Boot itself (secure_boot.py).
"""
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                        # noqa: E402
from absent_lib import DEVICE, cannot_adopt, says, stock_has_it    # noqa: E402
from harness import debian, kernels                               # noqa: E402


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
