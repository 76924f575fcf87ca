# SPDX-License-Identifier: GPL-2.0-or-later
"""The module against each kernel whose headers are here, and its form.

Builds happen in private copies. A warning is a failure: with W=1, from modpost
and from sparse. The kernels that the project promises must be among those
found. checkpatch.pl is used where a kernel package or tree has brought one;
the rules that matter most are checked here in any case.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(os.path.join(HERE, "..", ".."))
KMOD = os.path.join(TOP, "kmod")
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "vm")]

import tap                                                            # noqa: E402
from harness import archive                                           # noqa: E402

# Of those that the project promises, those of this machine's release; kernels_build.py has the others.
PROMISED = archive.KERNELS[archive.HERE]
CHECKPATCH = ("/usr/src/linux-headers-*/scripts", "/usr/lib/linux-kbuild-*/scripts",
              "/usr/src/linux-*/scripts")
# What checkpatch has an opinion about and this project has another one.
CHECKPATCH_IGNORE = "CAMELCASE,BIT_MACRO,TYPO_SPELLING,PREFER_KERNEL_TYPES,FILE_PATH_CHANGES"
# Header wrappers and the kernel's own names for things that a module must export.
FOREIGN_SYMBOLS = {"init_module", "cleanup_module", "__this_module"}


def releases():
    found = [os.path.basename(d)[len("linux-headers-"):]
             for d in glob.glob("/usr/src/linux-headers-*") if os.path.exists(d + "/Module.symvers")]
    return sorted(found)


def sources(*suffixes):
    for folder, _, names in os.walk(KMOD):
        for name in sorted(names):
            if name.endswith(suffixes):
                yield os.path.join(folder, name)


def make(t, release, *arguments):
    """Output of a build in a private copy that is gone when the case ends; (log, folder)."""
    tmp = tempfile.mkdtemp(prefix="kmod-build-")
    t.defer(shutil.rmtree, tmp)
    copy = os.path.join(tmp, "kmod")
    shutil.copytree(KMOD, copy, ignore=shutil.ignore_patterns("*.o", "*.ko", "*.mod*", ".*"))
    p = t.run(["make", "-C", copy, f"KDIR=/usr/src/linux-headers-{release}", *arguments, "modules"],
              timeout=280)
    t.equal(p.returncode, 0, f"status of make\n{p.stdout}{p.stderr}")
    return p.stdout + p.stderr, copy


def complaints(log):
    """What a build says besides its progress."""
    quiet = re.compile(r"^(make(\[\d+\])?: (Entering|Leaving)|make -C |  (CC|LD|MODPOST|CHECK|BTF|AR)\b|"
                       r"Skipping BTF generation|$)|the kernel was built by|gcc-\d+ \(Debian|You are using:|"
                       r"^  (The kernel|You are)|warning: the compiler differs")
    return [line for line in log.splitlines() if not quiet.search(line)]


@tap.case("the promised kernels' headers are installed")
def promised(t):
    for series in PROMISED:
        with t.subtest(series):
            if any(re.match(re.escape(series) + r"\.\d+.*-cloud-amd64$", r) for r in releases()):
                continue
            p = t.run(["apt-cache", "show", "linux-headers-cloud-amd64" if series == PROMISED[0]
                       else f"linux-headers-{series}-cloud-amd64"])
            t.check(p.returncode == 0, f"no {series} headers on this distribution")
            t.fail(f"headers of a {series} cloud kernel are missing; run ./bootstrap deps")


def builds(t, release):
    log, copy = make(t, release, "W=1")
    t.equal(complaints(log), [], "complaints of the build")
    info = t.run(["/sbin/modinfo", f"{copy}/uballoon.ko"], status=0).stdout
    t.contains(info, f"vermagic:       {release} ", "modinfo")
    t.contains(info, "license:        GPL\n", "modinfo")
    t.contains(info, "alias:          virtio:d00000005v*", "modinfo")
    t.contains(info, f"version:        {version()}\n", "modinfo")
    undescribed = [line for line in info.splitlines()
                   if line.startswith("parm:") and not re.search(r":\S+:.{10}", line.replace(" ", ""))]
    t.equal(undescribed, [], "parameters without a description")
    symbols = t.run(["nm", "--defined-only", "-g", f"{copy}/uballoon.ko"], status=0).stdout
    names = {line.split()[2] for line in symbols.splitlines()}
    strange = {n for n in names - FOREIGN_SYMBOLS
               if not re.match(r"(uballoon_|__mod_|__UNIQUE_ID|__crc_|__pfx_|__(start|stop)_alloc_tags$)", n)}
    t.equal(strange, set(), "global symbols that do not start with uballoon_")


def sparse(t, release):
    t.check(shutil.which("sparse"), "sparse is not installed; run ./bootstrap deps")
    log, _ = make(t, release, "C=2", "CF=-D__CHECK_ENDIAN__")
    t.check("  CHECK " in log, "sparse has run")
    t.equal([line for line in log.splitlines() if KMOD in line or "uballoon" in line
             if re.search(r": (warning|error): ", line)], [], "complaints of sparse")


def without_xen(t, release):
    log, copy = make(t, release, "W=1", "CONFIG_XEN_BALLOON=n")
    t.equal(complaints(log), [], "complaints of the build")
    t.check(not os.path.exists(f"{copy}/host/xen.o"), "host/xen.c is left out")
    symbols = t.run(["nm", f"{copy}/uballoon.ko"], status=0).stdout
    t.equal(re.findall(r".*\b(?:xen\w*|balloon_(?:stats|set_new_target))$", symbols, re.M), [], "Xen's symbols")


for r in releases():
    tap.add(f"builds for {r} without a warning", builds, r, timeout=300)
    tap.add(f"sparse has no complaint with {r}", sparse, r, timeout=300)
    tap.add(f"builds without Xen for {r}", without_xen, r, timeout=300)


def version():
    with open(os.path.join(TOP, "meson.build")) as f:
        return re.search(r"^\s*version: '([^']+)'", f.read(), re.M)[1]


@tap.case("dkms.conf")
def dkms(t):
    names = ("PACKAGE_NAME", "PACKAGE_VERSION", "BUILT_MODULE_NAME", "DEST_MODULE_LOCATION", "MAKE", "CLEAN")
    script = ". ./dkms.conf; " + "; ".join(f'echo "${{{n}[0]}}"' for n in names)
    out = t.run(["bash", "-euc", script], cwd=KMOD, status=0,
                env={"PATH": os.environ["PATH"], "kernel_source_dir": "/K"}).stdout.splitlines()
    got = dict(zip(names, out))
    t.equal(got["PACKAGE_NAME"], "uballoon", "PACKAGE_NAME")
    t.equal(got["BUILT_MODULE_NAME"], "uballoon", "BUILT_MODULE_NAME")
    t.equal(got["PACKAGE_VERSION"], version(), "version")
    t.contains(got["DEST_MODULE_LOCATION"], "/updates", "DEST_MODULE_LOCATION")
    t.equal(got["MAKE"], "make KDIR=/K modules", "MAKE")
    with open(os.path.join(KMOD, "Kbuild")) as f:
        t.contains(f.read(), f"UBALLOON_VERSION ?= {version()}\n", "Kbuild")


@tap.case("everything that the build needs is installed for DKMS")
def packing(t):
    with open(os.path.join(KMOD, "meson.build")) as f:
        listed = set(re.findall(r"'([\w/.-]+)'", f.read().split("install_headers")[0]))
    here = {os.path.relpath(p, KMOD) for p in sources(".c", ".h", "Kbuild", "Makefile", "dkms.conf")}
    t.equal({p for p in here if not p.endswith(".mod.c")}, listed, "files in kmod/meson.build")


@tap.case("kernel differences stay in compat/")
def differences(t):
    for path in sources(".c", ".h", "Kbuild"):
        with open(path) as f:
            text = f.read()
        name = os.path.relpath(path, KMOD)
        t.check("LINUX_VERSION_CODE" not in text and "KERNEL_VERSION" not in text, f"{name} asks for a version")
        t.check(name.startswith("compat/") or "UBALLOON_HAVE_" not in text, f"{name} looks at a probe")
        # What is different there is in compat/balloon.h alone.
        older = re.search(r"\bpages_lock\b|\bballoon_page_(insert|finalize)\b|\bCONFIG_BALLOON_COMPACTION\b", text)
        t.check(name.startswith("compat/") or not older, f"{name} has balloon lists as they were: {older}")


@tap.case("each work queue says where it runs")
def work_queues(t):
    found = 0
    for path in sources(".c"):
        with open(path) as f:
            calls = re.findall(r"alloc_workqueue\(([^;]*)\);", f.read())
        for arguments in calls:
            found += 1
            said = re.findall(r"\bWQ_(?:PERCPU|UNBOUND)\b", arguments)
            t.equal(len(said), 1, f"{os.path.relpath(path, KMOD)}: WQ_PERCPU or WQ_UNBOUND in {arguments!r}")
    t.check(found, "calls of alloc_workqueue()")


@tap.case("form")
def form(t):
    wrong = []
    for path in sources(".c", ".h"):
        with open(path) as f:
            lines = f.read().split("\n")
        name = os.path.relpath(path, TOP)
        comment = "// SPDX" if path.endswith(".c") else "/* SPDX"
        licence = " GPL-2.0-only WITH Linux-syscall-note" if "/uapi/" in path else " GPL-2.0-only"
        first = f"{comment}-License-Identifier:{licence}" + ("" if path.endswith(".c") else " */")
        if lines[0] != first:
            wrong.append(f"{name}:1: want {first!r}")
        if lines[-1] or lines[-2] == "":
            wrong.append(f"{name}: must end with one newline")
        if len(lines) > 650:
            wrong.append(f"{name}: {len(lines)} lines are too many for one concern")
        for i, line in enumerate(lines, 1):
            # What is printed stays in one piece, so that it can be searched for.
            if len(line.expandtabs(8)) > 100 and not re.search(r'^(MODULE_PARM_DESC|\s*)\(?.*"', line):
                wrong.append(f"{name}:{i}: over 100 columns")
            if line != line.rstrip() or " \t" in line or re.match(r"^ {8}", line):
                wrong.append(f"{name}:{i}: blanks")
            if re.search(r"^\s*//(?! SPDX)", line):
                wrong.append(f"{name}:{i}: // comment")
            if re.search(r"\bBUG(_ON)?\(", line):
                wrong.append(f"{name}:{i}: BUG")
    t.equal(wrong, [], "form")


@tap.case("checkpatch", timeout=120)
def checkpatch(t):
    found = [p for pattern in CHECKPATCH for p in glob.glob(pattern + "/checkpatch.pl")]
    script = os.environ.get("CHECKPATCH") or (sorted(found) or [None])[-1]
    if not script:
        # Debian's header packages do not have it; "form" has covered the essentials.
        t.diag("no checkpatch.pl on this machine; set CHECKPATCH to use one")
        return
    p = t.run(["perl", script, "--no-tree", "-f", "--strict", "--terse", "--no-summary",
               "--max-line-length=100", f"--ignore={CHECKPATCH_IGNORE}", *sources(".c", ".h")], timeout=100)
    t.equal((p.returncode, p.stdout), (0, ""), "checkpatch")


if __name__ == "__main__":
    tap.main()
