# SPDX-License-Identifier: GPL-2.0-or-later
"""The Xen lab: a real hypervisor, a real dom0, and a PV or PVH guest that runs our module.

    with lab(t, "6.1", "pv") as xen:
        xen.domu.sh("ubtool info")
        xen.mem_set(200)                # xl mem-set
        xen.memory_mib()                # xl list
    # leaving the block runs the guest's end checks and demands that they pass

Built once for what goes into it, all in the cache: the packages (packages.py),
the initial file systems of dom0 and of the guest, and the state of the machine
when both were up (machine.py). Each test gets that state anew in a second, so
no test inherits anything from another. What changes makes another state: the
module and the programs under test are part of the guest's file system, because
its console, the only way in, carries 7 KB a second.

The guest is like the micro guest of the harness: a stock cloud kernel, busybox,
agent, end checks. On top of it balloond with a system bus of its own. It has no
disk and no network; swap is zram.

Left out: more than one guest, those with emulated hardware.
"""
import contextlib
import glob
import gzip
import os
import re
import secrets
import shutil
import time

from harness import kernels, libraries, micro
from harness.control import GuestDied
from harness.debian import build_dir
from harness.guest import Guest, VerdictError
from harness.paths import LOGS, VM, HarnessError, cache, digest, locked, scratch
from harness.reports import complaints

from . import machine
from .packages import Packages
from .vmlinux import vmlinux

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = os.path.join(HERE, "guest")
MEMORY_MIB = 384                        # as in guest/domu.cfg
DOM0_MODULES = ("xen_evtchn", "xen_privcmd", "xen_gntdev", "xen_gntalloc", "xenfs", "virtio_pci", "virtio_console")
# The module under test names symbols of the virtio core.
DOMU_MODULES = ("virtio", "virtio_ring", "lzo", "lzo_rle", "zram")
TOOLSTACK = ("xl", "xenstored", "xenconsoled", "xen-init-dom0")
XENSTORE = ("read", "write", "ls")
# What runs in the guest besides the module: (name there, path here).
PROGRAMS = (("usr/bin/balloond", "{build}/daemon/balloond"), ("usr/bin/balloonctl", "{build}/daemon/ctl/balloonctl"),
            ("usr/bin/dbus-daemon", "/usr/bin/dbus-daemon"))
BOOT_TIMEOUT_S = 120
SYSFS = "/sys/devices/system/xen_memory/xen_memory0"


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def _script(name):
    return _read(os.path.join(FILES, name))


def _add_modules(archive, kernel, names):
    for i, (name, data) in enumerate(kernel.closure(names)):
        archive.file(f"lib/modules-boot/{i:02}-{name}.ko", data)


def _domu(kernel):
    archive = micro.busybox_archive(_script("domu-init").decode())
    archive.file("usr/lib/vmtest/agent", _read(micro.agent()), 0o755)
    for name in ("finish", "baseline"):
        archive.file(f"usr/lib/vmtest/{name}", _read(os.path.join(VM, "guest", name)), 0o755)
    _add_modules(archive, kernel, DOMU_MODULES)
    archive.file("lib/modules-test/uballoon.ko", _read(micro.uballoon(kernel)))
    archive.file("bin/ubtool", _read(micro.ubtool()), 0o755)
    libraries.add(archive, [(name, path.format(build=build_dir())) for name, path in PROGRAMS])
    archive.file("etc/dbus.conf", _script("dbus.conf"))
    # The D-Bus daemon looks its clients up.
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\n")
    return archive.bytes()


def _dom0(packages, kernel, kind, initrd):
    tree, private = packages.tree, f"usr/lib/xen-{packages.version}/bin/"
    archive = micro.busybox_archive(_script("dom0-init").decode())
    for folder in ("var/lib", "var/log"):
        archive.dir(folder)
    for name in ("port", "connect"):
        archive.file(f"bin/{name}", _script(name), 0o755)
    archive.file("usr/lib/vmtest/agent", _read(micro.agent()), 0o755)
    libraries.add(archive, [(private + n, f"{tree}/{private}{n}") for n in TOOLSTACK] +
                  [(f"bin/xenstore-{n}", f"{tree}/usr/bin/xenstore-{n}") for n in XENSTORE], tree)
    for name in TOOLSTACK:
        archive.symlink(f"bin/{name}", f"/{private}{name}")
    # Opened by name: see packages.py.
    archive.file("lib/x86_64-linux-gnu/libgcc_s.so.1", _read(f"{tree}/lib/x86_64-linux-gnu/libgcc_s.so.1"))
    _add_modules(archive, packages.kernel, DOM0_MODULES)
    archive.file("etc/xen/xl.conf", b'autoballoon="off"\n')    # only tests move memory
    archive.file("lib/modules-test/uballoon.ko", _read(micro.uballoon(packages.kernel)))
    archive.file("bin/ubtool", _read(micro.ubtool()), 0o755)
    archive.file("domu/cfg", _script("domu.cfg").replace(b"@TYPE@", kind.encode()))
    archive.file("domu/kernel", vmlinux(kernel.image))
    archive.file("domu/initrd", initrd)
    return archive.bytes()


