# SPDX-License-Identifier: GPL-2.0-or-later
"""A micro guest that believes in VMware, with a monitor that answers it.

    with vmware(t, "6.12", drivers=("uballoon",)) as (guest, monitor):
        guest.sh("insmod /lib/modules-test/uballoon.ko")
        with monitor.script() as hv:
            hv.target = 1000
        ...
    # the end checks unload the drivers; then there must be no violation

The kernel recognises VMware by the serial number in the firmware tables and by
the port that QEMU does emulate, but only where no other hypervisor shows
itself, hence the CPU without the hypervisor bit. Emulation always: KVM has too
few hardware breakpoints. The address of do_init_module() is read in the
guest; nokaslr keeps logs of several boots comparable.

Left out: anything about drivers; that is the suites' matter.
"""
import contextlib
import os
import shutil
import tempfile

from harness import kernels, micro

from .gdbstub import GdbStub
from .guestram import GuestRam
from .hypervisor import Hypervisor
from .monitor import Monitor

MIB = 1 << 20


def module_bytes(kernel, name):
    """A driver of the distribution's kernel, or one that is built here."""
    if name == "uballoon":
        with open(micro.uballoon(kernel), "rb") as f:
            return f.read()
    return kernel.module(name)


@contextlib.contextmanager
def vmware(t, series, drivers, memory=1024 * MIB, cpus=2, files=(), unload=(), append="", **script):
    """(guest, monitor). @script are fields of Hypervisor; @unload are modules to end with
    besides the drivers."""
    kernel = kernels.Kernel(series)
    folder = tempfile.mkdtemp(prefix="vmware-")
    t.defer(shutil.rmtree, folder, True)
    ram = GuestRam(memory)
    t.defer(ram.close)
    gdb_path = os.path.join(folder, "gdb")
    guest = micro.guest(
        series, "vmware", files=files, memory=memory, cpus=cpus, balloon=None, accelerator="tcg",
        machine="pc,vmport=on,memory-backend=ram0", cpu="qemu64,-hypervisor,+rdrand",
        append=f"nokaslr {append}",
        devices=[["-object", ram.qemu_object()], ["-smbios", "type=1,product=VMware Virtual Platform,serial=VMware-123456"],
                 ["-gdb", f"unix:{gdb_path},server=on,wait=off"]])
    t.defer(guest.kill)
    t.on_failure(guest.console_tail)
    guest.start()
    t.contains(guest.dmesg(), "Hypervisor detected: VMware", "kernel log")
    symbol = guest.sh("grep ' do_init_module$' /proc/kallsyms", timeout=60)

    monitor = Monitor(GdbStub.connect(gdb_path), Hypervisor(ram, **script))
    t.defer(monitor.close)
    t.on_failure(monitor.describe)
    for driver in drivers:
        monitor.watch(driver, module_bytes(kernel, driver))
    monitor.start(int(symbol.split()[0], 16))

    yield guest, monitor

    micro.count(guest, (*drivers, *unload))
    with t.subtest("verdict of the guest"):
        guest.finish((*drivers, *unload))
    with t.subtest("no violation"):
        hv = monitor.hypervisor
        hv.verify()
        t.equal([str(v) for v in hv.violations[:5]], [], f"violations ({len(hv.violations)}, the first of them)")
        t.equal(hv.locked, 0, "pages that the host still has")
