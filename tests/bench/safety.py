# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: safety.py [--rounds N] [--kernel SERIES] [--csv FILE]

What the module's safety features (lease, shrinker, OOM notifier) cost a guest
whose balloon is empty. The same work in the same guest, in turn with no balloon
driver and with uballoon loaded under a lease that is renewed each second:

  idle      guest CPU time over some seconds of nothing
  use       a program that uses memory which is there
  reclaim   a program that uses more than there is, with swap on zram: the shrinker is
            asked all the time, and so is the notifier's chain if it comes to that
  slab      drop_caches=2, which asks every shrinker, many times over

Beside the two medians stands the spread, the quartile distance of the runs
without the module: a difference below it is not measurable. In both states a
program in the guest wakes up each second; renewing the lease is all that differs.
"""
import argparse
import contextlib
import csv
import os
import re
import statistics
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "vm"))

from harness import kernels, micro        # noqa: E402
from harness.paths import TOP             # noqa: E402

MIB = 1 << 20
# Nothing but the features under test: no statistics to answer, no free pages to report.
DEVICE = "virtio-balloon-pci,id=b0,deflate-on-oom=on"
RAM = 256 * MIB
IDLE_S = 5
LEASE_MS = 30000
STATES = ("without", "with")


def cpu_ms(g):
    return sum(int(line.split()[7]) for line in g.read("/proc/schedstat").splitlines()
               if line.startswith("cpu")) / 1e6


def idle(g):
    before = cpu_ms(g)
    time.sleep(IDLE_S)
    return cpu_ms(g) - before


def hog(mib):
    def work(g):
        return int(re.search(r"rc=OK .*us=(\d+)", g.sh(f"ubtool hog {mib}M", 120))[1]) / 1000
    return work


def slab(g):
    text = g.sh("read a b < /proc/uptime; n=0; while [ $n -lt 1000 ]; do echo 2 > /proc/sys/vm/drop_caches; "
                "n=$((n + 1)); done; read c d < /proc/uptime; echo $a $c", 120)
    start, end = map(float, text.split())
    return (end - start) * 1000


WORKS = (("idle", idle), ("use", hog(100)), ("reclaim", hog(300)), ("slab", slab))


@contextlib.contextmanager
def state(g, name, seconds=240):
    if name == "with":
        g.sh("insmod /lib/modules-test/uballoon.ko")
        job = g.spawn(f"exec ubtool target 64M 0 {LEASE_MS}" + " , keepalive , sleep 1000" * seconds, seconds)
    else:
        job = g.spawn("exec ubtool sleep 0" + " , sleep 1000" * seconds, seconds)
    yield
    if not job.running():
        raise RuntimeError(f"ubtool ended: {job.output[-200:]}")
    job.kill()
    job.wait()
    if "rc=E" in job.output:
        raise RuntimeError(f"ubtool: {job.output[-200:]}")
    if name == "with":
        counters = g.read("/sys/kernel/debug/uballoon/state")
        if not re.search(r"^size_pages +0$", counters, re.M):
            raise RuntimeError(f"the balloon was not empty:\n{counters}")
        g.sh("rmmod uballoon")


def measure(series, rounds, say):
    """{work: {state: [ms]}}"""
    out = {name: {s: [] for s in STATES} for name, _ in WORKS}
    g = micro.guest(series, "safety", memory=RAM, balloon=DEVICE, lifetime=rounds * 200 + 200)
    try:
        g.start()
        # zram asks for its compressor by name.
        for name, data in g.kernel.closure(("lzo", "lzo_rle", "zram")):
            g.put(data, "/tmp/module.ko")
            g.sh("insmod /tmp/module.ko")
        g.sh("echo 256M > /sys/block/zram0/disksize; "
             "mkswap /dev/zram0 > /dev/null; swapon /dev/zram0")
        for i in range(-1, rounds):
            for s in STATES if i % 2 else STATES[::-1]:
                with state(g, s):
                    for name, work in WORKS:
                        value = work(g)
                        # The first round runs code for the first time.
                        if i < 0:
                            continue
                        out[name][s].append(value)
                        say(f"{series} round {i + 1}/{rounds} {s:<8} {name:<8} {value:8.1f} ms")
    finally:
        g.kill()
    return out


def spread(values):
    q = statistics.quantiles(values, n=4) if len(values) > 1 else (0, 0, 0)
    return q[2] - q[0]


def table(results):
    lines = ["| empty balloon, median ms | without the module | with it | difference | spread |", "|---|---:|---:|---:|---:|"]
    for series, works in results.items():
        for name, by in works.items():
            a, b = (statistics.median(by[s]) for s in STATES)
            lines.append(f"| {series}: {name} | {a:.1f} | {b:.1f} | {(b - a) / a * 100:+.1f} % | "
                         f"{spread(by['without']) / a * 100:.1f} % |")
    return lines


def main():
    p = argparse.ArgumentParser(description="What the module's safety features cost while the balloon is empty.")
    p.add_argument("--rounds", type=int, default=5, metavar="N", help="in each state (default 5)")
    p.add_argument("--kernel", action="append", metavar="SERIES", choices=kernels.SERIES,
                   help="only this one (may be repeated): " + ", ".join(kernels.SERIES))
    p.add_argument("--csv", metavar="FILE", default=os.path.join(TOP, "build", "bench", "safety.csv"),
                   help="every figure (default build/bench/safety.csv)")
    a = p.parse_args()
    if a.rounds < 2:
        p.error("--rounds: at least 2")
    results = {}
    for series in a.kernel or kernels.SERIES:
        results[series] = measure(series, a.rounds, lambda text: print(text, file=sys.stderr, flush=True))
    os.makedirs(os.path.dirname(os.path.abspath(a.csv)), exist_ok=True)
    with open(a.csv, "w", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(("kernel", "work", "state", "round", "ms"))
        rows.writerows((series, name, s, i, f"{v:.3f}") for series, works in results.items()
                       for name, by in works.items() for s in STATES for i, v in enumerate(by[s], 1))
    print("\n".join(table(results)))
    print(f"all figures: {os.path.relpath(a.csv)}")


if __name__ == "__main__":
    main()
