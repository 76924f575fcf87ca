# SPDX-License-Identifier: GPL-2.0-or-later
"""The transport benchmark without guests: what is made of traces, of /proc and of figures, and which goals count
as reached.

Left out: whether what is measured is right; the benchmark says that of itself, by bounds from the same run.
"""
import argparse
import contextlib
import io
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                                       # noqa: E402
from transport import __main__ as bench                                          # noqa: E402
from transport import goals, latency, orders, report, runs, scale, thp, unit     # noqa: E402


@contextlib.contextmanager
def results(*values):
    """Of (series, init_on_alloc, state, metric, driver, value ...)."""
    with tempfile.TemporaryDirectory() as folder, \
            contextlib.closing(report.Results(os.path.join(folder, "x.csv"))) as r:
        for series, init, state, metric, driver, *numbers in values:
            for n in numbers:
                r.add(0, series, init, state, metric, driver, n)
        yield r


def judged(what, *values, series="6.12"):
    """The outcome of the goal whose text begins with @what."""
    goal = next(g for g in goals.GOALS if g.what.startswith(what))
    with results(*((series, *v) for v in values)) as r:
        return goal.judge(r, series)


@tap.case("with a device, and of stock", timeout=30)
def bounds(t):
    t.check(abs(goals.allowed_ms(10) - 11.5) < 1e-9, "a tenth and half a millisecond above")
    t.equal([goals.version(s) for s in ("6.1", "6.12", "7.3")], [(6, 1), (6, 12), (7, 3)], "not as text")
    near = [judged("inflate, 2 MiB", (0, "fresh", "inflate_moving_ms", "uballoon", ms),
                   (0, "bound", "inflate_total_ms", "uballoon", 10)).reached for ms in (9, 11.4, 11.6)]
    t.equal(near, [True, True, False], "below, just within, beyond")
    t.equal(judged("inflate, 2 MiB", (0, "fresh", "inflate_moving_ms", "uballoon", 9)), None, "without a bound")
    for series, ours, want in (("6.1", 100, None), ("6.12", 100, False), ("6.12", 7, True), ("7.3", 7, True)):
        got = judged("inflate, of stock", (0, "fresh", "inflate_total_ms", "stock", 1001),
                     (0, "fresh", "inflate_total_ms", "uballoon", ours), series=series)
        t.equal(got.reached, want, f"{series}, {ours} ms")
    got = judged("deflate, of stock", (0, "fresh", "deflate_total_ms", "stock", 900),
                 (0, "fresh", "deflate_total_ms", "uballoon", 10), (0, "bound", "deflate_total_ms", "uballoon", 9))
    t.equal(goals.cell(got), "90.0x: MISSED (100x without a device)", "and why")


@tap.case("orders, sizes, huge pages, pauses", timeout=30)
def others(t):
    got = judged("... and back", (0, "orders", "back_ms", "uballoon", 900, 4999, float("inf")))
    t.equal((got.text, got.reached), ("2 of 3, longest inf s", False), "one that is stuck is one that is late")
    got = judged("nearly all", (0, "orders", "out_ms", "uballoon", *[20] * 100))
    t.equal(got.text, "100 of 100, longest 0.02 s", "all")
    metric = "inflate_total_ms_gib"
    got = judged("time per GiB, inflate", *((0, f"scale-{gib}", metric, "uballoon", ms)
                                            for gib, ms in ((256, 2.5), (4, 2), (16, 9))),
                 *((0, f"scale-{gib}", "inflate_bound_ms_gib", "uballoon", ms) for gib, ms in ((4, 1), (256, 1.5))))
    t.equal((got.text, got.reached, got.bound), ("1.2 (256 against 4 GiB)", False, "1.5 without a device"),
            "the ends, by number")
    t.equal(judged("time per GiB, inflate", (0, "scale-4", metric, "uballoon", 2)), None, "one size alone")
    faults = [(0, "again-huge", f"{w}_faults_gib", d, n) for w, d, n in (
        ("first", "uballoon", 800), ("again", "uballoon", 960), ("first", "stock", 1000), ("again", "stock", 200000))]
    got = judged("host's faults", *faults)
    t.equal(got, ("1.2 of the first touch's", True, "stock 200"), "faults, each driver's by its own first touch")
    huge = [(0, "thp", f"{w}_huge_mib", d, mib) for w, mib, d in (
        ("before", 400, "uballoon"), ("after", 380, "uballoon"), ("before", 400, "none"), ("after", 300, "none"))]
    got = judged("AnonHugePages", *huge)
    t.equal((got.reached, got.bound), (True, "0.75 without a balloon"), "of before; the bound is the guest's own")
    t.equal(judged("AnonHugePages", *huge[2:]), None, "nothing of ours")
    blocks = [(0, "thp", f"{w}_unmovable_blocks", "uballoon", n) for w, n in (("before", 40), ("after", 43))]
    t.equal(judged("unmovable", *blocks)[:2], ("+3 blocks", False), "more")
    touches = [(0, state, "s", "uballoon", s) for state, s in
               (("return-small", 2.6), ("return-small-without", 2), ("return-small-anew", 2.5))]
    t.equal(judged("touching memory from rest, 4 KiB", *touches)[:2], ("1.3x", True), "just")
    t.equal(judged("touching memory from rest, huge", *touches), None, "each for itself")
    pauses = judged("longest pause of a touch, huge", (0, "return-huge", "max_ms", "uballoon", 10, 51),
                    (0, "return-huge-without", "max_ms", "uballoon", 60))
    t.equal((pauses.reached, pauses.bound), (False, "60.0 without"), "the longest of all, not a median")
    parts = [(0, "latency", f"inflate_{part}_ms", "uballoon", ms)
             for part, ms in (("first_mib", 2), ("own", 0.5), ("ask", 0.75))]
    got = judged("request to first MiB, inflate", *parts, (0, "latency", "wake_ms", "uballoon", 0.25),
                 (0, "latency", "inflate_first_mib_ms", "stock", 1))
    t.equal((got.reached, got.bound), (False, "module 0.50, kernel's task 0.75, the program 0.75 ms, "
                                       "of which 0.25 are any program's"), "whose time it is")


