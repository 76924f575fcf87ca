# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of a kernel's log are complaints.

A race that KCSAN reports counts only if one of the modules under test is in a stack of it, above an interrupt
if there is one: the kernel has many that it knows of and means, and they are not ours. Of those with a module,
two kinds are the kernel's all the same (_meant). Everything else counts, whoever it comes from.

Left out: leaks, which only the guest's own end check sees (guest/finish), and reports that stop a
guest: these show as a missing verdict as well.
"""
import re

# The kernel says so, and then goes by the timer that was wrong: the clock of the guest may run at many times
# the speed of others (arch/x86/kernel/tsc.c). It comes of an emulator that had to wait in that moment.
WRONG_CLOCK = re.compile(r"tsc: PIT calibration deviates from ")

# What no kernel log may contain. guest/finish has the same list for dmesg.
BAD_LOG = re.compile(
    r"WARNING: |BUG: |Oops: |Kernel panic|general protection fault|UBSAN: |KASAN: |kmemleak: [1-9]|"
    r"possible (circular|recursive) locking|suspicious RCU usage|refcount_t: |Bad page state|"
    r"list_(add|del) corruption|INFO: task .* blocked|sleeping function called from invalid context")
_RACE = "BUG: KCSAN: "
# A report is between two of them.
_RULE = re.compile(r"={20,}\s*$")
# Of a report: an access with the address, a line of its stack, and the one where an interrupt begins.
_ACCESS = re.compile(r"(read-write|read|write)( \(marked\))? to 0x")
_FRAME = re.compile(r"^(?:\[ *[\d.]+\] )? (?:\? )?([\w.]+)\+0x[\da-f]+/0x[\da-f]+(?: \[(\w+)\])?")
_INTERRUPT = re.compile(r"asm_(sysvec_\w+|common_interrupt|exc_nmi)$")


def _accesses(report):
    """[(what, its stack)]: what is "read", "read (marked)" ..., the stack [(function, module or None)]."""
    found, interrupted = [], False
    for line in report:
        access, frame = _ACCESS.search(line), _FRAME.search(line)
        if access:
            found.append((access[1] + (access[2] or ""), []))
            interrupted = False
        elif frame and found and not interrupted:
            found[-1][1].append((frame[1], frame[2]))
            interrupted = bool(_INTERRUPT.match(frame[1]))
    return found


def _meant(accesses):
    """Whether the kernel does so with any page of anybody."""
    tops = {stack[0][0]: what for what, stack in accesses if stack}
    # Compaction scans struct pages without a lock, and takes one only after a second look with it.
    if any(tops.get(f"isolate_{name}_block", "").split()[:1] == ["read"] for name in ("freepages", "migratepages")):
        return True
    # put_page() looks whether the page is part of a larger one, while migration takes the page, of which it
    # has a reference of its own, off its list: neither a list's pointers nor their poison look like that.
    return tops == {"finish_unlock": "read (marked)", "migrate_folio_move": "write"}


def complaints(text, modules):
    """The lines of the log @text that are complaints, with races of @modules (names) only."""
    ours = {m.replace("-", "_") for m in modules}
    lines, found = text.splitlines(), []
    for i, line in enumerate(lines):
        if not BAD_LOG.search(line):
            continue
        if _RACE in line:
            ends = (j for j in range(i + 1, len(lines)) if _RULE.search(lines[j]) or _RACE in lines[j])
            accesses = _accesses(lines[i:next(ends, len(lines))])
            if _meant(accesses) or not any(module in ours for _, stack in accesses for _, module in stack):
                continue
        found.append(line)
    return found


def wrong_clock(text):
    """Whether the kernel that wrote the log @text does not know how fast time goes."""
    return WRONG_CLOCK.search(text) is not None
