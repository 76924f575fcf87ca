# SPDX-License-Identifier: GPL-2.0-or-later
"""Which QEMU runs the guests: this machine's, or that of another Debian release.

One option, the environment variable BALLOOND_QEMU: unset or empty means the machine's own
qemu-system-x86_64; a number of NEWER means that one. Its packages with all that they depend on are
unpacked into the cache and run there with their own C library: nothing is installed, and root is
not needed.

Left out: the emulator of the Xen lab (xen/machine.py), whose saved states are for one QEMU.
"""
import functools
import os
import subprocess

from .architecture import AMD64
from .archive import Archive
from .paths import HarnessError, cache, digest, locked, replace, scratch

OPTION = "BALLOOND_QEMU"
PACKAGE = "qemu-system-x86"
# Major version -> the release that has it.
NEWER = {"10": "trixie"}
# Bytes that a guest has less with a newer one: its virtio-serial has queues of 1024 entries, each with a page.
CHANNEL = 16 << 20


def argv(arch=AMD64):
    """What a command line for QEMU begins with; the option is for guests of this machine's architecture."""
    wanted = os.environ.get(OPTION, "")
    if not wanted or arch is not AMD64:
        return [arch.qemu]
    if wanted not in NEWER:
        raise HarnessError(f"{OPTION}={wanted}: there is no such QEMU; there are: {' '.join(sorted(NEWER))}")
    return _inside(_unpacked(wanted))


def compensation():
    """Bytes of memory that make a small guest under argv() what it is under the machine's own."""
    return CHANNEL if os.environ.get(OPTION) else 0


def version():
    """Of the QEMU that argv() names, as (major, minor, patch)."""
    said = subprocess.run([*argv(), "--version"], text=True, stdout=subprocess.PIPE, check=True).stdout
    return tuple(int(n) for n in said.split()[3].split("(")[0].split("."))


def _inside(root):
    lib = f"{root}/usr/lib/x86_64-linux-gnu"
    # env and the loader become QEMU: one process, and its id is the one that was started.
    return ["env", f"QEMU_MODULE_DIR={lib}/qemu", f"{root}/usr/lib64/ld-linux-x86-64.so.2", "--library-path", lib,
            f"{root}/usr/bin/qemu-system-x86_64", "-L", f"{root}/usr/share/qemu", "-L", f"{root}/usr/share/seabios"]


@functools.lru_cache
def _unpacked(wanted):
    """The folder with the QEMU @wanted; made now if it is not cached."""
    archive = Archive(NEWER[wanted])
    names = archive.installed_with(PACKAGE)
    root = cache("qemu", f"{wanted}-{digest(*(f'{name} {version}' for name, version in names))}")
    with locked(f"qemu-{wanted}"):
        if not os.path.exists(root):
            with scratch(root) as tmp:
                archive.unpack([name for name, _ in names], f"{tmp}/root")
                said = subprocess.run([*_inside(f"{tmp}/root"), "--version"], text=True, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT).stdout
                if f" version {wanted}." not in said:
                    raise HarnessError(f"{NEWER[wanted]}'s {PACKAGE} is no QEMU {wanted}: {said.strip()}")
                replace(f"{tmp}/root", root, f"{wanted}-")
    return root
