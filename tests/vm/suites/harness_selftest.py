# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness under test: whatever goes wrong in a guest must be reported.

Each case breaks a guest in one way and demands that the verdict is refused and
that the reason names the break. The first case shows that an intact guest
passes, or the others would prove nothing.
"""
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import accel, kernels, micro                             # noqa: E402
from harness.control import GuestDied                                 # noqa: E402
from harness.guest import VerdictError                                # noqa: E402
from harness.paths import VM                                          # noqa: E402


def boot(t, series="6.1", **options):
    ko = kernels.build_module(kernels.Kernel(series), os.path.join(VM, "guest", "faults"), "faults")
    options.setdefault("memory", 256 << 20)
    g = micro.guest(series, "selftest", files=[("faults.ko", ko, 0o644)], **options)
    t.defer(g.kill)
    t.on_failure(g.console_tail)
    return g.start()


def ended(t, g):
    """Waits until the guest's own end is QEMU's. The end checks would race with what is to end it."""
    t.wait(lambda: not g.alive(), 60, "end of QEMU")


def refused(t, g, reason, **finish):
    """The guest's verdict must be refused for @reason; QEMU must be gone afterwards."""
    started = time.monotonic()
    error = t.raises(VerdictError, g.finish, **finish)
    t.contains(str(error), reason, "reason")
    t.check(not g.alive(), "QEMU has ended")
    t.check(time.monotonic() - started < 60 * tap.PATIENCE, "the refusal comes within a minute")


def intact(t, series):
    g = boot(t, series)
    t.equal(g.run("exit 3"), (3, ""), "status of a command")
    t.equal(g.sh("echo out; echo err >&2"), "out\nerr\n", "output of a command")
    t.equal(g.run("sleep 20", timeout=1)[0], 124, "status of a command that takes too long")
    g.put(bytes(range(256)) * 1000, "/tmp/blob", 0o600)
    t.equal(g.sh("wc -c < /tmp/blob").strip(), "256000", "size of a file put")
    first = g.spawn("until test -e /tmp/go; do usleep 50000; done; echo first")
    second = g.spawn("echo second")
    t.equal(second.wait(), (0, "second\n"), "second of two commands at once")
    t.check(first.running(), "the first one still runs")
    g.sh("touch /tmp/go")
    t.equal(first.wait(), (0, "first\n"), "first of two commands at once")
    g.sh("insmod /faults.ko")
    g.finish(("faults",))
    t.check(not g.alive(), "QEMU has ended")


def host_memory(t, series):
    """The figures that suites rely on: what the host holds moves with what the guest touches.

    Less than what is touched, because some of it was touched while booting."""
    g = boot(t, series, memory=768 << 20)
    before = g.smaps()
    g.sh("mount -t tmpfs -o size=500m none /mnt && dd if=/dev/zero of=/mnt/x bs=1M count=400 2>/dev/null")
    after = g.smaps()
    grown = (after["ram_rss"] - before["ram_rss"]) >> 20
    t.between(grown, 200, 420, "growth of the guest's RAM outside, in MiB, after 400 MiB were touched")
    t.check(after["rss"] >= after["ram_rss"] > 0, "the process is at least as large as the guest's RAM")
    g.sh("umount /mnt")
    g.finish()


@tap.case("a warning in the kernel is reported", timeout=120)
def warns(t):
    g = boot(t)
    g.spawn("insmod /faults.ko kind=warn")
    ended(t, g)
    refused(t, g, "WARNING: ")


@tap.case("a warning is reported even if the kernel carries on", timeout=120)
def warns_softly(t):
    g = boot(t)
    g.sh("sysctl -q kernel.panic_on_warn=0 && insmod /faults.ko kind=warn")
    refused(t, g, "end check: kernel log", modules=("faults",))


@tap.case("an oops is reported", timeout=120)
def oopses(t):
    g = boot(t)
    g.spawn("insmod /faults.ko kind=oops")
    ended(t, g)
    refused(t, g, "Oops")


@tap.case("a panic is reported", timeout=120)
def panics(t):
    g = boot(t)
    g.spawn("echo c > /proc/sysrq-trigger")
    ended(t, g)
    refused(t, g, "Kernel panic")


@tap.case("a guest that hangs is reported", timeout=120)
def hangs(t):
    g = boot(t)
    job = g.spawn("while echo; do usleep 50000; done")
    t.wait(lambda: job.output, 60, "the guest speaks")
    g.spawn("insmod /faults.ko kind=hang")
    # It hangs when it says nothing any more; to be slow is not to hang.
    t.wait(lambda: (n := len(job.output)) == (time.sleep(5) or len(job.output)), 60, "the guest falls silent")
    refused(t, g, "the guest gave no answer", timeout=5)


@tap.case("a command in a dead guest fails at once", timeout=120)
def dead(t):
    g = boot(t)
    job = g.spawn("echo c > /proc/sysrq-trigger; sleep 1000", timeout=1000)
    started = time.monotonic()
    t.raises(GuestDied, job.wait)
    t.check(time.monotonic() - started < 30 * tap.PATIENCE, "noticed before the command's timeout")
    t.raises(GuestDied, g.run, "true")


