# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian guest: a whole Debian with systemd and D-Bus, the project installed.

Two parts, cached apart, because one takes a minute and changes rarely and the
other changes with every edit:

  base    mmdebstrap's root with both kernels' modules, as one ext4 image, of the
          release of this machine; taken from the package sources that this machine
          itself is configured for
  layer   what `meson install` puts into DESTDIR, uballoon.ko in place, depmod's
          index and the test agent. It travels in the initramfs, which copies it
          onto the root before systemd starts

The image is attached with snapshot=on: no boot changes it. Nothing is enabled
or configured in the guest beyond what the project installs.
"""
import contextlib
import os
import re
import shutil
import stat

from . import archive, coverage, kernels, micro
from .control import GuestDied
from .guest import MIB, Guest, qemu_path
from .paths import TOP, VM, HarnessError, cache, command, digest, locked, prune, replace, scratch

# What a small virtual machine has, the libraries that the project links with, and a memory-hungry program.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "libconfig9", "libproc2-0", "stress-ng")
# Those that balloond is compared with; not enabled.
RIVALS = ("earlyoom", "systemd-oomd")
# Nothing here is needed in a guest that lives for a minute, and each costs boot time under emulation.
MASKED = (
    "systemd-random-seed.service", "systemd-pstore.service", "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service", "systemd-user-sessions.service", "systemd-machine-id-commit.service",
    "systemd-journal-flush.service", "systemd-binfmt.service", "systemd-logind.service", "systemd-rfkill.socket",
    "systemd-journal-catalog-update.service", "systemd-hwdb-update.service", "systemd-firstboot.service",
    "systemd-boot-system-token.service", "systemd-remount-fs.service", "systemd-fsck-root.service",
    "systemd-tpm2-setup.service", "systemd-pcrphase.service", "systemd-pcrphase-sysinit.service",
    "systemd-initctl.socket", "systemd-ask-password-wall.path", "systemd-ask-password-console.path",
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "systemd-tmpfiles-clean.timer", "getty.target", "getty-static.service", "serial-getty@ttyS0.service",
    "serial-getty@ttyS1.service", "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount", "proc-sys-fs-binfmt_misc.automount", "remote-fs.target", "hwclock-save.service",
    "dev-ttyS0.device", "systemd-networkd.service", "networking.service",
)
BOOT_MODULES = micro.BOOT_MODULES + ("virtio_blk",)
IMAGE_SIZE = "1G"
BOOT_APPEND = "systemd.show_status=0 systemd.log_level=warning systemd.gpt_auto=0 fsck.mode=skip quiet loglevel=5"


def build_dir():
    path = os.environ.get("BALLOOND_BUILD") or os.path.join(TOP, "build")
    if not os.path.exists(os.path.join(path, "build.ninja")):
        raise HarnessError(f"{path} is no build directory; run ./bootstrap build")
    return path


# -- base ---------------------------------------------------------------
def bootstrap(root, packages, available, release=archive.HERE):
    """A root of @release in the new folder @root: @packages, the modules of the @available kernels."""
    sources = archive.package_sources(release, bool(archive.BACKPORTS[release]))
    with scratch(root) as tmp:
        archive.make_root(release, archive.names(packages, release), sources, tmp)
        os.rename(f"{tmp}/root", root)
    for kernel in available:
        shutil.copytree(kernel.modules, f"{root}/lib/modules/{kernel.release}", symlinks=True,
                        dirs_exist_ok=True, ignore=shutil.ignore_patterns("build", "source"))
        command(["depmod", "-b", root, kernel.release], "depmod")
    _configure(root)


def make_image(root, image, size=IMAGE_SIZE):
    command(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E", "root_owner=0:0",
             "-d", root, image, size], "mke2fs")


def settings_digest(*more, release=archive.HERE):
    """Of all that goes into a root of @release beside the kernels' modules."""
    return digest(release, *more, "-", *MASKED, "-", IMAGE_SIZE, f"{_settings}")


def base_image(report=lambda text: None):
    """Path of the ext4 image of the base; made now if it is not cached."""
    available = [kernels.Kernel(s) for s in kernels.SERIES]
    key = settings_digest(*PACKAGES, *RIVALS, *(k.release for k in available))
    image = cache("debian", f"base-{key}.ext4")
    with locked("debian"):
        if os.path.exists(image):
            return image
        if os.geteuid() != 0:
            raise HarnessError("building the guest's root file system needs root")
        report("building the Debian guest (about a minute, once)")
        with scratch(image) as tmp:
            bootstrap(tmp + "/root", PACKAGES + RIVALS, available)
            make_image(tmp + "/root", tmp + "/image")
            replace(tmp + "/image", image, "base-")
    return image


