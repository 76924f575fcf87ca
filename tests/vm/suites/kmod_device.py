# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's side: target, statistics, devices of all kinds, coming and going, silence."""
import itertools
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import (BALLOON, DRIVER, MIB, PAGES_PER_MIB, SWAP_OFF, SWAP_ON, answer, asleep, balloon, both,   # noqa: E402
                      everyday, meddle, swap_disk, tap)
from harness.trace import DeviceTrace                                 # noqa: E402

TAGS = 16
# While memory moves the host is told of the size each 20 ms at most; the kernel's clock may tick within 4 of them.
TOLD_MS = 16


def host_target(t, series):
    """Without reports and without deflate-on-oom the host's word is the bound both ways."""
    with balloon(t, series, balloon="virtio-balloon-pci,id=b0") as b:
        a = b.ok("target 400M", "lock 4k 10M")
        t.equal((a["done_pages"], a["stop"]), (0, "TARGET"), "no inflating beyond the host's target")
        b.g.balloon(b.g.memory - 100 * MIB)
        t.wait(lambda: b.state()["host_target_pages"] == 100 * PAGES_PER_MIB, 10, "host target")
        a = b.ok("lock 2m 60M", "lock 4k 100M")
        t.equal((a["done_pages"], a["stop"]), (40 * PAGES_PER_MIB, "TARGET"), "up to it")
        t.equal(b.actual_mib(), 100, "the balloon as the host sees it, MiB")
        a = b.ok("unlock 4k 10M")
        t.equal((a["done_pages"], a["stop"]), (0, "TARGET"), "no deflating below it")
        t.equal(b.ok("pop")["done_pages"], 0, "not even by POP")
        b.g.balloon(b.g.memory - 30 * MIB)
        # POP goes on in the background as soon as it may.
        t.wait(lambda: b.actual_mib() == 30, 10, "deflated to the new target")
        s = b.balanced()
        t.check(s["told_4k_batches"] and s["told_2m_batches"] and not s["quiet_2m_batches"], "inflate queue")
        b.g.balloon(b.g.memory)
        t.wait(lambda: b.actual_mib() == 0, 10, "deflated to zero")


