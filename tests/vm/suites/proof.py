# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the host takes what it is given: PROVE, with hosts that do and hosts that do not.

What a host does with a page is decided by what the guest's memory lies in, which QEMU is
told on its command line; each case says what it expects of which size, and why."""
import contextlib
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import (BALLOON, INFLATE_ONLY, MIB, PAGES_PER_MIB, Balloon, balloon, both, daemon,   # noqa: E402
                      tap)
from harness import emulator, micro                                          # noqa: E402
from harness.paths import locked                                      # noqa: E402

# PROVE itself may change none of these.
STILL = ("size_pages", "available_pages", "gone_pages", "locked_4k_pages", "locked_2m_pages", "unlocked_4k_pages",
         "unlocked_2m_pages", "refused_pages", "lock_calls", "unlock_calls", "ceiling_pages", "floor_pages",
         "generation", "inflight_pages", "inflight_batches", "host_timeout_events")
NO_OOM = INFLATE_ONLY.replace(",deflate-on-oom=on", "")
LOCKED = ["-overcommit", "mem-lock=on"]
HUGE = "/sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages"


def prove(b, size, times, answer):
    """@times proofs with pages of @size, which all must have the same answer; nothing else may change."""
    before = b.state()
    a = b.ok(f"prove {size} {times}", timeout=600)
    pages = times * (512 if size == "2m" else b.page)
    want = {"unknown": 0, "taken": 0, "kept": 0, answer: times, "pages": pages, "stop": "DONE",
            "gone_pages": pages if answer == "taken" else 0}
    b.t.equal({k: a[k] for k in want}, want, f"{times} times {size}")
    after = b.state()
    b.t.equal({k: after[k] for k in STILL}, {k: before[k] for k in STILL}, "what it leaves alone")
    b.t.equal({k: after[k] - before[k] for k in ("proofs_taken", "proofs_kept")},
              {k: times if k == f"proofs_{answer}" else 0 for k in ("proofs_taken", "proofs_kept")}, "counters")
    return a["us"] / times


def both_sizes(b, answer, large=20, small=100):
    """The same answer for both sizes of pages, with an empty balloon and with one that is not."""
    prove(b, "2m", large, answer)
    prove(b, "4k", small, answer)
    b.lock("2m", 20)
    b.lock("4k", 10)
    prove(b, "2m", 2, answer)
    prove(b, "4k", 2, answer)
    b.t.equal(b.actual_mib(), 30, "the balloon as the host sees it, MiB")
    b.balanced()


def healthy(t, series):
    with balloon(t, series) as b:
        both_sizes(b, "taken")


def mem_lock(t, series):
    """Locked memory cannot be discarded: QEMU answers, and says so on its standard error only."""
    with balloon(t, series, devices=[LOCKED]) as b:
        both_sizes(b, "kept")


def difficult(t, series):
    """A host that insists on being told, answers late or not at all; and one of which nothing can be proven."""
    with balloon(t, series, parameters="host=none none_told=1 none_proof=1", balloon=None) as b:
        with t.subtest("its answer is waited for, both ways"):
            b.parameter("none_delay_ms", 50)
            prove(b, "2m", 3, "taken")
            a = b.ok("prove 4k 1 10000 500")
            t.check(a["taken"] == 1 and a["us"] >= 600000, f"the page stays as long as asked for: {a['us']} us")
            b.parameter("none_proof", 2)
            prove(b, "4k", 3, "kept")
            b.parameter("none_proof", 1)
        with t.subtest("late: the page joins the balloon with the answer"):
            b.parameter("none_delay_ms", 3000)
            a = b.ok("prove 2m 1 200")
            t.equal((a["unknown"], a["stop"]), (1, "BUDGET"), "answer")
            t.check(a["us"] < 2500000, f"took {a['us']} us")
            s = b.state()
            t.equal((s["size_pages"], s["inflight_pages"]), (0, 512), "balloon, with the host")
            t.wait(lambda: b.state()["size_pages"] == 512, 20, "it is the balloon's")
            b.balanced()
            b.ok("pop")
            t.wait(lambda: b.state()["size_pages"] == 0, 20, "and comes back as others do")
        with t.subtest("the way back is late: the answer frees the page"):
            b.parameter("none_delay_ms", 50)
            job = b.spawn("prove 2m 1 700 1000")
            t.wait(lambda: b.state()["inflight_pages"] == 512, 10, "the page is with the host")
            time.sleep(0.4)
            b.parameter("none_delay_ms", 4000)
            t.contains(job.wait(30)[1], "unknown=1 taken=0 kept=0 pages=0 gone_pages=0 stop=BUDGET", "answer")
            t.wait(lambda: not (s := b.state())["inflight_pages"] and not s["inflight_batches"], 20, "the answer")
            t.equal(b.balanced()["size_pages"], 0, "size")
        with t.subtest("a kill of the caller"):
            b.parameter("none_delay_ms", 1000000)
            job = b.spawn("prove 2m 1 9000")
            t.wait(lambda: b.state()["inflight_pages"] == 512, 10, "the page is with the host")
            b.g.sh("killall -9 ubtool")
            job.wait(10)
        # The verdict: unloading gets all of it back.
    with balloon(t, series, parameters="host=none", balloon=None) as b:
        t.equal(b.tool("prove 4k")[0]["rc"], "EOPNOTSUPP", "a host of which nothing can be proven")


def bounds(t, series):
    """What is available, hold-off and the lease bind it; ceiling and host's target do not."""
    with balloon(t, series, balloon=NO_OOM) as b:
        prove(b, "2m", 2, "taken")
        b.parameter("floor_mb", b.state()["mem_available_pages"] // PAGES_PER_MIB + 20)
        s = b.state()
        t.check(s["mem_available_pages"] < s["module_floor_pages"], "LOCK would find the floor")
        prove(b, "2m", 2, "taken")
        b.parameter("floor_mb", 4096)
        a = b.ok("prove 2m")
        t.equal((a["unknown"], a["pages"], a["stop"]), (1, 0, "FLOOR"), "at half of the floor")
        b.parameter("floor_mb", -1)
        a = b.ok("target 10M 0 200", "sleep 2000", "prove 4k")
        t.equal((a["unknown"], a["stop"]), (1, "TARGET"), "after the lease")
        t.equal(b.ok("target 10M", "prove 4k")["taken"], 1, "with a new target")
        t.equal(b.tool("open r", "prove 4k")[-1]["rc"], "EBADF", "a reader")


@contextlib.contextmanager
def huge_pages(t, kib, count):
    """@count more huge pages of @kib KiB, and a mount of them; all is as before afterwards."""
    path = HUGE.format(kib)
    t.check(os.path.exists(path), f"this machine's kernel has no huge pages of {kib} KiB: run the case where it has")
    with locked("hugepages"), contextlib.ExitStack() as stack:
        with open(path) as f:
            before = int(f.read())

        def give_back():
            with open(path, "w") as f:
                f.write(str(before))
        stack.callback(give_back)
        with open(path, "w") as f:
            f.write(str(before + count))
        with open(path) as f:
            got = int(f.read()) - before
        t.check(got == count, f"{got} of {count} huge pages of {kib} KiB: not enough contiguous memory is free here")
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vmtest-huge-"))
        subprocess.run(["mount", "-t", "hugetlbfs", "-o", f"pagesize={kib}K", "none", folder], check=True)
        stack.callback(subprocess.run, ["umount", "-l", folder], check=True)
        yield folder


def backed(memory, kind, **properties):
    """Options of a guest whose memory is an object of that @kind."""
    size = memory + emulator.compensation()
    properties = "".join(f",{k}={v}" for k, v in properties.items())
    return {"memory": memory, "devices": [["-object", f"memory-backend-{kind},id=ram0,size={size}{properties}"]],
            "machine": "pc,memory-backend=ram0"}


def huge_2m(t, series):
    """A huge page leaves the host whole or not at all."""
    memory = 256 * MIB
    with huge_pages(t, 2048, 130) as folder:
        for name, options in (("file", backed(memory, "file", **{"mem-path": folder, "share": "on"})),
                              ("memfd", backed(memory, "memfd", hugetlb="on", hugetlbsize="2M"))):
            with t.subtest(name), balloon(t, series, balloon=BALLOON, **options) as b:
                free = free_pages(2048)
                prove(b, "2m", 20, "taken")
                b.lock("2m", 20)
                t.check(free_pages(2048) > free + 5, "the machine has them again")
                prove(b, "2m", 5, "taken")
                prove(b, "4k", 20, "kept")
        with t.subtest("by page numbers, of which QEMU takes 256 at a time, and forgets half a page"), \
                balloon(t, series, balloon=INFLATE_ONLY, **backed(memory, "file", **{"mem-path": folder})) as b:
            b.g.balloon(memory - 100 * MIB)
            free = free_pages(2048)
            prove(b, "2m", 5, "kept")
            t.wait(lambda: b.state()["host_target_pages"] == 100 * PAGES_PER_MIB, 10, "host target")
            b.lock("2m", 40)
            t.check(free_pages(2048) <= free, "and the machine has nothing, indeed")


def free_pages(kib):
    with open(HUGE.format(kib).replace("nr_", "free_")) as f:
        return int(f.read())


def huge_1g(t, series):
    """Nothing that the guest gives is as large as a page of the host."""
    with huge_pages(t, 1048576, 1) as folder, \
            balloon(t, series, **backed(1024 * MIB - emulator.compensation(), "file", **{"mem-path": folder})) as b:
        both_sizes(b, "kept", 5, 20)


def no_holes(t, series):
    """A file system that cannot forget part of a file: QEMU is refused, and answers all the same."""
    with tempfile.TemporaryDirectory(prefix="vmtest-ramfs-") as folder:
        subprocess.run(["mount", "-t", "ramfs", "none", folder], check=True)
        try:
            with balloon(t, series, **backed(256 * MIB, "file", **{"mem-path": f"{folder}/ram", "share": "on"})) as b:
                both_sizes(b, "kept", 5, 20)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


# What QEMU discards a page of the guest from, one way or another; and from what kind of device.
MEMORY = {
    "ram": lambda folder: ("ram", {}),
    "ram, shared": lambda folder: ("ram", {"share": "on"}),
    "ram, all of it at once": lambda folder: ("ram", {"prealloc": "on"}),
    "file": lambda folder: ("file", {"mem-path": f"{folder}/file", "share": "on"}),
    "file, private": lambda folder: ("file", {"mem-path": f"{folder}/private", "share": "off"}),
    "memfd": lambda folder: ("memfd", {"share": "on"}),
}
DEVICES = [BALLOON, BALLOON.replace(",deflate-on-oom=on", ""), INFLATE_ONLY, NO_OOM]


def never_accused(t, series):
    """Ten thousand pages a kind of memory, by each kind of device, and not one is said to be kept."""
    for name, kind in MEMORY.items():
        with t.subtest(name), tempfile.TemporaryDirectory(prefix="vmtest-", dir="/dev/shm") as folder:
            backend, properties = kind(folder)
            with balloon(t, series, **backed(192 * MIB, backend, **properties)) as b:
                for i, device in enumerate(DEVICES):
                    if i:
                        b.g.device_del()
                        b.g.device_add(device)
                        t.wait(lambda: b.g.run("test -e /dev/uballoon")[0] == 0, 20, "the node")
                    small, large = prove(b, "4k", 2450, "taken"), prove(b, "2m", 50, "taken")
                    t.diag(f"{name}, {device}: {small:.0f} us a page of 4 KiB, {large:.0f} of 2 MiB")


# What the guest holds that has to be brought over, and how slowly.
CARRIED_MIB = 60
SLOW = 256 << 10


def arrives(t, source, target, uri):
    """Starts moving the guest of @source to @target, which runs it before its memory is there."""
    for g in (target, source):
        g.qmp("migrate-set-capabilities", capabilities=[{"capability": "postcopy-ram", "state": True}])
    target.qmp("migrate-incoming", uri=uri)
    source.qmp("migrate-set-parameters", **{"max-bandwidth": SLOW, "max-postcopy-bandwidth": SLOW})
    source.qmp("migrate", uri=uri)
    t.wait(lambda: source.qmp("query-migrate")["status"] == "active", 30, "the migration begins")
    source.qmp("migrate-start-postcopy")
    t.wait(lambda: target.qmp("query-status")["status"] == "running", 60, "the guest runs over there")


def post_copy(t, series):
    """While a guest arrives, QEMU discards nothing; afterwards it does again."""
    source = micro.guest(series)
    t.defer(source.kill)
    source.start()
    b = Balloon(t, source)
    b.load()
    prove(b, "2m", 2, "taken")
    source.sh(f"dd if=/dev/urandom of=/run/fill bs=1M count={CARRIED_MIB} 2>/dev/null")
    target = micro.guest(series, name="arrived", devices=[["-incoming", "defer"]])
    t.defer(target.kill)
    target.receive()
    target.continue_from(source)
    with tempfile.TemporaryDirectory(prefix="vmtest-") as folder:
        arrives(t, source, target, f"unix:{folder}/migration")
        b.g = target
        prove(b, "2m", 3, "kept")
        prove(b, "4k", 10, "kept")
        t.equal(target.qmp("query-migrate")["status"], "postcopy-active", "it still arrives")
        source.qmp("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
        t.wait(lambda: target.qmp("query-migrate")["status"] == "completed", 120, "it has arrived")
        both_sizes(b, "taken", 5, 20)
        source.kill()
    with t.subtest("verdict of the guest"):
        target.finish()


CONFIG = """mode = "auto"; interval = "500ms"; idle_interval = "1s"; lease = "1h"; metrics_file = "/run/metrics.prom";
tail: {{ worthwhile = "1M"; settle = "0"; hold_off = "0"; start_wait = "0"; proof_interval = "{}"; }};
"""
# A guest that has something to spare.
DECIDED = 1024 * MIB
DENIED, AGAIN = "the host takes nothing", "the host takes memory again"


@contextlib.contextmanager
def deciding(t, b, interval):
    """balloond at work in the guest."""
    b.g.put(CONFIG.format(interval).encode(), "/etc/balloond.conf")
    job = b.g.spawn("exec balloond --no-bus --foreground > /run/balloond.log 2>&1", timeout=600)
    t.on_failure(lambda: b.g.run("tail -n 40 /run/balloond.log; cat /run/metrics.prom")[1])
    # The flag says that somebody writes.
    t.wait(lambda: b.state()["flags"] & 2 or not job.running(), 60, "balloond has the device")
    t.check(job.running(), "it runs")
    yield
    t.check(job.running(), "it runs")
    b.g.sh("kill -TERM $(pidof balloond)")
    t.equal((job.wait()[0], b.state()["size_pages"]), (0, 0), "exit status, size")


def metrics(b):
    """Of the daemon: {name: value}."""
    text = b.g.run("cat /run/metrics.prom")[1]
    return {name: value for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")}


def said(b, what):
    return b.g.run(f"grep -c '{what}' /run/balloond.log")[1].strip()


def denied(t, b):
    """The daemon finds out, says it once, gives everything back, and takes no more."""
    t.wait(lambda: said(b, DENIED) == "1", 180, "the daemon says it")
    s = b.state()
    t.check(s["proofs_kept"] >= 6 and not s["proofs_taken"], f"{s['proofs_kept']} proofs")
    t.check(s["locked_2m_pages"] + s["locked_4k_pages"] >= 32 * PAGES_PER_MIB, "there was a balloon")
    t.wait(lambda: not b.state()["size_pages"], 60, "everything is given back")
    told = t.wait(lambda: (m := metrics(b)).get("balloond_host_takes_nothing") == "1" and m, 60, "the metrics say it")
    t.equal((told["balloond_problem"], told['balloond_reason{reason="not-taken"}']), ("1", "1"), "problem, reason")
    calls = b.state()["lock_calls"]
    kept = t.wait(lambda: (k := b.state()["proofs_kept"]) > s["proofs_kept"] + 1 and k, 180, "it is asked on")
    s = b.state()
    t.equal((s["size_pages"], s["lock_calls"] - calls), (0, 0), "size, attempts to inflate")
    t.equal((said(b, DENIED), said(b, AGAIN)), ("1", "0"), f"what was said after {kept} proofs")


def daemon_denies(t, series):
    with balloon(t, series, memory=DECIDED, files=daemon(series), devices=[LOCKED], end_tolerance=12 * MIB) as b:
        with deciding(t, b, "20s"):
            denied(t, b)


def daemon_and_back(t, series):
    """A host that takes nothing for a while, and then does."""
    with balloon(t, series, parameters="host=none none_proof=2", balloon=None, memory=DECIDED, files=daemon(series),
                 end_tolerance=12 * MIB) as b, deciding(t, b, "20s"):
        denied(t, b)
        b.parameter("none_proof", 1)
        t.wait(lambda: said(b, AGAIN) == "1", 120, "the daemon says it")
        t.wait(lambda: b.state()["size_pages"] >= 32 * PAGES_PER_MIB, 120, "a balloon again")
        t.wait(lambda: metrics(b).get("balloond_host_takes_nothing") == "0", 60, "the metrics say it")


def daemon_proves(t, series):
    """And one that takes pages is asked, and nothing is said of it."""
    with balloon(t, series, memory=DECIDED, files=daemon(series), end_tolerance=12 * MIB) as b, \
            deciding(t, b, "4s"):
        t.wait(lambda: b.state()["proofs_taken"] > 3, 180, "some proofs")
        t.check(b.state()["size_pages"] >= 32 * PAGES_PER_MIB, "a balloon")
        t.equal((said(b, DENIED), b.state()["proofs_kept"]), ("0", 0), "said, kept")
        t.wait(lambda: int(metrics(b).get("balloond_proofs_taken_total", 0)) > 3, 60, "the metrics say it")


both("a host that takes pages", healthy)
both("-overcommit mem-lock=on", mem_lock)
both("a difficult host", difficult)
both("bounds", bounds)
both("balloond: who takes pages is asked", daemon_proves, timeout=400)
tap.add("balloond: mem-lock=on is found out (6.1)", daemon_denies, "6.1", timeout=600)
tap.add("balloond: a host that takes nothing, and then does (6.12)", daemon_and_back, "6.12", timeout=600)
tap.add("never accused: ten thousand pages a kind of memory (6.1)", never_accused, "6.1", timeout=1800)
tap.add("post-copy migration (6.1)", post_copy, "6.1", timeout=600)
tap.add("huge pages of 2 MiB (6.1)", huge_2m, "6.1", timeout=400)
tap.add("huge pages of 1 GiB (6.1)", huge_1g, "6.1", timeout=240)
tap.add("a file system without holes (6.1)", no_holes, "6.1", timeout=240)

if __name__ == "__main__":
    tap.main()