_settings = {
    "etc/hostname": "guest\n",
    "etc/fstab": "",
    # A fixed identity: else each boot is a "first boot" and applies presets.
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/systemd/journald.conf.d/test.conf":
        "[Journal]\nStorage=volatile\nRuntimeMaxUse=8M\nForwardToConsole=no\nRateLimitBurst=0\n",
    "etc/systemd/system.conf.d/test.conf": "[Manager]\nDefaultTimeoutStartSec=180s\nDefaultTimeoutStopSec=60s\n",
}


def _configure(root):
    for name, text in _settings.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
    for unit in MASKED:
        path = os.path.join(root, "etc/systemd/system", unit)
        if not os.path.lexists(path):
            os.symlink("/dev/null", path)
    disable(root, RIVALS)


def disable(root, units):
    """No unit whose name begins with one of @units is started at boot."""
    for folder, _, names in os.walk(os.path.join(root, "etc/systemd/system")):
        for name in names:
            if name.startswith(units) and os.path.islink(os.path.join(folder, name)):
                os.unlink(os.path.join(folder, name))


# -- layer --------------------------------------------------------------
AGENT_UNIT = """\
[Unit]
Description=Test agent
BindsTo=dev-virtio\\x2dports-vmtest.control.device
After=dev-virtio\\x2dports-vmtest.control.device
FailureAction=poweroff-force

[Service]
Type=exec
RuntimeDirectory=vmtest
ExecStart=/usr/lib/vmtest/agent /dev/virtio-ports/vmtest.control
OOMScoreAdjust=-1000
OOMPolicy=continue
LimitMEMLOCK=infinity
MemoryMin=4M
KillMode=process

[Install]
WantedBy=multi-user.target
"""


def _install(kernel, stage, module):
    """The project as `meson install` lays it out, with the module for @kernel if @module says so or is its path."""
    command(["meson", "install", "-C", build_dir(), "--no-rebuild", "--destdir", stage], "meson install")
    if not module:
        return
    modules = f"{stage}/lib/modules/{kernel.release}"
    os.makedirs(f"{modules}/updates", exist_ok=True)
    shutil.copy(micro.uballoon(kernel) if module is True else module, f"{modules}/updates/uballoon.ko")
    # depmod wants to see all modules; only its index goes into the layer.
    with scratch(cache("debian", "depmod")) as tmp:
        tree = f"{tmp}/lib/modules/{kernel.release}"
        os.makedirs(tree + "/updates")
        for name in os.listdir(kernel.modules):
            if name == "kernel" or name.startswith(("modules.order", "modules.builtin")):
                os.symlink(os.path.join(kernel.modules, name), f"{tree}/{name}")
        shutil.copy(micro.uballoon(kernel), tree + "/updates")
        command(["depmod", "-b", tmp, kernel.release], "depmod")
        for name in os.listdir(tree):
            path = f"{tree}/{name}"
            if name.startswith("modules.") and not os.path.islink(path):
                shutil.copy(path, modules)


def _layer(kernel, files, project, module):
    """[(name, mode, bytes or link target)] of everything that goes onto the base."""
    out = []
    with scratch(cache("debian", "layer")) as stage:
        if project:
            _install(kernel, stage, module)
        for folder, dirs, names in os.walk(stage):
            for name in sorted(names + [d for d in dirs if os.path.islink(os.path.join(folder, d))]):
                path = os.path.join(folder, name)
                rel = _usr_merged(os.path.relpath(path, stage))
                if os.path.islink(path):
                    out.append((rel, stat.S_IFLNK | 0o777, os.readlink(path).encode()))
                else:
                    with open(path, "rb") as f:
                        out.append((rel, stat.S_IMODE(os.stat(path).st_mode), f.read()))
    helpers = [("usr/lib/vmtest/agent", micro.agent(), 0o755)]
    helpers += [(f"usr/lib/vmtest/{n}", os.path.join(VM, "guest", n), 0o755) for n in ("finish", "baseline")]
    if os.path.exists(os.path.join(VM, "guest", "ubtool.c")):
        helpers.append(("usr/bin/ubtool", micro.ubtool(), 0o755))
    for name, path, mode in helpers + list(files):
        with open(path, "rb") as f:
            out.append((name, mode, f.read()))
    out.append(("etc/systemd/system/vmtest-agent.service", 0o644, AGENT_UNIT.encode()))
    out.append(("etc/systemd/system/multi-user.target.wants/vmtest-agent.service", stat.S_IFLNK | 0o777,
                b"/etc/systemd/system/vmtest-agent.service"))
    if project:
        out += coverage.files(build_dir())
    return sorted(out)


