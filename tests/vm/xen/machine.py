# SPDX-License-Identifier: GPL-2.0-or-later
"""One emulated machine with Xen on it: QEMU, its monitor, and its saved state.

Starts QEMU with the hypervisor, dom0's kernel and its initial file system,
either from the beginning or from a state that was saved before. What makes up
the machine is the same in both cases, as a restore demands.

Choices that are not obvious:
 - The CPU has rdrand (without it `xl create` waits for entropy for seconds), and
   is an AMD one: no page table isolation in Xen or its guests, and the
   virtualisation that QEMU emulates, for PVH guests.
 - dom0 has one virtual CPU on a machine of two: with two it is slower and uneven.
 - The machine is stopped while its state is saved. A migration of a running one
   lost pages that were written meanwhile, under emulation.
 - A restore needs -kernel (its option ROM is part of the memory map), but not
   the 120 MB of initial file system.
 - Never KVM: Xen's guests would be the third level.

Left out: what runs inside (lab.py).
"""
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from harness.control import PATIENCE, RUN, Control
from harness.paths import HarnessError
from harness.qmp import Qmp, QmpError

XEN_OPTIONS = ("console=com1 com1=115200,8n1 loglvl=error guest_loglvl=error "
               "dom0_mem=384M,max:384M dom0_max_vcpus=1 spec-ctrl=no bootscrub=0")
DOM0_OPTIONS = "console=hvc0 rdinit=/init panic=-1 loglevel=5 mitigations=off"
HARDWARE = ("-accel", "tcg,thread=multi,tb-size=128", "-cpu", "qemu64,+rdrand,+svm,+npt", "-m", "1024", "-smp", "2",
            "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-no-reboot")
# What Linux takes for the system request key on a console, and swallows.
SYSRQ = 0x0f


def version():
    """The emulator's version: a saved state is only good for the one that wrote it."""
    qemu = shutil.which("qemu-system-x86_64")
    if not qemu:
        raise HarnessError("qemu-system-x86_64 is not installed; run ./bootstrap deps")
    return subprocess.run([qemu, "--version"], stdout=subprocess.PIPE, text=True, timeout=60).stdout


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)     # PR_SET_PDEATHSIG


class ConsoleControl(Control):
    """A control channel over a guest's console: never sends the byte SYSRQ. Carries commands, not files."""

    def _job(self, what, timeout):
        while SYSRQ in self._next.to_bytes(4, "little"):
            self._next += 1
        return super()._job(what, timeout)

    def _send(self, kind, ident, arg, data=b""):
        if kind == RUN:
            while SYSRQ in arg.to_bytes(4, "little"):
                arg += 1
            while SYSRQ in len(data).to_bytes(4, "little"):
                data += b" "
        if SYSRQ in data:
            raise HarnessError("a console does not carry binary data")
        super()._send(kind, ident, arg, data)


# One control channel each.
DOMAINS = {"dom0": Control, "domu": ConsoleControl}


class Machine:
    """Running from the start. control: {domain: Control}."""

    def __init__(self, log, xen, boot=None, state=None, lifetime=600):
        """@xen: hypervisor. @boot: (dom0's kernel, its initramfs), or else @state: a file of save().
        @log: where the console goes."""
        # Socket paths are limited to about 100 characters, and QEMU's lists of files know no
        # quotes: everything gets a short name in a directory of its own.
        self._dir = tempfile.mkdtemp(prefix="vmtest-")
        os.makedirs(os.path.dirname(log), exist_ok=True)
        self.log, self.control, self.qmp = log, {}, None
        argv = ["qemu-system-x86_64", *HARDWARE, "-kernel", self._link("xen", xen), "-append", XEN_OPTIONS,
                "-chardev", f"file,id=console,path={self._link('log', log)}", "-serial", "chardev:console",
                "-qmp", "unix:qmp,server=on,wait=off", "-device", "virtio-serial-pci,id=serial0"]
        for name in DOMAINS:
            argv += ["-chardev", f"socket,id={name},path={name},server=on,wait=off",
                     "-device", f"virtserialport,bus=serial0.0,chardev={name},name={name}"]
        if state:
            argv += ["-incoming", f"exec:exec cat {self._link('state', state)}"]
        else:
            argv += ["-initrd", f"{self._link('kernel', boot[0])} {DOM0_OPTIONS},{self._link('initrd', boot[1])}"]
        self._stderr = open(os.path.join(self._dir, "stderr"), "w+")
        self.process = subprocess.Popen(argv, cwd=self._dir, stdin=subprocess.DEVNULL, stdout=self._stderr,
                                        stderr=self._stderr, preexec_fn=_die_with_parent)
        self._timer = threading.Timer(lifetime * PATIENCE, self.process.kill)
        self._timer.daemon = True
        self._timer.start()
        try:
            self.qmp = Qmp(f"{self._dir}/qmp")
            for name, control in DOMAINS.items():
                self.control[name] = control(f"{self._dir}/{name}")
            if state:
                self._await(lambda: self.qmp("query-status")["status"] != "inmigrate", 60, "restore")
                self.qmp("cont")                # saved stopped, so restored stopped
        except (OSError, QmpError, HarnessError) as e:
            with open(self._stderr.name) as f:
                text = f.read().strip()
            self.kill()
            raise HarnessError(f"QEMU did not start: {e}; it said: {text}") from None

    def _link(self, name, target):
        os.symlink(os.path.abspath(target), os.path.join(self._dir, name))
        return name

    def _await(self, ready, timeout, what):
        end = time.monotonic() + timeout * PATIENCE
        while not ready():
            if time.monotonic() > end or not self.alive():
                raise HarnessError(f"{what}: no end after {timeout} s, or QEMU has gone")
            time.sleep(0.02)

    def save(self, path):
        """Stops the machine, writes its state to @path and ends it."""
        self.qmp("stop")
        # Unlimited: the machine stands still for as long as this takes.
        self.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        os.symlink(os.path.abspath(path), os.path.join(self._dir, "saved"))
        self.qmp("migrate", uri="exec:exec cat >saved")
        self._await(lambda: self.qmp("query-migrate")["status"] in ("completed", "failed"), 120, "save")
        if self.qmp("query-migrate")["status"] != "completed":
            raise HarnessError("QEMU cannot save its state")
        self.qmp("quit")
        self.process.wait(60)
        self.kill()

    def alive(self):
        return self.process.poll() is None

    def console(self):
        """What hypervisor and dom0's kernel have said."""
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def kill(self):
        """Ends QEMU whatever its state; harmless if it has ended."""
        for control in self.control.values():
            control.close()
        if self.qmp:
            self.qmp.close()
            self.qmp = None
        self._timer.cancel()
        if self.alive():
            self.process.kill()
        self.process.wait()
        self._stderr.close()
        shutil.rmtree(self._dir, ignore_errors=True)
