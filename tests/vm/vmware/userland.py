# SPDX-License-Identifier: GPL-2.0-or-later
"""A dynamically linked program for a guest that has no libraries.

files() names the program, the loader and every library that the loader says it
needs, under the same paths, for the initramfs. The guest runs what this machine
runs, so both have to be x86-64.
"""
import os
import re

from harness.paths import HarnessError, command


def files(program, dest):
    """[(name in the guest, path outside, mode)] for micro.guest()."""
    if not os.path.exists(program):
        raise HarnessError(f"{program} is not there; run ./bootstrap build")
    needed = re.findall(r"(?:=> )?(/\S+) \(0x", command(["ldd", program], f"libraries of {program}"))
    return [(dest.lstrip("/"), program, 0o755)] + [(path.lstrip("/"), path, 0o755) for path in needed]
