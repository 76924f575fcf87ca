# SPDX-License-Identifier: GPL-2.0-or-later
"""modprobe.d's install lines in an initramfs, which initramfs-tools makes and udev works in.

Debian's update-initramfs takes our file along. Whoever has virtio_balloon loaded there gets uballoon if that is
in the initramfs, and the kernel's own driver if not: then the machine boots as it would without us, and status
says how the device is handed over. What had the device in there is noted by a script of initramfs-tools.

Left out: initramfs by dracut; that the module's package has the initramfs made anew (packages.py).
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                             # noqa: E402
from absent_lib import holder                                          # noqa: E402
from harness import chroot, debian, kernels                            # noqa: E402
from harness.paths import HarnessError, cache, locked, replace, scratch    # noqa: E402

PACKAGES = debian.PACKAGES + ("initramfs-tools",)
NOTED = "/run/initramfs-noted"
NOTE = f"""\
#!/bin/sh
[ "$1" = prereqs ] && exit 0
for driver in virtio_balloon uballoon; do
	for device in /sys/bus/virtio/drivers/$driver/virtio*; do
		[ -e "$device" ] && echo "$driver" >> {NOTED}
	done
done
echo end >> {NOTED}
"""


def base(report):
    """Path of a cached root with initramfs-tools and the kernels' modules."""
    available = [kernels.Kernel(s) for s in kernels.SERIES]
    key = debian.settings_digest(*PACKAGES, *(k.release for k in available))
    root = cache("debian", f"initramfs-{key}")
    with locked("debian-initramfs"):
        if not os.path.exists(root):
            if os.geteuid() != 0:
                raise HarnessError("building the guest's root file system needs root")
            report("building a root with initramfs-tools (a minute or two, once)")
            with scratch(root) as tmp:
                debian.bootstrap(tmp + "/root", PACKAGES, available)
                replace(tmp + "/root", root, "initramfs-")
    return root


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # The copy's files are those of the cached root, too.
    if os.path.exists(path):
        os.unlink(path)
    with open(path, "w") as f:
        f.write(text)
        os.fchmod(f.fileno(), mode)


def machine(t, series, wanted):
    """A guest whose initramfs has the modules @wanted and loads them."""
    kernel = kernels.Kernel(series)
    root = chroot.Copy(t.defer, base(t.diag))
    debian.lay(root.path, kernel)
    write(f"{root.path}/boot/config-{kernel.release}",
          open(f"{os.path.dirname(kernel.image)}/config-{kernel.release}").read())
    write(f"{root.path}/etc/initramfs-tools/modules", "".join(f"{m}\n" for m in wanted))
    write(f"{root.path}/etc/initramfs-tools/scripts/init-bottom/note", NOTE, 0o755)
    t.diag(root.sh("update-initramfs", "-c", "-k", kernel.release, timeout=600))
    initrd = f"{root.path}/boot/initrd.img-{kernel.release}"
    listed = root.sh("lsinitramfs", f"/boot/initrd.img-{kernel.release}").splitlines()
    with t.subtest("update-initramfs takes the install lines, and only the modules that are asked for"):
        t.check(any(n.endswith("lib/modprobe.d/uballoon.conf") for n in listed), "uballoon.conf is in the initramfs")
        there = {os.path.basename(n).split(".ko")[0] for n in listed if ".ko" in n}
        t.equal(there & {"uballoon", "virtio_balloon"}, set(wanted), "modules in the initramfs")
    image = os.path.join(os.path.dirname(root.path), "image")
    debian.make_image(root.path, image)
    g = debian.guest(series, "initramfs", image=image, report=t.diag,
                     boot=lambda vmlinuz, _, line: ["-kernel", vmlinuz, "-initrd", initrd,
                                                    "-append", f"{line} root=/dev/vda rw"])
    t.defer(g.kill)
    t.on_failure(g.console_tail)
    t.on_failure(lambda: g.run(f"cat {NOTED}; lsmod; balloonctl; dmesg | tail")[1])
    g.start()
    return g


def status(t, g, condition):
    def look():
        code, text = g.run("balloonctl status --json")
        return code == 0 and condition(s := json.loads(text)) and s

    return t.wait(look, 120, "the status", 0.5)


def fallback(t, series):
    g = machine(t, series, ["virtio_balloon"])
    with t.subtest("without uballoon there, the kernel's own driver has the device, and the boot is as ever"):
        t.equal(g.read(NOTED), "virtio_balloon\nend\n", "the driver in the initramfs")
        t.equal(holder(g), "virtio_balloon", "driver")
        t.equal(g.sh("systemctl --failed --no-legend --plain"), "", "failed units")
    with t.subtest("status says how it is handed over, and that works"):
        g.sh("systemctl start balloond", 60)
        t.contains(g.sh("balloonctl status"), "balloonctl adopt hands it over to uballoon", "balloonctl status")
        g.sh("balloonctl adopt", 60)
        status(t, g, lambda s: s["host"] == "virtio" and not s["problem"])
        t.equal(holder(g), "uballoon", "driver")
        g.sh("systemctl stop balloond", 60)
    with t.subtest("verdict of the guest"):
        g.finish()


def ours(t, series):
    # Who asks for the other driver gets ours.
    g = machine(t, series, ["virtio_balloon", "uballoon"])
    with t.subtest("uballoon has the device from the initramfs on, and the other driver is not loaded"):
        t.equal(g.read(NOTED), "uballoon\nend\n", "the driver in the initramfs")
        t.equal(holder(g), "uballoon", "driver")
        t.equal(g.run("test -e /sys/module/virtio_balloon")[0], 1, "virtio_balloon")
        t.equal(g.sh("systemctl --failed --no-legend --plain"), "", "failed units")
    with t.subtest("balloond has it then"):
        g.sh("systemctl start balloond", 60)
        status(t, g, lambda s: s["host"] == "virtio" and not s["problem"])
        g.sh("systemctl stop balloond", 60)
    with t.subtest("verdict of the guest"):
        g.finish()


for kernel in kernels.SERIES:
    tap.add(f"{kernel}: the kernel's own driver in the initramfs", fallback, kernel, timeout=900)
    tap.add(f"{kernel}: uballoon in the initramfs", ours, kernel, timeout=900)

if __name__ == "__main__":
    tap.main()
