# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job, shown: an idle guest gives memory back to its host and gets it
back when a program needs it.

A Debian guest with stock kernel and systemd, PostgreSQL and the project installed
in it, on a QEMU with a virtio-balloon device. All memory figures of the host are read from
/proc of the QEMU process: the guest is not asked what it gave away.

A freshly booted guest has not touched most of its memory, so its host never
held it, and giving that "back" would be no achievement. Therefore a program
uses the memory once before anything is measured. And because free page
reporting, a feature of the same device, returns free pages without any
balloon, what it does alone is measured first and said in the summary.

Exit status 0 only if the host's memory fell by at least half of the balloon,
the guest showed its programs as much memory as without one, and the database
that was started and the program that needed it back did not notice: no failure, no
OOM kill, no emergency.
"""
import argparse
import json
import os
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]

from harness import archive, debian, programs                          # noqa: E402
from harness.control import GuestDied                                  # noqa: E402
from harness.guest import VerdictError                                 # noqa: E402
from harness.paths import TOP, HarnessError                            # noqa: E402
from timeline import Timeline                                          # noqa: E402

MIB, GIB = 1 << 20, 1 << 30
DEBIAN = f"Debian {archive.RELEASES[archive.HERE]}"
RAM = 2 * GIB
# Of all RAM: more than the guest has left once the balloon is inflated, less than it has without.
PROGRAM_BYTES = RAM * 62 // 100
PROGRAM = (f"stress-ng --vm 4 --vm-bytes {PROGRAM_BYTES // MIB}M --vm-keep --vm-method zero-one "
           "--oomable --vm-ops {ops} --timeout 100")
FILES_MIB = 800
READ_MIB = 20
# More than the guest has available at rest, in one piece; Debian's default is 128 MB.
BUFFERS = "1GB"
CLUSTER = f"postgresql@{programs.PG}-main"
PG_CONF = f"/etc/postgresql/{programs.PG}/main/conf.d/demo.conf"
# An emergency holds off longer than an ordinary deflation (minutes, by default); the demo may see either.
# The demonstration is to end within minutes: what a second costs is paid for within one.
PRICE = "32 MiB"
CONFIG = f'tail: {{ stall_price = "{PRICE}"; }};'
# All of it; the guest's boot included, the build of its image not.
TIME_LIMIT_S = 330

SAMPLE = ("cat /proc/uptime /proc/meminfo /proc/pressure/memory; grep ^oom_kill /proc/vmstat; "
          "balloonctl status --json 2>/dev/null")


class DemoFailed(Exception):
    pass


def size(value):
    if value is None:
        return "-"
    return f"{value / GIB:.2f} GiB" if value >= GIB else f"{value / MIB:.0f} MiB"


def parse(text):
    """The guest's side of a sample, from the output of SAMPLE."""
    def kib(key):
        m = re.search(rf"^{key}:\s+(\d+) kB", text, re.M)
        return int(m[1]) * 1024 if m else None

    def stall(kind):
        m = re.search(rf"^{kind} .*total=(\d+)", text, re.M)
        return int(m[1]) / 1e6 if m else None

    status = text[text.index("{"):] if "{" in text else None
    daemon = json.loads(status) if status else None
    return {"uptime": float(text.split()[0]), "total": kib("MemTotal"), "shown": kib("MemAvailable"),
            # What the guest has without the balloon. Programs are shown both together.
            "available": daemon["available"] if daemon else kib("MemAvailable"),
            "some_s": stall("some"), "full_s": stall("full"),
            "oom_kills": int(re.search(r"^oom_kill (\d+)", text, re.M)[1]),
            "daemon": daemon}


