#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How good the law adaptive is, with default settings, in a closed loop.

Replays made-up demands (demands.py) through `balloonctl simulate --json` and
holds the scores against the bounds that the project promises. The model of the
guest and the scores are described in balloon-trace(5).

Left out: recordings of real machines, which are for development, and whether
the model is right, which a test in a real guest measures.
"""
import json
import os
import subprocess
import tempfile

import demands
import everyday
import tap
from demands import DAY

GIB = 1 << 30
# guest.c: the balloon's rate of giving back. A step cannot be met faster.
UNLOCK_RATE = 4 * GIB
RIVALS = ("selfballoon", "mom", "proxmox", "senpai", "vm0")


def simulate(demand, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
        f.write(demand.csv())
        f.flush()
        done = subprocess.run([os.environ["BALLOONCTL"], "simulate", "--json", *options, f.name],
                              capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise tap.Failure(f"{demand.name}: {done.stderr}")
    run = json.loads(done.stdout)[0]
    return {law["law"]: law for law in run["laws"]}


def says(name, s):
    tap.diag(f"{name}: {s['law']} {100 * s['share_of_bound']:.1f} % of the bound, "
             f"short {100 * s['short_share']:.4f} % and {s['relief_max_s']:.2f} s at most, "
             f"{s['reversals_per_hour']:.2f} reversals an hour, {s['emergencies']} emergencies, {s['reliefs']} reliefs")
    tap.diag(f"  stalled {s['mem_some_s']:.2f} s, all tasks {s['mem_full_s']:.2f}, the balloon alone {s['own_s']:.2f}, "
             f"kswapd alone {s['kswapd_s']:.2f}; "
             f"all for the disk {s['io_full_s']:.2f}; read again {(s['read_back'] + s['swapped_in']) / GIB:.2f} GiB")


def unharmed(t, demand, s):
    """Without hot cache kswapd and relief serve whatever comes: nobody waits but the balloon, and that seldom.

    kswapd's own work is a stall by the kernel's count, but nobody waits for it."""
    t.equal(s["oom_kills"], 0, "OOM kills")
    t.equal(s["rescues"], 0, "calls of the OOM notifier")
    t.check(s["own_s"] < 0.005 * demand.duration(), f"the balloon itself waits for {s['own_s']} s")
    if not demand.has_hot():
        tasks = s["mem_some_s"] - s["own_s"] - s["kswapd_s"]
        t.check(tasks < 0.01, f"tasks stall for {tasks} s")
        t.equal(s["read_back"] + s["swapped_in"], 0, "bytes read again")


def adaptive(t, demand):
    s = simulate(demand)["adaptive"]
    says(demand.name, s)
    unharmed(t, demand, s)
    return s


@tap.case("a step of half of RAM is relieved within two seconds")
def step(t):
    for d in demands.step():
        with t.subtest(d.name):
            s = adaptive(t, d)
            # Where giving back alone takes as long, within a second of it.
            limit = max(2, d.ram * 1024 / 2 / UNLOCK_RATE + 1)
            t.check(s["relief_max_s"] <= limit, f"relief after {s['relief_max_s']} s")
            t.check(s["emergencies"] <= 1, f"{s['emergencies']} emergencies")


@tap.case("ramps are followed without a shortage")
def ramps(t):
    s = adaptive(t, demands.ramps())
    t.equal(s["short_s"], 0, "seconds short")
    t.equal(s["emergencies"], 0, "emergencies")
    t.check(s["reversals"] <= 12, f"{s['reversals']} reversals for 6 ramps up and down")
    t.check(s["share_of_bound"] >= 0.80, "share of the bound")


@tap.case("saw-teeth are followed, but not within a tooth, as long as that costs nobody a stall")
def saw_teeth(t):
    for period in (180, 600):
        with t.subtest(f"every {period} s"):
            s = adaptive(t, demands.saw_teeth(period))
            t.equal(s["short_s"], 0, "seconds short")
            teeth = s["reversals"] / s["reversals_per_hour"] * 3600 / period
            full = s["mem_full_s"] - s["kswapd_s"]
            t.check(full < 0.5 * teeth, f"all stalled for {full} s in {teeth:.0f} teeth")
            t.check(s["reversals_per_hour"] <= 2 * 3600 / period, f"{s['reversals_per_hour']} reversals an hour")
            t.check(s["share_of_bound"] >= 0.5, "share of the bound")


@tap.case("bursts after hours of idleness")
def bursts(t):
    s = adaptive(t, demands.bursts_after_idleness())
    t.check(s["short_share"] < 0.001, f"short for {s['short_s']} s")
    t.check(s["relief_max_s"] <= 2.5, f"relief after {s['relief_max_s']} s")
    t.check(s["reversals"] <= 8, f"{s['reversals']} reversals for 4 bursts")
    t.check(s["share_of_bound"] >= 0.85, "share of the bound")


@tap.case("a slow leak to the very end")
def leak(t):
    s = adaptive(t, demands.leak())
    t.equal(s["short_s"], 0, "seconds short")
    t.equal(s["emergencies"], 0, "emergencies")
    t.check(s["reversals"] <= 1, f"{s['reversals']} reversals")


@tap.case("loadshift is no emergency, or one")
def loadshift(t):
    s = adaptive(t, demands.loadshift())
    t.check(s["emergencies"] <= 1, f"{s['emergencies']} emergencies")


@tap.case("a stream through the cache is no reason to keep memory")
def stream(t):
    s = adaptive(t, demands.stream())
    t.equal(s["short_s"], 0, "seconds short")
    t.check(s["share_of_bound"] >= 0.8, f"{s['share_of_bound']} of the bound")


@tap.case("cache that is used stays")
def hot_cache(t):
    for period in (5, 60, 600):
        d = demands.hot_cache(period)
        s = adaptive(t, d)
        t.check(s["reversals_per_hour"] < 3, f"{s['reversals_per_hour']} reversals an hour")
        with t.subtest(f"looked at once in {period} s"):
            t.check(s["short_share"] < 0.001, f"short for {s['short_s']} s")
            t.check(s["mem_full_s"] < 0.001 * d.duration(), f"all stall for {s['mem_full_s']} s")
            t.check(s["io_full_s"] < 0.001 * d.duration(), f"all wait for the disk for {s['io_full_s']} s")
            t.check(s["share_of_bound"] >= 0.85, f"{s['share_of_bound']} of the bound")


@tap.case("cache that is used stays, from a slow disk and beside swap, too")
def slow_disk(t):
    """kswapd does all the reclaim there, less than a megabyte a second comes back, and everybody waits."""
    for period in (5, 60, 600):
        for swap in ("0", "2G"):
            with t.subtest(f"looked at once in {period} s, swap {swap}"):
                d = demands.hot_cache(period)
                s = simulate(d, "--disk", "200MiB/s", "--iops", "200", "--swap", swap)["adaptive"]
                says(d.name, s)
                t.equal(s["emergencies"], 0, "emergencies")
                t.check(s["tasks_full_s"] < 0.002 * d.duration(), f"all stall for {s['tasks_full_s']} s")
                t.check(s["share_of_bound"] >= 0.7, f"{s['share_of_bound']} of the bound")
                t.check(s["reversals_per_hour"] < 3, f"{s['reversals_per_hour']} reversals an hour")


@tap.case("ten days of machines as they are, against the laws of others", timeout=600)
def months(t):
    total = {law: {"share_of_bound": 0, "short_share": 0} for law in ("adaptive", *RIVALS)}
    for d in demands.months():
        with t.subtest(d.name):
            laws = simulate(d, "--compare")
            s = laws["adaptive"]
            says(d.name, s)
            for law, sums in total.items():
                for key in sums:
                    sums[key] += laws[law][key]
            unharmed(t, d, s)
            t.check(s["share_of_bound"] >= 0.85, f"{s['share_of_bound']} of the bound")
            t.check(s["short_share"] < 0.001, f"short for {s['short_s']} s")
            t.check(s["reversals_per_hour"] < 3, f"{s['reversals_per_hour']} reversals an hour")
            t.check(s["own_s"] < 0.0005 * d.duration(), f"the balloon itself waits for {s['own_s']} s")
            above = [law for law in RIVALS if laws[law]["share_of_bound"] > s["share_of_bound"]
                     and laws[law]["short_share"] < s["short_share"]]
            t.equal(above, [], "laws that are better on both")
    for law, sums in total.items():
        tap.diag(f"all: {law} {100 * sums['share_of_bound'] / 6:.2f} % of the bound, "
                 f"short {100 * sums['short_share'] / 6:.5f} %")
    mine = total["adaptive"]
    for law in RIVALS:
        # With the relief line behind it no law is short; what is left between them is what they take.
        t.check(total[law]["share_of_bound"] - mine["share_of_bound"] < 0.03 * 6, f"{law} takes far more")


# 1 GiB for an hour is as dear as a second, the default of tail.stall_price.
def cost(s):
    return s["beyond_bound_gib_h"] + s["lost_s"]


@tap.case("what a guest does all day, in one currency", timeout=600)
def all_day(t):
    total = dict.fromkeys(("adaptive", *RIVALS, "reporting", "static"), 0)
    for d in everyday.all_of_them():
        with t.subtest(d.name):
            laws = simulate(d, "--compare")
            s = laws["adaptive"]
            says(d.name, s)
            tap.diag("  cost, GiB x h: " + ", ".join(f"{law} {cost(laws[law]):.1f}" for law in total))
            for law in total:
                total[law] += cost(laws[law])
            days = d.duration() / DAY
            t.check(cost(s) <= 2 * cost(laws["static"]), "far dearer than the best fixed size, known in hindsight")
            t.check(s["tasks_full_s"] < 0.0005 * d.duration(), f"all stall for {s['tasks_full_s']} s")
            t.check(s["lost_s"] < 0.001 * d.duration(), f"{s['lost_s']} s lost")
            t.check(s["read_back"] + s["swapped_in"] <= (1 + days) * d.ram * 1024, "read again more than all of RAM a day")
            t.check(s["emergencies"] <= 1 + days, f"{s['emergencies']} emergencies")
            t.equal(s["oom_kills"], 0, "OOM kills")
    dearer = [law for law, c in total.items() if law != "adaptive" and c < total["adaptive"]]
    tap.diag("all: cost, GiB x h: " + ", ".join(f"{law} {c:.0f}" for law, c in total.items()))
    t.equal(dearer, [], "laws that cost less in all, the best fixed sizes among them")


if __name__ == "__main__":
    tap.main()
