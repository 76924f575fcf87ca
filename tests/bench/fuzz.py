# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: fuzz.py [--seconds N] [--seed N] [--kernel SERIES] [--csv FILE]

The suite fuzz (tests/vm/suites/fuzz_lib.py has what it does) for 10 minutes and with another seed each
time: the clock's, which is printed. Says what it does as it goes; at the end the counts of
all that happened. Exit status 1 with what was found if the guest did not come through it; the
seed gives the same calls and events again, though not at the same moments.
"""
import argparse
import csv
import os
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "vm", "suites")]

import tap                                  # noqa: E402


def case(fuzz_lib, seed, series, seconds, path):
    def fuzz(t):
        t.diag(f"Linux {series}, seed {seed}; again: bench fuzz --seed {seed}")
        with fuzz_lib.guest(t, series, lifetime=3 * seconds + 1200) as b:
            counts = fuzz_lib.Fuzz(t, b, seed, t.diag).go(seconds)
        with open(path, "w", newline="") as f:
            rows = csv.writer(f)
            rows.writerow(("kernel", "seed", "what", "times"))
            rows.writerows((series, seed, *item) for item in counts.items())
        for name, n in counts.items():
            t.diag(f"{name:<30} {n:10}")
    return fuzz


def main():
    p = argparse.ArgumentParser(description="Random calls of the device beside all that can happen to a guest.")
    p.add_argument("--seconds", type=int, default=600, metavar="N", help="at least so long (default 600)")
    p.add_argument("--seed", type=int, metavar="N", help="0 to 2^64-1 (default: the clock's)")
    p.add_argument("--kernel", default="6.12", metavar="SERIES", help="default 6.12")
    p.add_argument("--csv", metavar="FILE", default="fuzz.csv", help="the counts (default fuzz.csv)")
    a = p.parse_args()
    seed = int(time.time()) if a.seed is None else a.seed
    if not 0 <= seed < 2**64 or a.seconds < 1:
        p.error("--seed is 0 to 2^64-1, --seconds at least 1")
    # The kernels that are named here are those that are made ready, and known at all if they are built here.
    sys.argv[1:] = [f"({a.kernel})"]
    import fuzz_lib
    tap.add(f"{a.seconds} s of everything ({a.kernel})", case(fuzz_lib, seed, a.kernel, a.seconds, a.csv),
            timeout=a.seconds * 2 + 600)
    tap.main()


if __name__ == "__main__":
    main()
