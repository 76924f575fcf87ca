# SPDX-License-Identifier: GPL-2.0-or-later
"""balloonctl --host and --machine: the daemon of another machine, as systemctl reaches those.

The other host is this one: an "ssh" of the test's own starts what the real one would
start there. The container is a process in a mount namespace whose system bus is the test's.

Left out: ssh itself and systemd-machined.
"""
import json
import os
import shutil
import subprocess
import time

import lab
import tap
from answers import MIB, SEC, Fake, history, record
from lab import BALLOONCTL, Bus, expect

BRIDGE = "systemd-stdio-bridge"

# Says what it was asked for, and gets there, as far as there is such a host.
SSH = """#!/bin/sh
echo "$@" >> {asked}
for word; do last=$word; done
case "$*" in *nowhere*) echo "ssh: cannot resolve nowhere" >&2; exit 255;; esac
exec {bridge} --bus-path={address}
"""


def run(*args, **env):
    return subprocess.run([BALLOONCTL, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=lab.PATIENCE_S, env={**os.environ, **env})


def host(t, bus):
    """What the environment of somebody is who can get there by ssh."""
    bridge = shutil.which(BRIDGE)
    if not bridge:
        t.skip(f"{BRIDGE} is not installed")
    path = os.path.join(bus.folder, "ssh")
    with open(path, "w") as f:
        f.write(SSH.format(asked=f"{bus.folder}/asked", bridge=bridge, address=bus.address))
    os.chmod(path, 0o755)
    return {"PATH": f"{bus.folder}:{os.environ['PATH']}"}


@tap.case("--host: each verb that needs no file")
def by_ssh(t):
    bus = Bus(t)
    fake = Fake(t, bus)
    env = host(t, bus)
    for args in (["-H", "there", "status", "--json"], ["status", "--json", "--host=me@there"]):
        t.equal(json.loads(expect(t, run(*args, **env), 0).stdout)["size"], 256 * MIB, " ".join(args))
    with open(f"{bus.folder}/asked") as f:
        asked = f.read()
    t.check("there" in asked and "me@there" in asked and BRIDGE in asked, f"ssh was asked for {asked!r}")
    t.equal(run("-H", "there", "mode", **env).stdout, "auto\n", "mode")
    expect(t, run("-H", "there", "set-target", "128M", **env), 0)
    t.contains(fake_asked(fake), "SetTarget", "what the daemon heard")
    fake.say("answer SetTarget error org.freedesktop.DBus.Error.AccessDenied no")
    expect(t, run("-H", "there", "set-target", "128M", **env), 4, "only root")
    for verb in ("history", "explain", "dump"):
        expect(t, run("-H", "there", verb, **env), 1, "which ssh does not carry; run balloonctl on that host, with ssh there\n")
    for name, way in (("me@there:22", "-p 22 me@there"), ("there/box", "there"), ("there:22/box", "-p 22 there")):
        p = run("-H", name, "history", **env)
        t.check(p.stderr.endswith(f"with ssh {way}\n"), f"{name}: {p.stderr}")


def fake_asked(fake):
    """The methods so far; the fake tells them before it answers."""
    fake.say("unset Nothing")
    return fake.asked


@tap.case("--host: status says nothing of this machine")
def not_here(t):
    bus = Bus(t)
    fake = Fake(t, bus)
    env = host(t, bus)
    fake.set(Host=("s", ""))
    lines = expect(t, run("-H", "there", "status", **env), 0).stdout.splitlines()
    t.contains(lines, "      Host  none", "status")


@tap.case("--host, --machine: what cannot be reached")
def unreachable(t):
    bus = Bus(t)
    env = host(t, bus)
    p = expect(t, run("-H", "nowhere", "status", **env), 3, "ssh: cannot resolve nowhere",
               "cannot connect to the system bus of nowhere", "it is reached by ssh")
    t.equal(p.stdout, "", "standard output")
    expect(t, run("-H", "there", "status", **env), 3, "balloond is not running")
    for bad in ("", "-oProxyCommand=true", ":22", "/box", ":", "me@", "me@:22", "me@/box", "me@-x", "a b", "a\tb", " a"):
        shown = bad.replace("\t", "?")
        expect(t, run(f"--host={bad}", "status", **env), 2, f"'{shown}' is not a host")
    expect(t, run("-M", "a/b", "status", **env), 2, "'a/b' is not a name of a machine")
    expect(t, run("-M", "there-is-none-such", "status", **env), 3, "there is no machine there-is-none-such")
    for args in (["-H", "there", "-M", "box"], ["-M", "box", "--bus-address", bus.address]):
        expect(t, run(*args, "status", **env), 2, "exclude each other")


@tap.case("--machine: the bus in a container")
def in_machine(t):
    if os.geteuid() != 0:
        t.skip("only root may look into a machine")
    bus = Bus(t)
    fake = Fake(t, bus)
    now = int(time.time()) * SEC
    path = history(f"{bus.folder}/history", [record(1, now - 60 * SEC)])
    fake.say(f"answer OpenHistory file {path}")
    fake.say("answer GetConfig config 512M")
    # In a mount namespace of its own, so that nothing of the machine's is touched: the tables of
    # machines, and the socket of the bus, which the "container" has in its place.
    script = f"""
set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/dbus /run/systemd/machines
: > /run/dbus/system_bus_socket
mount --bind {bus.socket} /run/dbus/system_bus_socket
printf 'LEADER=%s\\nCLASS=container\\n' $$ > /run/systemd/machines/box
"$@"
"""
    def inside(*args):
        return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", BALLOONCTL, "-M", "box", *args],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=lab.PATIENCE_S)
    p = inside("status", "--json")
    if "unshare" in p.stderr or "mount" in p.stderr:
        t.skip(f"no namespaces here: {p.stderr}")
    t.equal(json.loads(expect(t, p, 0).stdout)["size"], 256 * MIB, "status")
    # A file comes through, but nothing is said of this machine.
    t.equal(len(json.loads(expect(t, inside("history", "--json"), 0).stdout)), 1, "history")
    dump = json.loads(expect(t, inside("dump"), 0).stdout)
    t.equal((dump["system"], len(dump["history"])), (None, 1), "dump")


if __name__ == "__main__":
    tap.main()
