# SPDX-License-Identifier: GPL-2.0-or-later
"""The workload benchmark in a short form: two guests side by side, free page reporting and balloond.

It works, no program fails, and with balloond the host saves more than by reporting alone. How much,
and what it costs, is for `./bootstrap bench workloads` on a quiet machine: here the figures are shown.
"""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib"), os.path.join(HERE, "..", "..", "bench")]

import tap                                            # noqa: E402
from workloads import __main__ as bench, phases, report   # noqa: E402


@tap.case("real programs, reporting and balloond side by side", timeout=1800)
def side_by_side(t):
    names = ("reporting", "balloond")
    group = bench.SETS[0]
    with tempfile.TemporaryDirectory() as tmp:
        results = report.Results(os.path.join(tmp, "workloads.csv"))
        t.defer(results.close)
        bench.one_set(results, 1, group, names, True, "6.1", bench.Progress(1, t.diag))
        recordings = sorted(os.listdir(results.beside("-recordings")))
    for line in report.table(results, group.name, names, bench.chosen(group.ram, True)):
        t.diag(line)
    with t.subtest("every phase printed its results"):
        t.equal(results.failures, [], "failed phases")
        for phase in bench.chosen(group.ram, True):
            for figure in phase.figures:
                for name in names:
                    t.equal(len(results.get(group.name, name, phase.name, figure)), 1, f"{name}, {phase.name}: {figure}")
    with t.subtest("nobody is killed"):
        t.equal([results.median(group.name, n, "", "oom_kills") for n in names], [0, 0], "OOM kills")
    with t.subtest("each guest was recorded"):
        t.equal(recordings, [f"{group.name}-{n}-1.csv" for n in sorted(names)], "recordings")
    with t.subtest("balloond saves more than reporting alone"):
        reporting, ours = (results.median(group.name, n, "", "host") for n in names)
        t.check(ours < reporting, f"{ours:.0f} GiB s, reporting {reporting:.0f}")
    t.check(phases.HALVED_AFTER not in bench.QUICK, "no figure is judged that the short form does not have")


if __name__ == "__main__":
    tap.main()
