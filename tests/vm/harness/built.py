# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels that are built here, from Debian's source package: "6.12 debug", "6.12 kcsan" and "6.12 gcov".

What they find no stock kernel can: tests/vm/kernels/ has their configurations, guest.config for
all and one for each, over allnoconfig. A kernel is built when it is asked for and not in the
cache: ten minutes of two processors for the first, five for each of the others; the first took an hour beside
other work. It is built again when the options in these files change, or the version of the source package; their
comments do not count. An option that the kernel does not take is an error, and not a check less.

One line of the source is another one: how long the interpreter of ACPI may take for a loop of the
firmware (MAX_LOOP). An emulated guest on a busy machine needs more than that with all the checks, and
without what it says of interrupts no device works.

Left out: what guests of these kernels need beyond those of others is in Flavour, and guest.py goes by
it; which reports count is in reports.py, and which lines have run in module_coverage.py.
"""
import os
import re
import time
from typing import NamedTuple

from .archive import Archive, _write
from .paths import CACHE, VM, HarnessError, cache, command, digest, locked, replace, scratch

MIB = 1 << 20
CONFIGS = os.path.join(VM, "kernels")
ARCH = "amd64"
# For hangs. Four busy neighbours make ten minutes an hour.
BUILD_S = 6 * 3600
MAX_LOOP = ("include/acpi/acconfig.h", r"^(#define ACPI_MAX_LOOP_TIMEOUT\s+)30$", r"\g<1>3000")


class Flavour(NamedTuple):
    """What a guest with it has more than others: times as long for everything, memory, words of its
    command line. @end_tolerance is that of the end checks, as a part of the memory, beside the guest's own;
    @noise_mib what comes and goes meanwhile by itself. @wakes: from suspend to RAM, in an emulated guest."""

    patience: int
    memory: float
    more_memory: int
    end_tolerance: float
    append: str = ""
    # ... of guests that are never asked to suspend to RAM.
    append_awake: str = ""
    noise_mib: float = 0
    wakes: bool = True
    # Whether modules can count which of their lines run.
    counts: bool = False

    def room(self, memory):
        """Bytes with which a guest has what others have with @memory, in whole MiB."""
        return (int(memory * self.memory) + self.more_memory + MIB - 1) // MIB * MIB


# KASAN takes an eighth of the memory, and what programs or the kernel have freed is kept for a while: up to
# 1/32 of it. Leaks of slab objects are kmemleak's, which knows them one by one.
# ACPI's table of interrupts is a program, which is run anew whenever a PCI device comes or goes: with these checks
# that takes a minute or more, without them a second. Nobody wakes up without that table.
# KCSAN makes a race of the kernel's own a reason to panic, too; reports.py tells whose it is.
FLAVOURS = {
    "debug": Flavour(patience=4, memory=1.2, more_memory=40 * MIB, end_tolerance=1 / 24, noise_mib=8,
                     append_awake="acpi=noirq"),
    "kcsan": Flavour(patience=4, memory=1.0, more_memory=32 * MIB, end_tolerance=0, wakes=False,
                     append="panic_on_warn=0 log_buf_len=4M"),
    "gcov": Flavour(patience=1, memory=1.0, more_memory=0, end_tolerance=0, counts=True),
}
# As guests' names have them.
SERIES = tuple(f"6.12 {flavour}" for flavour in FLAVOURS)


def options(flavour, folder=CONFIGS):
    """The lines of the kernel's configuration that are ours, without comments."""
    lines = []
    for name in ("guest", flavour):
        with open(os.path.join(folder, f"{name}.config")) as f:
            lines += [line.strip() for line in f if line.strip() and not line.startswith("#")]
    for line in lines:
        if not re.fullmatch(r'CONFIG_\w+=(?:[ymn]|\d+|"[^"]*")', line):
            raise HarnessError(f"configuration of the {flavour} kernel: what is \"{line}\"?")
    return lines


def refused(wanted, text):
    """The lines of @wanted that are not so in @text, a kernel's .config."""
    got = dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.M))
    return [line for line in wanted if got.get(*line.split("=", 1)[:1], "n") != line.split("=", 1)[1]]


