# SPDX-License-Identifier: GPL-2.0-or-later
"""The relief line: whoever asks for memory gets it from the balloon, while it holds enough.

No daemon decides here; the line is set once and the module is left alone. Each way to ask for
memory must succeed as without a balloon, with no help from the OOM notifier (its counter says so),
and with no more given back than was missing.
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import (BALLOON, MIB, MUST_TELL, PAGES_PER_MIB, SWAP_LOAD, SWAP_OFF, SWAP_ON, balloon, both,  # noqa: E402
                      helper, swap_disk, tap, two_nodes)

LINE, STEP = 64, 16
# What one who takes gets beyond what was missing: the step of several CPUs at once, and lists of theirs.
EXCESS = 96


def full(t, b, floor_mib=100):
    """A balloon as large as LOCK allows, with a relief line; MiB."""
    ram = b.tool("info")[0]["ram_pages"]

    def filled():
        """Free pages that are being reported are not to be had; nor can a slow guest take all in one call's time."""
        mib = ram // PAGES_PER_MIB
        b.ok(f"target {ram} 0 0 {LINE}M", f"lock 2m {mib & ~1}M", f"lock 4k {mib}M")
        return b.at_rest(lambda: b.state()["mem_available_pages"]) < (floor_mib + 40) * PAGES_PER_MIB
    t.wait(filled, 20, "nothing more to be had")
    s = b.balanced()
    return s["size_pages"] // PAGES_PER_MIB


def relieved(t, b, before, taken, kinds=("kswapd", "direct")):
    """What was missing was given, no more, and not by the OOM notifier."""
    s = b.state()
    t.equal((s["oom_events"], s["holdoff_left_ms"], b.g.oom_kills()), (0, 0, 0), "OOM notifier, hold-off, kills")
    size = s["size_pages"] // PAGES_PER_MIB
    t.diag(f"balloon {before} -> {size} MiB for {taken} MiB; {s['shrink_events']} reliefs, of these "
           f"{s['direct_events']} direct with {s['direct_pages'] // PAGES_PER_MIB} MiB")
    t.check(before - taken - EXCESS <= size < before, f"balloon {before} -> {size} MiB for {taken} MiB")
    t.check(s["direct_events"] <= s["shrink_events"] and s["direct_pages"] <= s["shrink_pages"] and s["shrink_events"],
            "counters")
    # Less by a batch where two gave at the same time.
    t.check(s["ceiling_pages"] <= s["size_pages"], "the ceiling follows")


def programs(t, series):
    with balloon(t, series, parameters="floor_mb=100", memory=1024 * MIB) as b:
        size = full(t, b)
        with t.subtest("drop_caches does not ask"):
            b.g.sh("echo 3 > /proc/sys/vm/drop_caches")
            t.equal(b.state()["shrink_events"], 0, "shrink_events")
        with t.subtest("LOCK stays above the line and its step"):
            a = b.ok(f"target {b.tool('info')[0]['ram_pages']} 0 0 200M", "lock 4k 1M")
            t.equal((a["done_pages"], a["stop"]), (0, "FLOOR"), "lock")
            b.ok(f"target {b.tool('info')[0]['ram_pages']} 0 0 {LINE}M")
        with t.subtest("a program grows by 500 MiB"):
            job = b.spawn("open r", "poll 60000", "state")
            t.wait(lambda: "open rc=OK" in job.output, 10, "ubtool is there")
            t.equal(b.ok("hog 500M", timeout=100)["rc"], "OK", "hog")
            t.contains(job.wait(30)[1], "events=PRI", "poll of a reader")
            relieved(t, b, size, 500)
        with t.subtest("ten at once"):
            b.ok("pop")
            size = full(t, b)
            b.g.sh("for i in 0 1 2 3 4 5 6 7 8 9; do ubtool hog 50M 3000 & done; wait", timeout=100)
            relieved(t, b, size, 500 + 32)
        b.ok("pop")


