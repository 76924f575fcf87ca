# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices that stall or insist, and guests that sleep: what a friendly host never shows.

The device is QEMU's own throughout. Where it cannot be made to do what other hypervisors
do, the module guest/meddle lets the driver believe in it.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import (DEBUG_SERIES, MIB, PAGES_PER_MIB, SWAP_LOAD, SWAP_OFF, SWAP_ON, WAKE, answer,   # noqa: E402
                      asleep, balloon, both, meddle, swap_disk, tap)
from harness.control import GuestDied                                 # noqa: E402

CAP_MUST_TELL = 1 << 3
# Those that the module remembers at most, beside what is on its way in batches.
OLD_PAGES = 1024 + 9 * 256
INFLATE_ONLY = "virtio-balloon-pci,id=b0,deflate-on-oom=on"


def stall(t, series):
    """Nothing waits for a device that does not answer longer than it has said."""
    with balloon(t, series, parameters="oom_holdoff_ms=0 floor_mb=16") as b:
        total = b.g.meminfo()["MemTotal"]
        device = b.device()
        b.lock("2m", 200)
        b.lock("4k", 20)
        b.answering(device, False)
        with t.subtest("a call ends with its budget, and the module says why"):
            a = b.ok("lock 2m 20M 300", "state")
            t.equal(a["last_stop"], "BUDGET", "stop")
            t.equal((a["size_pages"], a["host_timeout_events"]), (220 * PAGES_PER_MIB, 1), "size, host_timeout_events")
            t.contains(b.g.dmesg(), "no answer from the host to a lock request", "message")
        with t.subtest("a signal ends it"):
            a = b.tool("alarm 200", "lock 4k 4M 10000")[-1]
            t.equal((a["rc"], a["stop"], a["done_pages"]), ("OK", "INTERRUPTED", 0), "lock")
            t.check(a["us"] < 9000000, f"took {a['us']} us")
        with t.subtest("so does a kill"):
            before = b.state()
            job = b.spawn("lock 4k 4M 10000")
            t.wait(lambda: b.state()["lock_calls"] > before["lock_calls"], 5, "the call runs")
            b.g.sh("killall -9 ubtool")
            t.equal(job.wait(10)[0], 128 + 9, "status")
            # When its budget is over it is counted as one that the host has not answered.
            t.equal(b.state()["host_timeout_events"], before["host_timeout_events"], "events: not when it is over")
        with t.subtest("what needs no answer goes on"):
            a = b.ok("unlock 2m 10M", "unlock 4k 10M")
            t.equal((a["done_pages"], a["stop"]), (10 * PAGES_PER_MIB, "DONE"), "unlock")
            t.equal(b.actual_mib(), 200, "the balloon as the host sees it, MiB")
            # Some 220 MiB are free. Up to 128 of them may be with the device, too: they were being reported;
            # and 40 on the lists of the CPUs.
            a = b.tool("hog 235M", timeout=100)[0]
            t.equal((a["rc"], b.g.oom_kills()), ("OK", 0), "a burst, OOM kills")
            t.check(b.state()["size_pages"] < 200 * PAGES_PER_MIB, "it got what the balloon held")
        with t.subtest("whoever reports free pages waits without being a hung task"):
            waiters = t.wait(lambda: b.g.run("for p in /proc/[0-9]*; do grep -qs uballoon_virtio_report $p/stack && "
                                             "cat $p/stat; done")[1], 15, "reports that are with the device")
            t.equal([line.rpartition(")")[2].split()[0] for line in waiters.splitlines()], ["I"], "state")
        with t.subtest("late answers are booked"):
            # 20 MiB, and the 8 MiB of the calls that were interrupted.
            s = b.state()
            t.equal(s["inflight_pages"], 28 * PAGES_PER_MIB, "inflight_pages")
            b.answering(device, True)
            # The device has lost what it was told; a call that misses its answer reminds it.
            b.ok("target 400M", "lock 4k 1M 200")
            t.wait(lambda: not (now := b.state())["inflight_pages"] and not now["inflight_batches"], 10,
                   "all answered")
            t.equal(b.balanced()["size_pages"], s["size_pages"] + 29 * PAGES_PER_MIB, "size")
        with t.subtest("it is unbound while it stalls"):
            b.answering(device, False)
            t.equal(b.ok("lock 2m 20M 200", "state")["last_stop"], "BUDGET", "stop")
            started = time.monotonic()
            b.bind(device, False)
            t.check(time.monotonic() - started < 10 * tap.PATIENCE, "soon")
            t.equal(b.g.meminfo()["MemTotal"], total, "MemTotal")
            b.answering(device, True)
            b.bind(device, True)
            b.lock("2m", 20)
            b.balanced()


