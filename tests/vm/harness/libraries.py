# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs with the shared libraries that they need, for an initial file system.

The libraries are found by the names in the ELF files and nothing is executed,
so the programs of an unpacked package are as good as those of this machine.

Left out: what a program opens by name at run time; whoever knows adds it.
"""
import os
import re

from .paths import HarnessError, command

FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64")


def needed(path):
    """Names of the libraries that the ELF file @path asks for, the loader included."""
    out = command(["objdump", "-p", path], f"objdump of {path}", env=dict(os.environ, LC_ALL="C"))
    return set(re.findall(r"^\s+NEEDED\s+(\S+)$", out, re.M)) | {"ld-linux-x86-64.so.2"}


def closure(programs, root="/"):
    """{name: path} of all libraries that @programs need, found below @root."""
    found, missing = {}, {n for p in programs for n in needed(p)}
    while missing:
        name = missing.pop()
        for folder in FOLDERS:
            path = os.path.join(root, folder, name)
            if os.path.exists(path):
                break
        else:
            raise HarnessError(f"{name}: no such library below {root}")
        found[name] = path
        missing |= needed(path) - set(found)
    return found


def files(programs, root="/"):
    """[(name in the guest, path outside, mode)] of @programs, [(name in the guest, path outside)],
    and of the libraries that they need."""
    for _, path in programs:
        if not os.path.exists(path):
            raise HarnessError(f"{path} is not there; run ./bootstrap build")
    found = [(name.lstrip("/"), path, 0o755) for name, path in programs]
    for name, path in sorted(closure([p for _, p in programs], root).items()):
        folder = "lib64" if name.startswith("ld-linux") else "lib/x86_64-linux-gnu"
        found.append((f"{folder}/{name}", path, 0o755))
    return found


def add(archive, programs, root="/"):
    """Puts files() into @archive."""
    for name, path, mode in files(programs, root):
        with open(path, "rb") as f:
            archive.file(name, f.read(), mode)
