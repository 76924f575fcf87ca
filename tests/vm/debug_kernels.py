# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: debug_kernels.py [NAME ...]

Builds the kernels that are built here (harness/built.py), or those named, if they are not in the cache, and says of
each what it was made of and how long that took.
"""
import os
import sys

sys.path[0] = os.path.dirname(os.path.realpath(__file__))

from harness import built                                             # noqa: E402
from harness.paths import HarnessError                                # noqa: E402


def main():
    names = sys.argv[1:] or built.SERIES
    if not set(names) <= set(built.SERIES):
        sys.exit(__doc__)
    for name in names:
        try:
            build = built.Build(*name.split())
        except HarnessError as e:
            sys.exit(f"{name}: {e}")
        with open(os.path.join(build.root, "made")) as f:
            print(f"{name}: {build.release}, of linux-source {f.read().strip()}", flush=True)


if __name__ == "__main__":
    main()
