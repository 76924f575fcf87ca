# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: footprint.py [--windows N] [--seconds S] [--kernel SERIES] [--csv FILE]

What balloond costs its guest, beside earlyoom and systemd-oomd: the three run at
once in one Debian guest, each as its package sets it up, first idle, then under
a load that takes and gives back memory and reads files all the time.

  rss, pss, private   KiB, as /proc/PID/smaps_rollup has them; private is clean and dirty
  dirty               KiB, the part of private that only this process can have
  cpu                 seconds an hour that its threads ran (/proc/PID/task/*/schedstat)
  wakeups             a minute: switches to it, voluntary or not (/proc/PID/task/*/status)

Medians over N windows of S seconds. Prints a table and whether the goals are met: private memory
below 1.5 MiB, less CPU time and fewer wakeups than systemd-oomd; the exit status says so, too. All windows go
into the CSV. The first goal alone does not depend on the machine, and so it alone
is a test (tests/vm/suites/footprint.py).

An emulated CPU is many times slower than a real one, so the seconds compare the
three and are not those of a real machine. balloond moves memory while it is
settling; the idle windows begin when it has come to rest, because that is how a
guest spends its days. What the kernel does on a program's behalf outside of it
(PSI's own thread, the module's worker) is not counted for anybody.
"""
import argparse
import csv
import json
import os
import re
import statistics
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "vm"))

from harness import debian            # noqa: E402
from harness.paths import TOP         # noqa: E402

MIB = 1 << 20
RAM = 1024 * MIB
SERVICES = ("balloond", "earlyoom", "systemd-oomd")
MEASURES = ("rss_kib", "pss_kib", "private_kib", "dirty_kib", "cpu_s_per_h", "wakeups_per_min")
HEADINGS = ("RSS KiB", "PSS KiB", "private KiB", "dirty KiB", "CPU s/h", "wakeups/min")
# balloond's own goals; those below are in comparison with systemd-oomd.
PRIVATE_MAX_KIB = 1536
LESS_THAN_OOMD = ("cpu_s_per_h", "wakeups_per_min")
# Two programs that fill and drop 200 MiB, in steps, and one that reads and writes files.
LOAD = ("stress-ng --vm 2 --vm-bytes 200M --vm-hang 1 --hdd 1 --hdd-bytes 64M "
        "--temp-path /var/tmp --timeout {}")

# One look at some services, with the clock, in one go of the guest's shell.
LOOK = """
cut -d' ' -f1 /proc/uptime
for s in {}; do
	p=$(systemctl show -P MainPID $s) || exit 1
	[ "$p" != 0 ] || {{ echo "$s does not run" >&2; exit 1; }}
	echo "service $s $p"
	cat /proc/$p/task/*/schedstat
	cat /proc/$p/task/*/status | grep ctxt_switches
	cat /proc/$p/smaps_rollup
