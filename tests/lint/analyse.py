# SPDX-License-Identifier: GPL-2.0-or-later
"""All C of the tree, as several analysers and a second compiler see it: they have nothing to say.

  userspace   clang with the project's own warnings, and the unit tests of what it makes; sparse; cppcheck; clang's
              analyser
  modules     clang with the commands of the kernel's own build, as far as it knows their options; sparse; clang's
              analyser; cppcheck; the scripts of the kernel's scripts/coccinelle

exceptions.py has what is said and is not mended, each with its reason. Each analyser is shown a fault first that it
has to see. Arguments are pieces of the names of cases, as in any suite.

Left out: the kernel's own checkpatch (tests/kmod), shell, Python and man pages; faults that only show when
it runs (./bootstrap check has sanitizers). Kernels of other releases, whose headers and tools stand in a root of
their own, with absolute paths in it: kernels_build.py makes the module for them, by gcc. A module by clang that
could be loaded: these kernels are made by gcc, and want what clang 14 does not make (tools.GCC_ONLY).
"""
import fnmatch
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "vm"), HERE]

import tap                                            # noqa: E402
import tools                                          # noqa: E402
from exceptions import EXCEPTIONS                     # noqa: E402
from harness import archive, kernels                  # noqa: E402
from harness.paths import TOP, cache, command, locked, scratch     # noqa: E402

MESON = os.environ.get("BALLOOND_BUILD") or os.path.join(TOP, "build")
BUILD = os.path.join(MESON, "analyse")
KMOD = os.path.join(TOP, "kmod")
# Programs that run in guests; the harness compiles them as they are, without meson.
BY_HAND = ["-std=gnu11", "-D_GNU_SOURCE", f"-I{TOP}/kmod/uapi"]
SERIES = archive.KERNELS[archive.HERE]
# The tests' own modules are built for the oldest kernel only.
OLDEST = SERIES[0]
# Newer scripts know more; they are for this kernel or older ones, too.
COCCINELLE = f"linux-source-{archive.KERNELS[archive.HERE][-1]}"
# Scripts that cannot say anything here: they need a compiler of OCaml, and one has no mode `report`.
NO_COCCINELLE = {
    "check_bq27xxx_data": "is for one driver of batteries, and wants OCaml's compiler",
    "badzero": "wants OCaml's compiler; sparse says the same of 0 in the place of a pointer",
}


def sources():
    """Every C file of the tree, from its root."""
    return sorted(os.path.relpath(os.path.join(folder, name), TOP) for top in ("daemon", "kmod", "tests")
                  for folder, _, names in os.walk(os.path.join(TOP, top))
                  for name in names if name.endswith(".c") and not name.endswith(".mod.c"))


def module_folders():
    """Those with a Kbuild, the module's own first, from the root of the tree."""
    found = [os.path.relpath(os.path.dirname(p), TOP) for p in glob.glob(f"{TOP}/tests/**/Kbuild", recursive=True)]
    return ["kmod", *sorted(found)]


def in_modules(path):
    return any(path.startswith(f + "/") for f in module_folders())


# -- judging ----------------------------------------------------------------
def line_of(finding):
    try:
        with open(os.path.join(TOP, finding.path)) as f:
            return f.read().split("\n")[finding.line - 1]
    except (OSError, IndexError):
        return ""


def excepted(entry, finding, line):
    tool, check, path, piece, _ = entry
    return tool == finding.tool and fnmatch.fnmatchcase(finding.check, check) and \
        fnmatch.fnmatchcase(finding.path, path) and piece in line


