# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of a kernel's log are complaints.

A race that KCSAN reports counts only if one of the modules under test is in its stacks: the kernel has
many that it knows of and means, and they are not ours. Everything else counts, whoever it comes from.

Left out: leaks, which only the guest's own end check sees (guest/finish), and reports that stop a
guest: these show as a missing verdict as well.
"""
import re

# What no kernel log may contain. guest/finish has the same list for dmesg.
BAD_LOG = re.compile(
    r"WARNING: |BUG: |Oops: |Kernel panic|general protection fault|UBSAN: |KASAN: |kmemleak: [1-9]|"
    r"possible (circular|recursive) locking|suspicious RCU usage|refcount_t: |Bad page state|"
    r"list_(add|del) corruption|INFO: task .* blocked|sleeping function called from invalid context")
_RACE = "BUG: KCSAN: "
# A report is between two of them.
_RULE = re.compile(r"={20,}\s*$")


def complaints(text, modules):
    """The lines of the log @text that are complaints, with races of @modules (names) only."""
    ours = re.compile(rf"\[({'|'.join(re.escape(m.replace('-', '_')) for m in modules) or '(?!)'})\]")
    lines, found = text.splitlines(), []
    for i, line in enumerate(lines):
        if not BAD_LOG.search(line):
            continue
        if _RACE in line:
            ends = (j for j in range(i + 1, len(lines)) if _RULE.search(lines[j]) or _RACE in lines[j])
            if not any(ours.search(part) for part in lines[i:next(ends, len(lines))]):
                continue
        found.append(line)
    return found
