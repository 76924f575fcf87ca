# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs with the shared libraries that they need, for an initial file system.

The libraries are found by the names in the ELF files and nothing is executed,
so the programs of an unpacked package are as good as those of this machine.

Left out: what a program opens by name at run time; whoever knows adds it.
"""
import os
import re

from .architecture import AMD64
from .paths import HarnessError, command

def needed(path, arch=AMD64):
    """Names of the libraries that the ELF file @path asks for, the loader included."""
    out = command([f"{arch.prefix}objdump", "-p", path], f"objdump of {path}", env=dict(os.environ, LC_ALL="C"))
    return set(re.findall(r"^\s+NEEDED\s+(\S+)$", out, re.M)) | {os.path.basename(arch.loader)}


def closure(programs, root="/", arch=AMD64):
    """{name: path} of all libraries that @programs need, found below @root."""
    found, missing = {}, {n for p in programs for n in needed(p, arch)}
    loaders = os.path.dirname(arch.loader)
    while missing:
        name = missing.pop()
        for folder in (f"lib/{arch.triple}", f"usr/lib/{arch.triple}", loaders, f"usr/{loaders}"):
            path = os.path.join(root, folder, name)
            if os.path.exists(path):
                break
        else:
            raise HarnessError(f"{name}: no such library below {root}")
        found[name] = path
        missing |= needed(path, arch) - set(found)
    return found


def files(programs, root="/", arch=AMD64):
    """[(name in the guest, path outside, mode)] of @programs, [(name in the guest, path outside)],
    and of the libraries that they need."""
    for _, path in programs:
        if not os.path.exists(path):
            raise HarnessError(f"{path} is not there; run ./bootstrap build")
    found = [(name.lstrip("/"), path, 0o755) for name, path in programs]
    for name, path in sorted(closure([p for _, p in programs], root, arch).items()):
        folder = os.path.dirname(arch.loader) if name.startswith("ld-linux") else f"lib/{arch.triple}"
        found.append((f"{folder}/{name}", path, 0o755))
    return found


def add(archive, programs, root="/"):
    """Puts files() into @archive."""
    for name, path, mode in files(programs, root):
        with open(path, "rb") as f:
            archive.file(name, f.read(), mode)
