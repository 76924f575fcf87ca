# SPDX-License-Identifier: GPL-2.0-or-later
"""org.balloond1 as others see it: a real balloond on a private bus, with no device.

Properties and their signals, the three methods and their refusals, reload, the
bus going away and coming back, and the manual pages' lists of members.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from xml.etree import ElementTree

import lab
import tap
from lab import Bus, Daemon, Signals, ctl, expect
from mdoc import section, top_level

MIB = 1 << 20
NONE = 2 ** 64 - 1

TYPES = {
    "Version": "s", "Mode": "s", "Law": "s", "Host": "s", "Capabilities": "as", "RAM": "t",
    "Size": "t", "Target": "t", "Goal": "t", "HostTarget": "t", "ManualTarget": "t", "Limit": "t",
    "Floor": "t", "Headroom": "t", "Available": "t", "Free": "t", "Cached": "t",
    "Reason": "s", "ReasonText": "s",
    "PressureSome": "u", "PressureFull": "u", "PressureIO": "u", "RefaultRate": "t",
    "LeaseLeft": "t", "HoldOffLeft": "t", "Account": "s", "AccountText": "s",
    "AccountAvailable": "t", "AccountGone": "t", "AccountHost": "t", "ReliefLine": "t", "Relieved": "t",
    "RelievedDirect": "t", "HostTakes": "s", "ProofsTaken": "t", "ProofsKept": "t",
    "Expected": "t", "ExpectedLost": "t", "ExpectedLeft": "t", "ExpectedWeeks": "t",
    "ExpectedKept": "t", "Held": "s", "HeldLeft": "t",
    "InflatedTotal": "t", "DeflatedTotal": "t", "ReliefEvents": "t", "RescueEvents": "t", "Rescued": "t", "Emergencies": "t",
    "ConfigFile": "s", "ConfigError": "s", "Problem": "s", "Ticks": "t",
}

# Ticks often, so that nothing has to be waited for.
QUICK = 'interval = "100ms";\nidle_interval = "100ms";\n'


def meminfo(name):
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(name + ":"))


@tap.case("properties: types and values")
def properties(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK)
    got = bus.properties()
    t.equal({k: v[0] for k, v in got.items()}, TYPES, "types")
    p = {k: v[1] for k, v in got.items()}
    t.equal(p["Mode"], "observe", "Mode")
    t.equal(p["Law"], "adaptive", "Law")
    t.equal(p["RAM"], meminfo("MemTotal"), "RAM without a balloon")
    t.between(p["Available"], 1, p["RAM"], "Available")
    t.between(p["Floor"], 1, p["RAM"], "Floor")
    t.equal(p["HostTarget"], NONE, "HostTarget without a host")
    t.equal(p["ConfigError"], "", "ConfigError")
    t.equal((p["Host"], p["Capabilities"], p["Size"]), ("", [], 0), "device")
    t.equal(p["Problem"], "", "watching needs no device")
    t.wait(lambda: bus.get("Ticks") > p["Ticks"] + 2, 20, "ticks go on")


@tap.case("a device that is missing is a problem, except in mode observe")
def problem(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK, mode="auto")
    # What follows depends on this machine: its hypervisor, and who holds its balloon.
    t.check(re.match("no balloon device; only watching until it appears: .*(balloonctl|modprobe|driver|uballoon)",
                     bus.get("Problem")), f"Problem: {bus.get('Problem')!r}")
    p = expect(t, ctl(bus), 0, "Problem  no balloon device")
    t.check(p.stdout.splitlines()[1].lstrip().startswith("Problem"), "the problem comes second")
    t.equal(json.loads(ctl(bus, "status", "--json").stdout)["problem"], bus.get("Problem"), "JSON")


@tap.case("a service manager that does not listen holds up nothing")
def deaf_manager(t):
    bus = Bus(t)
    folder = tempfile.mkdtemp(prefix="balloond-deaf-")
    t.defer(shutil.rmtree, folder, ignore_errors=True)
    path = os.path.join(folder, "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    t.defer(manager.close)
    manager.bind(path)
    manager.setblocking(False)
    # Full before the daemon says its first word.
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    t.defer(filler.close)
    filler.setblocking(False)
    try:
        while True:
            filler.sendto(b"X=1", path)
    except BlockingIOError:
        pass
    env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
    with open(os.path.join(folder, "balloond.conf"), "w") as f:
        f.write(QUICK)
    daemon = subprocess.Popen([lab.BALLOOND, "--config", f.name, "--bus-address", bus.address, "--mode", "observe"],
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={**lab.environment(), **env})
    t.defer(lab.end, daemon)
    t.wait(bus.owned, lab.PATIENCE_S, "balloond owns its name", interval=0.05)
    ticks = bus.get("Ticks")
    t.wait(lambda: bus.get("Ticks") > ticks + 10, 20, "ticks go on")
    with t.subtest("what matters is said once there is somebody who listens"):
        heard = []

        def listen():
            try:
                while True:
                    heard.extend(manager.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return "READY=1" in heard and "WATCHDOG=1" in heard
        t.wait(listen, 20, "READY=1 and a sign of life", interval=0.05)
        t.equal(heard.count("READY=1"), 1, "READY=1")
    t.equal(lab.end(daemon), 0, "exit status")


@tap.case("introspection is what balloond(8) lists")
def introspection(t):
    bus = Bus(t)
    Daemon(t, bus)
    p = bus.busctl("introspect", lab.NAME, lab.PATH, lab.MANAGER)
    got = {m["name"].lstrip("."): (m["type"], m["signature"] or "", m.get("flags") or "")
           for m in json.loads(p.stdout)} if p.stdout.startswith("[") else parse_table(p.stdout)
    page = section("balloond.8", "D-BUS INTERFACE")
    for kind, plural, macro in [("property", "properties", "Va"), ("method", "methods", "Fn")]:
        listed = {}
        for line in re.findall(rf"^\.It {macro} (.*)$", page, re.M):
            name, _, signature = line.partition(" ")
            listed[name] = signature
        members = {name: sig for name, (k, sig, _) in got.items() if k == kind}
        with t.subtest(plural):
            t.equal(listed, {n: s if s != "-" else "" for n, s in members.items()}, kind)
    with t.subtest("what methods take and return, and that there are no signals, in the XML that all bindings read"):
        p = bus.busctl("call", lab.NAME, lab.PATH, "org.freedesktop.DBus.Introspectable", "Introspect")
        tree = ElementTree.fromstring(json.loads(p.stdout)["data"][0])
        manager, = (i for i in tree.iter("interface") if i.get("name") == lab.MANAGER)
        sides = {m.get("name"): tuple("".join(a.get("type") for a in m.iter("arg") if a.get("direction") == side)
                                      for side in ("in", "out")) for m in manager.iter("method")}
        said = {}
        for head, body in top_level(section("balloond.8", "Methods")):
            m = re.search(r"^Returns\n\.Pq (\S+)$", "\n".join(body), re.M)
            said[head[0]] = (head[1] if len(head) > 1 else "", m.group(1) if m else "")
        t.equal(sides, said, "arguments and results")
        t.equal([s.get("name") for s in manager.iter("signal")], [], "signals of its own")
    with t.subtest("signals of change"):
        flags = {n: f for n, (k, _, f) in got.items() if k == "property"}
        for head, body in top_level(section("balloond.8", "Properties")):
            name = head[0]
            said = "const" if "Constant." in body else "-" if "Silent." in body else "emits-change"
            t.equal(flags[name], said, f"flags of {name}")


def parse_table(text):
    """busctl introspect without JSON: NAME TYPE SIGNATURE RESULT/VALUE FLAGS."""
    out = {}
    for line in text.splitlines():
        m = re.match(r"\.(\w+)\s+(method|property|signal)\s+(\S+)\s+(.*)$", line)
        if m:
            out[m.group(1)] = (m.group(2), m.group(3), m.group(4).split()[-1])
    return out


@tap.case("status: JSON has every property under the documented key")
def status_json(t):
    bus = Bus(t)
    Daemon(t, bus)
    p = expect(t, ctl(bus, "status", "--json"), 0)
    t.equal(p.stderr, "", "standard error")
    got = json.loads(p.stdout)
    page = section("balloonctl.1", "JSON OUTPUT").split("The keys of the status:")[1]
    listed = [w for head, _ in top_level(page) for w in head]
    t.equal(sorted(got), sorted(listed), "keys in balloonctl(1)")
    t.equal(len(got), len(TYPES), "as many keys as properties")
    props = {k: v[1] for k, v in bus.properties().items()}
    for key, prop in [("mode", "Mode"), ("ram", "RAM"), ("size", "Size"), ("host", "Host"),
                      ("version", "Version"), ("capabilities", "Capabilities"),
                      ("config_file", "ConfigFile"), ("problem", "Problem")]:
        t.equal(got[key], props[prop], key)
    t.equal(got["host_target"], None, "no host target is null")


@tap.case("status: what people read")
def status_human(t):
    bus = Bus(t)
    Daemon(t, bus)
    p = expect(t, ctl(bus), 0, "mode observe", "law adaptive", "Reason", "Host  none: ",
               "the guest keeps at least", "available")
    t.check("\033" not in p.stdout, "an escape sequence although it is no terminal")
    widths = {len(line) for line in p.stdout.splitlines()}
    t.check(max(widths) < 200, "lines are short")
    t.check(not re.search(r"\b\d{7,}\b", p.stdout), f"a raw number of bytes: {p.stdout}")


def on_terminal(argv, **env):
    """What a program writes to a terminal."""
    leader, follower = os.openpty()
    environ = {**os.environ, "TERM": "xterm", **env}
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower,
                               env=environ)
    os.close(follower)
    text = b""
    try:
        while chunk := os.read(leader, 4096):
            text += chunk
    except OSError:
        pass  # EIO: the last one has closed the other end
    os.close(leader)
    process.wait(lab.PATIENCE_S)
    return text.decode()


@tap.case("colour only on a terminal, and not with NO_COLOR")
def colour(t):
    bus = Bus(t)
    Daemon(t, bus, mode="auto")
    argv = [lab.BALLOONCTL, "--bus-address", bus.address, "status"]
    os.environ.pop("NO_COLOR", None)
    t.contains(on_terminal(argv), "\033[1;31m", "a problem in red")
    t.check("\033" not in on_terminal(argv, NO_COLOR="1"), "colour with NO_COLOR")
    t.contains(on_terminal(argv, NO_COLOR=""), "\033[", "NO_COLOR empty")
    t.check("\033" not in on_terminal(argv, TERM="dumb"), "colour on a dumb terminal")


@tap.case("mode: show, set, signal")
def mode(t):
    bus = Bus(t)
    Daemon(t, bus)
    signals = Signals(t, bus)
    t.equal(expect(t, ctl(bus, "mode"), 0).stdout, "observe\n", "mode")
    for name in ["auto", "host", "manual", "observe"]:
        t.equal(expect(t, ctl(bus, "mode", name), 0).stdout, "", "output")
        t.equal(expect(t, ctl(bus, "mode"), 0).stdout, name + "\n", "mode")
        t.equal(bus.get("Mode"), name, "Mode")
        t.wait(lambda n=name: signals.saw("Mode", n), 20, f"signal of mode {name}")
    t.contains(bus.call("SetMode", "s", "frob") or "", "frob", "refusal of an unknown mode")
    t.equal(bus.get("Mode"), "observe", "Mode after a refusal")


@tap.case("what is said to be announced is")
def announced(t):
    bus = Bus(t)
    signals = Signals(t, bus)
    Daemon(t, bus)
    p = bus.busctl("introspect", lab.NAME, lab.PATH, lab.MANAGER)
    names = re.findall(r"^\.(\w+) +property .* emits-change", p.stdout, re.M)
    t.check(len(names) > 20, f"properties: {names}")
    # At first all of them are news, but what is as in a daemon that knows nothing. MemAvailable moves all the time.
    news = [n for n in names if n != "Available" and bus.get(n)]
    t.contains(news, "HostTakes", "one of them")
    t.wait(lambda: set(news) <= {k for change in signals.seen() for k in change}, 20, f"signals for {news}")


@tap.case("set-target: sizes, percentages, --memory, auto")
def set_target(t):
    bus = Bus(t)
    Daemon(t, bus, 'reserve = "0";\n' + QUICK)
    signals = Signals(t, bus)
    ram = bus.get("RAM")
    keep_kib = ram // 1024 - 65536
    for args, want in [(["64M"], 64 * MIB), (["0"], 0), (["1%"], ram // 100),
                       (["--memory", "99%"], ram - ram * 99 // 100),
                       (["--memory", f"{keep_kib}K"], ram - keep_kib * 1024),
                       (["0.03125G"], 32 * MIB)]:
        p = expect(t, ctl(bus, "set-target", *args), 0, "target: a balloon of", "the guest keeps")
        t.equal(p.stderr, "", "standard error")
        got = bus.get("ManualTarget")
        # A percentage of RAM may be rounded to a page.
        t.between(got, want - 4096, want + 4096, f"ManualTarget after {args}")
        t.equal(bus.get("Mode"), "manual", "Mode")
        t.wait(lambda g=got: signals.saw("ManualTarget", g), 20, "signal of ManualTarget")
    expect(t, ctl(bus, "set-target", "auto"), 0, "mode auto")
    t.equal(bus.get("Mode"), "auto", "Mode")


@tap.case("set-target: below the floor")
def below_floor(t):
    bus = Bus(t)
    Daemon(t, bus)
    before = bus.get("ManualTarget")
    for args, least in [(["100%"], []), (["--memory", "1M"], ["--memory"])]:
        p = expect(t, ctl(bus, "set-target", *args), 5, "floor of", "possible")
        t.equal(p.stderr.count("\n"), 1, "lines")
        # What it offers is taken. The floor moves with the memory in use: allow for that.
        size = int(re.search(r"(\d+)M\n$", p.stderr).group(1))
        size += 16 if least else -16
        t.equal(bus.get("ManualTarget"), before, "ManualTarget after a refusal")
        t.equal(bus.get("Mode"), "observe", "Mode after a refusal")
        # On a busy machine it may have moved by more; then that is said.
        p = ctl(bus, "set-target", *least, f"{size}M")
        for _ in range(5):
            if p.returncode != 5:
                break
            size = int(re.search(r"(\d+)M\n$", p.stderr).group(1)) + (16 if least else -16)
            p = ctl(bus, "set-target", *least, f"{size}M")
        expect(t, p, 0)
        expect(t, ctl(bus, "mode", "observe"), 0)
        before = bus.get("ManualTarget")
    expect(t, ctl(bus, "set-target", "--memory", "64T"), 5, "of RAM", "--memory 100%")


@tap.case("set-target: above the limit")
def above_limit(t):
    bus = Bus(t)
    Daemon(t, bus, 'limit = "64M";\n')
    expect(t, ctl(bus, "set-target", "65M"), 5, "above the limit of 64 MiB", "set-target 64M\n")
    expect(t, ctl(bus, "set-target", "--memory", "90%"), 5, "above the limit", "--memory ")
    expect(t, ctl(bus, "set-target", "64M"), 0)
    t.check(bus.call("SetTarget", "t", str(NONE)), "the largest number is not refused")
    t.equal(bus.get("ManualTarget"), 64 * MIB, "ManualTarget")


@tap.case("set-target --wait: says at once that there is nothing to wait for")
def wait_without_device(t):
    bus = Bus(t)
    Daemon(t, bus)
    started = time.monotonic()
    expect(t, ctl(bus, "set-target", "--wait", "32M"), 1, "nothing moves", "device")
    expect(t, ctl(bus, "set-target", "--wait=1h", "32M"), 1, "nothing moves")
    t.check(time.monotonic() - started < 20 * tap.PATIENCE, "it waited")


@tap.case("reload: a good file")
def reload_good(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, 'limit = "1G";\n')
    signals = Signals(t, bus)
    t.equal(bus.get("Limit"), 1024 * MIB, "Limit")
    daemon.configure('limit = "512M";\n')
    t.equal(expect(t, ctl(bus, "reload"), 0).stdout, "", "output")
    t.equal(bus.get("Limit"), 512 * MIB, "Limit after the reload")
    t.wait(lambda: signals.saw("Limit", 512 * MIB), 20, "signal of Limit")
    daemon.configure('limit = "256M";\n')
    daemon.signal(signal.SIGHUP)
    t.wait(lambda: bus.get("Limit") == 256 * MIB, 20, "SIGHUP reloads")
    t.equal(bus.get("ConfigError"), "", "ConfigError")


@tap.case("reload: a bad file")
def reload_bad(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, 'limit = "1G";\n')
    signals = Signals(t, bus)
    daemon.configure('limit = "2G";\nfrob = "1";\nlease = "soon";\n')
    p = expect(t, ctl(bus, "reload"), 6, "stays in force", f"{daemon.config}:2: frob: ")
    t.check(p.stderr.count("\n") >= 1, "output")
    t.equal(bus.get("Limit"), 1024 * MIB, "Limit")
    t.contains(bus.get("ConfigError"), f"{daemon.config}:2: frob: ", "ConfigError")
    t.wait(lambda: any("frob" in c.get("ConfigError", "") for c in signals.seen()), 20,
           "signal of ConfigError")
    expect(t, ctl(bus), 0, "the last reload failed", "frob")
    t.contains(daemon.log(), ":2: frob: ", "log")
    t.contains(daemon.log(), ":3: lease: ", "log")
    daemon.signal(signal.SIGHUP)
    daemon.configure('limit = "512M";\n')
    expect(t, ctl(bus, "reload"), 0)
    t.equal((bus.get("Limit"), bus.get("ConfigError")), (512 * MIB, ""), "after a good reload")


@tap.case("reload: drop-ins come, change and go")
def reload_dropins(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, 'limit = "1G";\n')
    os.mkdir(f"{daemon.config}.d")
    path = f"{daemon.config}.d/10-limit.conf"

    def dropin(text, name=path):
        with open(name, "w") as f:
            f.write(text)

    dropin('limit = "512M";\n')
    t.equal(bus.get("Limit"), 1024 * MIB, "Limit before the reload")
    expect(t, ctl(bus, "reload"), 0)
    t.equal(bus.get("Limit"), 512 * MIB, "Limit with a drop-in")
    dropin('limit = "256M";\n', f"{daemon.config}.d/20-limit.conf")
    daemon.signal(signal.SIGHUP)
    t.wait(lambda: bus.get("Limit") == 256 * MIB, 20, "SIGHUP reads a second one")
    os.unlink(f"{daemon.config}.d/20-limit.conf")
    os.unlink(path)
    expect(t, ctl(bus, "reload"), 0)
    t.equal(bus.get("Limit"), 1024 * MIB, "Limit without")


@tap.case("reload: a bad drop-in")
def reload_bad_dropin(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, 'limit = "1G";\n')
    daemon.configure('limit = "2G";\n')
    # A name that the bus could not carry.
    path = f"{daemon.config}.d/10-\udcff.conf"
    os.mkdir(f"{daemon.config}.d")
    with open(path, "w") as f:
        f.write('\nfrob = "1";\n')
    shown = f"{daemon.config}.d/10-?.conf:2: frob: unknown key"
    expect(t, ctl(bus, "reload"), 6, "stays in force", shown)
    t.equal((bus.get("Limit"), bus.get("ConfigError")), (1024 * MIB, shown), "Limit, ConfigError")
    t.contains(daemon.log(), shown, "log")
    os.unlink(path)
    os.symlink("nowhere", path)
    expect(t, ctl(bus, "reload"), 6, "stays in force", "it is a link to a file that is not there")
    os.unlink(path)
    os.symlink("/dev/null", path)
    expect(t, ctl(bus, "reload"), 0)
    t.equal((bus.get("Limit"), bus.get("ConfigError")), (2048 * MIB, ""), "after a good reload")


@tap.case("invalid arguments on the bus")
def invalid(t):
    bus = Bus(t)
    Daemon(t, bus)
    for method, args in [("SetTarget", ["s", "1G"]), ("SetTarget", []), ("SetTarget", ["x", "-1"]),
                         ("SetMode", ["t", "1"]), ("SetMode", ["s", ""]), ("Reload", ["s", "x"]),
                         ("SetMode", ["s", "x" * 100000]), ("Frob", [])]:
        t.check(bus.call(method, *args), f"{method} {args[:1]} was not refused")
    p = bus.busctl("set-property", lab.NAME, lab.PATH, lab.MANAGER, "Mode", "s", "auto",
                   check=False)
    t.check(p.returncode, "a property was written")
    t.equal(bus.get("Mode"), "observe", "Mode")


@tap.case("no daemon on the bus")
def no_daemon(t):
    bus = Bus(t)
    for args in [["status"], ["status", "--json"], ["set-target", "1G"], ["set-target", "auto"],
                 ["mode"], ["mode", "auto"], ["reload"]]:
        p = expect(t, ctl(bus, *args), 3, "balloond is not running", "systemctl start balloond")
        t.equal(p.stdout, "", "standard output")


@tap.case("balloonctl does not start a daemon that is stopped")
def not_activated(t):
    bus = Bus(t, start=False)
    started = os.path.join(bus.folder, "started")
    with open(os.path.join(bus.services, "org.balloond1.service"), "w") as f:
        f.write(f"[D-BUS Service]\nName=org.balloond1\nExec=/usr/bin/touch {started}\n")
    bus.start()
    for args in [["status"], ["mode", "auto"], ["set-target", "auto"], ["reload"]]:
        expect(t, ctl(bus, *args), 3, "balloond is not running")
    t.check(not os.path.exists(started), "it was started")
    bus.busctl("--timeout=1", "call", lab.NAME, lab.PATH, lab.MANAGER, "Reload", check=False)
    t.wait(lambda: os.path.exists(started), 20, "the bus starts somebody: else this case proves nothing")


@tap.case("a daemon that does not answer", timeout=90)
def silent_daemon(t):
    bus = Bus(t)
    daemon = Daemon(t, bus)
    daemon.signal(signal.SIGSTOP)
    t.defer(daemon.signal, signal.SIGCONT)
    started = time.monotonic()
    expect(t, ctl(bus), 1, "balloond does not answer", "journalctl")
    t.between(time.monotonic() - started, 5, 25 * tap.PATIENCE, "seconds until balloonctl gives up")
    daemon.signal(signal.SIGCONT)
    expect(t, ctl(bus), 0)


@tap.case("the daemon ends cleanly and gives its name up")
def clean_end(t):
    bus = Bus(t)
    for number in [signal.SIGTERM, signal.SIGINT]:
        daemon = Daemon(t, bus)
        daemon.signal(number)
        daemon.wait_notify(t, "STOPPING=1")
        t.equal(daemon.process.wait(lab.PATIENCE_S), 0, "exit status")
        t.wait(lambda: not bus.owned(), 20, "the name is free")
        expect(t, ctl(bus), 3)


@tap.case("the bus goes away and comes back", timeout=120)
def bus_returns(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, QUICK)
    before = daemon.descriptors_kept()
    for _ in range(2):
        bus.stop()
        expect(t, ctl(bus), 3, "cannot connect")
        t.equal(daemon.process.poll(), None, "the daemon has ended")
        bus.start()
        t.wait(bus.owned, 40, "the daemon is back on the bus", interval=0.1)
        expect(t, ctl(bus), 0)
    t.wait(lambda: daemon.descriptors() == before, lab.PATIENCE_S, "open files as before")


@tap.case("no bus at the start: said once, and taken when it appears", timeout=120)
def bus_appears(t):
    bus = Bus(t, start=False)
    daemon = Daemon(t, bus, QUICK)
    time.sleep(3)
    said = [line for line in daemon.log().splitlines() if "bus" in line.lower()]
    t.equal(len(said), 1, f"lines about the bus: {said}")
    t.equal(daemon.process.poll(), None, "the daemon has ended")
    bus.start()
    t.wait(bus.owned, 40, "the daemon is on the bus", interval=0.1)
    t.equal(bus.get("Mode"), "observe", "Mode")


@tap.case("a second daemon does not take the name", timeout=90)
def second_daemon(t):
    bus = Bus(t)
    first = Daemon(t, bus)
    second = Daemon(t, bus)
    t.wait(lambda: "org.balloond1" in second.log(), 20, "the second says that the name is taken")
    t.equal(second.process.poll(), None, "the second has ended")
    expect(t, ctl(bus, "mode", "host"), 0)
    t.equal(second.stop(), 0, "exit status of the second")
    t.equal(bus.get("Mode"), "host", "Mode of the first")
    t.equal(first.process.poll(), None, "the first has ended")


@tap.case("a reader that never reads does not stall the daemon", timeout=90)
def stalled_reader(t):
    bus = Bus(t)
    Daemon(t, bus, QUICK)
    signals = Signals(t, bus)
    signals.process.send_signal(signal.SIGSTOP)
    t.defer(signals.process.send_signal, signal.SIGCONT)
    ticks = bus.get("Ticks")
    for i in range(50):
        expect(t, ctl(bus, "mode", ["host", "observe"][i % 2]), 0)
    t.wait(lambda: bus.get("Ticks") > ticks + 10, 20, "ticks go on")


@tap.case("no descriptor and no memory is lost", timeout=180)
def leaks(t):
    bus = Bus(t)
    daemon = Daemon(t, bus, QUICK)

    def use(rounds):
        for i in range(rounds):
            daemon.configure(['limit = "1G";\n', "frob;\n"][i % 2] + QUICK)
            bus.call("Reload")
            bus.properties()
            bus.call("SetMode", "s", ["auto", "frob", "observe"][i % 3])

    use(10)
    lab.grows_not(t, daemon, lambda: use(60))
    daemon.configure(QUICK)
    t.equal(bus.call("Reload"), None, "reload")
    # In a sanitizer build this is where leaks are found.
    t.equal(daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    tap.main()
