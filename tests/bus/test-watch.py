# SPDX-License-Identifier: GPL-2.0-or-later
"""balloonctl watch on a terminal of its own (a pty), and without one.

A small terminal emulation keeps what the screen would show: just the sequences
that the program is meant to use. Any other fails the case, and so does a screen
that scrolls.
"""
import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time

import lab
import tap
from lab import Bus, Daemon, ctl, expect

QUICK = 'interval = "100ms";\nidle_interval = "100ms";\n'


class Screen:
    """What a terminal of @rows lines and @columns columns shows."""

    SEQUENCE = re.compile(r"\033\[(\??)([0-9;]*)([A-Za-z])")

    def __init__(self, rows, columns):
        self.other = self.cursor_hidden = False
        self.resize(rows, columns)
        self.frames = 2     # nobody has seen another size

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.x = self.y = self.scrolled = self.frames = 0

    def of_size_before(self):
        """Whoever had just asked for the size draws one frame yet that does not fit."""
        return self.frames < 2

    def feed(self, text):
        while text:
            if text[0] == "\033":
                m = self.SEQUENCE.match(text)
                if not m:
                    return text     # the rest of it is still to come
                self.sequence(*m.groups())
                text = text[m.end():]
                continue
            self.put(text[0])
            text = text[1:]
        return ""

    def put(self, c):
        if c == "\r":
            self.x = 0
        elif c == "\n":
            self.scrolled += self.y == self.rows - 1 and not self.of_size_before()
            self.y = min(self.y + 1, self.rows - 1)
        elif c >= " ":
            if self.x >= self.columns:
                if self.of_size_before():
                    return
                raise tap.Failure(f"line {self.y} is wider than {self.columns} columns")
            self.cells[self.y][self.x] = c
            self.x += 1
        else:
            raise tap.Failure(f"control character {c!r}")

    def sequence(self, private, args, final):
        if private:
            if (args, final) in [("1049", "h"), ("1049", "l")]:
                self.other = final == "h"
            elif (args, final) in [("25", "h"), ("25", "l")]:
                self.cursor_hidden = final == "l"
            else:
                raise tap.Failure(f"sequence ?{args}{final}")
        elif (args, final) == ("", "H"):
            self.x = self.y = 0
            self.frames += 1
        elif (args, final) == ("", "K"):
            # Behind the last column the cursor still stands on it.
            x = min(self.x, self.columns - 1)
            self.cells[self.y][x:] = [" "] * (self.columns - x)
        elif (args, final) == ("", "J"):
            self.cells[self.y][self.x:] = [" "] * (self.columns - self.x)
            for row in self.cells[self.y + 1:]:
                row[:] = [" "] * self.columns
        elif final != "m":
            raise tap.Failure(f"sequence {args}{final}")

    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]

    def text(self):
        return "\n".join(self.lines())


class Watch:
    """The program on a pty."""

    def __init__(self, t, bus, *args, rows=30, columns=100, **env):
        self.t = t
        self.leader, self.follower = os.openpty()
        t.defer(os.close, self.leader)
        t.defer(os.close, self.follower)
        self.screen = Screen(rows, columns)
        self.set_size(rows, columns)
        self.before = termios.tcgetattr(self.follower)
        self.all = self.rest = ""

        def become_foreground():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [lab.BALLOONCTL, "--bus-address", bus.address, "watch", "--interval=200ms", *args],
            stdin=self.follower, stdout=self.follower, stderr=subprocess.PIPE,
            env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, "TERM": "xterm", **env},
            preexec_fn=become_foreground)
        t.defer(self.process.stderr.close)
        t.defer(lab.end, self.process)
        t.on_failure(lambda: "screen:\n" + self.screen.text())

    def set_size(self, rows, columns):
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        self.update()
        self.set_size(rows, columns)
        # As a terminal does: what was shown is of no use any more.
        self.screen.resize(rows, columns)
        self.rest = ""

    def update(self):
        while select.select([self.leader], [], [], 0.05)[0]:
            data = os.read(self.leader, 65536).decode()
            self.all += data
            self.rest = self.screen.feed(self.rest + data)
        return self.screen.text()

    def shows(self, *words, timeout=20):
        self.t.wait(lambda: all(w in self.update() for w in words), timeout,
                    f"the screen shows {words}", interval=0.05)

    def key(self, keys):
        os.write(self.leader, keys)

    def ended(self, status=0):
        self.t.equal(self.process.wait(lab.PATIENCE_S), status, "exit status")
        self.update()
        self.t.check(not self.screen.other, "the other screen is left")
        self.t.check(not self.screen.cursor_hidden, "the cursor is shown again")
        self.t.equal(termios.tcgetattr(self.follower), self.before, "the terminal's settings")


