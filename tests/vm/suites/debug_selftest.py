# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels that are built here under test: what they are for must be reported, each kind of it.

guest/wrong does one thing wrong in each guest; the verdict is refused, and the reason names it. That
an intact guest passes shows that it is not refused anyway. Then what suites need of these
kernels: allocations that fail when they are told to, and which lines of the module have run. The
first cases need no guest: how a kernel's configuration and its log are judged.

Left out: the faults that any kernel reports (harness_selftest.py).
"""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import built, kernels, micro, module_coverage            # noqa: E402
from harness.guest import VerdictError                                # noqa: E402
from harness.paths import TOP, VM, HarnessError, replace, tree        # noqa: E402
from harness.reports import complaints                                # noqa: E402

DEBUG, KCSAN, GCOV = built.SERIES
KMOD = os.path.join(TOP, "kmod")
# kind of guest/wrong -> what the reason must have. After "panic" the guest is gone.
REPORTS = {
    "leak": ("end check: kmemleak: unreferenced object", ""),
    "left": ("end check: kmemleak: unreferenced object", ""),
    "recursive": ("possible recursive locking detected", ""),
    "order": ("possible circular locking dependency detected", ""),
    "sleep": ("sleeping function called from invalid context", ""),
    "freed": ("KASAN: slab-use-after-free in ", "panic"),
    "beyond": ("KASAN: slab-out-of-bounds in ", "panic"),
    "index": ("UBSAN: array-index-out-of-bounds in ", "panic"),
    "shift": ("UBSAN: shift-out-of-bounds in ", "panic"),
    "object": ("ODEBUG: free active", "panic"),
    "page": ("page_ref_count(page) == 0", "panic"),
    "list": ("list_add double add", "panic"),
}
LOCKDEP = ("recursive", "order")


def folder_of(t):
    folder = tempfile.TemporaryDirectory(prefix="vmtest-")
    t.defer(folder.cleanup)
    return folder.name


def boot(t, series, **options):
    ko = kernels.build_module(kernels.Kernel(series), os.path.join(VM, "guest", "wrong"), "wrong")
    g = micro.guest(series, "debug", files=[("wrong.ko", ko, 0o644)], memory=256 << 20, **options)
    t.defer(g.kill)
    t.on_failure(g.console_tail)
    return g.start()


def intact(t, series):
    """Loading, a balloon and unloading give no reason for a complaint."""
    g = boot(t, series)
    g.sh("insmod /lib/modules-test/uballoon.ko && ubtool target 60M , lock 4k 20M 10000 , lock 2m 20M 10000 , pop")
    g.sh("insmod /wrong.ko")
    g.finish(("uballoon", "wrong"))


def wrong(t, kind, reason, end):
    g = boot(t, DEBUG)
    job = g.spawn(f"insmod /wrong.ko kind={kind}")
    if end == "panic":
        t.wait(lambda: not g.alive(), 60, "end of QEMU")
    else:
        t.equal(job.wait()[0], 0, "insmod")
    error = str(t.raises(VerdictError, g.finish, modules=("wrong",)))
    # Not all that the kernel says of it is a complaint by itself.
    t.contains(error + g.console(), reason, "reason")
    t.contains(error, "the guest did not write its verdict", "reason")
    if kind in LOCKDEP:
        t.contains(error, "end check: lockdep has stopped after a report", "reason")


def race(t):
    g = boot(t, KCSAN)
    g.sh("insmod /wrong.ko kind=race", timeout=120)
    error = str(t.raises(VerdictError, g.finish, modules=("wrong",)))
    t.contains(error, "BUG: KCSAN: data-race in counting", "reason")


def foreign(t):
    """The same race is not that of the module under test."""
    g = boot(t, KCSAN)
    g.sh("insmod /wrong.ko kind=race", timeout=120)
    t.contains(g.console(), "BUG: KCSAN: data-race in counting", "console")
    g.sh("rmmod wrong")
    g.finish()


def fail_nth(t):
    """An allocation that is told to fail does; each call is tried until none of its own is left."""
    g = boot(t, DEBUG)
    # By themselves they do so only where nobody may sleep.
    g.sh("insmod /lib/modules-test/uballoon.ko host=none; echo N > /sys/kernel/debug/failslab/ignore-gfp-wait")
    text = g.sh("for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sh -c 'echo '$n' > /proc/self/fail-nth; "
                "exec 3< /dev/uballoon' 2>&1; done; dmesg")
    t.contains(text, "Cannot allocate memory", "an open that failed")
    t.contains(text, "FAULT_INJECTION: forcing a failure.", "kernel log")
    t.equal(g.sh("cat /sys/kernel/debug/failslab/probability").strip(), "0", "what is for all programs")
    g.finish()


def counted(t):
    """The lines that ran are those, and no others."""
    if module_coverage.FOLDER:
        t.skip("all modules count")
    kernel = kernels.Kernel(GCOV)
    ko = kernels.build_module(kernel, KMOD, "uballoon", module_coverage.COUNT, module_coverage.NOTES)
    seen = []
    for commands in ("true", "ubtool target 60M , lock 4k 20M 10000 , pop"):
        g = boot(t, GCOV)
        g.put(ko, "/counts.ko")
        g.sh(f"insmod /counts.ko host=none && {commands} && rmmod uballoon")
        folder = folder_of(t)
        module_coverage.collect(g, ko, f"{folder}/counts")
        g.finish()
        seen.append(module_coverage.lines(folder))

    def ran(of, name):
        return sum(1 for n in of[name].values() if n)
    before, after = seen
    t.check(ran(before, "main.c") > 0, "main.c, when it is loaded")
    for name in ("move.c", "host/vmware.c"):
        t.equal(ran(before, name), 0, f"{name}, when it is loaded")
    t.check(ran(after, "move.c") > 10, "move.c, after a LOCK")
    t.equal(ran(after, "host/vmware.c"), 0, "host/vmware.c, after a LOCK")
    t.check(set(after) <= {name for name, _ in tree(KMOD)} | {"uballoon.mod.c"}, f"files: {sorted(after)}")
    t.diag(module_coverage.table(after))


@tap.case("configuration: each option is demanded")
def configuration(t):
    for flavour in built.FLAVOURS:
        wanted = built.options(flavour)
        t.check(len(wanted) == len({line.split("=")[0] for line in wanted}), f"{flavour}: no option twice")
    t.equal(built.refused(["CONFIG_A=y", "CONFIG_B=n", "CONFIG_C=4", 'CONFIG_D="x"'],
                          'CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=4\nCONFIG_D="x"\n'), [], "all as wanted")
    t.equal(built.refused(["CONFIG_A=y", "CONFIG_B=n", "CONFIG_C=4", "CONFIG_D=y"],
                          "CONFIG_A=m\nCONFIG_B=y\nCONFIG_C=5\n"),
            ["CONFIG_A=y", "CONFIG_B=n", "CONFIG_C=4", "CONFIG_D=y"], "none")


@tap.case("configuration: a line that is none is an error")
def misspelt(t):
    folder = folder_of(t)
    for text in ("CONFIG_KASAN = y\n", "KASAN=y\n", "CONFIG_KASAN=yes\n", "# CONFIG_KASAN is not set\nx\n"):
        for name, content in (("guest", "# nothing\n"), ("debug", text)):
            with open(f"{folder}/{name}.config", "w") as f:
                f.write(content)
        t.contains(str(t.raises(HarnessError, built.options, "debug", folder)), "what is", text)


@tap.case("a source without the line that is to be changed is an error")
def unpatched(t):
    folder = folder_of(t)
    path = f"{folder}/{built.MAX_LOOP[0]}"
    os.makedirs(os.path.dirname(path))
    for text, good in (("#define ACPI_MAX_LOOP_TIMEOUT           30\n", True), ("#define ACPI_MAX_LOOP 30\n", False)):
        with open(path, "w") as f:
            f.write(text)
        if not good:
            t.raises(HarnessError, built.patch, folder)
            continue
        built.patch(folder)
        with open(path) as f:
            t.equal(f.read(), "#define ACPI_MAX_LOOP_TIMEOUT           3000\n", "the line")


class Source:
    """Stands for the archive."""

    known = "6.12.1-1"

    def version(self, package):
        return self.known if package == "linux-source-6.12" else None


@tap.case("a kernel is built once, and again when its options or its source change")
def once(t):
    folder, made, options = folder_of(t), [], ["CONFIG_A=y"]

    class Build(built.Build):
        def _make(self):
            made.append(self.identity)
            os.makedirs(f"{self.root}-new")
            with open(f"{self.root}-new/release", "w") as f:
                f.write("6.12.1-debug-amd64\n")
            replace(f"{self.root}-new", self.root, "6.12-debug-")

    changed = {"cache": lambda *parts: os.path.join(folder, "-".join(parts)), "Archive": Source,
               "options": lambda flavour: list(options)}
    for name, instead in changed.items():
        t.defer(setattr, built, name, getattr(built, name))
        setattr(built, name, instead)
    for step in ("at first", "nothing else", "an option", "nothing else", "the source", "nothing else"):
        if step == "an option":
            options.append("CONFIG_B=y")
        elif step == "the source":
            Source.known = "6.12.2-1"
        before = len(made)
        release = Build("6.12", "debug").release
        t.equal(len(made) - before, int(step != "nothing else"), f"built after a change of {step}")
        t.equal(release, "6.12.1-debug-amd64", "release")
    t.equal(len(set(made)), 3, "three kernels, by three names")
    Source.known = None
    t.contains(str(t.raises(HarnessError, Build, "6.12", "debug")), "apt knows no linux-source-6.12", "without a source")


PROGRAM = """int main(int argc, char **argv)
{
	if (argc > 1)
		return 3;
	for (int i = 0; i < 5; i++)
		argc += i;
	return 0;
}
"""


@tap.case("lines that ran, of a program")
def program(t):
    folder = folder_of(t)
    os.mkdir(f"{folder}/host")
    with open(f"{folder}/host/some.c", "w") as f:
        f.write(PROGRAM)
    t.run(["gcc", "--coverage", "-O0", "-c", "-o", f"{folder}/host/some.o", f"{folder}/host/some.c"], status=0)
    t.run(["gcc", "--coverage", "-o", f"{folder}/some", f"{folder}/host/some.o"], status=0)
    for _ in range(2):
        t.run([f"{folder}/some"], status=0)
    total = module_coverage.lines(folder)
    t.equal(list(total), ["host/some.c"], "files")
    ran = {line: times for line, times in total["host/some.c"].items()}
    t.equal((ran[3], ran[4], ran[6], ran[7]), (2, 0, 10, 2), "times of the lines")
    t.equal(module_coverage.table(total).splitlines()[0].split(), ["83", "%", "host/some.c", "4"], "table")
    with open(f"{folder}/host/some.gcno", "wb") as f:
        f.write(b"nothing")
    t.raises(HarnessError, module_coverage.lines, folder)


RULE = "[    4.2] " + "=" * 66 + "\n"


def report(*accesses):
    """Each access: what, and a stack of (function, " [module]" or "")."""
    text = RULE + "[    4.2] BUG: KCSAN: data-race in alpha / beta\n"
    for what, *frames in accesses:
        text += f"[    4.2] {what} to 0xffff888000000008 of 8 bytes by task 1 on cpu 0:\n"
        text += "".join(f"[    4.2]  {frame}+0x1/0x2{module}\n" for frame, module in frames) + "[    4.2]\n"
    return text + RULE


@tap.case("races count if the module is in their stacks")
def races(t):
    ours = ("write", ("core", " [uballoon]"), ("ioctl", ""))
    foreign_one = report(("read", ("alpha", "")), ("write", ("beta", " [zram]")))

    def count(*accesses, modules=("uballoon",)):
        return len(complaints(report(*accesses), modules))
    t.equal(complaints(foreign_one, ("uballoon",)), [], "somebody else's")
    t.equal(len(complaints(foreign_one, ("uballoon", "zram"))), 1, "of a module under test")
    t.equal(count(("read", ("alpha", "")), ours), 1, "its own")
    t.equal(complaints(foreign_one + "[    5.0]  core+0x1/0x2 [uballoon]\n", ("uballoon",)), [], "behind its end")
    t.equal(len(complaints(foreign_one + "[    5.0] WARNING: CPU: 1\n", ("uballoon",))), 1, "another complaint")
    cut = report(("read", ("alpha", "")))[:-len(RULE)] + "[    4.2]  core+0x1/0x2 [uballoon]\n"
    t.equal(len(complaints(cut, ("uballoon",))), 1, "a report that the end of the guest has cut")
    tick = ("write", ("hrtimer_wakeup", ""), ("asm_sysvec_apic_timer_interrupt", ""), ("core", " [uballoon]"))
    t.equal(count(("read", ("alpha", "")), tick), 0, "of an interrupt that came to it")
    t.equal(count(tick, ours), 1, "of an interrupt with it")
    queue = report(("read", ("process_one_work", ""))).replace("[    4.2]\n", "Workqueue: uballoon work [uballoon]\n")
    t.equal(complaints(queue, ("uballoon",)), [], "of the kernel's work queues, whoever's turn it was")
    for what, n in (("read", 0), ("read (marked)", 0), ("read-write", 1), ("write", 1)):
        t.equal(count((what, ("isolate_freepages_block", "")), ours), n, f"compaction's scan, {what}")
    t.equal(count(("read", ("core", " [uballoon]")), ("read", ("compact", ""), ("isolate_freepages_block", ""))), 1,
            "compaction, but not its scan")
    for what, n in (("read (marked)", 0), ("read", 1)):
        t.equal(count((what, ("finish_unlock", " [uballoon]")), ("write", ("migrate_folio_move", ""))), n,
                f"a page that was migrated, {what}")


for name in (DEBUG, KCSAN):
    tap.add(f"an intact guest passes ({name})", intact, name, timeout=400)
for what, (text, ends) in REPORTS.items():
    tap.add(f"wrong: {what} ({DEBUG})", wrong, what, text, ends, timeout=400)
tap.add(f"wrong: race ({KCSAN})", race, timeout=600)
tap.add(f"a race that is not ours ({KCSAN})", foreign, timeout=600)
tap.add(f"allocations that fail ({DEBUG})", fail_nth, timeout=400)
tap.add(f"lines that ran ({GCOV})", counted, timeout=800)


@tap.setup
def kernel():
    """Which may have to be built first."""
    for series in built.SERIES:
        if any(f"({series})" in argument for argument in sys.argv[1:] or [f"({series})"]):
            kernels.Kernel(series)


kernel.timeout = built.BUILD_S * len(built.SERIES)

if __name__ == "__main__":
    tap.PATIENCE *= max(flavour.patience for flavour in built.FLAVOURS.values())
    tap.main()
