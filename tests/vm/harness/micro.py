# SPDX-License-Identifier: GPL-2.0-or-later
"""The micro guest: a stock kernel, busybox, our agent; nothing else runs.

Boots in a few seconds and is for tests of the module. The guest holds
virtio_balloon (not loaded), uballoon.ko and ubtool where the source tree has
them, under /lib/modules-test and /bin.
"""
import contextlib
import os

from . import emulator, kernels, module_coverage
from .archive import Archive as Packages
from .architecture import AMD64
from .cpio import Archive
from .guest import Guest, MIB
from .paths import TOP, VM, HarnessError, cache, digest, locked, prune

# Present in every guest; loaded by its init in this order.
BOOT_MODULES = ("virtio_ring", "virtio", "virtio_pci", "virtio_console")
# Present, left to the tests to load.
SPARE_MODULES = ("virtio_balloon", "virtio_blk", "zram")
SPARE_MODULES_OF = {"amd64": ("vmw_balloon",)}

# Enough for all suites of one state of the tree on all kernels.
INITRDS_KEPT = 40
BUSYBOX = "/bin/busybox"
UAPI = os.path.join(TOP, "kmod", "uapi")


def busybox(arch=AMD64):
    """Path of a static busybox for a guest of that architecture."""
    if arch is not AMD64:
        root = cache("guest", f"busybox-{arch.name}")
        with locked("guest"):
            if not os.path.exists(root):
                Packages(kernels.NEXT, architecture=arch.name).unpack(["busybox-static"], root)
        return os.path.join(root, "usr", "bin", "busybox")
    if not os.path.exists(BUSYBOX):
        raise HarnessError("busybox-static is not installed; run ./bootstrap deps")
    return BUSYBOX


def busybox_archive(init, arch=AMD64):
    """An archive with busybox and all its applets as links, and @init."""
    archive = Archive()
    for folder in ("proc", "sys", "dev", "run", "tmp", "etc", "root", "mnt", "sys/kernel/debug"):
        archive.dir(folder)
    archive.file("bin/busybox", _read(busybox(arch)), 0o755)
    for applet in ("sh", "mount", "poweroff"):
        archive.symlink(f"bin/{applet}", "busybox")
    archive.chardev("dev/console", 5, 1)
    archive.chardev("dev/ttyS0", 4, 64)
    archive.file("init", init.encode(), 0o755)
    return archive


def uballoon(kernel):
    """Path of uballoon.ko for @kernel, built now if need be."""
    options = {}
    if module_coverage.counts(kernel):
        options = {"arguments": module_coverage.COUNT, "keep": module_coverage.NOTES}
    return kernels.build_module(kernel, os.path.join(TOP, "kmod"), "uballoon", **options)


def agent(arch=AMD64):
    return kernels.build_static(os.path.join(VM, "guest", "agent.c"), "agent", arch=arch)


def ubtool(arch=AMD64):
    folder = os.path.join(VM, "guest")
    return kernels.build_static(os.path.join(folder, "ubtool.c"), "ubtool", (UAPI, folder), arch)


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def initrd(kernel, files=()):
    """Path of the initramfs for @kernel; @files is [(name in the guest, path outside, mode)]."""
    arch = kernel.arch
    contents = [("usr/lib/vmtest/agent", _read(agent(arch)), 0o755),
                ("usr/lib/vmtest/finish", _read(os.path.join(VM, "guest", "finish")), 0o755),
                ("usr/lib/vmtest/baseline", _read(os.path.join(VM, "guest", "baseline")), 0o755)]
    boot = kernel.closure(BOOT_MODULES)
    wanted = BOOT_MODULES + SPARE_MODULES + SPARE_MODULES_OF.get(arch.name, ())
    # One of ours has only what its suites need.
    spare = [m for m in kernel.closure(n for n in wanted if not kernel.built or kernel.has(n)) if m not in boot]
    for i, (name, data) in enumerate(boot):
        contents.append((f"lib/modules-boot/{i:02}-{name}.ko", data, 0o644))
    contents += [(f"lib/modules-test/{name}.ko", data, 0o644) for name, data in spare]
    if os.path.exists(os.path.join(TOP, "kmod", "Kbuild")):
        contents.append(("lib/modules-test/uballoon.ko", _read(uballoon(kernel)), 0o644))
    if os.path.exists(os.path.join(VM, "guest", "ubtool.c")):
        contents.append(("bin/ubtool", _read(ubtool(arch)), 0o755))
    contents += [(name, _read(path), mode) for name, path, mode in files]
    init = _read(os.path.join(VM, "guest", "init"))
    path = cache("initrd", digest(init, _read(busybox(arch)), _read(__file__),
                                  *(x for name, data, mode in contents for x in (f"{name} {mode}", data))))
    with locked("initrd"):
        if not os.path.exists(path):
            archive = busybox_archive(init.decode(), arch)
            for name, data, mode in contents:
                archive.file(name, data, mode)
            with open(path + ".tmp", "wb") as f:
                f.write(archive.bytes())
            os.rename(path + ".tmp", path)
            prune(os.path.dirname(path), INITRDS_KEPT)
    return path


def memory(kernel, size):
    """Bytes with which a guest with @kernel has what one with another kernel has with @size on the machine's QEMU."""
    return (kernel.built.room(size) if kernel.built else size) + emulator.compensation()


def guest(series, name="micro", files=(), **options):
    """A Guest, not started. @files as for initrd(), the rest as for Guest."""
    kernel = kernels.Kernel(series)
    options["memory"] = memory(kernel, options.get("memory", 512 * MIB))
    return Guest(f"{name}-{series.replace(' ', '-')}", kernel, initrd(kernel, files), **options)


def count(g, modules):
    """Leaves which lines of uballoon have run in @g, if it counts; @modules are unloaded for it.

    Before QEMU ends, and after what unloading does. If one does not unload, the end checks say so."""
    if not module_coverage.counts(g.kernel) or "uballoon" not in modules:
        return
    for module in modules:
        g.run(f"! grep -q '^{module} ' /proc/modules || rmmod {module}")
    module_coverage.collect(g, uballoon(g.kernel), os.path.join(module_coverage.FOLDER, os.path.basename(g.log)))


@contextlib.contextmanager
def micro(t, series, modules=("uballoon",), **options):
    """A running micro guest for the case @t; its end checks are a subtest ("verdict").

    The end checks unload @modules (those that are loaded)."""
    g = guest(series, **options)
    t.defer(g.kill)
    t.on_failure(g.console_tail)
    g.start()
    yield g
    count(g, modules)
    with t.subtest("verdict of the guest"):
        g.finish(modules)
