# SPDX-License-Identifier: GPL-2.0-or-later
"""The calls of /dev/uballoon: what they do, what they refuse, how they end."""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import INFLATE_ONLY, MIB, PAGES_PER_MIB, answer, balloon, both, daemon, others, tap   # noqa: E402
from harness import kernels                                           # noqa: E402
from harness.paths import TOP, cache, scratch                         # noqa: E402

# What each malformed call of `ubtool malformed` must get.
REFUSALS = {
    "unknown-nr": "ENOTTY", "unknown-magic": "ENOTTY", "wrong-encoded-size": "ENOTTY",
    "lock-too-many": "E2BIG", "lock-all-ones": "E2BIG", "unlock-too-many": "E2BIG",
    "null-info": "EFAULT", "null-state": "EFAULT", "null-target": "EFAULT", "null-lock": "EFAULT",
    "null-unlock": "EFAULT", "null-pop": "EFAULT", "null-prove": "EFAULT",
}


def moves(t, series):
    """Both page sizes, both directions; the guest's figures and the host's memory follow."""
    with balloon(t, series, memory=1024 * MIB) as b:
        total, held = b.g.meminfo()["MemTotal"], b.touched(700)
        with t.subtest("2 MiB pages"):
            b.lock("2m", 256)
            s = b.balanced()
            t.equal(s["size_2m_pages"], 256 * PAGES_PER_MIB, "size_2m_pages")
            t.check(s["quiet_2m_batches"] > 0 and not s["told_2m_batches"], "they went through the reporting queue")
        with t.subtest("4 KiB pages"):
            b.lock("4k", 128)
            s = b.balanced()
            t.equal(s["size_4k_pages"], 128 * PAGES_PER_MIB, "size_4k_pages")
            t.equal(b.actual_mib(), 384, "the balloon as the host sees it, MiB")
            t.equal(b.g.meminfo()["MemTotal"], total, "MemTotal")
        with t.subtest("host memory falls"):
            t.wait(lambda: held - b.g.ram_rss() > 300 * MIB, 30, f"the host holds 300 of {held >> 20} MiB less")
        with t.subtest("unlock"):
            a = b.ok("unlock 2m 100M")
            t.equal((a["done_pages"], a["stop"]), (100 * PAGES_PER_MIB, "DONE"), "2 MiB")
            a = b.ok("unlock 4k 256M")
            t.equal((a["done_pages"], a["stop"]), (128 * PAGES_PER_MIB, "NOMEM"), "4 KiB, more than there are")
            t.equal(b.actual_mib(), 156, "the balloon as the host sees it, MiB")
            b.balanced()
        with t.subtest("pop"):
            t.equal(b.ok("target 512M 64M", "pop")["done_pages"], 156 * PAGES_PER_MIB, "popped")
            s = b.balanced()
            t.equal((s["size_pages"], s["ceiling_pages"], s["floor_pages"]), (0, 0, 0), "afterwards")
            t.equal(b.g.meminfo()["MemTotal"], total, "MemTotal")
            t.equal(b.actual_mib(), 0, "the balloon as the host sees it, MiB")


