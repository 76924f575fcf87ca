# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own, unmodified vmw_balloon against the VMware monitor.

It is the monitor that is on trial here: a driver that is known to speak the
protocol properly must reach every target without a violation, whatever the
host does to it. Only then does the monitor's verdict on another driver count.

What a driver may do is wide: the stock driver exceeds a target by up to 511
pages with 2 MiB pages, leaves up to 511 on the way down (but none for a target
of 0), and gives up for a second after a failure.
"""
import itertools
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import kernels                                           # noqa: E402
from vmware.hypervisor import (CAP_ALL, LOCKS, MOVES, Cap, Cmd, Fault, Status)   # noqa: E402
from vmware.machine import vmware                                     # noqa: E402
from vmware.measure import follow, table                              # noqa: E402

SLACK = 511
BATCHED = Cap.BASIC | Cap.BATCHED
# Name, capabilities, a target in pages that the emulation reaches in about two seconds.
SETS = [
    ("all", CAP_ALL, 1 << 17),
    ("2 MiB, 32 bit", BATCHED | Cap.BATCHED_2M, 1 << 17),
    ("batched", BATCHED, 1 << 15),
    ("batched, not basic", Cap.BATCHED, 1 << 14),
    ("basic", Cap.BASIC, 600),
]
GET_TARGET = frozenset({Cmd.GET_TARGET})


def restart(monitor, offered):
    """Resets the connection; the driver comes back with what is offered now."""
    with monitor.script() as hv:
        hv.target, hv.offered = 0, offered
        hv.refuse, hv.faults = [], [Fault(Status.RESET, GET_TARGET)]
        starts = len(hv.starts)
    monitor.wait_for(lambda hv: len(hv.starts) > starts and hv.granted == offered and hv.guest_id,
                     15, "START after RESET")


def up(monitor, target, timeout=40):
    return follow(monitor, target, lambda hv: target <= hv.locked <= target + SLACK, timeout,
                  f"inflation to {target}")


def down(monitor, target=0, timeout=40):
    return follow(monitor, target, lambda hv: hv.locked <= target + (SLACK if target else 0), timeout,
                  f"deflation to {target}")


def whole(t, series):
    """One guest for all of it: what differs is the hypervisor's script."""
    with vmware(t, series, ("vmw_balloon",), unload=("vmw_vmci",), cpus=1) as (guest, monitor):
        guest.sh("insmod /lib/modules-test/vmw_vmci.ko && insmod /lib/modules-test/vmw_balloon.ko")
        monitor.wait_for(lambda hv: hv.calls[Cmd.GET_TARGET], 15, "the first GET_TARGET")
        with t.subtest("START asks for all capabilities, GUEST_ID says Linux"):
            with monitor.script() as hv:
                t.equal((hv.starts, hv.granted, hv.guest_id), ([int(CAP_ALL)], CAP_ALL, 1), "session")
                t.check(hv.doorbell is not None, "doorbell set")

        rows = []
        for name, offered, target in SETS:
            with t.subtest(f"both ways with {name}"):
                restart(monitor, offered)
                rows.append((f"stock {series}", name, up(monitor, target), down(monitor)))
        with t.subtest("a part of the way down and up again"):
            restart(monitor, BATCHED)
            for target in (1 << 14, 1 << 12, 3 << 12):
                (up if monitor.hypervisor.locked < target else down)(monitor, target)
                t.equal(monitor.hypervisor.verify(), monitor.hypervisor.locked, "frames looked at")
        with t.subtest("the limit is the guest's RAM, balloon included"):
            t.equal(len(monitor.hypervisor.limits), 1, "limits")
        with t.subtest("refused pages"):
            refused(t, monitor)
        with t.subtest("BUSY"):
            busy(t, monitor)
        with t.subtest("RESET in the middle of a batch"):
            reset(t, monitor)
        with t.subtest("a target beyond 32 bits"):
            beyond_32_bits(t, monitor)
        with t.subtest("unloading ends with START 0"):
            guest.sh("rmmod vmw_balloon")
            t.equal(monitor.hypervisor.starts[-1], 0, "capabilities of the last START")
            t.equal(monitor.hypervisor.doorbell, None, "doorbell")
        t.diag(table(rows))
        t.diag(f"{monitor.stops} calls, {1000 * monitor.stopped_s / monitor.stops:.2f} ms each in the monitor")


def refused(t, monitor):
    """Every seventh attempt: frames that are refused for good stop this driver short of its target."""
    restart(monitor, BATCHED)
    attempts = itertools.count(1)
    with monitor.script() as hv:
        hv.refuse.append(lambda pfn, frames: None if next(attempts) % 7 else Status.PPN_PINNED)
    up(monitor, 2000)
    with monitor.script() as hv:
        t.check(hv.page_statuses.get((Cmd.BATCHED_LOCK, Status.PPN_PINNED), 0) >= 2000 // 7, "pages were refused")


def busy(t, monitor):
    restart(monitor, BATCHED)
    with monitor.script() as hv:
        hv.faults.append(Fault(Status.BUSY, LOCKS, skip=2, times=2))
    up(monitor, 4000)
    with monitor.script() as hv:
        t.equal(hv.statuses.get((Cmd.BATCHED_LOCK, Status.BUSY)), 2, "calls answered with BUSY")


def reset(t, monitor):
    restart(monitor, BATCHED)
    for fault in (Fault(Status.RESET, LOCKS, skip=3, after_entries=100),
                  Fault(Status.RESET, MOVES - LOCKS, skip=3, after_entries=100)):
        with monitor.script() as hv:
            starts = len(hv.starts)
            hv.faults.append(fault)
        up(monitor, 4000)
        down(monitor)
        monitor.wait_for(lambda hv: len(hv.starts) == starts + 1 and hv.granted, 15, "START after RESET")
        t.equal(fault.times, 0, "RESETs left")


def beyond_32_bits(t, monitor):
    """Its low half alone is 0, so a driver that moves has seen the whole of it."""
    restart(monitor, BATCHED | Cap.TARGET_64)
    with monitor.script() as hv:
        hv.target = lambda hv: 0 if hv.locked >= 5000 else 1 << 32
    monitor.wait_for(lambda hv: hv.locked >= 5000, 15, "inflation")
    down(monitor)


for kernel in kernels.SERIES:
    tap.add(f"{kernel}: vmw_balloon", whole, kernel, timeout=240)

if __name__ == "__main__":
    tap.main()
