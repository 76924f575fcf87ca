# SPDX-License-Identifier: GPL-2.0-or-later
"""The bus used as nobody should: malformed, huge, fast, and left in the middle.

Each call gets an answer, wrong ones an error; whoever may not change anything does not; and hold,
order and mode are afterwards what they were, the daemon has ticked all the while, and it has grown by
nothing. The seed is the day's, FUZZ_SEED gives another one.

Left out: what the bus itself refuses (it cuts off who sends it; our daemon never sees it).
"""
import os
import random
import re
import signal
import shutil
import tempfile
import threading
import time

import lab
import tap
import wire
from lab import Bus, Daemon, ctl, expect

SEED = int(os.environ.get("FUZZ_SEED") or time.strftime("%Y%m%d", time.gmtime()))
QUICK = 'interval = "100ms";\nidle_interval = "100ms";\nlog_level = "err";\n'
NOBODY = 65534
DEFAULTS = (lab.NAME, lab.PATH, lab.MANAGER)
MIB = 1 << 20
# What a call of each takes.
CHANGES = {"SetTarget": "t", "SetMode": "s", "SetLaw": "s", "Hold": "st", "Release": "", "Reload": ""}
LOOKS = {"OpenHistory": "", "GetMetrics": "", "GetConfig": ""}
METHODS = {**CHANGES, **LOOKS}
INTERFACES = (lab.MANAGER, lab.PROPERTIES, "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer",
              "org.freedesktop.DBus.ObjectManager", "org.balloond1.Manager2", "a.b")
NUMBERS = {"y": (0, 255), "b": (0, 1), "n": (-2**15, -1, 2**15 - 1), "q": (0, 2**16 - 1),
           "i": (-2**31, -1, 2**31 - 1), "u": (0, 2**32 - 1), "x": (-2**63, -1, 2**63 - 1),
           "t": (0, 1, 2**63, 2**64 - 1),
           "d": (0.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e308)}
DEPTH = 24
HUGE = 300000
# The system's bus lets messages of up to 32 MiB through.
NAME_MIB = 20
# It cuts off whoever sends a much longer one.
PATH_LENGTH = 30000


def text(dice):
    return dice.choice(("", "x", "auto\n", "\x1b[31m", "é" * 100, "%s%n%p" * 20, "../" * 50, "x" * 121,
                        "x" * dice.randrange(HUGE)))


def argument(dice):
    """(signature, value) of something that is marshalled rightly."""
    kind = dice.choice("ybnqiuxtdsssogavc(")
    if kind in NUMBERS:
        return kind, dice.choice(NUMBERS[kind])
    if kind == "o":
        return "o", "/" + "/".join(["a" * 20] * dice.randrange(1, 50))
    if kind == "g":
        return "g", "a{sv}" * dice.randrange(40)
    if kind == "a":
        inner, value = argument(dice)
        # Long or deep; a message has a limit.
        return "a" + inner, [value] * dice.randrange(1, 3000 if inner in NUMBERS else 3)
    if kind == "v":
        return "v", argument(dice)
    if kind == "(":
        parts = [argument(dice) for _ in range(dice.randrange(1, 4))]
        return "(" + "".join(s for s, _ in parts) + ")", [v for _, v in parts]
    if kind == "c":
        # As deep as D-Bus allows, or nearly.
        signature, value = dice.choice((("a" * DEPTH + "y", []), ("(" * DEPTH + "y" + ")" * DEPTH, 7)))
        for _ in range(DEPTH if value else 0):
            value = [value]
        for _ in range(0 if value else DEPTH):
            signature, value = "v", (signature, value)
        return signature, value
    return "s", text(dice)


def arguments(dice):
    try:
        parts = [argument(dice) for _ in range(dice.randrange(4))]
    except RecursionError:
        return "", []
    signature = "".join(s for s, _ in parts)
    return (signature, [v for _, v in parts]) if len(signature) < 200 else ("s", [text(dice)])


