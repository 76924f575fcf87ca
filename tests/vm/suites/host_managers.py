# SPDX-License-Identifier: GPL-2.0-or-later
"""balloond in mode auto while the host has a manager of its own: Proxmox VE's law, and oVirt MOM's.

Two who size one balloon must not fight. Each law drives a Debian guest over QMP for ten minutes, on a
host whose other guests use a fixed amount, and what this guest holds comes on top: first there is
plenty, then the host is short. In the guest, with balloond's defaults, a program comes and goes, and
files are read.

What counts as a fight: turns of the balloon by more than 5 % of RAM (TURN) that the load did not make.
A program that comes and goes makes two. Within a phase there is one at most, none while the guest is
idle, and none once a phase is settled. Nothing may be killed, and nothing be an emergency. What the
host asks for last is there in the end, or the guest's floor forbids it: balloond.conf(5), mode auto.
That a fight would be seen shows one that is: a manager who changes its mind, and mode host.

The laws are those of the bench (tests/bench/workloads/laws.py); figures for docs/ are printed.
"""
import collections
import json
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib"), os.path.join(HERE, "..", "..", "bench")]

import tap                                                            # noqa: E402
from harness import debian                                            # noqa: E402
from workloads import laws                                            # noqa: E402

MIB = 1 << 20
RAM = 1024 * MIB
# What an administrator allows: half of it may go.
MINIMUM = RAM // 2
HOST = 4 * RAM
TURN = RAM // 20
SETTLED_S = 60
EAT = f"stress-ng --quiet --vm 1 --vm-bytes {RAM * 2 // 5 // MIB}M --vm-hang 0 --vm-keep --oomable --timeout 60"
# A file of half of RAM, which the image has room for, read as often as a minute allows.
STREAM = "end=$(($(date +%s) + 60)); while [ $(date +%s) -lt $end ]; do cat /var/tmp/file > /dev/null; sleep 1; done"

# Of all phases: two for each program, and the files may make two.
TURNS = 6

# others: what the rest of the host uses. turns: of the balloon, within the phase.
Phase = collections.namedtuple("Phase", "name seconds others command turns")
PLENTY, SHORT = HOST // 4, int(HOST * 0.85)
PHASES = (
    Phase("idle", 120, PLENTY, "", 0),
    Phase("a program takes 40 % of RAM", 60, PLENTY, EAT, 1),
    Phase("idle after it", 120, PLENTY, "", 0),
    Phase("files are read", 60, PLENTY, STREAM, 1),
    Phase("the host is short", 120, SHORT, "", 0),
    Phase("the program, and the host is short", 60, SHORT, EAT, 1),
    Phase("idle, and the host is short", 60, SHORT, "", 0),
)
Sample = collections.namedtuple("Sample", "t size asked rss")


def turns(sizes, least=TURN):
    """How often a series of sizes turns round by more than @least."""
    found, way, extreme = 0, 0, sizes[0]
    for size in sizes:
        if way >= 0 and size > extreme or way <= 0 and size < extreme:
            if not way and abs(size - extreme) <= least:
                continue
            way = way or (1 if size > extreme else -1)
            extreme = size
        elif abs(size - extreme) > least:
            found, way, extreme = found + 1, -way, size
    return found


@tap.case("turns are counted as they are meant")
def counts(t):
    for sizes, want in (([0, 10, 20], 0), ([0, 20, 0], 1), ([0, 20, 16, 20, 17, 24], 0), ([20, 0, 20, 0], 2),
                        ([0, 4, 0, 4, 0], 0), ([5, 5, 5], 0), ([20, 0, 3, 0, 6], 1), ([10, 12, 8, 12, 30, 10], 1)):
        t.equal(turns(sizes, 5), want, f"turns of {sizes}")


