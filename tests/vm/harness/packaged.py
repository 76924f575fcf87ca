# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian packages as ./bootstrap package makes them, and a root that has them.

  packages  the .deb files of the tree, or of the same tree under another version
            number, built by conf/build-packages on the release that they are for
  Root      a Debian with DKMS, a compiler and the headers of its two kernels, to
            chroot into: a module is compiled there as an administrator's
            machine does it, at this machine's speed. make_image() turns it
            into the root of a guest

The root without our packages is cached; each Root is a copy of it (chroot.py).

Left out: a kernel that runs while its module is compiled. A chroot has none of
its own; `uname -r` inside answers what the Root was told to stand for.
"""
import contextlib
import os
import shutil

from . import archive, chroot, debian, kernels
from .paths import TOP, HarnessError, cache, command, digest, locked, scratch, tree

IMAGE_SIZE = "2G"
SOURCES = ("docs", "conf", "daemon", "kmod", "man", "systemd")


def _build(folder, version, release):
    argv = ["conf/build-packages", folder, *([version] if version else [])]
    if release == archive.HERE:
        command(argv, "build of the packages", cwd=TOP)
        return
    with contextlib.ExitStack() as stack:
        machine = chroot.Machine(stack.callback, release)
        machine.sh("env", "-C", chroot.PROJECT, argv[0], "/root/out", *argv[2:], timeout=900)
        shutil.copytree(f"{machine.path}/root/out", folder)


def packages(version=None, release=archive.HERE):
    """{"balloond": path, "uballoon-dkms": path, "changes": path} of @version, or the tree's own, for @release."""
    files = [(f"{folder}/{name}", path) for folder in SOURCES for name, path in tree(os.path.join(TOP, folder))]
    files += [(name, os.path.join(TOP, name))
              for name in ("meson.build", "meson_options.txt", "README.md", "SECURITY.md", "NEWS.md", "LICENSE")]
    key = digest(version or "", *([] if release == archive.HERE else [release]), *files)
    folder = cache("packages", key)
    with locked("packages"):
        if not os.path.exists(folder):
            with scratch(folder) as tmp:
                _build(tmp + "/out", version, release)
                os.rename(tmp + "/out", folder)
    out = {}
    for name in os.listdir(folder):
        if name.endswith((".deb", ".changes")):
            out["changes" if name.endswith(".changes") else name.split("_")[0]] = os.path.join(folder, name)
    return out


def _tools_root(release, more, report):
    available = [kernels.Kernel(s) for s in kernels.of(release)]
    # As on a machine that is set up for it: dkms brings the compiler.
    packages = debian.PACKAGES + more + ("dkms", *(f"linux-headers-{k.release}" for k in available))
    key = debian.settings_digest(*packages, *(k.release for k in available), release=release)
    prefix = "tools-" if release == archive.HERE else f"{release}-tools-"
    root = cache("debian", prefix + key)
    with locked("debian-tools"):
        if not os.path.exists(root):
            if os.geteuid() != 0:
                raise HarnessError("building the guest's root file system needs root")
            report(f"building a root of {release} with DKMS and kernel headers (a minute or two, once)")
            with scratch(root) as tmp:
                debian.bootstrap(tmp + "/root", packages, available, release)
                debian.replace(tmp + "/root", root, prefix)
    return root


class Root(chroot.Copy):
    """Stands for a machine of @release that runs the kernel @series, and has @more packages of Debian's."""

    def __init__(self, t, series, report=lambda text: None, release=archive.HERE, more=()):
        super().__init__(t.defer, _tools_root(release, more, report))
        running = kernels.Kernel(series).release
        with open(self.path + "/usr/local/bin/uname", "w") as f:
            f.write(f'#!/bin/sh\n[ "$*" = -r ] && echo {running} || exec /usr/bin/uname "$@"\n')
            os.fchmod(f.fileno(), 0o755)

    def install(self, deb):
        """dpkg -i, for a package from outside; what it said."""
        name = os.path.basename(deb)
        shutil.copy(deb, f"{self.path}/tmp/{name}")
        return self.sh("dpkg", "-i", f"/tmp/{name}")

    def make_image(self, path):
        os.unlink(self.path + "/usr/local/bin/uname")
        debian.make_image(self.path, path, IMAGE_SIZE)
