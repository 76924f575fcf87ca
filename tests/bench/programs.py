# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: programs.py [--rounds N] [--kernel SERIES] [--only TEXT | --all] [--slow] [--csv FILE]

Programs of the suite vm/suites/programs.py in several rounds, for their times: each without a balloon
and at rest with it, in turn, in one guest a kernel. Those that take 60 % of RAM, if nothing else is
asked for: all of them take five minutes a round and kernel. Prints the medians side by side, then what is
to be reached by the program that grows by 60 % of RAM in 1 MiB steps; status 1 if it is not:

  at most 1.3 times as long; its longest step at most 100 ms longer; the same outcome in each round,
  nobody killed, no emergency; the balloon is on its way back 30 s after it has ended

--slow adds the programs that grow slowly beside earlyoom, each alone and for longer (2 MiB/s for
200 s, ...): ten minutes a round. Every figure is in the CSV.
"""
import argparse
import collections
import os
import statistics
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "vm", "suites"), os.path.join(HERE, "..", "vm"), os.path.join(HERE, "..", "lib")]

import programs_killers                   # noqa: E402
import programs_lib                       # noqa: E402
import programs_memory                    # noqa: E402
import programs_servers                   # noqa: E402
import tap                                # noqa: E402
from harness import kernels               # noqa: E402
from harness.paths import TOP             # noqa: E402

RATIO_MAX, STEP_MAX_MS = 1.3, 100
GROWS = programs_memory.GROWS.name
SLOW = tuple(programs_killers.slow((rate,), seconds) for rate, seconds in ((2, 200), (10, 100), (30, 40)))


class Quiet(tap.T):
    """A case outside of a suite: what fails is kept, not printed as a test point."""

    def __init__(self, say):
        super().__init__("bench", 1e9)
        self.say, self.failures = say, []

    def diag(self, text):
        self.say(text)

    def subtest(self, name):
        return _Sub(self, name)


class _Sub:
    def __init__(self, t, name):
        self.t, self.name = t, name

    def __enter__(self):
        return self.t

    def __exit__(self, kind, exc, tb):
        if exc is not None and isinstance(exc, Exception):
            self.t.failures.append(f"{self.t.name}: {self.name}: {exc}")
            return True
        return False


def measure(series, rounds, wanted, say, out):
    """([rows of each round], [failures]); all that was measured is in the Csv @out by then."""
    b = programs_lib.Boot(series, lifetime=600 + rounds * 90 * len(wanted))
    t = Quiet(say)
    runs = []
    try:
        b.guest(t)
        for n in range(rounds):
            say(f"{series}: round {n + 1} of {rounds}")
            b.reference, b.rows = {}, []
            # In turn, so that whatever changes on the machine changes for both.
            for p in wanted:
                t.name = p.name
                with t.subtest("run"):
                    want = programs_lib.reference(t, b, p)
                    if p.name == GROWS:
                        programs_memory.grows(t, b)
                    else:
                        programs_lib.at_rest(t, b, p, want, fresh=True)
                out.add(series, n + 1, [row for row in b.rows if row[0] == p.name])
            runs.append(b.rows)
    finally:
        b.kill()
    return runs, [f"{series}: {f}" for f in t.failures]


def medians(runs):
    """Rows as those of one round: times are medians, balloons the lowest; the outcomes of the worst round."""
    by = collections.defaultdict(list)
    for rows in runs:
        for row in rows:
            by[row[0]].append(row)
    out = []
    for name, rows in by.items():
        worst = next((r for r in rows if r[2].outcome != r[1].outcome), rows[0])
        sides = []
        for side in (1, 2):
            times = collections.defaultdict(list)
            for row in rows:
                for what, ms in row[side].times.items():
                    times[what].append(ms)
            sides.append(programs_lib.Result(worst[side].outcome, {k: statistics.median(v) for k, v in times.items()}))
        out.append((name, *sides, min((r[3] for r in rows), key=lambda balloon: balloon.size)))
    return out


def judge(series, rows):
    """What the program that grows is short of."""
    for name, without, with_, _ in rows:
        if name != GROWS:
            continue
        if not with_.times:
            yield f"{series}: {name}: does not end"
            continue
        ratio = with_.times["all"] / without.times["all"]
        longer = with_.times["longest step"] - without.times["longest step"]
        print(f"{series}: {name}: {ratio:.2f} times as long (at most {RATIO_MAX}), longest step "
              f"{longer:+.0f} ms (at most +{STEP_MAX_MS})")
        if ratio > RATIO_MAX:
            yield f"{series}: {name}: {ratio:.2f} times as long"
        if longer > STEP_MAX_MS:
            yield f"{series}: {name}: longest step {longer:+.0f} ms"


def main():
    p = argparse.ArgumentParser(description="Programs without a balloon and at rest with it.")
    p.add_argument("--rounds", type=int, default=3, metavar="N", help="default 3")
    p.add_argument("--kernel", action="append", metavar="SERIES", choices=kernels.SERIES,
                   help="only this one (may be repeated): " + ", ".join(kernels.SERIES))
    p.add_argument("--only", action="append", metavar="TEXT", help="programs whose name contains it (may be repeated)")
    p.add_argument("--all", action="store_true", help="every program")
    p.add_argument("--slow", action="store_true", help="slow growth beside earlyoom, too")
    p.add_argument("--csv", metavar="FILE", default=os.path.join(TOP, "build", "bench", "programs.csv"))
    a = p.parse_args()
    if a.rounds < 1:
        p.error("--rounds: at least 1")
    only = a.only or ([] if a.all else ["60 %"])
    wanted = (*programs_memory.WITHOUT, *programs_servers.PROGRAMS, *programs_killers.PROGRAMS)
    wanted = [w for w in wanted if not only or any(text in w.name for text in only)]
    wanted += SLOW if a.slow else ()
    if not wanted:
        p.error(f"no program matches {a.only}")
    short, out = [], programs_lib.Csv(a.csv)
    for series in a.kernel or kernels.SERIES:
        runs, failures = measure(series, a.rounds, wanted, lambda text: print(text, file=sys.stderr, flush=True),
                                 out)
        rows = medians(runs)
        print(f"\nLinux {series}, medians of {a.rounds}:\n")
        print("\n".join(programs_lib.table(rows)), "\n")
        short += [*failures, *judge(series, rows)]
    print("\n".join(["short:", *short] if short else ["all reached"]))
    print(f"every figure: {os.path.relpath(a.csv)}")
    sys.exit(1 if short else 0)


if __name__ == "__main__":
    main()
