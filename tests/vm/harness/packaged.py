# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian packages as ./bootstrap package makes them, and a root that has them.

  packages  the .deb files of the tree, or of the same tree under another version
            number, built by conf/build-packages
  Root      a Debian with DKMS, a compiler and the headers of both kernels, to
            chroot into: a module is compiled there as an administrator's
            machine does it, at this machine's speed. make_image() turns it
            into the root of a guest

The root without our packages is cached; each Root is a copy of it made of hard
links, which is sound because dpkg, dkms and depmod replace files and never
rewrite them. What they append to (logs) is left out of the copy.

Left out: a kernel that runs while its module is compiled. A chroot has none of
its own; `uname -r` inside answers what the Root was told to stand for.
"""
import os
import shutil
import subprocess

from . import debian, kernels
from .paths import TOP, HarnessError, cache, command, digest, locked, scratch, tree

# As on a machine that is set up for it: dkms brings the compiler.
TOOLS = ("dkms", *(f"linux-headers-{kernels.release(s)}" for s in kernels.SERIES))
IMAGE_SIZE = "2G"
SOURCES = ("conf", "daemon", "kmod", "man", "systemd")


def packages(version=None):
    """{"balloond": path, "uballoon-dkms": path, "changes": path} of @version, or the tree's own."""
    files = [(f"{folder}/{name}", path) for folder in SOURCES for name, path in tree(os.path.join(TOP, folder))]
    files += [(name, os.path.join(TOP, name)) for name in ("meson.build", "README.md", "LICENSE")]
    key = digest(version or "", *files)
    folder = cache("packages", key)
    with locked("packages"):
        if not os.path.exists(folder):
            with scratch(folder) as tmp:
                command([os.path.join(TOP, "conf", "build-packages"), tmp + "/out", *([version] if version else [])],
                        "build of the packages")
                os.rename(tmp + "/out", folder)
    out = {}
    for name in os.listdir(folder):
        if name.endswith((".deb", ".changes")):
            out["changes" if name.endswith(".changes") else name.split("_")[0]] = os.path.join(folder, name)
    return out


def _tools_root(report):
    available = [kernels.Kernel(s) for s in kernels.SERIES]
    key = debian.settings_digest(*debian.PACKAGES, *TOOLS, *(k.release for k in available))
    root = cache("debian", f"tools-{key}")
    with locked("debian-tools"):
        if not os.path.exists(root):
            if os.geteuid() != 0:
                raise HarnessError("building the guest's root file system needs root")
            report("building a Debian root with DKMS and kernel headers (a minute or two, once)")
            with scratch(root) as tmp:
                debian.bootstrap(tmp + "/root", debian.PACKAGES + TOOLS, available)
                debian.replace(tmp + "/root", root, "tools-")
    return root


class Root:
    """@path: the copy. It stands for a machine that runs the kernel of @series."""

    def __init__(self, t, series, report=lambda text: None):
        base = _tools_root(report)
        self.scratch = scratch(cache("debian", "root"))
        tmp = self.scratch.__enter__()
        t.defer(self.scratch.__exit__, None, None, None)
        self.path = tmp + "/root"
        command(["cp", "-al", base, self.path], "copy of the root")
        shutil.rmtree(self.path + "/var/log")
        os.mkdir(self.path + "/var/log")
        with open(self.path + "/usr/local/bin/uname", "w") as f:
            f.write(f'#!/bin/sh\n[ "$*" = -r ] && echo {kernels.release(series)} || exec /usr/bin/uname "$@"\n')
            os.fchmod(f.fileno(), 0o755)

    def run(self, *argv, timeout=300):
        """(status, output) of a program inside."""
        script = f'mount -t proc proc "{self.path}/proc" && exec chroot "{self.path}" "$@"'
        p = subprocess.run(["unshare", "--mount", "--fork", "sh", "-c", script, "sh", *argv],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=timeout, text=True, errors="replace",
                           env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                                "DEBIAN_FRONTEND": "noninteractive"})
        return p.returncode, p.stdout

    def sh(self, *argv, timeout=300):
        status, text = self.run(*argv, timeout=timeout)
        if status != 0:
            raise RuntimeError(f"{argv}: status {status}\n{text}")
        return text

    def install(self, deb):
        """dpkg -i, for a package from outside; what it said."""
        name = os.path.basename(deb)
        shutil.copy(deb, f"{self.path}/tmp/{name}")
        return self.sh("dpkg", "-i", f"/tmp/{name}")

    def make_image(self, path):
        os.unlink(self.path + "/usr/local/bin/uname")
        debian.make_image(self.path, path, IMAGE_SIZE)
