# SPDX-License-Identifier: GPL-2.0-or-later
"""The workload benchmark in a short form: two guests side by side, free page reporting and balloond.

It works, no program fails, and with balloond the host saves more than by reporting alone. How much,
and what it costs, is for `./bootstrap bench workloads` on a quiet machine: here the figures are shown. And
whoever stops it is left with nothing of it.
"""
import os
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib"), os.path.join(HERE, "..", "..", "bench")]

import tap                                            # noqa: E402
from harness import programs                          # noqa: E402
from workloads import __main__ as bench, report       # noqa: E402

GIB = 1 << 30
BENCH = os.path.join(HERE, "..", "..", "bench", "workloads")


@tap.case("the image with the programs", timeout=1800)
def image(t):
    t.diag(programs.made(programs.image(t.diag)))


@tap.case("stopped by Ctrl-C, it leaves neither a guest nor a file", timeout=900)
def stopped(t):
    with tempfile.TemporaryDirectory() as tmp, tempfile.TemporaryFile("w+") as said:
        p = subprocess.Popen([sys.executable, BENCH, "--set", "2G-swap", "--config", "none", "--csv", f"{tmp}/w.csv"],
                             env={**os.environ, "TMPDIR": tmp}, stdout=said, stderr=said)
        t.defer(p.kill)

        def guests():
            """Processes of QEMU whose disk for swap lies in @tmp."""
            out = []
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as f:
                        line = f.read()
                except OSError:
                    continue
                if line.startswith(b"qemu") and tmp.encode() in line:
                    out.append(pid)
            return out
        t.wait(guests, 600, "a guest")
        p.send_signal(signal.SIGINT)
        t.equal(p.wait(120), 130, "exit status")
        said.seek(0)
        text = said.read()
        t.contains(text, "stopped;", "what it says")
        t.check("Traceback" not in text, f"it ends in order: {text[-800:]}")
        t.wait(lambda: not guests(), 10, "the guest has gone")
        t.equal([n for n in os.listdir(tmp) if n.startswith("vmtest-")], [], "files")


def after_last(run):
    """What the host holds on average from the end of the last phase on, GiB."""
    held = [s.rss for s in run.samples if s.t >= run.done[-1].end]
    return sum(held) / len(held) / GIB


@tap.case("real programs, reporting and balloond side by side", timeout=1800)
def side_by_side(t):
    names = ("reporting", "balloond")
    group = bench.SETS[0]
    with tempfile.TemporaryDirectory() as tmp:
        results = report.Results(os.path.join(tmp, "workloads.csv"))
        t.defer(results.close)
        runs = bench.one_set(results, 1, group, names, True, "6.1", bench.Progress(1, t.diag))
        recordings = results.beside("-recordings")
        recordings = sorted(os.listdir(recordings)) if os.path.isdir(recordings) else []
    for line in report.table(results, group.name, names, bench.chosen(group.ram, True)):
        t.diag(line)
    t.equal(results.failures, [], "failed phases")
    with t.subtest("every phase printed its results"):
        for phase in bench.chosen(group.ram, True):
            for figure in phase.figures:
                for name in names:
                    t.equal(len(results.get(group.name, name, phase.name, figure)), 1, f"{name}, {phase.name}: {figure}")
    with t.subtest("nobody is killed"):
        t.equal([results.median(group.name, n, "", "oom_kills") for n in names], [0, 0], "OOM kills")
    with t.subtest("each guest was recorded"):
        t.equal(recordings, [f"{group.name}-{n}-1.csv" for n in sorted(names)], "recordings")
    with t.subtest("balloond saves more than reporting alone"):
        # While page cache is there to be had: before, how much is free in whole blocks is a matter of chance.
        reporting, ours = (after_last(r) for r in runs)
        t.diag(f"after the backup: reporting {reporting:.2f} GiB, balloond {ours:.2f}")
        t.check(ours < reporting, f"{ours:.2f} GiB after the backup, reporting {reporting:.2f}")
        t.check(results.median(group.name, "balloond", "", "up") > 100, "by its balloon")


if __name__ == "__main__":
    tap.main()
