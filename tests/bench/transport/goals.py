# SPDX-License-Identifier: GPL-2.0-or-later
"""What the transport is to reach, each goal with where it comes from, and what bounds it in this very run.

A goal looks at the medians of one kernel and answers with an Outcome, or None where something was not
measured. A bound is measured, too: the same without a device, without a balloon, or what of the time is not the
module's. Nothing here knows a result of an earlier run.

Left out: who pays for a miss. A goal beyond its bound is missed like any other, and the bound beside it says that no
change of the module can reach it.
"""
import collections

# @text: the figure. @reached: None where there is nothing to reach. @bound: text, or "".
Outcome = collections.namedtuple("Outcome", "text reached bound")
Goal = collections.namedtuple("Goal", "what limit source judge")

ISSUE = "issue: the transport to its bound"
PROGRAMS = "as bench programs has it"

ABOVE_SHARE, ABOVE_MS = 0.10, 0.5
TIMES_STOCK = {"inflate": 143, "deflate": 100}
# Where the kernel looks at each struct page of a large page, the bound itself is nearer.
TIMES_STOCK_SINCE = (6, 12)
ORDER_S = 5
SAME_SHARE = 0.20
SCALE_RATIO = 1.2
THP_SHARE = 0.95
RETURN_RATIO, PAUSE_MS = 1.3, 50


def version(series):
    """(6, 12) of "6.12"."""
    return tuple(int(n) for n in series.split(".")[:2])


def allowed_ms(bound_ms):
    """The most that a move with a device may take by the goal, from that of one without."""
    return bound_ms * (1 + ABOVE_SHARE) + ABOVE_MS