class Build:
    """release; root, which has boot/, lib/modules/ and headers of it; identity, which says what it was made of."""

    def __init__(self, series, flavour):
        self.flavour = FLAVOURS[flavour]
        self._name, self._package, self._options = f"{series}-{flavour}", f"linux-source-{series}", options(flavour)
        self._archive = Archive()
        self._version = self._archive.version(self._package)
        if not self._version:
            raise HarnessError(f"apt knows no {self._package}; run ./bootstrap deps")
        self.identity = f"{self._name}-{digest(self._version, *self._options, *MAX_LOOP)}"
        self.root = cache("kernel", self.identity)
        if re.search(r"\s", self.root):
            raise HarnessError(f"the kernel's build cannot cope with the space in {CACHE}; set BALLOOND_VM_CACHE")
        with locked(f"kernel-{self._name}"):
            if not self.there():
                self._make()
        with open(os.path.join(self.root, "release")) as f:
            self.release = f.read().strip()
        self.headers = os.path.join(self.root, "usr", "src", f"linux-headers-{self.release}")

    def there(self):
        return os.path.exists(self.root)

    def _make(self):
        started = time.monotonic()
        print(f"# {self._name}: built from {self._package} {self._version}, which takes a while", flush=True)
        with scratch(self.root) as tmp:
            self._archive.unpack([self._package], f"{tmp}/package")
            source, out = f"{tmp}/{self._package}", f"{tmp}/out"
            command(["tar", "-C", tmp, "-xf", f"{tmp}/package/usr/src/{self._package}.tar.xz"], "unpacking")
            patch(source)
            configure(source, out, self._options)
            command(["make", "-s", f"-j{os.cpu_count()}", "-C", out, "all"], f"build of {self._name}", BUILD_S)
            took = time.monotonic() - started
            install(out, f"{tmp}/root", f"{self._version}, {took:.0f} s")
            replace(f"{tmp}/root", self.root, f"{self._name}-")
        print(f"# {self._name}: built in {took:.0f} s", flush=True)


def patch(source):
    path, pattern, instead = os.path.join(source, MAX_LOOP[0]), *MAX_LOOP[1:]
    with open(path) as f:
        text, count = re.subn(pattern, instead, f.read(), flags=re.M)
    if count != 1:
        raise HarnessError(f"{MAX_LOOP[0]} of the kernel has no {pattern}")
    _write(path, text)


def configure(source, out, wanted):
    os.makedirs(out)
    _write(f"{out}/wanted", "\n".join(wanted) + "\n")
    command(["make", "-s", "-C", source, f"O={out}", f"KCONFIG_ALLCONFIG={out}/wanted", "allnoconfig"],
            "configuration")
    with open(f"{out}/.config") as f:
        missing = refused(wanted, f.read())
    if missing:
        raise HarnessError(f"the kernel does not take {' '.join(missing)}")


def install(out, root, said):
    """Puts what guests and builds of modules need of the tree @out below the new folder @root."""
    with open(f"{out}/include/config/kernel.release") as f:
        release = f.read().strip()
    headers = f"{root}/usr/src/linux-headers-{release}"
    os.makedirs(f"{root}/boot")
    for name, goal in (("arch/x86/boot/bzImage", "vmlinuz"), ("System.map", "System.map"), (".config", "config")):
        command(["cp", f"{out}/{name}", f"{root}/boot/{goal}-{release}"], "copy of the kernel")
    command(["make", "-s", "-C", out, f"INSTALL_MOD_PATH={root}", "DEPMOD=true", "modules_install"],
            "copy of the modules")
    command(["make", "-s", "-C", out, "run-command",
             f"KBUILD_RUN_COMMAND=+$(srctree)/scripts/package/install-extmod-build {headers}"], "copy of the headers")
    # Links to the tree that is about to go.
    for name in ("build", "source"):
        if os.path.islink(f"{root}/lib/modules/{release}/{name}"):
            os.unlink(f"{root}/lib/modules/{release}/{name}")
    _write(f"{root}/made", said + "\n")
    _write(f"{root}/release", release + "\n")
