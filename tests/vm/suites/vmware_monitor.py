# SPDX-License-Identifier: GPL-2.0-or-later
"""The VMware monitor itself: does it see what a driver does wrong?

A driver made of a few lines speaks to the hypervisor model directly, without
a guest: first properly, with each set of capabilities, then with one fault for each
kind of violation. What a host may do to a driver must not count as one.
Left out: the way through gdb, which the suites with real drivers exercise.
"""
import os
import struct
import sys

sys.path[:0] = [os.path.join(os.path.dirname(__file__), ".."),
                os.path.join(os.path.dirname(__file__), "../../lib")]
import tap  # noqa: E402
from vmware.guestram import FRAME_SIZE, FRAMES_PER_2M, GuestRam  # noqa: E402
from vmware.hypervisor import (ALL_ONES_32, BATCH_ENTRIES, CAP_ALL, LOCKS, MAGIC, MOVES,  # noqa: E402
                               PORT, SUCCESS_WITH_CAPABILITIES, VIOLATIONS, Cap, Cmd, Fault,
                               Hypervisor, Status)

RAM = 16 << 20
FRAMES = RAM // FRAME_SIZE
BATCH_PFN = 7
BASIC_BATCHED = Cap.BASIC | Cap.BATCHED


class Driver:
    """The guest's side: sends what it is told to, right or wrong."""

    def __init__(self, t, caps=CAP_ALL, start=True, **script):
        self.ram = GuestRam(RAM)
        t.defer(self.ram.close)
        self.hv = Hypervisor(self.ram, offered=caps, **script)
        if start:
            self.send(Cmd.START, int(CAP_ALL))

    def send(self, cmd, arg1=0, arg2=0, magic=MAGIC, port=PORT):
        return self.hv.call(magic, arg1, int(cmd), port, arg2)

    def batch(self, cmd, pfns, low_bits=0, count=None, at=BATCH_PFN):
        """Returns the status of the call and those of the entries."""
        entries = [pfn * FRAME_SIZE | low_bits for pfn in pfns]
        self.ram.write(BATCH_PFN * FRAME_SIZE, struct.pack(f"<{len(entries)}Q", *entries))
        status = self.send(cmd, at, len(entries) if count is None else count).rax
        raw = self.ram.read(BATCH_PFN * FRAME_SIZE, 8 * len(entries))
        return status, [e & 0x1f for e, in struct.iter_unpack("<Q", raw)]

    def kinds(self):
        return [v.kind for v in self.hv.violations]


def _write(driver, pfn):
    driver.ram.write(pfn * FRAME_SIZE + 8, b"dirt")


def _locked_4k(d):
    d.send(Cmd.LOCK, 20)


def _locked_2m(d):
    d.batch(Cmd.BATCHED_2M_LOCK, [512])