@tap.case("tables and the CSV", timeout=30)
def tables(t):
    with results(("6.12", 0, "fresh", "inflate_total_ms", "stock", 100, 300, 200),
                 ("6.12", 0, "fresh", "inflate_total_ms", "uballoon", 2),
                 ("6.1", 0, "fresh", "inflate_total_ms", "stock", 5),
                 ("6.12", 0, "scale-16", "inflate_total_ms_gib", "uballoon", 1.25),
                 ("6.12", 0, "scale-4", "inflate_total_ms_gib", "uballoon", 1.5),
                 ("6.12", 0, "return-small", "max_ms", "uballoon", 1, 9, 3)) as r:
        t.equal(r.median("6.12", 0, "fresh", "inflate_total_ms", "stock"), 200, "median")
        t.equal((r.median("x"), r.values("x"), r.worst("6.1", "return-small", "max_ms")), (None, [], None), "nothing")
        t.equal(r.worst("6.12", "return-small", "max_ms"), 9, "worst")
        t.equal(r.sizes("6.12", "inflate_total_ms_gib"), [4, 16], "sizes, ascending")
        lines = report.pairs(r, ["6.1", "6.12"])
        t.equal(lines[2:], ["| inflate, init_on_alloc=0, fresh | 5.0 | - | - | 200 | 2.0 | 100.0x |"],
                "what is missing is no zero")
        t.equal(len(report.pairs(r, ["6.1"])), 0, "nothing of ours, no table")
        t.equal([line[:14] for line in report.scale(r, ["6.12"])[2:]], ["| 6.12, 4 GiB ", "| 6.12, 16 GiB"],
                "a row a size")
        t.equal(report.own(r, ["6.12"])[2:], ["| touching 4 KiB pages, from rest: longest, ms | 3.0 |"], "own")
        text = "\n".join(bench.tables(r, ["6.1", "6.12"]))
        t.contains(text, "Goals: 2 of 3 reached", "100x is not enough, the others are")
        t.contains(text, "| inflate, of stock | 143x, 6.12 and later | - | 100x: MISSED |", "a cell a kernel")
        with open(r._file.name) as f:
            t.equal(f.read().splitlines()[:2], ["round,kernel,init_on_alloc,state,metric,driver,value",
                                                "0,6.12,0,fresh,inflate_total_ms,stock,100.000"], "CSV")
    t.equal([report.figure(v) for v in (0, 0.126, 1, 99.94, 100, -3.21, -0.5)],
            ["0.00", "0.13", "1.0", "99.9", "100", "-3.2", "-0.50"], "digits")


TRACE = """\
17@100.000100:virtio_set_status vdev 0xaa val 15
17@101.000000:virtio_set_status vdev 0xbb val 7
17@102.000000:virtio_balloon_get_config num_pages: 0 actual: 0
17@103.000000:virtio_balloon_to_target balloon target: 0x3c000000 num_pages: 16384
17@103.000100:virtio_queue_notify vdev 0xaa n 3 vq 0x11
17@103.000200:virtio_queue_notify vdev 0xbb n 2 vq 0x12
17@103.000500:virtio_balloon_get_config num_pages: 16384 actual: 0
17@103.001500:virtio_queue_notify vdev 0xbb n 3 vq 0x13
17@103.001700:virtio_balloon_set_config actual: 255 oldactual: 0
17@103.002000:virtio_balloon_set_config actual: 16384 oldactual: 255
"""


