# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock Debian kernels for the guests: image, modules, and modules built by us.

A kernel is named by its series ("6.1", "6.12") and resolved to the release
whose headers are installed, because that is what our modules are built
against. The image comes from this machine if it happens to be installed, else
its package is downloaded and unpacked into the cache; nothing is installed and
/boot is only read.
"""
import glob
import lzma
import os
import re
import shutil
import tempfile

from .paths import HarnessError, cache, command, digest, locked, scratch, tree

SERIES = ("6.1", "6.12")


def _version_key(release):
    return [int(n) for n in re.findall(r"\d+", release)]


def release(series):
    """The newest installed header package of @series, cloud flavour."""
    found = [os.path.basename(d)[len("linux-headers-"):]
             for d in glob.glob(f"/usr/src/linux-headers-{series}.*-cloud-amd64")]
    if not found:
        raise HarnessError(f"no headers of a {series} cloud kernel are installed; run ./bootstrap deps")
    return max(found, key=_version_key)


class Kernel:
    """image, and lookup of modules by name. Read-only once made."""

    def __init__(self, series):
        self.series = series
        self.release = release(series)
        self.headers = f"/usr/src/linux-headers-{self.release}"
        root = self._root()
        self.image = os.path.join(root, "boot", f"vmlinuz-{self.release}")
        self.modules = os.path.join(root, "lib", "modules", self.release)
        self._files = {_name(p): p for p in glob.glob(self.modules + "/kernel/**/*.ko*", recursive=True)}
        with open(self.modules + "/modules.builtin") as f:
            self._builtin = {_name(line.strip()) for line in f}

    def _root(self):
        if os.path.exists(f"/boot/vmlinuz-{self.release}") and \
           os.path.exists(f"/lib/modules/{self.release}/modules.builtin"):
            return "/"
        root = cache("kernel", self.release)
        with locked("kernel"):
            if not os.path.exists(root):
                with scratch(root) as tmp:
                    package = f"linux-image-{self.release}"
                    command(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package],
                            f"download of {package} (./bootstrap deps refreshes the package lists)", cwd=tmp)
                    deb, = glob.glob(tmp + "/*.deb")
                    command(["dpkg-deb", "-x", deb, tmp + "/root"], f"unpacking of {package}")
                    os.rename(tmp + "/root", root)
        return root

    def module(self, name):
        """Bytes of a module of the distribution, decompressed."""
        path = self._files[name.replace("-", "_")]
        with open(path, "rb") as f:
            data = f.read()
        return lzma.decompress(data) if path.endswith(".xz") else data

    def closure(self, names):
        """[(name, bytes)] of modules in an order that insmod can take; built-in ones left out."""
        out = {}

        def visit(name):
            name = name.replace("-", "_")
            if name in out or name in self._builtin:
                return
            if name not in self._files:
                raise HarnessError(f"kernel {self.release} has no module {name}")
            data = self.module(name)
            for dep in _depends(data):
                visit(dep)
            out[name] = data

        for name in names:
            visit(name)
        return list(out.items())


def _name(path):
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def _depends(data):
    """The "depends=" field of a module's .modinfo (NUL-separated strings)."""
    m = re.search(rb"\0depends=([^\0]*)\0", data)
    return [d for d in m.group(1).decode().split(",") if d] if m else []


def build_module(kernel, source, name):
    """Builds the out-of-tree module in folder @source for @kernel; path of NAME.ko.

    The source is copied first: Kbuild litters its folder, and two kernels would
    fight over it.
    """
    files = [f for f in tree(source) if not f[0].endswith((".ko", ".o", ".mod", ".mod.c", ".cmd"))]
    out = cache("module", f"{name}-{kernel.release}-{digest(kernel.release, *files)}")
    ko = os.path.join(out, name + ".ko")
    with locked(f"module-{kernel.release}"):
        if not os.path.exists(ko):
            # Not below the cache: Kbuild cannot cope with a space in the path.
            with tempfile.TemporaryDirectory(prefix="vmtest-") as tmp:
                for rel, path in files:
                    os.makedirs(os.path.dirname(os.path.join(tmp, rel)), exist_ok=True)
                    shutil.copy2(path, os.path.join(tmp, rel))
                command(["make", "-C", kernel.headers, f"M={tmp}", "modules"],
                        f"build of {name}.ko for {kernel.release}")
                command(["strip", "-g", f"{tmp}/{name}.ko"], "strip")
                os.makedirs(out, exist_ok=True)
                shutil.copy(f"{tmp}/{name}.ko", ko + ".tmp")
                os.rename(ko + ".tmp", ko)
    return ko


def build_static(source, name, include=()):
    """Compiles one C file to a static program for the guest; its path."""
    headers = [f for folder in include for f in tree(folder, (".h",))]
    out = cache("guest", f"{name}-{digest((name, source), *headers)}")
    with locked("guest"):
        if not os.path.exists(out):
            argv = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-static", "-s", "-o", out + ".tmp"]
            argv += [f"-I{folder}" for folder in include]
            command(argv + [source], f"build of {name}")
            os.rename(out + ".tmp", out)
    return out
