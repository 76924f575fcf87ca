# SPDX-License-Identifier: GPL-2.0-or-later
"""balloonctl where the answer is no, or none, or not one; and where it waits and watches.

The daemon is a fake (answers.py): it refuses, falls silent, ends in the middle of a call, speaks another
version's language. Each must end in the exit status for it and in a text that says what to do.

Left out: refusals of the real daemon (test-bus.py, test-ops.py), and balloons that really move (tests/vm).
"""
import os
import pty
import re
import select
import signal
import subprocess
import time

import tap
from answers import MIB, NONE, Fake, history, note, record, sealed
from lab import BALLOONCTL, PATIENCE_S, STRICT_BUS, Bus, Daemon, ctl, end, expect

FAILED, USAGE, NO_DAEMON, DENIED, REFUSED, CONFIG, TIMEOUT = range(1, 8)
DBUS = "org.freedesktop.DBus.Error."
OURS = "org.balloond1.Error."

# Verb, method, error, exit status, text.
ERRORS = [
    ("status", "GetAll", DBUS + "NoReply", NO_DAEMON, "balloond ended before it answered"),
    ("reload", "Reload", DBUS + "AccessDenied", DENIED, "try again with sudo"),
    ("reload", "Reload", DBUS + "InteractiveAuthorizationRequired", DENIED, "try again with sudo"),
    ("reload", "Reload", DBUS + "UnknownMethod", FAILED, "of different versions (told so); restart the daemon"),
    ("metrics", "GetMetrics", DBUS + "UnknownInterface", FAILED, "of different versions"),
    ("status", "GetAll", DBUS + "UnknownObject", FAILED, "of different versions"),
    ("reload", "Reload", OURS + "Config", CONFIG, "told so"),
    ("reload", "Reload", DBUS + "Failed", FAILED, "balloond could not do that: told so"),
    ("mode auto", "SetMode", DBUS + "InvalidArgs", USAGE, "told so"),
    ("policy adaptive", "SetLaw", DBUS + "Failed", FAILED, "could not do that: told so"),
    ("hold why", "Hold", DBUS + "Failed", FAILED, "could not do that: told so"),
    ("release", "Release", DBUS + "AccessDenied", DENIED, "try again with sudo"),
    ("set-target auto", "SetMode", DBUS + "Failed", FAILED, "could not do that: told so"),
    ("set-target 1G", "GetAll", DBUS + "Failed", FAILED, "could not do that: told so"),
    ("set-target 1G", "SetTarget", OURS + "Held", REFUSED, "told so"),
    ("set-target 1G", "SetTarget", DBUS + "Failed", FAILED, "could not do that: told so"),
    ("history", "OpenHistory", DBUS + "Failed", FAILED, "could not do that: told so"),
    ("explain", "OpenHistory", DBUS + "NoReply", NO_DAEMON, "balloond ended before it answered"),
]


def start(t):
    bus = Bus(t)
    return bus, Fake(t, bus)


@tap.case("an error of the daemon: its exit status, its text, what to do", timeout=120)
def errors(t):
    bus, fake = start(t)
    for verb, method, error, code, text in ERRORS:
        with t.subtest(f"{verb}: {error}"):
            fake.reset()
            fake.say(f"answer {method} error {error} told so")
            p = expect(t, ctl(bus, *verb.split()), code, text)
            t.equal(len(p.stderr.splitlines()), 1, "lines")