def figure(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"


def _near_bound(way):
    def judge(r, s):
        ours, bound = r.ours(s, "fresh", f"{way}_moving_ms"), r.ours(s, "bound", f"{way}_total_ms")
        if ours is None or bound is None:
            return None
        return Outcome(f"{figure(ours)} ms", ours <= allowed_ms(bound),
                       f"{figure(bound)} ms without a device, so {figure(allowed_ms(bound))} allowed")
    return judge


def _times_stock(way):
    def judge(r, s):
        stock, ours = r.stock(s, "fresh", f"{way}_total_ms"), r.ours(s, "fresh", f"{way}_total_ms")
        bound = r.ours(s, "bound", f"{way}_total_ms")
        if not stock or not ours:
            return None
        asked = version(s) >= TIMES_STOCK_SINCE
        return Outcome(f"{figure(stock / ours)}x", stock / ours >= TIMES_STOCK[way] if asked else None,
                       f"{figure(stock / bound)}x without a device" if bound else "")
    return judge


def _first(way):
    def judge(r, s):
        stock, ours = r.stock(s, "latency", f"{way}_first_mib_ms"), r.ours(s, "latency", f"{way}_first_mib_ms")
        own, ask, wake = (r.ours(s, "latency", m) for m in (f"{way}_own_ms", f"{way}_ask_ms", "wake_ms"))
        if stock is None or ours is None:
            return None
        why = "" if None in (own, ask, wake) else \
            f"module {figure(own)}, kernel's task {figure(ask)}, the program " \
            f"{figure(max(ours - own - ask, 0))} ms, of which {figure(wake)} are any program's"
        return Outcome(f"{figure(ours)} ms, stock {figure(stock)}", ours <= stock, why)
    return judge


def _orders(way):
    def judge(r, s):
        times = r.values(s, 0, "orders", f"{way}_ms", "uballoon")
        if not times:
            return None
        good = sum(ms < ORDER_S * 1000 for ms in times)
        return Outcome(f"{good} of {len(times)}, longest {max(times) / 1000:.2f} s", good == len(times), "")
    return judge


def _again(state):
    """Faults, not times: they are the same on each machine that has huge pages to give."""
    def judge(r, s):
        ours, stock = (_quotient(*(r.median(s, 0, f"again-{state}", f"{what}_faults_gib", d)
                                   for what in ("again", "first"))) for d in ("uballoon", "stock"))
        if ours is None:
            return None
        beside = f"stock {figure(stock)}" if stock is not None else ""
        return Outcome(f"{figure(ours)} of the first touch's", ours <= 1 + SAME_SHARE, beside)
    return judge


def _scale(metric):
    def judge(r, s):
        sizes = r.sizes(s, metric)
        if len(sizes) < 2:
            return None
        small, large = sizes[0], sizes[-1]
        by, bound = ({gib: r.ours(s, f"scale-{gib}", m) for gib in (small, large)}
                     for m in (metric, metric.split("_")[0] + "_bound_ms_gib"))
        if None in by.values() or not by[small]:
            return None
        ratio = by[large] / by[small]
        without = f"{figure(bound[large] / bound[small])} without a device" if bound[small] and bound[large] else ""
        return Outcome(f"{figure(ratio)} ({large} against {small} GiB)", ratio <= SCALE_RATIO, without)
    return judge


def _share(driver):
    """AnonHugePages afterwards, of those before; with @driver."""
    return lambda r, s: _quotient(r.median(s, 0, "thp", "after_huge_mib", driver),
                                  r.median(s, 0, "thp", "before_huge_mib", driver))


def _quotient(a, b):
    return a / b if a is not None and b else None


def _thp(r, s):
    ours, none, stock = (_share(d)(r, s) for d in ("uballoon", "none", "stock"))
    if ours is None:
        return None
    beside = [f"{figure(v)} {d}" for v, d in ((none, "without a balloon"), (stock, "stock")) if v is not None]
    return Outcome(f"{figure(ours)} of before", ours >= THP_SHARE, ", ".join(beside))


def _unmovable(r, s):
    def more(driver):
        after, before = (r.median(s, 0, "thp", f"{w}_unmovable_blocks", driver) for w in ("after", "before"))
        return None if after is None or before is None else after - before
    ours, none, stock = more("uballoon"), more("none"), more("stock")
    if ours is None:
        return None
    beside = [f"{v:+.0f} {d}" for v, d in ((none, "without a balloon"), (stock, "stock")) if v is not None]
    return Outcome(f"{ours:+.0f} blocks", ours <= 0, ", ".join(beside))


def _return(how):
    states = [f"return-{how}{state}" for state in ("", "-without", "-anew")]

    def judge(r, s):
        ours, without, anew = (r.ours(s, state, "s") for state in states)
        if not ours or not without:
            return None
        bound = f"{figure(anew / without)}x if the host has to find the memory, without a balloon" if anew else ""
        return Outcome(f"{figure(ours / without)}x", ours / without <= RETURN_RATIO, bound)
    return judge


def _pause(how):
    states = [f"return-{how}{state}" for state in ("", "-without", "-anew")]

    def judge(r, s):
        longest, *others = (r.worst(s, state, "max_ms") for state in states)
        if longest is None:
            return None
        bound = [f"{figure(ms)} {what}" for ms, what in zip(others, ("without", "found anew")) if ms is not None]
        return Outcome(f"{figure(longest)} ms", longest <= PAUSE_MS, ", ".join(bound))
    return judge


GOALS = (
    Goal("inflate, 2 MiB pages, the module's call", "10 % and 0.5 ms above without a device", ISSUE,
         _near_bound("inflate")),
    Goal("deflate, 2 MiB pages, the module's call", "10 % and 0.5 ms above without a device", ISSUE,
         _near_bound("deflate")),
    Goal("inflate, of stock", f"{TIMES_STOCK['inflate']}x, 6.12 and later", ISSUE, _times_stock("inflate")),
    Goal("deflate, of stock", f"{TIMES_STOCK['deflate']}x, 6.12 and later", ISSUE, _times_stock("deflate")),
    Goal("request to first MiB, inflate", "not slower than stock", ISSUE, _first("inflate")),
    Goal("request to first MiB, deflate", "not slower than stock", ISSUE, _first("deflate")),
    Goal("nearly all of the guest in one order", f"under {ORDER_S} s, each", ISSUE, _orders("out")),
    Goal("... and back", f"under {ORDER_S} s, each", ISSUE, _orders("back")),
    Goal("host's faults for memory again, huge pages", f"at most {1 + SAME_SHARE} times those of the first touch",
         ISSUE, _again("huge")),
    Goal("... without huge pages", f"at most {1 + SAME_SHARE} times", ISSUE, _again("small")),
    Goal("time per GiB, inflate", f"at most {SCALE_RATIO}", ISSUE, _scale("inflate_total_ms_gib")),
    Goal("time per GiB, deflate", f"at most {SCALE_RATIO}", ISSUE, _scale("deflate_total_ms_gib")),
    Goal("CPU time per GiB, inflate", f"at most {SCALE_RATIO}", ISSUE, _scale("inflate_guest_cpu_ms_gib")),
    Goal("CPU time per GiB, deflate", f"at most {SCALE_RATIO}", ISSUE, _scale("deflate_guest_cpu_ms_gib")),
    Goal("AnonHugePages after the cycles", f"at least {THP_SHARE} of before", ISSUE, _thp),
    Goal("unmovable blocks after the cycles", "not more", ISSUE, _unmovable),
    *(Goal(f"touching memory from rest, {pages}", f"at most {RETURN_RATIO} times without a balloon", PROGRAMS,
           _return(how)) for how, pages in (("small", "4 KiB pages"), ("huge", "huge pages"))),
    *(Goal(f"longest pause of a touch, {pages}", f"at most {PAUSE_MS} ms", ISSUE, _pause(how))
      for how, pages in (("small", "4 KiB pages"), ("huge", "huge pages"))),
)


def cell(outcome):
    """What a table says of an outcome; the bound only where it explains something."""
    if outcome is None:
        return "-"
    if outcome.reached is None:
        return outcome.text
    if outcome.reached:
        return f"{outcome.text}: reached"
    return f"{outcome.text}: MISSED" + (f" ({outcome.bound})" if outcome.bound else "")


def table(results, series_list):
    """Lines in Markdown, without the goals of which nothing was measured."""
    lines = [f"| goal | limit | {' | '.join(series_list)} | from |", "|---" * (len(series_list) + 3) + "|"]
    for goal in GOALS:
        outcomes = [goal.judge(results, s) for s in series_list]
        if any(outcomes):
            lines.append(f"| {goal.what} | {goal.limit} | {' | '.join(map(cell, outcomes))} | {goal.source} |")
    return lines if len(lines) > 2 else []


def count(results, series_list):
    """(reached, judged)."""
    outcomes = [o for g in GOALS for o in (g.judge(results, s) for s in series_list)
                if o is not None and o.reached is not None]
    return sum(o.reached for o in outcomes), len(outcomes)
