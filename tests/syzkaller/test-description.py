# SPDX-License-Identifier: GPL-2.0-or-later
"""syzkaller's description of the device and kmod/uapi/uballoon.h say the same.

What the description claims becomes a C program of assertions, for the compiler to judge: numbers,
sizes, each field's place and size. What the header has and the description has not is found by name.

Left out: whether syzkaller takes it, which needs syzkaller (README).
"""
import os
import re
import subprocess

import tap

ROOT = os.environ["SOURCE_ROOT"]
CC = os.environ["CC_OF_TESTS"].split()
UAPI = os.path.join(ROOT, "kmod", "uapi")
INT_BYTES = {"int8": 1, "int16": 2, "int32": 4, "int64": 8}
# Constants of the header that only come out, or are for people.
NO_INPUT = re.compile(r"UBALLOON_(ABI_VERSION|PAGE_S|PAGES_PER|CAP_|STATE_|STOP_|PROOF_|IOC_MAGIC|ASSERT)")


def read(*path):
    with open(os.path.join(ROOT, *path)) as f:
        return f.read()


HEADER = read("kmod", "uapi", "uballoon.h")
TEXT = read("tests", "syzkaller", "dev_uballoon.txt")
CONSTANTS = read("tests", "syzkaller", "dev_uballoon.txt.const")


def header_structs(header):
    """{struct: [field]}"""
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    return {name: re.findall(r"(\w+)(?:\[\d+\])?;", body)
            for name, body in re.findall(r"struct (\w+) \{(.*?)\n\};", header, re.S)}


def header_inputs(header):
    """Names of the constants that a caller passes."""
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    names = set(re.findall(r"^#define (UBALLOON_\w+)[ \t]", header, re.M)) | \
        set(re.findall(r"^\t(UBALLOON_\w+),", header, re.M))
    return {n for n in names if not NO_INPUT.match(n)}


def described_structs(text):
    """{struct: [(field, type)]}"""
    return {name: [tuple(line.split("\t(")[0].split(None, 1)) for line in body.strip().splitlines()]
            for name, body in re.findall(r"^(\w+) \{\n(.*?)^\}", text, re.M | re.S)}


def bytes_of(text, described):
    """Size of a type of the description, None if it is not understood."""
    aliases = dict(re.findall(r"^type (\w+) (\S+)$", text, re.M))

    def size(kind):
        array = re.fullmatch(r"array\[(.*), (\d+)\]", kind)
        if array:
            element = size(array[1])
            return element and element * int(array[2])
        if kind in aliases:
            return size(aliases[kind])
        if kind in described:
            sizes = [size(k) for _, k in described[kind]]
            return None if None in sizes else sum(sizes)
        base = re.fullmatch(r"(int\d+)(\[\S+:\S+\])?|(?:const|bytesize|flags)\[\w+, (int\d+)\]", kind)
        return base and INT_BYTES.get(base[1] or base[3])
    return size


def assertions(text, constants, problems):
    """The C program that compiles if the numbers of the description are those of the header."""
    described = described_structs(text)
    size = bytes_of(text, described)
    lines = ["#include <fcntl.h>", "#include <stddef.h>", "#include <sys/syscall.h>", '#include "uballoon.h"']
    for name, value in re.findall(r"^(\w+) = (\d+)", constants, re.M):
        if name.startswith("__NR_"):
            value = re.search(rf"^{name} = .*amd64:(\d+)", constants, re.M)[1]
            lines += ["#ifdef __x86_64__", f'_Static_assert({name} == {value}, "{name}");', "#endif"]
        else:
            lines.append(f'_Static_assert((unsigned long long)({name}) == {value}ULL, "{name}");')
    for struct, fields in described.items():
        at = 0
        for field, kind in fields:
            if size(kind) is None:
                problems.append(f"{struct}.{field}: what is {kind}?")
                continue
            lines.append(f'_Static_assert(offsetof(struct {struct}, {field}) == {at} && '
                         f'sizeof(((struct {struct} *)0)->{field}) == {size(kind)}, "{struct}.{field}");')
            at += size(kind)
        lines.append(f'_Static_assert(sizeof(struct {struct}) == {at}, "{struct}");')
    return "\n".join(lines) + "\n"


