# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the balloon's pages stand in the guest's books, and what is available without them.

The guest's own /proc decides: MemTotal and MemAvailable with a balloon are those without one where
the guest can have it back, and those of a smaller guest where it cannot.
"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import BALLOON, MIB, PAGES_PER_MIB, balloon, both, tap, two_nodes   # noqa: E402

SYSFS = "/sys/class/misc/uballoon"
INSISTS = BALLOON.replace("deflate-on-oom=on,", "")
INFLATE_ONLY = "virtio-balloon-pci,id=b0,deflate-on-oom=on"
AUTO, AVAILABLE, GONE = 0, 1, 2
# Each CPU may keep 125 pages of a counter to itself, and what the test itself runs takes memory.
SLACK = 6


def books(b):
    """(MemTotal, KReclaimable - SReclaimable) in MiB."""
    m = b.g.meminfo()
    return m["MemTotal"] / MIB, (m["KReclaimable"] - m["SReclaimable"]) / MIB


def on_lists(b):
    """MiB that the kernel counts nowhere: free pages on the lists of the CPUs."""
    return sum(map(int, re.findall(r"^ +count: +(\d+)$", b.g.read("/proc/zoneinfo"), re.M))) / PAGES_PER_MIB


def available_seen(b):
    """MemAvailable in MiB, as if those lists were empty."""
    return b.g.meminfo()["MemAvailable"] / MIB + on_lists(b)


def reserved(b):
    """MiB that zones keep from allocations that others can serve: part of MemTotal, and since Linux 7 at once."""
    return sum(max(map(int, p.split(", "))) for p in
               re.findall(r"protection: \(([\d, ]+)\)", b.g.read("/proc/zoneinfo"))) / PAGES_PER_MIB


def available_without(b):
    """The same without the balloon, by the module."""
    return int(b.g.read(f"{SYSFS}/mem_available_pages")) / PAGES_PER_MIB + on_lists(b)


def accounts(b):
    s = b.balanced()
    return s["available_pages"] / PAGES_PER_MIB, s["gone_pages"] / PAGES_PER_MIB


def available(t, series):
    """A guest that can have it back looks as one without a balloon, for whatever page size."""
    with balloon(t, series, memory=1024 * MIB) as b:
        total, misc = books(b)
        empty, ours = b.at_rest(lambda: (available_seen(b), available_without(b)))
        t.equal(misc, 0, "nobody else counts there")
        t.between(ours, empty - 1, empty + 1, "available without an empty balloon")
        low = sum(map(int, re.findall(r"^ +low +(\d+)$", b.g.read("/proc/zoneinfo"), re.M))) / PAGES_PER_MIB
        for size, mib in (("2m", 300), ("4k", 100)):
            with t.subtest(f"{size} pages"):
                b.lock(size, mib)
                t.equal(b.g.meminfo()["MemTotal"] / MIB, total, "MemTotal")
                # The kernel takes up to the low watermarks off what is reclaimable.
                t.between(b.at_rest(lambda: available_seen(b)), empty - low - SLACK, empty + SLACK,
                          f"MemAvailable, {empty:.0f} before")
        t.equal(accounts(b), (400, 0), "MiB in the accounts")
        t.between(books(b)[1], 399, 400, "MiB counted as reclaimable")
        with t.subtest("what everybody may read"):
            t.equal(int(b.g.read(f"{SYSFS}/available_pages")), 400 * PAGES_PER_MIB, "available_pages")
            t.equal(b.g.sh(f"stat -c %a {SYSFS}/available_pages {SYSFS}/mem_available_pages").split(),
                    ["444", "444"], "modes")
        b.ok("pop")
        t.equal((*books(b), accounts(b)), (total, 0, (0, 0)), "empty again")


def without(t, series):
    """"Available without the balloon" is what the kernel itself says when the balloon's pages are
    counted nowhere, and what a guest with an empty balloon says, less the balloon."""
    with balloon(t, series, memory=1024 * MIB) as b:
        ram = b.tool("info")[0]["ram_pages"]
        empty, near = b.at_rest(lambda: available_seen(b)), 1.5 + b.noise_mib
        for mib in (2, 20, 200, 500):
            with t.subtest(f"{mib} MiB"):
                b.lock("2m", mib)
                ours, raw, keeps = b.at_rest(lambda: (available_without(b), available_seen(b), reserved(b)))
                b.ok(f"target {ram} 0 0 0 {GONE}")
                gone, less, without = b.at_rest(lambda: (available_seen(b), reserved(b), available_without(b)))
                # With less MemTotal less is reserved, which is not so without the balloon's pages alone.
                truth = gone - (keeps - less)
                t.between(ours, truth - near, truth + near, f"MiB; the kernel says {raw:.1f} with it counted in")
                t.between(without, gone - near, gone + near, "MiB once it is gone")
                t.between(ours, empty - mib - SLACK, empty - mib + SLACK, "MiB of the guest before, less the balloon")
                if mib >= 20:
                    t.check(raw > truth + mib * 0.4, f"the kernel counts it in: {raw:.0f}, {truth:.0f} without")
                b.ok("pop")


