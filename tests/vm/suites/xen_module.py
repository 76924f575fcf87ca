# SPDX-License-Identifier: GPL-2.0-or-later
"""The module in a real Xen guest: host "xen", against what dom0 and the guest's own driver say.

Sizes: the guest was built with 384 MiB. Its memory is counted three times, by
`xl list` in dom0, by the kernel's Xen balloon driver (sysfs) and by the module
(384 MiB minus its size), and the three must agree whenever nothing moves.

Left out: what the module does the same on every host (arguments, files, poll
of many readers); the balloon daemon (xen_daemon.py).
"""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import micro                                             # noqa: E402
from xen import lab as xenlab                                         # noqa: E402
from xen.lab import lab                                               # noqa: E402

MIB_PAGES = 256
RAM_MIB = xenlab.MEMORY_MIB
# What differs between them is tried with both, everything else with the first.
PV, PVH = ("6.1", "pv"), ("6.12", "pvh")
GUESTS = (PV, PVH)


def ub(g, script, timeout=60):
    """Answers of ubtool to @script (commands with commas between), as a list of dicts."""
    answers = []
    for line in g.sh(f"ubtool {script}", timeout).splitlines():
        command, *fields = line.split()
        answer = {"command": command}
        for field in fields:
            key, _, value = field.partition("=")
            answer[key] = int(value, 0) if value[:1].isdigit() else value
        answers.append(answer)
    return answers


def whole(g, command, mib, how="10000 nosleep"):
    """The last answer of @command (LOCK, UNLOCK) for @mib MiB, with the pages of all: a slow guest needs more than one."""
    done = 0
    while True:
        answer, = ub(g, f"{command} {mib * MIB_PAGES - done} {how}")
        done += answer["done_pages"]
        if answer["stop"] != "BUDGET" or not answer["done_pages"]:
            return {**answer, "done_pages": done}


def lock(g, ceiling_mib, mib, how="10000 nosleep"):
    ub(g, f"target {ceiling_mib * MIB_PAGES}")
    return whole(g, "lock 4k", mib, how)


def state(g):
    return ub(g, "state")[-1]


def load(g, arguments=""):
    g.sh(f"insmod /lib/modules-test/uballoon.ko {arguments}")


def agree(t, xen, mib, what, timeout=20):
    """All three counts say @mib for the guest, and the driver has nothing left to do."""
    kib = mib * 1024
    t.wait(lambda: xen.driver_kib() == xen.driver_kib("target_kb") == kib, timeout,
           f"{what}: the driver at its target of {kib} KiB")
    t.equal(state(xen.domu)["size_pages"], (RAM_MIB - mib) * MIB_PAGES, f"{what}: the module's size")
    t.equal(xen.memory_mib(), mib, f"{what}: xl list")


@tap.setup
def build():
    for guest in GUESTS:
        xenlab.build(*guest)


build.timeout = 600


def both_directions(t, guest):
    with lab(t, *guest) as xen:
        load(xen.domu)
        info, = ub(xen.domu, "info")
        t.equal(info["host"], "xen", "host")
        t.equal(info["batch_2m"], 0, "2 MiB pages")
        agree(t, xen, RAM_MIB, "at the start")
        total = xen.domu.meminfo()["MemTotal"]
        t.equal(info["ram_pages"] * 4096, total, "RAM")
        proof, = ub(xen.domu, "prove 4k")
        t.equal((proof["rc"], proof["unknown"], proof["stop"]), ("OK", 1, "NOT_NEEDED"), "PROVE without a balloon")

        a = lock(xen.domu, 150, 100)
        t.equal((a["stop"], a["done_pages"]), ("DONE", 100 * MIB_PAGES), "LOCK of 100 MiB")
        agree(t, xen, RAM_MIB - 100, "after LOCK")
        proof, = ub(xen.domu, "prove 4k")
        t.equal((proof["taken"], proof["pages"], proof["stop"]), (1, 0, "DONE"), "PROVE, by Xen's word")
        agree(t, xen, RAM_MIB - 100, "after PROVE")
        t.equal(xen.domu.meminfo()["MemTotal"], total - (100 << 20), "MemTotal after LOCK")
        t.equal(ub(xen.domu, "info")[0]["ram_pages"], info["ram_pages"], "RAM with a balloon")

        a = whole(xen.domu, "lock 4k", 100)
        t.equal((a["stop"], a["done_pages"]), ("TARGET", 50 * MIB_PAGES), "LOCK beyond the ceiling")
        a = whole(xen.domu, "unlock 4k", 60, "10000")
        t.equal((a["stop"], a["done_pages"]), ("DONE", 60 * MIB_PAGES), "UNLOCK of 60 MiB")
        agree(t, xen, RAM_MIB - 90, "after UNLOCK")
        t.equal(ub(xen.domu, "lock 2m 512")[0]["rc"], "EOPNOTSUPP", "LOCK of a 2 MiB page")

        pop, = ub(xen.domu, "pop")
        t.equal(pop["done_pages"], 90 * MIB_PAGES, "POP")
        agree(t, xen, RAM_MIB, "after POP")
        t.equal(xen.domu.meminfo()["MemTotal"], total, "MemTotal after POP")