def wrong_call(dice):
    """(interface, path, member, signature, values) of a call that must fail."""
    kind = dice.randrange(10)
    signature, values = arguments(dice)
    if kind < 5:
        member = dice.choice(list(METHODS))
        if signature == METHODS[member]:
            signature, values = signature + "d", [*values, float("nan")]
        return lab.MANAGER, lab.PATH, member, signature, values
    if kind == 5:
        name = dice.choice(("Mode", "Size", "Held", text(dice)))
        return lab.PROPERTIES, lab.PATH, "Set", "ssv", [lab.MANAGER, name, argument(dice)]
    if kind == 6:
        return lab.PROPERTIES, lab.PATH, "Get", "ss", [dice.choice((lab.MANAGER, "", text(dice))), "No" + text(dice)]
    if kind == 7:
        path = lab.PATH + "/" + "x" * dice.randrange(1, 200)
        return lab.MANAGER, path, dice.choice(list(METHODS)), signature, values
    if kind == 8:
        return dice.choice(INTERFACES), lab.PATH, "Frob" + "x" * dice.randrange(200), signature, values
    # Rightly typed, and nonsense.
    return lab.MANAGER, lab.PATH, *dice.choice((
        ("SetMode", "s", ["no" + text(dice)]), ("SetLaw", "s", ["no" + text(dice)]), ("SetTarget", "t", [2**64 - 2]),
        ("Hold", "st", ["", 0]), ("Hold", "st", ["x\n" + text(dice), 0]), ("Hold", "st", ["x", 2**64 - 1]),
        ("Hold", "st", ["y" * 121 + text(dice), 5])))


class Known:
    """A daemon that has been given orders, which must stay."""

    def __init__(self, t, bus):
        self.t, self.bus = t, bus
        self.folder = tempfile.mkdtemp(prefix="balloond-fuzz-")
        t.defer(shutil.rmtree, self.folder, ignore_errors=True)
        self.env = {"STATE_DIRECTORY": self.folder}
        self.daemon = Daemon(t, bus, QUICK, env=self.env)
        t.wait(lambda: bus.get("RAM"), lab.PATIENCE_S, "it knows the machine")
        expect(t, ctl(bus, "policy", "committed"), 0)
        expect(t, ctl(bus, "set-target", "1M"), 0)
        expect(t, ctl(bus, "hold", "under test"), 0)
        self.before = self.orders()
        t.equal(self.before, {"Mode": "manual", "Law": "committed", "ManualTarget": MIB, "Held": "under test",
                              "ConfigError": ""}, "orders")

    def orders(self):
        p = self.bus.properties()
        return {k: p[k][1] for k in ("Mode", "Law", "ManualTarget", "Held", "ConfigError")}

    def unchanged(self):
        self.t.equal(self.orders(), self.before, "orders")
        self.t.equal(self.daemon.process.poll(), None, "the daemon has ended")
        ticks = self.bus.get("Ticks")
        self.t.wait(lambda: self.bus.get("Ticks") > ticks + 2, lab.PATIENCE_S, "it ticks")


def client(t, bus, uid=None):
    c = wire.Client(bus.socket, DEFAULTS, uid)
    t.defer(c.close)
    return c


def send_wrong(c, dice, n):
    """@n wrong calls; what came back, with the call."""
    calls = {}
    for _ in range(n):
        interface, path, member, signature, values = wrong_call(dice)
        serial = c.send(member, signature, values, path=path, interface=interface)
        calls[serial] = (interface, path, member, signature)
    return [(calls[serial], answer) for serial, answer in c.answers(calls).items()]


@tap.setup
def set_up():
    lab.need_root()


