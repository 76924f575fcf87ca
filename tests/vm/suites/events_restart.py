# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that starts over with a full balloon: reset by its host, kexec, and a crash with a dump.

Afterwards the guest has all of its memory, the host sees an empty balloon, and it can be filled again. The dump of a
crash is made by a kernel that was kept for it, from /proc/vmcore, and does not have the balloon's pages in it;
crash(8) opens it and finds the kernel in order.

The debug symbols that crash needs are Debian's, of the kernel of this machine's release. Left out: kdump-tools and
kexec-tools; dumps of the newest kernel, which the makedumpfile of this machine does not know.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import kernels as kernel_files                           # noqa: E402
from harness import libraries, micro                                  # noqa: E402
from harness.archive import Archive                                   # noqa: E402
from harness.guest import APPEND, qemu_path                           # noqa: E402
from harness.paths import VM, cache, command, locked, replace, scratch   # noqa: E402
from kmod_lib import MIB, PAGES_PER_MIB, Balloon, kernels             # noqa: E402

RAM = 1024 * MIB
FULL_MIB = 400
ASKED_MIB = 120
LINE = f"console=ttyS0 {APPEND}"
# What the guest of a crash may keep for the kernel that looks at it.
CRASH_KERNEL = "crashkernel=256M"
DUMP_MIB = 512


def kexec(series):
    """Files of a guest that can start another kernel: itself once more."""
    kernel = kernels.Kernel(series)
    tool = kernel_files.build_static(os.path.join(VM, "guest", "kexec.c"), "kexec")
    return [("bin/kexec", tool, 0o755), ("boot/vmlinuz", kernel.image, 0o644),
            ("boot/initrd", micro.initrd(kernel), 0o644)]


def fill(b):
    b.load()
    b.lock("2m", FULL_MIB - 50)
    b.lock("4k", 50)
    b.t.equal(b.actual_mib(), FULL_MIB, "MiB, as the host sees it")


def is_new(t, b, total):
    """The guest that has started over has everything, and its balloon works."""
    g = b.g
    t.equal(g.run("test -e /sys/module/uballoon")[0], 1, "the module is not there yet")
    t.equal(g.meminfo()["MemTotal"], total, "MemTotal")
    t.equal(b.tool("hog 700M", timeout=200)[0]["rc"], "OK", "memory that is touched, more than was left")
    b.load()
    t.equal((b.state()["size_pages"], b.actual_mib()), (0, 0), "size, and as the host sees it")
    updated = g.guest_stats()["last-update"]
    t.wait(lambda: g.guest_stats()["last-update"] > updated, 30, "statistics")
    fill_again(t, b)


def fill_again(t, b):
    b.lock("2m", FULL_MIB)
    t.equal(b.actual_mib(), FULL_MIB, "MiB, as the host sees it")
    b.balanced()
    b.ok("pop")


def reset(t, series):
    with micro.micro(t, series, memory=RAM) as g:
        b = Balloon(t, g)
        total = g.meminfo()["MemTotal"]
        fill(b)
        g.balloon(g.memory - ASKED_MIB * MIB)
        t.wait(lambda: b.state()["host_target_pages"] == ASKED_MIB * PAGES_PER_MIB, 20, "the host's target")
        # Else QEMU ends.
        g.qmp("set-action", reboot="reset")
        g.qmp("system_reset")
        g.starts_over()
        g.qmp("set-action", reboot="shutdown")
        is_new(t, b, total)
        t.equal(b.state()["host_target_pages"], ASKED_MIB * PAGES_PER_MIB, "what the host has asked for still")
        g.balloon(g.memory)


def restart(t, series):
    with micro.micro(t, series, memory=RAM, files=kexec(series)) as g:
        b = Balloon(t, g)
        total = g.meminfo()["MemTotal"]
        # Its own initrd, in which these files are, is larger than that of the kernel it goes on with.
        fill(b)
        g.spawn(f"kexec run /boot/vmlinuz /boot/initrd '{LINE}'")
        g.starts_over()
        t.between(g.meminfo()["MemTotal"], total - 8 * MIB, total + 64 * MIB, "MemTotal")
        is_new(t, b, g.meminfo()["MemTotal"])


def symbols(release):
    """Path of vmlinux with debug symbols, which is one file of a large package."""
    path = cache("debug", f"vmlinux-{release}")
    with locked("debug"):
        if not os.path.exists(path):
            with scratch(path) as tmp:
                package = f"linux-image-{release}-dbg"
                command(["apt-get", "-q", "-oAPT::Sandbox::User=root", "download", package], f"download of {package}",
                        timeout=1500, cwd=tmp)
                command(["sh", "-c", "dpkg-deb --fsys-tarfile *.deb | tar -x --wildcards '*/boot/vmlinux-*'"],
                        "unpacking", timeout=1500, cwd=tmp)
                replace(f"{tmp}/usr/lib/debug/boot/vmlinux-{release}", path, "vmlinux-")
    return path