for _guest in GUESTS:
    tap.add(f"LOCK, UNLOCK and POP agree with xl list and sysfs, {' '.join(_guest)}", both_directions, _guest,
            timeout=90)


@tap.case("a call ends with its budget or a signal, and nothing moves after it", timeout=90)
def bounded(t):
    with lab(t, *PV) as xen:
        load(xen.domu, "floor_mb=16")
        a, = ub(xen.domu, f"target {250 * MIB_PAGES} , lock 4k {250 * MIB_PAGES} 20 nosleep")[1:]
        t.equal(a["stop"], "BUDGET", "LOCK with a budget of 20 ms")
        # The grace for the driver's thread is 0.1 s; the rest is for an emulated CPU on a busy machine.
        t.check(a["us"] < 3_000_000 * tap.PATIENCE, f"LOCK with a budget of 20 ms took {a['us']} us")
        agree(t, xen, RAM_MIB, "after the budget") if not a["done_pages"] else t.equal(
            state(xen.domu)["size_pages"], a["done_pages"], "size after the budget")
        size = state(xen.domu)["size_pages"]
        # On a busy machine nothing may have moved so soon.
        for ms in (100, 400, 1600):
            _, a = ub(xen.domu, f"alarm {ms} , lock 4k {250 * MIB_PAGES} 10000 nosleep")
            t.equal(a["stop"], "INTERRUPTED", f"LOCK with a signal after {ms} ms")
            if a["done_pages"]:
                break
        t.check(0 < a["done_pages"] < 230 * MIB_PAGES, f"partial progress: {a}")
        after = state(xen.domu)["size_pages"]
        t.equal(after, size + a["done_pages"], "size after the signal")
        time.sleep(1)
        t.equal(state(xen.domu)["size_pages"], after, "size a second later")
        t.equal(xen.driver_kib(), xen.driver_kib("target_kb"), "the driver's target")


@tap.case("LOCK stops at the floor and before reclaim", timeout=90)
def floor(t):
    with lab(t, *PV) as xen:
        load(xen.domu)
        a = lock(xen.domu, 300, 300, "10000 cansleep")
        info, = ub(xen.domu, "info")
        t.equal(a["stop"], "FLOOR", "LOCK without end")
        available = xen.domu.meminfo()["MemAvailable"]
        t.between(available, (info["floor_pages"] - 8 * MIB_PAGES) * 4096,
                  (info["floor_pages"] + 8 * MIB_PAGES) * 4096, "MemAvailable at the floor")
        # No floor: without reclaim LOCK leaves the watermarks alone, so no task has to reclaim.
        xen.domu.sh("echo 0 >/sys/module/uballoon/parameters/floor_mb")
        before = xen.domu.vmstat()
        # All in one program: the guest is not to be left without memory.
        again = f"lock 4k {300 * MIB_PAGES} 10000 nosleep , "
        answers = ub(xen.domu, f"target {340 * MIB_PAGES} , {again * 3} unlock 4k {50 * MIB_PAGES}", 120)
        t.contains([a["stop"] for a in answers[1:4]], "NOMEM", "LOCK without a floor and without reclaim")
        after = xen.domu.vmstat()
        for counter in ("pgscan_direct", "allocstall_dma32", "allocstall_normal", "oom_kill"):
            t.equal(after[counter], before[counter], counter)
        ub(xen.domu, "pop")
        agree(t, xen, RAM_MIB, "after POP")