# What a driver does wrong: kind, then the calls. Each starts with everything negotiated.
FAULTS = [
    ("magic", "wrong magic", lambda d: d.send(Cmd.GET_TARGET, FRAMES, magic=MAGIC + 1)),
    ("magic", "magic not zero-extended", lambda d: d.send(Cmd.GET_TARGET, FRAMES, magic=MAGIC | 1 << 32)),
    ("port", "VMware's other port", lambda d: d.send(Cmd.GET_TARGET, FRAMES, port=0x5658)),
    ("command", "command 5", lambda d: d.send(5)),
    ("command", "command 11", lambda d: d.send(11)),
    ("command", "command with high bits", lambda d: d.send(1 << 32 | 1, FRAMES)),
    ("start-bits", "START with bit 0", lambda d: d.send(Cmd.START, 1 | int(CAP_ALL))),
    ("start-bits", "START with bit 6", lambda d: d.send(Cmd.START, 1 << 6)),
    ("guest-id", "another guest", lambda d: d.send(Cmd.GUEST_ID, 2)),
    ("limit", "limit 0", lambda d: d.send(Cmd.GET_TARGET, 0)),
    ("limit", "limit without the balloon", lambda d: d.send(Cmd.GET_TARGET, FRAMES // 2)),
    ("limit", "limit above RAM", lambda d: d.send(Cmd.GET_TARGET, FRAMES + 1)),
    ("arg2", "GET_TARGET with two", lambda d: d.send(Cmd.GET_TARGET, FRAMES, 1)),
    ("arg2", "LOCK of two", lambda d: d.send(Cmd.LOCK, 20, 2)),
    ("arg2", "GUEST_ID with two", lambda d: d.send(Cmd.GUEST_ID, 1, 1)),
    ("arg2", "START with two", lambda d: d.send(Cmd.START, int(CAP_ALL), 1)),
    ("limit-32", "basic LOCK above 32 bits", lambda d: d.send(Cmd.LOCK, 1 << 32)),
    ("limit-32", "limit above 32 bits", lambda d: (d.send(Cmd.START, int(Cap.BASIC | Cap.BATCHED)),
                                                   d.send(Cmd.GET_TARGET, 1 << 32 | FRAMES))),
    ("batch-page", "beyond RAM", lambda d: d.batch(Cmd.BATCHED_LOCK, [20], at=FRAMES)),
    ("batch-page", "locked itself", lambda d: (d.send(Cmd.LOCK, BATCH_PFN),
                                               d.send(Cmd.BATCHED_LOCK, BATCH_PFN, 1))),
    ("batch-page", "names itself", lambda d: d.batch(Cmd.BATCHED_LOCK, [BATCH_PFN])),
    ("batch-count", "empty", lambda d: d.batch(Cmd.BATCHED_LOCK, [])),
    ("batch-count", "513", lambda d: d.batch(Cmd.BATCHED_LOCK, [20], count=BATCH_ENTRIES + 1)),
    ("reserved-bits", "old status left", lambda d: d.batch(Cmd.BATCHED_LOCK, [20], low_bits=3)),
    ("reserved-bits", "bit 11", lambda d: d.batch(Cmd.BATCHED_LOCK, [20], low_bits=1 << 11)),
    ("pfn-range", "basic", lambda d: d.send(Cmd.LOCK, FRAMES)),
    ("pfn-range", "batched", lambda d: d.batch(Cmd.BATCHED_LOCK, [FRAMES])),
    ("pfn-range", "2 MiB across the end", lambda d: d.batch(Cmd.BATCHED_2M_LOCK, [FRAMES - 1])),
    ("misaligned-2m", "by one", lambda d: d.batch(Cmd.BATCHED_2M_LOCK, [513])),
    ("misaligned-2m", "by half", lambda d: d.batch(Cmd.BATCHED_2M_LOCK, [768])),
    ("double-lock", "basic", lambda d: (_locked_4k(d), d.send(Cmd.LOCK, 20))),
    ("double-lock", "within a batch", lambda d: d.batch(Cmd.BATCHED_LOCK, [20, 20])),
    ("double-lock", "4 KiB within 2 MiB", lambda d: (_locked_2m(d), d.send(Cmd.LOCK, 1000))),
    ("double-lock", "2 MiB over 4 KiB", lambda d: (d.send(Cmd.LOCK, 1023), _locked_2m(d))),
    ("unlock-unlocked", "never locked", lambda d: d.send(Cmd.UNLOCK, 20)),
    ("unlock-unlocked", "twice", lambda d: (_locked_4k(d), d.send(Cmd.UNLOCK, 20),
                                            d.send(Cmd.UNLOCK, 20))),
    ("unlock-unlocked", "2 MiB", lambda d: d.batch(Cmd.BATCHED_2M_UNLOCK, [512])),
    ("unlock-unlocked", "after RESET and START",
     lambda d: (_locked_4k(d), d.hv.faults.append(Fault(Status.RESET, frozenset({Cmd.GET_TARGET}))),
                d.send(Cmd.GET_TARGET, FRAMES), d.send(Cmd.START, int(CAP_ALL)),
                d.send(Cmd.UNLOCK, 20))),
    ("wrong-size", "4 KiB out of 2 MiB", lambda d: (_locked_2m(d), d.send(Cmd.UNLOCK, 600))),
    ("wrong-size", "2 MiB of 4 KiB pages",
     lambda d: (d.batch(Cmd.BATCHED_LOCK, range(512, 1024)),
                d.batch(Cmd.BATCHED_2M_UNLOCK, [512]))),
    ("written", "seen at unlock", lambda d: (_locked_4k(d), _write(d, 20), d.send(Cmd.UNLOCK, 20))),
    ("written", "last frame of 2 MiB", lambda d: (_locked_2m(d), _write(d, 1023), d.hv.verify())),
    ("written", "freed before START", lambda d: (_locked_2m(d), _write(d, 512),
                                                 d.send(Cmd.START, 0))),
    ("not-started", "after START 0", lambda d: (d.send(Cmd.START, 0), d.send(Cmd.GET_TARGET, FRAMES))),
    ("not-started", "after RESET",
     lambda d: (d.hv.faults.append(Fault(Status.RESET, frozenset({Cmd.LOCK}))),
                _locked_4k(d), d.send(Cmd.UNLOCK, 20))),
]

# Commands without their capability: what is granted, the call.
WITHOUT = [
    (BASIC_BATCHED & ~Cap.BASIC, lambda d: d.send(Cmd.LOCK, 20)),
    (BASIC_BATCHED & ~Cap.BASIC, lambda d: d.send(Cmd.UNLOCK, 20)),
    (Cap.BASIC, lambda d: d.batch(Cmd.BATCHED_LOCK, [20])),
    (Cap.BASIC, lambda d: d.batch(Cmd.BATCHED_UNLOCK, [20])),
    (BASIC_BATCHED, lambda d: d.batch(Cmd.BATCHED_2M_LOCK, [512])),
    (BASIC_BATCHED, lambda d: d.batch(Cmd.BATCHED_2M_UNLOCK, [512])),
    (Cap.BASIC | Cap.BATCHED_2M, lambda d: d.batch(Cmd.BATCHED_2M_LOCK, [512])),
    (BASIC_BATCHED, lambda d: d.send(Cmd.DOORBELL_SET, 2, 5)),
]


def provoke(t, kind, fault):
    driver = Driver(t)
    fault(driver)
    t.equal(driver.kinds(), [kind], "violations")


for kind, what, fault in FAULTS:
    tap.add(f"{kind}: {what} is seen", provoke, kind, fault)


@tap.case("capability: each command without its own is seen")
def without_capability(t):
    for granted, call in WITHOUT:
        driver = Driver(t, caps=granted)
        call(driver)
        t.equal(driver.kinds(), ["capability"], f"with {granted!r}")


@tap.case("not-started: every command before START is seen, taking the doorbell away is not")
def before_start(t):
    for cmd in Cmd:
        if cmd == Cmd.START:
            continue
        driver = Driver(t, start=False)
        driver.send(cmd, 1, 1)
        t.equal(driver.kinds(), ["not-started"], cmd.name)
    driver = Driver(t, start=False)
    for width in (ALL_ONES_32, 2 ** 64 - 1):
        t.equal(driver.send(Cmd.DOORBELL_SET, width, width).rax, Status.SUCCESS, "clear")
    t.equal(driver.kinds(), [], "violations")


@tap.case("every kind of violation is provoked by this suite")
def complete(t):
    provoked = {kind for kind, _, _ in FAULTS} | {"capability"}
    t.equal(provoked, set(VIOLATIONS), "kinds")


@tap.case("START: capabilities are what is both asked for and offered")
def negotiation(t):
    driver = Driver(t, start=False, caps=BASIC_BATCHED)
    answer = driver.send(Cmd.START, int(CAP_ALL))
    t.equal((answer.rax, answer.rcx), (SUCCESS_WITH_CAPABILITIES, int(BASIC_BATCHED)), "answer")
    driver = Driver(t, start=False, caps=Cap.BASIC)
    t.equal(driver.send(Cmd.START, int(CAP_ALL)).rax, Status.SUCCESS, "old host")
    driver = Driver(t, start=False)
    answer = driver.send(Cmd.START, int(Cap.BASIC))
    t.equal(answer.rcx, int(Cap.BASIC), "old driver")


@tap.case("a driver that does everything right is not blamed, with each set of capabilities")
def proper(t):
    for caps, lock, unlock, pages in (
            (CAP_ALL, Cmd.BATCHED_2M_LOCK, Cmd.BATCHED_2M_UNLOCK, [512, 1024, 2048]),
            (CAP_ALL, Cmd.BATCHED_LOCK, Cmd.BATCHED_UNLOCK, range(20, 532)),
            (BASIC_BATCHED, Cmd.BATCHED_LOCK, Cmd.BATCHED_UNLOCK, [20, 21, 5]),
            (Cap.BASIC, Cmd.LOCK, Cmd.UNLOCK, [20, 21, 5])):
        driver = Driver(t, caps=caps, target=1234)
        driver.send(Cmd.GUEST_ID, 1)
        t.equal(driver.send(Cmd.GET_TARGET, FRAMES).rbx, 1234, "target")
        frames = FRAMES_PER_2M if lock == Cmd.BATCHED_2M_LOCK else 1
        for cmd, locked in ((lock, len(pages) * frames), (unlock, 0)):
            if caps == Cap.BASIC:
                answers = [driver.send(cmd, pfn, 1) for pfn in pages]
                t.equal({(a.rax, a.rbx) for a in answers}, {(0, 1234)}, "answers")
            else:
                t.equal(driver.batch(cmd, pages), (0, [0] * len(pages)), "statuses")
            t.equal(driver.hv.locked, locked, "locked")
            t.equal(driver.hv.verify(), locked, "frames looked at")
        driver.send(Cmd.START, 0)
        t.equal(driver.kinds(), [], f"violations with {caps!r}")


@tap.case("what a host may do to a driver is no violation")
def host_rights(t):
    driver = Driver(t)
    driver.hv.refuse.append(lambda pfn, frames: Status.PPN_PINNED if pfn == 21 else None)
    t.equal(driver.batch(Cmd.BATCHED_LOCK, [20, 21, 22]), (0, [0, Status.PPN_PINNED, 0]), "refused")
    t.equal(driver.batch(Cmd.BATCHED_LOCK, [21])[1], [Status.PPN_PINNED], "refused again")
    t.equal(driver.hv.locked, 2, "locked")

    driver.hv.refuse_unlock.append(lambda pfn, frames: Status.PPN_INVALID if pfn == 20 else None)
    t.equal(driver.batch(Cmd.BATCHED_UNLOCK, [20, 22]), (0, [Status.PPN_INVALID, 0]), "kept")
    t.check(driver.hv.is_locked(20) and not driver.hv.is_locked(22), "the kept page is locked")

    driver.hv.faults.append(Fault(Status.BUSY, LOCKS, skip=1, times=2))
    t.equal([driver.send(Cmd.LOCK, pfn).rax for pfn in (30, 31, 31, 31)],
            [0, Status.BUSY, Status.BUSY, 0], "BUSY for the second and third call")

    driver.hv.target, driver.hv.overshoot = 4, 1
    t.equal(driver.batch(Cmd.BATCHED_LOCK, [40, 41, 42, 43])[1],
            [0, 0, Status.PPN_NOTNEEDED, Status.PPN_NOTNEEDED], "beyond the target")
    t.equal(driver.kinds(), [], "violations")


@tap.case("RESET in the middle of a batch drops every lock")
def reset(t):
    driver = Driver(t)
    driver.batch(Cmd.BATCHED_2M_LOCK, [512])
    driver.hv.faults.append(Fault(Status.RESET, MOVES, after_entries=2))
    t.equal(driver.batch(Cmd.BATCHED_LOCK, [20, 21, 22])[0], Status.RESET, "status")
    t.equal((driver.hv.locked, driver.hv.granted), (0, None), "locked, granted")
    _write(driver, 512)
    driver.send(Cmd.START, int(CAP_ALL))
    t.equal(driver.batch(Cmd.BATCHED_LOCK, [20, 512]), (0, [0, 0]), "afterwards")
    t.equal(driver.kinds(), [], "violations")


@tap.case("a target of more than 32 bits and one that follows the balloon")
def targets(t):
    driver = Driver(t, target=1 << 32 | 77)
    t.equal(driver.send(Cmd.GET_TARGET, FRAMES).rbx, 1 << 32 | 77, "64-bit target")
    driver.hv.target = lambda hv: 100 - hv.locked
    _locked_4k(driver)
    t.equal(driver.send(Cmd.GET_TARGET, FRAMES).rbx, 99, "target of a function")
    t.equal(driver.kinds(), [], "violations")


if __name__ == "__main__":
    tap.main()
