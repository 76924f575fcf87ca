# SPDX-License-Identifier: GPL-2.0-or-later
"""Three guests on one host that build at different times: what the host needs for all of them at once.

Each is one of three guests of 1 GiB with the same configuration; all have used their memory before. What
counts is the sum of what the host holds: its peak decides how much memory the host must have, its mean what
is left for others.

Left out: what happens when the host runs out of it.
"""
from . import configs, figures, phases, report
from .run import Lockstep, Run, together

GUESTS, RAM = 3, 1 << 30
CONFIGS = ("none", "reporting", "balloond")
# Seconds: the first build begins, the next one, and the end for all.
FIRST, APART, ENDS = 15, 25, 95
# A build reads its tools, and what a build leaves in the page cache counts.
BUILD = phases.Phase("build", phases.timed(phases.BUILD + "\n" + phases.READ.format(what="/usr/lib/gcc /usr/include")),
                     phases.TIMED, 0)
SET = "3 x 1G"


def run(results, rnd, names, series, progress):
    for name in names:
        progress.step(f"round {rnd}, {SET}: {name}")
        step, runs = Lockstep(GUESTS), []
        for n in range(GUESTS):
            runs.append(Run(configs.named(name), RAM, 0, [BUILD], FIRST + n * APART, step, progress.say, least_s=ENDS,
                            series=series, in_step=False))
        failed = [r for r in together(runs) if r.error is not None or any(d.error for d in r.done)]
        for n, r in enumerate(runs):
            results.memory(rnd, SET, r, n)
            results.recording(rnd, f"{SET}-{n + 1}", r)
        if failed:
            for r in failed:
                results.fail(rnd, SET, name, "build", r.error or next(d.error for d in r.done if d.error))
            continue
        peak, mean = figures.together(runs, ENDS)
        results.add(rnd, SET, name, "", "peak", "GiB", peak)
        results.add(rnd, SET, name, "", "mean", "GiB", mean)
        for r in runs:
            results.add(rnd, SET, name, "build", "seconds", "s", r.done[0].results["seconds"])
        # Stalls of all of them; the worst that one had would be a figure of chance.
        each = [figures.of_run(r) for r in runs]
        for figure in ("mem_some", "read", "oom_kills", "emergencies"):
            results.add(rnd, SET, name, "", figure, figures.NAMES[figure][1], sum(f[figure] for f in each))


def table(results, names):
    """Markdown lines; peak and mean also as a share of none."""
    lines = ["", f"{GUESTS} guests of 1 GiB, builds {APART} s apart:", "",
             "| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for figure, text in (("peak", "host memory of all, peak, GiB"), ("mean", "host memory of all, mean, GiB"),
                         ("mem_some", "memory stalls of all, some, s"), ("read", "read from disk, MiB"),
                         ("oom_kills", "OOM kills"), ("emergencies", "emergencies of balloond")):
        values = [results.get(SET, n, "", figure) for n in names]
        lines.append("| " + " | ".join([text, *(report.shown(v) for v in values)]) + " |")
        base = results.median(SET, "none", "", figure)
        if base and figure in ("peak", "mean"):
            lines.append("| " + " | ".join(["... as a share of none", *(
                f"{results.median(SET, n, '', figure) / base:.2f}" if v else "-" for n, v in zip(names, values))]) + " |")
    return lines
