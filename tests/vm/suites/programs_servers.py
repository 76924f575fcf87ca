# SPDX-License-Identifier: GPL-2.0-or-later
"""Real servers and runtimes as Programs of programs_lib.py: PostgreSQL, Java, redis, memcached.

Each leaves the guest as it found it, its server stopped. Configurations are the packages' own
but for what the name of the Program says.
"""
import re

from harness.programs import FOLDER, PG, REDIS_FILL
from programs_lib import OK, Program, Result, share

CLUSTER = f"postgresql@{PG}-main"
PG_CONF = f"/etc/postgresql/{PG}/main/conf.d/test.conf"
PGBENCH = "runuser -u postgres -- pgbench"
MEMCACHED_MIB = 400


# -- PostgreSQL ---------------------------------------------------------
def postgres(mib):
    def run(b):
        g = b.g
        if g.run("test -e /var/lib/postgresql/filled")[0]:
            g.sh(f"systemctl start {CLUSTER} && {PGBENCH} -i -q -n --unlogged-tables 2>&1 && "
                 f"touch /var/lib/postgresql/filled", 120)
        g.sh(f"echo shared_buffers = {mib}MB > {PG_CONF}")
        try:
            started, said, start_ms = b.timed(f"systemctl restart {CLUSTER}", 120)
            bench, text, bench_ms = b.timed(f"{PGBENCH} -n -c 4 -t 25", 120) if started == 0 else (None, "", 0)
        finally:
            g.run(f"systemctl stop {CLUSTER}; systemctl reset-failed {CLUSTER}; rm {PG_CONF}", 60)
        done = re.search(r"actually processed: (\d+/\d+)", text)
        return Result({"starts": started == 0, "transactions": done[1] if done else None},
                      {"restart": start_ms, "pgbench": bench_ms} if bench == 0 else {})
    return Program(f"postgresql, shared_buffers {mib} MB", run, {"starts": True, "transactions": "100/100"})


# -- Java ---------------------------------------------------------------
def java_defaults(b):
    text = b.g.sh("java -XX:+PrintFlagsFinal -version 2>/dev/null", 60)
    flags = dict(re.findall(r"^\s*\w+ (\w+)\s+= (\S+)", text, re.M))
    used = [name for name in ("G1", "Serial", "Parallel", "Z", "Shenandoah") if flags.get(f"Use{name}GC") == "true"]
    # G1 rounds to its regions, and MemTotal may differ by a page.
    return Result({"heap, MiB": int(flags["MaxHeapSize"]) >> 20, "collector": "".join(used)}, {})


def java(flags, *what, says=""):
    """@what runs: -version, or a class and its arguments."""
    def run(b):
        status, text, ms = b.timed(f"java {flags} -cp /{FOLDER} {' '.join(what)}", 90)
        ends = "0" if status == 0 else f"{status}: {text.strip().splitlines()[0] if text.strip() else ''}"
        return Result({"ends": ends}, {"all": ms} if status == 0 else {})
    return Program(f"java {says or flags}", run, {"ends": "0"})


# -- caches -------------------------------------------------------------
REDIS_SAVED = ("n=0; while redis-cli info persistence | grep -q rdb_bgsave_in_progress:1; do sleep 0.2; "
               "n=$((n + 1)); test $n -lt 300 || exit 9; done; redis-cli info persistence | grep rdb_last_bgsave_status")


def redis(b):
    g, mib = b.g, share(40)
    g.sh("systemctl start redis-server", 60)
    try:
        pid = g.property("redis-server", "MainPID")
        _, filled, fill_ms = b.timed(f'redis-cli eval "{REDIS_FILL.format(mib=mib)}" 0', 90)
        _, began, _ = b.timed("redis-cli bgsave")
        _, saved, save_ms = b.timed(REDIS_SAVED, 90)
        _, flushed, flush_ms = b.timed("redis-cli flushall && redis-cli dbsize", 60)
        same = g.property("redis-server", "MainPID") == pid
    finally:
        g.run("redis-cli flushall; redis-cli shutdown nosave; systemctl stop redis-server; "
              "systemctl reset-failed redis-server; rm -f /var/lib/redis/dump.rdb", 60)
    return Result({"keys": filled.strip(), "BGSAVE": f"{began.strip()}; {saved.strip()}",
                   "FLUSHALL": " ".join(flushed.split()), "lives": same},
                  {"fill": fill_ms, "BGSAVE": save_ms, "FLUSHALL": flush_ms})


def memcached(b):
    g = b.g
    g.sh(f"sed -i 's/^-m .*/-m {MEMCACHED_MIB}/' /etc/memcached.conf && systemctl start memcached", 60)
    try:
        pid = g.property("memcached", "MainPID")
        # Its port, in the kernel's spelling.
        g.sh("until grep -q ':2BCB ' /proc/net/tcp; do sleep 0.2; done")
        r = b.eat(f"memcached {MEMCACHED_MIB}")
        r.outcome["lives"] = g.property("memcached", "MainPID") == pid
    finally:
        g.run("systemctl stop memcached; systemctl reset-failed memcached", 60)
    return r


PROGRAMS = (
    *(postgres(mib) for mib in (128, 512, 1024)),
    Program("java, what it chooses", java_defaults, {"collector": "G1"}),
    java("-Xms1g", "-version"),
    java("-Xms1g -XX:+AlwaysPreTouch", "-version"),
    java("", "Need", "350", "350", says="that needs 700 MiB, default flags"),
    Program("redis with 40 % of RAM", redis, {"keys": str(share(40)), "FLUSHALL": "OK 0", "lives": True}),
    Program(f"memcached with {MEMCACHED_MIB} MiB", memcached, {"ends": OK, "lives": True}),
)