def host_target(t, guest):
    with lab(t, *guest) as xen:
        load(xen.domu)
        job = xen.domu.spawn("ubtool state , poll 20000 , state", 60)
        # What happens from here on is news for it.
        t.wait(lambda: "state " in job.output, 20, "the program in the guest")
        xen.mem_set(300)
        status, text = job.wait()
        t.contains(text, "poll rc=OK events=IN", "poll")
        agree(t, xen, 300, "after xl mem-set 300")
        s = state(xen.domu)
        t.equal(s["host_target_pages"], 84 * MIB_PAGES, "host target")
        t.equal(s["host_target_events"], 1, "changes of the host's target")

        unlock = ub(xen.domu, f"target {200 * MIB_PAGES} , unlock 4k {10 * MIB_PAGES}")[1]
        t.equal((unlock["stop"], unlock["done_pages"]), ("TARGET", 0), "UNLOCK below the host's target")
        t.equal(whole(xen.domu, "lock 4k", 20)["stop"], "DONE", "LOCK beyond the host's target")
        agree(t, xen, 280, "beyond the host's target")
        ub(xen.domu, "pop")
        agree(t, xen, 300, "POP ends at the host's target")

        xen.mem_set(RAM_MIB)
        agree(t, xen, RAM_MIB, "after xl mem-set 384")
        t.equal(state(xen.domu)["host_target_pages"], 0, "host target")


for _guest in GUESTS:
    tap.add(f"xl mem-set is the host's target, and poll() says so, {' '.join(_guest)}", host_target, _guest,
            timeout=90)


@tap.case("two parties: what xl mem-set says stands, whatever runs", timeout=120)
def two_parties(t):
    with lab(t, *PV) as xen:
        load(xen.domu, "floor_mb=16")
        # Into a LOCK that takes a second or more; unless the host is busy elsewhere for that long.
        for _ in range(5):
            job = xen.domu.spawn(f"ubtool target {300 * MIB_PAGES} , lock 4k {250 * MIB_PAGES} 10000 nosleep", 60)
            t.wait(lambda: xen.driver_kib() < 370 * 1024, 10, "LOCK has begun", interval=0.01)
            xen.mem_set(350)
            _, text = job.wait()
            if "stop=DONE" not in text:
                break
            xen.mem_set(RAM_MIB)
            ub(xen.domu, "pop")
            agree(t, xen, RAM_MIB, "and once more")
        t.contains(text, "stop=TARGET", "LOCK that xl mem-set came into")
        agree(t, xen, 350, "after xl mem-set 350 into a LOCK")

        # Many times, at any moment. Each party's last word: the module never holds less than
        # the host wants, and when both are done nothing moves by itself.
        job = xen.domu.spawn(
            "i=0; while [ $i -lt 40 ]; do i=$((i+1)); "
            f"ubtool lock 4k {40 * MIB_PAGES} 2000 nosleep , unlock 4k {40 * MIB_PAGES} 2000; done", 90)
        for mib in (300, 340, 280, 350, 320, 300, 330, 290):
            xen.mem_set(mib)
            time.sleep(0.2)
        status, text = job.wait()
        t.equal(status, 0, "ubtool")
        # The guest hears of it a little later.
        t.wait(lambda: state(xen.domu)["host_target_pages"] == 94 * MIB_PAGES, 10, "host target")
        t.wait(lambda: state(xen.domu)["size_pages"] >= 94 * MIB_PAGES, 10, "no size below the host's target")
        t.check("TARGET" in text, "the two never met")
        ub(xen.domu, "pop")
        agree(t, xen, 290, "at the end")
        xen.mem_set(RAM_MIB)
        agree(t, xen, RAM_MIB, "and back")


@tap.case("two parties: what others give back meanwhile is not UNLOCK's", timeout=120)
def overtaken(t):
    with lab(t, *PV) as xen:
        load(xen.domu)
        for i in range(60):
            lock(xen.domu, 200, 150)
            text = xen.domu.sh(f"ubtool unlock 4k {60 * MIB_PAGES} 10000 & usleep {2000 * (i % 50)}; "
                               f"echo {RAM_MIB * 1024} > /sys/devices/system/xen_memory/xen_memory0/target_kb; wait", 60)
            answer = dict(re.findall(r"(\w+)=(\S+)", text))
            t.check(int(answer["done_pages"]) <= 60 * MIB_PAGES, text)
            ub(xen.domu, "pop")


@tap.case("the lease runs out: everything goes back", timeout=150)
def lease(t):
    with lab(t, *PV) as xen:
        load(xen.domu)
        # Long enough to look at it before.
        xen.domu.sh(f"ubtool target {100 * MIB_PAGES} 0 {15000 * tap.PATIENCE}")
        whole(xen.domu, "lock 4k", 100)
        agree(t, xen, RAM_MIB - 100, "before")
        t.wait(lambda: state(xen.domu)["size_pages"] == 0, 60, "the balloon is empty")
        agree(t, xen, RAM_MIB, "after")
        s = state(xen.domu)
        t.equal((s["lease_events"], s["lease_pages"]), (1, 100 * MIB_PAGES), "lease counters")
        # With a host's target the balloon goes back to that.
        xen.mem_set(340)
        agree(t, xen, 340, "xl mem-set 340")
        xen.domu.sh(f"ubtool target {100 * MIB_PAGES} 0 1000 , lock 4k {50 * MIB_PAGES} 10000 nosleep")
        t.wait(lambda: state(xen.domu)["size_pages"] == 44 * MIB_PAGES, 15, "the balloon is what the host wants")
        t.equal(state(xen.domu)["lease_events"], 2, "leases that ran out")
        agree(t, xen, 340, "after the second lease")
        xen.mem_set(RAM_MIB)
        agree(t, xen, RAM_MIB, "xl mem-set 384")


