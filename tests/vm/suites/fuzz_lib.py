# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest in which ubfuzz calls the device, and everything else happens to it at the same time.

    with guest(t, "6.12", seed) as b:
        run = Fuzz(t, b, seed, say)
        run.go(60)

Beside the calls, all the time: programs that want more memory than there is, compaction, memory blocks
that go offline, a host that changes its target. And one after the other, in rounds of another order
each: unbind, reload, host=none, unplug, sleep, a suspend that is called off; and once a round all calls
end and the books are compared. What is chosen follows from the seed; when it happens does not.

It goes on for the time it is given, and until every event has happened. At its end the guest must be
as it was: balloon empty, pages and counters in agreement, free memory back within TOLERANCE, and a
kernel log without a complaint.

Left out: the calls (guest/ubfuzz.c), allocations that fail (guest/failnth.c).
"""
import contextlib
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import (BALLOON, MIB, WAKE, Balloon, meddle, micro)     # noqa: E402
from harness import kernels                                           # noqa: E402
from harness.control import PATIENCE, GuestDied                       # noqa: E402
from harness.paths import VM                                          # noqa: E402
from harness.qmp import QmpError                                      # noqa: E402

# So much that blocks can be cleared, with programs and all.
RAM = 768 * MIB
# The kernel's own: tasks and inodes by the thousand leave slabs behind that are half empty.
TOLERANCE = 12 * MIB
PROCESSES, THREADS = 2, 3
PARAMETERS = ("", "guest_driven=1", "floor_mb=32 oom_holdoff_ms=0", "refuse_2m=1 oom_holdoff_ms=100")
NONE = ("host=none", "host=none none_delay_ms=20", "host=none none_told=1 none_delay_ms=60 floor_mb=32")
# Who does not get out of the kernel, and where it is.
STUCK = ("for p in /proc/[0-9]*/task/[0-9]*; do grep -q ' [DR] ' $p/stat && cat $p/comm $p/stack; done 2>/dev/null; "
         "echo w > /proc/sysrq-trigger; dmesg | tail -n 60")
# By itself, also while the guest goes to sleep; and not all the time, so that there are holes again.
COMPACTION = ("(n=0; while [ -e /run/compaction ]; do n=$((n + 1)); echo 1 > /proc/sys/vm/compact_memory; "
              "[ $((n % 16)) != 0 ] || echo 1 > /proc/sys/vm/drop_caches; usleep 10000; done; "
              "echo $n > /run/compactions) >/dev/null 2>&1 &")
# A second victim while the first one is still dying, so that it need not be who is part of the test; with nobody at
# all to kill the kernel panics.
VICTIMS = ("for i in 1 2 3 4 5 6 7 8; do (while :; do "
           "sh -c 'echo 900 > /proc/self/oom_score_adj; exec sleep 100000'; done) >/dev/null 2>&1 & done")
DEVICES = (BALLOON, "virtio-balloon-pci,id=b0,deflate-on-oom=on", "virtio-balloon-pci,id=b0,free-page-reporting=on",
           "virtio-balloon-pci,id=b0,deflate-on-oom=on,free-page-reporting=on,disable-legacy=on,packed=on",
           "virtio-balloon-pci,id=b0")


def program(name):
    """Path of a program of tests/vm/guest, for a guest."""
    return kernels.build_static(os.path.join(VM, "guest", f"{name}.c"), name, (micro.UAPI, os.path.join(VM, "guest")))


@contextlib.contextmanager
def guest(t, series, lifetime):
    # One that ends on its way to sleep or back is to say why.
    files = meddle(series) + [(f"bin/{name}", program(name), 0o755) for name in ("ubfuzz", "failnth")]
    with micro.micro(t, series, ("uballoon", "meddle"), files=files, memory=RAM, cpus=3, end_tolerance=TOLERANCE,
                     lifetime=lifetime, append="no_console_suspend", sleeps=True) as g:
        g.spares = True
        g.sh(VICTIMS)
        b = Balloon(t, g)
        t.on_failure(lambda: f"state: {b.state()}")
        t.on_failure(lambda: g.run(STUCK, 30)[1])
        b.load(module="meddle")
        b.load()
        yield b


class Fuzz:
    def __init__(self, t, b, seed, say):
        self.t, self.b, self.g, self.seed, self.say = t, b, b.g, seed, say
        self.dice = random.Random(f"{seed} events")
        self.qmp = threading.Lock()
        self.over = threading.Event()
        # Steps that wait for an answer of the guest, and whether the next ones have to wait.
        self.gate, self.waiting, self.closed = threading.Condition(), 0, False
        self.failed = []
        self.counts = {}
        self.calls = None

    # -- what goes on all the time --------------------------------------
    def count(self, name, n=1):
        self.counts[name] = self.counts.get(name, 0) + n

    @contextlib.contextmanager
    def channel(self):
        """While a step waits for what the guest answers."""
        with self.gate:
            self.gate.wait_for(lambda: not self.closed)
            self.waiting += 1
        try:
            yield
        finally:
            with self.gate:
                self.waiting -= 1
                self.gate.notify_all()

    @contextlib.contextmanager
    def no_channel(self):
        """A guest that goes to sleep loses answers that are on their way."""
        with self.gate:
            self.closed = True
            answered = self.gate.wait_for(lambda: not self.waiting, 200 * PATIENCE)
            self.t.check(answered, "all that was asked is answered")
        try:
            yield
        finally:
            with self.gate:
                self.closed = False
                self.gate.notify_all()

    def beside(self, name, step):
        """@step(dice) again and again in a thread, until all is over."""
        dice = random.Random(f"{self.seed} {name}")

        def loop():
            try:
                while not self.over.is_set():
                    with contextlib.nullcontext() if step == self.target else self.channel():
                        pause = step(dice)
                    self.over.wait(pause)
                    self.count(name)
            except Exception as e:
                self.failed.append((name, e))
        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        return thread

    def program(self, dice):
        """Mostly less than there is, sometimes more: then it is the one that the OOM killer takes."""
        mib, hold_ms = dice.randrange(100, 820), dice.randrange(300)
        self.g.run(f"echo 1000 > /proc/self/oom_score_adj; exec ubtool hog {mib}M {hold_ms}", 120)
        return dice.random() / 2

    def block(self, dice):
        """A signal ends the attempt where pages do not go away."""
        state = f"/sys/devices/system/memory/memory{dice.randrange(self.g.memory // (128 * MIB))}/state"
        hold = dice.randrange(300000)
        if self.g.run(f"timeout 5 sh -c 'echo offline > {state}' && usleep {hold}", 60)[0] == 0:
            self.count("blocks that went offline")
        self.g.run(f"grep -q offline {state} && echo online > {state}")
        return dice.random() / 2

    def target(self, dice):
        with self.qmp, contextlib.suppress(QmpError):
            # There may be no device now.
            self.g.balloon(self.g.memory - dice.randrange(300) * MIB)
        return dice.random() / 2

    # -- what happens one after the other -------------------------------
    def away(self, yes):
        """Whether ubfuzz keeps away from the device."""
        self.g.sh("kill -USR1 $(cat /run/ubfuzz.pid)")
        if yes:
            self.until("fuser /dev/uballoon 2>/dev/null | grep -q . && exit 1; exit 0", "all files are closed")

    def until(self, command, what):
        self.t.wait(lambda: self.g.run(command)[0] == 0, 60, what)

    def reload(self, parameters, bound=True):
        """With a full balloon after those who had it open have been sent away, or by way of a device that goes."""
        if bound and self.dice.random() < 0.5:
            self.b.bind(self.b.device(), False)
            self.until("rmmod uballoon", "the module can be unloaded")
            self.b.load(parameters)
            return
        self.away(True)
        self.until("rmmod uballoon", "the module can be unloaded")
        self.b.load(parameters)
        self.away(False)

    def unbind(self):
        device = self.b.device()
        self.b.bind(device, False)
        self.over.wait(self.dice.random() / 2)
        self.b.bind(device, True)

    def reload_virtio(self):
        self.reload(self.dice.choice(PARAMETERS))

    def no_host(self):
        self.reload(self.dice.choice(NONE))
        self.over.wait(1 + 3 * self.dice.random())
        self.reload("", bound=False)

    def plugged(self):
        with self.qmp:
            return any(o["name"] == "b0" for o in self.g.qmp("qom-list", path="/machine/peripheral"))

    def unplug(self, device=None):
        with self.qmp:
            self.g.qmp("device_del", id="b0")
        self.t.wait(lambda: not self.plugged(), 60, "the device is unplugged")
        self.over.wait(self.dice.random() / 2)
        with self.qmp:
            self.g.device_add(device or self.dice.choice(DEVICES))
        self.until("test -e /dev/uballoon", "the node is back")

    def sleep(self):
        """To RAM. Somebody may not let it: then the balloon works on."""
        def woken():
            with self.qmp:
                if self.g.qmp("query-status")["status"] == "suspended":
                    self.count("times asleep")
                    self.g.qmp("system_wakeup")
            return not sleeper.running()
        with self.no_channel():
            sleeper = self.g.spawn("echo mem > /sys/power/state", 120)
            self.t.wait(woken, 120, "the guest wakes up")

    def called_off(self):
        level = self.dice.choice(("freezer", "devices", "platform"))
        with self.no_channel():
            self.b.parameter("fail_at", level, "meddle")
            self.t.check(self.g.run("echo mem > /sys/power/state", 120)[0] != 0, "a suspend is called off")
            self.b.parameter("fail_at", "none", "meddle")

    def settled(self):
        """Nobody calls: the balloon can be emptied, and the books agree."""
        self.away(True)
        with self.qmp:
            self.g.balloon(self.g.memory)
        self.empty()
        self.away(False)

    def empty(self):
        def emptied():
            answers = self.b.tool("target 0", "pop", "state")
            return answers[-1].get("size_pages") == 0 and not self.b.state()["inflight_pages"]
        self.t.wait(emptied, 60, "the balloon is empty")
        s = self.b.balanced()
        self.t.equal(s["firm_pages"], 0, "firm_pages")

    def events(self):
        kernel = self.g.kernel
        wakes = kernel.series in WAKE and (not kernel.built or kernel.built.wakes)
        sleeping = (self.sleep, self.called_off) if wakes else ()
        return (self.unbind, self.reload_virtio, self.no_host, self.unplug, self.settled, *sleeping)

    # -- all of it ------------------------------------------------------
    def start(self):
        self.calls = self.g.spawn("echo $$ > /run/ubfuzz.pid; "
                                  f"exec ubfuzz run {self.seed} {PROCESSES} {THREADS}", 7200)
        self.until("test -s /run/ubfuzz.pid", "ubfuzz runs")
        self.g.sh(f"touch /run/compaction; {COMPACTION}")

    def go(self, seconds):
        """Raises if the guest did not come through it. Returns what happened, {what: times}."""
        free = self.b.free()
        self.start()
        beside = [self.beside(f.__name__, f) for f in (self.program, self.block, self.target)]
        end = time.monotonic() + seconds
        try:
            self.rounds(end)
        finally:
            self.over.set()
        for thread in beside:
            thread.join(180 * PATIENCE)
            self.t.check(not thread.is_alive(), "what went on beside has ended")
        self.check_failed()
        self.finish(free)
        vm = self.g.vmstat()
        self.counts.update({n: vm[n] for n in ("oom_kill", "balloon_inflate", "balloon_migrate") if n in vm})
        return self.counts

    def check_failed(self):
        for name, e in self.failed:
            raise GuestDied(f"{name}: {e}") from e
        self.t.check(self.calls.running(), f"ubfuzz ended: {self.calls.output[-2000:]}")

    def rounds(self, end):
        rest = []
        done = 0
        while time.monotonic() < end or done < len(self.events()):
            rest = rest or self.dice.sample(self.events(), len(self.events()))
            event = rest.pop()
            started = time.monotonic()
            event()
            self.check_failed()
            self.count(event.__name__)
            done += 1
            self.say(f"{max(0, end - time.monotonic()):4.0f} s left: {event.__name__} took "
                     f"{time.monotonic() - started:.1f} s")
            self.over.wait(self.dice.random() * 2)

    def finish(self, free):
        t = self.t
        self.unplug(BALLOON)
        self.g.sh("rm /run/compaction")
        self.until("test -s /run/compactions", "compaction ends")
        self.counts["compactions"] = int(self.g.read("/run/compactions"))
        self.g.sh("kill -TERM $(cat /run/ubfuzz.pid)")
        status, said = self.calls.wait(120)
        wrong = [line for line in said.splitlines() if line.startswith("wrong:")]
        t.equal((status, wrong), (0, []), "exit status of ubfuzz, answers that the header rules out")
        self.counts["calls"] = int(re.search(r"^all steps=(\d+)", said, re.M)[1])
        self.counts["MiB moved"] = int(re.search(r" moved_pages=(\d+)", said)[1]) // 256
        for line in said.splitlines():
            self.say(line)
        for kind in ("info", "state", "target", "lock", "unlock", "keepalive", "pop", "prove"):
            t.check(re.search(rf"^{kind} .*OK=", said, re.M), f"{kind} succeeded at least once")
        t.check(self.counts["MiB moved"], "memory was moved")
        self.empty()
        t.equal(self.b.actual_mib(), 0, "the balloon as the host sees it, MiB")
        self.g.sh("for s in /sys/devices/system/memory/memory*/state; do "
                  "grep -q offline $s && echo online > $s; done; sync; "
                  "echo 3 > /proc/sys/vm/drop_caches; echo 1 > /proc/sys/vm/compact_memory")
        t.wait(lambda: self.b.free() >= free - self.g.end_tolerance, 30, "free memory is as before")
