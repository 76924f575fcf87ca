# SPDX-License-Identifier: GPL-2.0-or-later
"""uballoon on VMware: host/vmware.c against the strict monitor.

The same trials as the kernel's own driver (vmware_stock.py), with ubtool as the
one who decides; what is looked at is both what the hypervisor saw and what the
device's user is told. At the end the stock driver runs in the same guest, and
both are printed side by side. In a guest of its own, balloond decides.
"""
import itertools
import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import debian, kernels, libraries                        # noqa: E402
from harness.paths import VM                                          # noqa: E402
from vmware.hypervisor import (CAP_ALL, LOCKS, MOVES, Cap, Cmd, Fault, Status)   # noqa: E402
from vmware.machine import vmware                                     # noqa: E402
from vmware.measure import Meter, follow, table                       # noqa: E402
from vmware_lib import MODULE, Device, load                           # noqa: E402

BATCHED = Cap.BASIC | Cap.BATCHED
VMCI = "/lib/modules-test/vmw_vmci.ko"
# uballoon_info.capabilities
HOST_TARGET, DOORBELL, LARGE, MUST_TELL, ON_OOM = (1 << n for n in range(5))
ALWAYS = HOST_TARGET | MUST_TELL | ON_OOM
# Capabilities of the host, target in pages, page size, what GET_INFO must say.
SETS = [
    ("all", CAP_ALL, 1 << 17, "2m", ALWAYS | LARGE | DOORBELL),
    ("2 MiB, 32 bit", BATCHED | Cap.BATCHED_2M, 1 << 17, "2m", ALWAYS | LARGE),
    ("batched", BATCHED, 1 << 15, "4k", ALWAYS),
    ("batched, not basic", Cap.BATCHED, 1 << 14, "4k", ALWAYS),
    ("2 MiB without batches", Cap.BASIC | Cap.BATCHED_2M, 300, "4k", ALWAYS),
    ("basic", Cap.BASIC, 600, "4k", ALWAYS),
]
# Pages that compaction has replaced and the host is asked for at a time (host/host.h).
BATCH_OLD = 256
SIDE_BY_SIDE = ("all", "batched", "basic")


def both_ways(t, monitor, device, target, size):
    """From the change of the target to the last call; the device's user waits for poll()."""
    job = device.start("open", f"target {target}", "state", "poll 20000", f"lock {size} {target}")
    guest_waits(t, job)
    meter = Meter(monitor, target)
    poll, lock = Device.answers(job)[-2:]
    up = meter.stop()
    t.equal((poll["events"], lock["stop"], int(lock["done_pages"])), ("IN", "DONE", target), "LOCK")
    t.equal((monitor.hypervisor.locked, monitor.hypervisor.verify()), (target, target), "locked, intact")
    t.equal(device.state()["size_pages"], target, "size")
    job = device.start("open", "state", "poll 20000", f"unlock {size} {target}")
    guest_waits(t, job)
    meter = Meter(monitor, 0)
    poll, unlock = Device.answers(job)[-2:]
    down = meter.stop()
    t.equal((poll["events"], unlock["stop"], int(unlock["done_pages"])), ("IN", "DONE", target), "UNLOCK")
    t.equal(monitor.hypervisor.locked, 0, "locked")
    return up, down


def guest_waits(t, job):
    """From its line "state" on, what happens is news for the program in the guest."""
    t.wait(lambda: "\nstate " in job.output, 20, "the program in the guest")


# What the older kernel's users have by default, and what those of other distributions have.
APPEND = {"6.1": "init_on_alloc=1", "6.12": "init_on_alloc=0", "6.12 gcov": ""}


