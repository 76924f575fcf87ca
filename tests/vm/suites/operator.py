# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator relies on, with the real service: history, hold, metrics, watch.

A Debian guest with the project installed. The service is confined as it is
shipped; the balloon is real, so that a hold holds something and relief relieves.
"""
import csv
import io
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                              # noqa: E402
from harness import debian              # noqa: E402

MIB = 1 << 20
METRICS = "/run/balloond/balloond.prom"

CONFIG = f"""\
metrics_file = "{METRICS}";
tail: {{ hold_off = "1s"; stall_price = "1M"; }};
"""


def status(g):
    return json.loads(g.sh("balloonctl status --json"))


def until(t, g, what, condition, timeout=90):
    return t.wait(lambda: (s := status(g)) and condition(s) and s, timeout, what, 0.5)


def records(g, *args):
    return list(csv.DictReader(io.StringIO(g.sh("balloonctl history --csv - " + " ".join(args)))))


def set_up(t, g):
    g.put(CONFIG.encode(), "/etc/balloond.conf", 0o644)
    g.sh("systemctl start balloond", timeout=60)
    with t.subtest("nothing is wrong"):
        t.equal(status(g)["problem"], "", "problem")
    with t.subtest("the history is the service's own, and nobody else's"):
        t.equal(g.sh("stat -c '%U %a' /var/lib/balloond /var/lib/balloond/history").split(),
                ["balloond", "700", "balloond", "600"], "owner and mode")


def hold(t, g):
    with t.subtest("a hold stops an inflation under way"):
        until(t, g, "it inflates", lambda s: s["size"] > 64 * MIB)
        g.sh("balloonctl hold --for 1h real test")
        # What is under way comes to its end.
        s = until(t, g, "held", lambda s: s["reason"] == "held" and s["size"] == s["target"])
        size = s["size"]
        g.sh("sleep 5")
        t.equal(status(g)["size"], size, "size")
        t.check(s["goal"] > size, f"the law wants more: {s['goal']}")
        t.equal(g.memory - g.balloon_actual(), size, "QEMU's view")
    with t.subtest("it survives a restart of the service, and a crash"):
        for order in ["restart balloond", "kill -s KILL balloond"]:
            g.sh("systemctl " + order, timeout=60)
            t.wait(lambda: g.run("balloonctl status --json")[0] == 0, 60, "the service is back")
            s = until(t, g, "held", lambda s: s["reason"] == "held")
            t.equal(s["held"], "real test", order)
            t.between(s["held_left"], 3000 * 10 ** 6, 3600 * 10 ** 6, "time left")


def relief(t, g):
    with t.subtest("what a program needs is given back all the same"):
        # A little more, so that there is something to give.
        g.sh("balloonctl release")
        until(t, g, "it inflates", lambda s: s["size"] > g.memory // 3)
        g.sh("balloonctl hold again")
        s = until(t, g, "held", lambda s: s["reason"] == "held")
        mib = (s["available"] + s["size"] * 3 // 4) // MIB
        kills = g.oom_kills()
        code, out = g.run(f"stress-ng --vm 4 --vm-bytes {mib}M --vm-keep --vm-populate "
                          "--vm-method zero-one --oomable --vm-ops 4000 --timeout 60", 120)
        t.equal((code, g.oom_kills()), (0, kills), f"exit status, OOM kills ({out.strip()})")
        after = status(g)
        t.check(after["size"] < s["size"] // 2, f"{s['size'] >> 20} -> {after['size'] >> 20} MiB")
        t.equal(after["held"], "again", "still held")
        g.sh("sleep 5")
        t.check(status(g)["size"] <= after["size"], "not taken again")
        g.sh("balloonctl release")


def history(t, g):
    with t.subtest("the history has all of it, across restarts"):
        got = records(g)
        notes = [r["text"] for r in got if r["kind"] == "note"]
        t.equal(len([n for n in notes if n.startswith("started")]), 3, f"starts in {notes}")
        for note in ["held for 1h: real test", "released", "held again"]:
            t.contains(notes, note, "notes")
        sizes = [int(r["balloon_bytes"]) for r in got if r["balloon_bytes"]]
        t.check(max(sizes) > g.memory // 3 and min(sizes) == 0, "the balloon's way")
        t.contains([r["move"] for r in got], "inflate", "moves")
        t.check(any(int(r["relieved_bytes"] or 0) for r in got), "what the module gave to the program")
        t.contains({r["reason"] for r in got}, "held", "reasons")
    with t.subtest("as a picture"):
        g.sh("balloonctl history --svg /tmp/h.svg")
        t.contains(g.read("/tmp/h.svg"), "</svg>", "picture")
    with t.subtest("in words"):
        t.contains(g.sh("balloonctl explain --last 100"), "to programs that asked", "explain")
    with t.subtest("for everyone"):
        t.contains(g.sh("setpriv --reuid nobody --regid nogroup --clear-groups balloonctl explain"),
                   "Now  ", "explain as nobody")
    with t.subtest("dump has the module's parameters and counters"):
        files = json.loads(g.sh("balloonctl dump"))["system"]["files"]
        for name in ["/sys/module/uballoon/parameters/floor_mb", "/sys/kernel/debug/uballoon/state"]:
            t.check(files[name], name)


def metrics(t, g):
    with t.subtest("metrics where a collector of another user reads them"):
        text = g.sh(f"setpriv --reuid nobody --regid nogroup --clear-groups cat {METRICS}")
        value = float(re.search(r"^balloond_inflated_bytes_total (\d+)$", text, re.M)[1])
        t.check(value > 0, "inflated")
        t.contains(text, 'host="virtio"', "mode")
    with t.subtest("gone when the service is stopped"):
        g.sh("systemctl stop balloond", timeout=60)
        t.equal(g.run(f"test -e {METRICS}")[0], 1, "the file is there")
        g.sh("systemctl start balloond", timeout=60)


def watch(t, g):
    with t.subtest("watch on a terminal"):
        # In the foreground, or the terminal's settings would not be its own to change.
        # A busy machine needs more time for the first screen.
        for seconds in (3, 10, 30):
            code, out = g.run("TERM=xterm script -qec 'stty rows 30 columns 100; "
                              f"timeout --preserve-status --foreground -s INT {seconds} balloonctl watch' /dev/null",
                              timeout=60)
            if "host virtio" in out:
                break
        t.equal(code, 0, f"exit status ({out!r})")
        t.contains(out, "host virtio", "screen")
        t.contains(out, "\033[?1049l", "the screen is left")
        t.check(re.search(r"\[.*#.*=.*\]|\[.*#", out), "bar")


@tap.case("the operator's tools in a guest", timeout=900)
def in_a_guest(t):
    with debian.debian(t, "6.1") as g:
        t.on_failure(lambda: g.journal("balloond", 20))
        set_up(t, g)
        hold(t, g)
        relief(t, g)
        history(t, g)
        metrics(t, g)
        watch(t, g)
        # Everything goes back before the guest gives its verdict.
        g.sh("systemctl stop balloond", timeout=60)


if __name__ == "__main__":
    tap.main()
