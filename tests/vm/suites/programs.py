# SPDX-License-Identifier: GPL-2.0-or-later
"""What real programs in a real guest meet when its memory is in the balloon: nothing that they notice.

2 GiB, no swap, the configuration as installed. One boot a kernel; each program runs without a balloon,
then at rest with it (programs_lib.py), and the same outcome is demanded: what starts,
lives and fits without a balloon does so with it, and what asks how much memory there is gets the
same answer. Nobody is killed, no emergency counted. `check` runs all of them on the newer kernel and on the
older one those for which the kernel decides; `systems` all of them there, too.

At the end of a run stand the times side by side. They are not judged here, because a loaded machine
has its own; `./bootstrap bench programs` does. BALLOOND_PROGRAMS_CSV names a file for all of it.

The image: 2 GiB, 0.8 of them used, made in one or two minutes (printed at the start of each run).
A kernel takes 9 to 10 minutes on two CPUs beside two other guests (523 s on 6.1, 584 s on 6.12 at loads of 3 to 5).
"""
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import programs_killers                                               # noqa: E402
import programs_lib                                                   # noqa: E402
import programs_memory                                                # noqa: E402
import programs_servers                                               # noqa: E402
import tap                                                            # noqa: E402
from harness import kernels                                           # noqa: E402

CASES = (
    *programs_memory.CASES,
    *((p.name, lambda t, b, p=p: programs_lib.compare(t, b, p)) for p in programs_servers.PROGRAMS),
    *programs_killers.CASES,
)
WITHOUT = (*programs_memory.WITHOUT, *programs_servers.PROGRAMS, *programs_killers.PROGRAMS)
boots = [programs_lib.Boot(series) for series in kernels.SERIES]


def ends(t, b):
    g = b.guest(t)
    b.stop()
    g.finish()
    b.g = None


def chosen(series):
    """Those programs that will run with a balloon, too."""
    return [p for p in WITHOUT if not sys.argv[1:] or any(a in f"{series}: {p.name}" for a in sys.argv[1:])]


for boot in boots:
    tap.add(f"{boot.series}: without a balloon", programs_lib.references, boot, chosen(boot.series), timeout=1500)
    for name, fn in CASES:
        tap.add(f"{boot.series}: {name}", fn, boot, timeout=600)
    tap.add(f"{boot.series}: verdict of the guest", ends, boot, timeout=300)


@tap.teardown
def show():
    for b in boots:
        b.kill()
        if b.rows:
            tap.diag(f"{b.series}, side by side:")
            tap.diag("\n".join(programs_lib.table(b.rows)))
    path = os.environ.get("BALLOOND_PROGRAMS_CSV")
    if path:
        out = programs_lib.Csv(path)
        for b in boots:
            out.add(b.series, 1, b.rows)


if __name__ == "__main__":
    tap.main()