def judge(t, findings, tool, modules, exceptions=EXCEPTIONS, look=line_of):
    """No finding but the excepted ones, and each exception for these files is needed."""
    entries = [e for e in exceptions if e[0] == tool and in_modules(e[2]) == modules]
    used, left = set(), []
    for finding in findings:
        line = look(finding)
        fitting = [e for e in entries if excepted(e, finding, line)]
        used.update(fitting[:1])
        if not fitting:
            left.append(f"{finding.path}:{finding.line}: {finding.text} [{finding.check}]\n    {line.strip()}")
    t.diag(f"{tool}: {len(findings)} said, {len(findings) - len(left)} of them excepted")
    t.check(not left, f"{tool} has {len(left)} to say that are neither mended nor in tests/lint/exceptions.py:\n"
            + "\n".join(left))
    idle = [e for e in entries if e not in used]
    t.check(not idle, "exceptions that nothing needs any more, to be taken out of tests/lint/exceptions.py:\n"
            + "\n".join(str(e) for e in idle))


# -- what is looked at --------------------------------------------------------
_userspace = None


def clang_build(t):
    folder = os.path.join(BUILD, "clang")
    if not os.path.exists(f"{folder}/build.ninja"):
        shutil.rmtree(folder, ignore_errors=True)
        p = subprocess.run(["meson", "setup", folder, TOP], env=dict(os.environ, CC="clang"), text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        t.equal(p.returncode, 0, f"meson setup\n{p.stdout}")
    return folder


def userspace(t):
    global _userspace
    if _userspace is None:
        # As they are compiled is the same for both compilers.
        configured = os.path.exists(os.path.join(MESON, "compile_commands.json"))
        units = tools.userspace(MESON if configured else clang_build(t))
        known = {u.path for u in units}
        units += [tools.Unit(f"{TOP}/{f}", TOP, BY_HAND) for f in sources()
                  if not in_modules(f) and f"{TOP}/{f}" not in known]
        _userspace = units
    return _userspace


class Modules:
    """Copies of the module and of those of the tests, for the kernel of @series; gone with the case."""

    def __init__(self, t, series):
        self.headers = f"/usr/src/linux-headers-{kernels.release(series)}"
        top = os.path.realpath(tempfile.mkdtemp(prefix="analyse-"))
        t.defer(shutil.rmtree, top)
        self.ours, self.cc, self.sparse = (top, TOP), [], []
        for folder in module_folders() if series == OLDEST else ["kmod"]:
            shutil.copytree(f"{TOP}/{folder}", f"{top}/{folder}",
                            ignore=shutil.ignore_patterns("*.o", "*.ko", "*.mod*", ".*"))
            units, said = tools.module(self.headers, f"{top}/{folder}")
            there = {f[len(folder) + 1:] for f in sources() if f.startswith(folder + "/")}
            for kind in ("cc", "sparse"):
                named = {os.path.relpath(u.path, f"{top}/{folder}") for u in units[kind]}
                t.equal(named, there, f"files that the kernel's build would give to {kind}\n{said[-2000:]}")
            self.cc += units["cc"]
            self.sparse += units["sparse"]


def coccinelle_scripts(t):
    """The folder of the kernel's own scripts, from Debian's package of its source."""
    version = archive.Archive().version(COCCINELLE)
    t.check(version, f"{archive.HERE} has no {COCCINELLE}; ./bootstrap deps refreshes the package lists")
    path = cache("coccinelle", f"{COCCINELLE}-{version.replace(':', '_')}")
    with locked("coccinelle"):
        if not os.path.exists(path):
            with scratch(path) as tmp:
                archive.Archive().unpack([COCCINELLE], f"{tmp}/root")
                tar = glob.glob(f"{tmp}/root/usr/src/*.tar.xz")
                command(["tar", "-C", tmp, "-xf", tar[0], "--wildcards", "*/scripts/coccinelle"],
                        "unpacking of scripts")
                os.rename(glob.glob(f"{tmp}/*/scripts/coccinelle")[0], path)
    return path


# A fault for each, and what has to be said of it.
PLANTED = """\
void *kzalloc(unsigned long size);
void kfree(const void *p);
int *plain = 0;
int f(int *p);
int f(int *p)
{
	int a[2] = {1, 2}, nobody;

	if (!p)
		a[1] = *p;
	return a[2];
}
void g(void *p);
void g(void *p)
{
	if (p)
		kfree(p);
}
"""
PLANTED_CHECKS = {"sparse": "-", "cppcheck": "arrayIndexOutOfBounds", "clang-analyser": "core.NullDereference",
                  "coccinelle": "ifnullfree", "clang": "-Wunused-variable"}


# -- cases ----------------------------------------------------------------
@tap.case("each analyser sees a fault that is laid before it", timeout=300)
def planted(t):
    top = os.path.realpath(tempfile.mkdtemp(prefix="analyse-"))
    t.defer(shutil.rmtree, top)
    with open(f"{top}/planted.c", "w") as f:
        f.write(PLANTED)
    unit = tools.Unit(f"{top}/planted.c", top, ["-std=gnu11"])
    scripts = glob.glob(f"{coccinelle_scripts(t)}/**/ifnullfree.cocci", recursive=True)
    seen = tools.sparse([unit], top) + tools.cppcheck([unit.path], top, top) + tools.clang_analyser([unit], top) + \
        tools.clang_compiles([unit], top, (top, top), top)
    found, failed = tools.coccinelle(scripts, [top], [], top, (top, top))
    t.equal(failed, {}, "scripts that did not run")
    for tool, check in PLANTED_CHECKS.items():
        with t.subtest(tool):
            t.check([f for f in seen + found if (f.tool, f.check) == (tool, check)], f"{check} in {seen + found}")


@tap.case("what is not excepted fails, and so does an exception that is not needed")
def judging(t):
    def said(findings, exceptions):
        try:
            judge(t, findings, "sparse", False, exceptions, lambda f: "int x = y;")
        except tap.Failure as e:
            return str(e)
        return ""
    one = tools.Finding("sparse", "check", "daemon/a.c", 3, "text")
    fits = ("sparse", "che*", "daemon/*.c", "x = y", "reason")
    t.equal(said([one], [fits]), "", "one that fits")
    t.contains(said([one], []), "daemon/a.c:3: text [check]", "without it")
    t.contains(said([], [fits]), "nothing needs any more", "nothing said")
    for wrong in (("cppcheck", *fits[1:]), ("sparse", "other", *fits[2:]), (*fits[:2], "daemon/b.c", *fits[3:]),
                  (*fits[:3], "x = z", fits[4])):
        t.contains(said([one], [wrong]), "daemon/a.c:3: text", f"{wrong} does not fit")


@tap.case("each exception has a reason, and a file that exists")
def reasons(t):
    for entry in EXCEPTIONS:
        t.equal(len(entry), 5, entry)
        t.check(entry[0] in ("sparse", "cppcheck", "clang", "clang-analyser", "coccinelle"), f"tool: {entry}")
        t.check(len(entry[4]) > 10, f"reason: {entry}")
        t.check(glob.glob(os.path.join(TOP, entry[2])), f"file: {entry}")


@tap.case("every C file is looked at, by meson's commands, the kernel's, or as the harness compiles it")
def complete(t):
    looked = {os.path.relpath(u.path, TOP) for u in userspace(t)}
    left = [f for f in sources() if f not in looked and not in_modules(f)]
    t.equal(left, [], "files that nobody looks at")
    t.check(len(looked) > 150, f"{len(looked)} files of userspace")


@tap.case("clang makes userspace without a warning", timeout=1200)
def clang(t):
    folder = clang_build(t)
    p = tools.run(["ninja", "-C", folder, "-t", "clean"])
    p = tools.run(["ninja", "-C", folder])
    t.equal(p.returncode, 0, f"status of ninja\n{p.stdout[-5000:]}")
    t.equal(re.findall(r"^.*\bwarning: .*$", p.stdout, re.M), [], "warnings")
    alone = [u for u in userspace(t) if u.options is BY_HAND]
    said = "".join(tools.run(["clang", "-Wall", "-Wextra", "-Wshadow", "-Wmissing-prototypes", *u.options, "-c", "-o",
                              "/dev/null", u.path]).stdout for u in alone)
    t.equal(said, "", f"what it says of the {len(alone)} programs of guests")


@tap.case("the unit tests pass with what clang made", timeout=1200)
def clang_tests(t):
    p = tools.run(["meson", "test", "-C", clang_build(t), "--suite", "unit", "--print-errorlogs"])
    count = re.search(r"^Ok: *(\d+)", p.stdout, re.M)
    t.equal(p.returncode, 0, f"status of meson test\n{p.stdout[-5000:]}")
    t.diag(f"{count[1]} suites")
    t.check(int(count[1]) > 30, "the tests have run")


@tap.case("sparse, userspace", timeout=600)
def sparse(t):
    judge(t, tools.sparse(userspace(t), TOP), "sparse", False)


@tap.case("cppcheck, userspace", timeout=900)
def cppcheck(t):
    alone = [u.path for u in userspace(t) if u.options is BY_HAND]
    found = tools.cppcheck(["--std=c11", f"--project={clang_build(t)}/compile_commands.json"], TOP, TOP)
    found += tools.cppcheck(["--std=c11", "-D_GNU_SOURCE", *alone], TOP, TOP)
    judge(t, tools.once(found), "cppcheck", False)


@tap.case("clang's analyser, userspace", timeout=1800)
def analyser(t):
    judge(t, tools.clang_analyser(userspace(t), TOP), "clang-analyser", False)


@tap.case("the modules, for each kernel of this release", timeout=1800)
def of_modules(t):
    said = {"sparse": [], "clang": [], "clang-analyser": []}
    for series in SERIES:
        m = Modules(t, series)
        said["sparse"] += tools.sparse(m.sparse, TOP, m.ours)
        said["clang"] += tools.clang_compiles(m.cc, TOP, m.ours, m.headers)
        said["clang-analyser"] += tools.clang_analyser(m.cc, TOP, m.ours, m.headers)
    for tool, findings in said.items():
        with t.subtest(f"{tool}, {' and '.join(SERIES)}"):
            judge(t, tools.once(findings), tool, True)


@tap.case("cppcheck, the modules", timeout=600)
def cppcheck_modules(t):
    folders = [os.path.join(TOP, f) for f in module_folders()]
    found = tools.cppcheck(["-D__KERNEL__", "-DCONFIG_X86", "-DUBALLOON_HOST_XEN", f"--include={HERE}/kernel-loops.h",
                            f"-I{KMOD}/uapi", *folders], TOP, TOP)
    judge(t, found, "cppcheck", True)


@tap.case("coccinelle, the kernel's own scripts", timeout=1800)
def coccinelle(t):
    folder = coccinelle_scripts(t)
    scripts = sorted(glob.glob(f"{folder}/**/*.cocci", recursive=True))
    wanted = [s for s in scripts if os.path.basename(s)[:-len(".cocci")] not in NO_COCCINELLE]
    common = f"/usr/src/linux-headers-{re.sub(r'-cloud-.*', '', kernels.release(SERIES[-1]))}-common/include"
    top = tempfile.mkdtemp(prefix="analyse-")
    t.defer(shutil.rmtree, top)
    for name in module_folders():
        shutil.copytree(f"{TOP}/{name}", f"{top}/{name}", ignore=shutil.ignore_patterns("*.mod.c", "*.o", ".*"))
    found, failed = tools.coccinelle(wanted, [f"{top}/{f}" for f in module_folders()], [common], TOP,
                                     (os.path.realpath(top), TOP))
    t.diag(f"{len(wanted)} scripts; not these: {', '.join(NO_COCCINELLE)}")
    t.check(len(wanted) > 60, f"{len(wanted)} scripts")
    t.equal(failed, {}, "scripts that did not run")
    judge(t, found, "coccinelle", True)


if __name__ == "__main__":
    tap.main()
