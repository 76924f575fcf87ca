# SPDX-License-Identifier: GPL-2.0-or-later
"""The transport benchmark: the stock virtio_balloon and uballoon in turn, on the
same QEMU, the same device options, in one run.

    python3 tests/bench/transport [--quick] [--part PART,...] [--rounds N] [--kernel SERIES]
                                   [--state STATE] [--csv FILE]

Its parts, each of which has a head that says what it does and leaves out:

  move     3 of 4 GiB both ways, init_on_alloc=0 and =1, in several states (runs.py)
  latency  from the host's request to its first MiB, and where that time goes (latency.py)
  orders   3584 of 4096 MiB in one order and back, 100 times (orders.py)
  again    a program has its memory again: what the time depends on (again.py)
  scale    guests of 4 to 256 GiB, per GiB (scale.py)
  thp      a guest without a free block of 2 MiB; its huge pages afterwards (thp.py)
  return   a program touches 3 of 4 GiB while the balloon is at rest (returns.py)

All three kernels, medians of all rounds. Tables (Markdown) on standard output: the goals with what
was reached of them, and beside a goal that was missed the bound that was measured in the same run
(goals.py); then the figures. Progress on standard error, every single figure in the CSV file. drivers.py
says how a move is measured.

--quick is part "move" alone if none is named, 512 MiB of 1 GiB, one round: a minute. With --part
it makes these small.

On a machine without KVM the guest is emulated: then the ratios count, not the
milliseconds.
"""
import argparse
import contextlib
import dataclasses
import os
import platform
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
if __package__ in (None, ""):
    sys.path[0] = os.path.dirname(HERE)
    __package__ = os.path.basename(HERE)
    __import__(__package__)

from . import again, goals, latency, orders, report, returns, runs, scale, thp, unit     # noqa: E402
from .drivers import MoveFailed                                       # noqa: E402
from harness import accel                                             # noqa: E402
from harness.guest import GuestDied, VerdictError                     # noqa: E402
from harness.kernels import Kernel                                    # noqa: E402
from harness.paths import TOP, HarnessError                           # noqa: E402

PARTS = {"move": runs.units, "latency": latency.units, "orders": orders.units, "again": again.units,
         "scale": scale.units, "thp": thp.units, "return": returns.units}
SHOWN = ("total_ms", "out_ms", "back_ms", "first_mib_ms", "_s", "_gib", "_huge_mib", "_blocks", "max_ms", "p99_us",
         "own_ms", "wake_ms", "through_first")


def parts_of(text):
    names = text.split(",")
    unknown = [n for n in names if n not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    return names


def arguments():
    p = argparse.ArgumentParser(description="The stock virtio_balloon and uballoon side by side.",
                                formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog=__doc__.partition("Its parts")[2].join(("Its parts", "")))
    p.add_argument("--quick", action="store_true", help="small guests, one round: a minute for part move")
    p.add_argument("--part", type=parts_of, metavar="PART,...", help="only these: " + ", ".join(PARTS))
    p.add_argument("--rounds", type=int, metavar="N",
                   help="boots of each driver, kernel and setting (default 3; of again, thp and return 1)")
    p.add_argument("--kernel", action="append", metavar="SERIES", choices=unit.SERIES,
                   help="only this one (may be repeated): " + ", ".join(unit.SERIES))
    p.add_argument("--state", action="append", metavar="STATE", choices=runs.STATES,
                   help="of part move, only this one (may be repeated): " + ", ".join(runs.STATES))
    p.add_argument("--csv", metavar="FILE", default=os.path.join(TOP, "build", "bench", "transport.csv"),
                   help="every figure (default build/bench/transport.csv)")
    a = p.parse_args()
    if a.rounds is not None and a.rounds < 1:
        p.error("--rounds: at least 1")
    a.part = a.part or (["move"] if a.quick or a.state else list(PARTS))
    a.kernel = a.kernel or list(unit.SERIES)
    return a


class Progress:
    """What is going on, on standard error: figures come as they are measured."""

    def __init__(self, units):
        self.left_s, self.count, self.done = sum(u.seconds for u in units), len(units), 0
        self.passed_s, self.started = 0, time.monotonic()

    def unit(self, u):
        passed = time.monotonic() - self.started
        # Reckoned as on an idle machine, and as long as it has turned out to take here.
        slower = passed / self.passed_s if self.passed_s else 1
        self.done += 1
        print(f"[{passed:4.0f} s] {self.done}/{self.count}: {u.part}: {u.title}: {u.driver} on {u.series}, "
              f"init_on_alloc={u.init}, about {self.left_s * slower / 60:.0f} min left", file=sys.stderr, flush=True)
        self.left_s -= u.seconds
        self.passed_s += u.seconds

    def figure(self, state, metric, value):
        if metric.endswith(SHOWN) or metric == "s":
            print(f"           {state:<14} {metric:<24} {value:10.2f}", file=sys.stderr, flush=True)


def measure(units, results, progress):
    """What could not be measured: texts."""
    failed = []
    for u in units:
        progress.unit(u)

        def record(state, metric, value, u=u):
            results.add(u.rnd, u.series, u.init, state, metric, u.driver, value)
            progress.figure(state, metric, value)

        try:
            u.run(record)
        except (MoveFailed, GuestDied, HarnessError, VerdictError, RuntimeError) as e:
            failed.append(f"{u.part}: {u.title}: {u.driver} on {u.series}: {e}")
            print(f"           FAILED: {e}", file=sys.stderr, flush=True)
    return failed


def tables(results, series, quick=False):
    """All there is to say, in Markdown."""
    reached, judged = goals.count(results, series)
    if judged:
        small = " (they are for whole guests; these are small)" if quick else ""
        yield f"\nGoals: {reached} of {judged} reached{small}\n"
        yield from goals.table(results, series)
    for head, lines in (("Both drivers", report.pairs(results, series)), ("Per GiB", report.scale(results, series)),
                        ("Further figures", report.own(results, series))):
        if lines:
            yield f"\n{head}\n"
            yield from lines


def main():
    a = arguments()
    sizes = unit.QUICK if a.quick else unit.Sizes()
    if a.rounds:
        sizes = dataclasses.replace(sizes, rounds=a.rounds, long_rounds=a.rounds)
    os.makedirs(os.path.dirname(os.path.abspath(a.csv)), exist_ok=True)
    units = []
    for part in a.part:
        more = {"states": a.state, "quick": a.quick} if part == "move" else {}
        units += PARTS[part](sizes, a.kernel, **more)
    progress, results = Progress(units), report.Results(a.csv)
    # What the harness says of its guests is progress, too.
    with contextlib.redirect_stdout(sys.stderr), contextlib.closing(results):
        failed = measure(units, results, progress)
    print(f"{sizes.balloon_mib} MiB of {sizes.ram_mib} MiB where nothing else is said, {os.cpu_count()} host CPUs, "
          f"{accel.choose()}, Linux {platform.release()} below; "
          f"guests: {', '.join(Kernel(s).release for s in a.kernel)}; "
          f"rounds: {sizes.rounds}, of again, thp and return {sizes.long_rounds}; "
          f"{(time.monotonic() - progress.started) / 60:.0f} min; parts: {', '.join(a.part)}")
    print("\n".join(tables(results, a.kernel, a.quick)))
    if failed:
        print("\n".join(["\nnot measured:", *failed]))
    print(f"all figures: {os.path.relpath(a.csv)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