@tap.case("an answer that is none: of another type, empty, or a file that is no history", timeout=120)
def garbage(t):
    bus, fake = start(t)
    another = "are balloond and balloonctl of the same version?"
    for verb, answer in (("status", "GetAll text hello"), ("status", "GetAll nothing"),
                         ("release", "Release text hello"), ("hold why", "Hold nothing"),
                         ("metrics", "GetMetrics bool 1"), ("dump", "GetConfig text x"),
                         ("history", "OpenHistory text x"), ("history", "OpenHistory file /dev/null")):
        with t.subtest(f"{verb}: {answer}"):
            fake.reset()
            fake.say("answer " + answer)
            p = ctl(bus, *verb.split())
            t.check(p.returncode == FAILED, f"exit status {p.returncode}: {p.stderr}")
            t.check(another in p.stderr or "cannot be read" in p.stderr, p.stderr)
    for name, kind in (("Size", "s many"), ("Mode", "t 1"), ("PressureSome", "t 1"), ("Capabilities", "s all")):
        with t.subtest(f"{name} is of type {kind.split()[0]}"):
            fake.reset(**{name: tuple(kind.split())})
            expect(t, ctl(bus, "status"), FAILED, another)
    with t.subtest("a file of another version, a short one, one that is a folder"):
        path = history(f"{bus.folder}/history", [record(1, 1)])
        with open(path, "r+b") as f:
            f.seek(8)
            f.write(b"\2")
        fake.say(f"answer OpenHistory file {path}")
        expect(t, ctl(bus, "history"), FAILED, "the history cannot be understood")
        os.truncate(history(path, [record(1, 1)]), 5000)
        expect(t, ctl(bus, "history"), FAILED, "the history cannot be read: ")
        fake.say("answer OpenHistory file /")
        expect(t, ctl(bus, "history"), FAILED, "the history cannot be read: Is a directory")


@tap.case("a history with records that nobody knows, or that are torn: the rest is shown")
def torn(t):
    bus, fake = start(t)
    path = history(f"{bus.folder}/history", [record(n, 1700000000000000 + n) for n in (1, 2, 3)])
    with open(path, "r+b") as f:
        f.seek(4096 + 2 * 184 + 50)
        f.write(b"torn")
    fake.say(f"answer OpenHistory file {path}")
    lines = expect(t, ctl(bus, "history", "--csv", "-"), 0).stdout.splitlines()
    t.equal([line.split(",")[0][-5:-1] for line in lines[1:]], [".000", ".000"], "records")
    # Of a kind that is to come.
    body = bytearray(record(2, 1700000000000000))
    body[16] = 9
    fake.say(f"answer OpenHistory file {history(path, [record(1, 1700000000000000), bytes(body)])}")
    t.equal(len(ctl(bus, "history", "--csv", "-").stdout.splitlines()), 2, "the head and a record")


@tap.case("a daemon that ends in the middle of a call")
def dies(t):
    bus, fake = start(t)
    fake.say("answer Reload end")
    expect(t, ctl(bus, "reload"), NO_DAEMON, "balloond ended before it answered")


@tap.case("a daemon that does not answer", timeout=90)
def silent(t):
    bus, fake = start(t)
    fake.say("answer GetAll silence")
    started = time.monotonic()
    expect(t, ctl(bus, "status"), FAILED, "balloond does not answer; ")
    t.check(time.monotonic() - started >= 9, "it had ten seconds")


@tap.case("a target in terms that need the guest's RAM, which the daemon does not know yet")
def no_ram(t):
    bus, fake = start(t)
    for ram in (0, None):
        fake.reset(RAM=ram)
        for args in (("50%",), ("--memory", "100M")):
            expect(t, ctl(bus, "set-target", *args), FAILED, "does not know yet how much RAM the guest has")
        t.equal(expect(t, ctl(bus, "set-target", "64M"), 0).stdout.splitlines()[0].split(",")[0],
                "target: a balloon of 64 MiB", "a size of the balloon does not")


