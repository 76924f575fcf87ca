# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory comes back when the guest needs it, and moves when the kernel wants to."""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import (BALLOON, DEBUG_SERIES, INFLATE_ONLY, MIB, OTHER_SERIES, PAGES_PER_MIB, balloon, both,   # noqa: E402
                      daemon, helper, others, tap)
from harness import kernels                                           # noqa: E402
from harness.architecture import ARM64                                # noqa: E402


def burst(t, b, mib):
    """A program that needs what the balloon holds must finish."""
    a = b.tool(f"hog {mib}M", timeout=100)[0]
    t.equal(a["rc"], "OK", "hog")
    t.equal(b.g.oom_kills(), 0, "OOM kills")


def given_by_calls(balloon_mib, calls):
    """MiB that so many calls of the OOM notifier give back at least."""
    left = balloon_mib
    for _ in range(calls):
        left -= min(left, max(64, left / 8))
    return balloon_mib - left


def notifier(t, series):
    """Without a relief line the OOM notifier alone must do."""
    holdoff_ms = 30000 * tap.PATIENCE
    with balloon(t, series, parameters=f"oom_holdoff_ms={holdoff_ms} floor_mb=64", memory=1024 * MIB) as b:
        b.lock("2m", 500)
        b.lock("4k", 150)
        burst(t, b, 600)
        s = b.balanced()
        t.check(s["oom_events"] >= 2, f"oom_events {s['oom_events']}")
        least = given_by_calls(500 + 150, s["oom_events"])
        t.check(s["oom_pages"] >= least * PAGES_PER_MIB,
                f"at least 64 MiB and 1/8 of the balloon a call: {s['oom_pages'] // PAGES_PER_MIB} of {least:.0f} MiB")
        t.check(s["ceiling_pages"] <= s["size_pages"], "the ceiling follows, so that relief sticks")
        a = b.ok("target 900M", "lock 4k 1M", "state")
        t.equal(a["last_stop"], "NOMEM", "LOCK is held off")
        t.check(0 < a["holdoff_left_ms"] <= holdoff_ms, "holdoff_left_ms")
        t.check(s["relief_generation"] > 0, "relief_generation")


DAEMON = b"""mode = "host"; interval = "500ms"; idle_interval = "1s"; lease = "1h";
tail: { worthwhile = "1M"; dead_band = "1M"; settle = "0"; hold_off = "0"; stall_price = "1M"; };
"""


