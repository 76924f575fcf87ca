# SPDX-License-Identifier: GPL-2.0-or-later
"""Hypervisor, toolstack and dom0's kernel: fetched and unpacked, not installed.

They have no business on the machine that runs the tests. apt fetches the
packages (its signatures are checked as for an installation), dpkg-deb unpacks
them into a tree in the cache, and the lab reads only that tree.

Names are found, not written down: the newest xen-hypervisor that the archive
has decides the version of the toolstack, and the libraries are what the
toolstack's packages depend on. dom0's kernel is the sibling of the cloud kernel
whose headers are installed, because modules for it need the common part of
those. The answer holds for as long as apt's lists do; another one makes another
tree.

Left out: keeping apt's lists fresh (`./bootstrap deps` does).
"""
import glob
import json
import os
import re
import subprocess
import tarfile

from harness import kernels
from harness.paths import HarnessError, cache, command, digest, locked, scratch

ENV = dict(os.environ, LC_ALL="C")
APT_LISTS = "/var/lib/apt/lists"

# Nine tenths of a kernel package are drivers for machines that the lab does not have.
_LEFT_OUT = re.compile(r"\./(usr/share/|boot/System\.map"
                       r"|lib/modules/[^/]+/kernel/(?!drivers/(xen|virtio|char)/))")


class Dom0Kernel(kernels.Kernel):
    """The kernel in an unpacked package, with headers. The cloud kernels cannot be dom0."""

    def __init__(self, release, tree):
        self.release = release
        self.headers = f"{tree}/usr/src/linux-headers-{release}"
        self._adopt(tree)


class Packages:
    """tree: where they are unpacked. version: Xen's. kernel: dom0's."""

    def __init__(self):
        release = kernels.release("6.1").replace("-cloud-", "-")
        names = _resolve(release)
        self.version = names["xen"]
        root = cache("xen", "packages-" + digest(json.dumps(names, sort_keys=True)))
        with locked("xen-packages"):
            if not os.path.exists(root):
                with scratch(root) as tmp:
                    _fetch(names["versions"], tmp)
                    # The headers' links to the build tools, which are installed, lead there.
                    for folder in glob.glob("/usr/lib/linux-kbuild-*"):
                        os.symlink(folder, f"{tmp}/tree{folder}")
                    os.rename(tmp + "/tree", root)
        self.tree = root
        self.kernel = Dom0Kernel(release, root)


def _apt_cache(*args):
    return command(["apt-cache", *args], "apt-cache " + args[0], env=ENV)


def _depends(names):
    """Direct dependencies of the packages @names, virtual packages left out."""
    out = _apt_cache("depends", "--important", *sorted(names))
    return set(re.findall(r"^\s*\|?(?:Pre)?Depends: ([a-z0-9][^\s:]*)", out, re.M))


def _libraries(names):
    """The library packages that @names need, and those that they need in turn."""
    libs, todo = set(), set(names)
    while todo:
        todo = {n for n in _depends(todo) if re.match(r"lib|zlib1g$", n)} - libs
        libs |= todo
    return libs


def _resolve(release):
    """{"xen": version, "versions": {package: version}} with the kernel @release; asks apt once for its lists."""
    lists = digest(release, *(f"{e.name} {e.stat().st_mtime_ns}\n" for e in
                     sorted(os.scandir(APT_LISTS), key=lambda e: e.name) if e.is_file()))
    answer = cache("xen", f"names-{lists}.json")
    if os.path.exists(answer):
        with open(answer) as f:
            return json.load(f)

    found = re.findall(r"^(xen-hypervisor-(\d[\d.]*)-amd64)$",
                       _apt_cache("pkgnames", "xen-hypervisor-"), re.M)
    if not found:
        raise HarnessError("the package archive has no Xen hypervisor; run ./bootstrap deps")
    hypervisor, version = max(found, key=lambda f: [int(n) for n in re.findall(r"\d+", f[1])])
    tools = {f"xen-utils-{version}", "xenstore-utils"}
    # libgcc_s is opened by name when a thread is cancelled: no dependency says so,
    # and xl aborts without it after it has created the domain.
    names = {hypervisor, "libgcc-s1", f"linux-image-{release}", f"linux-headers-{release}"} | tools | _libraries(tools)
    out = _apt_cache("show", "--no-all-versions", *sorted(names))
    versions = dict(re.findall(r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)", out, re.M))
    if set(versions) != names:
        raise HarnessError(f"not in the package archive: {sorted(names - set(versions))}")

    names = {"xen": version, "versions": versions}
    with open(answer + ".tmp", "w") as f:
        json.dump(names, f)
    os.rename(answer + ".tmp", answer)
    return names


def _fetch(versions, folder):
    command(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download",
             *(f"{n}={v}" for n, v in versions.items())],
            "download of Xen (./bootstrap deps refreshes the package lists)", cwd=folder, env=ENV)
    for deb in glob.glob(folder + "/*.deb"):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as p:
            with tarfile.open(fileobj=p.stdout, mode="r|") as tar:
                for member in tar:
                    if not _LEFT_OUT.match(member.name):
                        tar.extract(member, folder + "/tree", set_attrs=not member.isdir())
        if p.returncode:
            raise HarnessError(f"dpkg-deb cannot read {deb}")
