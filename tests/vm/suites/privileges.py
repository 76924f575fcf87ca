# SPDX-License-Identifier: GPL-2.0-or-later
"""What whoever takes the daemon over could do to the rest of the guest: nothing to any other process.

A program that tries it (guest/trespass.c) runs in the daemon's place, by a drop-in that replaces
what the unit starts and nothing else: so the settings are those of the unit as it is
installed, whatever they are. The same attempts as root, without any confinement, must
succeed, or their failure in the service would prove nothing.

The other half: the daemon makes no call that it is refused, but one that says so in the unit; and is far
from the bounds of its memory and its tasks. Left out: all else that it does in that confinement
(daemon_service, operator, takeover).
"""
import contextlib
import json
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                         # noqa: E402
from harness import debian, kernels                # noqa: E402
from harness.paths import VM                       # noqa: E402

PROGRAM = "/usr/local/sbin/trespass"
OUTPUT = "/run/trespass"
DROP_IN = """[Service]
Type=oneshot
WatchdogSec=0
Restart=no
ExecStartPre=
ExecReload=
ExecStart=
ExecStart={}
StandardOutput=truncate:{}
"""
# Whatever is refused ends the program; so no program starts, since the C library tries prlimit64 in each.
FATAL = """[Service]
Restart=no
SystemCallErrorNumber=
"""
STRICT = FATAL + "SystemCallFilter=prlimit64\n"
MIB = 1 << 20
METRICS = "/run/balloond/balloond.prom"
CONFIG = f'metrics_file = "{METRICS}";\ninterval = "200ms";\n'
# What every process may do to others of its own user, and the daemon's own ExecReload= does.
SAME_USER = {"kill", "tgkill", "oom_score_adj"}
# What the confinement leaves of what a process may do with itself. resize-fs: the capability permits it, and
# calls of ioctl are not told apart.
OWN = {"resize-fs"}


class Trespasser:
    def __init__(self, t, g):
        self.t, self.g = t, g

    def victim(self, who=""):
        """(pid, address) of a process to try it on."""
        log = f"/run/victim-{who or 'root'}"
        user = f"setpriv --reuid={who} --regid={who} --clear-groups " if who else ""
        self.g.sh(f"{user}{PROGRAM} victim > {log} 2>&1 & echo $! >> /run/victims")
        text = self.t.wait(lambda: self.g.run(f"grep 0x {log}")[1], 20, "the victim")
        return tuple(text.split())

    def as_root(self, *arguments):
        return self.results(self.g.sh(f"{PROGRAM} {' '.join(arguments)}"))

    @contextlib.contextmanager
    def drop_in(self, text):
        folder = "/run/systemd/system/balloond.service.d"
        self.g.sh(f"mkdir -p {folder}")
        self.g.put(text.encode(), f"{folder}/trespass.conf")
        try:
            self.g.sh("systemctl daemon-reload")
            yield
        finally:
            self.g.run(f"systemctl stop balloond; rm -r {folder}; systemctl daemon-reload; systemctl reset-failed balloond")

    def as_service(self, *arguments):
        with self.drop_in(DROP_IN.format(f"{PROGRAM} {' '.join(arguments)}", OUTPUT)):
            status, text = self.g.run("systemctl start balloond", 60)
            if status:
                self.t.fail(f"{text}\n{self.g.journal('balloond', 10)}")
            return self.results(self.g.read(OUTPUT))

    @staticmethod
    def results(text):
        return dict(line.split() for line in text.splitlines())

    def limits(self, pid):
        return [line.split()[3:5] for line in self.g.read(f"/proc/{pid}/limits").splitlines()
                if line.startswith("Max open files")]

    def word(self, victim):
        pid, address = victim
        return self.g.sh(f"dd if=/proc/{pid}/mem bs=1 skip={int(address, 0)} count=9 2>/dev/null").split("\0")[0]


def done(results):
    return {name for name, result in results.items() if result == "OK"}


