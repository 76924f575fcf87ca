# SPDX-License-Identifier: GPL-2.0-or-later
"""What balloonctl makes of a daemon's answers: whole texts, compared letter for letter.

The daemon is a fake (answers.py), so that a guest can be in any state: what the real one says when it
has a device is for the tests in guests. Times in the output are local; the cases run in UTC.

Left out: what goes wrong on the way to an answer (test-refusals.py), and "status" without a device,
which looks at the machine.
"""
import csv
import io
import json
import os
import pty
import re
import subprocess
import time

import tap
from answers import MIB, NONE, SEC, Fake, history, note, record
from lab import BALLOONCTL, PATIENCE_S, Bus, ctl, expect

HOUR = 3600 * SEC


def utc(bus, *args):
    return ctl(bus, *args, env={**os.environ, "TZ": "UTC"})


def start(t):
    bus = Bus(t)
    return bus, Fake(t, bus)


ALL_WELL = """\
balloond 1.2, mode auto, law adaptive
   Balloon  256 MiB (25% of RAM)
   Account  gone: MemTotal falls
     Guest  keeps 768 MiB of 1 GiB, 512 MiB available
    Reason  The balloon is where it should be. (steady)
    Bounds  the guest keeps at least 128 MiB, the balloon is at most 768 MiB
  Headroom  64 MiB to stay available
  Pressure  some 1.2%, full 0.3%
      Host  virtio [reporting deflate-on-oom guest-driven]
     Moved  300 MiB inflated, 44 MiB deflated
    Config  /etc/balloond.conf
"""

HOST_OPTIONS = """\
            On the host, set:
              QEMU     -device virtio-balloon-pci,deflate-on-oom=on,free-page-reporting=on
              libvirt  <memballoon model='virtio' autodeflate='on' freePageReporting='on'/>
              Proxmox  qm set VMID --delete balloon --args '-global virtio-balloon-pci.deflate-on-oom=on \
-global virtio-balloon-pci.free-page-reporting=on'
            then power the machine off and on again; a reboot is not enough.
"""
NO_REPORTS = "            The host takes no free page reports: 2 MiB pages do not reach it, and\n"
NO_DEFLATE = ("            The host does not let the guest take back on its own what it asked for, not even before "
              "an out-of-memory kill.\n")

RELIEF = "    Relief  below 32 MiB available, programs get memory from the balloon at once"

