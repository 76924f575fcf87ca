# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory demands for the scoreboard, made up, the same in every run.

Each is a Demand: rows for balloon-trace(5)'s minimal format. The shapes are
those that balloon policies have stumbled over, and machines as they are in data
centres: nightly jobs, office hours, irregular bursts, a cache that counts.

Left out: recordings. What is measured against real ones must not be tuned here.
"""
import random

MIB = 1024                                                            # in KiB
GIB = 1024 * MIB
MINUTE, HOUR, DAY = 60, 3600, 86400


class Demand:
    def __init__(self, name, ram, between="linear", swap=0, period=60):
        self.name, self.ram, self.between, self.swap, self.period = name, ram, between, swap, period
        self.rows = []

    def duration(self):
        return self.rows[-1][0] - self.rows[0][0]

    def has_hot(self):
        return any(hot for _, _, hot, _, _ in self.rows)

    def add(self, t, need, hot=0, cold=None, idle=0):
        """All KiB, t in seconds. cold None: as much as there is room for, read once."""
        cold = self.ram if cold is None else cold
        self.rows.append((t, int(need), int(hot), int(cold), int(idle)))

    def csv(self):
        head = [f"# interpolation: {self.between}", f"# ram_kib: {self.ram}",
                f"# swap_kib: {self.swap}", f"# hot_period_s: {self.period}",
                "t_s,need_kib,hot_cache_kib,cold_cache_kib,idle_kib"]
        return "\n".join(head + [",".join(map(str, row)) for row in self.rows]) + "\n"


def step():
    """Half of RAM at once, after an hour."""
    for ram in (2 * GIB, 16 * GIB, 64 * GIB):
        d = Demand(f"step of half of {ram // GIB} GiB", ram, "steps")
        d.add(0, ram / 16)
        d.add(HOUR, ram / 16 + ram / 2)
        d.add(HOUR + 10 * MINUTE, ram / 16 + ram / 2)
        yield d


def ramps():
    d = Demand("ramps", 8 * GIB)
    for i in range(6):
        d.add(i * 2 * HOUR, 512 * MIB)
        d.add(i * 2 * HOUR + 20 * MINUTE, 6 * GIB)
        d.add(i * 2 * HOUR + 60 * MINUTE, 6 * GIB)
        d.add(i * 2 * HOUR + 80 * MINUTE, 512 * MIB)
    return d


def saw_teeth(period):
    d = Demand(f"saw-teeth of {period} s", 8 * GIB)
    for t in range(0, 6 * HOUR, period):
        d.add(t, 512 * MIB)
        d.add(t + period * 2 // 3, 3 * GIB)
        d.add(t + period * 2 // 3 + 1, 512 * MIB)
    return d


def bursts_after_idleness():
    d = Demand("bursts after hours of idleness", 16 * GIB, "steps")
    for i, size in enumerate((1, 4, 8, 2)):
        d.add(i * 4 * HOUR, 700 * MIB)
        d.add(i * 4 * HOUR + 3 * HOUR, 700 * MIB + size * GIB)
        d.add(i * 4 * HOUR + 3 * HOUR + 5 * MINUTE, 700 * MIB)
    d.add(16 * HOUR, 700 * MIB)
    return d


def leak():
    d = Demand("a slow leak to the very end", 4 * GIB)
    d.add(0, 300 * MIB)
    d.add(8 * HOUR, 3700 * MIB)
    d.add(9 * HOUR, 3700 * MIB)
    return d


def loadshift():
    """An idle program of 70 % is swapped out while another of 70 % starts."""
    d = Demand("loadshift", 8 * GIB, swap=8 * GIB)
    d.add(0, 6 * GIB, idle=5.6 * GIB, cold=GIB)
    d.add(10 * MINUTE, 6 * GIB, idle=5.6 * GIB, cold=GIB)
    d.add(12 * MINUTE, 11.6 * GIB, idle=5.6 * GIB, cold=GIB)
    d.add(30 * MINUTE, 11.6 * GIB, idle=5.6 * GIB, cold=GIB)
    return d


def stream():
    """A file of twice the RAM that is read from end to end, for ever."""
    d = Demand("a stream", 8 * GIB)
    d.add(0, GIB, cold=16 * GIB)
    d.add(6 * HOUR, GIB, cold=16 * GIB)
    return d


def hot_cache(period):
    """A data base whose cache is what it lives on, and a nightly copy of everything."""
    d = Demand(f"hot cache, looked at once in {period} s", 16 * GIB, period=period)
    for day in range(3):
        for hour in range(24):
            night = 2 <= hour < 4
            d.add(day * DAY + hour * HOUR, 2 * GIB, hot=(4 if night else 6) * GIB)
    return d


def month(name, ram, between, seed, need):
    """Ten days of five-minute rows; need(t, random) is a share of RAM."""
    rnd = random.Random(seed)
    d = Demand(name, ram, between)
    for t in range(0, 10 * DAY, 5 * MINUTE):
        d.add(t, max(min(need(t, rnd), 0.95), 0.01) * ram)
    return d


def office(t, rnd):
    busy = 8 * HOUR <= t % DAY < 18 * HOUR and t // DAY % 7 < 5
    return (0.35 if busy else 0.10) + rnd.gauss(0, 0.03 if busy else 0.005)


def nightly(t, rnd):
    job = 2 * HOUR <= t % DAY < 2 * HOUR + 40 * MINUTE
    return (0.70 if job else 0.08) + rnd.gauss(0, 0.005)


class Bursty:
    """Idle, with bursts of any size that last some minutes, now and then."""

    def __init__(self, an_hour, mean):
        self.chance, self.mean, self.now, self.left = an_hour / 12, mean, 0.0, 0

    def __call__(self, t, rnd):
        if self.left == 0 and rnd.random() < self.chance:
            self.now, self.left = min(rnd.expovariate(1 / self.mean), 0.7), rnd.randint(1, 4)
        if self.left:
            self.left -= 1
            return 0.05 + self.now
        return 0.05 + rnd.gauss(0, 0.003)


class Wanders:
    """A random walk that is drawn back to its middle."""

    def __init__(self):
        self.x = 0.3

    def __call__(self, t, rnd):
        self.x += (0.3 - self.x) * 0.02 + rnd.gauss(0, 0.015)
        return self.x


def months():
    yield month("office hours", 32 * GIB, "linear", 1, office)
    yield month("office hours, in steps", 32 * GIB, "steps", 1, office)
    yield month("nightly job", 8 * GIB, "steps", 2, nightly)
    yield month("bursts, rare", 16 * GIB, "steps", 3, Bursty(0.1, 0.15))
    yield month("bursts, often", 16 * GIB, "linear", 4, Bursty(0.5, 0.10))
    yield month("wandering", 32 * GIB, "steps", 5, Wanders())
