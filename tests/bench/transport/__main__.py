# SPDX-License-Identifier: GPL-2.0-or-later
"""The transport benchmark: the stock virtio_balloon and uballoon in turn, on the
same QEMU, the same device options, in one run.

    python3 tests/bench/transport [--quick] [--rounds N] [--kernel SERIES] [--csv FILE]

3 of 4 GiB (--quick: 512 MiB of 1 GiB), both kernels, init_on_alloc=0 and =1;
medians of all rounds and their ratios. A table (Markdown) on standard output,
progress on standard error, every single figure in the CSV file. runs.py says
what the states mean, drivers.py how it is measured.

On a machine without KVM the guest is emulated: then the ratios count, not the
milliseconds.
"""
import argparse
import contextlib
import os
import platform
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
if __package__ in (None, ""):
    sys.path[0] = os.path.dirname(HERE)
    __package__ = os.path.basename(HERE)
    __import__(__package__)

from . import report, runs                                            # noqa: E402
from harness import accel                                             # noqa: E402
from harness.paths import TOP                                         # noqa: E402


def arguments():
    p = argparse.ArgumentParser(description="The stock virtio_balloon and uballoon side by side.")
    p.add_argument("--quick", action="store_true", help="512 MiB of 1 GiB, init_on_alloc=0, one round: a minute")
    p.add_argument("--rounds", type=int, metavar="N", help="boots of each driver, kernel and setting (default 3)")
    p.add_argument("--kernel", action="append", metavar="SERIES", choices=runs.kernels.SERIES,
                   help="only this one (may be repeated): " + ", ".join(runs.kernels.SERIES))
    p.add_argument("--csv", metavar="FILE", default=os.path.join(TOP, "build", "bench", "transport.csv"),
                   help="every figure (default build/bench/transport.csv)")
    a = p.parse_args()
    if a.rounds is not None and a.rounds < 1:
        p.error("--rounds: at least 1")
    return a


class Progress:
    """What is going on, on standard error: figures come as they are measured."""

    def __init__(self, total):
        self.total, self.done, self.started = total, 0, time.monotonic()

    def boot(self, series, init, driver):
        passed = time.monotonic() - self.started
        left = f", about {passed / self.done * (self.total - self.done) / 60:.0f} min left" if self.done else ""
        self.done += 1
        print(f"[{passed:4.0f} s] {self.done}/{self.total}: {driver.name} on {series}, init_on_alloc={init}{left}",
              file=sys.stderr, flush=True)

    def figure(self, state, metric, value):
        if metric.endswith(("total_ms", "retouch_s")):
            print(f"           {state:<10} {metric:<18} {value:10.1f}", file=sys.stderr, flush=True)


def measure(plan, csv_path, progress):
    results = report.Results(csv_path)
    try:
        for rnd, series, init, driver in plan.boots():
            progress.boot(series, init, driver)

            def record(state, metric, value):
                results.add(rnd, series, init, state, metric, driver.name, value)
                progress.figure(state, metric, value)

            runs.Boot(plan, series, init, driver, record).run()
    finally:
        results.close()
    return results


def main():
    a = arguments()
    plan = runs.quick_plan() if a.quick else runs.full_plan()
    plan.rounds = a.rounds or plan.rounds
    plan.series = a.kernel or plan.series
    os.makedirs(os.path.dirname(os.path.abspath(a.csv)), exist_ok=True)
    progress = Progress(len(list(plan.boots())))
    # What the harness says of its guests is progress, too.
    with contextlib.redirect_stdout(sys.stderr):
        results = measure(plan, a.csv, progress)
    print(f"{plan.balloon_mib} MiB of {plan.ram_mib} MiB, {os.cpu_count()} host CPUs, "
          f"{accel.choose()}, Linux {platform.release()} below; "
          f"guests: {', '.join(runs.kernels.release(s) for s in plan.series)}; rounds: {plan.rounds}; "
          f"{(time.monotonic() - progress.started) / 60:.0f} min; ms unless said otherwise")
    print("\n".join(report.table(results, plan.series)))
    print(f"all figures: {os.path.relpath(a.csv)}")


if __name__ == "__main__":
    main()