def stopped_daemon(t, series):
    """Nobody decides: the daemon is stopped, its lease is long. The balloon gives way all the same."""
    with balloon(t, series, memory=1024 * MIB, files=daemon(series)) as b:
        b.g.put(DAEMON, "/etc/balloond.conf")
        running = b.g.spawn("exec balloond --no-bus --foreground > /run/balloond.log 2>&1", timeout=300)
        t.on_failure(lambda: b.g.run("tail -n 40 /run/balloond.log")[1])
        # Far from the module's floor, which the next kernel package moves by a few MiB.
        held = 450
        b.g.balloon(b.g.memory - held * MIB)
        with t.subtest("the relief line serves a program"):
            t.wait(lambda: b.actual_mib() == held, 60, "the daemon inflates")
            # A daemon that stops while a tick moves pages leaves the call to end first.
            b.g.sh("kill -STOP $(pidof balloond)")
            before = b.state()
            t.check(before["relief_pages"] > 32 * PAGES_PER_MIB, f"relief line {before['relief_pages']}")
            burst(t, b, before["mem_available_pages"] // PAGES_PER_MIB + held // 2)
            s = b.balanced()
            gone = before["size_pages"] - s["size_pages"]
            t.check(64 * PAGES_PER_MIB < gone < held * PAGES_PER_MIB, f"{gone} pages were given back, not all")
            t.equal((s["shrink_pages"] - before["shrink_pages"], s["oom_pages"]), (gone, 0), "pages by whom")
            t.check(s["ceiling_pages"] <= s["size_pages"], "the ceiling follows, so that relief sticks")
            t.equal(b.actual_mib() * PAGES_PER_MIB, s["size_pages"], "the balloon as the host sees it")
            t.equal((s["lease_events"], s["unlock_calls"]), (0, before["unlock_calls"]), "leases, UNLOCK calls")
        with t.subtest("the daemon carries on"):
            b.g.sh("kill -CONT $(pidof balloond)")
            t.wait(lambda: b.actual_mib() == held, 60, "the host's target again")
            t.check(running.running(), "it runs")
        b.g.sh("kill -TERM $(pidof balloond)")
        t.equal((running.wait()[0], b.state()["size_pages"]), (0, 0), "exit status, size")


def offline(t, b):
    """Offlines and onlines memory blocks, one at a time, until balloon pages have had to move.

    Where the balloon's pages lie is the allocator's matter, and blocks with
    pages that cannot move refuse."""
    for block in range(1, 8):
        state = f"/sys/devices/system/memory/memory{block}/state"
        if b.g.run(f"echo offline > {state}", 60)[0] != 0:
            continue
        t.equal(b.state()["size_pages"], 350 * PAGES_PER_MIB, "size while a block is offline")
        b.g.sh(f"echo online > {state}")
        if b.state()["migrated_pages"] > 10000:
            break
    s = t.wait(lambda: (s := b.state())["inflight_batches"] == 0 and s, 10, "host is up to date")
    t.check(s["migrated_pages"] > 10000, f"{s['migrated_pages']} pages moved")


def compact(t, b):
    """Leaves holes between the balloon's pages, and closes them again.

    How much there is to close is the allocator's matter; so more holes follow where it was little."""
    before = b.state()
    for rounds in range(1, 6):
        # What was locked last lies ahead on the lists; so every other MiB becomes free.
        for _ in range(60):
            b.ok("lock 4k 1M", "unlock 4k 2M")
        b.g.sh("echo 1 > /proc/sys/vm/compact_memory")
        s = t.wait(lambda: (s := b.state())["inflight_batches"] == 0 and s, 10, "host is up to date")
        moved = s["migrated_pages"] - before["migrated_pages"]
        t.diag(f"compact_memory moved {moved} pages in {rounds} rounds")
        t.equal(s["size_pages"], before["size_pages"] - rounds * 60 * PAGES_PER_MIB, "size")
        if moved > 1000:
            return
    t.check(moved > 1000, "pages moved")


def migration(t, series, device, parameters):
    with balloon(t, series, parameters=parameters, balloon=device, memory=1024 * MIB, end_tolerance=12 * MIB) as b:
        b.lock("4k", 500)
        b.ok("unlock 4k 150M")
        # Linux on arm64 keeps the memory that it has booted with (arch/arm64/mm/mmu.c).
        if b.g.arch is not ARM64:
            offline(t, b)
        t.equal(b.actual_mib(), 350, "the balloon as the host sees it, MiB")
        with t.subtest("compact_memory"):
            compact(t, b)
        b.ok("pop")
        s = b.balanced()
        t.equal(s["size_pages"], 0, "size after pop")


def migrate_quiet(t, series):
    migration(t, series, BALLOON, "")


def migrate_told(t, series):
    migration(t, series, INFLATE_ONLY, "guest_driven=1")


# Locks that are to be waited for.
WAITED = 3


def contended(t, series):
    """Compaction has the lock of a page that is about to return to a list.

    That is a page which compaction has put in the place of another one, while the host is told
    of it: compaction looks at it again, and guest/holder has it interrupted there."""
    with balloon(t, series, parameters="host=none none_told=1 floor_mb=32", balloon=None,
                 modules=("uballoon", "holder"), files=helper(series, "holder")) as b:
        def count(name):
            return int(b.g.read(f"/sys/module/holder/parameters/{name}"))

        t.on_failure(lambda: f"holder: {count('held')} held, {count('waited')} waited for")
        b.load(module="holder")
        started, rounds = time.monotonic(), 0
        while (waited := count("waited")) < WAITED and time.monotonic() - started < 90 * tap.PATIENCE:
            b.parameter("none_delay_ms", 0)
            # What was locked last lies ahead on the lists; so every other MiB becomes free.
            b.ok("target 300M", "lock 4k 300M", *["lock 4k 1M", "unlock 4k 2M"] * 40)
            # Time for a walk through all pages of the guest while the host has some of them.
            b.parameter("none_delay_ms", 500)
            b.g.sh("echo 1 > /proc/sys/vm/compact_memory")
            end = time.monotonic() + tap.PATIENCE
            while count("waited") == waited and time.monotonic() < end:
                time.sleep(0.2)
            rounds += 1
        t.diag(f"{rounds} rounds in {time.monotonic() - started:.1f} s, {b.state()['migrated_pages']} pages moved, "
               f"{count('held')} locks held, {count('waited')} waited for")
        t.check(count("waited") >= WAITED, "locks were waited for")
        b.g.sh("rmmod holder")
        b.parameter("none_delay_ms", 0)
        b.ok("pop")
        t.wait(lambda: not (s := b.state())["size_pages"] and not s["inflight_batches"], 10, "all is given back")
        b.balanced()
        events = b.g.vmstat()
        t.equal(events["balloon_inflate"], events["balloon_deflate"], "on a list, and off it, as the kernel counts")


def reporting(t, series):
    """The guest's own free pages keep being reported while the balloon uses the queue."""
    with balloon(t, series, memory=1024 * MIB) as b:
        t.equal(b.state()["virtio_free_page_reporting"], 1, "virtio_free_page_reporting")
        order = int(b.g.read("/sys/module/page_reporting/parameters/page_reporting_order"))
        t.equal(b.g.kernel.page_bytes << order, 2 * MIB, "what is reported together")
        with t.subtest("without a balloon"):
            held = b.touched(500)
            t.wait(lambda: held - b.g.ram_rss() > 300 * MIB, 40, "host memory falls by itself")
        b.lock("2m", 200)
        held = b.touched(500)
        before = b.state()["reported_pages"]
        for _ in range(20):
            b.ok("unlock 2m 200M", "lock 2m 200M")
        t.wait(lambda: held - b.g.ram_rss() > 300 * MIB, 40, "host memory falls by itself")
        t.check(b.state()["reported_pages"] > before, "reported_pages")


both("OOM notifier", notifier, timeout=180)
both("daemon that is stopped", stopped_daemon, timeout=240)
both("pages held quietly migrate", migrate_quiet, timeout=180)
both("pages that the host is told about migrate", migrate_told, timeout=180)
# Later ones have lists of balloon pages that do not ask for a page's lock.
for _series in (*kernels.SERIES, *OTHER_SERIES, *DEBUG_SERIES):
    tap.add(f"page locks that compaction holds ({_series})", contended, _series, timeout=180)
both("free page reporting", reporting, timeout=180)
for name, case in (("OOM notifier", notifier), ("daemon that is stopped", stopped_daemon),
                   ("pages held quietly migrate", migrate_quiet),
                   ("pages that the host is told about migrate", migrate_told), ("free page reporting", reporting)):
    others(name, case, timeout=180)

if __name__ == "__main__":
    tap.main()
