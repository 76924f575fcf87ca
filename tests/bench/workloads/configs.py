# SPDX-License-Identifier: GPL-2.0-or-later
"""What guests are compared: the device, who drives it, and what is set up in the guest.

All that differs between two runs is here. Laws of the host act as on one that is short of memory all the
time, nine tenths of it in use whatever the guest gives: what they could take at most, down to a quarter of the guest's
RAM, and what that costs. The guest has all of its RAM at first, as one that has known better times: Proxmox VE
starts guests at their minimum.

Left out: the laws (laws.py, vm/guest/programs/reclaim.py), the programs (phases.py).
"""
import collections

from harness.programs import FOLDER

from . import laws

DEVICE = "virtio-balloon-pci,id=b0,guest-stats-polling-interval=2,deflate-on-oom={oom},free-page-reporting={reporting}"
STOCK = DEVICE.format(oom="off", reporting="on")
OURS = DEVICE.format(oom="on", reporting="on")
# What an administrator lets the host's laws take: down to this share of the guest's RAM.
LEAST_SHARE = 4

# device: QEMU's, or None. project: is ours installed? setup: shell in the guest. unit: of systemd, that must live through
# it. law: of the host, or None. module: with uballoon.ko, where ours is installed.
Config = collections.namedtuple("Config", "name device project setup unit law says module",
                                defaults=(False, "", "", None, "", True))

ALL = (
    Config("none", None, says="no balloon device"),
    Config("reporting", STOCK, says="the kernel's virtio_balloon with free page reporting"),
    Config("reporting + reclaim", STOCK,
           setup=f"systemd-run --quiet --unit=reclaim -p OOMScoreAdjust=-900 python3 /{FOLDER}/reclaim.py",
           unit="reclaim",
           says="the same, and senpai's law through memory.reclaim in the guest"),
    Config("Proxmox's law", STOCK, law=laws.Proxmox, says="the kernel's driver, driven by Proxmox VE's law over QMP"),
    Config("MOM's law", STOCK, law=laws.Mom, says="the kernel's driver, driven by oVirt MOM's law over QMP"),
    Config("no module", STOCK, project=True, setup="systemctl enable --quiet --now balloond", unit="balloond", module=False,
           says="balloond without uballoon.ko: it pushes cold cache out, the kernel's driver reports what is free"),
    Config("balloond", OURS, project=True, setup="systemctl enable --quiet --now balloond", unit="balloond",
           says="default settings"),
)
NAMES = tuple(c.name for c in ALL)


def named(name):
    return next(c for c in ALL if c.name == name)


def least(ram):
    return ram // LEAST_SHARE
