# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of the footprint that no machine's speed changes: private memory stays below 1.5 MiB, with a balloon,
in an idle guest and under load.

Left out: CPU time and wakeups beside systemd-oomd's, which are figures of a quiet machine
(./bootstrap bench footprint); growth (tests/bus/test-growth.py).
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib"), os.path.join(HERE, "..", "..", "bench")]

import footprint                        # noqa: E402
import tap                              # noqa: E402
from harness import debian              # noqa: E402

LOAD_S = 12


def small(t, g, condition):
    _, seen = footprint.look(g, ("balloond",))
    ours = seen["balloond"]
    t.diag(f"{condition}: private {ours['private_kib']} KiB, {ours['dirty_kib']} of it dirty; RSS {ours['rss_kib']} KiB")
    with t.subtest(f"{condition}: private memory"):
        t.check(ours["private_kib"] < footprint.PRIVATE_MAX_KIB, f"{ours['private_kib']} KiB")


@tap.case("private memory", timeout=300)
def private_memory(t):
    with debian.debian(t, "6.1", name="footprint", memory=footprint.RAM) as g:
        t.on_failure(lambda: g.journal("balloond", 10))
        g.sh("systemctl start balloond", 60)
        t.wait(lambda: json.loads(g.sh("balloonctl status --json"))["size"] > g.memory // 4, 90, "it inflates")
        small(t, g, "idle")
        status, text = g.run(footprint.LOAD.format(LOAD_S), LOAD_S + 60)
        t.equal(status, 0, f"exit status of the load ({text})")
        small(t, g, "after a load")
        g.sh("systemctl stop balloond", 60)


if __name__ == "__main__":
    tap.main()