def whole(t, series):
    ring = kernels.build_module(kernels.Kernel(series), os.path.join(VM, "vmware", "ring"), "vmci_ring")
    with vmware(t, series, ("uballoon", "vmw_balloon"), files=[("vmci_ring.ko", ring, 0o644)],
                unload=("vmw_vmci",), append=APPEND[series]) as (guest, monitor):
        rows = []
        with t.subtest("without vmw_vmci it loads, and polls each second"):
            device = load(monitor, guest)
            hv = monitor.hypervisor
            t.equal((hv.starts, hv.granted, hv.guest_id, hv.doorbell), ([int(CAP_ALL)], CAP_ALL, 1, None),
                    "session")
            info = device.one("info")
            t.equal((info["host"], int(info["caps"], 16)), ("vmware", ALWAYS | LARGE), "info")
            polls = hv.calls[Cmd.GET_TARGET]
            seconds = monitor.wait_for(lambda hv: hv.calls[Cmd.GET_TARGET] >= polls + 4, 20, "four polls")
            t.between(seconds, 2, 12 * tap.PATIENCE, "seconds for four polls")
        guest.sh(f"insmod {VMCI}")
        # Memory that was never used costs the emulator more: nobody's fault in a comparison.
        guest.sh("ubtool hog 800M")
        for name, offered, target, size, caps in SETS:
            with t.subtest(f"both ways with {name}"):
                device = load(monitor, guest, offered)
                info = device.one("info")
                t.equal(int(info["caps"], 16), caps, "capabilities of the device")
                t.equal(monitor.hypervisor.limits, [int(info["ram_pages"])], "limits")
                rows.append((f"uballoon {series}", name, *both_ways(t, monitor, device, target, size)))
                if size == "4k":
                    t.equal(device.do("open", "target 512", "lock 2m 512")[-1]["rc"], "EOPNOTSUPP", "2 MiB")
        for name, trial in TRIALS:
            with t.subtest(name):
                trial(t, monitor, guest)
        with t.subtest("unloading sends START 0 and frees without unlocking"):
            device = load(monitor, guest, CAP_ALL, target=1 << 15)
            device.lock(1 << 15, "2m")
            unlocks = monitor.hypervisor.unlock_calls()
            guest.sh("rmmod uballoon")
            hv = monitor.hypervisor
            t.equal((hv.starts[-1], hv.locked, hv.doorbell, hv.unlock_calls()), (0, 0, None, unlocks),
                    "last START, locked, doorbell, unlock calls")
        with t.subtest("side by side with the stock driver"):
            rows += stock(monitor, guest, series)
        order = [name for name, *_ in SETS]
        t.diag(table(sorted(rows, key=lambda row: order.index(row[1]))))


def stock(monitor, guest, series):
    """The same targets with vmw_balloon, which follows by itself."""
    for name, offered, target, _, _ in SETS:
        if name not in SIDE_BY_SIDE:
            continue
        with monitor.script() as hv:
            hv.target, hv.offered, hv.faults = 0, offered, []
            hv.refuse, hv.refuse_unlock, hv.overshoot = [], [], None
            starts = len(hv.starts)
        guest.sh("insmod /lib/modules-test/vmw_balloon.ko")
        monitor.wait_for(lambda hv: len(hv.starts) > starts and hv.guest_id, 15, "START")
        yield (f"stock {series}", name,
               follow(monitor, target, lambda hv: hv.locked >= target, 60, "inflation"),
               follow(monitor, 0, lambda hv: not hv.locked, 60, "deflation"))
        guest.sh("rmmod vmw_balloon")


# -- what a host may do ------------------------------------------------------

def refused_4k(t, monitor, guest):
    """One frame in 512 is bad for good: others take its place."""
    device = load(monitor, guest, BATCHED, target=8000)
    with monitor.script() as hv:
        hv.refuse.append(lambda pfn, frames: Status.PPN_PINNED if pfn % 512 == 5 else None)
    done = refused = 0
    for _ in range(60):
        lock = device.lock(min(400, 8000 - done))
        done += int(lock["done_pages"])
        refused += int(lock["refused_pages"])
        if done == 8000:
            break
    t.equal((done, monitor.hypervisor.locked, monitor.hypervisor.verify()), (8000, 8000, 8000), "locked")
    t.check(refused > 5, f"pages were refused, and said so ({refused})")
    t.equal(device.state()["refused_pages"], refused, "counter")


