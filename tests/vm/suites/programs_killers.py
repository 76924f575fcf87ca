# SPDX-License-Identifier: GPL-2.0-or-later
"""earlyoom and systemd-oomd as their packages set them up, beside programs that grow.

Nobody may be killed who lives without a balloon. The killers judge by MemAvailable, by shares of
MemTotal and by swap, so that they see a balloon as memory that is lost.

The slow programs grow all at once, to less than the fast one alone, for as long as it takes a balloon
at rest to be in their way; tests/bench/programs.py takes more time.
"""
import contextlib
import re

from programs_lib import EAT, OK, SWAP, SWAP_MIB, UNIT, Program, Result, at_rest, reference, share

RATES = (2, 10, 30)
GROWTH_S = 11
# Unless it has something to swap, systemd-oomd watches pressure alone.
SLICE = "/run/systemd/system/programs.slice"


@contextlib.contextmanager
def killer(b, unit):
    """The unit runs; what it says to have killed is in the list afterwards. (The guest's log level keeps
    systemd-oomd from saying it.)"""
    killed = []
    cursor = b.g.sh("journalctl -n 1 --show-cursor | sed -n 's/^-- cursor: //p'").strip()
    b.g.sh(f"systemctl start {unit}", 60)
    try:
        yield killed
    finally:
        b.g.run(f"systemctl stop {unit} {unit}.socket 2>/dev/null; systemctl reset-failed {unit}", 60)
        said = b.g.sh(f"journalctl --no-pager -o cat -u {unit} --after-cursor '{cursor}'")
        killed += re.findall(r"^.*sending SIG\w+ to process.*$", said, re.M)


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
                times |= {f"all{who}": int(said["ms"]), f"longest step{who}": int(said["longest_ms"])}
        return Result({"exit statuses": [status for status, _ in ends], "killed": killed}, times)
    return Program(f"earlyoom, {name}", run, {"exit statuses": [0] * len(arguments), "killed": []})


def slow(rates=RATES, seconds=GROWTH_S):
    return earlyoom(f"growth of {', '.join(map(str, rates))} MiB/s for {seconds} s",
                    *(f"{rate * seconds} 1 {rate} 1" for rate in rates))


def oomd(b):
    """Beside a program that has long been swapped out: its are the pages that systemd-oomd goes by."""
    with killer(b, "systemd-oomd"):
        r = b.eat(f"grow {share(60)} 1 0 2", before=f"{UNIT} --slice=programs.slice")
    return Result(r.outcome | {"the swapped": b.g.property("test-swapped", "ActiveState")}, r.times)


@contextlib.contextmanager
def swap_full(b):
    """A slice that may be killed from when swap is full, and a program in it that fills swap."""
    g = b.g
    b.stop()
    g.sh(f"mkswap {SWAP} >/dev/null && swapon {SWAP} && mkdir -p /run/systemd/system && "
         f"printf '[Slice]\\nManagedOOMSwap=kill\\n' > {SLICE} && systemctl daemon-reload")
    try:
        g.sh("systemd-run --quiet --collect --unit=test-swapped --slice=programs.slice "
             f"python3 {EAT} grow {SWAP_MIB + 20} 1 0 100000", 60)
        group = "/sys/fs/cgroup/programs.slice/test-swapped.service"
        g.sh(f"until [ $(cat {group}/memory.current) -gt {SWAP_MIB + 20 << 20} ]; do sleep 0.2; done; "
             f"until awk '/SwapFree/ {{ exit $2 > {SWAP_MIB * 1024 // 50} }}' /proc/meminfo; do "
             f"echo 8M > {group}/memory.reclaim || sleep 0.2; done", 60)
        yield
    finally:
        b.stop()
        g.run(f"systemctl stop test-swapped programs.slice; rm {SLICE}; systemctl daemon-reload; swapoff {SWAP}", 60)


def case(p):
    def run(t, b):
        at_rest(t, b, p, reference(t, b, p), fresh=True)
    return p.name, run


PROGRAMS = (
    slow(),
    earlyoom("60 % of RAM as fast as possible", f"{share(60)} 1 0 1"),
    earlyoom("60 % of RAM in one piece", f"{share(60)} {share(60)} 0 1"),
    Program("systemd-oomd, ManagedOOMSwap=kill, 60 % of RAM in 1 MiB steps", oomd,
            {"ends": OK, "the swapped": "active"}, swap_full),
)
CASES = tuple(map(case, PROGRAMS))