def files(t, series):
    """Reading does not lower what is available, so it takes nothing from the balloon."""
    # Room for what the kernel takes off page cache when it computes MemAvailable.
    with balloon(t, series, parameters="floor_mb=160", memory=1024 * MIB, modules=("uballoon", "virtio_blk"),
                 devices=swap_disk(t, 1500)) as b:
        b.g.sh(SWAP_LOAD)
        size = full(t, b, 160)
        b.g.sh("dd if=/dev/vda of=/dev/null bs=1M", timeout=100)
        s = b.state()
        t.equal((s["size_pages"] // PAGES_PER_MIB, s["shrink_events"]), (size, 0), "size, shrink_events")
        t.check(b.g.vmstat()["pgsteal_kswapd"] > 200 * PAGES_PER_MIB, "kswapd has reclaimed")
        b.ok("pop")


def swapless(t, series):
    """The balloon gives before anything is swapped."""
    with balloon(t, series, parameters="floor_mb=100", memory=1024 * MIB, devices=swap_disk(t, 512)) as b:
        b.g.sh(SWAP_ON)
        size = full(t, b)
        t.equal(b.ok("hog 500M", timeout=100)["rc"], "OK", "hog")
        relieved(t, b, size, 500)
        t.check(b.g.vmstat()["pswpout"] < 16 * PAGES_PER_MIB, f"{b.g.vmstat()['pswpout']} pages were swapped out")
        b.ok("pop")
        b.g.sh(SWAP_OFF)


def cgroups(t, series):
    """The same beside cgroups with memory that nobody touches, which reclaim may find first."""
    with balloon(t, series, parameters="floor_mb=100", memory=1024 * MIB, devices=swap_disk(t, 768)) as b:
        b.g.sh(SWAP_ON)
        b.g.sh("mkdir -p /cg && mount -t cgroup2 none /cg && echo +memory > /cg/cgroup.subtree_control && "
               "mkdir /cg/a /cg/b /cg/c")
        idle = [b.g.spawn(f"echo $$ > /cg/{name}/cgroup.procs && exec ubtool hog 120M 60000") for name in "ab"]
        t.wait(lambda: b.g.meminfo()["AnonPages"] > 240 * MIB, 30, "the idle ones have theirs")
        size = full(t, b)
        before = b.g.vmstat()["pswpout"]
        b.g.sh("echo $$ > /cg/c/cgroup.procs && exec ubtool hog 350M", timeout=100)
        relieved(t, b, size, 350)
        swapped = (b.g.vmstat()["pswpout"] - before) // PAGES_PER_MIB
        t.diag(f"{swapped} MiB were swapped out; {b.state()['wake_events']} reliefs when reclaim began")
        t.check(b.state()["wake_events"] > 0, "it does not wait for its turn among the cgroups")
        t.check(swapped < 100, f"{swapped} MiB were swapped out")
        for job in idle:
            job.kill()
            job.wait()
        b.ok("pop")
        b.g.sh(f"{SWAP_OFF}; rmdir /cg/a /cg/b /cg/c; umount /cg")


def kernel(t, series):
    """The kernel's own requests: of higher order, huge pages, and those that may not wait."""
    with balloon(t, series, parameters="floor_mb=100", memory=1024 * MIB, modules=("uballoon", "taker"),
                 files=helper(series, "taker"), end_tolerance=12 * MIB) as b:
        b.g.sh("insmod /lib/modules-test/taker.ko")
        for how, order, mib in (("kernel", 4, 300), ("kernel", 9, 300), ("atomic", 0, 200)):
            with t.subtest(f"{how}, order {order}"):
                size = full(t, b)
                count = mib * PAGES_PER_MIB >> order
                b.g.sh(f"echo {how} {order} {count} > /sys/module/taker/parameters/take", timeout=100)
                t.equal(int(b.g.read("/sys/module/taker/parameters/taken")), count, "blocks")
                relieved(t, b, size, mib)
                b.g.sh("echo none 0 0 > /sys/module/taker/parameters/take")
                b.ok("pop")
        with t.subtest("vm.nr_hugepages"):
            size = full(t, b)
            b.g.sh("echo 200 > /proc/sys/vm/nr_hugepages", timeout=100)
            t.equal(b.g.read("/proc/sys/vm/nr_hugepages").strip(), "200", "pages")
            relieved(t, b, size, 400)
            b.g.sh("echo 0 > /proc/sys/vm/nr_hugepages")
            b.ok("pop")


def bound(t, series):
    """A program bound to a node gets what it asks for from that node."""
    with balloon(t, series, parameters="floor_mb=100", memory=1024 * MIB, devices=two_nodes(series)) as b:
        def counted(node):
            text = b.g.read(f"/sys/devices/system/node/node{node}/meminfo")
            return int(re.search(r"KReclaimable:\s+(\d+)", text)[1]) - int(re.search(r"SReclaimable:\s+(\d+)", text)[1])
        for node in (1, 0):
            with t.subtest(f"node {node}"):
                size = full(t, b)
                other = counted(1 - node)
                t.equal(b.ok(f"node {node}", "hog 250M", timeout=100)["rc"], "OK", "hog")
                relieved(t, b, size, 250)
                t.check(other - counted(1 - node) < 32 << 10, f"the other node gave {other - counted(1 - node)} KiB")
                b.ok("pop")


def told(t, series):
    """A host that must acknowledge is waited for no longer than it takes."""
    with balloon(t, series, parameters="floor_mb=100", balloon="virtio-balloon-pci,id=b0,deflate-on-oom=on",
                 memory=1024 * MIB, load=False, modules=("uballoon", "meddle"), files=helper(series, "meddle")) as b:
        b.g.sh(f"insmod /lib/modules-test/meddle.ko offer={MUST_TELL}")
        b.load("guest_driven=1 floor_mb=100")
        t.check(b.tool("info")[0]["caps"] & 8, "the host must be told")
        size = full(t, b)
        t.equal(b.ok("hog 500M", timeout=100)["rc"], "OK", "hog")
        relieved(t, b, size, 500)
        b.ok("pop")


# Asks for memory as soon as some of what was free is on no list.
SNATCH = ("free() { while read key kib _; do [ $key != MemFree: ] || echo $kib; done < /proc/meminfo; }; most=0; "
          "end=$(($(cut -d. -f1 /proc/uptime) + 20)); while now=$(free); read up _ < /proc/uptime; [ ${up%.*} -lt $end ]; do "
          "[ $now -le $most ] || most=$now; [ $now -ge $((most - 16384)) ] || break; usleep 5000; done; "
          "echo $((most - now)); exec ubtool hog 300M")


def reporting(t, series):
    """Free pages that the host is being told of will be there soon, but whoever asks needs memory now."""
    with balloon(t, series, parameters="floor_mb=100", memory=1024 * MIB) as b:
        device = b.device()
        # On a busy machine the report may have begun before anybody looks.
        for _ in range(6):
            full(t, b)
            before = b.state()
            b.answering(device, False)
            # The kernel begins two seconds after pages became free.
            b.g.sh("ubtool hog 20M")
            answer = b.g.sh(SNATCH, 100)
            b.answering(device, True)
            s = b.state()
            t.contains(answer, "hog rc=OK", "hog")
            t.equal((s["oom_events"], b.g.oom_kills()), (0, 0), "OOM notifier, kills")
            t.check(s["size_pages"] < before["size_pages"] - 150 * PAGES_PER_MIB,
                    f"{before['size_pages']} -> {s['size_pages']}")
            # It has lost what it was told; a call that misses its answer reminds it.
            b.tool("target 100M", "lock 4k 1M 200", "pop")
            t.wait(lambda: not b.state()["inflight_pages"], 20, "all answered")
            if int(answer.split()[0]) > 16384:
                break
        t.check(int(answer.split()[0]) > 16384, f"KiB that are being reported: {answer}")


both("programs", programs, timeout=240)
both("while free pages are being reported", reporting, timeout=180)
both("files that are read", files, timeout=240)
both("before anything is swapped", swapless, timeout=180)
both("... beside idle cgroups", cgroups, timeout=180)
both("the kernel itself", kernel, timeout=240)
both("programs bound to a node", bound, timeout=180)
both("a host that must be told", told, timeout=180)

if __name__ == "__main__":
    tap.main()
