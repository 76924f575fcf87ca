# SPDX-License-Identifier: GPL-2.0-or-later
"""The workload benchmark: real programs in real guests, what the host saves and what it costs.

    python3 tests/bench/workloads [--rounds N] [--set SET]... [--config NAME]... [--quick] [--csv FILE]

Every configuration of configs.py lives through the script of phases.py in guests of 2 and of 4 GiB, with and
without swap, three guests side by side; then three guests of 1 GiB build at different times. Tables
(Markdown) on standard output, progress on standard error. FILE gets every figure; beside it come
FILE's name with -memory.csv (the host's memory twice a second), -recordings/ (what `balloonctl
record` wrote in the guest) and .svg (host memory over time in the first set of the first round).

One round takes an hour on two CPUs without KVM. A failed phase is shown as such, and the status is 1.
"""
import argparse
import collections
import os
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
if __package__ in (None, ""):
    sys.path[0] = os.path.dirname(HERE)
    sys.path[:0] = [os.path.join(HERE, "..", "..", "vm"), os.path.join(HERE, "..", "..", "lib")]
    __package__ = os.path.basename(HERE)
    __import__(__package__)

from . import configs, phases, picture, report, several               # noqa: E402
from .run import Lockstep, Run, together                              # noqa: E402
from harness import accel, kernels                                    # noqa: E402
from harness.paths import TOP                                         # noqa: E402

GIB = 1 << 30
# More guests than that on two CPUs measure the CPUs.
SIDE_BY_SIDE = 3
# swap in bytes.
Set = collections.namedtuple("Set", "name ram swap")
SETS = (Set("2G", 2 * GIB, 0), Set("2G-swap", 2 * GIB, GIB), Set("4G", 4 * GIB, 0), Set("4G-swap", 4 * GIB, GIB))
# The short form, and how long its guests are left alone at least: long enough for a balloon to come to rest.
QUICK, QUICK_IDLE = ("redis", "first read", "backup"), 40


class Progress:
    """What is going on, from any thread: to standard error, or @write."""

    def __init__(self, total, write=lambda text: print(text, file=sys.stderr, flush=True)):
        self.total, self.done, self.started, self.lock = total, 0, time.monotonic(), threading.Lock()
        self.write = write

    def say(self, text):
        with self.lock:
            self.write(f"[{time.monotonic() - self.started:4.0f} s] {text}")

    def step(self, text):
        """The next of @total pieces of work begins."""
        passed = time.monotonic() - self.started
        left = f", about {passed / self.done * (self.total - self.done) / 60:.0f} min left" if self.done else ""
        self.done += 1
        self.say(f"{self.done}/{self.total}: {text}{left}")


def chosen(ram, quick):
    script = phases.script(ram)
    if not quick:
        return script
    return [p._replace(idle=max(p.idle, QUICK_IDLE)) for p in script if p.name in QUICK]