@tap.case("the whole picture")
def picture(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK)
    w = Watch(t, bus)
    w.shows("mode observe", "law adaptive", "host none", "Reason", "Pressure   some", "full",
            "Refaults", "Lease      none", "T target", "F floor", "started, version", "q quits")
    t.check(w.screen.other and w.screen.cursor_hidden, "the other screen, without a cursor")
    lines = w.screen.lines()
    bar = next(line for line in lines if line.startswith("["))
    t.check(re.fullmatch(r"\[#+\+*\.*=*\]", bar), bar)
    t.equal(len(bar), 100, "width of the bar")
    t.equal(bar[-1], "]", "end of the bar")

    def off():
        """What is not where the bus says, on a screen that was there at about the same time."""
        lines = w.update().split("\n")
        p = {k: v[1] for k, v in bus.properties().items()}
        bar = next((line for line in lines if line.startswith("[")), "")
        marks = (lines[lines.index(bar) + 1:] or [""])[0]
        at = {"free": p["Free"] * 98 // p["RAM"], "floor": p["Floor"] * 98 // p["RAM"],
              "target": (p["RAM"] - p["Target"]) * 98 // p["RAM"]}
        got = {"free": bar.count("."), "floor": marks.find("F"), "target": marks.find("T")}
        slack = {"free": (-5, 5), "floor": (-1, 3), "target": (-3, 4)}
        return [(k, got[k], at[k]) for k in at if not at[k] + slack[k][0] <= got[k] <= at[k] + slack[k][1]]
    # The bar is the truth: free memory has its share of the columns. What it would do is there in mode observe, too.
    # The machine's memory may change between two looks.
    t.wait(lambda: not off(), 20, "free, floor and target are where the bus says")
    # And it says so.
    t.check(not re.search(r"[Ii]nflating|[Dd]eflating", "\n".join(lines)), f"said to be done: {lines}")
    t.equal(lines[-1], "q quits", "the last line")
    w.key(b"q")
    w.ended()
    t.equal(w.screen.scrolled, 0, "lines scrolled")


@tap.case("what changes is shown")
def changes(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK)
    w = Watch(t, bus)
    w.shows("mode observe")
    expect(t, ctl(bus, "mode", "host"), 0)
    w.shows("mode host", "mode host, was observe", "Problem: no balloon device")
    expect(t, ctl(bus, "hold", "--for", "1h", "a reason"), 0)
    w.shows("Held: a reason, another", "held for 1h: a reason")
    expect(t, ctl(bus, "release"), 0)
    t.wait(lambda: "Held:" not in w.update(), 20, "the hold is over")
    w.key(b"xyz\033[AQ")
    w.ended()


@tap.case("resizes, down to nothing and back")
def resizes(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK)
    w = Watch(t, bus)
    w.shows("q quits")
    for rows, columns in [(24, 80), (50, 200), (10, 40), (5, 30), (3, 20), (1, 1), (2, 300),
                          (24, 1000), (24, 80)]:
        w.resize(rows, columns)
        t.wait(lambda: w.update() and not w.screen.of_size_before(), 20, "it is drawn anew")
        if rows >= 3 and columns >= 20:
            w.shows("balloond", "q quits")
            t.equal(w.screen.lines()[-1], "q quits", f"last line at {rows}x{columns}")
        else:
            t.wait(lambda: w.update().strip(), 20, "something is shown")
        t.equal(w.screen.scrolled, 0, f"lines scrolled at {rows}x{columns}")
    w.shows("Reason", "[#", "started, version")
    w.key(b"q")
    w.ended()


@tap.case("ends with Ctrl-C, with a signal, with the end of the input")
def ends(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK)
    for how in ["key", "eof", signal.SIGTERM, signal.SIGINT, signal.SIGHUP]:
        w = Watch(t, bus)
        w.shows("q quits")
        if how == "key":
            w.key(b"\x03")
        elif how == "eof":
            w.key(b"\x04")
        else:
            w.process.send_signal(how)
        w.ended()


@tap.case("a key is answered at once, whatever the interval")
def prompt(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK)
    w = Watch(t, bus, "--interval=1h")
    w.shows("q quits")
    started = time.monotonic()
    w.key(b"q")
    w.ended()
    t.check(time.monotonic() - started < 5 * tap.PATIENCE, "it waited")


@tap.case("the daemon goes away and comes back", timeout=120)
def daemon_returns(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, QUICK)
    w = Watch(t, bus)
    w.shows("mode observe")
    daemon.stop()
    w.shows("balloond is not running")
    Daemon(t, bus, QUICK, mode="host")
    t.wait(lambda: "not running" not in w.update() and "mode host" in w.update(), 30, "it is back")
    w.shows("started, version")
    bus.stop()
    w.shows("D-Bus daemon is running")
    t.equal(w.process.poll(), None, "it has ended")
    w.key(b"q")
    w.ended()


@tap.case("colour, and none with NO_COLOR")
def colour(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK, mode="auto")
    w = Watch(t, bus)
    w.shows("Problem")
    t.contains(w.all, "\033[1;31m", "a problem in red")
    w.key(b"q")
    w.ended()
    w = Watch(t, bus, NO_COLOR="1")
    w.shows("Problem")
    t.check(not re.search(r"\033\[[0-9;]*m", w.all), "colour")
    w.key(b"q")
    w.ended()


LINE = re.compile(r"[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d  used \S+ \S+  cache \S+ \S+  free \S+ \S+  "
                  r"balloon 0  target \S+.*  some [\d.]+%  full [\d.]+%  refaults \d+/s  would be: [a-z-]+\n")


@tap.case("lines where there is no terminal")
def lines(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, QUICK)
    argv = [lab.BALLOONCTL, "--bus-address", bus.address, "watch", "--interval", "100ms"]
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    t.defer(lab.end, p)
    for _ in range(3):
        line = p.stdout.readline()
        t.check(LINE.fullmatch(line), f"line {line!r}")
    with t.subtest("nobody reads any more"):
        p.stdout.close()
        t.equal(p.wait(lab.PATIENCE_S), 0, "exit status")
    with t.subtest("a signal"):
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        t.defer(lab.end, p)
        p.stdout.readline()
        p.terminate()
        t.equal(p.wait(lab.PATIENCE_S), 0, "exit status")
        p.stdout.close()
    with t.subtest("a full disk"):
        with open("/dev/full", "w") as full:
            p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                               text=True, timeout=lab.PATIENCE_S)
        t.equal(p.returncode, 1, "exit status")
        t.contains(p.stderr, "cannot write the output", "standard error")
    with t.subtest("the daemon ends"):
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        t.defer(lab.end, p)
        p.stdout.readline()
        daemon.stop()
        t.equal(p.wait(lab.PATIENCE_S), 3, "exit status")
        t.contains(p.stderr.read(), "balloond is not running", "standard error")
        p.stdout.close()
        p.stderr.close()
    with t.subtest("a dumb terminal"):
        leader, follower = os.openpty()
        p = subprocess.Popen(argv, stdin=follower, stdout=follower, stderr=follower,
                             env={**os.environ, "TERM": "dumb"})
        os.close(follower)
        t.defer(os.close, leader)
        t.equal(p.wait(lab.PATIENCE_S), 3, "exit status")
        t.check(b"\033" not in os.read(leader, 4096), "an escape sequence")


@tap.case("what makes no sense, and nobody to ask")
def bad(t):
    bus = Bus(t)
    for args in [["--interval", "5"], ["--interval=1ms"], ["--interval=2h"], ["more"]]:
        expect(t, ctl(bus, "watch", *args), 2, args[0].split("=")[0])
    expect(t, ctl(bus, "watch"), 3, "balloond is not running")
    w = Watch(t, bus)
    w.ended(3)
    t.check("\033" not in w.all, "a screen although there is nothing to show")


@tap.case("watch --json: the status, look by look, and no screen")
def objects(t):
    bus = Bus(t)
    Daemon(t, bus)
    p = subprocess.Popen([lab.BALLOONCTL, "--bus-address", bus.address, "watch", "--json=short", "--interval=100ms"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    t.defer(p.stdout.close)
    t.defer(lab.end, p)
    looks = [json.loads(p.stdout.readline()) for _ in range(3)]
    t.equal([set(look) for look in looks], [set(json.loads(ctl(bus, "status", "--json").stdout))] * 3, "keys")
    t.check(looks[0]["ticks"] <= looks[2]["ticks"], "they are of different times")


if __name__ == "__main__":
    tap.main()