@tap.case("a leak of pages is reported", timeout=120)
def leaks(t):
    g = boot(t)
    g.sh("insmod /faults.ko kind=leak")
    refused(t, g, "kB of memory are lost", modules=("faults",))


@tap.case("a page missing from MemTotal is reported", timeout=120)
def uncounts(t):
    g = boot(t)
    g.sh("insmod /faults.ko kind=uncount")
    refused(t, g, "MemTotal was", modules=("faults",))


@tap.case("a module that cannot be unloaded is reported", timeout=120)
def stays(t):
    g = boot(t)
    g.sh("insmod /faults.ko kind=stay")
    refused(t, g, "cannot be unloaded", modules=("faults",))


@tap.case("a guest that never writes its verdict is reported", timeout=120)
def silent(t):
    g = boot(t)
    g.sh("printf '#!/bin/sh\\n' > /usr/lib/vmtest/finish")
    refused(t, g, "did not write its verdict")


@tap.case("a wrong verdict is reported", timeout=120)
def liar(t):
    g = boot(t)
    g.sh("echo all is well > /run/vmtest/verdict")
    refused(t, g, "did not write its verdict")


@tap.case("a verdict written before a panic does not count", timeout=120)
def hasty(t):
    g = boot(t)
    g.sh("cat /run/vmtest/verdict > /dev/ttyS1")
    g.spawn("echo c > /proc/sysrq-trigger")
    ended(t, g)
    refused(t, g, "Kernel panic")


@tap.case("a guest that switches itself off is reported", timeout=120)
def leaves(t):
    g = boot(t)
    g.spawn("poweroff -f")
    ended(t, g)
    refused(t, g, "did not write its verdict")


@tap.case("QEMU is ended when its lifetime is over", timeout=120)
def outlives(t):
    g = boot(t)
    # Not from its start, of which a busy machine may need any part.
    g.ends_in(3)
    ended(t, g)
    refused(t, g, "did not write its verdict")


@tap.case("QEMU ends with the process that started it", timeout=120)
def orphan(t):
    script = (f"import sys, time; sys.path[:0] = {sys.path[:2]!r}\n"
              "from harness import micro\n"
              "g = micro.guest('6.1', 'selftest', memory=256 << 20).start()\n"
              "print(g.process.pid, flush=True)\ntime.sleep(100)\n")
    p = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    t.defer(p.kill)
    pid = int(p.stdout.readline())
    t.check(os.path.exists(f"/proc/{pid}"), "QEMU runs")
    p.kill()
    p.wait()
    p.stdout.close()
    t.wait(lambda: not running(pid), 10, "end of QEMU")


@tap.case("a boot that is abandoned is not tried again", timeout=120)
def abandoned(t):
    g = micro.guest("6.1", "selftest", memory=256 << 20, append="rdinit=/nonexistent panic=0", boot_timeout=100)
    t.defer(g.kill)
    said = []

    def start():
        try:
            g.start()
        except Exception as e:
            said.append(e)
    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    # The agent is waited for from here on.
    t.wait(lambda: g._control, 30, "QEMU")
    first = g.process
    g.abandon()
    thread.join(30 * tap.PATIENCE)
    t.check(not thread.is_alive(), "the boot ends")
    t.equal([type(e) for e in said], [GuestDied], "and says so")
    t.check(g.process is first and first.poll() is not None, "there was one QEMU, and it has gone")


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@tap.case("a guest without an init is reported at its start", timeout=120)
def stillborn(t):
    g = micro.guest("6.1", "selftest", memory=256 << 20, append="rdinit=/nonexistent")
    t.defer(g.kill)
    error = t.raises(GuestDied, g.start)
    t.contains(str(error), "Kernel panic", "reason")


@tap.case("a guest that finds a wrong clock is booted again", timeout=240)
def wrong_clock(t):
    def says_so(boots):
        """Of a guest: its console has the kernel's line in so many boots."""
        g = micro.guest("6.1", "selftest", memory=256 << 20)
        t.defer(g.kill)
        console, launch, launched = g.console, g._launch, []

        def count():
            launched.append(True)
            launch()
        line = "tsc: PIT calibration deviates from HPET: 541031 2593836\n"
        g._launch, g.console = count, lambda: console() + line * (len(launched) <= boots)
        return g, launched
    g, launched = says_so(1)
    g.start()
    # Or more: on a busy machine there are others that are real.
    t.check(len(launched) >= 2, "it was booted again")
    g.finish()
    g, launched = says_so(2)
    g.wrong_clocks = 2
    t.contains(str(t.raises(GuestDied, g.start)), "found a wrong clock", "reason")
    t.equal(len(launched), 2, "boots")
    t.check(not g.alive(), "QEMU has ended")


@tap.case("the accelerator is one that works", timeout=60)
def accelerator(t):
    t.check(accel.choose() in ("kvm", "tcg"), "kvm or tcg")
    t.diag(f"accelerator: {accel.choose()}")


for kernel in kernels.SERIES:
    tap.add(f"{kernel}: an intact guest passes", intact, kernel, timeout=120)
    tap.add(f"{kernel}: host memory follows the guest", host_memory, kernel, timeout=120)

if __name__ == "__main__":
    tap.main()
