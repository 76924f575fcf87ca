# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock Debian kernels for the guests: image, modules, and modules built by us.

A kernel is named by its series, and is this machine's Debian's where that has
it, else that of the newest Debian that does; "6.12+deb13" is Debian 13's in any
case. Those of this machine (on Debian 12 "6.1" and "6.12") are resolved to the
release whose headers are installed, because that is what our modules are built
against. Of any other the newest release counts that the archive has, backports
included; its modules are built in a root of that Debian (archive.py). A name
with a flavour ("6.12 arm64-16k") means the newest of that flavour in the newest Debian;
one of another architecture is built by a cross compiler. Three flavours are no Debian's: they are built here
(built.py: "6.12 debug", "6.12 kcsan", "6.12 gcov").

The image comes from this machine if it happens to be installed, else its package
is downloaded and unpacked into the cache; nothing is installed and /boot is only
read.
"""
import contextlib
import glob
import lzma
import os
import re
import shutil
import tempfile

from . import built
from .architecture import AMD64, of_flavour, page_bytes
from .archive import BACKPORTS, HERE, KERNELS, RELEASES, Archive, Workshop
from .paths import HarnessError, cache, command, digest, locked, tree

SERIES = ("6.1", "6.12")
# The newest that Debian has, in which only the module is tested.
NEWEST = "7.3"
FLAVOUR = "cloud-amd64"
# Where kernels of another flavour or architecture come from: the newest Debian.
NEXT = list(RELEASES)[-1]


def _version_key(release):
    return [int(n) for n in re.findall(r"\d+", release)]


def release(series):
    """The newest installed header package of @series, cloud flavour."""
    found = [os.path.basename(d)[len("linux-headers-"):]
             for d in glob.glob(f"/usr/src/linux-headers-{series}.*-cloud-amd64")]
    if not found:
        raise HarnessError(f"no headers of a {series} cloud kernel are installed; run ./bootstrap deps")
    return max(found, key=_version_key)


def home(name):
    """(series, Debian) of the kernel @name."""
    series, _, number = name.partition("+deb")
    having = [d for d in RELEASES if series in KERNELS[d] + BACKPORTS[d] and number in ("", str(RELEASES[d]))]
    if not having:
        raise HarnessError(f"no Debian is known to have a kernel {name}")
    return series, HERE if HERE in having else having[-1]


def of(debian):
    """The names of the kernels of a Debian: its own, and the newest of its backports."""
    return tuple(s if home(s)[1] == debian else f"{s}+deb{RELEASES[debian]}"
                 for s in KERNELS[debian] + BACKPORTS[debian][-1:])


def archived(series, flavour, debian):
    """The newest release of @series that the archive of @debian has headers of."""
    archive = Archive(debian, series in BACKPORTS[debian], of_flavour(flavour).name)
    name = archive.newest("linux-headers-", rf"{re.escape(series)}\.[\d.]+(-\d+|\+deb\d+)-{flavour}")
    return name[len("linux-headers-"):]


class Headers:
    """release, and headers to build with: on this machine, or in the @workshop that has them, or in @headers.

    Where the same release may be built in several ways, identity tells them apart."""

    workshop = identity = None
    arch = AMD64
    page_bytes = 4096

    def __init__(self, release, workshop=None, headers=None):
        self.release = release
        self.workshop = workshop
        self.arch = of_flavour(release)
        self.page_bytes = page_bytes(release)
        self.headers = headers or (workshop.headers(release) if workshop else f"/usr/src/linux-headers-{release}")

    def outside(self, path):
        """@path, as it is called among the headers, as it is called on this machine."""
        return (self.workshop.root if self.workshop else "") + path

    @contextlib.contextmanager
    def copy(self, files):
        """A folder with the @files of tree(), to build in; gone afterwards."""
        # Not below the cache where that can be avoided: Kbuild cannot cope with a space in the path.
        with tempfile.TemporaryDirectory(prefix="vmtest-", dir=self.outside("/tmp")) as tmp:
            for rel, path in files:
                os.makedirs(os.path.dirname(os.path.join(tmp, rel)), exist_ok=True)
                shutil.copy2(path, os.path.join(tmp, rel))
            yield tmp

    def make(self, folder, *arguments):
        """argv that builds the module in @folder, a copy()."""
        if self.workshop:
            return self.workshop.make(self.headers, folder, *arguments)
        return ["make", "-C", self.headers, f"M={folder}", *arguments]


class Kernel(Headers):
    """image, and lookup of modules by name. Read-only once made. built: its Flavour, if it is built here."""

    built = None

    def __init__(self, name):
        base, _, flavour = name.partition(" ")
        if flavour in built.FLAVOURS:
            self._adopt_built(base, built.Build(base, flavour))
            return
        self.series, debian = home(base)
        if flavour:
            debian = NEXT
        flavour = flavour or FLAVOUR
        if name == base and debian == HERE and self.series in KERNELS[HERE]:
            super().__init__(release(self.series))
        else:
            super().__init__(archived(self.series, flavour, debian), Workshop(debian, of_flavour(flavour).name))
        self._adopt(self._root())

    def _adopt_built(self, series, build):
        self.series, self.built = series, build.flavour
        super().__init__(build.release, headers=build.headers)
        self.identity = build.identity
        self._adopt(build.root)

    def _adopt(self, root):
        """Takes what is there of self.release below @root."""
        self.modules = next((p for p in (os.path.join(root, folder, "modules", self.release)
                                         for folder in ("lib", "usr/lib")) if os.path.exists(p)), None)
        if not self.modules:
            raise HarnessError(f"no modules of {self.release} below {root}")
        self.image = os.path.join(root, "boot", f"vmlinuz-{self.release}")
        if not os.path.exists(self.image):
            self.image = os.path.join(self.modules, "vmlinuz")
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
                archive = Archive(self.workshop.release, True, self.arch.name) if self.workshop else Archive()
                # One package, or since 7.3 one for each part.
                archive.unpack(archive.with_depends(f"linux-image-{self.release}",
                                                    rf"linux-(base|binary|modules)-{re.escape(self.release)}"), root)
        return root

    def has(self, name):
        """Whether there is a module of that name, or it is built in."""
        return name.replace("-", "_") in self._builtin | self._files.keys()

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


def build_module(kernel, source, name, arguments=(), keep=()):
    """Builds the out-of-tree module in folder @source for @kernel; path of NAME.ko.

    The source is copied first: Kbuild litters its folder, and two kernels would
    fight over it. @arguments are for make; files of the build with the suffixes @keep are kept beside NAME.ko.
    """
    files = [f for f in tree(source) if not f[0].endswith((".ko", ".o", ".mod", ".mod.c", ".cmd"))]
    out = cache("module", f"{name}-{kernel.release}-{digest(kernel.identity or kernel.release, *files, *arguments)}")
    ko = os.path.join(out, name + ".ko")
    with locked(f"module-{kernel.release}"):
        if not os.path.exists(ko):
            with kernel.copy(files) as tmp:
                command(kernel.make(tmp, *arguments, "modules"), f"build of {name}.ko for {kernel.release}")
                command([f"{kernel.arch.prefix}strip", "-g", f"{tmp}/{name}.ko"], "strip")
                os.makedirs(out, exist_ok=True)
                for rel, path in tree(tmp, tuple(keep)) if keep else ():
                    os.makedirs(os.path.dirname(os.path.join(out, rel)), exist_ok=True)
                    shutil.copy(path, os.path.join(out, rel))
                shutil.copy(f"{tmp}/{name}.ko", ko + ".tmp")
                os.rename(ko + ".tmp", ko)
    return ko


def build_static(source, name, include=(), arch=AMD64):
    """Compiles one C file to a static program for a guest of that architecture; its path."""
    headers = [f for folder in include for f in tree(folder, (".h",))]
    out = cache("guest", f"{name}-{digest((name, source), arch.prefix, *headers)}")
    with locked("guest"):
        if not os.path.exists(out):
            argv = [f"{arch.prefix}gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-static", "-s",
                    "-o", out + ".tmp"]
            argv += [f"-I{folder}" for folder in include]
            command(argv + [source], f"build of {name}")
            os.rename(out + ".tmp", out)
    return out
