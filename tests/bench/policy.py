# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: policy.py [--quick] [--csv FILE] [TRACE ...]

What the policy costs, in one currency, beside the laws of others:

    cost = memory left to the guest beyond the clairvoyant's, GiB x h + K x time lost, s

for K in 0.2, 1 and 5 GiB x h a second, which our own policy is told (tail.stall_price); time lost is `lost_s` of
balloon-trace(5), short or all tasks stalled.
Each TRACE, as it stands and with its own RAM and swap, is simulated with two disks, 200 MiB/s however small
the requests are and 200 requests a second, and with hot cache that is looked at once in 5, 60 and 600 s;
without TRACE, the demands of tests/sim/everyday.py. --quick: the first disk and 60 s only.

Tables (Markdown) on standard output: for each K, disk and period a row a trace, each law's cost, the best law
but adaptive, and whether adaptive costs at most 10 % or 2 GiB x h more than that; its cost as a multiple of
static's, which is the smallest fixed size that never hurts, known in hindsight. What was OOM killed has no
price: the best is among those that kill least, and nobody is close to it who kills more. FILE gets a row for
each run of a law. Progress goes to standard error.

Left out: a verdict (tests assert on tests/sim/scoreboard.py); the law `recorded`, which is no law; the
clairvoyant, whose cost is 0. compare.py, beside this, is the table of a month in docs/benchmarks.md: shares of the bound and
each kind of stall by itself, which are not to be summed, with demand changing at once as well.
"""
import argparse
import collections
import contextlib
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(HERE, "..", "sim"))

import everyday                                                       # noqa: E402

OWN, STATIC, NO_LAW = "adaptive", "static", "recorded"
PRICES = (0.2, 1, 5)                        # GiB x h a second
# So many requests that only the bandwidth counts; so few that only they do, unless files are read in order.
DISKS = {"200 MiB/s": ("200MiB/s", "100000"), "200 IOPS": ("200MiB/s", "200")}
PERIODS = (5, 60, 600)                      # s
CLOSE_RATIO, CLOSE_GIB_H = 1.1, 2
NUMBERS = ("beyond_bound_gib_h", "lost_s", "short_s", "tasks_full_s", "oom_kills")
FIELDS = ("trace", "disk", "hot_period_s", "law", "told_gib_h_per_s", *NUMBERS)
AGAIN = "run ./bootstrap build, then try again"

Setting = collections.namedtuple("Setting", "disk period")
# One law at one trace; NUMBERS.
Score = collections.namedtuple("Score", "beyond lost short tasks kills")
# The best law but adaptive, whether adaptive is close to it, and how many times static's cost adaptive's is.
Verdict = collections.namedtuple("Verdict", "best close ratio")


class Problem(Exception):
    """One sentence that says what to do."""


def cost(score, price):
    return score.beyond + price * score.lost


def number(law, key):
    value = law.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Problem(f"balloonctl says nothing of {key}, so it is not of this tree; {AGAIN}")
    return value


def scores(text, whole=True):
    """{law: Score} of what `simulate --json` prints for one trace; whole: with those that it is held against."""
    try:
        laws = json.loads(text)[0]["laws"]
        out = {law["law"]: Score(*(number(law, key) for key in NUMBERS)) for law in laws if law["law"] != NO_LAW}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Problem(f"what balloonctl prints is not its JSON; {AGAIN}") from None
    for law in (OWN, STATIC) if whole else (OWN,):
        if law not in out:
            raise Problem(f"balloonctl has not run the law {law}; {AGAIN}")
    if whole and len(out) < 3:
        raise Problem(f"balloonctl has run no law of others; {AGAIN}")
    return out


def told(results, price):
    """The same with our own law as it was when it was told this price; {Setting: {trace: {law: Score}}}."""
    return {s: {t: {n: score[price] if isinstance(score, dict) else score for n, score in laws.items()}
                for t, laws in runs.items()} for s, runs in results.items()}


def verdict(laws, price):
    """Who kills less is better, then who costs less."""
    own = laws[OWN]
    best = min((law for law in laws if law != OWN), key=lambda law: (laws[law].kills, cost(laws[law], price)))
    least, mine = cost(laws[best], price), cost(own, price)
    near = mine <= max(least * CLOSE_RATIO, least + CLOSE_GIB_H)
    close = own.kills < laws[best].kills or own.kills == laws[best].kills and near
    return Verdict(best, close, ratio(mine, cost(laws[STATIC], price)))


def ratio(a, b):
    """None where it says nothing: static costs next to nothing, or less."""
    return a / b if b >= 0.005 else None


def sums(runs, price):
    """{law: cost of all traces} of {trace: {law: Score}}; a law that is not everywhere has none."""
    common = [law for law in next(iter(runs.values())) if all(law in laws for laws in runs.values())]
    return {law: sum(cost(laws[law], price) for laws in runs.values()) for law in common}


def figure(x):
    """Two digits after the point where they tell something."""
    text = f"{x:.2f}" if abs(x) < 99.995 else f"{x:.0f}"
    return "0.00" if text == "-0.00" else text


def times(x):
    return "-" if x is None else f"{x:.2f}"


def cell(score, price):
    text = figure(cost(score, price))
    return f"{text} ({score.kills} killed)" if score.kills else text


def columns(runs):
    """Each law that is in any of them, in their order."""
    return list(dict.fromkeys(law for laws in runs.values() for law in laws))


def markdown(heads, rows):
    return ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|",
            *("| " + " | ".join(row) + " |" for row in rows)]


def table(runs, price):
    """Lines of one setting's {trace: {law: Score}} at one price."""
    names, rows, close = columns(runs), [], 0
    for trace, laws in runs.items():
        v = verdict(laws, price)
        close += v.close
        rows.append([trace, *(cell(laws[n], price) if n in laws else "-" for n in names), v.best,
                     "yes" if v.close else "no", times(v.ratio)])
    total = sums(runs, price)
    best = min((law for law in total if law != OWN), key=total.get)
    rows.append(["sum", *(figure(total[n]) if n in total else "-" for n in names), best, f"{close} of {len(runs)}",
                 times(ratio(total[OWN], total[STATIC]))])
    return markdown(["trace", *names, "best but adaptive", "adaptive is close", "times static"], rows)


