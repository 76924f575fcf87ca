# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians and spreads of the workload benchmark, its tables (Markdown) and CSV files."""
import csv
import math
import os
import statistics

from . import figures

FIELDS = ("round", "set", "config", "phase", "figure", "unit", "value")
FAILED = "**failed**"
SAMPLES = ("round", "set", "config", "guest", "t_s", "host_bytes", "balloon_bytes")


class Results:
    """All values; each is in the CSV files as soon as it is there: NAME.csv, NAME-memory.csv, and recordings."""

    def __init__(self, path):
        self.path = path
        self.values, self.units, self.failures = {}, {}, []
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        self._file = open(path, "w", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(FIELDS)
        self._memory_file = open(self.beside("-memory.csv"), "w", newline="")
        self._memory = csv.writer(self._memory_file)
        self._memory.writerow(SAMPLES)

    def beside(self, end):
        return os.path.splitext(self.path)[0] + end

    def close(self):
        self._file.close()
        self._memory_file.close()

    def add(self, rnd, group, config, phase, figure, unit, value):
        self.values.setdefault((group, config, phase, figure), []).append(value)
        self.units[figure] = unit
        self._csv.writerow((rnd, group, config, phase, figure, unit, f"{value:.6g}"))
        self._file.flush()

    def fail(self, rnd, group, config, phase, why):
        self.failures.append(f"round {rnd}, {group}, {config}: {phase}: {why}")
        self._csv.writerow((rnd, group, config, phase, "FAILED", "", why.replace("\n", " / ")))
        self._file.flush()

    def memory(self, rnd, group, run, guest=0):
        for s in run.samples:
            self._memory.writerow((rnd, group, run.config.name, guest, f"{s.t:.2f}", s.rss, s.balloon))
        self._memory_file.flush()

    def recording(self, rnd, group, run):
        """What a simulation of the same guest can be compared with, see balloon-trace(5)."""
        if not run.recording:
            return
        folder = self.beside("-recordings")
        os.makedirs(folder, exist_ok=True)
        name = f"{group}-{run.config.name}-{rnd}".replace(" ", "-").replace("'", "")
        with open(os.path.join(folder, name + ".csv"), "w", newline="") as f:
            out = csv.DictWriter(f, run.recording[0].keys())
            out.writeheader()
            out.writerows(run.recording)

    def run(self, rnd, group, run):
        """All of one guest."""
        name = run.config.name
        for d in run.done:
            if d.error is not None:
                self.fail(rnd, group, name, d.phase.name, d.error)
            for figure, value in (d.results or {}).items():
                self.add(rnd, group, name, d.phase.name, figure, d.phase.figures[figure], value)
            for figure in ("memory-some us", "memory-full us", "io-some us", "io-full us"):
                self.add(rnd, group, name, d.phase.name, figure.removesuffix(" us") + " stalls", "s",
                         d.counters[figure] / 1e6)
            for figure, t in (("start", d.start), ("end", d.end)):
                self.add(rnd, group, name, d.phase.name, figure, "s", t)
            self.add(rnd, group, name, d.phase.name, "disk read", "MiB", d.counters["pgpgin"] / 1024)
        self.memory(rnd, group, run)
        self.recording(rnd, group, run)
        if run.error is not None:
            self.fail(rnd, group, name, "the run", run.error)
            return
        for figure, value in figures.of_run(run).items():
            self.add(rnd, group, name, "", figure, figures.NAMES[figure][1], value)

    def get(self, group, config, phase, figure):
        return self.values.get((group, config, phase, figure), [])

    def median(self, *key):
        values = self.get(*key)
        return statistics.median(values) if values else None


def shown(values, missing=FAILED):
    """The median, and the spread if there are several."""
    if not values:
        return missing
    m = statistics.median(values)
    text = "never" if math.isinf(m) else "0" if abs(m) < 0.0005 else f"{m:.0f}" if abs(m) >= 100 or m == int(m) else f"{m:.3g}"
    if len(values) > 1 and min(values) != max(values):
        text += f" ({min(values):.3g}-{max(values):.3g})"
    return text


def _line(cells):
    return f"| {' | '.join(cells)} |"


def table(results, group, names, script):
    """Markdown lines of one set of guests: @names of the configurations, the phases of @script."""
    lines = ["", f"{group}:", "", _line(["", *names]), "|---|" + "---:|" * len(names)]
    base = results.median(group, "none", "", "host_mean") if "none" in names else None
    for figure, (text, unit) in figures.NAMES.items():
        rows = [results.get(group, n, "", figure) for n in names]
        # What a phase has to have for it is missing where that has failed, and says so there.
        missing = "-" if figure in ("halved", "left") else FAILED
        if any(rows):
            lines.append(_line([text + (f", {unit}" if unit else ""), *(shown(v, missing) for v in rows)]))
        if figure == "host_mean" and base:
            lines.append(_line(["... as a share of none",
                                *(f"{statistics.median(v) / base:.2f}" if v else FAILED for v in rows)]))
    for phase in script:
        for figure, unit in phase.figures.items():
            text = phase.name if figure == "seconds" else f"{phase.name}: {figure}"
            lines.append(_line([f"{text}, {unit}", *(shown(results.get(group, n, phase.name, figure)) for n in names)]))
    return lines