def refused_2m(t, monitor, guest):
    pages = 73728    # more than a call may have with the host at a time
    device = load(monitor, guest, CAP_ALL, target=pages)
    with monitor.script() as hv:
        hv.refuse.append(lambda pfn, frames: Status.PPN_INVALID if frames > 1 else None)
    lock = device.lock(pages, "2m")
    t.equal((lock["stop"], int(lock["done_pages"]), lock["refused_pages"]), ("DONE", pages, "0"), "LOCK")
    t.equal((monitor.hypervisor.locked, monitor.hypervisor.locked_2m), (pages, 0), "locked")
    t.equal(device.state()["size_4k_pages"], pages, "4 KiB pages instead")


def nothing_taken(t, monitor, guest):
    """A host that refuses everything is not offered all parts of all large pages that were on their way."""
    device = load(monitor, guest, CAP_ALL, target=73728)
    parts = itertools.count()
    with monitor.script() as hv:
        hv.refuse.append(lambda pfn, frames: Status.PPN_INVALID if frames > 1 or next(parts) >= 0 else None)
    lock = device.lock(73728, "2m")
    t.equal((lock["stop"], lock["done_pages"], monitor.hypervisor.locked), ("REFUSED", "0", 0), "LOCK")
    # Of 16 large pages, and of those that were on their way meanwhile: eight batches.
    t.between(next(parts), 16 * 512, 16 * 512 + 8 * 512, "parts that were offered")


def some_2m_refused(t, monitor, guest):
    """One frame is pinned in every other 2 MiB page: all of them but that one are given."""
    device = load(monitor, guest, CAP_ALL, target=32768)
    with monitor.script() as hv:
        hv.refuse.append(lambda pfn, frames: Status.PPN_PINNED if pfn % 1024 <= 7 < pfn % 1024 + frames else None)
    lock = device.lock(16384, "2m")
    done, refused, large = int(lock["done_pages"]), int(lock["refused_pages"]), monitor.hypervisor.locked_2m
    t.equal(lock["stop"], "REFUSED", "LOCK, which lacks less than a 2 MiB page")
    t.check(refused > 0 and large > 0, f"{refused} pages refused, {large} given in 2 MiB pages")
    t.between(done, 16384 - 511, 16384, "pages given")
    t.equal((monitor.hypervisor.locked, done - large), (done, refused * 511), "locked, of it in parts")


def not_needed(t, monitor, guest):
    """The target falls while LOCK runs, and the host says so page by page before it says it in numbers."""
    for caps, calls in ((BATCHED, 1), (Cap.BASIC, 101)):
        device = load(monitor, guest, caps, target=2000)
        with monitor.script() as hv:
            hv.refuse.append(lambda pfn, frames: Status.PPN_NOTNEEDED if hv.locked >= 100 else None)
            before = hv.lock_calls()
        lock = device.lock(2000)
        t.equal((lock["stop"], lock["done_pages"]), ("NOT_NEEDED", "100"), "LOCK")
        t.equal(monitor.hypervisor.lock_calls() - before, calls, "calls until it is understood")


def target_is_a_bound(t, monitor, guest):
    device = load(monitor, guest, CAP_ALL, target=5000)
    lock = device.lock(8192, "2m")
    t.equal((lock["stop"], lock["done_pages"]), ("TARGET", str(9 * 512)), "2 MiB pages")
    lock = device.lock(8192)
    t.equal((lock["stop"], lock["done_pages"]), ("TARGET", str(5000 - 9 * 512)), "4 KiB pages")
    t.equal(monitor.hypervisor.locked, 5000, "locked")