def summary(results):
    """The sums of {Setting: {trace: {law: Score, or {price: Score}}}}: a row for each price and setting, and one for
    all settings."""
    names = columns({(s, t): laws for s, runs in results.items() for t, laws in runs.items()})
    rows = []

    def row(price, disk, period, runs):
        total = sums(runs, price)
        close = sum(verdict(laws, price).close for laws in runs.values())
        rows.append([f"{price:g}", disk, period, *(figure(total[n]) if n in total else "-" for n in names),
                     f"{close} of {len(runs)}", times(ratio(total[OWN], total[STATIC]))])
    for price in PRICES:
        at_price = told(results, price)
        for s, runs in at_price.items():
            row(price, s.disk, f"{s.period} s", runs)
        if len(results) > 1:
            row(price, "all", "all", {(s, t): laws for s, runs in at_price.items() for t, laws in runs.items()})
    return markdown(["K", "disk", "hot period", *names, "adaptive is close", "times static"], rows)


def report(results):
    lines = []
    for price in PRICES:
        for s, runs in told(results, price).items():
            lines += [f"K = {price:g} GiB x h a second, disk {s.disk}, hot cache looked at once in {s.period} s; "
                      "cost in GiB x h:", "", *table(runs, price), ""]
    return [*lines, "Sums over all traces, GiB x h:", "", *summary(results)]


def labels(paths):
    """{what a row is called: path}: the file's name, or the whole path where that is another's, too."""
    bare = [os.path.splitext(os.path.basename(p))[0] for p in paths]
    out = {b if bare.count(b) == 1 else p: p for b, p in zip(bare, paths)}
    if len(out) != len(paths):
        raise Problem("a trace is named twice; name each once")
    return out


