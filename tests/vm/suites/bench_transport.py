# SPDX-License-Identifier: GPL-2.0-or-later
"""The transport benchmark in a short form: it runs, and 2 MiB pages beat the stock driver.

What it says beyond that is for `./bootstrap bench` on a quiet machine: here the figures are
shown, and only a difference that no load explains is asserted.
"""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib"), os.path.join(HERE, "..", "..", "bench")]

import tap                                            # noqa: E402
from transport import report, runs, unit              # noqa: E402


@tap.case("the stock balloon and uballoon side by side", timeout=600)
def side_by_side(t):
    with tempfile.TemporaryDirectory() as tmp:
        results = report.Results(os.path.join(tmp, "transport.csv"))
        t.defer(results.close)
        for u in runs.units(unit.QUICK, unit.SERIES, quick=True):
            def record(state, metric, value, u=u):
                results.add(u.rnd, u.series, u.init, state, metric, u.driver, value)
            u.run(record)
    for line in report.pairs(results, unit.SERIES):
        t.diag(line)
    for series in unit.SERIES:
        with t.subtest(f"{series}: inflation with 2 MiB pages is faster"):
            stock, ours = (results.median(series, 0, "fresh", "inflate_total_ms", d) for d in ("stock", "uballoon"))
            t.check(stock and ours, "both were measured")
            t.check(ours < stock, f"stock {stock:.1f} ms, uballoon {ours:.1f} ms")


if __name__ == "__main__":
    tap.main()
