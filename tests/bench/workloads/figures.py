# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Run was worth and what it cost, as numbers. Sizes in MiB or GiB, integrals over time in GiB x s.

The host's memory comes from the samples outside, what the guest uses from its recording, in which
MemTotal is without the balloon: used is MemTotal - MemFree, and "without cache" leaves out what programs do
not need (Cached and Buffers without shared memory), too.
"""
import bisect
import math

from .phases import HALVED_AFTER

GIB, MIB = 1 << 30, 1 << 20
# A balloon that moves by less has not turned.
TURN = 16 * MIB


def integral(points):
    """Of [(seconds, value)], by trapezoids."""
    return sum((t1 - t0) * (v0 + v1) / 2 for (t0, v0), (t1, v1) in zip(points, points[1:]))


def given_back(samples, start, end):
    """(seconds from @start until the host has half of what it had then, or inf; the share that it has still at @end)."""
    idle = [s for s in samples if start <= s.t < end]
    if not idle:
        return math.inf, math.nan
    half = idle[0].rss / 2
    return next((s.t - start for s in idle if s.rss <= half), math.inf), idle[-1].rss / idle[0].rss


def moved(samples):
    """(bytes up, bytes down, turns) of the balloon."""
    up = down = turns = 0
    direction, extreme = 0, samples[0].balloon
    for a, b in zip(samples, samples[1:]):
        step = b.balloon - a.balloon
        up, down = up + max(step, 0), down + max(-step, 0)
        # A turn is a way back from the farthest point.
        if direction * (b.balloon - extreme) >= 0 and direction:
            extreme = b.balloon
        elif abs(b.balloon - extreme) >= TURN:
            turns += direction != 0
            direction, extreme = (1 if b.balloon > extreme else -1), b.balloon
    return up, down, turns


def used(recording):
    """[(seconds, used KiB, used without cache KiB)]; rows with an empty cell are left out."""
    columns = ("t_s", "mem_total_kib", "mem_free_kib", "cached_kib")
    out = []
    for row in recording:
        if all(row.get(c) for c in columns):
            t, total, free, cached = (float(row[c]) for c in columns)
            out.append((t, total - free, total - free - cached))
    return out


def causes(recording, samples, offset):
    """{cause: seconds} of memory stalls (some), by what went on in the same second of the recording, which began
    at @offset of the samples' time.

    refault: some of the working set was read back. kswapd: nothing but kswapd's own work, which PSI counts although
    nobody waits for it (Linux mm/vmscan.c, balance_pgdat). direct: tasks reclaimed. inflating: the balloon grew as the
    host saw it, half a second before or after, whatever else went on. The rest has none of these."""
    growth = [b.t for a, b in zip(samples, samples[1:]) if b.balloon > a.balloon]

    def inflating(start, end):
        return bisect.bisect_left(growth, start) < bisect.bisect_right(growth, end)
    out = {"inflating": 0.0, "direct": 0.0, "refault": 0.0, "kswapd": 0.0}
    for a, b in zip(recording, recording[1:]):
        def grew(column):
            return float(b[column]) - float(a[column]) if a.get(column) and b.get(column) else 0.0
        stalled = grew("mem_some_us") / 1e6
        cause = ("inflating" if inflating(float(a["t_s"]) + offset - 0.5, float(b["t_s"]) + offset + 0.5) else "direct" if grew("pgscan_direct_pages") > 0 else
                 "refault" if grew("restore_file_pages") + grew("refault_anon_pages") > 0 else
                 "kswapd" if grew("pgscan_kswapd_pages") > 0 else None)
        if cause:
            out[cause] += stalled
    return out


def emergencies(recording):
    """How often balloond gave everything back at once."""
    reasons = [row.get("reason") for row in recording]
    return sum(b == "emergency" != a for a, b in zip([None, *reasons], reasons))


# {name: (text, unit)} of what of_run() gives.
NAMES = {
    "host_mean": ("host memory, mean", "GiB"), "host": ("host memory x time", "GiB s"),
    "used": ("... used by the guest", "GiB s"), "used_bare": ("... used without cache", "GiB s"),
    "halved": (f"half is back after \"{HALVED_AFTER}\"", "s"),
    "left": ("... share that the host has still when the next phase begins", ""),
    "mem_some": ("memory stalls, some", "s"),
    "inflating": ("... while the balloon grew", "s"), "direct": ("... else, while tasks reclaimed", "s"),
    "refault": ("... else, while the working set came back", "s"), "kswapd": ("... else, while kswapd worked", "s"),
    "mem_full": ("memory stalls, full", "s"),
    "io_some": ("I/O stalls, some", "s"), "io_full": ("I/O stalls, full", "s"),
    "read": ("read from disk", "MiB"), "refault_file": ("refaults of files", "MiB"),
    "refault_anon": ("refaults of anonymous memory", "MiB"), "majfaults": ("major faults", ""),
    "oom_kills": ("OOM kills", ""), "failed": ("failed phases", ""),
    "emergencies": ("emergencies of balloond", ""), "up": ("balloon, up", "MiB"), "down": ("balloon, down", "MiB"), "turns": ("balloon, turns", ""),
}


def of_run(run):
    """{name of NAMES: value} of a Run that has come to its end."""
    c, samples = run.counters, run.samples
    up, down, turns = moved(samples)
    guest = used(run.recording)
    host = integral([(s.t, s.rss / GIB) for s in samples])
    out = {
        "host_mean": host / (samples[-1].t - samples[0].t), "host": host,
        "used": integral([(t, u / (1 << 20)) for t, u, _ in guest]),
        "used_bare": integral([(t, b / (1 << 20)) for t, _, b in guest]),
        "mem_some": c["memory-some us"] / 1e6, **causes(run.recording, samples, run.offset), "mem_full": c["memory-full us"] / 1e6,
        "io_some": c["io-some us"] / 1e6, "io_full": c["io-full us"] / 1e6,
        # pgpgin counts KiB, the rest pages.
        "read": c["pgpgin"] / 1024, "refault_file": c["workingset_refault_file"] / 256,
        "refault_anon": c["workingset_refault_anon"] / 256, "majfaults": c["pgmajfault"],
        "oom_kills": c["oom_kill"], "failed": sum(d.error is not None for d in run.done),
        "emergencies": emergencies(run.recording), "up": up / MIB, "down": down / MIB, "turns": turns,
    }
    for d, following in zip(run.done, run.done[1:]):
        # A phase that has failed has not used the memory, and nothing can be back.
        if d.phase.name == HALVED_AFTER and d.error is None:
            out["halved"], out["left"] = given_back(samples, d.end, following.start)
    return out


def together(runs, ends):
    """(peak, mean) in GiB of the host's memory for all of @runs, which began at once, up to second @ends."""
    def at(samples, times, t):
        return samples[max(0, bisect.bisect_right(times, t) - 1)].rss
    each = [(r.samples, [s.t for s in r.samples]) for r in runs]
    sums = [sum(at(samples, times, t / 2) for samples, times in each) / GIB for t in range(int(ends * 2))]
    return max(sums), sum(sums) / len(sums)
