# SPDX-License-Identifier: GPL-2.0-or-later
"""balloonctl with a device: what cannot be tested where nothing moves.

A Debian guest with the project installed and the daemon in mode manual. Targets
are reached and waited for, in lines and with a bar; waiting ends in all the ways
in which it can end; and the service is the one that answers, as its own user,
under the bus policy that is installed.
"""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                              # noqa: E402
from harness import debian              # noqa: E402

MIB = 1 << 20
PAGE = 2 * MIB

CONFIG = """\
mode = "manual";
interval = "200ms";
idle_interval = "500ms";
"""
SLOW = CONFIG + 'tail: { inflate_rate = "4MiB/s"; };\n'


def status(g):
    return json.loads(g.sh("balloonctl status --json"))


def configure(g, text):
    g.put(text.encode(), "/etc/balloond.conf", 0o644)
    g.sh("balloonctl reload")


def set_up(t, g):
    g.put(CONFIG.encode(), "/etc/balloond.conf", 0o644)
    g.sh("systemctl start balloond", timeout=60)
    with t.subtest("the service answers, and finds the device"):
        s = status(g)
        t.equal((s["mode"], s["host"], s["size"]), ("manual", "virtio", 0), "mode, host and size")
        t.equal(s["problem"], "", "problem")


def plain(t, g):
    with t.subtest("set-target --wait in plain lines"):
        out = g.sh("balloonctl set-target --wait=90s 128M", timeout=100)
        lines = out.splitlines()
        t.check(lines[0].startswith("target: a balloon of 128 MiB, the guest keeps "), lines[0])
        for line in lines[1:]:
            t.check(re.match(r"[\d.]+( .iB)? -> 128 MiB  \S+$", line), f"line {line!r}")
        t.check(re.match(r"12[6-9]\S* MiB -> 128 MiB", lines[-1]), f"the last line: {lines[-1]!r}")
        t.check("\r" not in out and "\033" not in out, "control characters")
        s = status(g)
        t.between(s["size"], 128 * MIB - PAGE, 128 * MIB + PAGE, "size")
        t.equal(s["manual_target"], 128 * MIB, "target")
        # As the host sees it, too.
        t.wait(lambda: g.memory - g.balloon_actual() == s["size"], 10, "QEMU's view")
        t.contains(g.sh("balloonctl"), "128 MiB", "status")


def bar(t, g):
    # So slow that there is more than one look.
    configure(g, CONFIG + 'tail: { inflate_rate = "8MiB/s"; };\n')
    with t.subtest("set-target --wait with a bar on a terminal"):
        out = g.sh("TERM=xterm script -qec 'balloonctl set-target --wait=90s 192M' /dev/null",
                   timeout=100)
        redrawn = out.split("\r")
        bars = [m for part in redrawn if (m := re.search(r"\[(#*)(-*)\]", part))]
        t.check(len(bars) > 1, f"no bar: {out!r}")
        t.equal({len(m[1]) + len(m[2]) for m in bars}, {len(bars[0][1]) + len(bars[0][2])}, "width")
        done = [len(m[1]) for m in bars]
        t.equal(done, sorted(done), "the bar grows")
        t.check(not bars[-1][2], f"the last bar is full: {bars[-1][0]}")
        t.check(out.endswith("\n"), "the line is closed")
    configure(g, CONFIG)


def memory(t, g):
    with t.subtest("set-target --memory"):
        keeps = status(g)["ram"] - 96 * MIB
        g.sh(f"balloonctl set-target --memory --wait=90s {keeps // 1024}K", timeout=100)
        t.between(status(g)["size"], 96 * MIB - PAGE, 96 * MIB + PAGE, "size")
    with t.subtest("both ways by less than a large page"):
        for mib in (101, 99, 98, 97):
            g.sh(f"balloonctl set-target --wait=90s {mib}M", timeout=100)
            t.wait(lambda: status(g)["size"] == mib * MIB, 20, f"{mib} MiB")
        t.equal(status(g)["problem"], "", "problem")
    with t.subtest("back to nothing"):
        g.sh("balloonctl set-target --wait=90s 0", timeout=100)
        t.check(status(g)["size"] < PAGE, "size")


def ends(t, g):
    configure(g, SLOW)
    with t.subtest("the time is over: status 7, the target stays"):
        code, out = g.run("balloonctl set-target --wait=2s 200M")
        t.equal(code, 7, out)
        t.check(re.search(r"the time is over at a balloon of .*; the target of 200 MiB stays", out),
                out)
        t.equal(status(g)["manual_target"], 200 * MIB, "target")
    with t.subtest("Ctrl-C: status 7, the target stays"):
        code, out = g.run("timeout --preserve-status -s INT 8 balloonctl set-target --wait 210M")
        t.equal(code, 7, out)
        t.contains(out, "stopped waiting at a balloon of", "message")
        t.equal(status(g)["manual_target"], 210 * MIB, "target")
    with t.subtest("somebody sets something else: status 1"):
        job = g.spawn("balloonctl set-target --wait=60s 220M", 70)
        t.wait(lambda: status(g)["manual_target"] == 220 * MIB, 20, "the target is set")
        g.sh("balloonctl set-target 200M")
        code, out = job.wait()
        t.equal(code, 1, out)
        t.contains(out, "someone has set another mode or target", "message")
    with t.subtest("the daemon is stopped: status 3"):
        job = g.spawn("balloonctl set-target --wait=60s 220M", 70)
        t.wait(lambda: status(g)["manual_target"] == 220 * MIB, 20, "the target is set")
        g.sh("systemctl stop balloond", timeout=60)
        code, out = job.wait()
        t.equal(code, 3, out)
        t.contains(out, "balloond is not running", "message")
    with t.subtest("asking does not start it again"):
        g.sh("systemctl enable balloond")
        code, out = g.run("balloonctl")
        t.equal(code, 3, out)
        t.equal(g.run("systemctl is-active balloond")[1].strip(), "inactive", "service")
        g.sh("systemctl disable balloond")


@tap.case("balloonctl in a guest", timeout=600)
def in_a_guest(t):
    with debian.debian(t, "6.1") as g:
        set_up(t, g)
        t.on_failure(lambda: g.journal("balloond"))
        plain(t, g)
        bar(t, g)
        memory(t, g)
        ends(t, g)


if __name__ == "__main__":
    tap.main()