def drains(b):
    return b.state()["drain_events"]


def insists(t, series):
    """A host that does not let go: gone up to its target, and the account follows the target."""
    with balloon(t, series, memory=1024 * MIB, balloon=INSISTS) as b:
        total = books(b)[0]
        b.lock("2m", 300)
        t.equal((accounts(b), books(b)[0]), ((300, 0), total), "the host has asked for nothing")
        for asked, gone in ((100, 100), (500, 300), (200, 200), (0, 0)):
            with t.subtest(f"asks for {asked} MiB"):
                b.g.balloon(b.g.memory - asked * MIB)
                t.wait(lambda: b.state()["host_target_pages"] == asked * PAGES_PER_MIB, 10, "the target is heard")
                t.equal(accounts(b), (300 - gone, gone), "MiB available, gone")
                t.equal(total - books(b)[0], gone, "MiB missing from MemTotal")
        with t.subtest("deflating takes what is available first"):
            b.g.balloon(b.g.memory - 100 * MIB)
            t.wait(lambda: b.state()["host_target_pages"] == 100 * PAGES_PER_MIB, 10, "the target is heard")
            b.ok("unlock 2m 150M")
            t.equal((accounts(b), total - books(b)[0]), ((50, 100), 100), "MiB")
            a = b.ok("unlock 2m 150M")
            t.equal((a["done_pages"] // PAGES_PER_MIB, a["stop"]), (50, "TARGET"), "the host holds on to the rest")
            t.equal(accounts(b), (0, 100), "MiB available, gone")
        with t.subtest("less than a page is left to the host, and not tried for without end"):
            b.lock("2m", 100)
            b.g.balloon(b.g.memory - 101 * MIB)
            t.wait(lambda: b.state()["host_target_pages"] == 101 * PAGES_PER_MIB, 10, "the target is heard")
            b.tool("pop")
            t.wait(lambda: b.state()["size_pages"] == 102 * PAGES_PER_MIB, 10, "the balloon")
            t.wait(lambda: drains(b) == (time.sleep(1), drains(b))[1], 10, "a second without a try")
        with t.subtest("the device goes, and nobody insists any more"):
            device = b.device()
            b.bind(device, False)
            t.equal(books(b), (total, 0), "MemTotal, counted as reclaimable")
            b.bind(device, True)


def forced(t, series):
    """The operator's word counts, at once, in both directions."""
    with balloon(t, series, memory=1024 * MIB) as b:
        total = books(b)[0]
        ram = b.tool("info")[0]["ram_pages"]
        b.lock("2m", 200)
        b.lock("4k", 20)
        for account, want in ((GONE, (0, 220)), (AUTO, (220, 0)), (AVAILABLE, (220, 0)), (GONE, (0, 220))):
            with t.subtest(f"account {account}"):
                b.ok(f"target {ram} 0 0 0 {account}")
                t.equal(accounts(b), want, "MiB available, gone")
                t.equal((total - books(b)[0], b.state()["account"]), (want[1], account), "missing from MemTotal, account")
        with t.subtest("what is locked next is gone, too"):
            b.ok("lock 4k 8M")
            t.equal((accounts(b), total - books(b)[0]), ((0, 228), 228), "MiB")
        b.ok("pop")
        t.equal((books(b)[0], accounts(b)), (total, (0, 0)), "empty again")


def moved(t, series):
    """Compaction and offlining move pages between zones and blocks; the books follow."""
    with balloon(t, series, memory=1024 * MIB, end_tolerance=12 * MIB) as b:
        total = books(b)[0]
        ram = b.tool("info")[0]["ram_pages"]
        for account in (AUTO, GONE):
            with t.subtest(f"account {account}"):
                moved = b.state()["migrated_pages"]

                def shaken():
                    """Where the pages lie is chance: blocks may refuse, and what was compacted has nowhere to go."""
                    b.ok("pop")
                    b.lock("4k", 400)
                    b.ok("unlock 4k 100M", f"target {ram} 0 0 0 {account}")
                    for block in range(1, 8):
                        state = f"/sys/devices/system/memory/memory{block}/state"
                        if b.g.run(f"echo offline > {state}", 60)[0] == 0:
                            b.g.sh(f"echo online > {state}")
                    b.g.sh("echo 1 > /proc/sys/vm/compact_memory")
                    return b.state()["migrated_pages"] > moved + 1000
                t.wait(shaken, 100, "pages moved")
                t.wait(lambda: b.state()["inflight_batches"] == 0, 20, "host is up to date")
                t.equal(accounts(b), (300, 0) if account == AUTO else (0, 300), "MiB available, gone")
                t.equal(total - books(b)[0], 0 if account == AUTO else 300, "MiB missing from MemTotal")
        b.ok("pop")
        t.equal(books(b), (total, 0), "MemTotal, counted as reclaimable")


def nodes(t, series):
    """Each node's counter has what its zones hold."""
    with balloon(t, series, memory=1024 * MIB, devices=two_nodes(series)) as b:
        def counted():
            return [int(re.search(r"KReclaimable:\s+(\d+)", text)[1]) - int(re.search(r"SReclaimable:\s+(\d+)", text)[1])
                    for text in (b.g.read(f"/sys/devices/system/node/node{n}/meminfo") for n in (0, 1))]
        b.lock("2m", 400)
        b.lock("4k", 100)
        got = counted()
        t.between(sum(got) // 1024, 499, 500, f"MiB on the nodes: {[k // 1024 for k in got]}")
        t.check(min(got) > 100 << 10, "the balloon is spread over the nodes")
        b.ok("pop")
        t.equal(counted(), [0, 0], "KiB afterwards")


def uneven(t, series):
    """A node with much memory that large pages cannot have is not taken for the richest."""
    # What every kind of allocation may have is the same on both, so the first has more that only movable pages may have.
    with balloon(t, series, memory=1536 * MIB, devices=two_nodes(series, 1536), append="kernelcore=900M") as b:
        def normal():
            """Free MiB of each node that large pages can have."""
            found = [0, 0]
            for node, zone, free in re.findall(r"^Node (\d), zone +(\w+)$.*?^ +pages free +(\d+)$",
                                               b.g.read("/proc/zoneinfo"), re.M | re.S):
                if zone != "Movable":
                    found[int(node)] += int(free) // PAGES_PER_MIB
            return found
        before = normal()
        t.diag(f"free, and not only for movable pages: {before} MiB")
        t.check(b.g.read("/proc/zoneinfo").count("Movable") == 2, "zones")
        for how in ("10000 nosleep", "10000"):
            with t.subtest(how):
                a = b.ok(f"target {b.tool('info')[0]['ram_pages']}", f"lock 2m {sum(before) & ~1}M {how}")
                left = normal()
                t.diag(f"{a['done_pages'] // PAGES_PER_MIB} MiB, {a['stop']}; left {left}")
                t.check(max(left) - min(left) < 64, f"the nodes are used alike: {left}")
                b.ok("pop")


def told(t, series):
    """What the host is told leaves the balloon out."""
    with balloon(t, series, memory=1024 * MIB) as b:
        def stats():
            before = b.g.guest_stats()["last-update"]
            t.wait(lambda: b.g.guest_stats()["last-update"] > before + 1, 20, "new statistics")
            s = b.g.guest_stats()["stats"]
            return s["stat-total-memory"] / MIB, s["stat-available-memory"] / MIB + on_lists(b)
        before = b.at_rest(stats)
        b.lock("2m", 400)
        after = b.at_rest(stats)
        t.equal(before[0] - after[0], 400, "MiB less in all")
        t.between(before[1] - after[1], 400 - SLACK, 400 + SLACK, "MiB less available")


# A line for each look: MemFree, and what is available by the module, in KiB and pages.
WATCH = ("end=$(($(cut -d. -f1 /proc/uptime) + 8)); while read up _ < /proc/uptime && [ ${up%.*} -lt $end ]; do "
         f"read pages < {SYSFS}/mem_available_pages; while read key kib _; do "
         "[ $key != MemFree: ] || echo $kib $pages; done < /proc/meminfo; usleep 10000; done")
# Those of a report are of 2 MiB at least, and mostly more than these.
REPORTED_MIB = 8


def reporting(t, series):
    """Free pages that the host is being told of are on no list: they count, but for a host that does not look."""
    with balloon(t, series, memory=1024 * MIB) as b:
        device = b.device()
        for _ in range(20):
            b.free()
            # The kernel begins two seconds after it is free again.
            b.g.sh("ubtool hog 200M")
            b.answering(device, False)
            looks = [(int(kib) / 1024, int(pages) / PAGES_PER_MIB)
                     for kib, pages in map(str.split, b.g.sh(WATCH, 60).splitlines())]
            b.answering(device, True)
            # It has lost what it was told; a call that misses its answer reminds it.
            b.tool("target 100M", "lock 4k 1M 200", "pop")
            gone = [x[1] - y[1] for x, y in zip(looks, looks[1:]) if x[0] - y[0] < 1 and x[1] - y[1] > REPORTED_MIB]
            # On a busy machine all of it may have been over before.
            if gone:
                break
        t.equal(len(gone), 1, f"times that free memory is no longer counted on: {gone}")
        t.diag(f"{gone[0]:.0f} MiB were being reported")
        t.between(b.free() / MIB - on_lists(b) - looks[-1][0], gone[0] - SLACK, gone[0] + SLACK, "MiB that were on no list")
        t.wait(lambda: not b.state()["inflight_pages"], 20, "all answered")


both("pages that the guest can have back", available)
both("available without the balloon", without)
both("a host that does not let go", insists)
both("the operator's word", forced)
both("pages that move", moved, timeout=240)
both("two nodes", nodes)
both("two nodes, one with much that is only for movable pages", uneven)
both("what the host is told", told)
both("free pages that are being reported", reporting)

if __name__ == "__main__":
    tap.main()
