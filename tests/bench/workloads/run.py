# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that live through a script side by side, and what is seen of them from outside and inside.

Outside, twice a second: the resident part of the guest's RAM (not of QEMU, whose translated code grows) and
the balloon as the device says it. Inside: `balloonctl record` once a second, which is part of every
configuration so that it is the same for all; the kernel's counters before and after each phase; what
the phases print.

The guests of a set begin each phase together: they share the noise of the machine, and live equally
long. Each Run is a thread that must live as long as its guest: QEMU ends with the thread that started it.

Left out: what is made of it (figures.py).
"""
import collections
import contextlib
import csv
import io
import os
import re
import tempfile
import threading
import time

from harness import debian, programs
from harness.guest import qemu_path

from . import configs, laws, phases

SAMPLE_S = 0.5
# What may be missing at the end of samples and recordings, and how long a thread has that is to end.
MISSING_S, ENDS_S = 10, 15
# The root disk and swap: a volume as clouds rent them out by default.
IOPS, BYTES_S = 3000, 125_000_000
DISK = f",throttling.iops-total={IOPS},throttling.bps-total={BYTES_S}"
SWAP = "/dev/vdb"
CTL = "usr/lib/vmtest/balloonctl"
RECORDING = "/run/recording.csv"
# The host that laws of hosts see: nine tenths of it are in use, whatever the guest gives.
HOST_SHARE = 0.9
COUNTERS = ("pgmajfault", "pgpgin", "pgpgout", "pswpin", "pswpout", "oom_kill", "allocstall_normal", "allocstall_dma32",
            "allocstall_movable", "workingset_refault_file", "workingset_refault_anon", "workingset_restore_file",
            "workingset_restore_anon", "workingset_activate_file")

Sample = collections.namedtuple("Sample", "t rss balloon")
# results: {figure: value}, or None where it failed: error says why. counters: {name: how much it grew}.
Done = collections.namedtuple("Done", "phase start end results error counters")


def _grown(before, after):
    return {name: after[name] - before[name] for name in before}


class Lockstep:
    """A barrier that those who fail leave without stopping the others."""

    def __init__(self, parties):
        self.parties, self.waiting, self.round = parties, 0, 0
        self.changed = threading.Condition()

    def _open(self):
        self.round += 1
        self.waiting = 0
        self.changed.notify_all()

    def wait(self):
        with self.changed:
            mine = self.round
            self.waiting += 1
            if self.waiting >= self.parties:
                self._open()
            while self.round == mine:
                self.changed.wait()

    def leave(self):
        with self.changed:
            self.parties -= 1
            if self.parties and self.waiting >= self.parties:
                self._open()


class Stopped(Exception):
    """Somebody wants the whole bench to end."""


class Run(threading.Thread):
    """One guest with @config. @ram and @swap in bytes; @start_idle and @least_s (from the start to the end) in seconds;
    not @in_step: only the start is common.

    Afterwards: samples, done, counters, offset (of the recording's first row, seconds), recording ([{column: text}]), seconds; error, if there is no more to be had."""

    def __init__(self, config, ram, swap, script, start_idle, lockstep, say, least_s=0, series="6.1", in_step=True):
        super().__init__(name=config.name, daemon=True)
        self.config, self.ram, self.swap, self.script, self.series = config, ram, swap, script, series
        self.start_idle, self.least_s, self.lockstep, self.say = start_idle, least_s, lockstep, say
        self.in_step = in_step
        self.samples, self.done, self.recording, self.counters = [], [], [], {}
        self.error, self.seconds, self.offset, self.watch_error = None, 0, 0, None
        # over: the script has come to its end; stop: somebody wants it to end; gone: nothing of it is left.
        self.over, self.stop, self.gone = threading.Event(), threading.Event(), threading.Event()
        self.g = None

    # -- from outside ---------------------------------------------------
    def end(self):
        """From another thread: no more of it, whatever it does."""
        self.stop.set()
        if self.g:
            # Its own thread may be at the same.
            with contextlib.suppress(Exception):
                self.g.abandon()

    def run(self):
        try:
            with contextlib.ExitStack() as stack:
                self._live(stack)
        except Exception as e:
            # A thread's end must not go unseen; of a guest that was ended under its hands there is nothing to say.
            self.error = "stopped" if self.stop.is_set() else f"{type(e).__name__}: {e}"
        finally:
            self.lockstep.leave()
            if self.g:
                self.g.kill()
            self.gone.set()

    # -- the guest ------------------------------------------------------
    def _live(self, stack):
        self._boot(stack)
        self.lockstep.wait()
        self.began = time.monotonic()
        before = self._counters()
        self.offset = time.monotonic() - self.began
        recorder = self.g.spawn(f"exec /{CTL} record --interval 1s {RECORDING} 2>&1", 3600)
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        self._idle(self.start_idle)
        for phase in self.script:
            if self.in_step:
                self.lockstep.wait()
            self._phase(phase)
            self._idle(phase.idle)
        self._idle(self.began + self.least_s - time.monotonic())
        self.seconds = time.monotonic() - self.began
        self.over.set()
        watch.join()
        self.counters = _grown(before, self._counters())
        self._lived(recorder)
        recorder.kill()
        recorder.wait()
        text = self.g.sh(f"cat {RECORDING}", 120)
        self.recording = list(csv.DictReader(line for line in io.StringIO(text) if line[0] != "#"))
        self._whole()

    def _lived(self, recorder):
        """Whoever is measured, or measures, must have been there to the end."""
        if not recorder.running():
            raise RuntimeError("balloonctl record has ended before the guest")
        if self.config.unit:
            state = [self.g.property(self.config.unit, what) for what in ("ActiveState", "NRestarts")]
            if state != ["active", "0"]:
                raise RuntimeError(f"{self.config.unit} did not live through it: {state[0]}, restarted {state[1]} times")

    def _whole(self):
        """Samples and recording must cover all of the time, or integrals lie."""
        if self.watch_error:
            raise RuntimeError(f"the host's view ended early: {self.watch_error}")
        last = float(self.recording[-1]["t_s"]) + self.offset if self.recording else 0
        for what, t in (("samples", self.samples[-1].t if self.samples else 0), ("the recording", last)):
            if t < self.seconds - MISSING_S:
                raise RuntimeError(f"{what} ended after {t:.0f} of {self.seconds:.0f} s")

    def _boot(self, stack):
        devices = []
        if self.swap:
            disk = stack.enter_context(tempfile.NamedTemporaryFile(prefix="vmtest-swap-"))
            disk.truncate(self.swap)
            # Behind the root, so that this is not the first disk.
            devices.append(["-drive", f"file={qemu_path(disk.name)},if=none,id=swap,format=raw,cache=unsafe{DISK}",
                            "-device", "virtio-blk-pci,drive=swap,addr=0x10"])
        build = os.path.join(debian.build_dir(), "daemon", "ctl", "balloonctl")
        self.g = programs.guest(self.series, "workload", memory=self.ram, lifetime=3600, balloon=self.config.device,
                                devices=devices, disk_options=DISK, project=self.config.project,
                                module=self.config.module,
                                more=[(CTL, build, 0o755)])
        if self.stop.is_set():
            raise Stopped
        began = time.monotonic()
        self.g.start()
        g = self.g
        self.say(f"{self.config.name}: up after {time.monotonic() - began:.0f} s")
        g.sh(f"mkdir -p {phases.SOURCES}", 120)
        for name, text in phases.sources().items():
            g.put(text.encode(), f"{phases.SOURCES}/{name}")
        if self.swap:
            g.sh(f"mkswap {SWAP} >/dev/null && swapon {SWAP}", 120)
        g.sh(f"systemctl start {phases.CLUSTER}", 180)
        if self.config.setup:
            g.sh(self.config.setup, 120)
        g.sh(phases.warm_up(self.ram), 300)
        self.say(f"{self.config.name}: has used all of its memory after {time.monotonic() - began:.0f} s")

    def _idle(self, seconds):
        if seconds > 0 and self.stop.wait(seconds):
            raise Stopped

    def _counters(self):
        text = self.g.sh("cat /proc/vmstat; for i in memory io; do sed s/^/$i-/ /proc/pressure/$i; done", 120)
        found = {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", text, re.M)}
        out = {name: found[name] for name in COUNTERS if name in found}
        out.update({f"{what} us": int(us) for what, us in re.findall(r"^(\w+-\w+) .* total=(\d+)$", text, re.M)})
        return out

    def _phase(self, phase):
        before, start = self._counters(), time.monotonic() - self.began
        status, text = self.g.run(f"{{ {phase.command}\n}} 2>&1", phase.timeout)
        end = time.monotonic() - self.began
        counters = _grown(before, self._counters())
        if phase.after:
            self.g.run(phase.after, 120)
        try:
            found, error = phases.results(phase, status, text), None
        except ValueError as e:
            found, error = None, f"{e}"
        self.done.append(Done(phase, start, end, found, error, counters))
        shown = error or ", ".join(f"{n} {v:.4g} {phase.figures[n]}" for n, v in found.items())
        self.say(f"{self.config.name}: {phase.name}: {shown}")

    # -- the host -------------------------------------------------------
    def _watch(self):
        """One thread, for QMP is not for two. That it ended early is seen by _whole()."""
        try:
            self._look()
        except Exception as e:
            self.watch_error = f"{type(e).__name__}: {e}"

    def _look(self):
        """Samples, and the host's law in between."""
        law = self.config.law and self.config.law(self.ram, configs.least(self.ram))
        host = laws.Host(2 * self.ram, int(2 * self.ram * HOST_SHARE))
        due = law and time.monotonic() + law.INTERVAL_S
        next_look = time.monotonic()
        while not self.over.wait(max(0.0, next_look - time.monotonic())) and not self.stop.is_set():
            next_look += SAMPLE_S
            actual = self.g.balloon_actual() if self.config.device else self.ram
            self.samples.append(Sample(time.monotonic() - self.began, self.g.ram_rss(), self.ram - actual))
            if law and time.monotonic() >= due:
                due += law.INTERVAL_S
                target = law.step(actual, self.g.guest_stats()["stats"], host)
                if target is not None:
                    self.g.balloon(target)


def together(runs):
    """Runs the @runs of a set side by side, to their ends. Ctrl-C ends their guests."""
    try:
        for run in runs:
            run.start()
        # Not join(): a signal in it makes Python 3.11 believe that the thread has ended.
        for run in runs:
            while not run.gone.wait(0.5):
                pass
    except BaseException:
        for run in runs:
            run.end()
        # Their files go with them.
        for run in runs:
            run.gone.wait(ENDS_S if run.ident else 0)
        raise
    return runs
