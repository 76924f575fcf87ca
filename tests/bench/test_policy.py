# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark of the policy without a simulation: costs, sums, ratios, who is close, and what cannot be used.

Left out: whether the scores are right (unit/test-sim-score.c), and how good the policy is.
"""
import contextlib
import io
import json
import os
import re
import stat
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "sim"), os.path.join(HERE, "..", "lib")]

import everyday                                                       # noqa: E402
import policy                                                         # noqa: E402
import tap                                                            # noqa: E402

SETTING = policy.Setting("200 MiB/s", 60)


def score(beyond, lost=0.0, kills=0):
    return policy.Score(beyond, lost, lost, 0.0, kills)


def laws(own, static=score(100), **others):
    return {"adaptive": own, **others, "static": static}


def rows(lines):
    """Cells of a Markdown table, by its first column."""
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(cells[0], row)) for row in cells[2:]}


def complaint(call, *args):
    try:
        call(*args)
    except policy.Problem as e:
        return str(e)
    raise tap.Failure("nothing was said against it")


@tap.case("cost, and what is close", timeout=30)
def verdicts(t):
    t.equal([policy.cost(score(3, 4), k) for k in (0.2, 1, 5)], [3.8, 7, 23], "GiB x h and seconds")
    t.equal(policy.cost(score(-0.5, 2), 1), 1.5, "who took what was needed pays for the time")
    for own, others, best, close in (
            (score(110), {"mom": score(100)}, "mom", True),                       # just 10 %
            (score(110.1), {"mom": score(100)}, "mom", False),
            (score(3), {"mom": score(1)}, "mom", True),                           # just 2 GiB x h
            (score(3.1), {"mom": score(1)}, "mom", False),
            (score(1), {"mom": score(50)}, "mom", True),                          # better than all
            (score(5), {"mom": score(9), "vm0": score(4, 7)}, "mom", True),       # K = 1: 9 or 11
            (score(101), {"mom": score(101)}, "static", True),                    # static counts
            (score(1, kills=1), {"mom": score(90)}, "mom", False),                # no price pays for a kill
            (score(99), {"mom": score(1, kills=1)}, "static", True),
            (score(99, kills=1), {"mom": score(1, kills=2)}, "static", False)):
        v = policy.verdict(laws(own, **others), 1)
        t.equal((v.best, v.close), (best, close), f"{own} beside {others}")
    all_kill = laws(score(5, kills=1), score(9, kills=2), mom=score(6, kills=1), vm0=score(1, kills=3))
    t.equal(policy.verdict(all_kill, 1)[:2], ("mom", True), "who kills least, then who costs least")
    price = [policy.verdict(laws(score(4), mom=score(0, 10)), k)[:2] for k in (0.2, 1, 5)]
    t.equal(price, [("mom", True), ("mom", True), ("mom", True)], "cheaper at any price but the first, close there")
    t.equal([policy.verdict(laws(score(4.1), mom=score(0, 10)), k).close for k in (0.2, 1, 5)], [False, True, True],
            "the price decides")


@tap.case("ratios and figures", timeout=30)
def ratios(t):
    t.equal(policy.verdict(laws(score(5), score(20), mom=score(9)), 1).ratio, 0.25, "of static's cost")
    t.equal([policy.ratio(1, b) for b in (0, -1, 0.004)], [None] * 3, "nothing, or less than nothing, is no measure")
    t.equal([policy.times(x) for x in (None, 0.254)], ["-", "0.25"], "as text")
    t.equal([policy.figure(x) for x in (0, -0.001, 0.126, 99.99, 99.996, 172775.4, -3)],
            ["0.00", "0.00", "0.13", "99.99", "100", "172775", "-3.00"], "digits")
    t.equal(policy.cell(score(1, 2, kills=3), 1), "3.00 (3 killed)", "kills are shown")


@tap.case("sums and tables", timeout=30)
def tables(t):
    runs = {"a": laws(score(1, 1), score(4), mom=score(10), vm0=score(1)),
            "b": laws(score(20), score(16, 10), mom=score(1, 30), vm0=score(3, kills=1))}
    t.equal(policy.sums(runs, 1), {"adaptive": 22, "mom": 41, "vm0": 4, "static": 30}, "K = 1")
    t.equal(policy.sums(runs, 0.2), {"adaptive": 21.2, "mom": 17, "vm0": 4, "static": 22}, "K = 0.2")
    got = rows(policy.table(runs, 1))
    t.equal(list(got), ["a", "b", "sum"], "rows")
    t.equal(list(got["a"].values()), ["a", "2.00", "10.00", "1.00", "4.00", "vm0", "yes", "0.50"], "a trace")
    t.equal(list(got["b"].values()), ["b", "20.00", "31.00", "3.00 (1 killed)", "26.00", "static", "yes", "0.77"],
            "one in which the cheapest kills")
    t.equal(list(got["sum"].values()), ["sum", "22.00", "41.00", "4.00", "30.00", "vm0", "2 of 2", "0.73"], "sum")

    got = rows(policy.table(runs, 5))
    t.equal([got[n]["adaptive is close"] for n in ("a", "b", "sum")], ["no", "yes", "1 of 2"], "not close everywhere")

    with t.subtest("the price that the policy was told"):
        own = {0.2: score(1, 10), 1: score(2, 1), 5: score(9)}
        lines = policy.summary({SETTING: {"a": {**laws(None, mom=score(8)), "adaptive": own}}})
        t.equal([line.split("|")[4].strip() for line in lines[2:]], ["3.00", "3.00", "9.00"], "its own run each")
    with t.subtest("all settings"):
        other = policy.Setting("200 IOPS", 600)
        slow = {"a": runs["a"], "b": laws(score(120), mom=score(2), vm0=score(2))}
        lines = policy.summary({SETTING: runs, other: slow})
        table = [[c.strip() for c in line.strip("|").split("|")] for line in lines[2:]]
        t.equal([row[:3] for row in table[3:6]],
                [["1", "200 MiB/s", "60 s"], ["1", "200 IOPS", "600 s"], ["1", "all", "all"]], "rows of one price")
        t.equal(table[5][3:], ["144", "53.00", "7.00", "134", "3 of 4", "1.07"], "the sum of sums")
        t.equal(len(table), 3 * len(policy.PRICES), "all prices")
        t.equal(len(policy.summary({SETTING: runs})), 2 + len(policy.PRICES), "one setting is its own sum")
    with t.subtest("a law that is not everywhere"):
        del runs["b"]["mom"]
        got = rows(policy.table(runs, 1))
        t.equal((got["b"]["mom"], got["sum"]["mom"], got["sum"]["adaptive"]), ("-", "-", "22.00"), "has no sum")
    text = "\n".join(policy.report({SETTING: runs}))
    for k in ("0.2", "1", "5"):
        t.contains(text, f"K = {k} GiB x h a second, disk 200 MiB/s, hot cache looked at once in 60 s", "heads")


def printed(**change):
    def law(name, **more):
        numbers = {"beyond_bound_gib_h": 1.5, "lost_s": 2, "short_s": 2, "tasks_full_s": 0, "oom_kills": 0}
        return {"law": name, **numbers, **more}
    return [{"trace": "x", "laws": [law("adaptive", **change), law("mom"), law("static"), law("recorded")]}]


@tap.case("what balloonctl prints", timeout=30)
def malformed(t):
    got = policy.scores(json.dumps(printed()))
    t.equal(list(got), ["adaptive", "mom", "static"], "laws; what was recorded is none")
    t.equal(got["mom"], policy.Score(1.5, 2, 2, 0, 0), "numbers")
    for text in ("", "[]", "{}", "3", "[3]", '[{"laws": 3}]', '[{"laws": [3]}]', '[{"laws": [{"name": "x"}]}]', "[{"):
        t.contains(complaint(policy.scores, text), "not its JSON; run ./bootstrap build", text)
    for value in (None, "1", True, float("nan"), float("inf"), [1]):
        said = complaint(policy.scores, json.dumps(printed(lost_s=value)))
        t.contains(said, "says nothing of lost_s", f"{value}")
    old = printed()
    del old[0]["laws"][1]["beyond_bound_gib_h"]
    said = complaint(policy.scores, json.dumps(old))
    t.contains(said, "beyond_bound_gib_h, so it is not of this tree", "an older one")
    for gone, word in ((0, "the law adaptive"), (2, "the law static"), (1, "no law of others")):
        less = printed()
        del less[0]["laws"][gone]
        t.contains(complaint(policy.scores, json.dumps(less)), word, "a law is missing")


@tap.case("names of traces", timeout=30)
def names(t):
    t.equal(policy.labels(["x/a.csv", "b.c.csv"]), {"a": "x/a.csv", "b.c": "b.c.csv"}, "without folder and suffix")
    t.equal(list(policy.labels(["x/a.csv", "y/a.csv", "b.csv"])), ["x/a.csv", "y/a.csv", "b"], "two of one name")
    t.contains(complaint(policy.labels, ["a.csv", "a.csv"]), "name each once", "the same twice")


def run(t, body, *args):
    """(status or words, output, progress) of main() with a balloonctl that is this shell script."""
    folder = tempfile.TemporaryDirectory()
    t.defer(folder.cleanup)
    path = os.path.join(folder.name, "daemon", "ctl", "balloonctl")
    os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\n" + body)
    os.chmod(path, stat.S_IRWXU)
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    os.environ["BALLOOND_BUILD"], sys.argv = folder.name, ["policy.py", *args]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            policy.main()
        code = 0
    except SystemExit as e:
        code = e.code
    finally:
        sys.argv = argv
    return code, out.getvalue(), err.getvalue()


@tap.case("a run", timeout=60)
def whole(t):
    tmp = tempfile.TemporaryDirectory()
    t.defer(tmp.cleanup)
    table, log, trace = (os.path.join(tmp.name, n) for n in ("p.csv", "log", "x.csv"))
    with open(trace, "w", encoding="ascii") as f:
        f.write("t_s,need_kib\n0,1\n1,1\n")
    body = f"echo \"$@\" >> {log}\ncat <<'END'\n{json.dumps(printed())}\nEND\n"
    code, out, err = run(t, body, "--csv", table, trace)
    t.equal(code, 0, "status")
    with open(log, encoding="ascii") as f:
        calls = f.read().splitlines()
    t.equal(len(calls), len(policy.DISKS) * len(policy.PERIODS) * len(policy.PRICES), "runs")
    t.equal(len(set(calls)), len(calls), "each is another one")
    for i, how, price in ((3, "--compare", "0.2"), (4, "--law adaptive", "1"), (5, "--law adaptive", "5")):
        t.check(re.fullmatch(f"simulate --json {how} --config /.*/price-{price}.conf --disk 200MiB/s --iops 100000 "
                             f"--hot-period 60s {trace}", calls[i]), f"the policy is told: {calls[i]}")
    t.contains(err, "6 of 6, after ", "progress")
    t.contains(out, "| x | 3.50 | 3.50 | 3.50 | mom | yes | 1.00 |", "K = 1")
    t.contains(out, "| 5 | all | all | 69.00 | 69.00 | 69.00 | 6 of 6 | 1.00 |", "all sums")
    with open(table, encoding="ascii") as f:
        lines = f.read().splitlines()
    t.equal(lines[:2], [",".join(policy.FIELDS), "x,200 MiB/s,5,adaptive,0.2,1.5,2,2,0,0"], "the CSV file")
    t.equal(lines[4], "x,200 MiB/s,5,mom,,1.5,2,2,0,0", "the law of another is not told")
    t.equal(len(lines), 1 + 6 * (3 + 2), "a row a law, and of ours a row a price")

    with t.subtest("our own traces, in short"):
        code, out, err = run(t, body, "--quick")
        t.equal((code, err.count("\n")), (0, len(list(everyday.all_of_them()))), "one setting")
    for what, body, args, word in (
            ("a trace that is not there", "", [trace + "x"], "there is no such file; name"),
            ("a file that cannot be written", "", ["--csv", tmp.name, trace], "give --csv a file"),
            ("a bad trace",
             "echo 'balloonctl: x:3: need is bad' >&2; exit 1", [trace], "simulated (x:3: need is bad)"),
            ("no words", "exit 7", [trace], "(status 7)"),
            ("no JSON", "echo hello", [trace], "is not its JSON")):
        with t.subtest(what):
            code, out, err = run(t, body, *args)
            t.contains(str(code), "policy.py: ", "one line")
            t.contains(str(code), word, "what to do")
            t.check("\n" not in str(code) and not out, "nothing else")


@tap.case("demands of every day", timeout=30)
def demands(t):
    once, again = ([d.csv() for d in everyday.all_of_them()] for _ in range(2))
    t.equal(once, again, "the same each time")
    for d in everyday.all_of_them():
        times = [row[0] for row in d.rows]
        t.check(all(a < b for a, b in zip(times, times[1:])), f"{d.name}: time goes on")
        t.check(all(0 < need and need + hot <= 0.85 * d.ram for _, need, hot, _, _ in d.rows), f"{d.name}: fits")
        t.check(d.duration() >= 6 * everyday.HOUR, f"{d.name}: {d.duration()} s")


if __name__ == "__main__":
    tap.main()