def beyond_the_target(t, monitor, guest):
    """Only if the module's parameter says so, and as far as the host lets it."""
    device = load(monitor, guest, BATCHED, target=1000)
    t.equal((device.lock(4000)["stop"], monitor.hypervisor.locked), ("TARGET", 1000), "LOCK")
    device = load(monitor, guest, BATCHED, target=1000, parameters="guest_driven=1")
    with monitor.script() as hv:
        hv.overshoot = 2000
    lock = device.lock(4000)
    t.equal((lock["stop"], lock["done_pages"], monitor.hypervisor.locked), ("NOT_NEEDED", "3000", 3000), "LOCK")


def target_in_answers(t, monitor, guest):
    """Each answer carries the target: LOCK ends at once when it falls."""
    device = load(monitor, guest, BATCHED, target=20000)
    with monitor.script() as hv:
        hv.target = lambda hv: 20000 if hv.locked < 5000 else 0
        polls = hv.calls[Cmd.GET_TARGET]
    start = time.monotonic()
    lock = device.lock(20000)
    seconds = time.monotonic() - start
    t.equal(lock["stop"], "TARGET", "LOCK")
    t.between(monitor.hypervisor.locked, 5000, 5631, "locked")
    # One a second comes by itself.
    t.check(monitor.hypervisor.calls[Cmd.GET_TARGET] <= polls + 2 + seconds, "without waiting for a poll")


def busy(t, monitor, guest):
    device = load(monitor, guest, BATCHED, target=4000)
    with monitor.script() as hv:
        hv.faults = [Fault(Status.BUSY, LOCKS, skip=2), Fault(Status.BUSY, MOVES - LOCKS)]
    lock = device.lock(4000)
    t.equal((lock["stop"], lock["done_pages"]), ("REFUSED", "1024"), "LOCK at the third call")
    t.equal(device.lock(2976)["stop"], "DONE", "LOCK again")
    unlock = device.unlock(4000)
    t.equal((unlock["stop"], unlock["done_pages"]), ("REFUSED", "0"), "UNLOCK at the first call")
    t.equal(device.state()["size_pages"], 4000, "size")
    t.equal(device.unlock(4000)["stop"], "DONE", "UNLOCK again")
    with monitor.script() as hv:
        hv.faults = [Fault(Status.BUSY, frozenset({Cmd.GET_TARGET}), times=2)]
        hv.target = 77
    t.wait(lambda: device.state()["host_target_pages"] == 77, 10, "target after two BUSY polls")


def unlock_refused(t, monitor, guest):
    """A page that the host does not release stays in the balloon."""
    for caps, size, pages in ((BATCHED, "4k", 1000), (Cap.BASIC, "4k", 100), (CAP_ALL, "2m", 8192)):
        device = load(monitor, guest, caps, target=pages)
        t.equal(device.lock(pages, size)["stop"], "DONE", "LOCK")
        attempts = itertools.count()
        with monitor.script() as hv:
            hv.refuse_unlock.append(lambda pfn, frames: None if next(attempts) % 3 else Status.PPN_INVALID)
        unlock = device.unlock(pages, size)
        kept = (next(attempts) + 2) // 3 * (512 if size == "2m" else 1)
        left = pages - int(unlock["done_pages"])
        t.equal((unlock["stop"], int(unlock["refused_pages"])), ("REFUSED", kept), "UNLOCK")
        t.equal((device.state()["size_pages"], monitor.hypervisor.locked), (left, left), "size, locked")
        with monitor.script() as hv:
            hv.refuse_unlock.clear()
        t.equal((device.unlock(left, size)["stop"], monitor.hypervisor.locked), ("DONE", 0), "UNLOCK again")


