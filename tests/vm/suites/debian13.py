# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine with Debian 13: ./bootstrap and the suites without guests, in a root of that release.

The root has what `./bootstrap deps` installs there, the compiler, systemd's headers, lintian,
Python and all; the tests see the kernel of the machine that runs this suite. The module is built
for the kernels that have been supported all along, those of Debian 12 brought from there.

Left out: the suites with guests on such a machine, the demo's guest stands for them (debian13_guest.py has
Debian 13 as a guest of this one); what
./bootstrap says on systems that it does not know (tests/cli/test-bootstrap.py).
"""
import contextlib
import os
import re
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                            # noqa: E402
from harness import chroot                            # noqa: E402

RELEASE = "trixie"
# What the build trees of ./bootstrap are called.
BUILD, SANITIZED = "build", "build-asan"
WARNING = re.compile(r"\bwarning\b|\bWARNING\b|\bdeprecated\b", re.I)

_stack = contextlib.ExitStack()
_machine = None


def machine(t):
    global _machine
    if not _machine:
        _machine = chroot.Machine(_stack.callback, RELEASE, t.diag)
    return _machine


def inside(t, *argv):
    """(status, output) of a program in the project's folder."""
    return machine(t).run("env", "-C", chroot.PROJECT, *argv, timeout=t.left())


def tested(t, build, *suites):
    """Runs suites there; each that fails is named, with what it said, and so is what was skipped."""
    status, said = inside(t, "meson", "test", "-C", build, "--no-rebuild", *suites)
    total = inside(t, "python3", "tests/tally.py", f"{build}/meson-logs/testlog.json")[1]
    t.diag(total.splitlines()[-1] if total else said)
    t.check(re.search(r"^\d{3,} passed, 0 failed, 0 skipped$", total, re.M), f"{total}\n{said[-2000:]}")
    t.equal(status, 0, said[-2000:])


@tap.case("deps: all packages of its list are there", timeout=1800)
def deps(t):
    # The root may be older than what it would download now.
    t.diag(machine(t).run("apt-get", "-q", "update", timeout=300)[1].splitlines()[-1])
    status, said = inside(t, "./bootstrap", "deps")
    t.equal(status, 0, said)
    t.check(re.search(r"^all \d+ packages are there$", said, re.M), said)
    status, said = inside(t, "env", "BALLOOND_NO_DEPS=1", "./bootstrap", "deps")
    t.equal((status, said), (0, ""), "what the list for other systems misses")


@tap.case("build: no warning", timeout=600)
def build(t):
    status, said = inside(t, "./bootstrap", "build")
    t.equal(status, 0, said[-4000:])
    t.equal([line for line in said.splitlines() if WARNING.search(line)], [], "warnings")
    t.contains(inside(t, "build/daemon/balloond", "--version")[1], "balloond", "what was built")


def without(*suites):
    """Arguments of meson: not these, nor what `check` leaves to longer runs."""
    return [word for suite in (*suites, "systems", "trust", "debug", "count") for word in ("--no-suite", suite)]


@tap.case("the suites without guests", timeout=1800)
def suites(t):
    tested(t, BUILD, *without("vm"))


@tap.case("package: built, and lintian has nothing to say", timeout=600)
def package(t):
    status, said = inside(t, "./bootstrap", "package")
    t.equal(status, 0, said[-4000:])
    for name in ("balloond", "uballoon-dkms"):
        t.check(re.search(rf"build/packages/{name}_[\d.]+_(amd64|all)\.deb$", said, re.M), said[-4000:])
    t.equal(re.findall(r"^[EWIP]: .*", said, re.M), [], "lintian's tags")


@tap.case("the suites of the daemon, with sanitizers", timeout=1800)
def sanitized(t):
    status, said = inside(t, "meson", "setup", SANITIZED, "-Db_sanitize=address,undefined", "-Db_lundef=false")
    t.equal(status, 0, said[-4000:])
    status, said = inside(t, "ninja", "-C", SANITIZED)
    t.equal(status, 0, said[-4000:])
    tested(t, SANITIZED, *without("vm", "kmod"))


@tap.case("demo: with QEMU and guest of Debian 13", timeout=2400)
def demo(t):
    status, said = inside(t, "./bootstrap", "demo")
    t.diag("\n".join(said.splitlines()[-15:]))
    t.equal(status, 0, said[-4000:])


@tap.teardown
def gone():
    _stack.close()


if __name__ == "__main__":
    tap.main()
