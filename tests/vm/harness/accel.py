# SPDX-License-Identifier: GPL-2.0-or-later
"""Chooses QEMU's accelerator: KVM only where a guest has really run with it.

/dev/kvm may open and guests hang all the same (nested virtualisation), and
QEMU does not fall back by itself. So a small guest must print its marker
within PROBE_S seconds; the answer is kept for this boot of the machine.
"""
import os
import subprocess
import tempfile
import time

from .paths import cache, locked

PROBE_S = 10


def _key():
    with open("/proc/sys/kernel/random/boot_id") as f:
        return f.read().strip()


def choose():
    """"kvm" or "tcg"."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    path = cache("accel")
    with locked("accel"):
        try:
            with open(path) as f:
                key, answer = f.read().split()
            if key == _key():
                return answer
        except (OSError, ValueError):
            pass
        answer = "kvm" if probe() else "tcg"
        with open(path, "w") as f:
            f.write(f"{_key()} {answer}\n")
        return answer


def probe():
    """Boots the 6.1 kernel into an init that prints a word; True if the word came in time."""
    from . import micro
    from .kernels import Kernel
    word = "kvm-probe-guest-ran"
    with tempfile.TemporaryDirectory(prefix="vmtest-") as tmp:
        initrd = os.path.join(tmp, "initrd")
        with open(initrd, "wb") as f:
            f.write(micro.busybox_archive(f"#!/bin/sh\necho {word} > /dev/ttyS0\npoweroff -f\n").bytes())
        console = os.path.join(tmp, "console")
        qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults", "-display", "none",
             "-no-reboot", "-kernel", Kernel("6.1").image, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1",
             "-chardev", f"file,id=c,path={console}", "-serial", "chardev:c"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + PROBE_S
            while time.monotonic() < end and qemu.poll() is None:
                if _contains(console, word):
                    return True
                time.sleep(0.1)
            return _contains(console, word)
        finally:
            qemu.kill()
            qemu.wait()


def _contains(path, word):
    try:
        with open(path, errors="replace") as f:
            return word in f.read()
    except OSError:
        return False
