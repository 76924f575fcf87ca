# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator does in a year: history, explain, hold, law, metrics, with the real programs.

The daemon gets a state directory of its own; restarts are real ones. The
metrics are judged by Prometheus' own tool.
"""
import csv
import io
import json
import os
import re
import signal
import socket
import shutil
import struct
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
import zlib

import lab
import tap
from lab import Bus, Daemon, ctl, expect

QUICK = 'interval = "100ms";\nidle_interval = "100ms";\n'


class State:
    """A state directory, as a service manager makes one."""

    def __init__(self, t):
        self.folder = tempfile.mkdtemp(prefix="balloond-state-")
        t.defer(shutil.rmtree, self.folder, ignore_errors=True)
        self.history = os.path.join(self.folder, "history")
        self.hold = os.path.join(self.folder, "hold")
        self.peaks = os.path.join(self.folder, "peaks")
        self.env = {"STATE_DIRECTORY": self.folder}


def rows(t, bus, *args):
    """The history's records."""
    p = expect(t, ctl(bus, "history", "--csv", "-", *args), 0)
    return list(csv.DictReader(io.StringIO(p.stdout)))


# --- history -----------------------------------------------------------------

@tap.case("history: what was seen and done, as CSV")
def history_csv(t):
    bus, state = Bus(t), State(t)
    Daemon(t, bus, QUICK, env=state.env)
    expect(t, ctl(bus, "mode", "host"), 0)
    t.wait(lambda: any(r["mode"] == "host" for r in rows(t, bus)), 20, "the mode is recorded")
    got = rows(t, bus)
    t.check(all(None not in r and None not in r.values() for r in got), "fields in each line")
    notes = [r["text"] for r in got if r["kind"] == "note"]
    t.contains(notes, "mode host, was observe", "notes")
    t.check(notes[0].startswith("started, version "), f"first note: {notes[0]}")
    decisions = [r for r in got if r["kind"] == "decision"]
    t.equal(decisions[0]["changed"], "1", "the first differs from nothing")
    ram = bus.get("RAM")
    for r in decisions:
        t.equal(r["ram_bytes"], str(ram), "ram_bytes")
        t.between(int(r["available_bytes"]), 1, ram, "available_bytes")
        t.between(int(r["available_min_bytes"]), 1, int(r["available_bytes"]), "available_min")
        t.equal(r["balloon_bytes"], "", "no balloon is not a balloon of 0")
        t.check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", r["time"]), r["time"])
    # One may come between the question and the answer.
    t.wait(lambda: rows(t, bus, "--since", "0") == [], 20, "none since now")
    expect(t, ctl(bus, "history", "--since", "0"), 0, "nothing was recorded")
    expect(t, ctl(bus, "history", "--since", "5"), 2, "needs a unit")
    expect(t, ctl(bus, "history"), 0, "available", "mode host, was observe")


