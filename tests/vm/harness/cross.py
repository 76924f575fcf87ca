# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's programs for another architecture, by a cross compiler of this machine.

A folder in the cache has the C library and the others that the programs are linked
with, unpacked from this Debian's packages of that architecture; none is installed
and nothing of it is executed. The build is meson's own, kept beside the native one,
and does only what is left to do.

Left out: the test programs; the module (kernels.py).
"""
import functools
import os

from .archive import HERE, Archive
from .debian import build_dir
from .paths import TOP, cache, command, digest, locked, scratch

PACKAGES = ("libc6-dev", "libsystemd-dev", "libudev-dev", "libconfig-dev", "libproc2-dev")
LIBRARY = r"lib(?!c-bin|c-l10n)\S+|linux-libc-dev|zlib1g"
CROSS_FILE = """[binaries]
c = '{prefix}gcc'
ar = '{prefix}ar'
strip = '{prefix}strip'
pkgconfig = 'pkg-config'
[properties]
sys_root = '{root}'
pkg_config_libdir = '{root}/usr/lib/{triple}/pkgconfig'
[built-in options]
c_args = ['--sysroot={root}']
c_link_args = ['--sysroot={root}']
[host_machine]
system = 'linux'
cpu_family = '{family}'
cpu = '{family}'
endian = 'little'
"""


@functools.lru_cache
def sysroot(arch):
    """Path of the root with libraries of @arch, and what is needed to link with them."""
    archive = Archive(HERE, architecture=arch.name)
    names = archive.closure(PACKAGES, LIBRARY)
    root = cache("cross", f"{arch.name}-{digest(*names)}")
    with locked(f"cross-{arch.name}"):
        if not os.path.exists(root):
            with scratch(root) as tmp:
                archive.unpack(names, f"{tmp}/root")
                _relative(f"{tmp}/root")
                os.rename(f"{tmp}/root", root)
    return root


def _relative(root):
    """Links to absolute paths lead into @root."""
    for folder, _, names in os.walk(root):
        for path in (os.path.join(folder, name) for name in names):
            if os.path.islink(path) and (goal := os.readlink(path)).startswith("/"):
                os.unlink(path)
                os.symlink(os.path.relpath(root + goal, folder), path)


@functools.lru_cache
def programs(arch):
    """The folder that the programs for @arch are built in: daemon/balloond, daemon/ctl/balloonctl."""
    text = CROSS_FILE.format(prefix=arch.prefix, root=sysroot(arch), triple=arch.triple, family=arch.family)
    folder = os.path.join(build_dir(), f"cross-{arch.name}-{digest(text)}")
    with locked(f"cross-{arch.name}"):
        if not os.path.exists(f"{folder}/build.ninja"):
            file = cache("cross", f"{arch.name}.ini")
            with open(file, "w") as f:
                f.write(text)
            command(["meson", "setup", "--cross-file", file, "-Dtests=false", "-Dwerror=true", folder, TOP],
                    f"set-up of the build for {arch.name}")
        command(["ninja", "-C", folder], f"build for {arch.name}")
    return folder
