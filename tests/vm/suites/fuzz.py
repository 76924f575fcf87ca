# SPDX-License-Identifier: GPL-2.0-or-later
"""Random calls of the device beside all that can happen to a guest: see fuzz_lib.py.

The seed is the day's, so that what one run has found another one finds as well: FUZZ_SEED gives
another one. Longer: `./bootstrap bench fuzz`.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import DRIVER, answer, both, tap                        # noqa: E402
import fuzz_lib                                                       # noqa: E402

SECONDS = 60
SEED = int(os.environ.get("FUZZ_SEED") or time.strftime("%Y%m%d", time.gmtime()))


@tap.case("a seed is a sequence (6.12)")
def sequence(t):
    def steps(*arguments):
        return t.run([fuzz_lib.program("ubfuzz"), "list", *map(str, arguments)], status=0).stdout.splitlines()
    first = steps(SEED, 3, 2000)
    with t.subtest("the same seed, thread and number are the same step"):
        t.equal(steps(SEED, 3, 2000), first, "steps")
        t.equal(steps(SEED, 3, 10), first[:10], "the first ones")
    with t.subtest("another seed or thread is another sequence"):
        for other in (steps(SEED + 1, 3, 2000), steps(SEED, 4, 2000)):
            t.check(sum(a == b for a, b in zip(first, other)) < 20, "hardly a step is the same")
    with t.subtest("all calls, valid and not"):
        words = [line.split() for line in first]
        for kind in ("info", "state", "target", "lock", "unlock", "pop", "prove"):
            mine = [w for w in words if w[1] == kind]
            bad = sum("must-fail" in w for w in mine)
            t.check(0 < bad < len(mine), f"{kind}: {bad} of {len(mine)} are spoilt")
        others = {"keepalive", "junk", "poll", "epoll", "open", "other", "show", "parameter", "child", "close"}
        t.equal(others - {w[1] for w in words}, set(), "kinds that are missing")
    with t.subtest("what is no seed is refused"):
        for bad in ("", "x", "-1", "1.5", str(2**64)):
            t.check("usage" in t.run([fuzz_lib.program("ubfuzz"), "run", bad], status=2).stderr, bad)


def fuzz(t, series):
    t.diag(f"seed {SEED}; again with FUZZ_SEED={SEED}")
    with fuzz_lib.guest(t, series, lifetime=1500) as b:
        counts = fuzz_lib.Fuzz(t, b, SEED, t.diag).go(SECONDS)
    t.diag(", ".join(f"{name} {n}" for name, n in counts.items()))


def failing(t, series):
    """Each allocation of a load, a probe, an open and the calls fails once."""
    with fuzz_lib.guest(t, series, lifetime=3000) as b:
        free = b.free()

        def fail(what, *arguments):
            with t.subtest(" ".join((what, *arguments))):
                a = answer(b.g.sh(f"failnth {what} {' '.join(arguments)} | sed 's/^/failnth /'", 900))
                t.diag(f"{what}: {a}")
                t.equal(a["last"], "OK", "what comes of it when nothing fails")
                t.check(a["points"] > 0, "something failed")
        ko = "/lib/modules-test/uballoon.ko"
        for parameters in (("host=none",), ("host=none none_told=1",), ()):
            fail("load", ko, *(f"'{p}'" for p in parameters))
        device = b.device()
        fail("write", f"{DRIVER}/bind", device, f"{DRIVER}/unbind")
        for what in ("open", "calls"):
            fail(what)
        with t.subtest("afterwards"):
            b.ok("pop")
            t.wait(lambda: not b.state()["size_pages"], 60, "the balloon is empty")
            b.balanced()
            t.wait(lambda: b.free() >= free - b.g.end_tolerance, 30, "free memory is as before")


both("calls beside everything", fuzz, timeout=400)
# They need a kernel that can be told so (CONFIG_FAULT_INJECTION), which no Debian has.
for name in ("6.12 debug", "6.12 gcov"):
    if any(f"({name})" in argument for argument in sys.argv[1:]):
        tap.add(f"allocations that fail ({name})", failing, name, timeout=900)

if __name__ == "__main__":
    tap.main()
