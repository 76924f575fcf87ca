# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian guest with the programs that people run: databases, caches, Java, Python, compiler, OOM daemons.

One image for both kernels, as debian.py's base with more packages in it; made in two minutes or three,
once. What it took is kept beside it, for made(). None of the servers is started at boot.

Two things are done here because they take far longer under emulation. The Java programs of the tests
are compiled, by the compiler's module that Debian's headless runtime has among its modules, so that
no JDK is needed, neither outside nor in the guest. And PostgreSQL has a second cluster, "bench" at port
BENCH_PORT, with pgbench's tables of BENCH_SCALE: more than a guest at rest keeps in memory.
"""
import os
import shutil
import time

from . import archive, debian, kernels
from .paths import VM, HarnessError, cache, command, digest, locked, scratch

SERVERS = ("postgresql", "redis-server", "memcached")
PACKAGES = debian.PACKAGES + debian.RIVALS + SERVERS + ("openjdk-17-jre-headless", "python3-minimal", "python3",
                                            "gcc", "libc6-dev", "libstb-dev")
IMAGE_SIZE = "4G"
PROGRAMS = os.path.join(VM, "guest", "programs")
JAVA = os.path.join(PROGRAMS, "Need.java")
FOLDER = "usr/lib/vmtest"
# In the layer, so that an edit costs no new image.
FILES = [(f"{FOLDER}/{name}", os.path.join(PROGRAMS, name), 0o755) for name in sorted(os.listdir(PROGRAMS))
         if name.endswith(".py")]
# A value of a MiB less what redis puts in front, so that it does not take the next larger size of its allocator.
REDIS_VALUE = (1 << 20) - 64
# Inside the server, for a client is far slower under emulation; format() wants mib, it prints the number of keys.
REDIS_FILL = (f"local v = string.rep('x', {REDIS_VALUE}) for i = 1, {{mib}} do redis.call('SET', 'k' .. i, v) end "
              "return redis.call('DBSIZE')")
# PostgreSQL's version.
PG = archive.POSTGRESQL[archive.HERE]
# pgbench's scale: 15 MB each.
BENCH_SCALE, BENCH_PORT = 50, 5433
BENCH_MAKE = f"""
pg_createcluster {PG} bench --port {BENCH_PORT} >/dev/null
cd /tmp
data=/var/lib/postgresql/{PG}/bench
pg="runuser -u postgres -- /usr/lib/postgresql/{PG}/bin/pg_ctl -s -w -D $data"
$pg -l /tmp/pg.log -o "-c config_file=/etc/postgresql/{PG}/bench/postgresql.conf -c listen_addresses= -c fsync=off -c max_wal_size=96MB -c min_wal_size=32MB" start ||
    {{ cat /tmp/pg.log >&2; exit 1; }}
runuser -u postgres -- sh -ec 'createdb -p {BENCH_PORT} bench
pgbench -p {BENCH_PORT} -i -q -I dtGvp -s {BENCH_SCALE} bench 2>&1'
$pg -m fast stop
rm -f /tmp/pg.log
"""


def _inside(root, shell, what):
    """Runs a shell script in the root, with what servers and runtimes expect to find there."""
    command(["unshare", "--mount", "--fork", "sh", "-ec",
             'mount -t proc proc "$0/proc"; mount -t tmpfs tmpfs "$0/dev/shm"; exec chroot "$0" sh -ec "$1"', root, shell],
            what, timeout=600, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})


def _fill(root):
    os.makedirs(f"{root}/{FOLDER}", exist_ok=True)
    shutil.copy(JAVA, f"{root}/{FOLDER}")
    name = os.path.basename(JAVA)
    _inside(root, f"java -m jdk.compiler/com.sun.tools.javac.Main -d /{FOLDER} /{FOLDER}/{name}", f"compilation of {name}")
    _inside(root, BENCH_MAKE, "making of the benchmark's database")


def image(report=lambda text: None):
    """Path of the ext4 image; made now if it is not cached."""
    available = [kernels.Kernel(s) for s in kernels.SERIES]
    key = digest(debian.settings_digest(*PACKAGES, *(k.release for k in available)), IMAGE_SIZE, BENCH_MAKE,
                 ("Need.java", JAVA))
    folder = cache("debian", f"programs-{key}")
    with locked("debian-programs"):
        if not os.path.exists(folder):
            if os.geteuid() != 0:
                raise HarnessError("building the guest's root file system needs root")
            report("building the Debian guest with programs in it (two minutes or three, once)")
            started = time.monotonic()
            with scratch(folder) as tmp:
                debian.bootstrap(tmp + "/root", PACKAGES, available)
                debian.disable(tmp + "/root", ("postgresql", "redis", "memcached"))
                _fill(tmp + "/root")
                os.mkdir(tmp + "/made")
                debian.make_image(tmp + "/root", tmp + "/made/image", IMAGE_SIZE)
                with open(tmp + "/made/seconds", "w") as f:
                    f.write(f"{time.monotonic() - started:.0f}\n")
                debian.replace(tmp + "/made", folder, "programs-")
    return folder + "/image"


def made(path):
    """What the image at @path costs, in words."""
    with open(os.path.join(os.path.dirname(path), "seconds")) as f:
        seconds = f.read().strip()
    status = os.stat(path)
    return (f"the image has {status.st_size >> 20} MiB, {status.st_blocks * 512 >> 20} of them on the disk, "
            f"and was made in {seconds} s")


def guest(series, name="programs", report=lambda text: None, project=True, more=(), **options):
    """debian.guest() on that image, the project installed if @project; @more files as there."""
    path = image(report)
    report(made(path))
    return debian.guest(series, name, files=[*FILES, *more], report=report, image=path, project=project, **options)