@tap.case("where the time to the first MiB goes", timeout=30)
def wakes(t):
    events, device = latency.parse(TRACE)
    t.equal(device, 0xbb, "the device whose driver came last")
    t.equal([e[1:] for e in events if e[1] == "notify"], [("notify", 2), ("notify", 3)], "of the balloon's queues")
    t.equal(latency.parse("", 7), ([], 7), "remembered")
    got = {k: round(v, 3) for k, v in latency.split(events, 0).items()}
    t.equal(got, {"ask": 0.5, "hand": 1.0, "tell": 0.5, "first_mib": 2.0}, "ms; less than a MiB does not count")
    quiet = [e for e in events if e[1:] != ("notify", 3)]
    got = {k: round(v, 3) for k, v in latency.split(quiet, 0).items()}
    t.equal(got, {"ask": 0.5, "tell": 1.5, "first_mib": 2.0}, "nothing to hand over, and statistics are none")
    t.equal([latency.split(events[:n], 0) for n in (4, 1)], [None, None], "no move")


BUDDY = """\
Node 0, zone      DMA      0      0      0      0      0      0      0      0      0      1      3
Node 0, zone    DMA32      5      4      3      2      1      0      0      0      9      0      0
Node 0, zone   Normal      1      1      1      1      1      1      1      1      1      2      1
"""
TYPES = """\
Page block order: 9
Pages per block:  512

Free pages count per migrate type at order       0      1
Node    0, zone      DMA, type    Unmovable      7      7

Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate
Node 0, zone      DMA            1            7            0            0            0
Node 0, zone    DMA32           12         1000            3            0            0

Number of mixed blocks    Unmovable      Movable  Reclaimable   HighAtomic      Isolate
Node 0, zone      DMA            9            9            9            9            9
"""


@tap.case("what /proc says, and what a guest needs", timeout=30)
def proc(t):
    t.equal(thp.free_large_blocks(BUDDY), 2 + 2 * 1, "larger ones are several; DMA is not for everybody")
    t.equal(thp.free_large_blocks(""), 0, "nothing")
    types = thp.block_types(TYPES)
    t.equal([types[k] for k in ("Unmovable", "Movable", "Reclaimable")], [13, 1007, 3], "zones summed, that table")
    t.equal(thp.block_types("x"), {}, "no table")
    t.equal(unit.fields("lock rc=OK done_pages=5 stop=DONE us=7"),
            {"": "lock", "rc": "OK", "done_pages": "5", "stop": "DONE", "us": "7"}, "a line of ubtool")
    t.equal(unit.fields(""), {"": ""}, "none")
    t.check(3 < scale.rest_s(3072) < 4 and 20 > scale.rest_s(192 * 1024) > 12, "until all is marked")
    t.check(5 * 1024 < scale.needs_mib(256) < 7 * 1024, "struct pages of 256 GiB are 4 GiB")
    t.contains(scale.unreserved(1024)["devices"][0][1], "size=1024M,reserve=off", "not reserved")


@tap.case("parts, units, time left", timeout=30)
def plan(t):
    t.equal(bench.parts_of("scale,return"), ["scale", "return"], "several")
    try:
        bench.parts_of("scale,what")
        t.check(False, "unknown part")
    except argparse.ArgumentTypeError as e:
        t.contains(str(e), "no part 'what'; there are move, latency", "and said")
    sizes = unit.Sizes(rounds=2)
    units = list(runs.units(sizes, ["6.1"]))
    t.equal([(u.rnd, u.init, u.driver) for u in units],
            [(0, 0, "stock"), (0, 0, "uballoon"), (0, 1, "stock"), (0, 1, "uballoon"),
             (1, 0, "uballoon"), (1, 0, "stock"), (1, 1, "uballoon"), (1, 1, "stock")], "who begins alternates")
    t.equal(len(list(orders.units(sizes, unit.SERIES))), 3, "one guest a kernel, whatever the rounds")
    for name, make in bench.PARTS.items():
        t.check(all(u.part == name and u.seconds > 0 for u in make(sizes, unit.SERIES)), name)
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        p = bench.Progress(units)
        p.unit(units[0])
    left = round(sum(u.seconds for u in units) / 60)
    t.contains(err.getvalue(), f"1/8: move: both ways: stock on 6.1, init_on_alloc=0, about {left} min left", "first")


if __name__ == "__main__":
    tap.main()
