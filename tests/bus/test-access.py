# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may do what: everyone may look, only root (and the daemon's own user) may change.

Twice guarded, so twice tested: by the policy file that is installed, on a bus
that allows nothing else; and by the daemon itself, on a bus that allows all.
"""
import os
import pwd
import shutil
import subprocess

import lab
import tap
from lab import Bus, Daemon, ctl, expect

POLICY = os.path.join(lab.ROOT, "systemd", "org.balloond1.conf")
# Two accounts that every system has; the bus lets no user in whom it does not know.
NOBODY = pwd.getpwnam("nobody").pw_uid
STRANGER = pwd.getpwnam("daemon").pw_uid
CHANGES = [("SetMode", "string:host"), ("SetTarget", "uint64:1048576"), ("Reload",)]
QUICK = 'interval = "100ms";\nidle_interval = "100ms";\n'


def as_user(uid):
    return {"user": uid, "group": uid, "extra_groups": []}


def reachable(bus, program):
    """A copy of a program where any user can run it; the build folder may be private."""
    path = os.path.join(bus.folder, os.path.basename(program))
    if not os.path.exists(path):
        shutil.copy(program, path)
        os.chmod(path, 0o755)
    return path


def ctl_as(bus, uid, *args):
    return ctl(bus, *args, program=reachable(bus, lab.BALLOONCTL), **as_user(uid))


def refusal(bus, uid, method, *args):
    """The text of the error, which says who refused."""
    p = subprocess.run(["dbus-send", f"--bus={bus.address}", "--print-reply",
                        f"--dest={lab.NAME}", lab.PATH, f"{lab.MANAGER}.{method}", *args],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, text=True, timeout=lab.PATIENCE_S, **as_user(uid))
    return p.stderr


def may_look(t, bus, uid):
    expect(t, ctl_as(bus, uid), 0, "balloond ")
    expect(t, ctl_as(bus, uid, "status", "--json"), 0, '"mode": ')
    expect(t, ctl_as(bus, uid, "mode"), 0)


def may_not_change(t, bus, uid):
    before = {k: bus.get(k) for k in ["Mode", "ManualTarget", "ConfigError"]}
    for args in [["mode", "host"], ["set-target", "1M"], ["set-target", "auto"], ["reload"],
                 ["set-target", "--memory", "--wait=10s", "90%"]]:
        p = expect(t, ctl_as(bus, uid, *args), 4, "only root may change", "sudo")
        t.equal(p.stdout, "", "standard output")
    t.equal({k: bus.get(k) for k in before}, before, "state")


def may_change(t, bus, uid):
    expect(t, ctl_as(bus, uid, "mode", "host"), 0)
    t.equal(bus.get("Mode"), "host", "Mode")
    expect(t, ctl_as(bus, uid, "set-target", "1M"), 0)
    expect(t, ctl_as(bus, uid, "mode", "observe"), 0)
    expect(t, ctl_as(bus, uid, "reload"), 0)


@tap.setup
def set_up():
    lab.need_root()


@tap.case("the installed policy, on a bus that allows nothing else")
def installed_policy(t):
    bus = Bus(t, policy=POLICY)
    Daemon(t, bus)
    with t.subtest("root may look"):
        may_look(t, bus, 0)
    with t.subtest("root may change"):
        may_change(t, bus, 0)
    with t.subtest("nobody may look"):
        may_look(t, bus, NOBODY)
    with t.subtest("nobody may not change"):
        may_not_change(t, bus, NOBODY)
    with t.subtest("it is the bus that refuses"):
        for call in CHANGES:
            t.contains(refusal(bus, NOBODY, *call), "Rejected send message", call[0])


@tap.case("the daemon's own check, on a bus that allows all")
def own_check(t):
    bus = Bus(t)
    Daemon(t, bus)
    with t.subtest("root may change"):
        may_change(t, bus, 0)
    with t.subtest("nobody may look"):
        may_look(t, bus, NOBODY)
    with t.subtest("nobody may not change"):
        may_not_change(t, bus, NOBODY)
    with t.subtest("it is the daemon that refuses"):
        for call in CHANGES:
            t.contains(refusal(bus, NOBODY, *call), "not permitted", call[0])


@tap.case("a daemon that is not root")
def unprivileged_daemon(t):
    bus = Bus(t)
    Daemon(t, bus, program=reachable(bus, lab.BALLOOND), user=NOBODY)
    with t.subtest("root may change"):
        may_change(t, bus, 0)
    with t.subtest("the same user may change"):
        may_change(t, bus, NOBODY)
    with t.subtest("another user may look"):
        may_look(t, bus, STRANGER)
    with t.subtest("another user may not change"):
        may_not_change(t, bus, STRANGER)


@tap.case("the name is not for everyone", timeout=90)
def name_is_guarded(t):
    bus = Bus(t, policy=POLICY)
    daemon = Daemon(t, bus, QUICK, program=reachable(bus, lab.BALLOOND), user=NOBODY,
                    owner=False)
    t.wait(lambda: "does not let this user own" in daemon.log(), 20, "the daemon says so")
    t.equal(daemon.process.poll(), None, "the daemon has ended")
    expect(t, ctl(bus), 3, "balloond is not running")
    t.equal(daemon.stop(), 0, "exit status")


@tap.case("a bus that one may not connect to")
def closed_bus(t):
    bus = Bus(t)
    os.chmod(bus.socket, 0o600)
    expect(t, ctl_as(bus, NOBODY), 4, "not allowed to connect", "sudo")


if __name__ == "__main__":
    tap.main()
