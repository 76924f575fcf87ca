# SPDX-License-Identifier: GPL-2.0-or-later
"""What is different about a guest of another architecture: compiler, machine, ports.

The architecture is that of a kernel (kernels.py), named as Debian names it, and all else asks the
kernel for it. The machine of an arm64 guest is always emulated.

Left out: packages and roots of a foreign architecture (archive.py).
"""
from typing import NamedTuple


class Architecture(NamedTuple):
    name: str           # in Debian
    prefix: str         # of compiler and binutils
    qemu: str
    machine: str
    cpu: str            # when it is emulated
    console: str        # as the kernel's command line has it
    verdict: str        # device of the port that the verdict goes to, in the guest
    port: str           # option of QEMU that makes this port, of the chardev "verdict"


AMD64 = Architecture("amd64", "", "qemu-system-x86_64", "pc", "qemu64,+rdrand", "ttyS0", "/dev/ttyS1",
                     "-serial chardev:verdict")
# The machine has but one serial port of its own. The CPU is one that has pages of 16 KiB, too.
ARM64 = Architecture("arm64", "aarch64-linux-gnu-", "qemu-system-aarch64", "virt,gic-version=3", "neoverse-n1",
                     "ttyAMA0", "/dev/ttyS0", "-device pci-serial,chardev=verdict")
NATIVE = AMD64.name
ARCHITECTURES = {a.name: a for a in (AMD64, ARM64)}


def of_flavour(flavour):
    """The architecture of a kernel's @flavour: "arm64-16k", "cloud-amd64"."""
    return next(a for a in ARCHITECTURES.values() if a.name in flavour.split("-"))


def page_bytes(flavour):
    """The page of a kernel of that @flavour."""
    return 16384 if flavour.endswith("-16k") else 4096