def kept_for_good(t, monitor, guest):
    """Large pages that the host never releases are not in the way of the others."""
    device = load(monitor, guest, CAP_ALL, target=8192)
    t.equal(device.lock(8192, "2m")["stop"], "DONE", "LOCK")
    kept = set()

    def first_two(pfn, frames):
        if len(kept) < 2:
            kept.add(pfn)
        return Status.PPN_INVALID if pfn in kept else None
    with monitor.script() as hv:
        hv.refuse_unlock.append(first_two)
    tries = [device.unlock(1024, "2m") for _ in range(3)]
    t.equal([int(a["done_pages"]) for a in tries], [0, 1024, 1024], "pages given back, two at a time")
    t.equal((device.state()["size_pages"], monitor.hypervisor.locked), (6144, 6144), "size, locked")
    with monitor.script() as hv:
        hv.refuse_unlock.clear()
    t.equal((device.unlock(6144, "2m")["stop"], monitor.hypervisor.locked), ("DONE", 0), "UNLOCK of all")


def resets(t, monitor, guest):
    """At each command, and in the middle of a batch: popped without an unlock, START, and on we go."""
    for caps, size, pages in ((CAP_ALL, "2m", 8192), (BATCHED, "4k", 4000), (Cap.BASIC, "4k", 300)):
        device = load(monitor, guest, caps, target=pages)
        after = 0 if caps == Cap.BASIC else 3
        for commands in (LOCKS, MOVES - LOCKS, {Cmd.GET_TARGET}):
            t.equal(device.lock(pages, size)["stop"], "DONE", "LOCK")
            with monitor.script() as hv:
                hv.faults = [Fault(Status.RESET, frozenset(commands), after_entries=after)]
                starts, unlocks = len(hv.starts), hv.unlock_calls()
            if commands == LOCKS:
                device.unlock(512, size)
                unlocks = monitor.hypervisor.unlock_calls()
                lock = device.lock(512, size)
                t.equal((lock["stop"], lock["done_pages"]), ("RESET", "0"), "LOCK")
            elif commands == MOVES - LOCKS:
                t.equal(device.unlock(512, size)["stop"], "RESET", "UNLOCK")
                unlocks += 1
            monitor.wait_for(lambda hv: len(hv.starts) == starts + 1 and hv.guest_id, 10, "START after RESET")
            t.equal((monitor.hypervisor.locked, monitor.hypervisor.unlock_calls()), (0, unlocks),
                    "locked, unlock calls")
            t.equal(device.state()["size_pages"], 0, "size")
        t.equal(device.state()["pop_events"], 3, "pops")
        t.equal(device.lock(pages, size)["stop"], "DONE", "LOCK afterwards")


def reset_while_moving(t, monitor, guest):
    """RESET comes from the poll while LOCK and UNLOCK run, again and again."""
    device = load(monitor, guest, BATCHED, target=30000)
    script = ["open", "target 40000"] + ["lock 4k 2000", "unlock 4k 1000"] * 60
    for at in range(4):
        with monitor.script() as hv:
            hv.faults = [Fault(Status.RESET, MOVES, skip=5 + 4 * at, after_entries=200),
                         Fault(Status.RESET, frozenset({Cmd.GET_TARGET}))]
        stops = set()
        # Where the poll has come first, these find no session, and the other fault is still to come.
        while any(f.times for f in monitor.hypervisor.faults if f.commands == MOVES):
            stops |= {answer.get("stop") for answer in device.do(*script)[2:]}
        t.check(stops <= {"DONE", "RESET", "TARGET", "NOMEM"}, f"stops: {stops}")
        # The last one may come after all calls.
        monitor.wait_for(lambda hv: not any(f.times for f in hv.faults) and hv.granted, 10, "START after RESET")
        t.equal(device.state()["size_pages"], monitor.hypervisor.locked, "size, as the host sees it")