@tap.case("history: a picture", timeout=90)
def history_svg(t):
    bus, state = Bus(t), State(t)
    Daemon(t, bus, QUICK, env=state.env)
    path = os.path.join(state.folder, "a picture.svg")
    p = ctl(bus, "history", "--svg", path, "--since", "0")
    expect(t, p, 1, "not enough history")
    t.wait(lambda: len([r for r in rows(t, bus) if r["kind"] == "decision"]) >= 2, 40,
           "two records")
    expect(t, ctl(bus, "history", "--svg", path), 0)
    root = ET.parse(path).getroot()
    t.equal(root.tag, "{http://www.w3.org/2000/svg}svg", "root element")
    texts = " ".join(e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text"))
    for word in ["used", "cache", "free", "balloon", "target", "some", "full"]:
        t.contains(texts, word, "legend")
    t.check("nan" not in open(path).read().lower().replace("nance", ""), "a number that is none")
    expect(t, ctl(bus, "history", "--svg", "/nonexistent/x.svg"), 1, "cannot be written")
    expect(t, ctl(bus, "history", "--csv", "/dev/full"), 1, "No space left")
    for other in ("x", "./x", os.path.abspath("x")):
        expect(t, ctl(bus, "history", "--svg", "x", "--csv", other), 2, "two different files")
    expect(t, ctl(bus, "history", "--svg", "/dev/stdout", "--csv", "-"), 2, "two different files")


@tap.case("history: survives a restart, and kill -9")
def history_restart(t):
    bus, state = Bus(t), State(t)

    def stored():
        """How many starts are in the file."""
        with open(state.history, "rb") as f:
            return f.read().count(b"started")
    for starts, number in enumerate([signal.SIGTERM, signal.SIGKILL], 1):
        daemon = Daemon(t, bus, QUICK, env=state.env)
        before = len(rows(t, bus))
        # A thread writes it, which on a busy machine may be a little behind.
        t.wait(lambda: stored() == starts, 20, "what is to survive is written")
        daemon.signal(number)
        daemon.process.wait(lab.PATIENCE_S)
        t.wait(lambda: not bus.owned(), 20, "the name is free")
    t.check(before >= 3, f"{before} records")
    Daemon(t, bus, QUICK, env=state.env)
    notes = [r["text"] for r in rows(t, bus) if r["kind"] == "note"]
    t.equal(len([n for n in notes if n.startswith("started")]), 3, f"starts in {notes}")
    t.equal(notes.count("stopped"), 1, "stops")


@tap.case("history: a damaged file is set aside, and the daemon goes on")
def history_damaged(t):
    bus, state = Bus(t), State(t)
    with open(state.history, "wb") as f:
        f.write(b"not a history" * 1000)
    daemon = Daemon(t, bus, QUICK, env=state.env)
    t.contains(daemon.log(), "kept as history.damaged", "log")
    t.equal(os.path.getsize(state.history + ".damaged"), 13000, "what was there")
    t.check(rows(t, bus), "a new history")
    t.equal(bus.get("Problem"), "", "Problem")


@tap.case("history: without a place to keep it")
def history_memory(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, QUICK)
    t.check("history" not in daemon.log(), "a message, though nobody wanted a file")
    t.check(rows(t, bus), "history in memory")
    bus = Bus(t)
    daemon = Daemon(t, bus, QUICK, env={"STATE_DIRECTORY": "/nonexistent/state"})
    t.contains(daemon.log(), "no history can be kept in /nonexistent/state", "log")
    t.check(rows(t, bus), "history in memory")
    # Everybody is given it to read, and could open it anew.
    modes = [os.stat(f"/proc/{daemon.process.pid}/fd/{fd}").st_mode & 0o777
             for fd in os.listdir(f"/proc/{daemon.process.pid}/fd")
             if "memfd:balloond-history" in os.readlink(f"/proc/{daemon.process.pid}/fd/{fd}")]
    t.equal(modes, [0o600], "nobody else may write")


@tap.case("history: the reader cannot write, and the file does not grow")
def history_bounded(t):
    bus, state = Bus(t), State(t)
    Daemon(t, bus, QUICK, env=state.env)
    size = os.path.getsize(state.history)
    t.check(os.stat(state.history).st_blocks * 512 >= size, "it is preallocated")
    t.between(size, 1 << 20, 4 << 20, "size of the file")
    for i in range(20):
        expect(t, ctl(bus, "mode", ["host", "observe"][i % 2]), 0)
    t.equal(os.path.getsize(state.history), size, "size of the file later")
    t.equal(os.stat(state.history).st_mode & 0o777, 0o600, "mode of the file")


# --- explain -----------------------------------------------------------------

@tap.case("explain: in words and numbers")
def explain(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK)
    t.wait(lambda: bus.get("Reason") not in ("starting", "no-data"), 20, "a decision")
    p = expect(t, ctl(bus, "explain"), 0, "started, version", "Now  ", "mode observe, law adaptive",
               "the law would make it")
    now = p.stdout[p.stdout.index("Now  "):]
    t.contains(now, bus.get("ReasonText").split(":")[0], "the reason in words")
    t.contains(now, "are available", "numbers")
    expect(t, ctl(bus, "hold", "test"), 0)
    t.wait(lambda: bus.get("Reason") == "held", 20, "held")
    expect(t, ctl(bus, "explain", "--since", "1h"), 0, "held test", "Held: test",
           "The operator holds the balloon")
    p = expect(t, ctl(bus, "explain", "--last", "0"), 0, "Now  ")
    t.check("started" not in p.stdout, "--last 0 shows the past")
    for bad in ["-1", "x", "", "1e3", "99999999999999999999"]:
        expect(t, ctl(bus, "explain", f"--last={bad}"), 2, "is not a number")


def peaks_file(state, need, lost_us, weeks=3):
    """What a daemon of long ago has kept, the same for each hour of the week."""
    slots = struct.pack("=QQIBBH", need, lost_us, 9, weeks, 0, 0) * 168
    body = struct.pack("=QIIQII", 0x736b65506e6c6c61, 1, 4072, 10**15, 9, 0) + slots + bytes(4)
    with open(state.peaks, "wb") as f:
        f.write(body + struct.pack("=I", zlib.crc32(body)))


@tap.case("explain: what is expected of the hour")
def explain_expected(t):
    bus, state = Bus(t), State(t)
    gib = 1 << 30

    def said(*want):
        t.wait(lambda: bus.get("Reason") not in ("starting", "no-data"), 20, "a decision")
        expect(t, ctl(bus, "explain", "--last", "0"), 0, *want)
        return json.loads(ctl(bus, "status", "--json").stdout)

    daemon = Daemon(t, bus, QUICK, env=state.env)
    got = said("Now  ")
    t.equal(got["expected"], None, "nothing is known")
    t.equal(got["expected_kept"], 0, "nothing is kept")
    t.check("Expected" not in ctl(bus, "explain").stdout, "nothing is said")
    daemon.stop()
    t.check(not os.path.exists(state.peaks), "nothing was learned within seconds, but kept")

    peaks_file(state, gib // 2, 3000 * 1000 * 1000)
    daemon = Daemon(t, bus, QUICK, env=state.env)
    got = said("Expected from ", ":00: up to 512 MiB needed, 50min lost to stalls (known from 3 weeks).",
               "That much is kept until then.")
    t.equal(got["expected"], gib // 2, "expected")
    t.equal(got["expected_kept"], gib // 2, "expected_kept")
    t.equal(got["expected_lost"], 3000 * 1000 * 1000, "expected_lost")
    t.equal(got["expected_weeks"], 3, "expected_weeks")
    t.between(got["expected_left"], 1, 3900 * 1000 * 1000, "expected_left")
    daemon.stop()

    peaks_file(state, gib // 2, 0, weeks=0)
    daemon = Daemon(t, bus, QUICK, env=state.env)
    got = said("another day, or in part", "Nothing is kept for that: nobody had to wait")
    t.equal(got["expected_kept"], 0, "expected_kept")
    daemon.stop()

    # Forgotten as the manual says; a file that is damaged is forgotten, too, and says so.
    os.unlink(state.peaks)
    daemon = Daemon(t, bus, QUICK, env=state.env)
    t.equal(said("Now  ")["expected"], None, "forgotten")
    daemon.stop()
    peaks_file(state, gib // 2, 10**9)
    with open(state.peaks, "r+b") as f:
        f.write(b"x")
    daemon = Daemon(t, bus, QUICK, env=state.env)
    t.equal(said("Now  ")["expected"], None, "damaged")
    t.contains(daemon.log(), "peaks is not used: it is damaged. ", "log")


@tap.case("mode observe: what is shown would be, in every verb")
def would_be(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK)
    claim = re.compile(r"\b([Ii]nflating|[Dd]eflating|is led to|Giving|Moving)\b")

    def shown():
        """All verbs, and whether the balloon would move at one time."""
        p = bus.properties()
        return "\n".join(ctl(bus, *verb).stdout for verb in ([], ["explain"], ["history"])), \
            p["Target"][1] != p["Size"][1] and bus.get("Target") == p["Target"][1]

    t.wait(lambda: bus.get("Reason") not in ("starting", "no-data"), 20, "a decision")
    text, moves = shown()
    t.check(not claim.search(text), f"said to be done: {text}")
    t.contains(text, "would be: ", "history")
    if moves:
        t.check(re.search(r"would (in|de)flate to", text), f"status: {text}")
    # Whatever the machine's memory is like.
    expect(t, ctl(bus, "hold", "test"), 0)
    t.wait(lambda: bus.get("Reason") == "held", 20, "held")
    sentence = "only a shortage of memory would move it"
    t.contains(bus.get("ReasonText"), sentence, "ReasonText")
    expect(t, ctl(bus), 0, sentence)
    t.wait(lambda: ctl(bus, "explain").stdout.count(sentence) == 2, 20, "the past and the present")
    # The past is told in the mode that it had.
    expect(t, ctl(bus, "mode", "auto"), 0)
    t.wait(lambda: bus.get("Reason") != "held", 20, "mode auto")
    t.equal(expect(t, ctl(bus, "explain"), 0, "mode auto, law").stdout.count(sentence), 1, "the past")


# --- hold and release --------------------------------------------------------

@tap.case("hold: shown, refuses set-target, ends with release")
def hold(t):
    bus, state = Bus(t), State(t)
    Daemon(t, bus, QUICK, env=state.env)
    signals = lab.Signals(t, bus)
    p = expect(t, ctl(bus, "hold", "swapping", "the", "disks"), 0, "until balloonctl release")
    t.equal(p.stderr, "", "standard error")
    t.equal((bus.get("Held"), bus.get("HeldLeft")), ("swapping the disks", 2 ** 64 - 1), "bus")
    t.wait(lambda: signals.saw("Held", "swapping the disks"), 20, "signal")
    t.wait(lambda: bus.get("Reason") == "held", 20, "the policy stands still")
    expect(t, ctl(bus), 0, "Held  swapping the disks; balloonctl release")
    expect(t, ctl(bus, "set-target", "64M"), 5, "held (swapping the disks)", "balloonctl release")
    t.equal(bus.get("Mode"), "observe", "Mode after a refusal")
    t.check(os.path.exists(state.hold), "it is kept in a file")
    t.equal(expect(t, ctl(bus, "release"), 0).stdout, "released\n", "output")
    t.wait(lambda: bus.get("Reason") != "held", 20, "the policy goes on")
    t.equal(bus.get("Held"), "", "Held")
    t.check(not os.path.exists(state.hold), "the file is gone")
    expect(t, ctl(bus, "hold", "für die Sicherung"), 0)
    t.equal(bus.get("Held"), "für die Sicherung", "a reason that is not ASCII, as it was given")
    expect(t, ctl(bus), 0, "Held  für die Sicherung; balloonctl release")
    expect(t, ctl(bus, "release"), 0)
    expect(t, ctl(bus, "release"), 0, "was not held")
    expect(t, ctl(bus, "set-target", "64M"), 0)


@tap.case("hold: reasons and times that make no sense")
def hold_bad(t):
    bus = Bus(t)
    Daemon(t, bus)
    expect(t, ctl(bus, "hold"), 2, "needs an argument")
    expect(t, ctl(bus, "hold", ""), 2, "needs a reason")
    expect(t, ctl(bus, "hold", "x" * 121), 2, "too long")
    expect(t, ctl(bus, "hold", "x" * 2000), 2, "too long")
    expect(t, ctl(bus, "hold", "a\nb"), 2, "one line")
    expect(t, ctl(bus, "hold", "\033[31mred"), 2, "plain text")
    expect(t, ctl(bus, "hold", b"bad \xff"), 2, "the reason must be one line of plain text")
    expect(t, ctl(bus, "hold", b"cut \xc3", b"\xa4"), 2, "one line of plain text")
    expect(t, ctl(bus, "hold", " ", "  "), 2, "needs a reason")
    for reason in ("", "  ", "a\nb"):
        t.check(bus.call("Hold", "st", reason, "0"), f"the daemon refuses {reason!r}, too")
    expect(t, ctl(bus, "hold", "--for", "5", "x"), 2, "needs a unit")
    expect(t, ctl(bus, "hold", "--for", "0", "x"), 2, "no time to hold")
    expect(t, ctl(bus, "hold", "--for", "367d", "x"), 2, "366 days")
    t.check(bus.call("Hold", "st", "x", str(2 ** 64 - 1)), "an endless time is refused")
    t.equal(bus.get("Held"), "", "Held")


@tap.case("hold: ends by itself")
def hold_for(t):
    bus, state = Bus(t), State(t)
    daemon = Daemon(t, bus, QUICK, env=state.env)
    expect(t, ctl(bus, "hold", "--for=4s", "short"), 0, "held for 4s")
    # At one moment: on a loaded machine the time may be over before a second look.
    p = bus.properties()
    held, left = p["Held"][1], p["HeldLeft"][1]
    t.check((held, 0 < left <= 4000000) == ("short", True) or held == "", f"Held {held!r}, HeldLeft {left}")
    t.wait(lambda: bus.get("Held") == "", 40, "it is over")
    t.contains(daemon.log(), "the time of the hold is over", "log")
    t.check(not os.path.exists(state.hold), "the file is gone")


@tap.case("hold: survives a restart, with its time")
def hold_restart(t):
    bus, state = Bus(t), State(t)
    daemon = Daemon(t, bus, QUICK, env=state.env)
    expect(t, ctl(bus, "hold", "--for", "1h", "long"), 0)
    time.sleep(1.1)
    daemon.signal(signal.SIGKILL)
    daemon.process.wait(lab.PATIENCE_S)
    t.wait(lambda: not bus.owned(), 20, "the name is free")
    daemon = Daemon(t, bus, QUICK, env=state.env)
    t.contains(daemon.log(), "still held: long", "log")
    t.equal(bus.get("Held"), "long", "Held")
    t.between(bus.get("HeldLeft"), 3500 * 10 ** 6, 3599 * 10 ** 6, "HeldLeft")
    # One that ended while the daemon was away.
    expect(t, ctl(bus, "hold", "--for", "1s", "soon over"), 0)
    daemon.signal(signal.SIGKILL)
    daemon.process.wait(lab.PATIENCE_S)
    time.sleep(1.2)
    t.wait(lambda: not bus.owned(), 20, "the name is free")
    Daemon(t, bus, QUICK, env=state.env)
    t.wait(lambda: bus.get("Held") == "", 20, "it is over")


@tap.case("hold: says if it does not survive")
def hold_not_kept(t):
    bus = Bus(t)
    Daemon(t, bus)
    p = expect(t, ctl(bus, "hold", "x"), 0, "held until")
    t.contains(p.stderr, "ends with the daemon", "standard error")
    state = State(t)
    bus = Bus(t)
    daemon = Daemon(t, bus, QUICK, env=state.env)
    # A directory in the place of the file: even root cannot rename over it.
    os.makedirs(os.path.join(state.hold, "x"))
    p = expect(t, ctl(bus, "hold", "x"), 0, "held until")
    t.contains(p.stderr, "ends with the daemon", "standard error")
    t.contains(daemon.log(), "the state of the hold cannot be kept", "log")


@tap.case("hold: a file that cannot be read is said, and is no hold")
def hold_damaged(t):
    bus, state = Bus(t), State(t)
    with open(state.hold, "w") as f:
        f.write("balloond hold 1\nyesterday\n0\nx\n")
    daemon = Daemon(t, bus, QUICK, env=state.env)
    t.contains(daemon.log(), "hold cannot be read (damaged)", "log")
    t.equal(bus.get("Held"), "", "Held")
    t.contains(bus.get("Problem"), "balloonctl hold", "Problem")


# --- the law -----------------------------------------------------------------

@tap.case("policy: show, set, reload")
def policy(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, QUICK)
    t.equal(expect(t, ctl(bus, "policy"), 0).stdout, "adaptive\n", "law")
    expect(t, ctl(bus, "policy", "committed"), 0, "law committed")
    t.equal((bus.get("Law"), expect(t, ctl(bus, "policy"), 0).stdout), ("committed", "committed\n"),
            "law")
    expect(t, ctl(bus, "policy", "frob"), 2, "'frob' is not a law; the laws are adaptive, committed")
    t.check("adaptive" in (bus.call("SetLaw", "s", "frob") or ""), "refusal on the bus")
    # A reload of a file that says nothing new about the law leaves the order in force.
    daemon.configure(QUICK + 'limit = "1G";\n')
    expect(t, ctl(bus, "reload"), 0)
    t.equal(bus.get("Law"), "committed", "Law after a reload")
    daemon.configure(QUICK + 'law = "committed";\n')
    expect(t, ctl(bus, "reload"), 0)
    daemon.configure(QUICK + 'law = "adaptive";\n')
    expect(t, ctl(bus, "reload"), 0)
    t.equal(bus.get("Law"), "adaptive", "Law after the file's has changed")
    expect(t, ctl(bus, "mode", "host"), 0)
    expect(t, ctl(bus, "policy", "committed"), 0, "counts in mode auto")


# --- metrics -----------------------------------------------------------------

def promtool(t, *args, text=None, status=0):
    p = subprocess.run(["promtool", *args], input=text, text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60)
    t.equal(p.returncode, status, f"promtool {args[0]} {args[1]}: {p.stdout}")
    return p.stdout


def values(text):
    """{name: value} of the samples without labels."""
    return {m[1]: float(m[2]) for m in re.finditer(r"^(\w+) (\S+)$", text, re.M)}


@tap.case("metrics: OpenMetrics, with the values of the bus")
def metrics(t):
    bus, state = Bus(t), State(t)
    Daemon(t, bus, QUICK)
    expect(t, ctl(bus, "hold", "measuring"), 0)
    t.wait(lambda: bus.get("Reason") == "held", 20, "held")
    text = expect(t, ctl(bus, "metrics"), 0).stdout
    t.check(text.endswith("\n# EOF\n"), "end mark")
    got = values(text)
    props = {k: v[1] for k, v in bus.properties().items()}
    for name, prop in [("ram_bytes", "RAM"), ("balloon_bytes", "Size"), ("target_bytes", "Target"),
                       ("inflated_bytes_total", "InflatedTotal"), ("emergencies_total", "Emergencies")]:
        t.equal(got["balloond_" + name], float(props[prop]), name)
    t.equal((got["balloond_held"], got["balloond_problem"]), (1, 0), "held, problem")
    t.check("balloond_host_target_bytes" not in text, "a host target although there is none")
    t.contains(text, 'balloond_mode{mode="observe",law="adaptive",host=""} 1\n', "mode")
    # Prometheus' own reader of OpenMetrics wants times, which a file of the past has.
    stamped = re.sub(r"^([^#\n].*)$", rf"\1 {int(time.time())}", text, flags=re.M)
    path = os.path.join(state.folder, "metrics.txt")
    with open(path, "w") as f:
        f.write(stamped)
    promtool(t, "tsdb", "create-blocks-from", "openmetrics", path, os.path.join(state.folder, "db"))
    # The reader is no rubber stamp.
    with open(path, "w") as f:
        f.write(stamped.replace("# EOF\n", ""))
    promtool(t, "tsdb", "create-blocks-from", "openmetrics", path,
             os.path.join(state.folder, "db2"), status=1)


@tap.case("metrics: a file for node_exporter", timeout=90)
def metrics_file(t):
    bus, state = Bus(t), State(t)
    path = os.path.join(state.folder, "balloond.prom")
    daemon = Daemon(t, bus, QUICK + f'metrics_file = "{path}";\n', env=state.env)
    t.wait(lambda: os.path.exists(path), 20, "the file")
    with open(path) as f:
        text = f.read()
    promtool(t, "check", "metrics", text=text)
    t.check("# EOF" not in text and "# UNIT" not in text, "OpenMetrics in a Prometheus file")
    t.equal(os.stat(path).st_mode & 0o777, 0o644, "mode")
    t.equal(values(text)["balloond_ram_bytes"], float(bus.get("RAM")), "ram")
    # Each reader sees a whole file, whenever it looks. It is replaced after 10 s, or later on a busy machine.
    seen = set()

    def look():
        with open(path) as f:
            text = f.read()
        t.check(text.startswith("# HELP") and text.endswith("\n") and
                "balloond_decisions_total" in text, f"half a file: {text[-100:]!r}")
        seen.add(values(text)["balloond_decisions_total"])
        return len(seen) > 1
    t.wait(look, 40, "it is replaced", interval=0.01)
    t.equal([n for n in os.listdir(state.folder) if n.endswith(".new")], [], "left-overs")
    daemon.configure(QUICK + 'metrics_file = "/nonexistent/balloond.prom";\n')
    expect(t, ctl(bus, "reload"), 0)
    t.wait(lambda: "/nonexistent/balloond.prom" in bus.get("Problem"), 40, "it is said")
    daemon.configure(QUICK)
    expect(t, ctl(bus, "reload"), 0)
    t.wait(lambda: bus.get("Problem") == "", 20, "nothing is wrong any more")


@tap.case("metrics: the example rules for Prometheus")
def rules(t):
    state = State(t)
    path = os.path.join(lab.ROOT, "conf", "balloond.rules.yml")
    t.contains(promtool(t, "check", "rules", path), "rules found", "promtool")
    shutil.copy(path, state.folder)
    test = shutil.copy(os.path.join(lab.ROOT, "tests", "bus", "rules-test.yml"), state.folder)
    promtool(t, "test", "rules", test)
    # No rule asks for a metric that is not there.
    bus = Bus(t)
    Daemon(t, bus, QUICK)
    known = set(re.findall(r"^# HELP (\w+)", ctl(bus, "metrics").stdout, re.M))
    known |= {m + "_total" for m in known} | {"balloond_host_target_bytes"}
    with open(path) as f:
        exprs = re.findall(r"^ +expr: (.*)$", f.read(), re.M)
    used = {m for e in exprs for m in re.findall(r"\bballoond_\w+", e)}
    t.check(len(used) > 8, f"only {used}")
    t.equal(used - known, set(), "metrics that are not there")


@tap.case("metrics: the file's name is checked")
def metrics_name(t):
    bus = Bus(t)
    daemon = Daemon(t, bus)
    for name, why in [("balloond.prom", "absolute"), ("/run/balloond.txt", "must end with .prom"),
                      ("/x.prom/", "must end with .prom"), ("/" + "x" * 300 + ".prom", "too long")]:
        daemon.configure(f'metrics_file = "{name}";\n')
        expect(t, ctl(bus, "reload"), 6, f":1: metrics_file: ", why)
    with t.subtest("a name that the bus could not carry is shown with question marks"):
        daemon.configure('metrics_file = "/run/é\udcff.prom";\n')
        expect(t, ctl(bus, "reload"), 0)
        expect(t, ctl(bus, "dump"), 0, '"metrics_file": "/run/é?.prom"')


# --- dump ---------------------------------------------------------------------

@tap.case("dump: everything, and nothing secret")
def dump(t):
    bus, state = Bus(t), State(t)
    Daemon(t, bus, QUICK + 'limit = "25%";\n', env=state.env)
    expect(t, ctl(bus, "mode", "host"), 0)
    t.wait(lambda: any(r["mode"] == "host" for r in rows(t, bus)), 20, "the mode is recorded")
    p = expect(t, ctl(bus, "dump"), 0)
    t.equal(p.stderr, "", "standard error")
    got = json.loads(p.stdout)
    t.equal(sorted(got), ["balloonctl", "config", "history", "status", "system", "time_us"], "parts")
    t.equal(sorted(got["status"]), sorted(json.loads(ctl(bus, "status", "--json").stdout)), "status")
    t.equal((got["config"]["limit"], got["config"]["mode"]), ("25%", "auto"), "config")
    keys = subprocess.run([os.environ["CONFIG_KEYS"]], stdout=subprocess.PIPE, text=True, check=True)
    t.equal(list(got["config"]), [line.split("\t")[0] for line in keys.stdout.splitlines()], "keys")
    t.contains([h.get("note") for h in got["history"]], "mode host, was observe", "notes")
    # It may have changed since.
    t.wait(lambda: bus.get("Reason") in [h.get("reason") for h in json.loads(ctl(bus, "dump").stdout)["history"]],
           20, "reasons")
    files = got["system"]["files"]
    t.check(any(line.startswith("MemAvailable:") for line in files["/proc/meminfo"]), "meminfo")
    # The module's parameters, all of them.
    with open(os.path.join(lab.ROOT, "kmod", "main.c")) as f:
        names = re.findall(r"\bmodule_param(?:_named)?\(\s*(\w+)", f.read())
    t.equal({f.rsplit("/", 1)[1] for f in files if "/parameters/" in f}, set(names), "parameters")
    secrets = [socket.gethostname(), os.environ.get("USER") or "nobody-is-called-so"]
    with open("/etc/machine-id" if os.path.exists("/etc/machine-id") else "/proc/sys/kernel/random/boot_id") as f:
        secrets.append(f.read().strip())
    text = p.stdout.replace(json.dumps(got["status"]["config_file"]), "")
    for secret in secrets:
        t.check(len(secret) < 3 or secret == "root" or secret not in text, f"{secret!r} is in it")


# --- who may -----------------------------------------------------------------

@tap.case("everyone may look, nobody but root may change")
def access(t):
    lab.need_root()
    import pwd
    nobody = pwd.getpwnam("nobody").pw_uid
    bus = Bus(t, policy=os.path.join(lab.ROOT, "systemd", "org.balloond1.conf"))
    state = State(t)
    Daemon(t, bus, QUICK, env=state.env)
    program = os.path.join(bus.folder, "balloonctl")
    shutil.copy(lab.BALLOONCTL, program)
    os.chmod(program, 0o755)

    def as_nobody(*args):
        return ctl(bus, *args, program=program, user=nobody, group=nobody, extra_groups=[])

    expect(t, as_nobody("history", "--csv", "-"), 0, "available_bytes", "started")
    expect(t, as_nobody("explain"), 0, "Now  ")
    expect(t, as_nobody("metrics"), 0, "# EOF")
    expect(t, as_nobody("dump"), 0, '"config": {')
    for args in [["hold", "x"], ["release"], ["policy", "committed"]]:
        expect(t, as_nobody(*args), 4, "only root may change")
    t.equal((bus.get("Held"), bus.get("Law")), ("", "adaptive"), "state")


@tap.case("no descriptor and no memory is lost", timeout=120)
def leaks(t):
    bus, state = Bus(t), State(t)
    daemon = Daemon(t, bus, QUICK, env=state.env)

    def use(rounds):
        for i in range(rounds):
            bus.call("OpenHistory")
            bus.call("GetMetrics")
            bus.call("GetConfig")
            bus.call("Hold", "st", f"round {i}", "0")
            bus.call("Release")

    use(10)
    lab.grows_not(t, daemon, lambda: use(40))
    t.equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    tap.main()