# What is different in the guest, and what is then there instead of the first text, which is a line (or is not there).
STATUS = [
    ({"Size": 128 * MIB, "Goal": 300 * MIB}, {
        "   Balloon  256 MiB (25% of RAM)\n": "   Balloon  128 MiB (13% of RAM), inflating to 256 MiB\n",
        "keeps 768 MiB": "keeps 896 MiB",
        "    Bounds": "      Goal  a balloon of 300 MiB, if nothing held it back\n    Bounds"}),
    ({"Target": 0, "Goal": 0}, {"(25% of RAM)\n": "(25% of RAM), deflating to 0\n"}),
    ({"Mode": "observe", "Target": 300 * MIB, "Goal": 300 * MIB}, {
        "mode auto": "mode observe", "(25% of RAM)\n": "(25% of RAM), would inflate to 300 MiB\n"}),
    ({"Mode": "observe", "Target": 0, "Goal": 0}, {
        "mode auto": "mode observe", "(25% of RAM)\n": "(25% of RAM), would deflate to 0\n"}),
    ({"Mode": "manual", "ManualTarget": 256 * MIB}, {
        "mode auto": "mode manual", "    Bounds": "    Manual  a balloon of 256 MiB\n    Bounds"}),
    ({"ManualTarget": 256 * MIB}, {}),
    ({"Problem": "no bus", "Held": "backup", "HeldLeft": 90 * SEC, "ConfigError": "a: b\nc: d"}, {
        "   Balloon": "   Problem  no bus\n      Held  backup (another 90s); balloonctl release ends it\n"
                      "    Config  the last reload failed, the configuration before it is in force:\n"
                      "            a: b\n            c: d\n   Balloon"}),
    ({"Held": "for ever"}, {"   Balloon": "      Held  for ever; balloonctl release ends it\n   Balloon"}),
    ({"Law": ""}, {", law adaptive": ""}),
    ({"Account": ""}, {"   Account  gone: MemTotal falls\n": ""}),
    ({"AccountText": None}, {"gone: MemTotal falls": "gone: "}),
    ({"Size": 2048 * MIB, "Target": 2048 * MIB, "Goal": 2048 * MIB}, {
        "256 MiB (25% of RAM)": "2 GiB (200% of RAM)", "keeps 768 MiB of 1 GiB": "1 GiB of RAM"}),
    ({"Size": None}, {"256 MiB (25% of RAM)": "unknown", "keeps 768 MiB of 1 GiB": "1 GiB of RAM"}),
    ({"Available": None}, {", 512 MiB available": ""}),
    ({"RAM": 0}, {"   Balloon  256 MiB (25% of RAM)\n   Account  gone: MemTotal falls\n"
                  "     Guest  keeps 768 MiB of 1 GiB, 512 MiB available\n": ""}),
    ({"ReasonText": None}, {"The balloon is where it should be. (steady)": "steady"}),
    ({"Reason": None}, {" (steady)": ""}),
    ({"Reason": None, "ReasonText": None}, {"    Reason  The balloon is where it should be. (steady)\n": ""}),
    ({"Limit": None}, {", the balloon is at most 768 MiB": ""}),
    ({"Floor": None}, {"    Bounds  the guest keeps at least 128 MiB, the balloon is at most 768 MiB\n": ""}),
    ({"Headroom": 0}, {"  Headroom  64 MiB to stay available\n": ""}),
    ({"ReliefLine": 32 * MIB}, {
        "  Pressure": RELIEF + "\n  Pressure"}),
    ({"ReliefLine": 32 * MIB, "Relieved": 8 * MIB}, {
        "  Pressure": RELIEF + "; 8 MiB so far\n  Pressure"}),
    ({"HoldOffLeft": 30 * SEC}, {"  Pressure": "  Hold-off  no inflation for another 30s\n  Pressure"}),
    ({"PressureFull": None}, {"  Pressure  some 1.2%, full 0.3%\n": ""}),
    ({"HostTarget": 100 * MIB, "LeaseLeft": 20 * SEC}, {
        "virtio [": "virtio, asks for a balloon of 100 MiB [",
        "     Moved": "     Lease  20s, then the module gives everything back by itself\n     Moved"}),
    ({"Emergencies": 1, "RescueEvents": 1}, {
        "44 MiB deflated": "44 MiB deflated, 1 emergency, 1 rescue by the module, nothing given"}),
    ({"Emergencies": 2, "RescueEvents": 3}, {
        "44 MiB deflated": "44 MiB deflated, 2 emergencies, 3 rescues by the module, nothing given"}),
    ({"RescueEvents": 1, "Rescued": None}, {
        "44 MiB deflated": "44 MiB deflated, 1 rescue by the module"}),
    ({"RescueEvents": 2, "Rescued": 64 * MIB}, {
        "44 MiB deflated": "44 MiB deflated, 2 rescues by the module, 64 MiB given"}),
    ({"DeflatedTotal": None, "ConfigFile": ""}, {
        "     Moved  300 MiB inflated, 44 MiB deflated\n    Config  /etc/balloond.conf\n": ""}),
    # What the host leaves out.
    ({"Capabilities": "deflate-on-oom"}, {
        " [reporting deflate-on-oom guest-driven]\n": " [deflate-on-oom]\n" + NO_REPORTS +
        "            the balloon is never larger than the host asks for.\n" + HOST_OPTIONS}),
    ({"Capabilities": "deflate-on-oom guest-driven"}, {
        "[reporting ": "[", "guest-driven]\n": "guest-driven]\n" + NO_REPORTS +
        "            nothing of this guest's free memory does beside the balloon.\n" + HOST_OPTIONS}),
    ({"Capabilities": "reporting"}, {
        " [reporting deflate-on-oom guest-driven]\n": " [reporting]\n" + NO_DEFLATE + HOST_OPTIONS}),
    ({"Capabilities": None}, {
        " [reporting deflate-on-oom guest-driven]\n": "\n" + NO_REPORTS +
        "            the balloon is never larger than the host asks for.\n" + NO_DEFLATE + HOST_OPTIONS}),
    ({"Host": "vmware", "Capabilities": "2m-pages"}, {
        "virtio [reporting deflate-on-oom guest-driven]": "vmware [2m-pages]"}),
]


@tap.case("status: each state of a guest in the words for it", timeout=120)
def status(t):
    bus, fake = start(t)
    t.equal(expect(t, ctl(bus, "status"), 0).stdout, ALL_WELL, "all is well")
    for props, changes in STATUS:
        with t.subtest(", ".join(f"{k} {v}" for k, v in props.items())):
            fake.reset(**props)
            want = ALL_WELL
            for old, new in changes.items():
                t.equal(want.count(old), 1, f"{old!r} in the case's own text")
                want = want.replace(old, new)
            t.equal(expect(t, ctl(bus, "status"), 0).stdout, want, "status")


