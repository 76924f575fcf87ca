# SPDX-License-Identifier: GPL-2.0-or-later
"""VMware's side of the balloon protocol, strict and scriptable.

Models what a driver can see: one port read is one call(); its registers carry a
command, the answer a status, a result and, where a batch page is named, one
status an entry. The state is the negotiated capabilities and which frame is
locked at which page size.

Strict: whatever the protocol forbids is answered with an error *and* recorded
in `violations`, one of VIOLATIONS each. What a host may do to a driver (a
refused page, BUSY, RESET, NOTNEEDED) is never a violation; it is scripted by
`target`, `refuse`, `refuse_unlock`, `overshoot`,
`faults` and `offered`.

Pure: knows neither gdb nor threads nor time, only an object with GuestRam's
methods. Leaves out what no driver can observe: the host's own memory.
"""
import re
import struct
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

from .guestram import FRAME_SIZE, FRAMES_PER_2M

MAGIC = 0x456c6d6f
PORT = 0x5670
GUEST_LINUX = 1
BATCH_ENTRIES = 512
ALL_ONES_32 = 0xffffffff
SUCCESS_WITH_CAPABILITIES = 0x03000000


class Cmd(IntEnum):
    START = 0
    GET_TARGET = 1
    LOCK = 2
    UNLOCK = 3
    GUEST_ID = 4
    BATCHED_LOCK = 6
    BATCHED_UNLOCK = 7
    BATCHED_2M_LOCK = 8
    BATCHED_2M_UNLOCK = 9
    DOORBELL_SET = 10


class Status(IntEnum):
    SUCCESS = 0
    CMD_INVALID = 1
    PPN_INVALID = 2
    PPN_LOCKED = 3
    PPN_UNLOCKED = 4
    PPN_PINNED = 5
    PPN_NOTNEEDED = 6
    RESET = 7
    BUSY = 8


class Cap(IntFlag):
    BASIC = 1 << 1
    BATCHED = 1 << 2
    BATCHED_2M = 1 << 3
    DOORBELL = 1 << 4
    TARGET_64 = 1 << 5


CAP_ALL = Cap.BASIC | Cap.BATCHED | Cap.BATCHED_2M | Cap.DOORBELL | Cap.TARGET_64

LOCKS = frozenset({Cmd.LOCK, Cmd.BATCHED_LOCK, Cmd.BATCHED_2M_LOCK})
UNLOCKS = frozenset({Cmd.UNLOCK, Cmd.BATCHED_UNLOCK, Cmd.BATCHED_2M_UNLOCK})
MOVES = LOCKS | UNLOCKS
_BATCHED = MOVES - {Cmd.LOCK, Cmd.UNLOCK}
_2M = frozenset({Cmd.BATCHED_2M_LOCK, Cmd.BATCHED_2M_UNLOCK})
_NEEDS = {
    Cmd.LOCK: Cap.BASIC, Cmd.UNLOCK: Cap.BASIC,
    Cmd.BATCHED_LOCK: Cap.BATCHED, Cmd.BATCHED_UNLOCK: Cap.BATCHED,
    Cmd.BATCHED_2M_LOCK: Cap.BATCHED | Cap.BATCHED_2M,
    Cmd.BATCHED_2M_UNLOCK: Cap.BATCHED | Cap.BATCHED_2M,
    Cmd.DOORBELL_SET: Cap.DOORBELL,
}

VIOLATIONS = {
    "magic": "EAX is not the magic number, or not zero-extended",
    "port": "another port than the balloon's",
    "command": "no such command",
    "not-started": "a command before START, or after RESET without a START",
    "capability": "a command whose capability was not negotiated",
    "start-bits": "START asks for reserved capability bits",
    "guest-id": "GUEST_ID is not Linux",
    "limit": "GET_TARGET's limit is not the guest's RAM",
    "limit-32": "a limit or PFN of more than 32 bits without 64-bit targets",
    "arg2": "a second argument where there is none",
    "batch-page": "the batch page is not in RAM, or is locked",
    "batch-count": "a batch of no or more than 512 entries",
    "reserved-bits": "a batch entry with its low 12 bits not zero",
    "pfn-range": "a PFN beyond the guest's RAM",
    "misaligned-2m": "a 2 MiB page that is not aligned",
    "double-lock": "a lock of what is locked",
    "unlock-unlocked": "an unlock of what is not locked",
    "wrong-size": "an unlock with another page size than the lock",
    "written": "a locked frame was written to",
}

