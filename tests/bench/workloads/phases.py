# SPDX-License-Identifier: GPL-2.0-or-later
"""The script of a run: what the programs in the guest do, one phase after the other, and what each prints.

A phase is a shell command in the guest. It is to print its results, a line each:

    result NAME VALUE

NAME must be one of the phase's figures; one that is missing, and any other status than 0, is a failed
phase. So commands stand on lines of their own under `set -e`, which does not look into lists, and a pipe's last
command is the one that can fail. Sizes follow from the guest's RAM. After each phase the guest is left alone for some seconds.

Left out: how guests are made and watched (run.py).
"""
import collections
import re

from harness.programs import BENCH_PORT, FOLDER, PG, REDIS_FILL, REDIS_VALUE

SECONDS, RATE, MILLISECONDS = "s", "1/s", "ms"
# figures: {name: unit}. idle: seconds after it. after: shell, whether it failed or not.
Phase = collections.namedtuple("Phase", "name command figures idle after timeout", defaults=("", 600))

EAT = f"python3 /{FOLDER}/eat.py"
CLUSTER = f"postgresql@{PG}-bench"
SOURCES = "/var/tmp/build"
# What is read again and again: files of the image that nothing else in the script reads as a whole.
HOT = "/usr/lib/gcc /usr/lib/postgresql"
READ = "find {what} -type f -print0 > /run/files\nxargs -0 -a /run/files cat > /dev/null"
HOT_READ = READ.format(what=HOT)
# What a backup reads; small files would measure how fast the guest walks through directories.
BACKUP = READ.format(what="/usr /var/lib -xdev -size +255k")
BUILD = f"cd {SOURCES}\nrm -f *.o\nls *.c | xargs -P 2 -n 1 gcc -O2 -c"
SCAN = f"runuser -u postgres -- psql -p {BENCH_PORT} -qAt -c 'select sum(abalance) from pgbench_accounts' bench > /dev/null"
# Each takes some seconds to compile under emulation.
FILES, FUNCTIONS = 1, 7
HEADERS = ("stb_sprintf",)
PGBENCH_S, CLIENTS = 10, 2
REDIS_READ = ("local n = 0 for i = 1, {mib} do n = n + string.len(redis.call('GET', 'k' .. i)) end "
              "return n")


def sources():
    """{name: text} of what the build compiles beside the packaged headers: loops that -O2 has work with."""
    out = {}
    for n in range(FILES):
        lines = ["#include <string.h>", "#include <stdint.h>"]
        for f in range(FUNCTIONS):
            lines += [f"uint64_t f{n}_{f}(const uint32_t *a, uint32_t *restrict b, unsigned int n)", "{",
                      f"\tuint64_t sum = {n * FUNCTIONS + f};", "\tfor (unsigned int i = 0; i < n; i++) {",
                      f"\t\tb[i] = a[i] * {2 * f + 3}u + (a[(i + {f}) % n] >> {f % 7 + 1});",
                      f"\t\tswitch ((b[i] ^ sum) % {5 + f}) {{"]
            lines += [f"\t\tcase {c}: sum += b[i] * {c + n + 1}u ^ (sum >> {c + 1}); break;" for c in range(5 + f)]
            lines += ["\t\t}", "\t}", "\treturn sum;", "}"]
        out[f"generated{n}.c"] = "\n".join(lines) + "\n"
    for header in HEADERS:
        out[f"{header}.c"] = f"#define {header.upper()}_IMPLEMENTATION\n#include <stb/{header}.h>\n"
    return out


def timed(command, name="seconds"):
    """Shell text that runs @command, lines of it, and prints how long it took by the guest's clock."""
    return (f"set -e\nread a b < /proc/uptime\n{command}\nread c b < /proc/uptime\n"
            f'echo "result {name} $(echo "$a $c" | awk \'{{ print $2 - $1 }}\')"')