@tap.case("status of a daemon that tells nothing, or more than is known")
def empty(t):
    bus, fake = start(t)
    fake.say("clear")
    out = expect(t, ctl(bus, "status"), 0).stdout
    t.equal(out.splitlines()[0], "balloond (version unknown), mode unknown", "head")
    t.check("MiB" not in out.split("      Host")[0], f"no number is invented: {out!r}")
    got = json.loads(expect(t, ctl(bus, "status", "--json"), 0).stdout)
    t.equal({k: v for k, v in got.items() if v not in (None, [], "")}, {}, "what --json has")
    fake.reset(FromTheFuture=("s", "hello"))
    t.equal(expect(t, ctl(bus, "status"), 0).stdout, ALL_WELL, "with a property that is not known")
    t.equal(json.loads(ctl(bus, "status", "--json").stdout)["size"], 256 * MIB, "size")


AVAILABLE = "    512 MiB are available, 64 MiB are to stay so; the guest keeps at least 128 MiB.\n"
STALLS = "    Some task stalled for memory 1.2% of the time, all did 0.3%; for input or output 4.5%.\n"
REFAULTS = "    9 pages of the working set were read again per second.\n"
HOLD_OFF = "    No inflation for another 30s.\n"
HOST = "    The host asks for a balloon of 100 MiB.\n"
EVIDENCE = {
    "starting": "", "no-data": "", "no-device": "", "no-swap": "", "held": "", "manual": "", "stuck": "", "limit": "",
    "start-wait": AVAILABLE, "steady": AVAILABLE, "dead-band": AVAILABLE, "free": AVAILABLE, "committed": AVAILABLE,
    "headroom": AVAILABLE, "cache": AVAILABLE + STALLS + REFAULTS, "settling": AVAILABLE + STALLS + REFAULTS,
    "pressure": AVAILABLE + STALLS + REFAULTS, "emergency": AVAILABLE + STALLS + REFAULTS,
    "stalls": AVAILABLE + STALLS + REFAULTS, "price": AVAILABLE + HOLD_OFF, "working-set": AVAILABLE + REFAULTS,
    "host": HOST, "floor": AVAILABLE, "hold-off": AVAILABLE + HOLD_OFF, "relief": AVAILABLE + HOLD_OFF,
    "rescue": AVAILABLE + HOLD_OFF,
    # One of a newer daemon: all that there is.
    "future": AVAILABLE + STALLS + REFAULTS + HOST + HOLD_OFF,
}


def explained(t, bus, *args):
    return expect(t, utc(bus, "explain", *args), 0).stdout


@tap.case("explain: the decision in force, with what its reason rests on", timeout=120)
def explain(t):
    bus, fake = start(t)
    path = history(f"{bus.folder}/history", [])
    state = {"RefaultRate": 9, "HoldOffLeft": 30 * SEC, "HostTarget": 100 * MIB}

    def now(reason, **props):
        fake.reset(**{**state, "Reason": reason, **props})
        fake.say(f"answer OpenHistory file {path}")
        return explained(t, bus)

    for reason, evidence in EVIDENCE.items():
        with t.subtest(reason):
            head, text, balloon, *rest = now(reason).splitlines(True)
            t.equal(head, f"Now  {reason} (mode auto, law adaptive)\n", "head")
            t.check(text.strip() and text.startswith("    "), "a text")
            t.equal(balloon, "    The balloon holds 256 MiB of 1 GiB.\n", "balloon")
            t.equal("".join(rest), evidence, "evidence")
    with t.subtest("under way, and what the law wants beside it"):
        t.contains(now("free", Target=300 * MIB, Goal=400 * MIB),
                   "    The balloon holds 256 MiB of 1 GiB and is led to 300 MiB; the law wants 400 MiB.\n",
                   "explain")
        t.contains(now("free", Target=300 * MIB, Goal=300 * MIB, Mode="observe"),
                   "    The balloon holds 256 MiB of 1 GiB and would be led to 300 MiB.\n", "explain")
    with t.subtest("no device"):
        t.contains(now("no-device", Host=""), "    No balloon; the law would make it 256 MiB of 1 GiB.\n", "explain")
    with t.subtest("the floor where nothing is known to be available"):
        t.contains(now("floor", Available=None), "    The guest keeps at least 128 MiB.\n", "explain")
    with t.subtest("held, and a problem"):
        t.check(now("held", Held="backup", Problem="no bus").endswith("    Held: backup\n    Problem: no bus\n"),
                "explain")


