# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots of a Debian release to work in, by chroot: what runs there does so at this machine's speed.

  Copy           a private copy of a cached root, made of hard links. That is sound
                 because dpkg, dkms, depmod and compilers replace files and never
                 rewrite them. What they append to (logs) is left out of the copy
  packages_root  a root with some packages
  machine_root   a root in which `./bootstrap deps` has run
  Machine        a Copy of one, with the project's sources: a machine of that release, as
                 far as that goes without a kernel and a service manager of its own

Left out: kernels and guests (packaged.py, debian.py).
"""
import os
import re
import shutil
import subprocess

from . import archive
from .paths import TOP, HarnessError, cache, command, digest, locked, replace, scratch

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
               "DEBIAN_FRONTEND": "noninteractive"}
PROJECT = "/root/balloond"
# Build folders, and what Kbuild leaves behind.
NOT_COPIED = ("build", "build-asan", "build-coverage", ".git", "__pycache__", "*.o", "*.ko", "*.mod", "*.mod.c", ".*.cmd",
              "Module.symvers", "modules.order")
# A root that is no mount of its own cannot have mount namespaces inside.
PROC = 'mount --bind "$0" "$0"; mount -t proc proc "$0/proc"; '
DEVICES = 'mount --rbind /sys "$0/sys"; mount --rbind /dev "$0/dev"; '


class Copy:
    """@path: the copy of the root @base. @defer(function, *arguments) has it removed in the end."""

    mounts = PROC

    def __init__(self, defer, base):
        self.scratch = scratch(base)
        tmp = self.scratch.__enter__()
        defer(self.scratch.__exit__, None, None, None)
        self.path = tmp + "/root"
        command(["cp", "-al", base, self.path], "copy of the root")
        shutil.rmtree(self.path + "/var/log")
        os.mkdir(self.path + "/var/log")

    def run(self, *argv, timeout=300, env=None):
        """(status, output) of a program inside. What it left running ends with it."""
        return inside(self.path, argv, self.mounts, timeout, env)

    def sh(self, *argv, timeout=300, env=None):
        status, text = self.run(*argv, timeout=timeout, env=env)
        if status != 0:
            raise RuntimeError(f"{argv}: status {status}\n{text}")
        return text


def inside(root, argv, mounts=PROC, timeout=300, env=None):
    p = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec",
                        mounts + 'exec chroot "$0" "$@"', root, *argv],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                       text=True, errors="replace", env={**ENVIRONMENT, **(env or {})})
    return p.returncode, p.stdout


def copy_project(root):
    shutil.copytree(TOP, root + PROJECT, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))


def packages_root(release, packages, report=lambda text: None):
    """Path of a cached root with @packages: made anew when the first of them has another version."""
    sources = archive.package_sources(release, True)
    version = archive.Archive(release, True).version(packages[0])
    root = cache("machine", f"{release}-{digest(sources, *packages, version)}")
    with locked(f"machine-{release}"):
        if not os.path.exists(root):
            if os.geteuid() != 0:
                raise HarnessError(f"building a root of {release} needs root")
            report(f"building a root of {release} with {packages[0]} {version} (some minutes, once)")
            with scratch(root) as tmp:
                archive.make_root(release, packages, sources, tmp)
                replace(f"{tmp}/root", root, f"{release}-")
    return root


def machine_root(release, report=lambda text: None):
    """Path of the cached root, made now if need be: a bare Debian, and then `./bootstrap deps`."""
    sources = archive.package_sources(release)
    bootstrap = os.path.join(TOP, "bootstrap")
    with open(bootstrap) as f:
        key = digest(sources, re.search(r"^packages=\(.*?^names\(\)", f.read(), re.M | re.S)[0])
    root = cache("machine", f"{release}-{key}")
    with locked(f"machine-{release}"):
        if not os.path.exists(root):
            if os.geteuid() != 0:
                raise HarnessError(f"building a root of {release} needs root")
            report(f"building a root of {release} with all that deps installs there (some minutes, once)")
            with scratch(root) as tmp:
                archive.make_root(release, ("bash",), sources, tmp)
                os.mkdir(f"{tmp}/root{PROJECT}")
                shutil.copy(bootstrap, f"{tmp}/root{PROJECT}")
                for name in ("resolv.conf", "hosts"):
                    if os.path.exists(f"/etc/{name}"):
                        shutil.copy(f"/etc/{name}", f"{tmp}/root/etc/{name}")
                status, text = inside(f"{tmp}/root", (f"{PROJECT}/bootstrap", "deps"), PROC, 1800)
                if status != 0:
                    raise HarnessError(f"./bootstrap deps in a root of {release}: status {status}\n{text[-4000:]}")
                shutil.rmtree(f"{tmp}/root{PROJECT}")
                inside(f"{tmp}/root", ("apt-get", "clean"))
                replace(f"{tmp}/root", root, f"{release}-")
    return root


class Machine(Copy):
    mounts = PROC + DEVICES

    def __init__(self, defer, release, report=lambda text: None, root=None):
        """In @root instead of what machine_root() makes, if there is one."""
        super().__init__(defer, root or machine_root(release, report))
        copy_project(self.path)
        # What its own harness makes is worth keeping, too.
        made = cache("machine-vm", release, "x")[:-2]
        os.makedirs(f"{self.path}{PROJECT}/build/vm")
        self.mounts += f"mount --bind '{made}' \"$0{PROJECT}/build/vm\"; "

    def bootstrap(self, *argv, timeout=300, env=None):
        """(status, output) of ./bootstrap, started in the project's folder."""
        return self.run("env", "-C", PROJECT, "./bootstrap", *argv, timeout=timeout, env=env)