def bounds(t, series):
    with balloon(t, series, parameters="floor_mb=128") as b:
        with t.subtest("ceiling"):
            a = b.ok("target 20M", "lock 4k 64M")
            t.equal((a["done_pages"], a["stop"]), (20 * PAGES_PER_MIB, "TARGET"), "lock")
            a = b.ok("lock 2m 2M")
            t.equal((a["done_pages"], a["stop"]), (0, "TARGET"), "lock of a page that does not fit")
        with t.subtest("floor of UNLOCK"):
            a = b.ok("target 20M 8M", "unlock 4k 20M")
            t.equal((a["done_pages"], a["stop"]), (12 * PAGES_PER_MIB, "TARGET"), "unlock")
        with t.subtest("floor of the module"):
            for tries in range(1, 6):
                a = b.ok(f"target {b.tool('info')[0]['ram_pages']}", "lock 4k 440M")
                t.equal(a["stop"], "FLOOR", "lock")
                t.equal(b.state()["floor_events"], tries, "floor_events")
                left = b.at_rest(lambda: b.state()["mem_available_pages"] // PAGES_PER_MIB)
                # Free pages that were being reported were not available.
                if left <= 136:
                    break
            t.between(left, 110, 136, "MiB available without the balloon")
            b.ok("pop")
        with t.subtest("budget"):
            a = b.ok("target 400M", "lock 4k 300M 1")
            t.equal(a["stop"], "BUDGET", "lock")
            t.check(0 < a["done_pages"] < 300 * PAGES_PER_MIB, "partial progress")
            # On a machine that is busy the time is that of others, too.
            t.check(a["us"] < 2000000 * tap.PATIENCE, f"took {a['us']} us")
        with t.subtest("signal"):
            a = b.tool("alarm 30", "lock 4k 300M")[-1]
            t.equal((a["rc"], a["stop"]), ("OK", "INTERRUPTED"), "lock")
        with t.subtest("no 2 MiB page"):
            b.parameter("refuse_2m", 1)
            a = b.ok("pop", "target 400M", "lock 2m 10M", "lock 4k 10M")
            t.equal((a["done_pages"], a["stop"]), (10 * PAGES_PER_MIB, "DONE"), "4 KiB instead")
            t.equal(b.state()["alloc_fail_2m_events"], 1, "alloc_fail_2m_events")
        b.balanced()


def refusals(t, series):
    with balloon(t, series) as b:
        b.lock("4k", 10)
        before = b.state()
        answers = [answer(line) for line in b.g.sh("ubtool malformed").splitlines()]
        t.check(len(answers) >= 38, f"{len(answers)} cases")
        wrong = [(name, got) for a in answers for name, got in a.items()
                 if name and got != REFUSALS.get(name, "EINVAL")]
        t.equal(wrong, [], "refusals")
        after = b.state()
        t.equal({k for k in after if after[k] != before[k] and not k.startswith(("virtio_", "host_stats", "mem_available",
                 "reported_", "flags"))}, set(), "what the malformed calls changed")
        with t.subtest("one writer, any number of readers"):
            a = b.tool("open w", "second w", "second r")
            t.equal([x["rc"] for x in a], ["OK", "EBUSY", "OK"], "opens")
            a = b.tool("open r", "info", "state", "target 1M", "lock 4k 1M", "unlock 4k 1M", "keepalive", "pop")
            t.equal([x["rc"] for x in a], ["OK"] * 3 + ["EBADF"] * 5, "calls of a reader")
            t.equal(b.tool("open w")[0]["rc"], "OK", "the writer has gone")
        with t.subtest("the node"):
            t.equal(b.g.sh("stat -c '%a %F' /dev/uballoon").strip(), "660 character special file", "mode")


def lease(t, series):
    slow = tap.PATIENCE
    with balloon(t, series) as b:
        with t.subtest("runs out while the writer sleeps"):
            a = b.tool(f"target 100M 50M {200 * slow}", "lock 4k 60M", f"poll {2000 * slow}", f"sleep {1000 * slow}",
                       "poll 0", "state", "poll 0", "keepalive", "target 10M", "keepalive", "lock 4k 10M")
            t.equal([a[2]["events"], a[4]["events"], a[6]["events"]], ["PRI", "PRI", "none"], "poll")
            t.equal((a[5]["size_pages"], a[5]["ceiling_pages"], a[5]["floor_pages"]), (0, 0, 0), "afterwards")
            t.check(a[5]["flags"] & 4, "flag LEASE_EXPIRED")
            t.equal([a[7]["rc"], a[9]["rc"]], ["ETIME", "OK"], "keepalive")
            t.equal(a[10]["stop"], "DONE", "lock after a new SET_TARGET")
        with t.subtest("runs on when the file is closed"):
            b.ok(f"target 100M 0 {1300 * slow}", "lock 2m 40M")
            s = b.state()
            t.check(s["size_pages"] > 0 or s["lease_events"] == 2, "the balloon stays when the writer leaves")
            t.wait(lambda: b.state()["size_pages"] == 0, 20, "balloon empty")
            t.equal(b.state()["lease_events"], 2, "lease_events")
        with t.subtest("renewed"):
            # A guest that stands still for longer than a lease loses it: then longer ones.
            for ms in (1000 * slow, 3000 * slow, 9000 * slow):
                before = b.state()["lease_events"]
                a = b.tool(f"target 100M 0 {ms}", "lock 4k 1M", *[f"sleep {ms // 5}", "keepalive"] * 7, "state",
                           timeout=120)
                if a[-1]["lease_events"] == before:
                    break
            t.equal((a[-1]["size_pages"], a[-1]["lease_events"]), (PAGES_PER_MIB, before), "after 1.4 times as long")
        b.ok("target 10M")
        s = b.balanced()
        t.equal(s["size_pages"], PAGES_PER_MIB, "a lease taken off")


def events(t, series):
    with balloon(t, series) as b:
        job = b.spawn("open r", "poll 20000", "poll 0", "state", "poll 0")
        t.wait(lambda: "open rc=OK" in job.output, 10, "ubtool is there")
        b.g.balloon(b.g.memory - 100 * MIB)
        status, text = job.wait(30)
        a = [answer(line) for line in text.splitlines()]
        t.equal([x["events"] for x in a if x[""] == "poll"], ["IN", "IN", "none"], "poll until GET_STATE")
        t.equal(a[3]["host_target_pages"], 100 * PAGES_PER_MIB, "host target")
        t.equal(a[3]["host_target_events"], 1, "host_target_events")


def whole_pages(t, series):
    """Amounts that are no whole pages of a kernel whose pages are larger than 4 KiB."""
    with balloon(t, series, memory=1024 * MIB, balloon=INFLATE_ONLY, parameters="guest_driven=1") as b:
        page = b.page
        with t.subtest("never more than asked for"):
            a = b.ok("target 20M", f"lock 4k {page - 1}")
            t.equal((a["done_pages"], a["stop"]), (0, "DONE"), "lock of less than a page")
            a = b.ok(f"lock 4k {2 * page - 1}")
            t.equal((a["done_pages"], a["stop"]), (page, "DONE"), "lock of less than two")
            a = b.ok(f"target {4 * page - 1}", f"lock 4k {8 * page}", "state")
            t.equal((a["size_pages"], a["ceiling_pages"], a["last_stop"]), (3 * page, 3 * page, "TARGET"), "ceiling")
            t.equal(int(b.g.read("/sys/class/misc/uballoon/available_pages")), 3 * page, "in sysfs")
        with t.subtest("never less given back"):
            a = b.ok("unlock 4k 1")
            t.equal((a["done_pages"], a["stop"]), (page, "DONE"), "unlock of less than a page")
            a = b.ok(f"target {3 * page} {2 * page - 1} 0 1", f"unlock 4k {8 * page}", "state")
            t.equal((a["size_pages"], a["floor_pages"], a["relief_pages"]), (page, page, page), "floor, relief line")
        with t.subtest("the host's target"):
            b.g.balloon(b.g.memory - 10 * MIB - 4096)
            t.wait(lambda: b.state()["host_target_pages"] == 10 * PAGES_PER_MIB, 10, "rounded down to a page")
        with t.subtest("the host gets all of each page"):
            # Of what is locked a third may not have been in use before.
            held = b.touched(820)
            b.lock("4k", 300)
            t.wait(lambda: held - b.g.ram_rss() > 180 * MIB, 30, f"the host holds 180 of {held >> 20} MiB less")
            t.equal(b.actual_mib() * PAGES_PER_MIB, 300 * PAGES_PER_MIB + page, "the balloon as the host sees it")
            s = b.balanced()
            t.check(s["told_4k_batches"] > 0 and not s["quiet_4k_batches"], "they went through the inflate queue")
        with t.subtest("and takes it back"):
            before = b.state()["virtio_deflate_entries"]
            a = b.ok("pop")
            t.equal(a["done_pages"], 300 * PAGES_PER_MIB + page, "popped")
            t.equal(b.state()["virtio_deflate_entries"] - before, a["done_pages"], "page numbers of 4 KiB")
            t.equal(b.actual_mib(), 0, "the balloon as the host sees it, MiB")


DAEMON = b"""mode = "auto"; interval = "100ms"; idle_interval = "200ms";
"""


def releases(t, series):
    """A module of another version: the daemon says so in one sentence, and does nothing."""
    with scratch(cache("module", "other")) as tmp:
        shutil.copytree(os.path.join(TOP, "kmod"), tmp + "/kmod", ignore=shutil.ignore_patterns("*.o", "*.ko", ".*"))
        header = tmp + "/kmod/uapi/uballoon.h"
        with open(header) as f:
            text = f.read()
        other = re.sub(r"(#define UBALLOON_ABI_VERSION\s+)\d+", r"\g<1>99", text)
        t.check(other != text, "the version is another")
        with open(header, "w") as f:
            f.write(other)
        ko = kernels.build_module(kernels.Kernel(series), tmp + "/kmod", "uballoon")
    with balloon(t, series, load=False, files=[*daemon(series), ("lib/modules-test/other.ko", ko, 0o644)]) as b:
        b.g.put(DAEMON, "/etc/balloond.conf")
        b.load("host=none", module="other")
        running = b.g.spawn("exec balloond --no-bus --foreground > /run/balloond.log 2>&1", timeout=300)
        said = "module and daemon of the same release"
        t.wait(lambda: said in b.g.run("cat /run/balloond.log")[1], 30, "it is said")
        b.g.sh("sleep 3")
        t.equal(b.g.read("/run/balloond.log").count(said), 1, "times that it is said")
        s = b.state()
        t.equal((s["size_pages"], s["lock_calls"], s["ceiling_pages"], s["lease_ms"]), (0, 0, 0, 0), "nothing is done")
        t.check(running.running(), "the daemon goes on")
        b.g.sh("kill -TERM $(pidof balloond)")
        t.equal(running.wait()[0], 0, "exit status")


both("module and daemon of different releases", releases, timeout=400)
both("both page sizes move both ways", moves)
both("bounds, budget and signals", bounds)
both("malformed calls", refusals)
both("lease", lease)
both("poll", events)
for name, fn in (("both page sizes move both ways", moves), ("bounds, budget and signals", bounds),
                 ("malformed calls", refusals), ("lease", lease), ("poll", events),
                 ("module and daemon of different releases", releases)):
    others(name, fn)
tap.add("amounts that are no whole pages (6.12 arm64-16k)", whole_pages, "6.12 arm64-16k", timeout=400)

if __name__ == "__main__":
    tap.main()