def batches(names, rnd):
    """@names in groups that run side by side, in their order: the first and the last, which are compared most, always
    together; their neighbours change from round to round."""
    middle = list(names[1:-1])
    turn = (rnd - 1) % len(middle) if middle else 0
    order = [*names[:1], *names[1:][-1:], *middle[turn:], *middle[:turn]]
    # As even as they come: 6 are 3 and 3, 4 are 2 and 2.
    groups = -(-len(order) // SIDE_BY_SIDE)
    size = -(-len(order) // groups)
    return [sorted(order[i:i + size], key=names.index) for i in range(0, len(order), size)]


def one_set(results, rnd, group, names, quick, series, progress):
    """Runs of all configurations of one set, in the order of @names."""
    runs = {}
    for batch in batches(names, rnd):
        progress.step(f"round {rnd}, {group.name}: {', '.join(batch)}")
        step = Lockstep(len(batch))
        members = [Run(configs.named(n), group.ram, group.swap, chosen(group.ram, quick), phases.START_IDLE, step,
                       progress.say, series=series) for n in batch]
        for run in together(members):
            results.run(rnd, group.name, run)
            runs[run.config.name] = run
            if run.error is not None:
                progress.say(f"{run.config.name}: FAILED: {run.error}")
    return [runs[n] for n in names]


def bench(results, sets, names, rounds, quick, series, svg, with_several, progress):
    """All of it; the picture as soon as its set is there."""
    for rnd in range(1, rounds + 1):
        for group in sets:
            runs = one_set(results, rnd, group, names, quick, series, progress)
            if rnd == 1 and group is sets[0] and any(r.samples for r in runs):
                with open(svg, "w") as f:
                    f.write(picture.svg("Host memory over time",
                                        f"{group.name.replace('G', ' GiB').replace('-', ', with ')} guests, Linux {series}; the same "
                                        f"programs, phases as in the guest of {runs[-1].config.name}", runs, group.ram))
        if with_several:
            several.run(results, rnd, [n for n in names if n in several.CONFIGS], series, progress)


def arguments():
    p = argparse.ArgumentParser(description="Real programs in real guests: what the host saves, and what it costs.",
                                epilog="; ".join(f"{c.name}: {c.says}" for c in configs.ALL))
    p.add_argument("--rounds", type=int, default=1, metavar="N", help="default 1 (an hour); medians need 3")
    p.add_argument("--set", action="append", metavar="SET", choices=[s.name for s in SETS],
                   help="only these guests (may be repeated): " + ", ".join(s.name for s in SETS))
    p.add_argument("--config", action="append", metavar="NAME", choices=configs.NAMES,
                   help="only this one (may be repeated): " + ", ".join(configs.NAMES))
    p.add_argument("--kernel", default="6.1", metavar="SERIES", choices=kernels.SERIES, help="of the guests; default 6.1")
    p.add_argument("--quick", action="store_true",
                   help=f"2 GiB, reporting and balloond, three phases ({', '.join(QUICK)}): five minutes")
    p.add_argument("--no-several", action="store_true", help="without the three guests that build at different times")
    p.add_argument("--csv", metavar="FILE", default=os.path.join(TOP, "build", "bench", "workloads.csv"))
    a = p.parse_args()
    if a.rounds < 1:
        p.error("--rounds: at least 1")
    return a


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    a = arguments()
    # The guests end, and their files go.
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    sets = [s for s in SETS if not a.set or s.name in a.set]
    names = [n for n in configs.NAMES if not a.config or n in a.config]
    if a.quick:
        sets, names = sets[:1], [n for n in ("reporting", "balloond") if n in names]
        if not names:
            sys.exit("--quick measures reporting and balloond only")
    with_several = not (a.quick or a.no_several)
    per_round = len(sets) * len(batches(names, 1)) + (with_several and sum(n in names for n in several.CONFIGS))
    progress = Progress(a.rounds * per_round)
    results = report.Results(a.csv)
    progress.say(f"Linux {a.kernel}, {accel.choose()}; {a.rounds} round(s) of {per_round} pieces, five to seven minutes each")
    began = time.monotonic()
    try:
        bench(results, sets, names, a.rounds, a.quick, a.kernel, results.beside(".svg"), with_several, progress)
    except KeyboardInterrupt:
        progress.say("stopped; the guests that had come to their end are in the CSV files")
        sys.exit(130)
    finally:
        results.close()
    for group in sets:
        print("\n".join(report.table(results, group.name, names, chosen(group.ram, a.quick))))
    if with_several:
        print("\n".join(several.table(results, [n for n in names if n in several.CONFIGS])))
    print(f"\n{time.monotonic() - began:.0f} s; every figure: {os.path.relpath(a.csv)}, "
          f"picture: {os.path.relpath(results.beside('.svg'))}")
    if results.failures:
        print("\n".join(["failed:", *results.failures]))
    sys.exit(1 if results.failures else 0)


if __name__ == "__main__":
    main()
