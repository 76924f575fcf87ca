# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians, ratios, the tables and the CSV file of the transport benchmark. What is to be reached is in goals.py."""
import csv
import re
import statistics

from .goals import figure

FIELDS = ("round", "kernel", "init_on_alloc", "state", "metric", "driver", "value")

# (text, init_on_alloc, state, metric). A ratio is the stock driver's figure through ours.
ROWS = (
    ("inflate, init_on_alloc=0, fresh", 0, "fresh", "inflate_total_ms"),
    ("... without the latency", 0, "fresh", "inflate_moving_ms"),
    ("... if there were no device", 0, "bound", "inflate_total_ms"),
    ("... guest CPU time", 0, "fresh", "inflate_guest_cpu_ms"),
    ("inflate, init_on_alloc=0, touched", 0, "touched", "inflate_total_ms"),
    ("... without the latency", 0, "touched", "inflate_moving_ms"),
    ("... guest CPU time", 0, "touched", "inflate_guest_cpu_ms"),
    ("inflate, init_on_alloc=1, fresh", 1, "fresh", "inflate_total_ms"),
    ("... a candidate: memory taken offline, not told", 1, "offline", "inflate_total_ms"),
    ("... the share that could be taken", 1, "offline", "share"),
    ("inflate, init_on_alloc=1, touched", 1, "touched", "inflate_total_ms"),
    ("inflate, 4 KiB, init_on_alloc=0, runs of 7", 0, "fragmented", "inflate_total_ms"),
    ("inflate, 4 KiB, init_on_alloc=1, runs of 7", 1, "fragmented", "inflate_total_ms"),
    ("inflate, 4 KiB, init_on_alloc=0, no neighbours", 0, "scattered", "inflate_total_ms"),
    ("deflate, init_on_alloc=0, fresh", 0, "fresh", "deflate_total_ms"),
    ("... without the latency", 0, "fresh", "deflate_moving_ms"),
    ("... if there were no device", 0, "bound", "deflate_total_ms"),
    ("deflate, init_on_alloc=0, rested", 0, "rested", "deflate_total_ms"),
    ("... rested, if there were no device", 0, "bound", "rested_total_ms"),
    ("deflate, init_on_alloc=0, touched", 0, "touched", "deflate_total_ms"),
    ("deflate, init_on_alloc=1, fresh", 1, "fresh", "deflate_total_ms"),
    ("... a candidate: memory back online", 1, "offline", "deflate_total_ms"),
    ("deflate, 4 KiB, runs of 7", 0, "fragmented", "deflate_total_ms"),
    ("deflate, 4 KiB, no neighbours", 0, "scattered", "deflate_total_ms"),
    ("program uses the memory again, s", 0, "touched", "retouch_s"),
    ("... AnonHugePages of QEMU then, MiB", 0, "touched", "retouch_huge_mib"),
    ("request to first MiB, inflate", 0, "latency", "inflate_first_mib_ms"),
    ("... until the driver reads the target", 0, "latency", "inflate_ask_ms"),
    ("... until pages are handed over", 0, "latency", "inflate_hand_ms"),
    ("... until the device has heard", 0, "latency", "inflate_tell_ms"),
    ("request to first MiB, deflate", 0, "latency", "deflate_first_mib_ms"),
    ("... until the driver reads the target", 0, "latency", "deflate_ask_ms"),
    ("... until the device has heard", 0, "latency", "deflate_tell_ms"),
    *((f"{what}, host {state}, {unit}", 0, f"again-{state}", metric)
      for state in ("huge", "small", "fresh")
      for what, unit, metric in (("first touch", "s", "first_s"), ("second touch", "s", "second_s"),
                                 ("memory again", "s", "again_s"),
                                 ("... host faults per GiB, first", "", "first_faults_gib"),
                                 ("... host faults per GiB, again", "", "again_faults_gib"),
                                 ("... AnonHugePages of QEMU then", "MiB", "again_huge_mib"))),
)

