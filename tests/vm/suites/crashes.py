# SPDX-License-Identifier: GPL-2.0-or-later
"""A service that crashes five times in ten seconds goes on: on this machine's Debian, in one guest.

What is tried is in crashes_lib.py; debian13_guest.py does the same with Debian 13's systemd.
"""
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                            # noqa: E402
import crashes_lib                                    # noqa: E402
from harness import debian, kernels                   # noqa: E402

_guest = None


def guest(t):
    global _guest
    if _guest is None:
        _guest = debian.guest(kernels.SERIES[0], "crashes", lifetime=3000, report=t.diag)
        _guest.start()
        _guest.sh("systemctl enable --now balloond 2>&1", 300)
    t.on_failure(lambda: _guest.journal("balloond", 30))
    return _guest


def on_guest(t, case):
    case(t, guest(t))


for _name, _case, _timeout in crashes_lib.CASES:
    tap.add(_name, on_guest, _case, timeout=_timeout)


@tap.case("verdict of the guest", timeout=200)
def ends(t):
    global _guest
    g, _guest = guest(t), None
    t.defer(g.kill)
    g.sh("systemctl disable --now balloond 2>&1", 300)
    g.finish()


@tap.teardown
def kill():
    if _guest:
        _guest.kill()


if __name__ == "__main__":
    tap.main()