@tap.case("wrong calls: an error each, and nothing changes", timeout=90)
def wrong(t):
    t.diag(f"seed {SEED}")
    bus = Bus(t)
    known = Known(t, bus)
    c, dice = client(t, bus), random.Random(f"{SEED} wrong")
    ticks = bus.get("Ticks")
    errors = {}
    for _ in range(40):
        for call, answer in send_wrong(c, dice, 25):
            t.check(answer, f"{call} was not refused")
            errors[answer[0]] = errors.get(answer[0], 0) + 1
            # What is not ours is answered by sd-bus, which repeats what it was asked for.
            if call[0] == lab.MANAGER and call[2] in METHODS:
                t.check(len(answer[1]) < 600, f"{call}: an error of {len(answer[1])} characters")
    t.diag(f"{sum(errors.values())} errors: {errors}")
    for name in ("InvalidArgs", "UnknownMethod", "UnknownObject", "PropertyReadOnly"):
        t.check(f"org.freedesktop.DBus.Error.{name}" in errors, f"{name} is among them: {errors}")
    with t.subtest("every method is among them, and no property can be written"):
        xml = bus.busctl("call", lab.NAME, lab.PATH, "org.freedesktop.DBus.Introspectable", "Introspect").stdout
        mine = xml[xml.index(lab.MANAGER):].split("</interface>")[0]
        t.equal(sorted(re.findall(r'<method name=.?"(\w+)', mine)), sorted(METHODS), "methods")
        values = {"s": "x", "t": 1, "u": 1, "as": ["x"]}
        calls = {c.send("Set", "ssv", [lab.MANAGER, name, (kind, values[kind])], interface=lab.PROPERTIES): name
                 for name, (kind, _) in bus.properties().items()}
        for serial, answer in c.answers(calls).items():
            t.equal(answer and answer[0], "org.freedesktop.DBus.Error.PropertyReadOnly", calls[serial])
    with t.subtest("orders are as they were, and it went on deciding"):
        t.check(bus.get("Ticks") > ticks, "ticks meanwhile")
        known.unchanged()
    with t.subtest("the hold survives a crash after all that"):
        known.daemon.signal(signal.SIGKILL)
        known.daemon.process.wait(lab.PATIENCE_S)
        t.wait(lambda: not bus.owned(), lab.PATIENCE_S, "the name is free")
        Daemon(t, bus, QUICK, env=known.env)
        t.equal(bus.get("Held"), "under test", "Held")


@tap.case("as another user: nobody is let in", timeout=60)
def stranger(t):
    bus = Bus(t)
    known = Known(t, bus)
    c, dice = client(t, bus, NOBODY), random.Random(f"{SEED} stranger")
    valid = {"SetTarget": ("t", [2 * MIB]), "SetMode": ("s", ["auto"]), "SetLaw": ("s", ["adaptive"]),
             "Hold": ("st", ["mine", 0]), "Release": ("", []), "Reload": ("", [])}
    t.equal(sorted(valid), sorted(CHANGES), "every method that changes something")
    with t.subtest("rightly called"):
        calls = {c.send(member, *valid[member]): member for _ in range(20) for member in valid}
        for serial, answer in c.answers(calls).items():
            t.equal(answer and answer[0], "org.freedesktop.DBus.Error.AccessDenied", calls[serial])
    with t.subtest("without waiting for an answer"):
        for member in valid:
            c.send(member, *valid[member], flags=1)
        t.equal(c.answers([last := c.send("GetMetrics")]), {last: None}, "a look")
    with t.subtest("wrongly called"):
        for call, answer in send_wrong(c, dice, 200):
            t.check(answer, f"{call} was not refused")
    with t.subtest("orders are as they were"):
        known.unchanged()


@tap.case("thousands of calls from several clients at once", timeout=120)
def fast(t):
    bus = Bus(t)
    known = Known(t, bus)
    begun = bus.get("Ticks")
    ticked = threading.Event()
    failed, answered = [], []

    def hurry(c, number):
        dice = random.Random(f"{SEED} {number}")
        try:
            # Until the daemon has ticked beside it, however slow the machine is.
            while len(answered) < 4000 or not ticked.is_set():
                name = dice.choice(("Mode", "Size", "Held"))
                calls = [c.send("GetMetrics"), c.send("GetConfig"), c.send("Frob"),
                         c.send("Get", "ss", [lab.MANAGER, name], interface=lab.PROPERTIES),
                         c.send("GetAll", "s", [lab.MANAGER], interface=lab.PROPERTIES),
                         *(c.send("SetTarget", "t", [dice.randrange(2**64)]) for _ in range(5))]
                answers = c.answers(calls)
                good = [serial for serial in calls if answers[serial] is None]
                if good != calls[:2] + calls[3:5]:
                    failed.append(f"client {number}: {answers}")
                    return
                answered.extend(calls)
        except OSError as e:
            failed.append(f"client {number}: {e}")
    # An identity is the whole process's: all connect before the first thread runs.
    connected = [client(t, bus, NOBODY if n % 2 else None) for n in range(4)]
    clients = [threading.Thread(target=hurry, args=(c, n), daemon=True) for n, c in enumerate(connected)]
    for thread in clients:
        thread.start()
    try:
        t.wait(lambda: failed or bus.get("Ticks") > begun + 5, lab.PATIENCE_S, "it ticks beside the calls")
    finally:
        ticked.set()
        for thread in clients:
            thread.join(60)
    t.equal((failed, [thread.is_alive() for thread in clients]), ([], [False] * 4), "clients")
    t.diag(f"{len(answered)} calls were answered")
    known.unchanged()


