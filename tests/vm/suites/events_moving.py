# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that is saved, loaded and moved to another QEMU while its balloon moves, and at rest.

savevm and loadvm 20 times; live migration, pre-copy and post-copy, over a socket. Inside, 500 MiB keep their
checksum. Right afterwards the host's view of the size is the guest's, statistics come again, the balloon can be
moved, and the host does not hold what is in it. At the end the guest's verdict, from where it runs by then.

Left out: newer machine types and other QEMUs.
"""
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import micro                                             # noqa: E402
from harness.guest import qemu_path                                   # noqa: E402
from kmod_lib import MIB, PAGES_PER_MIB, Balloon, kernels             # noqa: E402

RAM = 1280 * MIB
DATA_MIB = 500
FULL_MIB = 300
ROUNDS = 20
# QEMU itself, what it has translated, and memory that the kernel touches for a moment.
HOST_SLACK = 96 * MIB
# Both sizes, up and down all the time, and nothing said, until there is /stop.
MOVES = ("until [ -e /stop ]; do ubtool target 700M , lock 2m 300M , lock 4k 60M , unlock 4k 60M , unlock 2m 250M"
         " >/dev/null; done")


def fill(b):
    """Data that may not change, no two pages of it alike; its checksum."""
    b.g.sh("dd if=/dev/urandom of=/part bs=1M count=1 2>/dev/null; "
           f"for i in $(seq {DATA_MIB}); do echo $i; cat /part; done > /data; rm /part", 300)
    return checksum(b)


def checksum(b):
    return b.g.sh("md5sum /data", 300).split()[0]


def agrees(t, b, what):
    """At rest, guest and host have the same size, and it can be moved."""
    b.balanced()
    t.wait(lambda: b.actual_mib() * PAGES_PER_MIB == b.state()["size_pages"], 20, f"{what}: the host's view")
    updated = b.g.guest_stats()["last-update"]
    t.wait(lambda: b.g.guest_stats()["last-update"] > updated, 30, f"{what}: statistics")


def refills(t, b, mib):
    """Emptied and filled anew; what is in it the host does not hold."""
    b.ok("pop")
    t.equal(b.actual_mib(), 0, "MiB, emptied")
    b.lock("2m", mib)
    t.equal(b.actual_mib(), mib, "MiB, as the host sees it")
    t.wait(lambda: b.g.ram_rss() <= b.g.memory - mib * MIB + HOST_SLACK, 30,
           f"the host holds no more than the rest: {b.g.ram_rss() // MIB} MiB")


def stop(b, job):
    b.g.sh("touch /stop")
    job.wait(120)
    b.g.sh("rm /stop")


def snapshots(t, series):
    image = tempfile.NamedTemporaryFile(prefix="vmtest-snapshot-", dir="/var/tmp")
    t.defer(image.close)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image.name, "8G"], check=True)
    disk = ["-drive", f"file={qemu_path(image.name)},if=none,id=snap,format=qcow2,cache=unsafe"]
    with micro.micro(t, series, memory=RAM, devices=[disk], lifetime=3600) as g:
        b = Balloon(t, g)
        b.load()
        was = fill(b)
        job = g.spawn(MOVES, 1500)
        sizes = set()
        for n in range(ROUNDS):
            g.monitor("savevm s", 300)
            time.sleep(0.2 * (n % 4))
            g.monitor("loadvm s", 300)
            sizes.add(b.state()["size_pages"])
            if n % 5 == 4:
                t.equal(checksum(b), was, f"checksum after {n + 1} rounds")
        t.check(len(sizes) > 3, f"it was saved while the balloon moved: {len(sizes)} sizes")
        t.check(job.running(), "and it still moves")
        stop(b, job)
        agrees(t, b, "afterwards")
        refills(t, b, FULL_MIB)
        t.equal(checksum(b), was, "checksum at the end")
        with t.subtest("at rest, and to another size: the size of then is back"):
            g.monitor("savevm s", 300)
            b.ok("target 700M", "unlock 2m 200M")
            t.equal(b.actual_mib(), FULL_MIB - 200, "MiB before")
            g.monitor("loadvm s", 300)
            agrees(t, b, "loaded")
            t.equal(b.actual_mib(), FULL_MIB, "MiB after")
            t.equal(checksum(b), was, "checksum")
        b.ok("pop")
        g.sh("rm /data")


def wait_for(t, qmp, statuses, what, timeout=600):
    def look():
        m = qmp("query-migrate")
        if m.get("status") == "failed":
            raise RuntimeError(f"the migration failed: {m.get('error-desc')}")
        return m.get("status") in statuses and m
    return t.wait(look, timeout, what, 0.1)


def move(t, b, series, post_copy):
    """Another QEMU has the machine afterwards; its Balloon. The old one has ended."""
    here = b.g
    there = micro.guest(series, memory=RAM, devices=[["-incoming", "defer"]], lifetime=3600)
    t.defer(there.kill)
    there.receive()
    path = os.path.join(tempfile.gettempdir(), f"vmtest-move-{os.getpid()}-{id(there)}")
    t.defer(lambda: os.path.exists(path) and os.unlink(path))
    capabilities = [{"capability": "postcopy-ram", "state": post_copy}]
    for qmp in (here.qmp, there.qmp):
        qmp("migrate-set-capabilities", capabilities=capabilities)
    # As much as leaves the guest time to change things meanwhile, and ends in the end.
    here.qmp("migrate-set-parameters", **{"max-bandwidth": 150 * MIB, "downtime-limit": 3000})
    there.qmp("migrate-incoming", uri=f"unix:{path}")
    here.qmp("migrate", uri=f"unix:{path}")
    if post_copy:
        wait_for(t, here.qmp, ("active",), "it is under way")
        time.sleep(1)
        here.qmp("migrate-start-postcopy")
    m = wait_for(t, here.qmp, ("completed",), "the migration is through")
    t.equal(m.get("ram", {}).get("postcopy-requests", 0) > 0, post_copy, "pages were asked for after the move")
    t.diag(f"{m['total-time'] / 1000:.1f} s, down for {m.get('downtime', 0)} ms, "
           f"{m['ram']['transferred'] // MIB} MiB, {m['ram']['dirty-sync-count']} rounds")
    wait_for(t, there.qmp, ("completed",), "the other side has all of it")
    there.continue_from(here)
    here.kill()
    return Balloon(t, there)


def migrations(t, series, post_copy):
    g = micro.guest(series, memory=RAM, lifetime=3600)
    t.defer(g.kill)
    g.start()
    b = Balloon(t, g)
    b.load()
    was = fill(b)
    with t.subtest("at rest"):
        b.lock("2m", FULL_MIB - 50)
        b.lock("4k", 50)
        b = move(t, b, series, post_copy)
        t.equal(b.actual_mib(), FULL_MIB, "MiB, right afterwards")
        agrees(t, b, "moved")
        t.wait(lambda: b.g.ram_rss() <= b.g.memory - FULL_MIB * MIB + HOST_SLACK, 30,
               f"what is in the balloon did not come along: {b.g.ram_rss() // MIB} MiB")
        refills(t, b, FULL_MIB)
        t.equal(checksum(b), was, "checksum")
        b.ok("pop")
    with t.subtest("while it moves, twice"):
        # It outlives the QEMU that was told to.
        b.g.sh(f"({MOVES}) >/dev/null 2>&1 </dev/null & :")
        for _ in range(2):
            b = move(t, b, series, post_copy)
        b.g.sh("touch /stop")
        t.wait(lambda: b.g.run("pidof ubtool")[0] != 0, 120, "the last move is through")
        agrees(t, b, "moved")
        refills(t, b, FULL_MIB)
        t.equal(checksum(b), was, "checksum")
    b.ok("pop")
    b.g.sh("rm /data")
    with t.subtest("verdict of the guest, from where it is now"):
        b.g.finish()


for kernel in (kernels.SERIES[0], kernels.NEWEST):
    tap.add(f"saved and loaded {ROUNDS} times ({kernel})", snapshots, kernel, timeout=3600)
    tap.add(f"live migration, pre-copy ({kernel})", migrations, kernel, False, timeout=3000)
    tap.add(f"live migration, post-copy ({kernel})", migrations, kernel, True, timeout=3000)

if __name__ == "__main__":
    tap.main()
