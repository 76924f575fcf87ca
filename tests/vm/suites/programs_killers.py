# SPDX-License-Identifier: GPL-2.0-or-later
"""earlyoom and systemd-oomd as their packages set them up, beside programs that grow.

Nobody may be killed who lives without a balloon. The killers judge by MemAvailable, by shares of
MemTotal and by swap, so that they see a balloon as memory that is lost.

The slow programs grow all at once, to less than the fast one alone, for as long as it takes a balloon
at rest to be in their way; tests/bench/programs.py takes more time.
"""
import contextlib
import re

from programs_lib import EAT, OK, SWAP, UNIT, Program, Result, at_rest, reference, share

RATES = (2, 10, 30)
GROWTH_S = 13
# Unless it has something to swap, systemd-oomd watches pressure alone.
SLICE = "/run/systemd/system/programs.slice"


@contextlib.contextmanager
def killer(b, unit):
    """The unit runs; what it has killed is in the list afterwards."""
    killed = []
    cursor = b.g.sh("journalctl -n 1 --show-cursor | sed -n 's/^-- cursor: //p'").strip()
    b.g.sh(f"systemctl start {unit}", 60)
    try:
        yield killed
    finally:
        b.g.run(f"systemctl stop {unit} {unit}.socket 2>/dev/null; systemctl reset-failed {unit}", 60)
        said = b.g.sh(f"journalctl --no-pager -o cat -u {unit} --after-cursor '{cursor}'")
        killed += re.findall(r"^.*(?:sending SIG|Killed /).*$", said, re.M)


def earlyoom(name, *arguments):
    """Programs that grow at the same time, one for each of @arguments."""
    def run(b):
        with killer(b, "earlyoom") as killed:
            jobs = [b.g.spawn(f"exec python3 {EAT} grow {a} 2>&1", 600) for a in arguments]
            ends = [job.wait() for job in jobs]
        times = {}
        for (status, text), a in zip(ends, arguments):
            said = dict(re.findall(r"(\w+)=(\d+)", text))
            if status == 0:
                who = f" ({a.split()[2]} MiB/s)" if len(arguments) > 1 else ""
                times |= {f"all{who}": float(said["ms"]), f"longest step{who}": float(said["longest_ms"])}
        return Result({"exit statuses": [status for status, _ in ends], "killed": killed}, times)
    return Program(f"earlyoom, {name}", run, {"exit statuses": [0] * len(arguments), "killed": []})


def slow(rates=RATES, seconds=GROWTH_S):
    return earlyoom(f"growth of {', '.join(map(str, rates))} MiB/s for {seconds} s",
                    *(f"{rate * seconds} 1 {rate} 1" for rate in rates))


def oomd(b):
    """In a slice that may be killed from when swap is full."""
    g = b.g
    g.sh(f"mkdir -p /run/systemd/system && printf '[Slice]\\nManagedOOMSwap=kill\\n' > {SLICE} && systemctl daemon-reload")
    try:
        with killer(b, "systemd-oomd") as killed:
            r = b.eat(f"grow {share(60)} 1 0 2", before=f"{UNIT} --slice=programs.slice")
        r.outcome["killed"] = killed
    finally:
        g.run(f"systemctl stop programs.slice; rm {SLICE}; systemctl daemon-reload")
    return r


def with_swap(t, b):
    b.guest(t).sh(f"mkswap {SWAP} >/dev/null && swapon {SWAP}")
    t.defer(lambda: b.g.sh(f"swapoff {SWAP}", 60))
    p = Program("systemd-oomd, swap, 60 % of RAM in 1 MiB steps", oomd, {"ends": OK, "killed": []})
    at_rest(t, b, p, reference(t, b, p), fresh=True)


def fresh(p):
    def case(t, b):
        at_rest(t, b, p, reference(t, b, p), fresh=True)
    return p.name, case


PROGRAMS = (slow(), earlyoom("60 % of RAM as fast as possible", f"{share(60)} 1 0 1"),
            earlyoom("60 % of RAM in one piece", f"{share(60)} {share(60)} 0 1"))
CASES = (*map(fresh, PROGRAMS), ("systemd-oomd, swap and ManagedOOMSwap=kill", with_swap))