@tap.case("a name as long as the bus lets through", timeout=120)
def long_names(t):
    """It is there once, in the message, and not again in the error."""
    bus = Bus(t)
    known = Known(t, bus)
    c = client(t, bus, NOBODY)
    pid = known.daemon.process.pid

    def peak_kib():
        with open(f"/proc/{pid}/status") as f:
            return int(re.search(r"^VmHWM:\s+(\d+)", f.read(), re.M)[1])
    name, at_first = "x" * NAME_MIB * MIB, known.daemon.private_kib()
    calls = {"Get, interface": ("Get", "ss", [name, "Mode"], lab.PATH), "Get": ("Get", "ss", [lab.MANAGER, name], lab.PATH),
             "GetAll": ("GetAll", "s", [name], lab.PATH), "Set": ("Set", "ssv", [lab.MANAGER, name, ("s", "x")], lab.PATH),
             "path": ("Get", "ss", [lab.MANAGER, "Mode"], f"{lab.PATH}/{name[:PATH_LENGTH]}")}
    for what, (member, signature, values, path) in calls.items():
        with t.subtest(what):
            with open(f"/proc/{pid}/clear_refs", "w") as f:
                f.write("5")
            before = peak_kib()
            call = c.send(member, signature, values, path=path, interface=lab.PROPERTIES)
            answer = c.answers([call])[call]
            t.contains(answer[1], "of more than 255 bytes", "error")
            more = peak_kib() - before
            t.diag(f"{what}: {more} KiB")
            if not lab.sanitized():
                t.check(more < NAME_MIB * 1024 * 3 // 2, f"memory for a name of {NAME_MIB} MiB: {more} KiB")
                t.wait(lambda: known.daemon.private_kib() < at_first + 2048, 20, "it is given back")
    known.unchanged()


@tap.case("clients that leave in the middle", timeout=90)
def leaving(t):
    bus = Bus(t)
    known = Known(t, bus)
    dice = random.Random(f"{SEED} leaving")

    def come_and_go(n, longest):
        for _ in range(n):
            c = wire.Client(bus.socket, DEFAULTS, NOBODY if dice.random() < 0.2 else None)
            for _ in range(dice.randrange(1, 20)):
                c.send(dice.choice(("GetMetrics", "GetConfig", "OpenHistory")))
                c.send("SetMode", "s", ["no" + "x" * dice.randrange(longest)])
            if dice.random() < 0.5:
                # Half a message, or something that is none; the bus will not like it.
                del c.out[-dice.randrange(1, 60):]
                c.out += dice.randbytes(dice.randrange(100))
            try:
                c.flush()
            except OSError:
                pass
            c.close()

    def files():
        return len(known.daemon.descriptors_kept())
    come_and_go(20, 1000)
    bus.properties()
    opened, before = files(), known.daemon.private_kib()
    come_and_go(40, HUGE)
    # And somebody who stays: 80 MB. What waits is memory, too, so they are what it is compared with.
    c = client(t, bus)
    for _ in range(20):
        t.check(all(c.answers([c.send("SetMode", "s", ["x" * 200000]) for _ in range(20)]).values()), "errors")
    bus.properties()
    after = known.daemon.private_kib()
    t.diag(f"private memory {before} -> {after} KiB")
    with t.subtest("no descriptor is lost"):
        t.wait(lambda: files() <= opened, lab.PATIENCE_S, f"not more than {opened} open files")
    with t.subtest("memory for some of what was sent, not for all"):
        if not lab.sanitized():
            t.check(after - before < 32 * 1024, f"memory grew from {before} to {after} KiB")
    known.unchanged()
    # In a sanitizer build this is where leaks are found.
    t.equal(known.daemon.stop(), 0, f"exit status ({known.daemon.log()[-2000:]})")


if __name__ == "__main__":
    tap.main()
