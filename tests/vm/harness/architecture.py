# SPDX-License-Identifier: GPL-2.0-or-later
"""What is different about a guest of another architecture: compiler, machine, ports.

The architecture is that of a kernel (kernels.py), named as Debian names it, and all else asks the
kernel for it. The machine of an arm64 guest is always emulated.

Left out: packages and roots of a foreign architecture (archive.py).
"""
from typing import NamedTuple


class Architecture(NamedTuple):
    name: str           # in Debian
    family: str         # as meson calls it
    triple: str         # folder of its libraries
    loader: str         # of dynamic programs
    prefix: str         # of compiler and binutils
    qemu: str
    machine: str
    cpu: str            # when it is emulated
    console: str        # as the kernel's command line has it
    verdict: str        # device of the port that the verdict goes to, in the guest
    port: str           # option of QEMU that makes this port, of the chardev "verdict"


AMD64 = Architecture(
    name="amd64", family="x86_64", triple="x86_64-linux-gnu", loader="lib64/ld-linux-x86-64.so.2", prefix="",
    qemu="qemu-system-x86_64", machine="pc", cpu="qemu64,+rdrand", console="ttyS0",
    verdict="/dev/ttyS1", port="-serial chardev:verdict")
# The machine has but one serial port of its own. The CPU is one that has pages of 16 KiB, too.
ARM64 = Architecture(
    name="arm64", family="aarch64", triple="aarch64-linux-gnu", loader="lib/ld-linux-aarch64.so.1",
    prefix="aarch64-linux-gnu-", qemu="qemu-system-aarch64", machine="virt,gic-version=3", cpu="neoverse-n1",
    console="ttyAMA0", verdict="/dev/ttyS0", port="-device pci-serial,chardev=verdict")
NATIVE = AMD64.name
ARCHITECTURES = {a.name: a for a in (AMD64, ARM64)}


def of_flavour(flavour):
    """The architecture of a kernel's @flavour: "arm64-16k", "cloud-amd64"."""
    return next(a for a in ARCHITECTURES.values() if a.name in flavour.split("-"))


def page_bytes(flavour):
    """The page of a kernel of that @flavour."""
    return 16384 if flavour.endswith("-16k") else 4096