def must_tell(t, series):
    """A page is not used again before the device has acknowledged that it is taken back."""
    with balloon(t, series, modules=("uballoon", "meddle"), files=meddle(series), load=False,
                 balloon=INFLATE_ONLY) as b:
        b.load("offer=1", module="meddle")
        b.load("guest_driven=1 floor_mb=64")
        t.check(b.tool("info")[0]["caps"] & CAP_MUST_TELL, "MUST_TELL_HOST is negotiated")
        device = b.device()
        ram = b.tool("info")[0]["ram_pages"]

        def booked():
            """MiB in the accounts: what waits for an answer is not the guest's yet."""
            s = b.state()
            return (s["available_pages"] + s["gone_pages"]) / PAGES_PER_MIB
        b.lock("4k", 40)
        b.lock("2m", 40)
        with t.subtest("no acknowledgement, no page"):
            b.answering(device, False)
            a = b.tool("unlock 4k 10M 300", "state")
            t.equal((a[0]["stop"], a[0]["done_pages"]), ("BUDGET", 0), "unlock")
            t.check(300000 <= a[0]["us"] < 5000000 * tap.PATIENCE, f"took {a[0]['us']} us")
            a = b.tool("alarm 200", "unlock 4k 10M 10000")[-1]
            t.equal((a["stop"], a["done_pages"]), ("INTERRUPTED", 0), "unlock, and a signal")
            t.check(a["us"] < 9000000, f"took {a['us']} us")
            t.equal(booked(), 80, "MiB in the accounts")
            t.contains(b.g.dmesg(), "no answer from the host to an unlock", "message")
        with t.subtest("it comes late"):
            b.answering(device, True)
            b.ok("unlock 4k 2M 200")
            t.wait(lambda: not b.state()["inflight_batches"], 10, "all answered")
            s = b.balanced()
            t.equal(s["size_4k_pages"], 34 * PAGES_PER_MIB, "size_4k_pages")
            t.equal(booked(), 74, "MiB in the accounts")
        with t.subtest("a page that compaction replaced is not used before, either"):
            moved = before = 0
            # How much there is to compact is the allocator's matter.
            for _ in range(8):
                b.lock("4k", 220)
                for _ in range(50):
                    b.ok("lock 4k 1M", "unlock 4k 2M")
                earlier, before = b.state()["migrated_pages"], b.free()
                b.answering(device, False)
                b.g.sh("echo 1 > /proc/sys/vm/compact_memory")
                moved = b.state()["migrated_pages"] - earlier
                if moved >= 100:
                    break
                b.answering(device, True)
                b.tool("lock 4k 2M 100")
                t.wait(lambda: not b.state()["inflight_batches"], 10, "all answered")
                b.ok("unlock 4k 200M")
            t.between(moved, 100, OLD_PAGES, "migrated_pages, for which there is room to remember")
            t.check(b.free() < before - moved * 4096 // 2, "the old ones are not free")
            b.answering(device, True)
            # They fill all batches, and it takes a call that misses its answer to remind the device.
            b.tool("lock 4k 2M 100", "pop")
            t.wait(lambda: b.state()["size_pages"] == 0, 10, "now they are")
            b.balanced()
        with t.subtest("a burst gets it in time"):
            b.lock("4k", 260)
            b.ok(f"target {ram} 0 0 40M")
            locked = b.state()["size_pages"]
            t.equal(b.tool("hog 280M", timeout=100)[0]["rc"], "OK", "hog")
            t.equal(b.g.oom_kills(), 0, "OOM kills")
            s = t.wait(lambda: (s := b.state())["inflight_batches"] == 0 and s, 10, "all answered")
            t.check(s["shrink_events"] > 0, "shrink_events")
            gone = s["shrink_pages"] + s["oom_pages"]
            t.equal(gone, locked - s["size_pages"], "given back, by cause")
            t.check(s["ceiling_pages"] <= s["size_pages"], "the ceiling follows")
            b.balanced()
        with t.subtest("what does not come in time is given back all the same"):
            b.ok("pop")
            b.parameter("oom_holdoff_ms", 0)
            b.lock("4k", 100)
            b.ok(f"target {ram} 0 0 40M")
            moved = b.state()["migrated_pages"]
            b.answering(device, False)
            # The OOM killer may well have to act.
            b.g.run("ubtool hog 400M", 60)
            s = b.state()
            given = s["shrink_pages"] + s["oom_pages"] - gone
            t.check(0 < given < 100 * PAGES_PER_MIB, f"{given} pages given back")
            t.equal(s["size_pages"], 100 * PAGES_PER_MIB - given, "size")
            t.check(s["ceiling_pages"] <= s["size_pages"], "the ceiling follows")
            # Of a page that compaction has put in the place of another one the host does not know.
            unknown = s["migrated_pages"] - moved
            t.between(100 - booked(), 0, unknown / PAGES_PER_MIB, "free without an answer, MiB")
            a = b.tool("alarm 200", "pop")[-1]
            t.equal(a["rc"], "OK", "POP, and a signal")
            t.between(a["done_pages"], 0, unknown, "free at once, pages")
            t.between(100 - booked(), 0, unknown / PAGES_PER_MIB, "free without an answer, MiB")
            t.check(a["us"] < 5000000 * tap.PATIENCE, f"took {a['us']} us")
        if series not in WAKE:
            b.ok("pop")
            return
        with t.subtest("a suspend gets all of it back, and the device is awake again"):
            b.parameter("fail_at", "devices", "meddle")
            t.check(b.g.run("echo mem > /sys/power/state", 60)[0] != 0, "it is called off")
            t.equal((b.balanced()["size_pages"], booked()), (0, 0), "size, MiB in the accounts")
            b.lock("4k", 20)


def called_off(t, series):
    """Suspends that fail on the way, as other devices make them."""
    with balloon(t, series, modules=("uballoon", "meddle"), files=meddle(series)) as b:
        b.load(module="meddle")
        t.on_failure(lambda: b.g.run("echo w > /proc/sysrq-trigger; dmesg | tail -n 80", 10)[1])
        total = b.g.meminfo()["MemTotal"]

        def attempt(level):
            b.parameter("fail_at", level, "meddle")
            t.check(b.g.run("echo mem > /sys/power/state", 60)[0] != 0, "it is called off")

        b.lock("2m", 40)
        b.lock("4k", 20)
        with t.subtest("before any device is asked: nothing happens"):
            attempt("freezer")
            s = b.balanced()
            t.equal((s["size_pages"], s["pop_events"]), (60 * PAGES_PER_MIB, 0), "size, pop_events")
        for n, level in enumerate(("platform", "devices"), 1):
            with t.subtest(f"level {level}: empty, and everything works on"):
                b.lock("2m", 40)
                job = b.spawn("open r", "poll 60000", "state")
                t.wait(lambda: "open rc=OK" in job.output, 10, "ubtool is there")
                attempt(level)
                a = [answer(line) for line in job.wait(30)[1].splitlines()]
                t.contains(a[1]["events"], "PRI", "poll")
                s = b.balanced()
                t.equal((s["size_pages"], s["ceiling_pages"], s["pop_events"]), (0, 0, n), "afterwards")
                t.equal(b.g.meminfo()["MemTotal"], total, "MemTotal")
                t.equal(b.actual_mib(), 0, "the balloon as the host sees it, MiB")
                b.g.balloon(b.g.memory - (50 + n) * MIB)
                t.wait(lambda: b.state()["host_target_pages"] == (50 + n) * PAGES_PER_MIB, 10, "host target")
                stats = s["host_stats_events"]
                t.wait(lambda: b.state()["host_stats_events"] > stats + 1, 10, "statistics are asked for and given")
        with t.subtest("while the balloon moves"):
            job = b.g.spawn("while :; do ubtool target 300M , lock 4k 100M , lock 2m 100M , unlock 2m 80M , unlock 4k 80M; done"
                            " >/dev/null")
            t.equal(b.g.sh("for i in 1 2 3 4 5 6 7 8; do usleep 200000; echo mem 2>/dev/null > /sys/power/state && "
                           "echo asleep; done; true", 60), "", "attempts that were not called off")
            b.stop(job)
            b.ok("pop")
            s = b.balanced()
            t.equal((s["pop_events"], s["size_pages"]), (11, 0), "pop_events, size")
        with t.subtest("free page reporting goes on"):
            reported = b.state()["reported_pages"]
            b.g.sh("ubtool hog 200M")
            t.wait(lambda: b.state()["reported_pages"] > reported, 15, "reported_pages")


LATE = 90                                # MiB


def hibernate(t, series):
    """To disk, QEMU ends, and a new one wakes the guest: nothing of the old device is left."""
    # The image is at most half of what there is, and checks have a good part of it.
    room = 2 if series in DEBUG_SERIES else 1
    with balloon(t, series, memory=256 * MIB * room, append="hibernate=nocompress",
                 devices=swap_disk(t, 320 * room)) as b:
        wake = "cat /sys/block/vda/dev > /sys/power/resume"
        b.g.sh(f"{SWAP_ON} && {wake} && echo shutdown > /sys/power/disk")
        total = b.g.meminfo()["MemTotal"]
        b.lock("4k", 20)
        b.spawn("open r", "poll 3600000", "state", "> /run/poll")
        t.wait(lambda: "open rc=OK" in b.g.run("cat /run/poll")[1], 10, "ubtool is there")
        # The last moment is soon enough to be left out of the image, which has no room for it.
        b.g.spawn(f"ubtool lock 2m {LATE * room}M; echo disk > /sys/power/state; echo $? > /run/woken")
        b.g.boot_again(60)
        b.g.balloon(b.g.memory - 70 * MIB)
        b.g.sh(SWAP_LOAD)
        b.g.spawn(wake)

        def woken():
            try:
                return b.g.spawn("cat /run/woken").wait(3)
            except GuestDied:
                return None         # it was asked in the last moments of the first kernel
        t.equal(t.wait(lambda: (w := woken()) and w[0] == 0 and w, 40, "the guest wakes up"), (0, "0\n"), "status")
        with t.subtest("the balloon is empty and its reader knows"):
            t.wait(lambda: len(b.g.read("/run/poll").splitlines()) == 3, 10, "the reader's poll")
            a = [answer(line) for line in b.g.read("/run/poll").splitlines()]
            t.contains(a[1]["events"], "PRI", "poll")
            t.equal((a[2]["size_pages"], a[2]["pop_events"]), (0, 1), "size, pop_events")
            t.equal((b.actual_mib(), b.g.meminfo()["MemTotal"]), (0, total), "as the host sees it, MemTotal")
        with t.subtest("the new device works"):
            t.equal(b.state()["host_target_pages"], 70 * PAGES_PER_MIB, "host target")
            b.lock("2m", 20)
            b.lock("4k", 20)
            t.equal(b.actual_mib(), 40, "the balloon as the host sees it, MiB")
            b.balanced()
            t.wait(lambda: b.g.guest_stats()["last-update"], 10, "statistics")
        b.g.sh(SWAP_OFF)


both("stalled device", stall, timeout=180)
both("device that must be told", must_tell, timeout=180)
asleep("suspend that is called off", called_off, timeout=180)
asleep("hibernation", hibernate, timeout=240)

if __name__ == "__main__":
    tap.main()
