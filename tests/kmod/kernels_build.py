# SPDX-License-Identifier: GPL-2.0-or-later
"""The module against Debian's kernels, each with the compiler of its release.

Without arguments, the newest of each series that the project supports, cloud
flavour; with --all, every release and flavour that Debian has of them, and arm64,
by a cross compiler. (Other arguments are names of cases.) Headers and compilers are unpacked into the cache
of tests/vm/harness, which takes root and, the first time, the network. A warning
is a failure, and so is a kernel that is not there: nothing is skipped.

The range of kernels stands in three texts; here they are kept together.

Left out: W=1, sparse and the module's form, with the kernels whose headers are
installed (kmod_build.py); whether it runs (tests/vm).
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "vm")]

import tap                                                            # noqa: E402
from harness import architecture, archive, kernels                    # noqa: E402
from harness.paths import TOP, tree                                   # noqa: E402

KMOD = os.path.join(TOP, "kmod")
FLAVOURS = ("cloud-amd64", "amd64", "rt-amd64")
# Of Debian 13, which has pages of 16 KiB, too.
ARM_FLAVOURS = ("arm64", "arm64-16k")
# The series of each release, its backports included. That of the newest Debian comes last: it counts.
SERIES = tuple((d, s) for d in archive.RELEASES for s in archive.KERNELS[d] + archive.BACKPORTS[d])
NEWEST = [(debian, series, kernels.FLAVOUR) for series, debian in {s: d for d, s in SERIES}.items()]
ALL = [(debian, series, flavour) for debian, series in SERIES
       for flavour in FLAVOURS + (ARM_FLAVOURS if debian == SERIES[-1][0] else ARM_FLAVOURS[:1])]
DEBIANS = {d: f"Debian {number}" for d, number in archive.RELEASES.items()}
RANGE = f"Linux {SERIES[0][1]} to {SERIES[-1][1]}"
WARNING = re.compile(r"\b(warning|error)\b", re.I)


def headers(debian, series, flavour):
    # Those of this machine are installed anyway.
    if debian == archive.HERE and flavour == kernels.FLAVOUR and series in archive.KERNELS[debian]:
        return kernels.Headers(kernels.release(series))
    workshop = archive.Workshop(debian, architecture.of_flavour(flavour).name)
    return kernels.Headers(kernels.archived(series, flavour, debian), workshop)


def build(t, h, prepare=lambda folder: None):
    """(status, output, is there a module?) of make on a copy of the module that @prepare may change."""
    with h.copy(tree(KMOD)) as folder:
        prepare(folder)
        p = t.run(h.make(folder, "modules"), timeout=t.left())
        return p.returncode, p.stdout + p.stderr, os.path.exists(f"{folder}/uballoon.ko")


def builds(t, debian, series, flavour):
    h = headers(debian, series, flavour)
    t.diag(f"{h.release}, {DEBIANS[debian]}")
    with open(h.outside(f"{h.headers}/.config")) as f:
        config = set(re.findall(r"^(CONFIG_\w+)=[ym]$", f.read(), re.M))
    with t.subtest("DKMS does not pass it over"):
        t.equal(wanted_by_dkms() - config, set(), "options that dkms.conf wants and the kernel lacks")
    with t.subtest("builds without a warning"):
        status, log, made = build(t, h)
        t.equal((status, made), (0, True), f"status of make and uballoon.ko\n{log}")
        t.equal([line for line in log.splitlines() if WARNING.search(line)], [], "warnings")


def dkms_conf():
    with open(os.path.join(KMOD, "dkms.conf")) as f:
        return f.read()


def wanted_by_dkms():
    return set(re.findall(r"\bCONFIG_\w+", "".join(re.findall(r"^BUILD_EXCLUSIVE_CONFIG=.*", dkms_conf(), re.M))))


@tap.case("the texts name the same kernels")
def texts(t):
    for name in ("README.md", "docs/install.md", "docs/troubleshooting.md", "kmod/dkms.conf", "man/uballoon.4"):
        with open(os.path.join(TOP, name)) as f:
            t.equal(re.findall(r"\bLinux \d+\.\d+ to \d+\.\d+", f.read()), [RANGE], name)
    t.contains(dkms_conf(), f'\nBUILD_EXCLUSIVE_KERNEL_MIN="{SERIES[0][1]}"\n', "dkms.conf")
    t.equal([s for s in kernels.SERIES if s not in (s for _, s in SERIES)], [], "kernels of guests beyond the range")


@tap.case("a kernel without balloon lists fails loudly", timeout=600)
def without_lists(t):
    def take_off(folder):
        with open(f"{folder}/without.h", "w") as f:
            f.write("#undef CONFIG_BALLOON\n#undef CONFIG_MEMORY_BALLOON\n")
        with open(f"{folder}/Kbuild") as f:
            text = f.read()
        with open(f"{folder}/Kbuild", "w") as f:
            f.write(f"ccflags-y += -include $(src)/without.h\n{text}")

    status, log, made = build(t, headers(*NEWEST[-1]), take_off)
    t.check(status and not made, "the build fails")
    t.contains(log, "uballoon needs a kernel with balloon lists", "what it says")


everything = "--all" in sys.argv
sys.argv[1:] = [a for a in sys.argv[1:] if a != "--all"]
for d, s, f in ALL if everything else NEWEST:
    # The first of a release waits for its root.
    tap.add(f"{DEBIANS[d]}: {s} {f}", builds, d, s, f, timeout=1500)


if __name__ == "__main__":
    tap.main()
