# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest model of `balloonctl simulate` against a real guest.

A program whose demand is known step by step lives in a Debian guest with the
real module, host and daemon, and `balloonctl record` writes down what happens.
Then the simulator is given nothing but the demand, as the program itself has
logged it, and what the guest had at the beginning; what it predicts for
MemAvailable, balloon and stalls stands beside what was recorded.

The demand goes up slowly (the daemon follows), falls, then a file is read once
(cold cache), then it goes up faster than anybody looks. In between there is
time to inflate: hold-offs are seconds here, for both.

Left out: swap, and exact times. The daemon looks once a second here, and begins
when it begins: in the burst, a moment decides whether half of the
balloon is enough or all of it goes. Emulated CPUs are an order of magnitude
slower than what the model's rates are for. The bounds are wide enough for that,
and far below what a wrong model shows.
"""
import csv
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                              # noqa: E402
from harness import debian              # noqa: E402

MIB = 1 << 20
RAM = 2048 * MIB
CONFIG = 'idle_interval = "1s"; tail: { hold_off = "1s"; stall_price = "8M"; };\n'

# Logs what it holds (MiB), before and after each change, with the time of the recording.
# Pieces of 40 MiB: malloc() gives each of them back to the kernel at once.
WORKLOAD = r"""
use strict;
$| = 1;
my ($file, $zero, @held) = ("/run/recording.csv");
sub up { open(my $f, "<", "/proc/uptime") or die; return (split " ", <$f>)[0]; }
sub pause { select(undef, undef, undef, shift); }
sub note { printf "%.2f %s %d\n", up() - $zero, @_; }
sub hold {
	my ($mib, $gap) = @_;
	while (40 * @held != $mib) {
		note("anon", 40 * @held);
		if (40 * @held < $mib) { push @held, ""; vec($held[-1], (40 << 20) - 1, 8) = 1; }
		else { pop @held while 40 * @held > $mib; }
		note("anon", 40 * @held);
		pause($gap);
	}
}
my $recorder = fork();
exec("balloonctl", "record", "--interval", "250ms", $file) if !$recorder;
for (;;) { my $rows = 0; if (open(my $f, "<", $file)) { $rows++ while <$f>; } last if $rows > 2; pause(0.005); }
$zero = up();
pause(12);
hold(440, 1.2);
pause(3);
hold(0, 0);
pause(9);
note("file", 0);
open(my $f, "<", "/var/tmp/cold") or die;
for (1 .. 280) { sysread($f, my $piece, 1 << 20); pause(0.01); }
note("file", 280);
pause(3);
note("burst", 0);
hold(720, 0);
pause(6);
kill("INT", $recorder);
waitpid($recorder, 0);
note("end", $? >> 8);
"""


def lived(t, g):
    """Has the guest live through it: (recording, log of the workload)."""
    g.put(CONFIG.encode(), "/etc/balloond.conf", 0o644)
    g.put(WORKLOAD.encode(), "/var/tmp/workload.pl")
    g.sh("truncate -s 300M /var/tmp/cold")
    g.sh("systemctl start balloond", 60)
    log = [line.split() for line in g.sh("perl /var/tmp/workload.pl 2>/run/recorder.log", 120).splitlines() if line[0].isdigit()]
    t.equal(log[-1][1:], ["end", "0"], "the recorder's end")
    return g.read("/run/recording.csv"), [(float(a), b, int(c)) for a, b, c in log]


def at(log, kind, time):
    """What the log says of @kind at @time: linear between what it says before and after."""
    points = [(a, c) for a, b, c in log if b == kind]
    if not points or time <= points[0][0]:
        return points[0][1] if points else 0
    for (t0, v0), (t1, v1) in zip(points, points[1:]):
        if time <= t1:
            return v0 + (v1 - v0) * (time - t0) / max(t1 - t0, 0.001)
    return points[-1][1]


def simulate(t, folder, text, *args):
    """The simulator's (report, rows) for a trace."""
    path = os.path.join(folder, "trace.csv")
    config = os.path.join(folder, "balloond.conf")
    rows = os.path.join(folder, "rows.csv")
    for name, content in ((path, text), (config, CONFIG)):
        with open(name, "w") as f:
            f.write(content)
    p = subprocess.run([os.path.join(debian.build_dir(), "daemon/ctl/balloonctl"), "simulate", "--json", "--config",
                        config, "--csv", rows, *args, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       timeout=60)
    t.equal(p.returncode, 0, f"simulate ({p.stderr})")
    with open(rows) as f:
        return json.loads(p.stdout)[0], list(csv.DictReader(f))


def known_demand(recording, first_need, ram_kib, log):
    """A trace of what the program logged, on top of what the guest needed before."""
    lines = [f"# ram_kib: {ram_kib}", "t_s,need_kib,hot_cache_kib,cold_cache_kib,mem_available_kib,balloon_kib,mem_some_us"]
    for row in recording:
        time = float(row["t_s"])
        need = first_need + at(log, "anon", time) * 1024
        cold = int(recording[0]["inactive_file_kib"]) + at(log, "file", time) * 1024
        lines.append(f"{time:.3f},{need:.0f},{recording[0]['active_file_kib']},{cold:.0f},{row['mem_available_kib']},"
                     f"{ram_kib - int(row['mem_total_kib'])},{row['mem_some_us']}")
    return "\n".join(lines) + "\n"


def side_by_side(t, rows):
    t.diag("  time    need      available          balloon       stalled, ms")
    t.diag("     s     MiB    real  model      real  model      real  model")
    for row in rows[::8]:
        mib = {k: int(v) // 1024 for k, v in row.items() if k.endswith("_kib")}
        t.diag(f"{float(row['t_s']):6.1f} {mib['need_kib']:7} {mib['seen_mem_available_kib']:7} "
               f"{mib['mem_available_kib']:6}   {mib['seen_balloon_kib']:7} {mib['balloon_kib']:6}   "
               f"{int(row['seen_mem_some_us']) // 1000:7} {int(row['mem_some_us']) // 1000:6}")


def error(rows, field):
    """Average and largest difference of model and guest, bytes."""
    off = [abs(int(r[field]) - int(r["seen_" + field])) * 1024 for r in rows]
    return sum(off) / len(off), max(off)


def compare(t, report, rows, burst, room_kib, what):
    before = [r for r in rows if float(r["t_s"]) < burst]
    t.check(len(before) > 120, f"{len(before)} rows")
    for field, name in (("mem_available_kib", "MemAvailable"), ("balloon_kib", "the balloon")):
        average, most = error(before, field)
        all_of_it, _ = error(rows, field)
        t.diag(f"{what}: {name} is off by {average / MIB:.0f} MiB on average, {most / MIB:.0f} at most before the burst; "
               f"{all_of_it / MIB:.0f} on average over {len(rows)} rows")
        t.check(average < RAM // 14, f"{name} is off by less than 7 % of RAM before the burst")
        t.check(all_of_it < RAM // 5, f"{name} is off by less than 20 % of RAM, burst included")
    # When all is over, the burst has been served in both worlds: what it took is not in the balloon.
    for field in ("balloon_kib", "seen_balloon_kib"):
        least = min(int(r[field]) for r in rows if float(r["t_s"]) >= burst)
        t.check(least < room_kib < int(before[-1][field]),
                f"the burst deflates: {field} {before[-1][field]} -> {least}, with room for {room_kib}")
    c = report["against_recording"]
    t.diag(f"{what}: stalled for {1000 * c['mem_some_recorded_s']:.0f} ms, in the model {1000 * c['mem_some_model_s']:.0f}")
    t.check(abs(c["mem_some_recorded_s"] - c["mem_some_model_s"]) < 2, "stalls")
    t.equal(report["laws"][0]["oom_kills"], 0, "OOM kills in the model")


@tap.case("6.1: predicted and real", timeout=240)
def validation(t):
    g = debian.guest("6.1", "simulator", memory=RAM, lifetime=400, report=t.diag)
    t.defer(g.kill)
    t.on_failure(lambda: g.console_tail(5))
    g.start()
    text, log = lived(t, g)
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    ram_kib = max(int(r["ram_kib"] or r["mem_total_kib"]) for r in rows)
    burst = next(a for a, b, _ in log if b == "burst")
    room_kib = ram_kib - 1024 * max(c for _, b, c in log if b == "anon")
    with t.subtest("the real guest fared well"):
        t.equal(g.oom_kills(), 0, "OOM kills")
        t.check(max(ram_kib - int(r["mem_total_kib"]) for r in rows) > 1000 * 1024, "it inflated")
    if out := os.environ.get("BALLOOND_RECORDING"):
        with open(out, "w") as f:
            f.write(text)
    with tempfile.TemporaryDirectory() as folder:
        recorded, recorded_rows = simulate(t, folder, text)
        first = int(recorded_rows[0]["need_kib"])
        known, known_rows = simulate(t, folder, known_demand(rows, first, ram_kib, log))
    side_by_side(t, known_rows)
    for report, its_rows, what in ((known, known_rows, "the program's own log"),
                                   (recorded, recorded_rows, "demand from the recording")):
        with t.subtest(what):
            compare(t, report, its_rows, burst, room_kib, what)


if __name__ == "__main__":
    tap.main()