def problems_of(text=TEXT, constants=CONSTANTS, header=HEADER):
    out = []
    given = set(re.findall(r"^(\w+) = ", constants, re.M))
    used = set(re.findall(r"\b(UBALLOON_[A-Z0-9_]+|O_[A-Z]+|AT_FDCWD)\b", re.sub(r"ioctl\$\w+", "", text)))
    out += [f"{n} has no number" for n in sorted(used - given)]
    out += [f"{n} is not used" for n in sorted(given - used - {"arches", "__NR_ioctl", "__NR_openat"})]
    out += [f"{n} is not described" for n in sorted(header_inputs(header) - used)]
    have, described = header_structs(header), described_structs(text)
    out += [f"struct {n} is not described" for n in sorted(have.keys() - described.keys())]
    out += [f"struct {n} is not in the header" for n in sorted(described.keys() - have.keys())]
    for name in have.keys() & described.keys():
        if have[name] != [field for field, _ in described[name]]:
            out.append(f"struct {name}: {have[name]} and {described[name]}")
    for name, kind in re.findall(r"^#define UBALLOON_IOC_(\w+)\s+_(IO|IOW|IOWR)\(", header, re.M):
        direction = {"IOWR": ", arg ptr[inout, ", "IOW": ", arg ptr[in, ", "IO": ")"}[kind]
        struct = re.search(rf"UBALLOON_IOC_{name}\s.*struct (\w+)\)", header)
        line = f"ioctl$UBALLOON_IOC_{name}(fd fd_uballoon, cmd const[UBALLOON_IOC_{name}]{direction}"
        if line + (f"{struct[1]}])" if struct else "") + "\n" not in text:
            out.append(f"ioctl$UBALLOON_IOC_{name} is not described so: {line}")
    program = assertions(text, constants, out)
    p = subprocess.run([*CC, "-D_GNU_SOURCE", f"-I{UAPI}", "-fsyntax-only", "-x", "c", "-"], input=program, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode:
        out += re.findall(r"static assertion failed: \"(.*?)\"", p.stdout) or [p.stdout]
    return out


@tap.case("the description is the header's")
def equal(t):
    t.equal(problems_of(), [], "problems")
    t.equal(len(described_structs(TEXT)), 7, "structs")


BREAKS = [
    ("another number", "constants", "UBALLOON_IOC_LOCK = 3225991683", "UBALLOON_IOC_LOCK = 3225991684"),
    ("a number that is missing", "constants", "UBALLOON_ORDER_2M = 9\n", ""),
    ("a number too many", "constants", "UBALLOON_ORDER_2M = 9\n",
     "UBALLOON_ORDER_2M = 9\nUBALLOON_PAGE_SHIFT = 12\n"),
    ("a field that is missing", "text", "\tlease_pages\t\tint64\n", ""),
    ("fields in another order", "text", "\tpop_events\t\tint64\n\tpop_pages\t\tint64\n",
     "\tpop_pages\t\tint64\n\tpop_events\t\tint64\n"),
    ("a smaller field", "text", "\tstop\t\tint32\t(out)", "\tstop\t\tint16\t(out)"),
    ("a type that nobody knows", "text", "\tstop\t\tint32\t(out)", "\tstop\t\tstopper\t(out)"),
    ("a call that is missing", "text", "ioctl$UBALLOON_IOC_POP(", "ioctl$UBALLOON_IOC_PUP("),
    ("a call with another's argument", "text", "UBALLOON_IOC_POP], arg ptr[inout, uballoon_pop]",
     "UBALLOON_IOC_POP], arg ptr[inout, uballoon_move]"),
    ("a flag that is missing", "text", ", UBALLOON_MOVE_CANSLEEP", ""),
    ("a new constant in the header", "header", "#define UBALLOON_ORDER_4K",
     "#define UBALLOON_ORDER_1G\t18\n#define UBALLOON_ORDER_4K"),
    ("a new call in the header", "header", "#define UBALLOON_IOC_POP",
     "#define UBALLOON_IOC_NEW\t_IO(UBALLOON_IOC_MAGIC, 7)\n#define UBALLOON_IOC_POP"),
    ("a new field in the header", "header", "\t__u64 direct_pages;", "\t__u64 direct_pages;\n\t__u64 new_pages;"),
    ("a new account in the header", "header", "\tUBALLOON_ACCOUNT_GONE,\n",
     "\tUBALLOON_ACCOUNT_GONE,\n\tUBALLOON_ACCOUNT_NEW,\n"),
]


@tap.case("what differs is found")
def broken(t):
    whole = {"text": TEXT, "constants": CONSTANTS, "header": HEADER}
    for name, which, old, new in BREAKS:
        with t.subtest(name):
            t.contains(whole[which], old, which)
            t.check(problems_of(**{**whole, which: whole[which].replace(old, new, 1)}), "no problem was found")


if __name__ == "__main__":
    tap.main()
