# SPDX-License-Identifier: GPL-2.0-or-later
"""The workload benchmark without guests: what is made of samples, recordings and the programs' words."""
import collections
import math
import os
import subprocess
import sys
import tempfile
import threading
import types

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "vm"), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from workloads import __main__ as bench                               # noqa: E402
from workloads import configs, figures, phases, picture, report, run  # noqa: E402

GIB, MIB = 1 << 30, 1 << 20
S = run.Sample


@tap.case("integrals and times", timeout=30)
def times(t):
    t.equal(figures.integral([(0, 1), (10, 1), (20, 3)]), 30, "GiB x s by trapezoids")
    t.equal(figures.integral([(5, 7)]), 0, "of one sample")
    samples = [S(n, r * GIB, 0) for n, r in enumerate((4, 4, 3, 2, 2, 1))]
    t.equal(figures.given_back(samples, 1, 9), (2, 1 / 4), "seconds until the host has half of it; what it has at the end")
    t.equal(figures.given_back(samples, 2, 9), (3, 1 / 3), "half of what it had at that moment")
    t.equal(figures.given_back(samples, 4, 9), (1, 1 / 2), "exactly half counts")
    t.equal(figures.given_back(samples, 1, 3), (math.inf, 3 / 4), "what comes after the idle time does not count")
    t.equal(figures.given_back(samples, 99, 100)[0], math.inf, "no samples after the end")


