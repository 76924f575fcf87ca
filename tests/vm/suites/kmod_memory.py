# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory comes back when the guest needs it, and moves when the kernel wants to."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import BALLOON, MIB, PAGES_PER_MIB, balloon, both, tap   # noqa: E402

INFLATE_ONLY = "virtio-balloon-pci,id=b0,deflate-on-oom=on"


def burst(t, b, mib):
    """A program that needs what the balloon holds must finish."""
    a = b.tool(f"hog {mib}M", timeout=100)[0]
    t.equal(a["rc"], "OK", "hog")
    t.equal(b.g.oom_kills(), 0, "OOM kills")


def notifier(t, series):
    """Without the shrinker the OOM notifier alone must do."""
    with balloon(t, series, parameters="shrinker=0 oom_holdoff_ms=30000 floor_mb=64", memory=1024 * MIB) as b:
        b.lock("2m", 500)
        b.lock("4k", 150)
        burst(t, b, 600)
        s = b.balanced()
        t.check(s["oom_events"] >= 2, f"oom_events {s['oom_events']}")
        t.check(s["oom_pages"] >= 64 * PAGES_PER_MIB * s["oom_events"], "at least 64 MiB a call")
        t.equal(s["ceiling_pages"], s["size_pages"], "the ceiling follows, so that relief sticks")
        a = b.ok("target 900M", "lock 4k 1M", "state")
        t.equal(a["last_stop"], "NOMEM", "LOCK is held off")
        t.check(0 < a["holdoff_left_ms"] <= 30000, "holdoff_left_ms")
        t.check(s["relief_generation"] > 0, "relief_generation")


def shrinker(t, series):
    with balloon(t, series, parameters="floor_mb=64", memory=1024 * MIB) as b:
        b.lock("2m", 500)
        b.lock("4k", 150)
        with t.subtest("drop_caches does not ask"):
            b.g.sh("echo 3 > /proc/sys/vm/drop_caches")
            t.equal(b.state()["shrink_events"], 0, "shrink_events")
        with t.subtest("reclaim does"):
            job = b.spawn("open r", "poll 60000", "state")
            t.wait(lambda: "open rc=OK" in job.output, 10, "ubtool is there")
            burst(t, b, 600)
            t.contains(job.wait(30)[1], "events=PRI", "poll of a reader")
            s = b.balanced()
            t.check(s["shrink_events"] > 0, "shrink_events")
            t.equal(s["ceiling_pages"], s["size_pages"], "the ceiling follows")
            t.check(s["size_pages"] > 0, "it does not take everything")


def offline(t, b, blocks):
    """Offlines memory blocks that hold balloon pages; the pages must move."""
    moved = b.state()["migrated_pages"]
    done = []
    for block in blocks:
        status, _ = b.g.run(f"echo offline > /sys/devices/system/memory/memory{block}/state", 60)
        if status == 0:
            done.append(block)
        if len(done) == 2:
            break
    t.check(len(done) >= 2, f"blocks {done} were offlined")
    s = t.wait(lambda: (s := b.state())["inflight_batches"] == 0 and s, 10, "host is up to date")
    t.check(s["migrated_pages"] - moved > 1000, f"{s['migrated_pages'] - moved} pages moved")
    return done


def migration(t, series, device, parameters):
    with balloon(t, series, parameters=parameters, balloon=device, memory=1024 * MIB, end_tolerance=12 * MIB) as b:
        b.lock("4k", 500)
        b.ok("unlock 4k 150M")
        done = offline(t, b, (3, 4, 5, 2, 6))
        t.equal(b.state()["size_pages"], 350 * PAGES_PER_MIB, "size")
        t.equal(b.actual_mib(), 350, "the balloon as the host sees it, MiB")
        for block in done:
            b.g.sh(f"echo online > /sys/devices/system/memory/memory{block}/state")
        b.g.sh("echo 1 > /proc/sys/vm/compact_memory")
        b.ok("pop")
        s = b.balanced()
        t.equal(s["size_pages"], 0, "size after pop")


def migrate_quiet(t, series):
    migration(t, series, BALLOON, "")


def migrate_told(t, series):
    migration(t, series, INFLATE_ONLY, "guest_driven=1")


def reporting(t, series):
    """The guest's own free pages keep being reported while the balloon uses the queue."""
    with balloon(t, series, memory=1024 * MIB) as b:
        t.equal(b.state()["virtio_free_page_reporting"], 1, "virtio_free_page_reporting")
        b.lock("2m", 200)
        b.g.sh("ubtool hog 500M", timeout=60)
        held = b.g.ram_rss()
        t.check(held > 450 * MIB, f"host holds {held >> 20} MiB")
        before = b.state()["reported_pages"]
        for _ in range(20):
            b.ok("unlock 2m 200M", "lock 2m 200M")
        t.wait(lambda: held - b.g.ram_rss() > 300 * MIB, 40, "host memory falls by itself")
        t.check(b.state()["reported_pages"] > before, "reported_pages")


def keep_managed(t, series):
    with balloon(t, series, parameters="keep_managed=1") as b:
        total = b.g.meminfo()["MemTotal"]
        b.lock("2m", 100)
        b.lock("4k", 50)
        t.equal(b.g.meminfo()["MemTotal"], total, "MemTotal")
        t.equal(b.balanced()["unmanaged_pages"], 0, "unmanaged_pages")


both("OOM notifier", notifier, timeout=180)
both("shrinker", shrinker, timeout=180)
both("pages held quietly migrate", migrate_quiet, timeout=180)
both("pages that the host is told about migrate", migrate_told, timeout=180)
both("free page reporting", reporting, timeout=180)
both("keep_managed", keep_managed)

if __name__ == "__main__":
    tap.main()
