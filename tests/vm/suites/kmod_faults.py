# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong around the module: callers that hang, hosts that stand still, memory that leaves.

Each case has been an accident, or was one in waiting.
"""
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import (DRIVER, INFLATE_ONLY, MIB, MUST_TELL, PAGES_PER_MIB, STATE, balloon, both, everyday,     # noqa: E402
                      meddle, swap_disk, tap, SWAP_LOAD)
from harness import kernels, micro                                    # noqa: E402
from harness.paths import VM                                          # noqa: E402

# A device that insists on its target.
INSISTS = "virtio-balloon-pci,id=b0"
BLOCKS = range(1, 8)
OLD_TAGS = 10


def withheld(t, series):
    """A caller whose page does not come holds up nobody but itself."""
    program = kernels.build_static(os.path.join(VM, "guest", "withhold.c"), "withhold", (micro.UAPI,))
    with balloon(t, series, files=[("bin/withhold", program, 0o755)]) as b:
        device = b.device()
        for what, result in (("in", "ENODEV"), ("out", "OK"), (STATE, "OK")):
            with t.subtest(f"the device goes while {what} is withheld"):
                b.lock("2m", 40)
                b.g.sh("rm -f /run/go")
                job = b.g.spawn(f"(until test -e /run/go; do usleep 50000; done; echo) | withhold {what}")
                t.wait(lambda: "withheld" in job.output, 20, "the kernel waits for the page")
                b.g.sh(f"echo {device} > {DRIVER}/unbind", 40)
                t.equal(b.g.run("test -e /dev/uballoon")[0], 1, "the node has gone")
                t.check(job.running(), "the caller still waits")
                b.g.sh("touch /run/go")
                t.equal(job.wait(20), (0, f"withheld\n{result}\n"), "what became of the call")
                b.bind(device, True)


def standstill(t, series):
    """The lease does not count time in which the guest did not run, though its clock did."""
    with balloon(t, series, append="clocksource=tsc tsc=reliable") as b:
        def uptime():
            return float(b.g.read("/proc/uptime").split()[0])

        b.ok("target 300M 0 30000", "lock 2m 100M")
        before = uptime()
        os.kill(b.g.process.pid, signal.SIGSTOP)
        try:
            time.sleep(50)
        finally:
            os.kill(b.g.process.pid, signal.SIGCONT)
        s = b.state()
        t.check(uptime() - before > 45, "the guest's clock ran on")
        t.equal((s["lease_events"], s["size_pages"]), (0, 100 * PAGES_PER_MIB), "leases that ran out, size")
        t.between(s["lease_left_ms"], 1, 30000, "lease_left_ms")
        with t.subtest("if nobody renews it then, it runs out"):
            t.wait(lambda: b.state()["size_pages"] == 0, 90, "the balloon is empty")
            t.equal(b.state()["lease_events"], 1, "lease_events")
        with t.subtest("if somebody does, it does not"):
            a = b.tool("target 300M 0 4000", "lock 2m 100M", *["sleep 500", "keepalive"] * 16, "state", timeout=120)
            t.equal({x["rc"] for x in a}, {"OK"}, "answers")
            t.equal(a[-1]["lease_events"], 1, "lease_events")
            b.ok("pop")


def waited(t, series):
    """The lease gives back what nobody waits for, and the rest as soon as who waits has it, or not."""
    with balloon(t, series, balloon=INFLATE_ONLY, load=False, modules=("uballoon", "meddle"),
                 files=meddle(series)) as b:
        b.g.sh(f"insmod /lib/modules-test/meddle.ko offer={MUST_TELL}")
        b.load("guest_driven=1")
        device = b.device()
        b.lock("2m", 64)
        b.answering(device, False)
        job = b.spawn("target 64M 0 2000", "unlock 2m 64M 10000")
        t.wait(lambda: b.state()["lease_events"], 60, "the lease has run out")
        t.check(job.running(), "somebody waits for the host")
        t.check(b.state()["size_pages"] >= 40 * PAGES_PER_MIB, "what is claimed is a batch")
        job.kill()
        job.wait()
        b.answering(device, True)
        # It has lost what it was told; who waits in vain reminds it.
        t.wait(lambda: not (s := b.state())["size_pages"] and not s["inflight_batches"], 60, "all is given back")
        b.balanced()


def leave(b, each=None):
    """Blocks that go offline, one after the other; @each is called while one is."""
    went = []
    for block in BLOCKS:
        state = f"/sys/devices/system/memory/memory{block}/state"
        if b.g.run(f"echo offline > {state}", 60)[0] != 0:
            continue
        went.append(block)
        if each:
            each()
        b.g.sh(f"echo online > {state}")
    return went


def offline(t, series):
    """Memory goes offline with a full balloon as with an empty one, 2 MiB pages or not."""
    with balloon(t, series, parameters="floor_mb=32", memory=1024 * MIB, end_tolerance=12 * MIB) as b:
        empty = leave(b)
        t.check(len(empty) >= 3, f"without a balloon these go offline: {empty}")
        b.lock("2m", 700)
        full = leave(b, lambda: b.ok("target 600M", "lock 2m 600M"))
        # What the kernel itself has may lie elsewhere the second time.
        t.check(len(full) >= len(empty) - 1, f"without a balloon these go offline: {empty}, with one these: {full}")
        s = b.balanced()
        t.diag(f"empty: {empty}, full: {full}, {s['offline_pages']} pages given back for that")
        t.check(s["offline_pages"] > 200 * PAGES_PER_MIB, "most of it was the balloon's")
        t.equal(s["offline_replaced_pages"], 0, "and was not made up for")
        t.check(s["relief_generation"] > 0, "relief_generation")
        b.ok("pop")


def offline_insists(t, series):
    """Where the host insists on the size it stays, and the memory goes offline all the same."""
    with balloon(t, series, balloon=INSISTS, parameters="floor_mb=32", memory=1024 * MIB,
                 end_tolerance=12 * MIB) as b:
        b.g.balloon(b.g.memory - 400 * MIB)
        t.wait(lambda: b.state()["host_target_pages"] == 400 * PAGES_PER_MIB, 10, "host target")
        b.lock("2m", 400)

        def same():
            t.equal((b.state()["size_pages"], b.actual_mib()), (400 * PAGES_PER_MIB, 400), "size")
        went = leave(b, same)
        t.check(len(went) >= 3, f"offline went {went}")
        s = b.balanced()
        t.check(s["offline_replaced_pages"] > 100 * PAGES_PER_MIB, "pages that were replaced")
        t.equal(s["offline_pages"], s["offline_replaced_pages"], "each of them")
        same()
        b.g.balloon(b.g.memory)
        t.wait(lambda: b.state()["host_target_pages"] == 0, 10, "host target")
        b.ok("pop")


def hugepages(t, series):
    """Pages of hugetlbfs get what they need out of the balloon, and no more than a little beyond it."""
    with balloon(t, series, parameters="floor_mb=64", memory=1024 * MIB) as b:
        line = 40
        b.lock("2m", 640)
        b.ok(f"target 900M 0 0 {line}M")
        before = b.state()
        available = before["mem_available_pages"] // PAGES_PER_MIB
        wanted = available + 200
        b.g.sh(f"echo {wanted // 2} > /proc/sys/vm/nr_hugepages", 120)
        s = b.balanced()
        given = (before["size_pages"] - s["size_pages"]) / PAGES_PER_MIB
        t.diag(f"{wanted} MiB asked for, {available} available, {given:.0f} given back")
        t.equal(int(b.g.read("/proc/sys/vm/nr_hugepages")), wanted // 2, "nr_hugepages")
        # The line and its step, and what lies between two looks.
        t.between(given, 150, 200 + line * 5 // 4 + 64, "MiB given back")
        t.equal(s["oom_events"], 0, "oom_events")
        b.g.sh("echo 0 > /proc/sys/vm/nr_hugepages")


def stalled(t, series):
    """A host that need not be told first: what it had is free while it stalls, and it hears of it later."""
    with balloon(t, series, balloon=INFLATE_ONLY, parameters="guest_driven=1 floor_mb=16 oom_holdoff_ms=0",
                 memory=1024 * MIB) as b:
        device = b.device()
        b.lock("2m", 500)
        b.lock("4k", 100)
        b.ok("target 900M 0 0 40M")
        s = b.state()
        b.answering(device, False)
        with t.subtest("a program gets what it needs"):
            b.g.run(f"ubtool hog {s['mem_available_pages'] // PAGES_PER_MIB + 400}M", 100)
            t.equal(b.g.oom_kills(), 0, "OOM kills")
            s = b.state()
            t.check(s["size_pages"] < 230 * PAGES_PER_MIB, f"{s['size_pages']} pages are left")
            t.check(s["untold_pages"] > 0 and not s["untold_lost_pages"], "the rest is noted")
        with t.subtest("the host gets nothing before it has heard"):
            a = b.tool("target 900M", "lock 4k 1M 300", "lock 2m 2M 300")
            t.equal([(x["stop"], x["done_pages"]) for x in a[1:]], [("BUDGET", 0)] * 2, "locks")
            t.equal(b.state()["inflight_pages"], 0, "inflight_pages")
        with t.subtest("it hears of everything"):
            b.answering(device, True)
            # It has lost what it was told; a call that misses its answer reminds it.
            b.tool("lock 4k 1M 300")
            s = t.wait(lambda: not (s := b.state())["inflight_batches"] and not s["untold_pages"] and s, 30,
                       "all is told")
            unlocked = s["unlocked_4k_pages"] + s["unlocked_2m_pages"]
            t.equal(s["virtio_deflate_entries"], unlocked, "pages that it was told of")
            b.ok("target 900M", "lock 2m 100M")
            b.balanced()


def told_at_once(t, series):
    """A host that answers is told of all pages as they are given back, however many, and gets others at once."""
    with balloon(t, series, balloon=INFLATE_ONLY, parameters="guest_driven=1 floor_mb=16", memory=1024 * MIB) as b:
        b.lock("2m", 300)
        b.lock("4k", 200)
        for order, mib in (("4k", 200), ("2m", 300)):
            a = b.ok("target 600M", f"unlock {order} {mib}M")
            t.equal(a["done_pages"], mib * PAGES_PER_MIB, f"given back, {order}")
            s = b.state()
            t.equal((s["untold_pages"], s["untold_lost_pages"]), (0, 0), f"pages that it has not been told of, {order}")
            b.lock(order, 20)
            b.ok("target 600M", f"unlock {order} 20M")
        s = t.wait(lambda: not (s := b.state())["inflight_batches"] and s, 30, "all is answered")
        t.equal(s["virtio_deflate_entries"], s["unlocked_4k_pages"] + s["unlocked_2m_pages"], "pages it was told of")
        t.equal(s["host_timeout_events"], 0, "host_timeout_events")
        t.check("no answer from the host" not in b.g.dmesg(), "nobody is accused")
        b.ok("pop")


def fill(t, b, mib):
    """A balloon of so many MiB in 4 KiB pages, in as many calls as a busy machine needs."""
    b.ok(f"target {mib}M")
    t.wait(lambda: b.tool(f"lock 4k {mib}M")[0]["stop"] == "TARGET", 100, "the balloon is that large")


def silent(t, series):
    """Memory that cannot go offline because the host is silent: nobody spins."""
    with balloon(t, series, parameters="host=none none_told=1 floor_mb=32", balloon=None, memory=1024 * MIB,
                 end_tolerance=12 * MIB) as b:
        fill(t, b, 600)
        b.parameter("none_delay_ms", 1000000)
        with t.subtest("it falls silent while memory is about to go offline"):
            job = b.g.spawn("for n in 7 6 5 4 3; do echo offline > /sys/devices/system/memory/memory$n/state; done",
                            300)
            t.wait(lambda: b.state()["migrate_busy_events"] > 3, 60, "there is no room for more")
            before, started = b.state()["migrate_busy_events"], time.monotonic()
            time.sleep(5)
            tries = b.state()["migrate_busy_events"] - before
            seconds = time.monotonic() - started
            t.diag(f"{tries} tries in {seconds:.1f} s")
            t.check(tries < 20 * seconds, "it is tried now and then")
            job.kill()
            job.wait(60)
        with t.subtest("it is known to be silent: refused at once"):
            t.wait(lambda: b.state()["host_timeout_events"], 20, "that is known")
            tries = b.state()["migrate_busy_events"]
            # The block of before may have been the first that the kernel lets go at all.
            t.equal(leave(b), [], "blocks that went offline")
            t.equal(b.state()["migrate_busy_events"], tries, "tries")
            t.contains(b.g.dmesg(), "memory stays online: the host does not answer", "message")
        b.g.sh("for s in /sys/devices/system/memory/memory*/state; do echo online > $s 2>/dev/null; done; true")


def old_device(t, series):
    """A device from before Linux 6.12, by its features, gets the statistics of then."""
    with balloon(t, series, balloon="virtio-balloon-pci,id=b0,deflate-on-oom=on,indirect_desc=off,"
                                    "guest-stats-polling-interval=1") as b:
        t.wait(lambda: b.g.guest_stats()["last-update"], 20, "statistics")
        t.equal(sorted(b.device_stats()), list(range(OLD_TAGS)), "tags")


def zone(b, name):
    """{"free": pages, "low": pages, ...} of a zone, and what lies on the lists of the CPUs."""
    text = re.search(rf"zone +{name}\n(.*?)(?=^Node|\Z)", b.g.read("/proc/zoneinfo"), re.S | re.M)[1]
    found = {k: int(v) for k, v in re.findall(r"^ +(?:pages )?(free|min|low|high) +(\d+)$", text, re.M)}
    return found | {"lists": sum(map(int, re.findall(r"^ +count: +(\d+)$", text, re.M)))}


def watermark(t, series):
    """NOSLEEP takes what is free above the low watermark: below it, others would have to reclaim."""
    with balloon(t, series, parameters="floor_mb=0", devices=swap_disk(t, 400), end_tolerance=12 * MIB) as b:
        b.g.sh(f"{SWAP_LOAD}; echo 1000 > /proc/sys/vm/watermark_scale_factor")
        # What is cached of a disk goes when nobody has it open any more.
        user = b.g.spawn("exec sleep 10000 < /dev/vda")
        b.g.sh("dd if=/dev/vda of=/dev/null bs=1M count=350 2>/dev/null", 120)
        seen = []

        def at_rest():
            time.sleep(1)
            seen.append(zone(b, "DMA32"))
            return len(seen) > 1 and abs(seen[-1]["free"] - seen[-2]["free"]) < 64 and seen[-1]
        # While it is taken kswapd may make more of it, but hardly each time half as much as lies below.
        for _ in range(4):
            b.ok("target 400M")
            before = t.wait(at_rest, 60, "kswapd is at rest")
            a = t.wait(lambda: (a := b.ok("lock 4k 300M"))["stop"] != "BUDGET" and a, 60, "it ends by itself")
            spare = before["free"] + before["lists"] - before["low"]
            t.diag(f"{before}: {a['done_pages']} pages taken, {spare} were spare")
            t.equal(a["stop"], "NOMEM", "stop")
            if a["done_pages"] < spare + (before["low"] - before["min"]) // 2:
                break
            b.ok("pop")
        else:
            t.check(False, "the low watermark stands")
        t.check(spare > 0 and a["done_pages"] > 0, "there was something to take")
        t.equal(b.ok("lock 4k 40M 10000 cansleep")["stop"], "DONE", "who may reclaim takes more")
        b.ok("pop")
        user.kill()
        user.wait()
        b.g.sh("echo 10 > /proc/sys/vm/watermark_scale_factor; echo 3 > /proc/sys/vm/drop_caches; rmmod virtio_blk")


def far(t, series):
    """Pages that the protocol has no number for are not handed over."""
    with balloon(t, series, balloon=INFLATE_ONLY, parameters="guest_driven=1 floor_mb=32",
                 end_tolerance=12 * MIB) as b:
        b.parameter("virtio_pfn_max", 0)
        for size in ("4k", "2m"):
            a = b.ok("target 400M", f"lock {size} 20M")
            t.equal((a["stop"], a["done_pages"]), ("REFUSED", 0), f"{size}, all beyond")
            t.check(a["refused_pages"] > 0, "refused_pages")
        t.equal(b.balanced()["virtio_inflate_entries"], 0, "numbers that the device got")
        with t.subtest("some of them"):
            # Half of the guest.
            b.parameter("virtio_pfn_max", 65535)
            b.tool("target 400M", "lock 4k 300M", "lock 2m 300M")
            s = b.balanced()
            t.check(s["size_pages"] <= 256 * PAGES_PER_MIB, f"size {s['size_pages']}")
            t.equal(s["virtio_inflate_entries"], s["size_pages"], "numbers that the device got")
        b.ok("pop")
        with t.subtest("nor where the kernel moves pages to them: the balloon is smaller then"):
            refused = b.state()["refused_pages"]
            # So many that some lie in memory that goes offline.
            for mib in (150, 200, 250, 300):
                b.parameter("virtio_pfn_max", 4294967295)
                fill(t, b, mib)
                b.parameter("virtio_pfn_max", 0)
                t.check(leave(b), "memory goes offline")
                s = t.wait(lambda: not (s := b.state())["inflight_batches"] and s, 20, "all is answered")
                if s["migrated_pages"]:
                    break
            t.check(s["migrated_pages"] > 0, "pages were moved")
            t.check(s["refused_pages"] > refused, "refused_pages")
            t.check(s["size_pages"] < mib * PAGES_PER_MIB, f"size {s['size_pages']}")
            b.balanced()
        b.ok("pop")


def full_ring(t, series):
    """Free page reporting waits for room in the ring, and does not look for it all the time."""
    with balloon(t, series, balloon="virtio-balloon-pci,id=b0,deflate-on-oom=on,free-page-reporting=on,"
                                    "indirect_desc=off", memory=1024 * MIB) as b:
        device = b.device()
        seen = []

        def quiet():
            time.sleep(3)
            seen.append(b.state()["reported_pages"])
            return len(seen) > 1 and seen[-1] == seen[-2]
        t.wait(quiet, 60, "all that is free has been reported")
        b.answering(device, False)
        b.tool("target 300M", "lock 2m 2M 200")
        # A report of 32 areas then finds no room, with one request in a ring of 32.
        b.g.sh("ubtool hog 300M")
        s = t.wait(lambda: (s := b.state())["virtio_report_full_events"] and s, 40, "a report finds no room")
        time.sleep(3)
        tries = b.state()["virtio_report_full_events"]
        t.check(tries < 20, f"{tries} tries")
        b.answering(device, True)
        b.tool("lock 4k 1M 200", timeout=60)
        t.wait(lambda: b.state()["reported_pages"] > s["reported_pages"], 40, "and then goes on")
        t.wait(lambda: not b.state()["inflight_batches"], 20, "all answered")
        b.ok("pop")


def two_kinds(t, series):
    """Another kind of balloon beside the one that is found first: host=auto is content with that."""
    with balloon(t, series, load=False, machine="pc,vmport=on", cpu="qemu64,-hypervisor,+rdrand",
                 devices=[["-smbios", "type=1,product=VMware Virtual Platform,serial=VMware-123456"]]) as b:
        t.contains(b.g.dmesg(), "Hypervisor detected: VMware", "what the guest takes its host for")
        b.load()
        t.equal(b.tool("info")[0]["host"], "virtio", "host")
        b.lock("2m", 40)


both("caller that hangs", withheld, timeout=240)
both("lease and a host that stands still", standstill, timeout=400)
both("lease that runs out while somebody waits for the host", waited, timeout=240)
both("offlining, 2 MiB pages", offline, timeout=300)
both("offlining, host that insists", offline_insists, timeout=300)
both("hugetlbfs", hugepages, timeout=240)
both("stalled host that need not be told", stalled, timeout=240)
both("host that answers is told at once", told_at_once, timeout=240)
both("offlining, silent host", silent, timeout=400)
both("statistics of an old device", old_device, timeout=120)
both("low watermark", watermark, timeout=240)
both("page numbers of 32 bits", far, timeout=180)
both("reports that find no room", full_ring, timeout=240)
everyday("two kinds of balloon", two_kinds, timeout=180)

if __name__ == "__main__":
    tap.main()
