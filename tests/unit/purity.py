#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What decide/ calls: nothing that allocates, waits, reads a clock or does I/O.

A tick must not depend on whether there is memory, and a recording must replay
to the same decisions. So the objects of decide/, as the compiler made them, may
name nothing outside of themselves but the plain functions listed here. What the
linker would have to find elsewhere is what they call.

Left out: the stack (fixed sizes, no recursion, no VLA: a compiler warning).
"""
import os
import re
import subprocess

import tap

ALLOWED = {"memcpy", "memset", "memmove", "memcmp", "strcmp", "strlen"}
# What a hardened or sanitized build adds by itself.
ADDED = re.compile(r"__(asan|ubsan|sanitizer|stack_chk|gcov|llvm|mem(cpy|set|move)_chk)|_GLOBAL_OFFSET_TABLE_")


def symbols(archive):
    out = subprocess.run(["nm", "--format=posix", archive], check=True, capture_output=True,
                         text=True).stdout
    return [line.split()[:2] for line in out.splitlines() if len(line.split()) >= 2]


@tap.case("decide/ allocates nothing and asks nobody")
def closed(t):
    found = symbols(os.environ["LIBDECIDE"])
    defined = {name for name, kind in found if kind not in "Uu"}
    wanted = {name for name, kind in found if kind == "U"} - defined
    t.check("policy_decide" in defined, "this is not decide/")
    wanted = {name for name in wanted if not ADDED.search(name)}
    t.equal(sorted(wanted - ALLOWED), [], "what decide/ calls besides")


@tap.case("the check sees an allocation")
def sees(t):
    found = symbols(os.environ["LIBSIM"])
    t.check("calloc" in {name for name, kind in found if kind == "U"}, "the simulator allocates")


if __name__ == "__main__":
    tap.main()
