# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the host takes what it is given: PROVE, with hosts that do and hosts that do not.

What a host does with a page is decided by what the guest's memory lies in, which QEMU is
told on its command line; each case says what it expects of which size, and why."""
import contextlib
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import BALLOON, INFLATE_ONLY, MIB, PAGES_PER_MIB, both, balloon, tap   # noqa: E402
from harness import emulator                                          # noqa: E402
from harness.paths import locked                                      # noqa: E402

# PROVE itself may change none of these.
STILL = ("size_pages", "available_pages", "gone_pages", "locked_4k_pages", "locked_2m_pages", "unlocked_4k_pages",
         "unlocked_2m_pages", "refused_pages", "lock_calls", "unlock_calls", "ceiling_pages", "floor_pages",
         "generation", "inflight_pages", "inflight_batches", "host_timeout_events")
NO_OOM = INFLATE_ONLY.replace(",deflate-on-oom=on", "")
LOCKED = ["-overcommit", "mem-lock=on"]
HUGE = "/sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages"


def prove(b, size, times, answer):
    """@times proofs with pages of @size, which all must have the same answer; nothing else may change."""
    before = b.state()
    a = b.ok(f"prove {size} {times}", timeout=600)
    pages = times * (512 if size == "2m" else b.page)
    want = {"unknown": 0, "taken": 0, "kept": 0, answer: times, "pages": pages, "stop": "DONE",
            "gone_pages": pages if answer == "taken" else 0}
    b.t.equal({k: a[k] for k in want}, want, f"{times} times {size}")
    after = b.state()
    b.t.equal({k: after[k] for k in STILL}, {k: before[k] for k in STILL}, "what it leaves alone")
    b.t.equal({k: after[k] - before[k] for k in ("proofs_taken", "proofs_kept")},
              {k: times if k == f"proofs_{answer}" else 0 for k in ("proofs_taken", "proofs_kept")}, "counters")
    return a["us"] / times


def both_sizes(b, answer, large=20, small=100):
    """The same answer for both sizes of pages, with an empty balloon and with one that is not."""
    prove(b, "2m", large, answer)
    prove(b, "4k", small, answer)
    b.lock("2m", 20)
    b.lock("4k", 10)
    prove(b, "2m", 2, answer)
    prove(b, "4k", 2, answer)
    b.t.equal(b.actual_mib(), 30, "the balloon as the host sees it, MiB")
    b.balanced()


def healthy(t, series):
    with balloon(t, series) as b:
        both_sizes(b, "taken")


def mem_lock(t, series):
    """Locked memory cannot be discarded: QEMU answers, and says so on its standard error only."""
    with balloon(t, series, devices=[LOCKED]) as b:
        both_sizes(b, "kept")


both("a host that takes pages", healthy)
both("-overcommit mem-lock=on", mem_lock)

if __name__ == "__main__":
    tap.main()