# (text, state, metric, drivers): figures of one or several that are not times of both drivers.
OWN_ROWS = (
    ("the module's own time for a first 2 MiB, inflate, ms", "latency", "inflate_own_ms", ("uballoon",)),
    ("... deflate, ms", "latency", "deflate_own_ms", ("uballoon",)),
    ("waking a program in poll(), without the module, ms", "latency", "wake_ms", ("uballoon",)),
    ("balloon at rest, MiB", "return", "rest_mib", ("uballoon",)),
    *((f"touching {pages}, {what}: {text}", f"return-{how}{state}", metric, ("uballoon",))
      for how, pages in (("small", "4 KiB pages"), ("huge", "huge pages"))
      for what, state in (("without a balloon", "-without"), ("memory found anew", "-anew"), ("from rest", ""))
      for text, metric in (("s", "s"), ("p99, us", "p99_us"), ("p99.99, us", "p9999_us"), ("longest, ms", "max_ms"),
                           ("touches of 10 ms or more", "pauses"),
                           ("AnonHugePages of the program, MiB", "huge_mib"))),
    *((f"touching {pages}, from rest: {text}", f"return-{how}", metric, ("uballoon",))
      for how, pages in (("small", "4 KiB pages"), ("huge", "huge pages"))
      for text, metric in (("reliefs", "shrink_events"), ("by a task that reclaimed for itself", "direct_events"),
                           ("by the OOM notifier", "oom_events"), ("allocations that stalled", "alloc_stalls"))),
    *((f"fragmented guest: {text}", "thp", metric, drivers) for text, metric, drivers in (
        ("free blocks of 2 MiB", "inflate_free_blocks", ("none", "stock", "uballoon")),
        ("inflate, 4 KiB, ms", "inflate_nosleep_ms", ("stock", "uballoon")),
        ("deflate, 4 KiB, ms", "deflate_nosleep_ms", ("stock", "uballoon")),
        ("inflate with compaction, ms", "inflate_compact_ms", ("uballoon",)),
        ("... of it in 2 MiB pages, MiB", "compact_large_mib", ("uballoon",)),
        ("... allocations that compacted", "inflate_compaction_stalls", ("uballoon",)),
        ("... those that had a page by it", "inflate_compaction_successes", ("uballoon",)),
        ("deflate after that, ms", "deflate_compact_ms", ("uballoon",)),
        *((f"the program {when}: {text}", f"{when}_{metric}", ("none", "stock", "uballoon"))
          for when in ("before", "after")
          for text, metric in (("free blocks of 2 MiB", "free_blocks"),
                               ("allocations that compacted", "compaction_stalls"),
                               ("those that had a page by it", "compaction_successes"))),
        ("AnonHugePages before, MiB", "before_huge_mib", ("none", "stock", "uballoon")),
        ("AnonHugePages after the cycles, MiB", "after_huge_mib", ("none", "stock", "uballoon")),
        ("... the program's time before, s", "before_s", ("none", "stock", "uballoon")),
        ("... the program's time after, s", "after_s", ("none", "stock", "uballoon")),
        ("unmovable blocks before", "before_unmovable_blocks", ("none", "stock", "uballoon")),
        ("... after one without compaction", "nosleep_unmovable_blocks", ("uballoon",)),
        ("... while inflated", "inflated_unmovable_blocks", ("stock", "uballoon")),
        ("... after the cycles", "after_unmovable_blocks", ("none", "stock", "uballoon")),
        ("... after the program", "end_unmovable_blocks", ("none", "stock", "uballoon")))),
)

SCALE_COLUMNS = (*((f"{way}: {text}", f"{way}_{metric}") for way in ("inflate", "deflate") for text, metric in (
    ("ms/GiB", "total_ms_gib"), ("without a device", "bound_ms_gib"), ("CPU ms/GiB", "guest_cpu_ms_gib"),
    ("first MiB, ms", "first_mib_ms"))), ("marking: CPU ms/GiB", "marking_cpu_ms_gib"),
    ("rested, deflate: ms/GiB", "rested_ms_gib"), ("without a device", "rested_bound_ms_gib"),
    ("CPU ms/GiB", "rested_cpu_ms_gib"))