@tap.case("explain: what an hour is known for")
def expected(t):
    bus, fake = start(t)
    path = history(f"{bus.folder}/history", [])

    def hour(need, lost, left, weeks, kept):
        fake.reset(Expected=("t", need), ExpectedLost=("t", lost), ExpectedLeft=("t", left),
                   ExpectedWeeks=("t", weeks), ExpectedKept=("t", kept))
        fake.say(f"answer OpenHistory file {path}")
        return "".join(explained(t, bus).splitlines(True)[4:])

    text = hour(700 * MIB, 2500000, 1800 * SEC, 3, 1)
    t.check(re.fullmatch(r"    Expected from (\d\d):(\d\d) to (\d\d):(\d\d): up to 700 MiB needed, 2.5s lost to "
                         r"stalls \(known from 3 weeks\)\.\n    That much is kept until then\.\n", text), text)
    m = re.search(r"from (\d\d):(\d\d) to (\d\d):(\d\d)", text)
    t.equal((int(m[3]) * 60 + int(m[4]) - int(m[1]) * 60 - int(m[2])) % 1440, 60, "minutes that it lasts")
    t.contains(hour(700 * MIB, 0, 0, 1, 0), "(known from 1 week).\n"
               "    Nothing is kept for that: nobody had to wait for it.\n",
               "one week")
    t.contains(hour(700 * MIB, 1000, 0, 0, 0), "(known from another day, or in part).\n"
               "    Nothing is kept for that: it would cost more than the stalls did.\n", "no week")
    t.contains(hour(700 * MIB, 1000, 0, 255, 0), "(known from at least 255 weeks)", "as many as are counted")
    for missing in range(5):
        values = [700 * MIB, 1000, 0, 1, 0]
        values[missing] = NONE
        t.equal(hour(*values), "", f"without value {missing}")


CHANGED, EARLY, EMERGENCY, INFLATES, DEFLATES, NO_BALLOON = (1 << n for n in range(6))


def some_history(bus, fake, t0, **more):
    """A device comes, the balloon inflates, an emergency; a note between them."""
    path = history(f"{bus.folder}/history", [
        record(1, t0, NO_BALLOON | CHANGED, reason="no-device", target=0, goal=400 * MIB),
        note(2, t0 + 10 * SEC, 'device "virtio"'),
        record(3, t0 + 20 * SEC, CHANGED | INFLATES, reason="free", size=100 * MIB, target=300 * MIB, goal=400 * MIB),
        record(4, t0 + 30 * SEC, INFLATES, reason="free", size=200 * MIB, target=300 * MIB, available=400 * MIB,
               available_min=390 * MIB),
        record(5, t0 + 100 * SEC, CHANGED | DEFLATES | EARLY | EMERGENCY, reason="emergency", size=300 * MIB,
               target=0, available=20 * MIB, available_min=10 * MIB, some=512, full=100, io=30, refaults=77,
               relieved_kib=8192,
               host_target=50 * MIB),
        note(6, t0 + 125 * SEC, "mode observe"),
        record(7, t0 + 130 * SEC, CHANGED | EARLY, reason="hold-off", mode="observe", size=0, hold_off_us=60 * SEC),
    ], **more)
    fake.say(f"answer OpenHistory file {path}")