@tap.case("a refusal in the terms of the question, with what would be taken")
def bounds(t):
    bus, fake = start(t)

    def refused(error, *args, **props):
        fake.reset(**props)
        fake.say(f"answer SetTarget error {OURS}{error} the daemon's words")
        return ctl(bus, "set-target", *args)

    expect(t, refused("BelowFloor", "1000M"), REFUSED,
           "a balloon of 1000 MiB would leave the guest less than its floor of 128 MiB; the largest possible is "
           "balloonctl set-target 768M")
    expect(t, refused("BelowFloor", "--memory", "24M"), REFUSED,
           "keeping only 24 MiB is below the guest's floor of 128 MiB; the lowest possible is "
           "balloonctl set-target --memory 256M")
    expect(t, refused("Limit", "800M"), REFUSED, "a balloon of 800 MiB is above the limit of 768 MiB; "
           "the largest possible is balloonctl set-target 768M")
    expect(t, refused("Limit", "--memory", "224M"), REFUSED,
           "keeping only 224 MiB needs a balloon above the limit of 768 MiB; the lowest possible is "
           "balloonctl set-target --memory 256M")
    expect(t, refused("BelowFloor", "1000M", Limit=1000 * MIB, Floor=100 * MIB + 1), REFUSED,
           "the largest possible is balloonctl set-target 923M")
    expect(t, refused("BelowFloor", "--memory", "24M", Limit=1000 * MIB, Floor=100 * MIB + 1), REFUSED,
           "the lowest possible is balloonctl set-target --memory 101M")
    with t.subtest("the daemon's words, where there is nothing to count with"):
        for error, props in (("Held", {}), ("BelowFloor", {"Floor": None}), ("Limit", {"Limit": None}),
                             ("Limit", {"RAM": 0}), ("Limit", {"RAM": None})):
            t.equal(expect(t, refused(error, "800M", **props), REFUSED).stderr, "balloonctl: the daemon's words\n",
                    error)


