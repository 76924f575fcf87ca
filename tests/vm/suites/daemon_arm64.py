# SPDX-License-Identifier: GPL-2.0-or-later
"""balloond, cross-built, decides on arm64: an idle guest gives memory back, and a program gets it.

No systemd and no bus: the daemon runs in the foreground, on the module and the kernel's own /proc.

Left out: what the law does with it in detail; that is the same code everywhere (tests/unit).
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import (ARM_SERIES, MIB, PAGES_PER_MIB, SWAP_OFF, SWAP_ON, balloon, daemon, swap_disk,   # noqa: E402
                      tap)

CONFIG = b"""mode = "auto"; interval = "500ms"; idle_interval = "1s"; lease = "1h";
tail: { worthwhile = "1M"; settle = "0"; hold_off = "0"; start_wait = "0"; };
"""
# What an idle guest of 1 GiB has to spare, by far, and what a program then needs of it.
SPARE_MIB = 200


def auto(t, series):
    with balloon(t, series, memory=1024 * MIB, files=daemon(series), end_tolerance=12 * MIB) as b:
        b.g.put(CONFIG, "/etc/balloond.conf")
        held = b.touched(700)
        running = b.g.spawn("exec balloond --no-bus --foreground > /run/balloond.log 2>&1", timeout=600)
        t.on_failure(lambda: b.g.run("tail -n 40 /run/balloond.log")[1])
        with t.subtest("an idle guest gives memory back"):
            t.wait(lambda: b.state()["size_pages"] > SPARE_MIB * PAGES_PER_MIB, 120, f"a balloon of {SPARE_MIB} MiB")
            t.wait(lambda: held - b.g.ram_rss() > SPARE_MIB * MIB, 60, f"the host has {SPARE_MIB} MiB more")
            t.equal(b.state()["size_pages"] % b.page, 0, "what is no whole page of the kernel")
        with t.subtest("a program gets what it needs"):
            before = b.state()
            need = before["mem_available_pages"] // PAGES_PER_MIB + SPARE_MIB // 2
            a = b.tool(f"hog {need}M 2000", timeout=100)[0]
            t.equal((a["rc"], b.g.oom_kills()), ("OK", 0), "the program, OOM kills")
            after = b.state()
            t.check(after["unlocked_4k_pages"] + after["unlocked_2m_pages"] >
                    before["unlocked_4k_pages"] + before["unlocked_2m_pages"], "pages were given back")
        with t.subtest("and it goes on"):
            t.check(running.running(), "it runs")
            b.g.sh("kill -TERM $(pidof balloond)")
            t.equal((running.wait()[0], b.state()["size_pages"]), (0, 0), "exit status, size")


def settled(t, b):
    """Pages swapped out, once nobody reclaims any more."""
    seen = [None]

    def same():
        seen.append(b.g.vmstat()["pswpout"])
        return seen[-1] == seen[-2] and seen[-1]

    return t.wait(same, 30, "pages were swapped out, and no more are", interval=2)


def reads(t, series):
    """The counters of a kernel with larger pages, and the module's figures, as all programs read them."""
    with balloon(t, series, memory=512 * MIB, files=daemon(series), devices=swap_disk(t, 512)) as b:
        b.g.sh(SWAP_ON)
        b.lock("2m", 100)
        b.tool(f"hog {b.state()['mem_available_pages'] // PAGES_PER_MIB + 150}M", timeout=100)
        swapped = settled(t, b)
        b.g.sh("balloonctl record --duration 3s --interval 1s /run/recording.csv")
        lines = [line for line in b.g.read("/run/recording.csv").splitlines() if not line.startswith("#")]
        row = dict(zip(lines[0].split(","), lines[-1].split(",")))
        t.equal(int(row["pswpout_pages"]) * 4096, swapped * b.g.kernel.page_bytes, "bytes swapped out")
        available = b.state()["mem_available_pages"] // PAGES_PER_MIB
        t.between(int(row["mem_available_kib"]) // 1024, available - 16, available + 16, "MiB available")
        b.g.sh(SWAP_OFF)


for name in ARM_SERIES:
    tap.add(f"the daemon decides ({name})", auto, name, timeout=400)
    tap.add(f"what the programs read ({name})", reads, name, timeout=400)

if __name__ == "__main__":
    tap.main()
