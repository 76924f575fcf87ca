# SPDX-License-Identifier: GPL-2.0-or-later
"""The footprint promises, in a short form of tests/bench/footprint.py: private memory below 1.5 MiB,
and less CPU and fewer wakeups than systemd-oomd, which runs beside it.

Short windows are noisy, but what is compared differs by far more than noise, and the median of
three counts. Left out: earlyoom, which is measured and shown but is no goal; growth (tests/bus/test-growth.py).
"""
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib"), os.path.join(HERE, "..", "..", "bench")]

import footprint                        # noqa: E402
import tap                              # noqa: E402
from harness import debian              # noqa: E402

PRIVATE_MAX_KIB = 1536


@tap.case("beside earlyoom and systemd-oomd", timeout=400)
def beside(t):
    with debian.debian(t, "6.1", name="footprint", memory=footprint.RAM) as g:
        t.on_failure(lambda: g.journal("balloond", 10))
        result = footprint.measure(g, windows=3, seconds=6, report=t.diag)
        for line in footprint.table(result).splitlines():
            t.diag(line)
        for condition, by in footprint.medians(result).items():
            ours, oomd = by["balloond"], by["systemd-oomd"]
            with t.subtest(f"{condition}: private memory"):
                t.check(ours["private_kib"] < PRIVATE_MAX_KIB, f"{ours['private_kib']} KiB")
            for measure in ("cpu_s_per_h", "wakeups_per_min"):
                with t.subtest(f"{condition}: {measure} below systemd-oomd's"):
                    t.check(ours[measure] < oomd[measure], f"{ours[measure]:.1f}, systemd-oomd {oomd[measure]:.1f}")
        g.sh("systemctl stop balloond earlyoom systemd-oomd systemd-oomd.socket", 60)


if __name__ == "__main__":
    tap.main()