def lay(root, kernel, files=()):
    """Puts the layer onto the root in the folder @root itself: for an initramfs that does not do it."""
    for name, mode, data in _layer(kernel, files, True, True):
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            os.unlink(path)
        if stat.S_ISLNK(mode):
            os.symlink(data, path.encode())
            continue
        with open(path, "wb") as f:
            f.write(data)
            os.fchmod(f.fileno(), mode)


def _usr_merged(path):
    """/lib is a link to /usr/lib in the guest; a directory must not take its place."""
    return re.sub(r"^(bin|sbin|lib)/", r"usr/\1/", path)


def initrd(kernel, files=(), project=True, module=True):
    """Path of the initramfs that lays the layer over the base and starts systemd.

    Without @project, only what the tests need; without @module, the project as where it was not built."""
    layer = _layer(kernel, files, project, module)
    with open(os.path.join(VM, "guest", "init-debian")) as f:
        init = f.read()
    boot = kernel.closure(BOOT_MODULES)
    path = cache("initrd", "debian-" + digest(init, kernel.release, *(n for n, _ in boot),
                                              *(x for n, m, d in layer for x in (f"{n} {m}", d))))
    with locked("initrd"):
        if not os.path.exists(path):
            archive = micro.busybox_archive(init)
            for i, (name, data) in enumerate(boot):
                archive.file(f"lib/modules-boot/{i:02}-{name}.ko", data)
            for name, mode, data in layer:
                if stat.S_ISLNK(mode):
                    archive.symlink(f"layer/{name}", data.decode())
                else:
                    archive.file(f"layer/{name}", data, mode)
            with open(path + ".tmp", "wb") as f:
                f.write(archive.bytes())
            os.rename(path + ".tmp", path)
            prune(os.path.dirname(path), micro.INITRDS_KEPT)
    return path


# -- guest --------------------------------------------------------------
class DebianGuest(Guest):
    """Starts until systemd has settled. A unit that failed is an error: none may."""

    def start(self):
        super().start()
        status, text = self.run("systemctl is-system-running --wait", timeout=120)
        if status != 0:
            failed = self.run("systemctl --failed --no-legend --plain; systemctl list-jobs --no-legend")[1]
            self.kill()
            raise GuestDied(f"{self.name}: systemd came up {text.strip()}: {failed}")
        self.sh("/usr/lib/vmtest/baseline")
        return self

    def collect(self):
        coverage.collect(self, coverage.FOLDER)

    def property(self, unit, name):
        return self.sh(f"systemctl show -P {name} {unit}").strip()

    def journal(self, unit, lines=40):
        return self.sh(f"journalctl --no-pager -o short-monotonic -u {unit} -n {lines}")


def guest(series, name="debian", files=(), report=lambda text: None, image=None, project=None, disk_options="",
          module=True, **options):
    """A DebianGuest, not started. @files is [(name in the guest, path outside, mode)].

    On the root @image if there is one (packaged.py, programs.py), else on the base. With the project
    installed if @project says so, or if it says nothing and there is no @image; but for uballoon.ko, if
    @module says so; it may be the path of another one. @disk_options go to the end of the root's -drive."""
    kernel = kernels.Kernel(series)
    project = image is None if project is None else project
    image = image or base_image(report)
    options.setdefault("memory", 1024 * MIB)
    options.setdefault("boot_timeout", 150)
    options.setdefault("lifetime", 900)
    # Daemons come and go, their stacks and slabs with them.
    options.setdefault("end_tolerance", 32 * MIB)
    options["append"] = f"{BOOT_APPEND} {options.get('append', '')}"
    devices = list(options.pop("devices", ()))
    devices.append(["-drive", f"file={qemu_path(image)},if=none,id=root,format=raw,snapshot=on,cache=unsafe"
                    f"{disk_options}",
                    "-device", "virtio-blk-pci,drive=root"])
    return DebianGuest(f"{name}-{series}", kernel, initrd(kernel, files, project, module), devices=devices, **options)


@contextlib.contextmanager
def debian(t, series, modules=("uballoon",), **options):
    """A running Debian guest for the case @t; its end checks are a subtest ("verdict")."""
    g = guest(series, report=t.diag, **options)
    t.defer(g.kill)
    t.on_failure(g.console_tail)
    g.start()
    yield g
    with t.subtest("verdict of the guest"):
        g.finish(modules)
