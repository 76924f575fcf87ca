# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon that crashes again and again, in a guest in which balloond runs: it comes back, and finds its balloon.

The guest's default start limit is made the harshest that there is first: five starts an hour. So it makes no
difference how fast the machine is: a unit that has no limit of its own, as the first case here shows, ends for
good, however long five crashes take.

Left out: one crash (daemon_service), a daemon that hangs (the watchdog, there, too).
"""
import json
import re
import threading

CRASHES = 6
HARSH = "[Manager]\\nDefaultStartLimitIntervalSec=1h\\nDefaultStartLimitBurst=5\\n"
# A lease that outlives all of them together on a slow machine.
CONFIG = 'tail: { hold_off = "1s"; stall_price = "1M"; };\nlease = "10min";\n'
# Kills each daemon as soon as there is one, up to @n of them; says when.
KILLER = """\
old=0; i=0
while [ $i -lt {n} ]; do
    pid=$(systemctl show -P MainPID balloond)
    case $(systemctl show -P ActiveState balloond) in failed|inactive) echo ended; exit 1;; esac
    if [ "$pid" != 0 ] && [ "$pid" != "$old" ]; then
        kill -KILL "$pid" && old=$pid && i=$((i + 1)) && cut -d ' ' -f 1 /proc/uptime
    fi
done
"""


def _status(g):
    code, text = g.run("balloonctl status --json")
    return json.loads(text) if code == 0 else None


def until(t, g, what, condition, timeout=100):
    def look():
        s = _status(g)
        return s if s and condition(s) else None
    return t.wait(look, timeout, what, 0.3)


def restarts(g):
    return int(g.property("balloond", "NRestarts"))


def uptime(g):
    return float(g.sh("cut -d ' ' -f 1 /proc/uptime"))


def prepare(g):
    g.sh(f"mkdir -p /run/systemd/system.conf.d && printf '{HARSH}' > /run/systemd/system.conf.d/harsh.conf && "
         "systemctl daemon-reload", 100)


def others_end(t, g):
    """The guest is what it is meant to be: a service without a limit of its own does not outlive five crashes."""
    prepare(g)
    g.sh("systemd-run -q --unit=crasher -p Restart=on-failure -p RestartSec=10ms /bin/false")
    t.wait(lambda: g.property("crasher", "ActiveState") == "failed", 100, "the limit ends another service")
    g.sh("systemctl reset-failed crasher")


def _lowest(g, work):
    """The smallest balloon that the host saw while work() ran."""
    seen, done = [], threading.Event()

    def watch():
        while not done.wait(0.1):
            seen.append(g.memory - g.balloon_actual())
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return min(seen)


def killed_often(t, g):
    prepare(g)
    g.put(CONFIG.encode(), "/etc/balloond.conf", 0o644)
    g.sh("systemctl restart balloond", 300)
    until(t, g, "the balloon inflates", lambda s: s["size"] >= g.memory // 4)
    before, count = g.memory - g.balloon_actual(), restarts(g)
    cursor = g.sh("journalctl -n 1 --show-cursor | sed -n 's/^-- cursor: //p'").strip()
    killed = []

    def work():
        code, said = g.run(KILLER.format(n=CRASHES), 200)
        t.equal(code, 0, f"each daemon that was killed had one after it\n{said}")
        killed.extend(float(x) for x in said.split())
        t.wait(lambda: restarts(g) == count + CRASHES and g.property("balloond", "ActiveState") == "active", 100,
               f"restart {CRASHES}")
        until(t, g, "the last one has the device", lambda s: s["host"] == "virtio")
    lowest = _lowest(g, work)
    t.diag(f"{CRASHES} crashes in {killed[-1] - killed[0]:.1f} s; "
           f"balloon {before >> 20} MiB, lowest {lowest >> 20} MiB")
    with t.subtest("the balloon is where it was all the time, and adopted"):
        t.check(lowest >= before * 9 // 10, f"balloon {before >> 20} MiB, lowest {lowest >> 20} MiB")
        t.check(_status(g)["size"] >= before * 9 // 10, "the last daemon has it")
        said = g.sh(f"journalctl --no-pager -o cat -u balloond --after-cursor '{cursor}'")
        t.contains(said, "taking over a balloon of", "journal")
        t.check("start-limit-hit" not in said and "repeated too quickly" not in said, said)
    with t.subtest("it moves again"):
        g.sh("balloonctl set-target 200MiB")
        t.wait(lambda: abs(g.memory - g.balloon_actual() - (200 << 20)) <= 2 << 20, 100,
               "200 MiB, as the host sees it")
        g.sh("balloonctl mode auto")


def cannot_start(t, g):
    """As long as the cause lasts, it is tried no more than once a second; and nobody has to start it afterwards."""
    prepare(g)
    folder = "/run/systemd/system/balloond.service.d"
    g.sh(f"mkdir -p {folder} && printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > {folder}/broken.conf && "
         "systemctl daemon-reload", 100)
    try:
        count, began = restarts(g), uptime(g)
        g.sh(f"kill -KILL {g.property('balloond', 'MainPID')}")
        t.wait(lambda: restarts(g) >= count + CRASHES, 200, f"{CRASHES} attempts")
        # The number first: what comes between the two looks is time, and no attempt.
        tried, took = restarts(g) - count, uptime(g) - began
        t.diag(f"{tried} attempts in {took:.1f} s")
        t.check(tried <= took + 1, f"{tried} attempts in {took:.1f} s are at most one a second")
    finally:
        g.sh(f"rm {folder}/broken.conf && systemctl daemon-reload", 100)
    t.wait(lambda: g.property("balloond", "ActiveState") == "active", 100, "it runs again by itself")
    until(t, g, "it has the device", lambda s: s["host"] == "virtio")


def unit(t, g):
    version = int(re.match(r"systemd (\d+)", g.sh("systemctl --version"))[1])
    code, said = g.run("systemd-analyze verify --man=no balloond.service 2>&1", 200)
    t.equal((code, said), (0, ""), f"what systemd {version} has to say about the unit")
    t.equal(g.property("balloond", "StartLimitIntervalUSec"), "0", "start limit")
    t.diag(f"systemd {version}: RestartSteps={g.property('balloond', 'RestartSteps') or 'unknown'}")


CASES = (
    ("another service ends for good here after five crashes", others_end, 300),
    ("killed again and again, it comes back and takes the balloon over", killed_often, 500),
    ("one that cannot start is tried once a second at most, and comes back when it can", cannot_start, 500),
    ("systemd has nothing to say about the unit", unit, 300),
)