@tap.case("explain: the changes before it, how long each was in force, and what happened between them")
def past(t):
    bus, fake = start(t)
    some_history(bus, fake, int(time.time()) * SEC - HOUR)
    out = explained(t, bus)
    blocks = re.split(r"(?m)^(?=\S)", out)[1:]
    t.equal(len(blocks), 7, f"blocks of {out!r}")
    t.check(re.match(r"\w{3} \d\d [\d:]{8}  no-device \(mode auto, law adaptive, for 20s\)\n", blocks[0]), blocks[0])
    t.contains(blocks[0], "    No balloon; the law would make it 400 MiB of 1 GiB.\n", "without a device")
    t.check(re.fullmatch(r'\w{3} \d\d [\d:]{8}  device "virtio"\n', blocks[1]), blocks[1])
    t.contains(blocks[2], "free (mode auto, law adaptive, for 80s)\n", "the time, over a repetition")
    for line in ("    The kernel's emergency pressure trigger had fired.\n",
                 "    The module gave 8 MiB to programs that asked.\n",
                 "    The balloon holds 300 MiB of 1 GiB and is led to 0.\n",
                 "    20 MiB are available (10 MiB at the least), 64 MiB are to stay so; "
                 "the guest keeps at least 128 MiB.\n",
                 "    Some task stalled for memory 51.2% of the time, all did 10.0%; for input or output 3.0%.\n",
                 "    77 pages of the working set were read again per second.\n"):
        t.contains(blocks[3], line, "the emergency")
    t.contains(blocks[5], "    The kernel's early pressure trigger had fired.\n", "hold-off")
    t.contains(blocks[5], "    No inflation for another 1min.\n", "hold-off")
    with t.subtest("--last and --since"):
        t.equal(len(re.findall(r"(?m)^\S", explained(t, bus, "--last", "2"))), 4, "the last 2 and the present")
        t.equal(len(re.findall(r"(?m)^\S", explained(t, bus, "--last", "0"))), 1, "only the present")
        t.equal(len(re.findall(r"(?m)^\S", explained(t, bus, "--since", "30min"))), 1, "all is older")
        t.equal(len(re.findall(r"(?m)^\S", explained(t, bus, "--since", "2h"))), 7, "all is younger")
        t.equal(len(re.findall(r"(?m)^\S", explained(t, bus, "--since", "2h", "--last", "1"))), 2, "both")
    with t.subtest("a clock that was set back"):
        some_history(bus, fake, int(time.time()) * SEC + HOUR)
        t.contains(explained(t, bus), "hold-off (mode observe, law adaptive)\n",
                   "in force for a time that is not known")


