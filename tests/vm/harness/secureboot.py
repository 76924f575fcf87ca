# SPDX-License-Identifier: GPL-2.0-or-later
"""Secure Boot as a machine with Debian has it, and keys of an owner.

    box = SecureBoot(t.defer)
    g = debian.guest("6.12", boot=box.boot, machine=MACHINE, module=key.sign(kernel, ko), ...)
    ...
    box.enroll(g, key)        # the guest has asked for it by mokutil, and has ended

Nothing in the chain is signed by us but the module: OVMF has Microsoft's keys and verifies shim,
shim has Debian's and verifies GRUB and, for GRUB, Debian's kernel. Firmware variables are in a copy
of OVMF's, which stays the same from boot to boot of one SecureBoot.

An owner's key is enrolled as an owner does it: MokManager asks on screen, and keys are pressed.
Only it can write shim's list, which the running system cannot.

Left out: Secure Boot with other keys than Microsoft's, lists of what is forbidden, TPMs.
"""
import os
import re
import shutil
import tempfile
import time

from .archive import Archive
from .guest import qemu_path
from .paths import HarnessError, cache, command, digest, locked, scratch

# SMM keeps the system from writing firmware variables but by the firmware's own code.
MACHINE = "q35,smm=on"
OVMF = "/usr/share/OVMF"
CODE, VARIABLES = f"{OVMF}/OVMF_CODE_4M.secboot.fd", f"{OVMF}/OVMF_VARS_4M.ms.fd"
# Not installed: their scripts would take this machine for one to be booted by them.
PACKAGES = ("shim-signed", "shim-helpers-amd64-signed", "grub-efi-amd64-signed")
BOOT_FILES = {
    "EFI/BOOT/BOOTX64.EFI": "usr/lib/shim/shimx64.efi.signed",
    "EFI/BOOT/mmx64.efi": "usr/lib/shim/mmx64.efi.signed",
    "EFI/BOOT/grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
}
PASSWORD = "balloon1"


def _boot_files():
    archive = Archive()
    root = cache("secureboot", digest(*(f"{name} {archive.version(name)}" for name in PACKAGES)))
    with locked("secureboot"):
        if not os.path.exists(root):
            archive.unpack(PACKAGES, root)
    return root


class Key:
    """An owner's key as DKMS makes one; certificate: the path of what is enrolled."""

    def __init__(self, folder, name):
        self.name = name
        self._key, self.certificate = f"{folder}/{name}.key", f"{folder}/{name}.pub"
        command(["openssl", "req", "-new", "-x509", "-nodes", "-days", "36500", "-newkey", "rsa:2048", "-subj",
                 f"/CN={name}", "-outform", "DER", "-keyout", self._key, "-out", self.certificate], "openssl req")

    def sign(self, kernel, module):
        """Path of a copy of @module that this key has signed, by the tool of @kernel's headers."""
        signed = f"{self._key}-{kernel.release}.ko"
        command([f"{kernel.headers}/scripts/sign-file", "sha256", self._key, self.certificate, module, signed],
                "sign-file")
        return signed


class SecureBoot:
    """One machine's firmware and boot partition, in a folder that goes when @defer says so."""

    def __init__(self, defer):
        if not os.path.exists(CODE):
            raise HarnessError(f"{CODE} is not there; run ./bootstrap systems")
        self.folder = tempfile.mkdtemp(prefix="vmtest-")
        defer(shutil.rmtree, self.folder, ignore_errors=True)
        self._esp, self._variables = f"{self.folder}/esp", f"{self.folder}/variables"
        shutil.copy(VARIABLES, self._variables)
        root = _boot_files()
        for name, path in BOOT_FILES.items():
            self._put(name, f"{root}/{path}")

    def _put(self, name, path):
        os.makedirs(os.path.dirname(f"{self._esp}/{name}"), exist_ok=True)
        shutil.copy(path, f"{self._esp}/{name}")

    def boot(self, image, initrd, line):
        """For Guest: a boot partition with these, and the firmware."""
        self._put("vmlinuz", image)
        self._put("initrd", initrd)
        with open(f"{self.folder}/grub.cfg", "w") as f:
            f.write(f"linux /vmlinuz {line}\ninitrd /initrd\nboot\n")
        self._put("EFI/debian/grub.cfg", f"{self.folder}/grub.cfg")
        return ["-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1",
                "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={CODE}",
                "-drive", f"if=pflash,unit=1,format=raw,file={qemu_path(self._variables)}",
                "-drive", f"if=none,id=esp,format=raw,file=fat:rw:{qemu_path(self._esp)}",
                "-device", "ide-hd,drive=esp,bootindex=0"]

    def enroll(self, g, limit):
        """Boots @g, which has ended after `mokutil --import`, into MokManager, and does what it asks for there."""
        g.kill()
        g._launch()
        end = time.monotonic() + limit
        # A space is no choice in any menu.
        _answer(g, end, "Press any key to perform MOK management", "spc", "Enroll MOK")
        _answer(g, end, None, "down ret", "Continue")
        _answer(g, end, None, "down ret", r"Enroll the key\(s\)\?")
        _answer(g, end, None, "down ret", "Password:")
        _answer(g, end, None, " ".join(PASSWORD) + " ret", "Reboot")
        _answer(g, end, None, "ret", None)
        g.process.wait(max(1, end - time.monotonic()))
        g.kill()


def _answer(g, end, screen, keys, then):
    """Waits for @screen, presses @keys, and waits for what shows @then."""
    if screen:
        _wait(g, end, 0, screen)
    seen = len(g.console())
    for key in keys.split():
        g.qmp("send-key", keys=[{"type": "qcode", "data": key}])
        time.sleep(0.2)
    if then:
        _wait(g, end, seen, then)


def _wait(g, end, seen, pattern):
    while not re.search(pattern, g.console()[seen:]):
        if time.monotonic() > end or not g.alive():
            raise HarnessError(f"MokManager does not show {pattern!r}:\n{g.console_tail()}")
        time.sleep(0.1)