@tap.case("how the balloon moved", timeout=30)
def moves(t):
    def moved(*mib):
        return tuple(n // MIB if i < 2 else n for i, n in enumerate(figures.moved([S(0, 0, m * MIB) for m in mib])))
    t.equal(moved(0, 100, 100, 40), (100, 60, 1), "up, down, one turn")
    t.equal(moved(0, 100, 90, 100, 95, 200), (215, 15, 0), "small moves are no turns")
    t.equal(moved(0, 100, 95, 90, 85, 80), (100, 20, 1), "many small ones in one direction are")
    t.equal(moved(0, 50, 0, 50, 0), (100, 100, 3), "a saw tooth")
    t.equal(moved(7), (0, 0, 0), "one sample")


@tap.case("what the guest uses", timeout=30)
def used(t):
    rows = [{"t_s": "1", "mem_total_kib": "100", "mem_free_kib": "30", "cached_kib": "50"},
            {"t_s": "2", "mem_total_kib": "", "mem_free_kib": "30", "cached_kib": "50"},
            {"t_s": "3", "mem_total_kib": "60", "mem_free_kib": "10", "cached_kib": "20"}]
    t.equal(figures.used(rows), [(1, 70, 20), (3, 50, 30)], "MemTotal is without the balloon; no row is guessed")


@tap.case("what went on while tasks stalled", timeout=30)
def causes(t):
    def row(second, stalled, direct=0, restore=0, kswapd=0, anon=0):
        return {"t_s": str(second), "mem_some_us": str(stalled), "pgscan_direct_pages": str(direct),
                "restore_file_pages": str(restore), "refault_anon_pages": str(anon), "pgscan_kswapd_pages": str(kswapd)}
    rows = [row(0, 0), row(1, 1e6, kswapd=9), row(3, 3e6, 1, 1, 10), row(4, 6e6, 1, 2, 11), row(5, 10e6, 1, 2, 12),
            row(6, 15e6, 1, 2, 12), row(7, 21e6, 1, 2, 12, 1)]
    samples = [S(4, 0, 0), S(4.4, 0, 7), S(12, 0, 7)]
    t.equal(figures.causes(rows, samples, 4), {"inflating": 1, "direct": 2, "refault": 3 + 6, "kswapd": 4},
            "seconds, each second once; the balloon by the host's clock and eyes")
    t.equal(figures.causes(rows, samples, 3)["inflating"], 1 + 2, "near the turn of two seconds it may be either")
    t.equal(figures.causes(rows, [], 0)["inflating"], 0, "no balloon")
    t.equal(sum(figures.causes([], samples, 0).values()), 0, "no recording")
    t.equal(figures.emergencies([{"reason": r} for r in ("steady", "emergency", "emergency", "free", "emergency")]), 2,
            "emergencies, each once")
    t.equal(figures.emergencies([{"reason": ""}, {}]), 0, "nobody decides")


@tap.case("what several guests need at once", timeout=30)
def several(t):
    a = types.SimpleNamespace(samples=[S(n / 2, (1 if n < 4 else 3) * GIB, 0) for n in range(8)])
    b = types.SimpleNamespace(samples=[S(n / 2, (3 if n < 2 else 1) * GIB, 0) for n in range(8)])
    t.equal(figures.together([a, b], 4), (4, (2 * 4 + 2 * 2 + 4 * 4) / 8), "peak and mean of the sum")
    short = types.SimpleNamespace(samples=b.samples[:3])
    t.equal(figures.together([short], 4)[0], 3, "one that has ended early counts as it was last")


@tap.case("what a phase prints", timeout=30)
def printed(t):
    phase = phases.Phase("x", "", {"seconds": phases.SECONDS, "p99": phases.MILLISECONDS}, 0)
    t.equal(phases.results(phase, 0, "noise\nresult seconds 1.5\nresult p99 2e3\n"), {"seconds": 1.5, "p99": 2000}, "results")

    def refused(status, text):
        try:
            return phases.results(phase, status, text)
        except ValueError as e:
            return str(e)
    t.contains(refused(1, "result seconds 1\nresult p99 1\nno room\n"), "status 1: no room", "status and words")
    t.contains(refused(0, "result seconds 1\n"), "without p99", "a missing figure is a failure")
    t.contains(refused(0, "result seconds 1\nresult p99 1\nresult more 1\n"), "status 0", "so is one that nobody knows")
    for ram in (1 << 30, 2 << 30, 4 << 30):
        script = phases.script(ram)
        t.equal(len({p.name for p in script}), len(script), "names are unique")
        t.check(any(p.name == phases.HALVED_AFTER for p in script), "the phase whose end is looked at is there")
    t.check(set(bench.QUICK) < {p.name for p in phases.script(1 << 30)}, "the phases of the short form are there")


@tap.case("in turn, and three at a time", timeout=30)
def order(t):
    for rnd in (1, 2, 3, 4):
        for count in range(1, len(configs.NAMES) + 1):
            names = list(configs.NAMES[:count])
            groups = bench.batches(names, rnd)
            t.equal(sorted(sum(groups, [])), sorted(names), f"round {rnd}, {count}: each once")
            t.check(max(map(len, groups)) <= bench.SIDE_BY_SIDE, "at most three")
            t.check(any(names[0] in g and names[-1] in g for g in groups), "the first and the last are always together")
    beside = [next(g for g in bench.batches(list(configs.NAMES), rnd) if "balloond" in g) for rnd in (1, 2, 3, 4)]
    t.equal(len({tuple(g) for g in beside}), 4, "four rounds, four neighbours")


@tap.case("what a shell in the guest must not swallow", timeout=30)
def shells(t):
    """Each phase's own text, with its programs replaced by ones that fail."""
    def run_here(text):
        return subprocess.run(["sh", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    with tempfile.TemporaryDirectory() as tmp:
        build = phases.timed(phases.BUILD).replace(phases.SOURCES, tmp).replace("gcc -O2 -c", "false")
        open(os.path.join(tmp, "a.c"), "w").close()
        t.check(run_here(build).returncode != 0, "a compiler that fails")
        t.equal(run_here(build.replace("false", "true")).returncode, 0, "one that does not")
        def read(what, by="cat"):
            text = phases.READ.replace("/run/files", tmp + "/files").replace("cat >", by + " >")
            return run_here(phases.timed(text.format(what=what))).returncode
        t.check(read(tmp + "/none") != 0, "files that are not there")
        t.equal(read(tmp), 0, "files that are")
        t.check(read(tmp, "false") != 0, "a reader that dies")


@tap.case("a barrier that some leave", timeout=60)
def lockstep(t):
    step, passed = run.Lockstep(3), []

    def walk(name, rounds):
        for n in range(rounds):
            step.wait()
            passed.append((n, name))
        step.leave()
    threads = [threading.Thread(target=walk, args=a, daemon=True) for a in (("a", 3), ("b", 3), ("c", 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    t.equal([n for n, _ in passed], sorted(n for n, _ in passed), "nobody is a round ahead")
    t.equal(sorted(passed), [(0, "a"), (0, "b"), (0, "c"), (1, "a"), (1, "b"), (2, "a"), (2, "b")], "all rounds")


@tap.case("tables, and what failed", timeout=30)
def tables(t):
    Fake = collections.namedtuple("Fake", "config ram done samples recording counters error seconds offset")
    phase = phases.Phase("work", "", {"seconds": phases.SECONDS}, 0)
    counters = {"memory-some us": 2e6, "memory-full us": 1e6, "io-some us": 0, "io-full us": 0, "pgpgin": 2048,
                "workingset_refault_file": 256, "workingset_refault_anon": 0, "pgmajfault": 7, "oom_kill": 1}
    samples = [S(0, 2 * GIB, 0), S(10, GIB, GIB)]
    good = Fake(configs.named("none"), GIB, [run.Done(phase, 1, 2, {"seconds": 1.0}, None, counters)], samples, [], counters,
                None, 10, 0)
    bad = good._replace(config=configs.named("balloond"), done=[run.Done(phase, 1, 2, None, "status 1", counters)])
    dead = good._replace(config=configs.named("reporting"), done=[], samples=[], error="panic")
    with tempfile.TemporaryDirectory() as tmp:
        results = report.Results(os.path.join(tmp, "w.csv"))
        for r in (good, bad, dead):
            results.run(1, "2G", r)
        results.close()
        lines = "\n".join(report.table(results, "2G", ["none", "balloond", "reporting"], [phase]))
        with open(os.path.join(tmp, "w.csv")) as f:
            text = f.read()
        with open(os.path.join(tmp, "w-memory.csv")) as f:
            t.equal(len(f.readlines()), 1 + 4, "samples of those that lived")
    t.contains(lines, "| host memory, mean, GiB | 1.5 | 1.5 | **failed** |", "host memory")
    t.contains(lines, "| memory stalls, some, s | 2 | 2 | **failed** |", "stalls in seconds")
    t.contains(lines, "| work, s | 1 | **failed** | **failed** |", "a failed phase is no missing row")
    t.contains(text, "FAILED", "and is in the CSV file")
    t.equal(results.failures, ["round 1, 2G, balloond: work: status 1", "round 1, 2G, reporting: the run: panic"], "failures")
    t.contains(picture.svg("a", "b", [good, bad, dead], 2 * GIB), "work", "the picture leaves out what has no samples")


if __name__ == "__main__":
    tap.main()
