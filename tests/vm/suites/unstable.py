# SPDX-License-Identifier: GPL-2.0-or-later
"""A system that ./bootstrap does not know: Debian's unstable, with what will be in the next release.

Its root has what a build needs and nothing for tests with guests. There `./bootstrap deps` refuses, and with
BALLOOND_NO_DEPS=1 it builds what can be built and says what is missing for the rest. What is built there
is built against the newest of the libraries, libproc2 among them.

Left out: guests, the module (kernels_build.py has the kernels).
"""
import contextlib
import os
import re
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                            # noqa: E402
from harness import archive, chroot                   # noqa: E402

PACKAGES = ("libproc2-dev", "libsystemd-dev", "libudev-dev", "libconfig-dev", "libcmocka-dev", "gcc", "libc6-dev",
            "meson", "ninja-build", "pkg-config", "python3", "procps")
# The newest when this was written. Older ones are tested on Debian 12 (4.0.2) and 13 (4.0.4).
LIBPROC2 = (4, 0, 7)
# What cmocka 2 has in place of assert_in_range() the older ones do not have.
WARNING = re.compile(r"\bwarning\b(?!.*‘cmocka_macro’ is deprecated: assert_in_range)", re.I)

_stack = contextlib.ExitStack()
_machine = None


def inside(t, *argv, **environment):
    global _machine
    if not _machine:
        root = chroot.packages_root(archive.UNSTABLE, PACKAGES, t.diag)
        _machine = chroot.Machine(_stack.callback, archive.UNSTABLE, root=root)
    return _machine.run("env", "-C", chroot.PROJECT, *argv, timeout=t.left(), env=environment)


@tap.case("deps: it does not guess, and says what to do", timeout=900)
def deps(t):
    status, said = inside(t, "./bootstrap", "deps")
    t.equal(status, 1, said)
    t.contains(said, "deps knows Debian 12 and 13 only. Set BALLOOND_NO_DEPS=1", "what it says")


@tap.case("for more than a build it names what is missing")
def missing(t):
    status, said = inside(t, "./bootstrap", "demo", BALLOOND_NO_DEPS="1")
    t.equal(status, 1, said)
    t.contains(said, "\n  command qemu-system-x86_64: runs the guests\n", "what it says")
    t.check("libproc2" not in said and "meson" not in said, said)


@tap.case("built against the newest libraries, without a warning", timeout=600)
def build(t):
    text = inside(t, "dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *PACKAGES[:4], "gcc")[1]
    t.diag(text)
    version = re.search(r"^libproc2-dev (?:\d+:)?(\d+)\.(\d+)\.(\d+)", text, re.M)
    t.check(version and tuple(map(int, version.groups())) >= LIBPROC2, f"libproc2 {LIBPROC2} or newer: {text}")
    status, said = inside(t, "./bootstrap", "build", BALLOOND_NO_DEPS="1")
    t.equal(status, 0, said[-4000:])
    t.equal([line for line in said.splitlines() if WARNING.search(line)], [], "warnings")


@tap.case("its unit tests, and what it reads there is what the kernel says", timeout=900)
def units(t):
    status, said = inside(t, "meson", "test", "-C", "build", "--no-rebuild", "--suite", "unit")
    total = inside(t, "python3", "tests/tally.py", "build/meson-logs/testlog.json")[1]
    t.diag(total.splitlines()[-1] if total else said)
    t.check(re.search(r"^\d{3,} passed, 0 failed, 0 skipped$", total, re.M), f"{total}\n{said[-2000:]}")
    t.equal(status, 0, said[-2000:])
    status, said = inside(t, "build/daemon/ctl/balloonctl", "record", "--interval", "50ms", "--duration", "1s",
                          "/r.csv")
    t.equal(status, 0, said)
    names, row = (line.split(",") for line in re.findall(r"^[^#].*$", inside(t, "cat", "/r.csv")[1], re.M)[:2])
    with open("/proc/meminfo") as f:
        total = int(re.search(r"^MemTotal:\s+(\d+)", f.read(), re.M)[1])
    t.equal(int(dict(zip(names, row))["mem_total_kib"]), total, "MemTotal, by libproc2")


@tap.teardown
def gone():
    _stack.close()


if __name__ == "__main__":
    tap.main()