class Watcher(threading.Thread):
    """Once a second: a sample of guest and host, a line on the terminal, a point in the timeline.

    A guest that is short of memory may answer late; the host's figures come all
    the same, and the line says so."""

    def __init__(self, guest, timeline, colour):
        super().__init__(daemon=True)
        self.guest, self.timeline, self.colour = guest, timeline, colour
        self.started = time.monotonic()
        self.last = None            # latest sample of the guest
        self.host = None
        self.worst_some = self.worst_full = 0.0
        self.history = []           # (t, host bytes, balloon bytes or None)
        self.error = None
        self._ended = threading.Event()
        self._changed = threading.Condition()

    def elapsed(self):
        return time.monotonic() - self.started

    def say(self, text, style="1"):
        print(f"\033[{style}m{text}\033[0m" if self.colour else text, flush=True)

    def phase(self, name, what):
        self.timeline.phase(self.elapsed(), name)
        self.say(f"\n{name}: {what}")
        self.say(f"{'time':>5}  {'guest has':>9}  {'balloon':>8} {'-> target':>10}  {'available':>9}  "
                 f"{'stalled':>8}  {'host RSS':>8}  why", "2")

    def run(self):
        job, due = None, time.monotonic()
        try:
            while not self._ended.is_set():
                if job is None:
                    job = self.guest.spawn(SAMPLE, 60)
                while job.running() and time.monotonic() < due + 0.9:
                    self._ended.wait(0.02)
                fresh = None
                if not job.running():
                    fresh = self._take(job)
                    job = None
                self._show(fresh)
                due = max(due + 1, time.monotonic() - 0.5)
                self._ended.wait(max(0.0, due - time.monotonic()))
        except (GuestDied, OSError, ValueError, TypeError) as e:
            self.error = e
            with self._changed:
                self._changed.notify_all()

    def _take(self, job):
        status, text = job.wait()
        now = parse(text)
        if self.last:
            span = max(0.1, now["uptime"] - self.last["uptime"])
            for kind in ("some", "full"):
                if now[f"{kind}_s"] is not None:
                    now[kind] = min(1.0, max(0.0, (now[f"{kind}_s"] - self.last[f"{kind}_s"]) / span))
            self.worst_some = max(self.worst_some, now["some_s"] - self.last["some_s"])
            self.worst_full = max(self.worst_full, now["full_s"] - self.last["full_s"])
        return now

    def _show(self, fresh):
        t = self.elapsed()
        host = self.guest.smaps()["rss"]
        with self._changed:
            self.host = host
            if fresh:
                self.last = fresh
            self._changed.notify_all()
        d = (fresh or {}).get("daemon") or {}
        balloon, target = d.get("size"), d.get("target")
        self.history.append((t, host, balloon))
        if fresh is None:
            print(f"{t:4.0f}s  {'(the guest is busy)':<52}  {size(host):>8}", flush=True)
            self.timeline.add(t=t, host=host)
            return
        moved = f"-> {size(target)}" if target is not None and target != balloon else ""
        left = RAM - (balloon or 0)
        print(f"{t:4.0f}s  {size(left):>9}  {size(balloon):>8} {moved:>11} {size(fresh['available']):>10}  "
              f"{fresh.get('some', 0):>7.1%}  {size(host):>8}  {d.get('reason_text') or 'balloond is not running'}",
              flush=True)
        self.timeline.add(t=t, host=host, balloon=balloon, target=target, available=fresh["available"],
                          some=fresh.get("some"), full=fresh.get("full"))

    def until(self, condition, timeout, what):
        """Waits until condition(history, last) is true; DemoFailed after @timeout seconds."""
        end = time.monotonic() + timeout
        with self._changed:
            while not condition():
                if self.error:
                    raise DemoFailed(f"the guest was lost: {self.error}")
                if time.monotonic() > end:
                    raise DemoFailed(f"{what}: not within {timeout} s")
                self._changed.wait(1)

    def pause(self, seconds):
        """Lets @seconds go by, unless the guest is lost."""
        end = self.elapsed() + seconds
        self.until(lambda: self.elapsed() >= end, seconds + 5, "time passes")

    def stop(self):
        self._ended.set()
        self.join(10)

    def balloon(self):
        return ((self.last or {}).get("daemon") or {}).get("size") or 0

    def steady(self, seconds, column, tolerance):
        """Whether column 1 (host) or 2 (balloon) has stayed within @tolerance for @seconds."""
        window = [h[column] for h in self.history if h[0] >= self.elapsed() - seconds and h[column] is not None]
        return len(window) >= seconds - 1 and max(window) - min(window) <= tolerance


def prepare(colour):
    if os.geteuid() != 0:
        print("demo: root is needed to build the guest's file system", file=sys.stderr)
        sys.exit(1)
    started = time.monotonic()
    g = programs.guest("6.1", "demo", memory=RAM, lifetime=TIME_LIMIT_S + 20, report=lambda text: print(f"demo: {text}"))
    print(f"demo: guest image ready after {time.monotonic() - started:.0f} s; booting {DEBIAN}, "
          f"{size(RAM)} RAM, 2 CPUs, {g.accelerator.upper()}", flush=True)
    g.start()
    return g


def read_files(g, w):
    """Host memory after the guest has read files once, about as fast as a disk; the page
    cache keeps them as long as it may."""
    w.timeline.event(w.elapsed(), "files are read")
    g.sh(f"truncate -s {FILES_MIB}M /var/tmp/files; for i in $(seq 0 {READ_MIB} {FILES_MIB - READ_MIB}); do "
         f"dd if=/var/tmp/files of=/dev/null bs=1M count={READ_MIB} skip=$i 2>/dev/null; sleep 0.15; done", 90)
    w.pause(3)
    return w.host