class Results:
    """All values of a run; each is written to the CSV file when it comes."""

    def __init__(self, path):
        self._values = {}
        self._file = open(path, "w", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(FIELDS)

    def add(self, rnd, series, init, state, metric, driver, value):
        self._values.setdefault((series, init, state, metric, driver), []).append(value)
        self._csv.writerow((rnd, series, init, state, metric, driver, f"{value:.3f}"))
        self._file.flush()

    def values(self, *key):
        """Of series, init_on_alloc, state, metric, driver."""
        return self._values.get(key, [])

    def median(self, *key):
        """Likewise; None without a value."""
        values = self.values(*key)
        return statistics.median(values) if values else None

    def ours(self, series, state, metric):
        return self.median(series, 0, state, metric, "uballoon")

    def stock(self, series, state, metric):
        return self.median(series, 0, state, metric, "stock")

    def worst(self, series, state, metric):
        return max(self.values(series, 0, state, metric, "uballoon"), default=None)

    def sizes(self, series, metric):
        """The sizes of guests in GiB that part "scale" has that of, ascending."""
        found = {m[1] for key in self._values if key[0] == series and key[3] == metric
                 for m in [re.fullmatch(r"scale-(\d+)", key[2])] if m}
        return sorted(map(int, found))

    def close(self):
        self._file.close()


def pairs(results, series_list):
    """Lines of a table in Markdown, stock and ours side by side; times in ms where the row does not say otherwise."""
    heads = [f"{s}: stock | uballoon | ratio" for s in series_list]
    lines = [f"| median, ms | {' | '.join(heads)} |", "|---" + "|---:" * (3 * len(series_list)) + "|"]
    for text, init, state, metric in ROWS:
        cells, any_ours = [], False
        for series in series_list:
            # A bound and a candidate are ours alone, of what stock is compared with otherwise.
            like = ("rested" if metric.startswith("rested") else "fresh", metric.replace("rested", "deflate"))
            alone = state in ("bound", "offline")
            stock = results.median(series, init, *(like if alone else (state, metric)), "stock")
            ours = results.median(series, init, state, metric, "uballoon")
            any_ours |= ours is not None
            cells += ["-" if v is None else figure(v) for v in (stock, ours)]
            cells.append(f"{stock / ours:.1f}x" if stock is not None and ours else "-")
        if any_ours:
            lines.append(f"| {text.rstrip(', ')} | {' | '.join(cells)} |")
    return lines if len(lines) > 2 else []


def own(results, series_list):
    """What is not a time of both drivers: a column a kernel."""
    lines = [f"| median | {' | '.join(series_list)} |", "|---" + "|---:" * len(series_list) + "|"]
    for text, state, metric, drivers in OWN_ROWS:
        for driver in drivers:
            values = [results.median(s, 0, state, metric, driver) for s in series_list]
            if any(v is not None for v in values):
                who = f" ({driver})" if len(drivers) > 1 else ""
                lines.append(f"| {text}{who} | {' | '.join('-' if v is None else figure(v) for v in values)} |")
    return lines if len(lines) > 2 else []


def scale(results, series_list):
    """A row a kernel and size."""
    lines = ["| guest | " + " | ".join(text for text, _ in SCALE_COLUMNS) + " | host holds, MiB |",
             "|---" + "|---:" * (len(SCALE_COLUMNS) + 1) + "|"]
    for s in series_list:
        for gib in results.sizes(s, "inflate_total_ms_gib"):
            values = [results.ours(s, f"scale-{gib}", m) for m in (*(m for _, m in SCALE_COLUMNS), "host_mib")]
            lines.append(f"| {s}, {gib} GiB | {' | '.join('-' if v is None else figure(v) for v in values)} |")
    return lines if len(lines) > 2 else []
