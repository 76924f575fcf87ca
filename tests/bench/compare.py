# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: compare.py BALLOONCTL TRACE...

Prints a table of docs/benchmarks.md: law adaptive against a fixed size, the clairvoyant
bound and the laws of others, over the traces given. Each trace is simulated
twice: as it stands, and with every change of demand coming all at once, as the
worst that its rows may have hidden.

policy.py, beside this, has one figure a law instead: what memory and time cost.

Numbers, not verdicts: tests assert on synthetic traces, since those of others
are not ours to keep. Leaves out what balloon-trace(5) explains: every number.
"""
import json
import os
import subprocess
import sys


def simulate(balloonctl, how, traces):
    out = subprocess.run([balloonctl, "simulate", "--json", "--compare", "--interpolate", how, *traces],
                         stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)


def name(trace):
    return os.path.splitext(os.path.basename(trace))[0]


def percent(share):
    return f"{100 * share:.4f} %" if share else "0"


def seconds(s):
    return "0" if not s else f"{s:.1f} s" if s < 100 else f"{s / 60:.1f} min"


def size(b):
    return f"{b / (1 << 30):.1f} GiB" if b else "0"


def tasks_s(runs):
    """Stalls of tasks: neither the balloon's own nor kswapd's, which nobody waits for. What is below the clock's step is none."""
    lost = sum(s["mem_some_s"] - s["own_s"] - s["kswapd_s"] for _, s in runs)
    return lost if lost > 0.01 else 0


def row(law, linear, steps):
    """The cells of one law; linear and steps are its scores, one a trace."""
    days = sum(r["duration_s"] for r, _ in linear) / 86400

    def short(scores):
        return sum(s["short_s"] for _, s in scores) / sum(r["duration_s"] for r, _ in scores)
    cells = [law, *(f"{100 * s['share_of_bound']:.1f} %" for _, s in linear),
             percent(short(linear)),
             seconds(tasks_s(linear) / days * 30),
             seconds(sum(s["own_s"] for _, s in linear) / days * 30),
             seconds(sum(s["kswapd_s"] for _, s in linear) / days * 30),
             f"{sum(s['reliefs'] for _, s in linear) / days:.1f}",
             size(sum(s["read_back"] + s["swapped_in"] for _, s in linear)),
             f"{max(s['reversals_per_hour'] for _, s in linear):.2f}",
             " / ".join(f"{100 * s['share_of_bound']:.0f}" for _, s in steps) + " %",
             percent(short(steps)),
             seconds(tasks_s(steps) / days * 30),
             seconds(max(s["relief_max_s"] for _, s in steps)),
             str(sum(s["oom_kills"] for _, s in linear + steps))]
    return "| " + " | ".join(cells) + " |"


def main(balloonctl, *traces):
    linear, steps = (simulate(balloonctl, how, traces) for how in ("linear", "steps"))
    heads = ["law", *(f"reclaimed, {name(t)}" for t in traces), "short", "tasks stalled a month", "the balloon itself",
             "kswapd", "reliefs a day", "read again", "reversals an hour, at most", "sudden: reclaimed", "short", "stalled a month",
             "longest", "OOM kills"]
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    for i, law in enumerate(linear[0]["laws"]):
        print(row(law["law"], [(r, r["laws"][i]) for r in linear], [(r, r["laws"][i]) for r in steps]))
    bound = ["clairvoyant", *("100 %" for _ in traces), "0", "-", "-", "-", "-", "-", "-", "100 %", "0", "-", "0", "0"]
    print("| " + " | ".join(bound) + " |")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