class Watch(threading.Thread):
    """The host: looks each second, and asks its law when that is due. QMP is this thread's alone."""

    def __init__(self, g, law):
        super().__init__(daemon=True)
        self.g, self.law, self.others = g, law, PLENTY
        self.samples, self.orders, self.error, self.over = [], 0, None, threading.Event()
        self.began = time.monotonic()

    def run(self):
        try:
            due = self.law.INTERVAL_S
            asked = 0
            while not self.over.wait(1):
                now, actual, rss = time.monotonic() - self.began, self.g.balloon_actual(), self.g.ram_rss()
                if now >= due:
                    due += self.law.INTERVAL_S
                    host = laws.Host(HOST, self.others + rss)
                    target = self.law.step(actual, self.g.guest_stats()["stats"], host)
                    if target is not None:
                        self.g.balloon(target)
                        asked, self.orders = RAM - target, self.orders + 1
                self.samples.append(Sample(now, RAM - actual, asked, rss))
        except Exception as e:
            self.error = e

    def since(self, began, end):
        return [s for s in self.samples if began <= s.t < end]


def status(g):
    return json.loads(g.sh("balloonctl status --json"))


def live(t, watch, g, phase):
    watch.others = phase.others
    began = time.monotonic() - watch.began
    job = g.spawn(phase.command, phase.seconds + 60) if phase.command else None
    time.sleep(phase.seconds)
    result, text = job.wait() if job else (0, "")
    end = time.monotonic() - watch.began
    if watch.error:
        raise watch.error
    seen = watch.since(began, end)
    sizes = [s.size for s in seen]
    s = status(g)
    tail = [x.size for x in seen if x.t > began + min(SETTLED_S, phase.seconds // 2)]
    t.diag(f"{phase.name}: balloon {sizes[0] >> 20} -> {sizes[-1] >> 20} MiB, {min(sizes) >> 20} to {max(sizes) >> 20}, "
           f"mean {sum(sizes) // len(sizes) >> 20}; asked for {min(x.asked for x in seen) >> 20} to "
           f"{max(x.asked for x in seen) >> 20}, at last {seen[-1].asked >> 20}; "
           f"turns {turns(sizes)}, later {turns(tail)}; RAM on the host {seen[0].rss >> 20} -> {seen[-1].rss >> 20} MiB; "
           f"reason {s['reason']}, available {s['available'] >> 20}")
    with t.subtest(phase.name):
        t.equal(result, 0, f"exit status of the load ({text.strip()})")
        t.check(turns(sizes) <= phase.turns, f"{turns(sizes)} turns, at most {phase.turns}")
        t.equal(turns(tail), 0, "turns once it has settled")


def beside(t, make):
    law = make(RAM, MINIMUM)
    with debian.debian(t, "6.12", name="manager", memory=RAM, lifetime=1800) as g:
        t.on_failure(lambda: g.run("balloonctl status; balloonctl history | tail -20")[1])
        # All memory has been used once, as in a guest that has lived for a while.
        g.sh("dd if=/dev/zero of=/var/tmp/file bs=1M count=400 2>/dev/null; sync; "
             "stress-ng --quiet --vm 1 --vm-bytes 80% --vm-ops 100 --timeout 60", 180)
        g.sh("systemctl start balloond", 60)
        watch = Watch(g, law)
        watch.start()
        for phase in PHASES:
            live(t, watch, g, phase)
        with t.subtest("what the host asks for last is there, or the floor forbids it"):
            def honoured():
                last, why = watch.samples[-1], status(g)["reason"]
                return not watch.error and (last.size >= last.asked - 2 * MIB or why == "floor")
            t.wait(honoured, 180, "the order is followed when what the last program cost is paid for", 1)
        watch.over.set()
        watch.join()
        s = status(g)
        with t.subtest("nothing killed, no emergency, no rescue"):
            t.equal((g.oom_kills(), s["emergencies"], s["rescue_events"], s["problem"]), (0, 0, 0, ""),
                    "OOM kills, emergencies, rescues, problem")
        t.check(watch.orders > 3, f"the law gave {watch.orders} orders")
        found = turns([x.size for x in watch.samples])
        t.diag(f"{watch.orders} orders; turns in all: {found}")
        t.check(found <= TURNS, f"{found} turns in all, at most {TURNS}")
        g.sh("systemctl stop balloond", 60)


# Proxmox VE's device as it comes (qemu-server, src/PVE/QemuServer.pm): the host does not let go of what it asked for.
PROXMOX_DEVICE = "virtio-balloon-pci,id=b0,free-page-reporting=on,guest-stats-polling-interval=2"


def insists(t):
    asked = RAM // 4
    with debian.debian(t, "6.12", name="insists", memory=RAM, balloon=PROXMOX_DEVICE) as g:
        total = g.meminfo()["MemTotal"]
        # Later the law has nothing to ask for: it leaves a guest below its minimum alone.
        g.put(b'mode = "host";\n', "/etc/balloond.conf", 0o644)
        g.sh("systemctl start balloond", 60)
        watch = Watch(g, laws.Proxmox(RAM, RAM - asked))
        watch.others = HOST
        watch.start()
        t.wait(lambda: watch.error or watch.samples and watch.samples[-1].asked == watch.samples[-1].size == asked, 200,
               "the law has come to the guest's minimum, and the balloon too", 1)
        g.sh("balloonctl mode auto")
        s = t.wait(lambda: (s := status(g)) and s["size"] > asked + 64 * MIB and s, 120, "balloond gives more", 1)
        t.equal((s["host_target"], "deflate-on-oom" in s["capabilities"]), (asked, False), "host's target, its consent")
        t.equal(g.meminfo()["MemTotal"], total - asked, "MemTotal: what the host asked for is gone, no more")
        began = watch.samples[-1].t
        result, text = g.run(EAT.replace("--timeout 60", "--timeout 30"), 120)
        t.equal((result, g.oom_kills()), (0, 0), f"exit status of a program, OOM kills ({text.strip()})")
        watch.over.set()
        watch.join()
        t.equal(watch.error, None, "the watch's error")
        least = min(x.size for x in watch.samples if x.t >= began)
        t.check(least >= asked, f"the balloon was never below what the host asked for: {least >> 20} MiB")
        t.check(least < s["size"] - 32 * MIB, f"the program had what was beyond: {s['size'] >> 20} -> {least >> 20} MiB")
        g.balloon(RAM)
        t.wait(lambda: status(g)["host_target"] == 0, 30, "the host asks for nothing any more")
        g.sh("systemctl stop balloond", 60)
        t.equal(g.balloon_actual(), RAM, "all memory is back")


class Fickle:
    """A manager who asks for half of the guest, and hands it back, by turns."""
    INTERVAL_S = 10

    def __init__(self):
        self.least = False

    def step(self, actual, stats, host):
        self.least = not self.least
        return MINIMUM if self.least else RAM


def fights(t):
    with debian.debian(t, "6.12", name="fickle", memory=RAM) as g:
        g.put(b'mode = "host";\n', "/etc/balloond.conf", 0o644)
        g.sh("systemctl start balloond", 60)
        watch = Watch(g, Fickle())
        watch.start()
        t.wait(lambda: watch.error or turns([x.size for x in watch.samples] or [0]) >= TURNS + 2, 200, "turns", 1)
        watch.over.set()
        watch.join()
        t.equal(watch.error, None, "the watch's error")
        t.diag(f"{turns([x.size for x in watch.samples])} turns in {watch.samples[-1].t:.0f} s")
        g.sh("systemctl stop balloond", 60)


tap.add("proxmox's law, a device without deflate-on-oom", insists, timeout=400)
tap.add("a fight is seen as one", fights, timeout=400)


for law_name, law_class in laws.LAWS.items():
    tap.add(f"{law_name}'s law, ten minutes", beside, law_class, timeout=1200)

if __name__ == "__main__":
    tap.main()