@tap.case("history: as a table, with a line for a time and for each thing that happened")
def table(t):
    bus, fake = start(t)
    t0 = int(time.time()) // 3600 * 3600 * SEC - HOUR
    some_history(bus, fake, t0)
    lines = expect(t, utc(bus, "history"), 0).stdout.splitlines()
    when = [time.strftime("%b %d %H:%M:%S", time.gmtime(t0 // SEC + s)) for s in (0, 10, 0, 60, 120)]
    got = [re.sub(r" {2,}", "|", line) for line in lines[1:]]
    t.equal(lines[0].split(), ["from", "balloon", "available", "some", "full", "reason"], "head")
    t.equal(got[1], f'{when[1]}|device "virtio"', "a note")
    t.equal([line.split("|")[1:] for line in got if line.count("|") > 1],
            [["0", "512 MiB", "0.0%", "0.0%", "no-device"],
             ["100 MiB - 200 MiB", "390 MiB", "0.0%", "0.0%", "free"],
             ["300 MiB", "10 MiB", "51.2%", "10.0%", "emergency"],
             ["0", "512 MiB", "0.0%", "0.0%", "would be: hold-off"]], "lines")
    with t.subtest("--since and --until, by the clock of TZ"):
        def seen(*args, zone="UTC"):
            p = expect(t, ctl(bus, "history", "--csv", "-", *args, env={**os.environ, "TZ": zone}), 0)
            return [(int(r["time"][11:13]) - 12) * 3600 + int(r["time"][14:16]) * 60 + int(r["time"][17:19])
                    for r in csv.DictReader(io.StringIO(p.stdout))]
        # Of a day long ago, at noon.
        noon = 1700049600
        some_history(bus, fake, noon * SEC)
        t.equal(seen("--since", "2023-11-15 12:00:20", "--until", "2023-11-15 12:01:40"), [20, 30, 100], "to the second")
        t.equal(seen("--since", "2023-11-15T13:01:00", zone="CET-1"), [100, 125, 130], "elsewhere it is 13:01 then")
        t.equal(seen("--until", f"@{noon + 10}.5"), [0, 10], "seconds since 1970")
        t.equal(seen("--since", "today"), [], "it was not today")
        t.equal(seen("--until", "yesterday"), [0, 10, 20, 30, 100, 125, 130], "but before yesterday")
        t.contains(utc(bus, "history", "--svg", "-", "--until", "2023-11-15 12:01:40").stdout,
                   "5 records until 2023-11-15 12:01:40 +0000", "the picture ends there")
        some_history(bus, fake, t0)
        t.equal(len(seen("--since", "4h ago")), 7, "ago")
        t.equal(seen("--since", "-5h", "--until", "4h ago"), [], "all is younger")
    with t.subtest("--no-legend"):
        t.equal(utc(bus, "history", "--no-legend").stdout.splitlines(), lines[1:], "without its head")
    with t.subtest("the reason that was there most often"):
        path = history(f"{bus.folder}/mixed", [record(n, t0 + n * SEC, reason=r) for n, r in
                                               enumerate(["free", "cache", "cache", "free", "cache", "steady"], 1)])
        fake.say(f"answer OpenHistory file {path}")
        t.check(utc(bus, "history").stdout.splitlines()[-1].endswith("  cache"), "reason")
    with t.subtest("years, and nothing known to be available"):
        path = history(f"{bus.folder}/years", [record(n, t0 - n % 2 * 1000 * 24 * HOUR, available=NONE)
                                               for n in (1, 2)])
        fake.say(f"answer OpenHistory file {path}")
        lines = utc(bus, "history").stdout.splitlines()
        t.equal([line.split()[5] for line in lines[1:]], ["unknown", "unknown"], "available")


@tap.case("history: as CSV and as a picture")
def exported(t):
    bus, fake = start(t)
    some_history(bus, fake, 1700000000 * SEC)
    rows = list(csv.DictReader(io.StringIO(expect(t, ctl(bus, "history", "--csv", "-"), 0).stdout)))
    t.equal([r["time"] for r in rows][:2], ["2023-11-14T22:13:20.000Z", "2023-11-14T22:13:30.000Z"], "times")
    t.equal([r["kind"] for r in rows], ["decision", "note"] + ["decision"] * 3 + ["note", "decision"], "kinds")
    t.equal([r["move"] for r in rows], ["", "", "inflate", "inflate", "deflate", "", ""], "moves")
    t.equal([r["trigger"] for r in rows], ["", "", "", "", "emergency", "", "early"], "triggers")
    t.equal([r["balloon_bytes"] for r in rows],
            ["", "", str(100 * MIB), str(200 * MIB), str(300 * MIB), "", "0"], "what is no balloon, and an empty one")
    t.equal([r["host_target_bytes"] for r in rows], ["", "", "", "", str(50 * MIB), "", ""], "what the host asks for")
    t.equal(rows[1]["text"], 'device "virtio"', "a text with quotes")
    t.equal(rows[4]["relieved_bytes"], str(8 * MIB), "relieved")
    with t.subtest("SVG"):
        some_history(bus, fake, int(time.time()) * SEC - HOUR)
        svg = expect(t, utc(bus, "history", "--svg", "-"), 0).stdout
        t.contains(svg, "7 records until ", "subtitle")
        t.check(svg.rstrip().endswith("</svg>"), "the end")
    with t.subtest("gaps, a clock that was set back, and what is not known"):
        now = int(time.time()) * SEC
        lines = []
        for gap, free in ((0, 1), (600, 1), (600, NONE)):
            path = history(f"{bus.folder}/gap", [
                record(n, now - 3600 * SEC + when * SEC, ram=0 if when == 20 else 1024 * MIB, host_target=64 * MIB,
                       free=free, size=n * MIB)
                for n, when in enumerate((0, 10, 20, 5, 30, 40, 50 + gap, 60 + gap), 1)])
            fake.say(f"answer OpenHistory file {path}")
            svg = expect(t, utc(bus, "history", "--svg", "-"), 0).stdout
            # "used" is an area: as many parts as there are stretches of which all is known.
            lines.append(re.search(r'fill="#e69f00" fill-opacity="0.55" stroke="#e69f00"[^>]* d="([^"]*)"', svg)[1]
                         .count("Z"))
        t.equal(lines, [2, 3, 0], "parts of the area: around a look without RAM, around a gap as well, nothing")
    with t.subtest("a text with what no terminal should get"):
        fake.say(f"answer OpenHistory file {history(f'{bus.folder}/text', [note(1, SEC, 'a' + chr(27) + chr(10) + 'b')])}")
        t.check(ctl(bus, "history", "--csv", "-").stdout.endswith(',"a??b"\n'), "question marks")
        table = ctl(bus, "history").stdout
        t.check("\x1b" not in table and "a??b" in table, "in the table, too, and one line")
        for verb in ("status", "explain", "metrics", "dump"):
            fake.set(Problem=("s", "a\x1b[2J\x9bé\x7fb"), ReasonText=("s", "\x1b]0;x\x07"), Held=("s", "\x1b[31m"))
            said = ctl(bus, verb).stdout
            t.check(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", said), f"{verb}: {said!r}")
            if verb in ("status", "explain"):
                t.contains(said, "a?[2J??é?b", f"{verb}: what is text stays")
        fake.reset()
    with t.subtest("of a ring that has gone round meanwhile, the last ones"):
        path = history(f"{bus.folder}/ring", [record(n, n * SEC) for n in (1, 2, 3, 70)], capacity=64)
        fake.say(f"answer OpenHistory file {path}")
        t.equal(len(ctl(bus, "history", "--csv", "-").stdout.splitlines()), 2, "the head and the newest")
    with t.subtest("two points are needed for a picture"):
        path = history(f"{bus.folder}/one", [record(1, 1700000000 * SEC)])
        fake.say(f"answer OpenHistory file {path}")
        expect(t, ctl(bus, "history", "--svg", f"{bus.folder}/x.svg"), 1,
               "there is not enough history for a picture yet")
        t.check(not os.path.exists(f"{bus.folder}/x.svg"), "no file is made")
        with open(f"{bus.folder}/x.svg", "w") as f:
            f.write("yesterday's")
        expect(t, ctl(bus, "history", "--svg", f"{bus.folder}/x.svg"), 1)
        with open(f"{bus.folder}/x.svg") as f:
            t.equal(f.read(), "yesterday's", "a picture that is there")


@tap.case("--json: each verb that shows something, in each form")
def as_json(t):
    bus, fake = start(t)
    t0 = int(time.time()) * SEC - HOUR

    def said(*args):
        """The same value, whatever the form; of the texts only the one for people is no JSON."""
        forms = {form: expect(t, ctl(bus, *args, *form), 0).stdout
                 for form in (("--json",), ("--json=pretty",), ("--json=short",))}
        bare, pretty, short = forms.values()
        t.equal(short.count("\n"), 1, "lines of the short form")
        value = json.loads(short)
        with t.subtest(" ".join(args)):
            # Time goes on, and what the kernel says changes.
            if args[0] in ("dump", "explain"):
                t.equal([set(json.loads(form)) for form in (bare, pretty)], [set(value)] * 2, "keys")
            else:
                t.equal((bare == pretty, json.loads(pretty) == value), (True, True), "the same in each form")
            t.equal(pretty, json.dumps(json.loads(pretty), indent=2, ensure_ascii=False) + "\n", "the form")
        return value

    some_history(bus, fake, t0)
    t.equal(said("status")["size"], 256 * MIB, "size")
    t.equal((said("mode"), said("policy")), ({"mode": "auto"}, {"law": "adaptive"}), "mode and policy")
    t.equal(expect(t, ctl(bus, "status", "--json=off"), 0).stdout, ALL_WELL, "off")
    with t.subtest("before the verb, and the last one counts"):
        t.equal(json.loads(ctl(bus, "--json", "mode", "--json=short").stdout), {"mode": "auto"}, "mode")
        t.equal(ctl(bus, "--json", "mode", "--json=off").stdout, "auto\n", "mode")

    records = said("history")
    t.equal([r["time_us"] - t0 for r in records], [n * SEC for n in (0, 10, 20, 30, 100, 125, 130)], "times")
    t.equal([r.get("reason") for r in records],
            ["no-device", None, "free", "free", "emergency", None, "hold-off"], "reasons")
    t.equal(records[1], {"time_us": t0 + 10 * SEC, "note": 'device "virtio"'}, "a note")
    t.equal((records[0]["size"], records[2]["size"]), (None, 100 * MIB), "no balloon, and one")
    t.equal([(r["changed"], r["move"], r["trigger"]) for r in records if "move" in r],
            [(True, None, None), (True, "inflate", None), (False, "inflate", None),
             (True, "deflate", "emergency"), (True, None, "early")], "what they do")
    t.equal(said("history", "--since", "now"), [], "nothing")
    for other in ("--csv", "--svg"):
        expect(t, ctl(bus, "history", "--json", other, "-"), 2, "--json is in the place of")

    told = said("explain", "--last", "2")
    t.equal([r.get("reason", r.get("note")) for r in told["past"]], ["emergency", "mode observe", "hold-off"], "past")
    t.equal((told["past"][0]["lasted"], "lasted" in told["past"][1]), (30 * SEC, False), "how long")
    t.contains(told["past"][0]["reason_text"], "Giving everything back", "the reason in words")
    t.equal(told["now"], said("status"), "now")

    fake.say("answer GetConfig config 512M")
    dump = said("dump")
    t.equal(expect(t, ctl(bus, "dump", "--json=off"), 0).stdout[0], "{", "there is no other form of it")
    t.equal(set(dump), {"balloonctl", "time_us", "status", "config", "system", "history"}, "dump")
    t.equal(dump["config"], {"limit": "512M"}, "configuration")
    t.equal(dump["history"], records, "its records are those of history")

    said_by_it = ("# HELP a_bytes Of a kind, with words.\n# TYPE a_bytes gauge\n# UNIT a_bytes bytes\n"
                  "a_bytes 18446744073709551615\n# HELP b Times.\n# TYPE b counter\nb_total 1.250000\n"
                  '# HELP c Words.\n# TYPE c gauge\nc{x="one",y=""} 1\nc{x="two"} NaN\n# EOF\n')
    fake.say("answer GetMetrics text " + said_by_it.replace("\n", "\v"))
    t.equal(said("metrics"), [
        {"name": "a_bytes", "type": "gauge", "unit": "bytes", "help": "Of a kind, with words.", "labels": {},
         "value": 2 ** 64 - 1},
        {"name": "b_total", "type": "counter", "unit": None, "help": "Times.", "labels": {}, "value": 1.25},
        {"name": "c", "type": "gauge", "unit": None, "help": "Words.", "labels": {"x": "one", "y": ""}, "value": 1},
        {"name": "c", "type": "gauge", "unit": None, "help": "Words.", "labels": {"x": "two"}, "value": None}], "metrics")
    fake.say("answer GetMetrics text none \v# frob\v#\vc{x 1\vd 2")
    t.equal([s["value"] for s in said("metrics")], [2], "lines that are no samples are left out")


@tap.case("a pager: it gets colours and all of it, and the exit status is the verb's")
def paged(t):
    bus, fake = start(t)
    some_history(bus, fake, int(time.time()) * SEC - HOUR)
    master, slave = pty.openpty()
    t.defer(os.close, master)
    t.defer(os.close, slave)
    path = f"{bus.folder}/paged"
    env = {**os.environ, "TERM": "xterm", "TZ": "UTC", "SYSTEMD_PAGERSECURE": "1",
           "SYSTEMD_PAGER": f"dd status=none of={path}"}

    def said(status, *args):
        p = subprocess.run([BALLOONCTL, "--bus-address", bus.address, *args], stdin=slave, stdout=slave,
                           stderr=subprocess.PIPE, text=True, env=env, timeout=PATIENCE_S)
        t.equal(p.returncode, status, f"exit status of {args} ({p.stderr})")
        with open(path) as f:
            return f.read(), p.stderr

    plain = utc(bus, "history").stdout
    text, _ = said(0, "history")
    t.check(text.startswith("\x1b[1mfrom "), f"bold: {text[:40]!r}")
    t.equal(re.sub("\x1b\\[[0-9;]*m", "", text), plain, "all of it")
    for verb in ("explain", "metrics"):
        fake.say("answer GetMetrics text a 1")
        t.check(said(0, verb)[0], verb)
    fake.say("answer GetConfig error org.freedesktop.DBus.Error.Failed broken")
    text, error = said(1, "dump")
    t.equal(json.loads(text)["config"], {}, "what there is")
    t.contains(error, "balloond could not do that: broken", "standard error")


@tap.case("record: the columns of the balloon, as long as the daemon is there and has one")
def recorded(t):
    bus, fake = start(t)
    columns = ("ram_kib", "balloon_kib", "target_kib", "host_target_kib", "reason")

    def seen(n, **props):
        fake.reset(**props)
        path = f"{bus.folder}/record-{n}"
        expect(t, ctl(bus, "record", "--interval", "20ms", "--duration", "100ms", path), 0)
        with open(path) as f:
            row = list(csv.DictReader(line for line in f if not line.startswith("#")))[-1]
        return tuple(row[c] for c in columns)

    t.equal(seen(1, HostTarget=100 * MIB), ("1048576", "262144", "262144", "102400", "steady"), "all of it")
    t.equal(seen(2)[3], "", "a host that asks for nothing")
    t.equal(seen(3, Host="reporting")[1], "", "what is only claimed is no balloon")
    t.equal(seen(4, Host="", RAM=None)[1], "", "no device")
    t.equal(seen(5, Target=None)[2], "", "no target")
    with t.subtest("without it, when it ends"):
        fake.reset()
        path = f"{bus.folder}/record-end"
        fake.say("answer GetAll end")
        expect(t, ctl(bus, "record", "--interval", "20ms", "--duration", "200ms", path), 0)
        with open(path) as f:
            rows = list(csv.DictReader(line for line in f if not line.startswith("#")))
        t.check(len(rows) > 1, "rows")
        t.equal({r["balloon_kib"] for r in rows}, {""}, "balloon")


if __name__ == "__main__":
    tap.main()
