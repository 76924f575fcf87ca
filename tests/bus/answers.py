# SPDX-License-Identifier: GPL-2.0-or-later
"""A balloond that says what a case wants it to say (fake-balloond.c), and a history of its making.

Left out: the real one, which lab.py has.
"""
import os
import struct
import subprocess
import zlib

import tap
from lab import PATIENCE_S, end

FAKE = os.environ["FAKE_BALLOOND"]
MIB = 1 << 20
SEC = 1000000
NONE = (1 << 64) - 1

# A guest in which all is well and nothing moves.
PROPS = {
    "Version": ("s", "1.2"), "Mode": ("s", "auto"), "Law": ("s", "adaptive"), "Host": ("s", "virtio"),
    "Capabilities": ("as", "reporting deflate-on-oom guest-driven"),
    "RAM": ("t", 1024 * MIB), "Size": ("t", 256 * MIB), "Target": ("t", 256 * MIB), "Goal": ("t", 256 * MIB),
    "HostTarget": ("t", NONE), "ManualTarget": ("t", NONE), "Limit": ("t", 768 * MIB), "Floor": ("t", 128 * MIB),
    "Headroom": ("t", 64 * MIB), "Available": ("t", 512 * MIB), "Free": ("t", 300 * MIB), "Cached": ("t", 200 * MIB),
    "Reason": ("s", "steady"), "ReasonText": ("s", "The balloon is where it should be."),
    "PressureSome": ("u", 12), "PressureFull": ("u", 3), "PressureIO": ("u", 45), "RefaultRate": ("t", 0),
    "LeaseLeft": ("t", 0), "HoldOffLeft": ("t", 0), "Account": ("s", "gone"), "AccountText": ("s", "MemTotal falls"),
    "ReliefLine": ("t", 0), "Relieved": ("t", 0), "Held": ("s", ""), "HeldLeft": ("t", NONE),
    "InflatedTotal": ("t", 300 * MIB), "DeflatedTotal": ("t", 44 * MIB), "RescueEvents": ("t", 0), "Rescued": ("t", 0),
    "Emergencies": ("t", 0), "ConfigFile": ("s", "/etc/balloond.conf"), "ConfigError": ("s", ""),
    "Problem": ("s", ""),
}


class Fake:
    """The name on @bus, with PROPS as they are."""

    def __init__(self, t, bus):
        self.process = subprocess.Popen([FAKE, bus.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        bufsize=1)
        t.defer(self.process.stdout.close)
        t.defer(end, self.process)
        self.asked = []
        self.hears("ready")
        self.set(**PROPS)
        t.wait(bus.owned, PATIENCE_S, "the fake owns the name", interval=0.05)

    def hears(self, word):
        while line := self.process.stdout.readline():
            if line.strip() == word:
                return
            self.asked.append(line.split()[1])
        raise tap.Failure(f"the fake ended before it said {word}")

    def say(self, *lines):
        for line in lines:
            self.process.stdin.write(line + "\n")
            self.hears("ok")

    def set(self, **props):
        """NAME=(type, value), or NAME=value with the type that it has in PROPS; None takes it away."""
        for name, value in props.items():
            if value is None:
                self.say(f"unset {name}")
            else:
                kind, value = value if isinstance(value, tuple) else (PROPS[name][0], value)
                self.say(f"prop {name} {kind} {value}".replace("\n", "\v"))

    def reset(self, **props):
        self.say("clear")
        self.set(**PROPS)
        self.set(**props)

    def change(self, **props):
        """set(), and everybody is told."""
        self.set(**props)
        self.say("changed")


def record(number, time_us, flags=0, ram=1024 * MIB, size=256 * MIB, target=None, goal=None, host_target=NONE,
           available=512 * MIB, available_min=None, free=300 * MIB, cached=200 * MIB, headroom=64 * MIB,
           floor=128 * MIB, hold_off_us=0, refaults=0, some=0, full=0, io=0, relieved_kib=0, mode="auto",
           law="adaptive", reason="steady"):
    """A decision as basic/history-file.h lays it out, without its checksum."""
    target = size if target is None else target
    return (struct.pack("=QQHHI", number, time_us, 1, 0, flags) +
            struct.pack("=13Q4I8s12s12s", ram, size, target, target if goal is None else goal, host_target, available,
                        available if available_min is None else available_min, free, cached, headroom, floor,
                        hold_off_us, refaults, some, full, io, relieved_kib, mode.encode(), law.encode(),
                        reason.encode()) + bytes(4))


def note(number, time_us, text):
    return struct.pack("=QQHHI152s", number, time_us, 2, 0, 0, text.encode()) + bytes(4)


def sealed(body):
    return body + struct.pack("=I", zlib.crc32(body))


def history(path, records, capacity=64):
    """A file with @records, each of a number of its own, where the daemon would have put them."""
    head = struct.pack("=QIII", 0x7473486e6f6c6c61, 1, 184, capacity)
    slots = [bytes(184)] * capacity
    for body in records:
        slots[struct.unpack_from("=Q", body)[0] % capacity] = sealed(body)
    with open(path, "wb") as f:
        f.write((head + struct.pack("=I", zlib.crc32(head))).ljust(4096, b"\0") + b"".join(slots))
    return path