def start_refused(t, monitor, guest):
    """The one at unloading, too: the pages are unlocked then."""
    device = load(monitor, guest, BATCHED, target=2000)
    device.lock(2000)
    with monitor.script() as hv:
        starts = len(hv.starts)
        hv.faults = [Fault(Status.BUSY, frozenset({Cmd.START}), times=1 << 20)]
    guest.sh("rmmod uballoon")
    t.equal(monitor.hypervisor.locked, 0, "locked")
    guest.sh("insmod " + MODULE)
    t.equal(guest.run("test -e /dev/uballoon")[0], 1, "no device without a host")
    monitor.wait_for(lambda hv: len(hv.starts) >= starts + 2, 10, "one at unloading, one at loading")
    with monitor.script() as hv:
        hv.faults, refused = [], len(hv.starts)
    monitor.wait_for(lambda hv: hv.granted, 10, "START until the host accepts")
    t.wait(lambda: guest.run("test -e /dev/uballoon")[0] == 0, 10, "the device")
    t.equal(len(monitor.hypervisor.starts), refused + 1, "STARTs")


def wide_target(t, monitor, guest):
    """Its low half alone is 77."""
    device = load(monitor, guest, CAP_ALL, target=1 << 32 | 77)
    t.equal(device.state()["host_target_pages"], 1 << 32 | 77, "host target")
    lock = device.lock(4096, "2m")
    t.equal((lock["stop"], monitor.hypervisor.locked), ("DONE", 4096), "LOCK")


def fewer_capabilities(t, monitor, guest):
    """After RESET the host offers less than the device has promised, say after a migration."""
    device = load(monitor, guest, CAP_ALL, target=2048)
    for caps in (BATCHED, Cap.BASIC):
        with monitor.script() as hv:
            hv.offered, hv.faults = caps, [Fault(Status.RESET, frozenset({Cmd.GET_TARGET}))]
        monitor.wait_for(lambda hv: hv.granted == caps and hv.guest_id, 10, "START after RESET")
        lock = device.lock(2048, "2m")
        t.equal((lock["stop"], lock["done_pages"]), ("REFUSED", "0"), "2 MiB pages")
        t.equal(device.lock(200)["stop"], "DONE", "4 KiB pages")
        t.equal(monitor.hypervisor.locked, 200, "locked")


def doorbell(t, monitor, guest):
    """More rings a second than there are polls; on a busy machine not at the first try, for both take longer."""
    load(monitor, guest, CAP_ALL)
    context, resource = monitor.hypervisor.doorbell
    ring = f"insmod /vmci_ring.ko context={context} resource={resource} times=10 && rmmod vmci_ring"
    seen = []
    for tries in range(1, 6):
        before = monitor.hypervisor.calls[Cmd.GET_TARGET]
        start = time.monotonic()
        guest.sh(ring, timeout=60)
        seconds = time.monotonic() - start
        polls = monitor.hypervisor.calls[Cmd.GET_TARGET] - before
        t.equal(Device(guest).debug("vmware_doorbell"), 10 * tries, "rings")
        seen.append(f"{polls} in {seconds:.1f} s")
        # One of its own a second, and one on each side of what was measured.
        if polls > seconds + 2:
            break
    else:
        raise tap.Failure(f"GET_TARGETs for 10 rings each: {', '.join(seen)}")
    t.diag(f"GET_TARGETs for 10 rings: {', '.join(seen)}")
    with monitor.script() as hv:
        hv.faults = [Fault(Status.RESET, frozenset({Cmd.GET_TARGET}))]
        starts = len(hv.starts)
    monitor.wait_for(lambda hv: len(hv.starts) > starts and hv.guest_id, 10, "START after RESET")
    t.equal(monitor.hypervisor.doorbell, (context, resource), "doorbell after RESET")


def scatter(t, device):
    """A balloon of 40000 pages among which others are free, so that compaction has something to do."""
    t.equal(device.lock(60000)["stop"], "DONE", "LOCK")
    t.equal(device.unlock(20000)["stop"], "DONE", "UNLOCK")


def compact(guest):
    guest.sh("echo 1 > /proc/sys/vm/compact_memory; sleep 1", timeout=90)