# Frame states.
_FREE, _4K, _2M_PART = 0, 1, 2
_RUN_FREE = bytes(FRAMES_PER_2M)
_RUN_2M = bytes([_2M_PART]) * FRAMES_PER_2M
_LOCKED_PAGE = re.compile(b"%c|%c{%d}" % (_4K, _2M_PART, FRAMES_PER_2M))


@dataclass
class Fault:
    """Answer `status` to `times` calls out of `commands`, after `skip` of them.

    With `after_entries` the call is a batch whose first entries are processed
    before the whole call fails.
    """
    status: Status
    commands: frozenset
    skip: int = 0
    times: int = 1
    after_entries: int = 0


@dataclass
class Violation:
    kind: str
    call: str           # during or after which it was seen
    text: str

    def __str__(self):
        return f"{self.call}: {self.kind}: {self.text}"


@dataclass
class Answer:
    rax: int
    rbx: int
    rcx: int


def _first_answer(rules, pfn, frames):
    for rule in rules:
        status = rule(pfn, frames)
        if status is not None:
            return status
    return None


@dataclass
class Hypervisor:
    ram: object
    offered: Cap = CAP_ALL
    # Pages, or a function of this object that returns them.
    target: object = 0
    # Functions (pfn, frames) -> Status or None, asked for each page to be locked.
    refuse: list = field(default_factory=list)
    # The same for pages to be unlocked.
    refuse_unlock: list = field(default_factory=list)
    # Pages above the target that are accepted before NOTNEEDED; None = any number.
    overshoot: object = None
    faults: list = field(default_factory=list)

    def __post_init__(self):
        self.violations = []
        self.calls = {cmd: 0 for cmd in Cmd}
        self.statuses = {}           # (Cmd, status of the call) -> number
        self.page_statuses = {}      # (Cmd, status of a page) -> number
        self.call_no, self.call_name = 0, "no call"
        self.starts = []             # capabilities asked for by each START
        self.limits = []             # limit of each GET_TARGET, repetitions left out
        self.granted = None          # negotiated capabilities; None = not started
        self.reset_pending = False
        self.doorbell = None         # (context, resource)
        self.guest_id = None
        self.locked = 0              # frames
        self.locked_2m = 0           # frames of it that are locked as 2 MiB pages
        self._state = bytearray(self.ram.frames)

    # -- for scripts -------------------------------------------------------

    def current_target(self):
        return self.target(self) if callable(self.target) else self.target

    def lock_calls(self):
        return sum(self.calls[c] for c in LOCKS)

    def unlock_calls(self):
        return sum(self.calls[c] for c in UNLOCKS)

    def describe(self):
        calls = " ".join(f"{c.name}:{n}" for c, n in self.calls.items() if n)
        text = f"target {self.current_target()}, locked {self.locked} pages, calls {calls or 'none'}"
        return text + "".join(f"; VIOLATION {v}" for v in self.violations[:5])

    def verify(self):
        """Look at every locked frame for writes. Returns how many were looked at."""
        seen = 0
        for pfn, frames in self._locked_pages():
            seen += frames
            self._check_marking(pfn, frames)
        return seen

    def is_locked(self, pfn):
        return self._state[pfn] != _FREE

    # -- the protocol --------------------------------------------------------

    def call(self, rax, rbx, rcx, rdx, rsi):
        """One port read. Takes the registers, returns those that it changes."""
        self.call_no += 1
        self.call_name = f"command {rcx:#x}"
        if rdx & 0xffff != PORT:
            self._violate("port", f"{rdx:#x}")
            return Answer(ALL_ONES_32, rbx, rcx)
        if rax != MAGIC:
            self._violate("magic", f"{rax:#x}")
            return Answer(ALL_ONES_32, rbx, rcx)
        try:
            cmd = Cmd(rcx)
        except ValueError:
            self._violate("command", f"{rcx:#x}")
            return Answer(Status.CMD_INVALID, rbx, rcx)

        self.calls[cmd] += 1
        self.call_name = cmd.name
        capabilities = rcx
        if cmd == Cmd.START:
            status, capabilities = self._start(rbx, rsi)
        else:
            status = self._gate(cmd, rbx, rsi)
            if status is None:
                status = self._dispatch(cmd, rbx, rsi)
        key = (cmd, int(status))
        self.statuses[key] = self.statuses.get(key, 0) + 1
        if status == Status.RESET:
            self._reset()
        result = rbx
        if status == Status.SUCCESS and (cmd in MOVES or cmd == Cmd.GET_TARGET):
            result = self.current_target()
        return Answer(int(status), result, capabilities)

    def _violate(self, kind, text):
        assert kind in VIOLATIONS, kind
        self.violations.append(Violation(kind, f"call {self.call_no} ({self.call_name})", text))

    def _fault(self, cmd):
        for fault in self.faults:
            if cmd not in fault.commands or fault.times <= 0:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault
        return None

    def _gate(self, cmd, arg1, arg2):
        """What forbids the command before its arguments matter; None = nothing."""
        if cmd == Cmd.DOORBELL_SET and arg1 & arg2 & ALL_ONES_32 == ALL_ONES_32:
            # Taking a doorbell away is harmless, the drivers begin with it.
            self.doorbell = None
            return Status.SUCCESS
        if self.granted is None:
            self._violate("not-started", cmd.name)
            return Status.RESET if self.reset_pending else Status.CMD_INVALID
        need = _NEEDS.get(cmd, Cap(0))
        if need & ~self.granted:
            self._violate("capability", f"{cmd.name} with {self.granted!r}")
            return Status.CMD_INVALID
        return None

    def _dispatch(self, cmd, arg1, arg2):
        fault = self._fault(cmd)
        if fault and (not fault.after_entries or cmd not in _BATCHED):
            return fault.status
        if cmd == Cmd.GET_TARGET:
            return self._get_target(arg1, arg2)
        if cmd == Cmd.GUEST_ID:
            if arg1 != GUEST_LINUX:
                self._violate("guest-id", f"{arg1:#x}")
                return Status.CMD_INVALID
            if arg2:
                self._violate("arg2", f"{cmd.name} {arg2:#x}")
            self.guest_id = arg1
            return Status.SUCCESS
        if cmd == Cmd.DOORBELL_SET:
            self.doorbell = (arg1, arg2)
            return Status.SUCCESS
        if cmd in _BATCHED:
            status = self._batch(cmd, arg1, arg2, fault.after_entries if fault else None)
            return fault.status if fault and status == Status.SUCCESS else status
        # The basic commands move one page; a driver may say so in the second argument.
        if arg2 > 1:
            self._violate("arg2", f"{cmd.name} {arg2:#x}")
        if arg1 >> 32:
            self._violate("limit-32", f"{cmd.name} of PFN {arg1:#x}")
            return Status.PPN_INVALID
        return self._page(cmd, arg1)

    def _start(self, wanted, arg2):
        self.starts.append(wanted)
        fault = self._fault(Cmd.START)
        if fault:
            return fault.status, Cmd.START
        if wanted & ~int(CAP_ALL):
            self._violate("start-bits", f"{wanted:#x}")
        if arg2:
            self._violate("arg2", f"START {arg2:#x}")
        self._forget_locks()
        self.reset_pending = False
        self.guest_id = None
        if not wanted:
            self.granted = None
            return Status.SUCCESS, Cmd.START
        self.granted = Cap(wanted & int(self.offered))
        if self.offered == Cap.BASIC:
            # A host that knows the basic commands only knows no capabilities.
            self.granted = Cap.BASIC
            return Status.SUCCESS, Cmd.START
        return SUCCESS_WITH_CAPABILITIES, int(self.granted)

    def _get_target(self, limit, arg2):
        if arg2:
            self._violate("arg2", f"GET_TARGET {arg2:#x}")
        if limit >> 32 and not self.granted & Cap.TARGET_64:
            self._violate("limit-32", f"GET_TARGET with {limit:#x}")
            return Status.CMD_INVALID
        # The kernel keeps a part of RAM to itself from the start (its own image
        # and its page structs); the balloon must not be missing from the limit.
        if not self.ram.frames * 7 // 8 <= limit <= self.ram.frames:
            self._violate("limit", f"{limit} of {self.ram.frames} pages")
        if not self.limits or self.limits[-1] != limit:
            self.limits.append(limit)
        return Status.SUCCESS

    def _batch(self, cmd, batch_pfn, count, stop_after):
        if batch_pfn >= self.ram.frames or self.is_locked(batch_pfn):
            self._violate("batch-page", f"{cmd.name} at {batch_pfn:#x}")
            return Status.PPN_INVALID
        if not 1 <= count <= BATCH_ENTRIES:
            self._violate("batch-count", f"{cmd.name} of {count}")
            return Status.CMD_INVALID
        address = batch_pfn * FRAME_SIZE
        entries = list(struct.unpack(f"<{count}Q", self.ram.read(address, 8 * count)))
        for i, entry in enumerate(entries[:stop_after]):
            if entry & (FRAME_SIZE - 1):
                self._violate("reserved-bits", f"{cmd.name} entry {i} is {entry:#x}")
                status = Status.PPN_INVALID
            elif entry // FRAME_SIZE == batch_pfn:
                self._violate("batch-page", f"{cmd.name} entry {i} is the batch page")
                status = Status.PPN_INVALID
            else:
                status = self._page(cmd, entry // FRAME_SIZE)
            entries[i] = entry & ~0x1f | int(status)
        self.ram.write(address, struct.pack(f"<{count}Q", *entries))
        return Status.SUCCESS

    # -- pages ---------------------------------------------------------------

    def _page(self, cmd, pfn):
        frames = FRAMES_PER_2M if cmd in _2M else 1
        if pfn + frames > self.ram.frames:
            self._violate("pfn-range", f"{cmd.name} of {pfn:#x}")
            status = Status.PPN_INVALID
        elif pfn % frames:
            self._violate("misaligned-2m", f"{cmd.name} of {pfn:#x}")
            status = Status.PPN_INVALID
        elif cmd in LOCKS:
            status = self._lock(cmd, pfn, frames)
        else:
            status = self._unlock(cmd, pfn, frames)
        key = (cmd, int(status))
        self.page_statuses[key] = self.page_statuses.get(key, 0) + 1
        return status

    def _lock(self, cmd, pfn, frames):
        if self._state[pfn:pfn + frames] != _RUN_FREE[:frames]:
            self._violate("double-lock", f"{cmd.name} of {pfn:#x}")
            return Status.PPN_LOCKED
        if self.overshoot is not None and self.locked >= self.current_target() + self.overshoot:
            return Status.PPN_NOTNEEDED
        status = _first_answer(self.refuse, pfn, frames)
        if status is not None:
            return status
        self._state[pfn:pfn + frames] = _RUN_2M if frames > 1 else bytes([_4K])
        self._count(frames, +1)
        self.ram.mark(pfn, frames)
        return Status.SUCCESS

    def _unlock(self, cmd, pfn, frames):
        held = self._state[pfn:pfn + frames]
        if _FREE in held:
            self._violate("unlock-unlocked", f"{cmd.name} of {pfn:#x}")
            return Status.PPN_UNLOCKED
        if held != (_RUN_2M if frames > 1 else bytes([_4K])):
            self._violate("wrong-size", f"{cmd.name} of {pfn:#x}")
            return Status.PPN_INVALID
        status = _first_answer(self.refuse_unlock, pfn, frames)
        if status is not None:
            return status
        self._check_marking(pfn, frames)
        self._state[pfn:pfn + frames] = bytes(frames)
        self._count(frames, -1)
        return Status.SUCCESS

    def _count(self, frames, sign):
        self.locked += sign * frames
        if frames > 1:
            self.locked_2m += sign * frames

    def _check_marking(self, pfn, frames):
        bad = self.ram.damaged(pfn, frames)
        if bad is not None:
            self._violate("written", f"frame {bad:#x}, locked as a page of {frames}")

    def _locked_pages(self):
        for run in _LOCKED_PAGE.finditer(self._state):
            yield run.start(), run.end() - run.start()

    def _forget_locks(self):
        """The host's side of a reset: the guest owns all of its memory again."""
        self.verify()
        self._state = bytearray(self.ram.frames)
        self.locked = self.locked_2m = 0

    def _reset(self):
        self._forget_locks()
        self.granted = None
        self.reset_pending = True