@tap.case("a program that needs the balloon gets it instead of the OOM killer", timeout=120)
def oom(t):
    with lab(t, *PV) as xen:
        load(xen.domu, f"floor_mb=32 oom_holdoff_ms={30000 * tap.PATIENCE}")
        lock(xen.domu, 250, 250)
        size = state(xen.domu)["size_pages"]
        t.check(size >= 200 * MIB_PAGES, f"balloon of {size} pages")
        status, text = xen.domu.run("ubtool hog 200M 100", 60)
        t.contains(text, "hog rc=OK", "200 MiB in a guest that has none")
        s = state(xen.domu)
        t.equal(xen.domu.oom_kills(), 0, "OOM kills")
        t.check(s["oom_events"] > 0 and s["oom_pages"] >= 100 * MIB_PAGES, f"relief: {s}")
        t.check(s["ceiling_pages"] <= size - s["oom_pages"], "the ceiling has come down")
        t.check(s["holdoff_left_ms"] > 0, "LOCK is held off")
        t.equal(ub(xen.domu, "lock 4k 256")[0]["stop"], "NOMEM", "LOCK during the hold-off")
        t.equal(xen.driver_kib(), xen.driver_kib("target_kb"), "the driver's target")


@tap.case("unloading gives everything back, up to the host's target", timeout=90)
def unload(t):
    with lab(t, *PV) as xen:
        load(xen.domu)
        lock(xen.domu, 120, 120)
        xen.domu.sh("rmmod uballoon")
        t.wait(lambda: xen.driver_kib() == RAM_MIB * 1024, 10, "the guest's memory")
        t.equal(xen.memory_mib(), RAM_MIB, "xl list")

        xen.mem_set(330)
        t.wait(lambda: xen.driver_kib() == 330 * 1024, 10, "xl mem-set 330")
        load(xen.domu, "host=xen")
        t.equal(state(xen.domu)["host_target_pages"], 54 * MIB_PAGES, "host target after loading")
        lock(xen.domu, 120, 50)
        agree(t, xen, 280, "LOCK")
        xen.domu.sh("rmmod uballoon")
        t.wait(lambda: xen.driver_kib() == 330 * 1024, 10, "the host's target after unloading")
        t.equal(xen.memory_mib(), 330, "xl list")
        # And the driver obeys the host as before.
        xen.mem_set(RAM_MIB)
        t.wait(lambda: xen.driver_kib() == RAM_MIB * 1024, 10, "xl mem-set 384")


@tap.case("the initial domain is left alone, unless a parameter insists", timeout=90)
def dom0(t):
    with lab(t, *PV) as xen:
        g, ko = xen.dom0, "/lib/modules-test/uballoon.ko"
        memory = int(re.search(r"^Domain-0\s+\d+\s+(\d+)", g.sh("xl list"), re.M)[1])
        load(g)
        t.equal(g.run("ls /dev/uballoon 2>&1")[0], 1, "a device after loading with host=auto")
        t.contains(g.dmesg(), "uballoon: xen: not in the initial domain", "kernel log")
        g.sh("rmmod uballoon")
        status, text = g.run(f"insmod {ko} host=xen 2>&1")
        t.check(status != 0 and "No such device" in text, f"loading with host=xen: {text}")

        load(g, "host=xen xen_dom0=Y")
        t.equal(ub(g, "info")[0]["host"], "xen", "host")
        t.equal(lock(g, 20, 20)["done_pages"], 20 * MIB_PAGES, "LOCK of 20 MiB")
        t.contains(g.sh("xl list"), f" {memory - 20} ", "xl list")
        g.sh("rmmod uballoon")
        t.wait(lambda: f" {memory} " in g.sh("xl list"), 10, "dom0 has its memory back")


@tap.case("a guest of another hypervisor refuses host=xen", timeout=90)
def no_xen(t):
    with micro.micro(t, "6.1") as g:
        status, text = g.run("insmod /lib/modules-test/uballoon.ko host=xen 2>&1")
        t.check(status != 0 and "No such device" in text, f"loading with host=xen: {text}")


if __name__ == "__main__":
    tap.main()