def told(b, trace, work):
    """What QEMU was told while work() ran: ("target", pages) and ("actual", old, new), in order."""
    old = b.state()["size_pages"]
    trace.events()
    work()
    said = []
    for _, event, number in trace.events():
        if event == "to_target":
            said.append(("target", (b.g.memory - number) // 4096))
        else:
            said.append(("actual", old, number))
            old = number
    return said


def moving_target(t, series):
    """The host changes its mind while memory moves, and is told now and then, and at the end."""
    trace = DeviceTrace()
    t.defer(trace.close)
    with balloon(t, series, balloon="virtio-balloon-pci,id=b0", devices=[trace.arguments]) as b:
        with t.subtest("it is told while memory moves"):
            b.g.balloon(b.g.memory - 200 * MIB)
            t.wait(lambda: b.state()["host_target_pages"] == 200 * PAGES_PER_MIB, 10, "host target")
            locks = []
            said = told(b, trace, lambda: locks.extend(b.tool("target 450M", "lock 4k 100M", "lock 2m 100M")[1:]))
            t.equal([a["stop"] for a in locks], ["DONE", "DONE"], "LOCKs")
            steps = [new - old for what, old, new in said]
            t.equal(sum(steps), 200 * PAGES_PER_MIB, "sum")
            ms = sum(a["us"] for a in locks) / 1000
            # At the end of each call, and at its first answer.
            t.between(len(steps), 2, 4 + ms / TOLD_MS, f"times in {ms:.0f} ms")
            t.check(min(steps) > 0, f"steps: {steps}")
            t.diag(f"{len(steps)} steps in {ms:.0f} ms, "
                   f"{b.state()['told_4k_batches'] + b.state()['told_2m_batches']} batches")
            t.equal(b.actual_mib(), 200, "query-balloon, MiB")
        with t.subtest("targets that change under way"):
            follow = b.g.spawn("while :; do ubtool target 450M , lock 4k 450M 20 , lock 2m 450M 5 , unlock 4k 450M 20 , "
                               "unlock 2m 450M 5; done > /run/follow")
            dice = random.Random(series)
            targets = [dice.randrange(20, 200) + (dice.randrange(150) if i % 2 else 0) for i in range(20)] + [120]

            def change():
                for mib in targets:
                    b.g.balloon(b.g.memory - mib * MIB)
                    time.sleep(dice.choice([0, 0.05, 0.1]))
                    # A guest that stands still hears of several at once, and would be too far behind.
                    t.wait(lambda: b.state()["host_target_pages"] == mib * PAGES_PER_MIB, 10, "it is heard of", 0.05)
                t.wait(lambda: b.actual_mib() == 120, 20, "the last target")
            said = told(b, trace, change)
            b.stop(follow)
            # On a loaded machine the guest may be some changes behind: memory moves towards one of the last.
            goals = [200 * PAGES_PER_MIB] * (4 * tap.PATIENCE // 3)
            up = down = turned = 0
            fresh = False
            for event in said:
                if event[0] == "target":
                    goals = goals[1:] + [event[1]]
                    fresh = True
                    continue
                _, old, new = event
                turned += fresh and old not in goals[-2:]
                fresh = False
                up, down = up + (new > old), down + (new < old)
                t.check(new <= max(goals) if new > old else new >= min(goals), f"{old} -> {new}, targets {goals}")
            # How many there are is the machine's speed: `actual` is told by the clock.
            t.check(up > 0 and down > 0, f"{up} steps up, {down} down")
            t.check(turned > 0, "a target changed while memory was moving")
            t.diag(f"{up} steps up, {down} down, {turned} changes while moving")
            s = b.balanced()
            t.equal((s["size_pages"], b.actual_mib()), (120 * PAGES_PER_MIB, 120), "size, query-balloon")
            t.check(s["host_target_events"] > 10, "host_target_events")
            b.g.balloon(b.g.memory)


def interrupts(t, series):
    """Whoever moves memory collects the answers and is not interrupted for each."""
    with balloon(t, series, memory=2048 * MIB) as b:
        def count():
            lines = [line.split() for line in b.g.read("/proc/interrupts").splitlines()]
            mine = [line for line in lines if line[-1].split("-")[0] == b.device()]
            t.check(mine, "it has a line in /proc/interrupts")
            return sum(int(n) for line in mine for n in line[1:3])
        before = count()
        b.lock("2m", 1200)
        s, came = b.state(), count() - before
        t.diag(f"{came} interrupts for {s['quiet_2m_batches']} batches")
        t.check(came <= s["quiet_2m_batches"] * 2 // 3, "fewer than batches")
        t.equal(s["host_timeout_events"], 0, "host_timeout_events")


def expected_stats(b):
    """{tag: value} of /proc/vmstat, for those that only grow."""
    vm = b.g.vmstat()
    pages = {0: "pswpin", 1: "pswpout", 12: "pgscan_kswapd", 13: "pgscan_direct", 14: "pgsteal_kswapd",
             15: "pgsteal_direct"}
    events = {2: "pgmajfault", 3: "pgfault", 8: "htlb_buddy_alloc_success", 9: "htlb_buddy_alloc_fail", 10: "oom_kill"}
    return ({tag: vm[name] * 4096 for tag, name in pages.items()} | {tag: vm[name] for tag, name in events.items()} |
            {11: sum(v for k, v in vm.items() if k.startswith("allocstall"))})


def statistics(t, series):
    with balloon(t, series, devices=swap_disk(t, 320)) as b:
        first = t.wait(lambda: (s := b.g.guest_stats())["last-update"] and s, 20, "statistics")
        t.wait(lambda: b.g.guest_stats()["last-update"] > first["last-update"] + 2, 20, "they are refreshed")
        stats, mem = b.g.guest_stats()["stats"], b.g.meminfo()
        missing = [k for k, v in stats.items() if v == 2**64 - 1 or v < 0]
        t.equal(missing, [], "tags that QEMU knows and the guest has not supplied")
        t.equal(stats["stat-total-memory"], mem["MemTotal"], "stat-total-memory")

        def free():
            """Both at one time, and while no free pages are being reported."""
            stats, free = b.g.guest_stats()["stats"], b.g.meminfo()["MemFree"]
            return 0.8 * free <= stats["stat-free-memory"] <= 1.2 * free
        t.wait(free, 20, "stat-free-memory is MemFree", 1)
        t.check(stats["stat-minor-faults"] > 0, "stat-minor-faults")
        # A busy host asks less often.
        t.wait(lambda: b.state()["host_stats_events"] >= 3, 20, "host_stats_events")
        with t.subtest("under memory pressure"):
            b.g.sh(SWAP_ON)
            b.lock("4k", 60)
            job = b.spawn(*["hog 430M"] * 50)
            t.wait(lambda: (now := b.g.vmstat())["pswpout"] and now["pgmajfault"], 60, "the guest swaps")
            seen = {b.g.guest_stats()["last-update"]}
            t.wait(lambda: seen.add(b.g.guest_stats()["last-update"]) or len(seen) > 4, 40, "refreshed all the time")
            t.check(job.running(), "the guest is busy all the while")
            job.kill()
            job.wait()
        with t.subtest("all tags, and they are right"):
            low, updated = expected_stats(b), b.g.guest_stats()["last-update"]
            t.wait(lambda: b.g.guest_stats()["last-update"] > updated + 1, 20, "figures of later")
            got, high = b.device_stats(), expected_stats(b)
            t.equal(sorted(got), list(range(TAGS)), "tags")
            for tag in low:
                t.between(got[tag], low[tag], high[tag], f"tag {tag}")
            t.check(all(got[tag] for tag in (1, 2, 3, 12, 14)), f"there was something to count: {got}")
            t.check(high[3] - low[3] < 20000, "and the guest was at rest when it was read")
            t.equal(got[5], b.g.meminfo()["MemTotal"] - b.state()["available_pages"] * 4096, "total memory")
        b.g.sh(SWAP_OFF)


def kinds(t, series):
    """Each combination of queues; transitional, modern and packed devices."""
    options = ("guest-stats-polling-interval=1", "free-page-hint=on", "free-page-reporting=on")
    sets = [",".join(c) for n in range(4) for c in itertools.combinations(options, n)]
    sets += ["disable-modern=on,free-page-reporting=on", "disable-legacy=on,free-page-reporting=on",
             "disable-legacy=on,packed=on,free-page-reporting=on", "disable-legacy=on,packed=on",
             "disable-legacy=on,indirect_desc=off,event_idx=off,free-page-reporting=on"]
    # QEMU always offers a statistics queue; one that does not is for the driver to believe in.
    hidden = "guest-stats-polling-interval=0"
    sets += [",".join((hidden,) + c) for n in range(3) for c in itertools.combinations(options[1:], n)]
    with balloon(t, series, balloon=None, load=False, modules=("uballoon", "meddle"), files=meddle(series)) as b:
        b.load("guest_driven=1")
        b.load(module="meddle")
        for extra in sets:
            with t.subtest(extra.replace(hidden, "no statistics") or "nothing"):
                b.parameter("hide", 2 if hidden in extra else 0, "meddle")
                iothread = extra and "free-page-hint" in extra
                if iothread:
                    b.g.qmp("object-add", **{"qom-type": "iothread", "id": "io0"})
                b.g.device_add("virtio-balloon-pci,id=b0,deflate-on-oom=on" + (f",{extra}" if extra else "") +
                               (",iothread=io0" if iothread else ""))
                t.wait(lambda: b.g.run("test -e /dev/uballoon")[0] == 0, 20, "the node")
                quiet = "free-page-reporting" in extra
                # Numbered without gaps.
                queues = ["inflate", "deflate"] + ["stats"] * (hidden not in extra) + \
                    ["hint"] * ("free-page-hint" in extra) + ["report"] * quiet
                s = b.state()
                t.equal({k: v for k, v in s.items() if k.endswith("_index")},
                        {f"virtio_{name}_index": i for i, name in enumerate(queues)}, "queues")
                # What QEMU takes for its statistics queue would get the reports.
                if hidden not in extra or not quiet:
                    b.lock("2m", 40)
                    b.lock("4k", 20)
                    t.equal(b.actual_mib(), 60, "the balloon as the host sees it, MiB")
                    b.ok("unlock 2m 20M", "unlock 4k 10M")
                    t.equal(bool(b.balanced()["quiet_2m_batches"]), quiet, "through the reporting queue")
                b.g.device_del()
                t.wait(lambda: b.g.run("test -e /dev/uballoon")[0] == 1, 20, "no node")
                if iothread:
                    b.g.qmp("object-del", id="io0")


def unbind(t, series):
    with balloon(t, series) as b:
        b.lock("4k", 50)
        b.lock("2m", 50)
        free = b.free()
        device = b.g.sh(f"basename {DRIVER}/virtio*").strip()
        job = b.spawn("open w", "poll 30000", "state", "lock 4k 1M", "pop", "poll 0", "close", "open w", "info")
        t.wait(lambda: "open rc=OK" in job.output, 10, "ubtool is there")
        b.g.sh(f"echo {device} > {DRIVER}/unbind")
        t.between((b.free() - free) / MIB, 95, 105, "MiB are back")
        t.equal(b.g.run("test -e /dev/uballoon")[0], 1, "the node has gone")
        a = [answer(line) for line in job.wait(30)[1].splitlines()]
        t.equal([x.get("events", x["rc"]) for x in a],
                ["OK", "ERRHUP", "ENODEV", "ENODEV", "ENODEV", "ERRHUP", "OK", "ENOENT", "ENOENT"], "answers")
        t.equal(b.actual_mib(), 0, "the balloon as the host sees it, MiB")
        for _ in range(5):
            b.g.sh(f"echo {device} > {DRIVER}/bind")
            b.lock("2m", 20)
            b.g.sh(f"echo {device} > {DRIVER}/unbind")
        b.g.sh(f"echo {device} > {DRIVER}/bind")
        b.lock("2m", 20)


def unplug(t, series):
    with balloon(t, series) as b:
        for i in range(3):
            b.lock("4k", 50)
            b.lock("2m", 50)
            job = b.spawn("open w", "poll 30000", "info")
            t.wait(lambda: "open rc=OK" in job.output, 10, "ubtool is there")
            b.g.device_del()
            t.contains(job.wait(30)[1], "ENODEV", "a file that was open")
            b.g.device_add()
            t.wait(lambda: b.g.run("test -e /dev/uballoon")[0] == 0, 20, "the node is back")
            t.equal(b.state()["size_pages"], 0, "size")


def stock(t, series):
    """Taking the device over from the kernel's own driver, and back."""
    with balloon(t, series, load=False, modules=("uballoon", "virtio_balloon")) as b:
        b.g.sh("insmod /lib/modules-test/virtio_balloon.ko")
        b.load()
        t.equal(b.g.run("test -e /dev/uballoon")[0], 1, "the node")
        device = b.g.sh("basename /sys/bus/virtio/drivers/virtio_balloon/virtio*").strip()
        b.g.sh(f"echo {device} > /sys/bus/virtio/drivers/virtio_balloon/unbind")
        b.g.sh(f"echo {device} > {DRIVER}/bind")
        b.lock("2m", 20)
        b.g.sh(f"echo {device} > {DRIVER}/unbind; echo {device} > /sys/bus/virtio/drivers/virtio_balloon/bind")


def busy_unload(t, series):
    """Unloading with a full balloon while everything is moving."""
    with balloon(t, series, memory=1024 * MIB) as b:
        with t.subtest("full and at rest"):
            total, free = b.g.meminfo()["MemTotal"], b.free()
            b.lock("2m", 400)
            b.lock("4k", 100)
            t.equal(b.actual_mib(), 500, "the balloon as the host sees it, MiB")
            b.g.sh("rmmod uballoon")
            t.equal(b.g.meminfo()["MemTotal"], total, "MemTotal")
            t.between(b.free(), free - 4 * MIB, free + 4 * MIB, "free memory")
            t.equal(b.actual_mib(), 0, "the balloon as the host sees it, MiB")
            b.load()
        for size in ("2m", "4k"):
            job = b.g.spawn("while ubtool target 700M , lock %s 600M , unlock %s 300M | grep -q rc=OK; do :; done"
                            % (size, size))
            time.sleep(1)
            b.g.balloon(b.g.memory - 100 * MIB)
            job.kill()
            t.wait(lambda: b.g.run("rmmod uballoon")[0] == 0, 20, "rmmod")
            b.g.balloon(b.g.memory)
            b.load()


def late_host(t, series):
    """A host that answers late, or not at all, and insists on being told."""
    # Later than a guest stands still on a busy machine, sooner than a call ends by itself.
    late_ms = 5000
    with balloon(t, series, parameters=f"host=none none_told=1 none_delay_ms={late_ms}", balloon=None) as b:
        with t.subtest("late"):
            a = b.tool("target 300M", "lock 4k 4M 500")
            t.equal((a[1]["done_pages"], a[1]["stop"]), (0, "BUDGET"), "lock with a small budget")
            t.check(a[1]["us"] < (late_ms - 500) * 1000, f"took {a[1]['us']} us")
            t.wait(lambda: b.state()["size_pages"] == 4 * PAGES_PER_MIB, 20, "booked when the answer came")
            t.check(b.state()["host_timeout_events"] >= 1, "host_timeout_events")
            a = b.tool("lock 4k 4M", "unlock 4k 2M")
            t.equal([x["stop"] for x in a], ["DONE", "DONE"], "with enough time")
            t.check(a[1]["us"] > (late_ms - 500) * 1000, "a page is not used before the host has acknowledged")
            b.balanced()
        with t.subtest("silent"):
            b.parameter("none_delay_ms", 1000000)
            a = b.tool("lock 4k 100M 200", "lock 4k 100M 200", "unlock 4k 1M 100")
            t.equal([x["stop"] for x in a], ["BUDGET"] * 3, "stops")
            t.check(max(x["us"] for x in a) < 4000000 * tap.PATIENCE, "bounded")
            before = b.state()
            job = b.spawn("lock 4k 100M 10000")
            t.wait(lambda: b.state()["lock_calls"] > before["lock_calls"], 5, "the call runs")
            b.g.sh("killall -9 ubtool")
            t.equal(job.wait(10)[0], 128 + 9, "status")
            # At the end of its budget it is counted as one that the host has not answered.
            t.equal(b.state()["host_timeout_events"], before["host_timeout_events"], "events: a kill works")
            t.contains(b.g.dmesg(), "no answer from the host", "message")
            t.check(b.state()["inflight_pages"] > 0, "what the host has it keeps")
        # The verdict: unloading gets all of it back.


def none(t, series):
    with balloon(t, series, parameters="host=none", balloon=None) as b:
        t.equal(b.tool("info")[0]["host"], "none", "host")
        b.lock("2m", 50)
        b.lock("4k", 50)
        b.ok("unlock 2m 10M", "unlock 4k 10M")
        b.balanced()
        with t.subtest("an unknown host is refused"):
            b.g.sh("rmmod uballoon")
            t.check(b.g.run("insmod /lib/modules-test/uballoon.ko host=vbox")[0] != 0, "insmod")
            t.contains(b.g.dmesg(), "host=vbox: unknown; use", "message")


def suspend(t, series):
    """Suspend to RAM: the balloon is empty and the device set up anew afterwards."""
    with balloon(t, series, sleeps=True) as b:
        b.lock("2m", 50)
        b.lock("4k", 50)
        job = b.spawn("open r", "poll 60000", "state")
        t.wait(lambda: "open rc=OK" in job.output, 10, "ubtool is there")
        sleeper = b.g.spawn("echo mem > /sys/power/state", 80)
        t.wait(lambda: b.g.qmp("query-status")["status"] == "suspended", 60, "the guest sleeps")
        t.equal(b.actual_mib(), 0, "the balloon as the host sees it, MiB")
        b.g.balloon(b.g.memory - 80 * MIB)
        b.g.qmp("system_wakeup")
        t.equal(sleeper.wait(60)[0], 0, "status of the suspend")
        a = [answer(line) for line in job.wait(60)[1].splitlines()]
        t.contains(a[1]["events"], "PRI", "poll")
        t.equal((a[2]["size_pages"], a[2]["ceiling_pages"]), (0, 0), "afterwards")
        t.wait(lambda: b.state()["host_target_pages"] == 80 * PAGES_PER_MIB, 10, "the new target")
        b.g.balloon(b.g.memory)
        b.lock("2m", 50)
        t.equal(b.actual_mib(), 50, "the balloon as the host sees it, MiB")
        b.balanced()


both("host target", host_target)
both("host target that changes while memory moves", moving_target)
everyday("interrupts", interrupts)
both("statistics queue", statistics, timeout=180)
both("kinds of devices", kinds, timeout=240)
both("unbind and bind", unbind)
both("unplug and plug", unplug)
both("stock driver", stock)
both("unload while it moves", busy_unload, timeout=180)
both("late and silent host", late_host)
both("no host", none)
asleep("suspend", suspend)

if __name__ == "__main__":
    tap.main()