def exchanged(t, monitor, device, pages):
    t.wait(lambda: device.debug("old_pages") == 0, 15, "no page waits for the host")
    monitor.wait_for(lambda hv: hv.locked == pages, 15, f"{pages} pages with the host")
    t.equal((device.state()["size_pages"], monitor.hypervisor.verify()), (pages, pages), "size, frames looked at")
    t.equal(device.unlock(pages)["stop"], "DONE", "UNLOCK")


def compaction(t, monitor, guest):
    """Pages that compaction moves are exchanged at the host, even if it takes not one too many."""
    device = load(monitor, guest, BATCHED, target=60000)
    scatter(t, device)
    with monitor.script() as hv:
        hv.target, hv.overshoot = 40000, 0
    compact(guest)
    moved = device.state()["migrated_pages"]
    t.check(moved > 0, "pages were moved")
    t.diag(f"compaction moved {moved} pages")
    exchanged(t, monitor, device, 40000)


def compaction_refused(t, monitor, guest):
    """A page that the host does not release is offered again until it does."""
    device = load(monitor, guest, BATCHED, target=60000)
    kept = set()

    def keep_some(pfn, frames):
        if pfn % 5:
            return None
        kept.add(pfn)
        return Status.PPN_INVALID

    scatter(t, device)
    with monitor.script() as hv:
        hv.refuse_unlock.append(keep_some)
    compact(guest)
    # The host releases first and gets then, batch by batch: in between it has less.
    monitor.wait_for(lambda hv: hv.locked == 40000, 15, "40000 pages with the host")
    with monitor.script() as hv:
        t.check(kept and all(map(hv.is_locked, kept)), f"the host keeps {len(kept)} pages")
        hv.refuse_unlock.clear()
    exchanged(t, monitor, device, 40000)


def compaction_kept(t, monitor, guest):
    """Pages that the host never releases do not keep it from being asked for the others."""
    device = load(monitor, guest, BATCHED, target=60000)
    kept = set()

    def first_ones(pfn, frames):
        if len(kept) < BATCH_OLD:
            kept.add(pfn)
        return Status.PPN_INVALID if pfn in kept else None

    # How many are moved is up to the kernel.
    for _ in range(8):
        scatter(t, device)
        with monitor.script() as hv:
            kept.clear()
            hv.refuse_unlock.append(first_ones)
        before = device.state()["migrated_pages"]
        compact(guest)
        if device.state()["migrated_pages"] - before > 2 * BATCH_OLD:
            break
        with monitor.script() as hv:
            hv.refuse_unlock.clear()
        exchanged(t, monitor, device, 40000)
    t.wait(lambda: device.debug("old_pages") == len(kept) == BATCH_OLD, 15, "none but those wait for the host")
    with monitor.script() as hv:
        t.check(all(map(hv.is_locked, kept)), "the host keeps them")
        hv.refuse_unlock.clear()
    exchanged(t, monitor, device, 40000)


def oom(t, monitor, guest):
    """Memory runs out: the balloon goes before any process does."""
    device = load(monitor, guest, CAP_ALL, target=1 << 17)
    t.equal(device.lock(1 << 17, "2m")["stop"], "DONE", "LOCK")
    answer = device.do("open", "hog 700M", timeout=90)[-1]
    t.equal(answer["rc"], "OK", "a process that needs what the balloon has")
    state = device.state()
    t.check(state["oom_pages"] + state["shrink_pages"] > 0, "the balloon gave")
    t.equal((state["size_pages"], guest.oom_kills()), (monitor.hypervisor.locked, 0), "size, kills")


