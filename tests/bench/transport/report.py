# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians, ratios, the table and the CSV file of the transport benchmark."""
import csv
import statistics

FIELDS = ("round", "kernel", "init_on_alloc", "state", "metric", "driver", "value")

# (text, init_on_alloc, state, metric, ratio to reach or None). A ratio is the stock
# driver's figure through ours.
ROWS = (
    ("inflate, init_on_alloc=0, fresh", 0, "fresh", "inflate_total_ms", 100),
    ("... without the latency", 0, "fresh", "inflate_moving_ms", 100),
    ("... if there were no device", 0, "bound", "inflate_total_ms", None),
    ("... guest CPU time", 0, "fresh", "inflate_guest_cpu_ms", 20),
    ("inflate, init_on_alloc=0, touched", 0, "touched", "inflate_total_ms", 100),
    ("... without the latency", 0, "touched", "inflate_moving_ms", 100),
    ("... guest CPU time", 0, "touched", "inflate_guest_cpu_ms", 20),
    ("inflate, init_on_alloc=1, fresh", 1, "fresh", "inflate_total_ms", 2.3),
    ("inflate, init_on_alloc=1, touched", 1, "touched", "inflate_total_ms", 2.3),
    ("inflate, 4 KiB, init_on_alloc=0, runs of 7", 0, "fragmented", "inflate_total_ms", 1.3),
    ("inflate, 4 KiB, init_on_alloc=1, runs of 7", 1, "fragmented", "inflate_total_ms", 1.3),
    ("inflate, 4 KiB, init_on_alloc=0, no neighbours", 0, "scattered", "inflate_total_ms", 1.3),
    ("deflate, init_on_alloc=0, fresh", 0, "fresh", "deflate_total_ms", 50),
    ("... without the latency", 0, "fresh", "deflate_moving_ms", 50),
    ("... if there were no device", 0, "bound", "deflate_total_ms", None),
    ("deflate, init_on_alloc=0, touched", 0, "touched", "deflate_total_ms", 50),
    ("deflate, init_on_alloc=1, fresh", 1, "fresh", "deflate_total_ms", 50),
    ("deflate, 4 KiB, runs of 7", 0, "fragmented", "deflate_total_ms", None),
    ("deflate, 4 KiB, no neighbours", 0, "scattered", "deflate_total_ms", None),
    ("request to first MiB, inflate", 0, "fresh", "inflate_first_mib_ms", None),
    ("request to first MiB, deflate", 0, "fresh", "deflate_first_mib_ms", None),
    ("program uses the memory again, s", 0, "touched", "retouch_s", None),
    ("... AnonHugePages of QEMU then, MiB", 0, "touched", "retouch_huge_mib", None),
)


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

    def median(self, *key):
        """Of series, init_on_alloc, state, metric, driver; None without a value."""
        values = self._values.get(key)
        return statistics.median(values) if values else None

    def count(self, *key):
        return len(self._values.get(key, ()))

    def close(self):
        self._file.close()


def _figure(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def table(results, series_list):
    """Lines of a table in Markdown, times in ms where the row does not say otherwise."""
    heads = [f"{s}: stock | uballoon | ratio" for s in series_list]
    lines = [f"| median, ms | {' | '.join(heads)} | goal |", "|---" + "|---:" * (3 * len(series_list) + 1) + "|"]
    for text, init, state, metric, goal in ROWS:
        cells = []
        for series in series_list:
            # The bound is ours alone, of what stock is compared with otherwise.
            stock = results.median(series, init, "fresh" if state == "bound" else state, metric, "stock")
            ours = results.median(series, init, state, metric, "uballoon")
            if stock is None or ours is None:
                break
            cells += [_figure(stock), _figure(ours), f"{stock / ours:.1f}x" if ours > 0 else "-"]
        else:
            lines.append(f"| {text} | {' | '.join(cells)} | {f'{goal}x' if goal else ''} |")
    return lines