def build(series, kind):
    """Folder with hypervisor and saved state for a guest of @kind ("pv", "pvh") with the kernel @series."""
    started = time.monotonic()
    packages, kernel = Packages(), kernels.Kernel(series)
    initrd = _domu(kernel)
    key = digest(packages.tree, kernel.release, initrd, _read(micro.agent()), machine.version(),
                 *(_script(n) for n in sorted(os.listdir(FILES))),
                 *((n, os.path.join(HERE, n)) for n in ("lab.py", "machine.py")))
    path = cache("xen", f"state-{series}-{kind}-{key}")
    with locked("xen-state"):
        if os.path.exists(path):
            return path
        with scratch(path) as tmp:
            xen, dom0, cpio = (os.path.join(tmp, n) for n in ("xen", "dom0", "dom0.cpio"))
            with gzip.open(f"{packages.tree}/boot/xen-{packages.version}-amd64.gz") as f, open(xen, "wb") as out:
                shutil.copyfileobj(f, out)
            with open(dom0, "wb") as f:
                f.write(vmlinux(packages.kernel.image))
            with open(cpio, "wb") as f:
                f.write(_dom0(packages, kernel, kind, initrd))
            print(f"# Xen {packages.version}, dom0 {packages.kernel.release}, {kind} guest {kernel.release}: "
                  f"built in {time.monotonic() - started:.1f} s", flush=True)
            _save(tmp, xen, dom0, cpio)
            os.unlink(dom0)
            os.unlink(cpio)
            for old in glob.glob(cache("xen", f"state-{series}-{kind}-*")):
                shutil.rmtree(old)
            os.mkdir(path)
            for name in ("xen", "state"):
                os.rename(os.path.join(tmp, name), os.path.join(path, name))
    return path


def _save(folder, xen, dom0, cpio):
    started = time.monotonic()
    m = machine.Machine(os.path.join(LOGS, "xen-boot.log"), xen, boot=(dom0, cpio))
    try:
        m.control["dom0"].ready.wait(BOOT_TIMEOUT_S)
        dom0_s = time.monotonic() - started
        x = Xen(m)
        x.dom0.sh("xl create /domu/cfg && connect domu", BOOT_TIMEOUT_S)
        m.control["domu"].ready.wait(BOOT_TIMEOUT_S)
        x.domu.sh("true")
        domu_s = time.monotonic() - started
        time.sleep(1.5)                 # let what is left of the boot settle
        m.save(os.path.join(folder, "state"))
    except GuestDied as e:
        raise HarnessError(f"the Xen machine does not boot: {e}; console:\n{Xen(m).console_tail()}") from None
    finally:
        m.kill()
    print(f"# booted: dom0 in {dom0_s:.1f} s, guest in {domu_s:.1f} s; "
          f"state saved in {time.monotonic() - started - domu_s:.1f} s", flush=True)


class Domain:
    """The inside of a domain, with the calls of the harness's Guest."""

    spawn, run, sh, put, read = Guest.spawn, Guest.run, Guest.sh, Guest.put, Guest.read
    patience, spares = Guest.patience, Guest.spares
    meminfo, vmstat, oom_kills, dmesg = Guest.meminfo, Guest.vmstat, Guest.oom_kills, Guest.dmesg

    def __init__(self, name, control):
        self.name, self._control = name, control

    def _demand(self):
        if self._control.closed:
            raise GuestDied(f"{self.name} is not running")


class Xen:
    """A running machine: dom0, domu (a Domain each), and what the host does to the guest."""

    def __init__(self, m):
        self.machine = m
        self.dom0 = Domain("dom0", m.control["dom0"])
        self.domu = Domain("domu", m.control["domu"])
        # A PVH guest's kernel does not count some pages that the host gave it.
        self.unseen_kib = 0

    def mem_set(self, mib):
        """xl mem-set: what the guest shall have; sets its maximum, too."""
        self.dom0.sh(f"xl mem-set domu {mib}")

    def memory_mib(self):
        """What the guest has, as the host sees it."""
        return int(re.search(r"^domu\s+\d+\s+(\d+)", self.dom0.sh("xl list"), re.M)[1])

    def driver_kib(self, name="info/current_kb"):
        """The state of the guest's own Xen balloon driver, "info/current_kb" or "target_kb", as the host counts."""
        return int(self.domu.read(f"{SYSFS}/{name}")) + self.unseen_kib

    def console_tail(self):
        """Last words of both domains."""
        text = self.machine.console()[-2000:]
        if self.machine.alive():
            try:
                text += "\n" + self.dom0.run("tail -c 4000 /var/log/xen/console/guest-domu.log")[1]
            except GuestDied:
                pass
        # The guest's console carries the control channel, too.
        return re.sub(r"[^\x20-\x7e\n]+", " ", text) + f"\n(all of dom0: {self.machine.log})"

    def finish(self, modules=("uballoon",), tolerance_kib=4096):
        """End checks of the guest: modules unload, memory is back, the kernel has no complaint.

        Only when all is well does the guest say the word that it was given for this; else VerdictError."""
        word = secrets.token_hex(16)
        try:
            said = self.domu.run(f"echo {word} >/run/vmtest/verdict; VERDICT=/proc/self/fd/1 "
                                 f"/usr/lib/vmtest/finish {tolerance_kib} {' '.join(modules)}", 90)[1]
        except GuestDied as e:
            said = str(e)
        problems = complaints(self.machine.console(), modules)
        if said.split()[-1:] != [word] or problems:
            raise VerdictError("\n".join(problems + [said]))


@contextlib.contextmanager
def lab(t, series, kind):
    """A Xen for the case @t, guest of @kind with the kernel @series; its end checks are a subtest."""
    path = build(series, kind)
    log = os.path.join(LOGS, f"xen-{series}-{kind}-{os.getpid()}-{secrets.token_hex(2)}.log")
    m = machine.Machine(log, os.path.join(path, "xen"), state=os.path.join(path, "state"))
    t.defer(m.kill)
    x = Xen(m)
    t.on_failure(x.console_tail)
    x.unseen_kib = MEMORY_MIB * 1024 - x.driver_kib()
    yield x
    with t.subtest("verdict of the guest"):
        x.finish()
    m.kill()