def simulate(balloonctl, trace, path, setting, config, whole):
    """One trace, with the policy as this file says; whole: the laws of others, too."""
    disk, iops = DISKS[setting.disk]
    argv = [balloonctl, "simulate", "--json", *(("--compare",) if whole else ("--law", OWN)), "--config", config,
            "--disk", disk, "--iops", iops, "--hot-period", f"{setting.period}s", path]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    except OSError as e:
        raise Problem(f"{balloonctl} cannot be run ({e.strerror}); {AGAIN}") from None
    if done.returncode:
        said = next((line.removeprefix("balloonctl: ") for line in done.stderr.splitlines()), "")
        raise Problem(f"{trace} cannot be simulated ({said or f'status {done.returncode}'}); "
                      "name CSV files as balloon-trace(5) has them")
    return scores(done.stdout, whole)


def write_prices(folder):
    """Configurations that tell the policy the price; {price: path}."""
    out = {price: os.path.join(folder, f"price-{price:g}.conf") for price in PRICES}
    for price, path in out.items():
        with open(path, "w", encoding="ascii") as f:
            f.write(f'tail: {{ stall_price = "{price:g}GiB"; }};\n')
    return out


def run_all(balloonctl, traces, settings, configs, keep, say):
    """{Setting: {trace: {law: Score, our own {price: Score}}}}; @keep gets each line of the CSV file."""
    results, done, began = {}, 0, time.monotonic()
    for s in settings:
        results[s] = {}
        for trace, path in traces.items():
            say(f"{done + 1} of {len(traces) * len(settings)}, after {time.monotonic() - began:.0f} s: "
                f"{s.disk}, {s.period} s: {trace}")
            own, laws = {}, None
            for price, config in configs.items():
                got = simulate(balloonctl, trace, path, s, config, laws is None)
                own[price] = got[OWN]
                laws = laws or got
            results[s][trace] = {**laws, OWN: own}
            done += 1
            for price, score in own.items():
                keep([trace, s.disk, s.period, OWN, f"{price:g}", *score])
            for law, score in laws.items():
                if law != OWN:
                    keep([trace, s.disk, s.period, law, "", *score])
    return results


def write_own(folder):
    """The traces for whoever names none; {trace: path}."""
    out = {}
    for d in everyday.all_of_them():
        out[d.name] = os.path.join(folder, d.name.replace(" ", "-") + ".csv")
        with open(out[d.name], "w", encoding="ascii") as f:
            f.write(d.csv())
    return out


def open_csv(path, stack):
    """A function that writes a row, at once, so that a run that is ended leaves what it had."""
    if path is None:
        return lambda row: None
    try:
        f = stack.enter_context(open(path, "w", newline="", encoding="utf-8"))
    except OSError as e:
        raise Problem(f"{path} cannot be written ({e.strerror}); give --csv a file that can be") from None
    rows = csv.writer(f, lineterminator="\n")

    def keep(row):
        rows.writerow(row)
        f.flush()
    keep(FIELDS)
    return keep


def measure(a, say):
    build = os.environ.get("BALLOOND_BUILD") or os.path.join(TOP, "build")
    balloonctl = os.path.join(build, "daemon", "ctl", "balloonctl")
    if not os.access(balloonctl, os.X_OK):
        raise Problem(f"{balloonctl} is not there; run ./bootstrap build first")
    settings = [Setting(d, p) for d in DISKS for p in PERIODS]
    if a.quick:
        settings = [Setting(next(iter(DISKS)), 60)]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        traces = labels(a.trace) if a.trace else write_own(folder)
        for path in traces.values():
            if not os.path.isfile(path):
                raise Problem(f"{path}: there is no such file; name CSV files as balloon-trace(5) has them")
        return run_all(balloonctl, traces, settings, write_prices(folder), open_csv(a.csv, stack), say)


def main():
    p = argparse.ArgumentParser(prog="policy.py", description="What the policy costs, beside the laws of others.")
    p.add_argument("trace", nargs="*", metavar="TRACE", help="a CSV file, see balloon-trace(5); default: our own")
    p.add_argument("--quick", action="store_true", help="one disk and one hot period only")
    p.add_argument("--csv", metavar="FILE", help="each run of a law, as a row")
    a = p.parse_args()
    try:
        results = measure(a, lambda text: print(text, file=sys.stderr, flush=True))
    except Problem as e:
        sys.exit(f"policy.py: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
    print("\n".join(report(results)))


if __name__ == "__main__":
    main()