TRIALS = [
    ("refused 4 KiB pages", refused_4k),
    ("a host that refuses all 2 MiB pages gets 4 KiB pages", refused_2m),
    ("a host that refuses everything", nothing_taken),
    ("some 2 MiB pages refused", some_2m_refused),
    ("NOTNEEDED", not_needed),
    ("LOCK does not exceed the target", target_is_a_bound),
    ("beyond the target", beyond_the_target),
    ("the target comes with every answer", target_in_answers),
    ("BUSY", busy),
    ("a page whose unlock is refused stays", unlock_refused),
    ("pages that are never released", kept_for_good),
    ("RESET at each kind of command", resets),
    ("RESET while the balloon moves", reset_while_moving),
    ("START refused at first", start_refused),
    ("a target beyond 32 bits", wide_target),
    ("fewer capabilities after RESET", fewer_capabilities),
    ("the doorbell", doorbell),
    ("compaction", compaction),
    ("compaction, and a host that does not release pages", compaction_refused),
    ("compaction, and pages that are never released", compaction_kept),
    ("out of memory", oom),
]


# -- the daemon decides --------------------------------------------------------

# A host that refuses most pages is slow, on a busy machine so slow that the daemon would leave it alone for a minute.
CONFIG = b"""mode = "host"; interval = "500ms"; idle_interval = "1s";
tail: { worthwhile = "1M"; dead_band = "1M"; settle = "0"; hold_off = "0"; stuck = "10min"; };
"""


def daemon(t, series):
    """balloond in host mode: the target is met whatever happens on the way."""
    program = os.path.join(debian.build_dir(), "daemon", "balloond")
    with vmware(t, series, ("uballoon",), files=libraries.files([("/bin/balloond", program)]),
                unload=("vmw_vmci",)) as (guest, monitor):
        guest.put(CONFIG, "/etc/balloond.conf")
        guest.sh(f"insmod {VMCI}")
        device = load(monitor, guest, CAP_ALL)
        balloond = guest.spawn("exec balloond --no-bus --foreground > /run/balloond.log 2>&1", timeout=300)
        t.on_failure(lambda: guest.run("tail -n 40 /run/balloond.log; dmesg | tail -n 5")[1])

        def met(target, what, timeout=60):
            slack = 1 << 20 >> 12
            with t.subtest(f"the daemon: {what}"):
                move = follow(monitor, target, lambda hv: abs(hv.locked - target) <= slack, timeout, what)
                t.diag(f"{what}: {move.pages} pages in {move.seconds:.1f} s, {move.calls} calls, {move.polls} polls")

        met(1 << 16, "up to 256 MiB")
        met(1 << 15, "down to 128 MiB")
        with monitor.script() as hv:
            hv.faults = [Fault(Status.RESET, frozenset({Cmd.GET_TARGET}))]
        monitor.wait_for(lambda hv: not hv.faults[0].times and hv.granted, 15, "START after RESET")
        met(1 << 15, "the same again after RESET")
        with monitor.script() as hv:
            hv.faults = [Fault(Status.RESET, LOCKS, skip=4, after_entries=2)]
        met(1 << 16, "up to 256 MiB with a RESET on the way", 90)
        with monitor.script() as hv:
            hv.faults = [Fault(Status.BUSY, MOVES, times=3)]
        met(1 << 13, "down to 32 MiB with BUSY on the way")
        with monitor.script() as hv:
            hv.refuse = [lambda pfn, frames: Status.PPN_PINNED if frames > 1 or pfn % 1024 == 5 else None]
        met(1 << 15, "up to 128 MiB at a host that takes no 2 MiB pages, nor each 4 KiB page", 300)
        with t.subtest("the daemon: stopping it returns the memory"):
            t.check(balloond.running(), "balloond still runs")
            guest.sh("kill -TERM $(pidof balloond)")
            t.equal(balloond.wait()[0], 0, "exit status")
            t.equal((device.state()["size_pages"], monitor.hypervisor.locked), (0, 0), "size, locked")


for kernel in kernels.SERIES:
    tap.add(f"{kernel}: balloond", daemon, kernel, timeout=1500)
    tap.add(f"{kernel}: uballoon", whole, kernel, timeout=1500)
# Where lines are counted.
if any("6.12 gcov" in argument for argument in sys.argv[1:]):
    tap.add("6.12 gcov: uballoon", whole, "6.12 gcov", timeout=1500)

if __name__ == "__main__":
    tap.main()