done
"""


def look(g, services=SERVICES):
    """(seconds since boot, {service: numbers}); numbers since the start of the process."""
    head, *parts = re.split(r"^service ", g.sh(LOOK.format(" ".join(services))), flags=re.M)
    out = {}
    for part in parts:
        name, pid = part.split()[:2]
        memory = {m[1]: int(m[2]) for m in re.finditer(r"^(\w+):\s+(\d+) kB$", part, re.M)}
        out[name] = {
            "pid": int(pid),
            "cpu_ns": sum(int(n) for n in re.findall(r"^(\d+) \d+ \d+$", part, re.M)),
            "wakeups": sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)$", part, re.M)),
            "rss_kib": memory["Rss"],
            "pss_kib": memory["Pss"],
            "private_kib": memory["Private_Clean"] + memory["Private_Dirty"],
            "dirty_kib": memory["Private_Dirty"],
        }
    return float(head), out


def window(g, seconds):
    """{service: {measure: value}} of one window."""
    began, before = look(g)
    time.sleep(seconds)
    ended, after = look(g)
    out = {}
    for name in SERVICES:
        a, b = before[name], after[name]
        if a["pid"] != b["pid"]:
            raise RuntimeError(f"{name} was restarted while it was measured")
        span = ended - began
        out[name] = {m: b[m] for m in MEASURES if m.endswith("_kib")}
        out[name]["cpu_s_per_h"] = (b["cpu_ns"] - a["cpu_ns"]) / 1e9 * 3600 / span
        out[name]["wakeups_per_min"] = (b["wakeups"] - a["wakeups"]) * 60 / span
    return out


def settle(g, timeout=180):
    """Waits until balloond rests: a balloon, and no more ticks than its idle interval has. Its status."""
    end = time.monotonic() + timeout
    s = json.loads(g.sh("balloonctl status --json"))
    while time.monotonic() < end:
        ticks, size = s["ticks"], s["size"]
        time.sleep(15)
        s = json.loads(g.sh("balloonctl status --json"))
        if s["size"] == size > 0 and s["ticks"] - ticks <= 4:
            break
    return s


def measure(g, windows, seconds, report=lambda text: None):
    """{condition: {service: {measure: [value of each window]}}} in the running guest @g."""
    g.sh("systemctl start earlyoom systemd-oomd balloond", 60)
    s = settle(g)
    report(f"begins with a balloon of {s['size'] // MIB} MiB: {s['reason_text']}")
    out = {}
    for condition in ("idle", "loaded"):
        load = g.spawn(LOAD.format(windows * (seconds + 5) + 30), windows * (seconds + 5) + 60) \
            if condition == "loaded" else None
        if load:
            time.sleep(5)
        seen = [window(g, seconds) for _ in range(windows)]
        out[condition] = {s: {m: [w[s][m] for w in seen] for m in MEASURES} for s in SERVICES}
        if load:
            if not load.running():
                raise RuntimeError(f"there was no load: {load.output}")
            load.kill()
        s = json.loads(g.sh("balloonctl status --json"))
        report(f"{condition}: ended with a balloon of {s['size'] // MIB} MiB: {s['reason_text']}")
    return out


def medians(result):
    """{condition: {service: {measure: median}}}"""
    return {c: {s: {m: statistics.median(v) for m, v in ms.items()} for s, ms in by.items()}
            for c, by in result.items()}


def table(result):
    out = ["| | |" + "".join(f" {h} |" for h in HEADINGS), "|---|---|" + "---:|" * len(HEADINGS)]
    for condition, by in medians(result).items():
        for service, values in by.items():
            cells = (f" {values[m]:.1f} |" if m == "cpu_s_per_h" else f" {values[m]:.0f} |" for m in MEASURES)
            out.append(f"| {condition} | {service} |" + "".join(cells))
    return "\n".join(out)


def goals(result):
    """[(goal, whether it is met)]"""
    out = []
    for condition, by in medians(result).items():
        ours, oomd = by["balloond"], by["systemd-oomd"]
        out.append((f"{condition}: private memory of {ours['private_kib']:.0f} KiB is below {PRIVATE_MAX_KIB} KiB",
                    ours["private_kib"] < PRIVATE_MAX_KIB))
        out += [(f"{condition}: {m} of {ours[m]:.1f} is below systemd-oomd's {oomd[m]:.1f}", ours[m] < oomd[m])
                for m in LESS_THAN_OOMD]
    return out


def write_csv(result, path):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(("condition", "service", "window", *MEASURES))
        for condition, by in result.items():
            for service, values in by.items():
                for i, row in enumerate(zip(*(values[m] for m in MEASURES)), 1):
                    rows.writerow((condition, service, i, *(f"{v:.3f}".rstrip("0").rstrip(".") for v in row)))


def main():
    parser = argparse.ArgumentParser(description="What balloond costs, beside earlyoom and systemd-oomd.")
    parser.add_argument("--windows", type=int, default=5, help="windows for each condition (default 5)")
    parser.add_argument("--seconds", type=int, default=60, help="length of a window (default 60)")
    parser.add_argument("--kernel", default="6.1", help="kernel of the guest: 6.1 (default) or 6.12")
    parser.add_argument("--csv", default=os.path.join(TOP, "build", "bench", "footprint.csv"), metavar="FILE")
    args = parser.parse_args()
    if args.windows < 1 or args.seconds < 1:
        parser.error("--windows and --seconds want at least 1")
    lifetime = 2 * args.windows * (args.seconds + 10) + 600
    with debian.guest(args.kernel, "footprint", memory=RAM, lifetime=lifetime,
                      report=lambda text: print(text, flush=True)) as g:
        result = measure(g, args.windows, args.seconds, report=lambda text: print(text, flush=True))
        g.sh("systemctl stop balloond earlyoom systemd-oomd systemd-oomd.socket", 60)
    print(table(result))
    write_csv(result, args.csv)
    print(f"all windows: {args.csv}")
    for goal, met in goals(result):
        print(f"{'met' if met else 'MISSED'}: {goal}")
    sys.exit(0 if all(met for _, met in goals(result)) else 1)


if __name__ == "__main__":
    main()