def others(t, x, attempts):
    victim = x.victim()
    before = x.limits(victim[0]), x.limits(1)
    for what, pid in (("a root process", victim[0]), ("init", "1"), ("its parent", "parent")):
        with t.subtest(f"the service can do nothing to {what}"):
            got = x.as_service("others", pid, victim[1])
            t.equal(set(got), attempts, "attempts")
            t.equal(done(got), set(), "what it could do")
    with t.subtest("nothing has happened to them"):
        t.equal((x.limits(victim[0]), x.limits(1), x.word(victim)), (*before, "untouched"), "limits and memory")
    with t.subtest("nor to others of its own user, but what needs no right"):
        victim = x.victim("balloond")
        got = x.as_service("others", *victim)
        t.equal(done(got), SAME_USER, "what it could do")
        t.equal(x.word(victim), "untouched", "memory")


def daemon(t, x):
    g = x.g
    g.put(CONFIG.encode(), "/etc/balloond.conf", 0o644)

    def status():
        return json.loads(g.sh("balloonctl status --json"))

    with x.drop_in(FATAL), t.subtest("a call that is refused would end it"):
        t.check(g.run("systemctl start balloond", 60)[0] != 0, "the start fails")
        t.check(g.property("balloond", "Result") in ("signal", "core-dump"), "result")
    with x.drop_in(STRICT), t.subtest("the daemon does its work without a call that it is refused"):
        g.sh("systemctl start balloond", 60)
        pid = g.property("balloond", "MainPID")
        t.equal(status()["problem"], "", "problem")
        t.wait(lambda: status()["size"] > 64 * MIB, 60, "it inflates")
        g.sh("systemctl reload balloond", 60)
        g.sh("balloonctl hold x && balloonctl release && balloonctl mode manual && balloonctl set-target 32M --wait && "
             "balloonctl mode auto && balloonctl explain && balloonctl dump", 90)
        t.wait(lambda: g.run(f"test -e {METRICS}")[0] == 0, 40, "the metrics")
        t.check("instead of" not in g.journal("balloond"), "pressure is watched as is wished, also after the reload")
        t.equal((g.property("balloond", "MainPID"), status()["problem"]), (pid, ""), "the same daemon, problem")
        with t.subtest("it is far from the bounds of memory and tasks"):
            most = int(g.property("balloond", "MemoryMax"))
            peak = int(g.sh("cat /sys/fs/cgroup/balloond.slice/balloond.service/memory.peak"))
            tasks = int(g.property("balloond", "TasksCurrent"))
            t.diag(f"memory {peak / MIB:.1f} of {most / MIB:.0f} MiB at most, {tasks} tasks")
            t.check(peak < most // 2, f"{peak} of {most} bytes")
            t.check(tasks <= int(g.property("balloond", "TasksMax")) // 2, f"{tasks} tasks")
        g.sh("systemctl stop balloond", 60)
        t.equal(g.property("balloond", "Result"), "success", "result")


def privileges(t, series):
    program = debian.kernels.build_static(os.path.join(VM, "guest", "trespass.c"), "trespass")
    with debian.debian(t, series, name="privileges", files=[(PROGRAM[1:], program, 0o755)]) as g:
        t.on_failure(lambda: g.journal("balloond", 5))
        x = Trespasser(t, g)
        with t.subtest("root can do all that is tried"):
            victim = x.victim()
            got = x.as_root("others", *victim)
            t.equal({k: v for k, v in got.items() if v != "OK"}, {}, "what failed")
            t.equal((x.limits(victim[0]), x.word(victim)), ([["64", "4096"]], "touched"), "limits and memory")
            mine = x.as_root("own")
            t.equal({k: v for k, v in mine.items() if v != "OK"}, {}, "what failed")
        others(t, x, set(got))
        with t.subtest("the service gets no more than it has"):
            got = x.as_service("own")
            t.equal(set(got), set(mine), "attempts")
            t.equal(done(got), OWN, "what it could do")
        daemon(t, x)
        g.sh("kill $(cat /run/victims)")


for kernel in kernels.SERIES:
    tap.add(f"{kernel}: what the service may do", privileges, kernel, timeout=550)

if __name__ == "__main__":
    tap.main()
