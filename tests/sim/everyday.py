# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory demands that repeat, for the benchmark of the policy: made up, the same in every run.

Where demands.py has the shapes that the scoreboard asserts on, these are what a guest does all day: jobs of
cron's, a heap and its collector, a walk at random, a database that lives on its cache, people who come at
eight. Each is a Demand of demands.py; those with hot cache leave its period to who runs them.

Left out: recordings, and shapes that were chosen because a law does well on them. What the scoreboard asserts on
these is loose, so that a policy may not be tuned until the numbers please: it is judged on other traces, too.
"""
import random

from demands import DAY, GIB, HOUR, MIB, MINUTE, Demand


def jobs(name, ram, every, lasts, rise, base, top, total, hot=0, seed=None):
    """A job one @every seconds: up from @base to @top within @rise, down as fast after @lasts. With a seed the
    height varies between half and all of it, and the time by a tenth of @every."""
    rnd = random.Random(seed)
    d = Demand(name, ram)
    d.add(0, base, hot)
    for at in range(every, total, every):
        peak = base + (top - base) * (rnd.uniform(0.5, 1) if seed else 1)
        at += rnd.uniform(-0.1, 0.1) * every if seed else 0
        for t, need in ((0, base), (rise, peak), (rise + lasts, peak), (2 * rise + lasts, base)):
            d.add(round(at + t, 3), need, hot)
    d.add(total + every, base, hot)
    return d


def heap(name, young, old, total):
    """Garbage comes at an even pace; @young seconds between small collections, which leave a part of it, and
    @old between those that free everything."""
    d = Demand(name, 4 * GIB)
    kept, live, fresh = 0, 700 * MIB, 350 * MIB
    for t in range(0, total, young):
        if t % old == 0:
            kept = 0
        d.add(t, live + kept)
        d.add(t + young - 0.2, live + kept + fresh)
        kept += fresh * young / old * 3
    d.add(total, live)
    return d


def walk():
    """Small steps every ten seconds, drawn to the middle, and a larger one now and then."""
    rnd, need, d = random.Random(11), 0.35, Demand("random walk", 6 * GIB)
    for t in range(0, 12 * HOUR, 10):
        need += (0.35 - need) * 0.005 + rnd.gauss(0, 0.006) + (rnd.uniform(-0.2, 0.2) if rnd.random() < 0.002 else 0)
        need = min(max(need, 0.12), 0.8)
        d.add(t, need * d.ram, 150 * MIB)
    return d


def database(name, swap=0):
    """Its cache is what it lives on; reports at night want memory for sorting, and come at once."""
    d = Demand(name, 12 * GIB, swap=swap)
    for day in range(2):
        for hour in range(24):
            at, busy = day * DAY + hour * HOUR, 7 <= hour < 20
            d.add(at, 2 * GIB, (5 if busy else 4) * GIB)
            if hour == 3:
                d.add(at + 20 * MINUTE, 2 * GIB, 4 * GIB)
                d.add(at + 20 * MINUTE + 2, 4 * GIB, 4 * GIB)
                d.add(at + 35 * MINUTE, 4 * GIB, 4 * GIB)
                d.add(at + 35 * MINUTE + 1, 2 * GIB, 4 * GIB)
    return d


def office():
    """Five days. People come from eight on and go home from five on; at noon some have closed their programs."""
    rnd, d = random.Random(12), Demand("office hours", 16 * GIB)
    shape = ((0, 0.1), (7.75, 0.1), (9.25, 0.7), (12, 0.75), (12.5, 0.6), (13.5, 0.75), (17, 0.7), (18.5, 0.15))
    for day in range(5):
        for hour, share in shape:
            d.add(day * DAY + hour * HOUR, (share + rnd.uniform(-0.03, 0.03)) * d.ram, 400 * MIB)
    d.add(5 * DAY, 0.1 * d.ram, 400 * MIB)
    return d


def builds():
    """Someone saves a file, and a compiler a CPU starts: any time of the day, for some minutes."""
    rnd, t, d = random.Random(13), 0, Demand("builds", 8 * GIB)
    d.add(0, 900 * MIB, 600 * MIB)
    while t < 10 * HOUR:
        t += rnd.expovariate(1 / (15 * MINUTE)) + 10
        lasts, top = rnd.uniform(20, 300), rnd.uniform(1.5, 5) * GIB
        for at, need in ((0, 900 * MIB), (3, top), (3 + lasts, top * 0.8), (4 + lasts, 900 * MIB)):
            d.add(round(t + at, 3), need, 600 * MIB)
        t += lasts + 5
    d.add(round(t + HOUR, 3), 900 * MIB, 600 * MIB)
    return d


def all_of_them():
    yield jobs("job every minute", 2 * GIB, MINUTE, 7, 0.5, 500 * MIB, 1100 * MIB, 6 * HOUR)
    yield jobs("job every 5 minutes", 4 * GIB, 5 * MINUTE, 40, 2, 700 * MIB, 2000 * MIB, 12 * HOUR, seed=14)
    yield jobs("job every hour", 8 * GIB, HOUR, 4 * MINUTE, 1, GIB, 5 * GIB, 2 * DAY, hot=500 * MIB, seed=15)
    yield jobs("job every night", 8 * GIB, DAY, 40 * MINUTE, 5, 800 * MIB, 6 * GIB, 7 * DAY)
    yield heap("heap, collected twice a minute", 30, 5 * MINUTE, 8 * HOUR)
    yield walk()
    yield database("database")
    yield database("database with swap", 2 * GIB)
    yield office()
    yield builds()