def watch_screen(g):
    """What `balloonctl watch` shows on a terminal now, without its colours."""
    out = g.sh("TERM=xterm script -qec 'stty rows 24 columns 110; "
               "timeout --preserve-status --foreground -s INT 2 balloonctl watch' /dev/null", 60)
    frame = out.split("\033[?1049l")[0].split("\033[H")[-1]
    return re.sub(r"\033\[[?0-9;]*[A-Za-z]|\r", "", frame).rstrip() + "\n"


def act(g, w):
    """The story. Returns the figures for the summary."""
    w.phase("1 program", "a program uses most of the guest's memory once")
    g.sh(PROGRAM.format(ops=20000), 110)
    before = max(host for _, host, _ in w.history)

    w.phase("2 idle, no balloon", "what free page reporting gives back by itself; then a backup reads "
                            f"{FILES_MIB} MiB of files")
    idle_from = w.elapsed()
    w.until(lambda: w.elapsed() - idle_from > 6 and w.steady(5, 1, 16 * MIB), 40, "host memory settles")
    alone = w.host
    read_without = read_files(g, w)
    g.sh("rm /var/tmp/files")
    read_from = w.elapsed()
    w.until(lambda: w.elapsed() - read_from > 6 and w.steady(4, 1, 16 * MIB), 40, "host memory settles")
    w.timeline.mark(alone, f"free page reporting alone: {size(alone)}")

    w.say(f"\n# /etc/balloond.conf in the guest, because you are waiting:  {CONFIG}", "36")
    g.put(f"{CONFIG}\n".encode(), "/etc/balloond.conf", 0o644)
    w.phase("3 idle, balloond", "systemctl enable --now balloond; nothing else is configured")
    g.sh("systemctl enable --now balloond 2>&1", 60)
    w.until(lambda: w.balloon() > RAM // 4, 40, "the balloon inflates")
    w.until(lambda: w.steady(8, 2, 64 * MIB), 60, "the balloon comes to rest")
    balloon, lowest = w.balloon(), min(host for t, host, _ in w.history if t > idle_from)
    w.say(f"      the backup reads {FILES_MIB} MiB again", "2")
    read_with = read_files(g, w)
    available = w.last["available"]
    if PROGRAM_BYTES <= available:
        raise DemoFailed(f"the program needs {size(PROGRAM_BYTES)}, the guest still has {size(available)}: "
                         "too easy to prove anything")

    free = g.sh("free -m")
    w.phase("4 database", f"PostgreSQL is started, shared_buffers = {BUFFERS}; what free(1) says inside before:")
    w.say("".join(f"      {line}\n" for line in free.splitlines()), "2")
    total, shown = w.last["total"], w.last["shown"]
    g.sh(f"echo shared_buffers = {BUFFERS} > {PG_CONF}")
    database = g.run(f"systemctl start {CLUSTER} && su postgres -c 'psql -Atc \"show shared_buffers\"' 2>&1", 60)
    print(f"      psql says shared_buffers {database[1].strip()}, status {database[0]}", flush=True)
    w.pause(2)
    g.run(f"systemctl stop {CLUSTER}; systemctl reset-failed {CLUSTER}; rm {PG_CONF}", 60)
    available = w.last["available"]

    w.phase("5 need", f"stress-ng needs {size(PROGRAM_BYTES)}, the guest has {size(available)} available")
    needed_from, held = w.elapsed(), w.balloon()
    program = g.spawn(PROGRAM.format(ops=200000), 110)
    w.until(lambda: not program.running(), 115, "stress-ng ends")
    status, text = program.wait()
    took = w.elapsed() - needed_from
    given = held - min(b for t, _, b in w.history if t >= needed_from and b is not None)
    print(f"      stress-ng ended with status {status} after {took:.0f} s", flush=True)

    w.phase("6 idle again", "the hold-off passes, then the balloon inflates again")
    w.until(lambda: w.balloon() > balloon // 4, 60, "the balloon inflates again")
    screen = watch_screen(g)
    w.until(lambda: w.balloon() > balloon // 2, 60, "the balloon inflates again")
    w.until(lambda: w.steady(5, 2, 64 * MIB), 30, "the balloon comes to rest")
    return {"before": before, "alone": alone, "read_without": read_without, "read_with": read_with,
            "lowest": min(lowest, w.host), "balloon": balloon, "given": given, "status": status, "text": text,
            "database": database, "total": total, "shown": shown,
            "screen": screen, "history": g.sh("balloonctl history --svg -"), "took": took, "again": w.balloon(),
            "oom_kills": w.last["oom_kills"], "takes": w.last["daemon"]["host_takes"],
            "proofs": w.last["daemon"]["proofs_taken"],
            "emergencies": w.last["daemon"]["emergencies"], "after": w.host}


def judge(f, w):
    """Prints the summary; the list of what went wrong."""
    fell = f["before"] - f["lowest"]
    w.say("\nSummary")
    said = f["database"]
    rows = [
        ("host memory before", f"{size(f['before'])}   (QEMU's RSS when the guest had used its memory)"),
        ("  free page reporting alone", f"{size(f['alone'])}"),
        ("  lowest, with the balloon", f"{size(f['lowest'])}   ({size(fell)} less than before)"),
        (f"  with {FILES_MIB} MiB of files read", f"{size(f['read_with'])} with the balloon, "
                                              f"{size(f['read_without'])} with reporting alone"),
        ("  at the end", f"{size(f['after'])}"),
        ("balloon", f"{size(f['balloon'])}; {size(f['given'])} came back for the program; {size(f['again'])} at the end"),
        ("the host takes it", f"{f['takes']}: proven {f['proofs']} times, by a marked page that came back without its mark"),
        ("what programs are shown", f"{size(f['total'])} in all, {size(f['shown'])} available, with the balloon at rest"),
        ("database", f"started with shared_buffers {said[1].strip()} while the balloon was full"),
        ("program", f"needed {size(PROGRAM_BYTES)}, exit status {f['status']} after {f['took']:.0f} s"),
        ("longest stall", f"{w.worst_some * 1000:.0f} ms between two samples (some task), "
                          f"{w.worst_full * 1000:.0f} ms (all tasks); PSI, one sample a second"),
        ("OOM kills, emergencies", f"{f['oom_kills']}, {f['emergencies']}"),
    ]
    for name, value in rows:
        print(f"  {name:<32}{value}")
    wrong = []
    if fell < f["balloon"] / 2:
        wrong.append(f"host memory fell by {size(fell)}, less than half of the balloon of {size(f['balloon'])}")
    if f["read_with"] >= f["read_without"]:
        wrong.append("the page cache took back from the host what the balloon should have kept from it")
    if f["status"] != 0 or "successful run completed" not in f["text"]:
        wrong.append(f"the program did not finish: status {f['status']}\n{f['text']}")
    if said[0] != 0 or said[1].strip() != BUFFERS:
        wrong.append(f"the database did not start: {said[1]}")
    if f["shown"] < f["balloon"]:
        wrong.append(f"programs are shown {size(f['shown'])} available, with {size(f['balloon'])} in the balloon")
    if f["takes"] != "yes":
        wrong.append(f"whether the host takes what it is given: {f['takes']}")
    if f["emergencies"]:
        wrong.append(f"{f['emergencies']} emergencies")
    if f["oom_kills"]:
        wrong.append(f"{f['oom_kills']} OOM kills")
    return wrong


def main():
    parser = argparse.ArgumentParser(description="An idle guest gives memory back, and gets it back when needed.")
    parser.add_argument("--svg", default=os.path.join(debian.build_dir(), "demo.svg"), help="where the timeline goes")
    parser.add_argument("--keep-log", action="store_true", help="print where the guest's console log is")
    args = parser.parse_args()
    colour = sys.stdout.isatty()
    g = prepare(colour)
    timeline = Timeline("An idle guest gives its memory back, and has it when it needs it",
                        f"{DEBIAN}, {size(RAM)} RAM, QEMU ({g.accelerator.upper()}), virtio-balloon; "
                        f"balloond with defaults, stall price {PRICE}", RAM)
    w = Watcher(g, timeline, colour)
    w.start()
    wrong = []
    try:
        figures = act(g, w)
        w.stop()
        wrong = judge(figures, w)
        for name, what in (("watch.txt", "screen"), ("history.svg", "history")):
            with open(os.path.splitext(args.svg)[0] + "-" + name, "w") as f:
                f.write(figures[what])
            print(f"  {'balloonctl ' + name.split('.')[0]:<32}{os.path.relpath(f.name)}")
        g.sh("systemctl stop balloond", 60)
        g.finish()
    except (DemoFailed, GuestDied, VerdictError, RuntimeError) as e:
        wrong.append(str(e))
        if g.alive():
            try:
                wrong.append(g.journal("balloond"))
            except (GuestDied, RuntimeError):
                pass
    finally:
        w.stop()
        g.kill()
    if timeline.samples:
        with open(args.svg, "w") as f:
            f.write(timeline.svg())
        print(f"  {'timeline':<32}{os.path.relpath(args.svg)}")
    if args.keep_log or wrong:
        print(f"  {'console':<32}{g.log}")
    for text in wrong:
        print(f"demo: FAILED: {text}", file=sys.stderr)
    if not wrong:
        w.say("\nMemory went back to the host, and came back in time.", "32")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (HarnessError, GuestDied) as e:
        print(f"demo: {e}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