def offline_pages(b):
    """[page frame numbers] that the kernel says are offline (/proc/kpageflags, bit 23)."""
    # One line a page, the lower half of its word first.
    text = b.g.sh("hexdump -v -e '2/4 \"%08x \" \"\\n\"' /proc/kpageflags | grep -nE '^..[89a-f]' | cut -d: -f1", 300)
    return [int(n) - 1 for n in text.split()]


def crash(t, series):
    disk = tempfile.NamedTemporaryFile(prefix="vmtest-dump-", dir="/var/tmp")
    t.defer(disk.close)
    disk.truncate(DUMP_MIB * MIB)
    drive = [["-drive", f"file={qemu_path(disk.name)},if=none,id=dump,format=raw,cache=unsafe"],
             "virtio-blk-pci,drive=dump"]
    vmlinux = symbols(kernels.Kernel(series).release)
    files = kexec(series) + libraries.files([("/bin/makedumpfile", "/usr/bin/makedumpfile")])
    # What the second kernel starts from has the tool, too.
    tools = libraries.files([("/bin/makedumpfile", "/usr/bin/makedumpfile")])
    second = micro.initrd(kernels.Kernel(series), tools)
    files = [f for f in files if f[0] != "boot/initrd"] + [("boot/initrd", second, 0o644)]
    g = micro.guest(series, memory=RAM + 320 * MIB, append=CRASH_KERNEL, devices=drive, files=files)
    t.defer(g.kill)
    t.on_failure(g.console_tail)
    g.start()
    b = Balloon(t, g)
    fill(b)
    # They are marked behind the call.
    t.wait(lambda: len(offline_pages(b)) >= FULL_MIB * PAGES_PER_MIB, 20, "all are marked")
    pages = offline_pages(b)
    t.between(len(pages), FULL_MIB * PAGES_PER_MIB, FULL_MIB * PAGES_PER_MIB + 64, "pages that are marked as offline")
    g.sh(f"kexec crash /boot/vmlinuz /boot/initrd '{LINE} nr_cpus=1 reset_devices'")
    t.equal(g.read("/sys/kernel/kexec_crash_loaded").strip(), "1", "a kernel is kept")
    g.spawn("echo c > /proc/sysrq-trigger")
    g.starts_over()
    t.contains(g.sh("ls -l /proc/vmcore"), "vmcore", "the second kernel runs, and has the first one's memory")
    said = g.sh("makedumpfile -c -d 31 --message-level 31 /proc/vmcore /dump 2>&1", 600)
    excluded = re.search(r"^\s*Offline pages\s*: (0x)?([0-9a-f]+)", said, re.M)
    t.check(excluded, f"makedumpfile says what it leaves out: {said[-1500:]}")
    t.between(int(excluded[2], 16), len(pages), len(pages) + 64, "offline pages that are not in the dump")
    size = int(g.sh("stat -c %s /dump"))
    t.diag(f"the dump has {size >> 20} MiB, {len(pages)} pages of the balloon are not in it")
    g.sh("insmod /lib/modules-test/virtio_blk.ko && until test -b /dev/vda; do usleep 50000; done")
    g.sh("dd if=/dump of=/dev/vda bs=1M conv=fsync 2>&1", 200)
    g.kill()
    os.truncate(disk.name, size)
    look(t, vmlinux, disk.name, pages)


def look(t, vmlinux, dump, pages):
    """crash(8) opens the dump, finds a page of the kernel in it, and none of the balloon's."""
    some = pages[:: max(1, len(pages) // 20)]
    orders = ["sys", "mod", "rd linux_banner 2"]
    orders += [f"rd -p {pfn << 12:#x}" for pfn in some] + ["quit"]
    p = subprocess.run(["crash", "-s", vmlinux, dump], input="\n".join(orders) + "\n", text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
                       env=dict(os.environ, TERM="dumb", HOME=tempfile.gettempdir()))
    t.contains(p.stdout, "Linux version", "crash opens it, and reads what the kernel needs")
    t.contains(p.stdout, "sysrq", "and says why it crashed")
    t.contains(p.stdout, "uballoon", "the module is among the modules")
    missing = len(re.findall(r"page excluded", p.stdout))
    t.equal(missing, len(some), f"pages of the balloon that are not there:\n{p.stdout[-1500:]}")


for name in (kernels.SERIES[0], kernels.NEWEST):
    tap.add(f"reset by the host ({name})", reset, name, timeout=1500)
    tap.add(f"kexec ({name})", restart, name, timeout=1500)
tap.add(f"a crash, and its dump ({kernels.SERIES[0]})", crash, kernels.SERIES[0], timeout=3600)

if __name__ == "__main__":
    tap.main()