def waits(bus, *args):
    return subprocess.Popen([BALLOONCTL, "--bus-address", bus.address, "set-target", *args], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def begins(t, bus, fake, *args):
    """A balloonctl that waits for 512 MiB, with a balloon of 256, and has printed that it does."""
    p = waits(bus, *args)
    t.defer(end, p)
    t.equal(p.stdout.readline(), "target: a balloon of 512 MiB, the guest keeps 512 MiB\n", "first line")
    return p


def ended(t, p, code, out, err):
    p.wait(PATIENCE_S)
    t.equal((p.returncode, p.stdout.read(), p.stderr.read()), (code, out, err), "exit status, output, errors")


MANUAL = {"Mode": "manual", "ManualTarget": 512 * MIB, "Reason": "manual"}


@tap.case("set-target --wait: all ways in which the wait ends", timeout=120)
def wait(t):
    bus, fake = start(t)
    with t.subtest("the target is reached"):
        fake.reset(**MANUAL)
        p = begins(t, bus, fake, "--wait", "512M")
        t.equal(p.stdout.readline(), "256 MiB -> 512 MiB  manual\n", "how far it is")
        fake.change(Size=511 * MIB)
        ended(t, p, 0, "511 MiB -> 512 MiB  manual\n", "")
    with t.subtest("it is reached already"):
        fake.reset(**MANUAL, Size=512 * MIB)
        ended(t, begins(t, bus, fake, "--wait", "512M"), 0, "512 MiB -> 512 MiB  manual\n", "")
    with t.subtest("the device goes, after a while"):
        fake.reset(**MANUAL)
        p = begins(t, bus, fake, "--wait", "512M")
        p.stdout.readline()
        # As long as a line is at least apart from the next.
        time.sleep(1.2)
        fake.change(Size=None, Host="", Problem="no balloon device")
        ended(t, p, FAILED, "", "balloonctl: nothing moves: no balloon device\n")
    with t.subtest("there was none"):
        fake.reset(**MANUAL, Host=None)
        p = begins(t, bus, fake, "--wait", "512M")
        ended(t, p, FAILED, "256 MiB -> 512 MiB  manual\n", "balloonctl: nothing moves: there is no balloon device\n")
    for what, props in (("mode", {"Mode": "auto"}), ("target", {"ManualTarget": 100 * MIB}),
                        ("nothing", {"Mode": None})):
        with t.subtest(f"another {what}"):
            fake.reset(**MANUAL)
            p = begins(t, bus, fake, "--wait", "512M")
            p.stdout.readline()
            fake.change(**props)
            p.wait(PATIENCE_S)
            t.equal((p.returncode, p.stderr.read()), (FAILED, "balloonctl: someone has set another mode or target "
                                                     "meanwhile; see balloonctl status\n"), "exit status and errors")
    with t.subtest("the time is over"):
        fake.reset(**MANUAL)
        ended(t, begins(t, bus, fake, "--wait=100ms", "512M"), TIMEOUT, "256 MiB -> 512 MiB  manual\n",
              "balloonctl: the time is over at a balloon of 256 MiB; the target of 512 MiB stays "
              "(balloonctl set-target auto gives it up)\n")
    for number in (signal.SIGINT, signal.SIGTERM):
        with t.subtest(f"signal {number}"):
            fake.reset(**MANUAL)
            p = begins(t, bus, fake, "--wait", "512M")
            p.stdout.readline()
            p.send_signal(number)
            ended(t, p, TIMEOUT, "", "balloonctl: stopped waiting at a balloon of 256 MiB; the target of 512 MiB "
                  "stays (balloonctl set-target auto gives it up)\n")
    with t.subtest("the daemon refuses to say more"):
        fake.reset(**MANUAL)
        p = begins(t, bus, fake, "--wait", "512M")
        p.stdout.readline()
        fake.say(f"answer GetAll error {DBUS}Failed told so", "changed")
        ended(t, p, FAILED, "", "balloonctl: balloond could not do that: told so\n")
    with t.subtest("the daemon ends"):
        fake.reset(**MANUAL)
        p = begins(t, bus, fake, "--wait", "512M")
        p.stdout.readline()
        end(fake.process)
        ended(t, p, NO_DAEMON, "", "balloonctl: balloond is not running; start it with systemctl start balloond\n")


@tap.case("set-target --wait: the bus goes away")
def bus_goes(t):
    bus, fake = start(t)
    fake.reset(**MANUAL)
    p = begins(t, bus, fake, "--wait", "512M")
    p.stdout.readline()
    bus.stop()
    ended(t, p, NO_DAEMON, "", "balloonctl: the bus closed the connection; check that the D-Bus daemon is running\n")


class Terminal:
    """A balloonctl on a terminal of @columns; what it has written, without what moves the cursor."""

    def __init__(self, t, bus, *args, columns=100):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm", COLUMNS=str(columns))
            os.execv(BALLOONCTL, [BALLOONCTL, "--bus-address", bus.address, *args])
        self.pid, self.text, self.status = pid, "", None
        t.defer(self.close)
        t.on_failure(lambda: self.text)

    def read(self):
        while select.select([self.fd], [], [], 0.05)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return False
            if not data:
                return False
            self.text += re.sub(r"\033\[\??[0-9;]*[A-Za-z]", "", data.decode(errors="replace"))
        return True

    def sees(self, t, text):
        t.wait(lambda: self.read() is not None and text in self.text, PATIENCE_S, f"{text!r} on the terminal", 0.05)

    def ends(self, t):
        t.wait(lambda: not self.read(), PATIENCE_S, "the end", 0.05)
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@tap.case("set-target --wait on a terminal: a bar, which is full at the end")
def bar(t):
    bus, fake = start(t)
    fake.reset(**MANUAL)
    term = Terminal(t, bus, "set-target", "--wait", "512M")
    term.sees(t, "] 256 MiB -> 512 MiB  manual")
    t.check(re.search(r"\[-+\] 256 MiB", term.text), "empty at first")
    fake.change(Size=384 * MIB)
    term.sees(t, "384 MiB -> 512 MiB")
    m = re.search(r"\[(#+)(-+)\] 384 MiB", term.text)
    t.check(m and abs(len(m[1]) - len(m[2])) <= 1, "half of it")
    fake.change(Size=511 * MIB)
    t.equal(term.ends(t), 0, "exit status")
    t.check(re.search(r"\[#+\] 511 MiB -> 512 MiB  manual\r\n$", term.text), "full, and the line is closed")
    with t.subtest("closed also where it ends otherwise"):
        fake.reset(**MANUAL)
        term = Terminal(t, bus, "set-target", "--wait=300ms", "512M")
        t.equal(term.ends(t), TIMEOUT, "exit status")
        t.check(re.search(r"manual\r\nballoonctl: the time is over", term.text), "a line of its own for the end")
        fake.reset(**MANUAL)
        term = Terminal(t, bus, "set-target", "--wait", "512M")
        term.sees(t, "] 256 MiB -> 512 MiB  manual")
        fake.say(f"answer GetAll error {DBUS}Failed told so", "changed")
        t.equal(term.ends(t), FAILED, "exit status")
        t.check("manual\r\nballoonctl: balloond could not do that" in term.text, "a line of its own for the error")
    with t.subtest("the device goes"):
        fake.reset(**MANUAL)
        term = Terminal(t, bus, "set-target", "--wait", "512M")
        term.sees(t, "] 256 MiB -> 512 MiB  manual")
        fake.change(Size=None, Host="")
        t.equal(term.ends(t), FAILED, "exit status")
        t.check("manual\r\nballoonctl: nothing moves" in term.text, "a line of its own for the error")
        t.equal(re.findall(r"(\S+ \S+) -> 512 MiB", term.text), ["256 MiB"] * term.text.count("->"), "sizes shown")


SCREEN = {
    "Size": 128 * MIB, "Goal": 300 * MIB, "HostTarget": 200 * MIB, "Held": "backup", "HeldLeft": 60 * 10 ** 6,
    "ConfigError": "line 1", "Problem": "no reports", "PressureFull": 100, "RefaultRate": 7,
    "LeaseLeft": 20 * 10 ** 6,
    "HoldOffLeft": 30 * 10 ** 6,
}


@tap.case("watch: a screen with all that can be on it, and one with nothing")
def watch(t):
    bus, fake = start(t)
    path = history(f"{bus.folder}/history", [])
    fake.reset(**SCREEN)
    fake.say(f"answer OpenHistory file {path}")
    term = Terminal(t, bus, "watch")
    term.sees(t, "q quits")
    for text in ("balloond 1.2   mode auto   law adaptive   host virtio", "Problem: no reports",
                 "Held: backup, another 1min",
                 "The last reload failed: line 1", "H host's target",
                 "# used 396 MiB   + cache 200 MiB   . free 300 MiB   = balloon 128 MiB",
                 "Balloon    128 MiB, inflating to 256 MiB; goal 300 MiB", "Reason     steady: The balloon is where",
                 "Available  512 MiB, headroom 64 MiB, floor 128 MiB",
                 "Pressure   some 1.2%, full 10.0%, I/O 4.5%",
                 "Refaults   7 pages/s", "Lease      20s; no inflation for 30s"):
        t.contains(term.text, text, "screen")
    t.check(re.search(r"\[#+\++\.+=+\]", term.text), "the bar")
    t.check({"F", "H", "G", "T"} <= set(re.search(r"\n([ FHGT]{20,})\r", term.text)[1]), "marks under it")
    fake.say("clear", f"answer OpenHistory file {path}", "changed")
    term.sees(t, "The guest's memory is not known yet.")
    t.contains(term.text, "balloond ?   mode ?   law ?   host none", "screen of nothing")
    os.write(term.fd, b"q")
    t.equal(term.ends(t), 0, "exit status")


@tap.case("watch: what has happened, the last of it, also while it is looked at")
def events(t):
    bus, fake = start(t)
    records = [note(n, n * 10 ** 6, f"event {n}.") for n in range(1, 71)]
    records.append(record(71, 71 * 10 ** 6, 1 | 1 << 5, reason="no-device"))
    records.append(record(72, 72 * 10 ** 6, reason="repeated"))
    path = history(f"{bus.folder}/history", records, capacity=128)
    fake.say(f"answer OpenHistory file {path}")
    term = Terminal(t, bus, "watch")
    term.sees(t, "q quits")
    t.check("event 70." in term.text and "event 1." not in term.text, "the last ones")
    t.check(re.search(r"no-device +balloon 0  There is no balloon device", term.text), "a decision, and its reason")
    t.check("repeated" not in term.text, "what repeats the one before is no event")
    with open(path, "r+b") as f:
        for n in range(73, 140):
            f.seek(4096 + n % 128 * 184)
            f.write(sealed(note(n, n * 10 ** 6, f"event {n}.")))
    fake.say("changed")
    term.sees(t, "event 139.")
    os.write(term.fd, b"q")
    t.equal(term.ends(t), 0, "exit status")


@tap.case("watch: keys that end with the terminal's other end, and a history that is none")
def watch_ends(t):
    bus, fake = start(t)
    fake.say("answer OpenHistory file /dev/null")
    term = Terminal(t, bus, "watch")
    term.sees(t, "q quits")
    os.write(term.fd, b"\x1b[A x")
    term.sees(t, "host virtio")
    os.write(term.fd, b"\x03")
    t.equal(term.ends(t), 0, "exit status after Ctrl-C")


@tap.case("a bus that does not let the daemon have its name: it goes on, and says what to do")
def no_name(t):
    bus = Bus(t, start=False)
    with open(f"{bus.folder}/policy.conf", "w") as f:
        f.write("<busconfig/>")
    with open(bus.config, "w") as f:
        f.write(STRICT_BUS.format(socket=bus.socket, policy=f"{bus.folder}/policy.conf"))
    bus.start()
    daemon = Daemon(t, bus, owner=False)
    t.wait(lambda: "does not let this user own org.balloond1" in daemon.log(), PATIENCE_S, "it is said", 0.05)
    t.equal(daemon.stop(), 0, "exit status")


@tap.case("the daemon's own history, torn while it was away: it says so, goes on, and shows the rest")
def torn_state(t):
    bus = Bus(t)
    state = f"{bus.folder}/state"
    os.mkdir(state)
    quick = 'interval = "100ms";\nidle_interval = "100ms";\n'
    first = Daemon(t, bus, quick, env={"STATE_DIRECTORY": state})
    t.wait(lambda: len(ctl(bus, "history", "--csv", "-").stdout.splitlines()) > 1, PATIENCE_S, "a record", 0.1)
    t.equal(first.stop(), 0, "exit status")
    with open(f"{state}/history", "r+b") as f:
        f.seek(4096 + 184 + 100)
        f.write(b"torn")
    second = Daemon(t, bus, quick, env={"STATE_DIRECTORY": state})
    t.check(re.search(r"1 of \d+ records of the history are torn; they are not shown", second.log()), second.log())
    expect(t, ctl(bus, "history", "--csv", "-"), 0)
    t.equal(second.stop(), 0, "exit status")


@tap.case("the daemon is told to read a file that has gone, or is none: it keeps what it has")
def reload_gone(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, 'law = "committed";\n')
    os.unlink(daemon.config)
    expect(t, ctl(bus, "reload"), CONFIG, f"{daemon.config}: there is no such file")
    os.mkdir(daemon.config)
    expect(t, ctl(bus, "reload"), CONFIG, "is a directory, not a file")
    os.rmdir(daemon.config)
    t.check(bus.get("ConfigError"), "an error that everybody can see")
    t.equal(bus.get("Law"), "committed", "law")
    daemon.configure('law = "adaptive";\n')
    expect(t, ctl(bus, "reload"), 0)
    t.equal((bus.get("ConfigError"), bus.get("Law")), ("", "adaptive"), "after a good one")


@tap.case("watch without a terminal: lines")
def lines(t):
    bus, fake = start(t)
    path = history(f"{bus.folder}/history", [])

    def line(**props):
        fake.reset(**props)
        fake.say(f"answer OpenHistory file {path}")
        p = subprocess.Popen([BALLOONCTL, "--bus-address", bus.address, "watch"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        t.defer(p.stdout.close)
        t.defer(p.stderr.close)
        t.defer(end, p)
        return p.stdout.readline()[15:]

    t.equal(line(), "  used 268 MiB  cache 200 MiB  free 300 MiB  balloon 256 MiB  target 256 MiB"
            "  some 1.2%  full 0.3%  refaults 0/s  steady\n", "all")
    t.equal(line(Mode="observe", Free=None, PressureSome=None, RefaultRate=None),
            "  balloon 256 MiB  target 256 MiB  would be: steady\n", "less")
    t.equal(line(Size=("t", NONE), Target=None), "  used 524 MiB  cache 200 MiB  free 300 MiB  balloon 0  target "
            "unknown  some 1.2%  full 0.3%  refaults 0/s  steady\n", "no device")

if __name__ == "__main__":
    tap.main()