def pgbench(options):
    """Throughput, and the 99th percentile of the transactions' latencies from pgbench's own log (microseconds)."""
    return f"""
cd /run && rm -rf pgbench && install -d -o postgres pgbench && cd pgbench
runuser -u postgres -- pgbench -p {BENCH_PORT} -n -c {CLIENTS} -T {PGBENCH_S} -l {options} bench > out 2>&1 || {{ cat out; exit 1; }}
awk '/^tps = / {{ print "result throughput", $3 }}' out
cat pgbench_log.* | awk '{{ print $3 }}' | sort -n |
	awk '{{ a[NR] = $1 }} END {{ i = int(NR * .99 + .5); if (NR) print "result p99", a[i ? i : 1] / 1000 }}'
cd / && rm -rf /run/pgbench
"""


DATABASE = {"throughput": RATE, "p99": MILLISECONDS}
TIMED = {"seconds": SECONDS}


def eat(arguments):
    return (f"out=$({EAT} {arguments}) || {{ echo \"$out\"; exit 1; }}\n"
            "echo \"$out\" | sed -n 's/^rc=OK ms=\\([0-9]*\\) .*/\\1/p' | awk '{ print \"result seconds\", $1 / 1000 }'")


def redis(mib):
    keys = "n=$(redis-cli eval \"{script}\" 0); test \"$n\" = {want} || {{ echo \"$n\"; exit 1; }}"
    fill = keys.format(script=REDIS_FILL.format(mib=mib), want=mib)
    read = keys.format(script=REDIS_READ.format(mib=mib), want=mib * REDIS_VALUE)
    return "\n".join((
        "set -e", "systemctl start redis-server",
        "until redis-cli ping 2>/dev/null | grep -q PONG; do sleep 0.2; done", "redis-cli config set save '' >/dev/null",
        timed(fill, "fill"), timed(read, "read"),
        # As long as a client that has its results thinks about them.
        "sleep 3", timed("test \"$(redis-cli flushall)\" = OK", "flush")))


# Also if it has failed: what follows is not to carry its memory.
REDIS_ENDS = "redis-cli shutdown nosave; systemctl stop redis-server; systemctl reset-failed redis-server"


def warm_up(ram):
    """All memory has been used once, the database's tables were read last."""
    share = ram // (1 << 20) * 80 // 100
    return f"set -e\n{EAT} grow {share} 4 >/dev/null\n{SCAN}"


def script(ram):
    """The Phases of a guest with that much RAM (bytes), after a first idle time; see START_IDLE."""
    def share(percent):
        return ram // (1 << 20) * percent // 100
    return (
        Phase("pgbench, read-write", pgbench(""), DATABASE, 5),
        Phase("pgbench, read-only", pgbench("-S"), DATABASE, 12),
        Phase("build", timed(BUILD), TIMED, 8),
        Phase("redis", redis(share(40)), {"fill": SECONDS, "read": SECONDS, "flush": SECONDS}, 15,
              REDIS_ENDS),
        Phase("java", timed(f"java -cp /{FOLDER} Need {share(12)} {share(12)}"), TIMED, 8),
        Phase("60 % of RAM", eat(f"grow {share(60)} {share(60)}"), TIMED, 25),
        Phase("first read", timed(HOT_READ), TIMED, 8),
        Phase("warm re-read", timed(HOT_READ), TIMED, 5),
        Phase("backup", timed(BACKUP), TIMED, 8),
        Phase("scan of a table", timed(SCAN), TIMED, 8),
    )


# Seconds in which a guest that has used all of its memory is left alone, before the first phase.
START_IDLE = 25
# After this one its end is looked at: until the host has half of the memory again.
HALVED_AFTER = "60 % of RAM"


def results(phase, status, text):
    """{figure: value} of what the phase printed; ValueError says what is wrong."""
    found = dict(re.findall(r"^result (\S+) ([0-9.e+-]+)$", text, re.M))
    if status != 0 or set(found) != set(phase.figures):
        missing = ", ".join(sorted(set(phase.figures) - set(found)))
        said = " / ".join(line for line in text.strip().splitlines() if not line.startswith("result "))[-300:]
        raise ValueError(f"status {status}" + (f", without {missing}" if missing else "") + (f": {said}" if said else ""))
    return {name: float(value) for name, value in found.items()}
