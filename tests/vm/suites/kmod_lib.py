# SPDX-License-Identifier: GPL-2.0-or-later
"""What the suites of the module share: a guest with uballoon loaded, and ubtool's answers.

    with balloon(t, "6.1", parameters="floor_mb=64") as b:
        b.tool("target 512M", "lock 2m 256M")     # [{"": "target", "rc": "OK"}, {...}]
        b.state()["size_pages"]                    # debugfs, as integers where they are

Leaving the block unloads the module and demands the guest's verdict: all memory
back, kernel log clean.
"""
import contextlib
import os
import re
import struct
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import built, cross, debian, kernels, libraries, micro   # noqa: E402
from harness.architecture import AMD64                                # noqa: E402
from harness.guest import BALLOON, qemu_path                          # noqa: E402,F401
from harness.paths import VM                                          # noqa: E402

STATE = "/sys/kernel/debug/uballoon/state"
BACKEND = "/machine/peripheral/b0/virtio-backend"
DRIVER = "/sys/bus/virtio/drivers/uballoon"
INFLATE_ONLY = "virtio-balloon-pci,id=b0,deflate-on-oom=on"
MUST_TELL = 1                            # meddle offers it: bit of VIRTIO_BALLOON_F_MUST_TELL_HOST
MIB = 1 << 20
PAGES_PER_MIB = 256
# What a size that a test relies on must be away from the module's floor: the next kernel package
# leaves its guests a few MiB more or less.
FLOOR_MARGIN_MIB = 32
COUNTER_SLACK = 512


def _value(text):
    return int(text, 0) if re.fullmatch(r"-?\d+|0x[0-9a-f]+", text) else text


def answer(line):
    """{"": command, key: value} of one line of ubtool."""
    command, *pairs = line.split()
    return {"": command, **{k: _value(v) for k, v in (p.split("=", 1) for p in pairs)}}


def helper(series, name):
    """Files of a guest that may load the module @name of tests/vm/guest."""
    ko = kernels.build_module(kernels.Kernel(series), os.path.join(VM, "guest", name), name)
    return [(f"lib/modules-test/{name}.ko", ko, 0o644)]


def meddle(series):
    return helper(series, "meddle")


def daemon(series):
    """Files of a guest that may run balloond and balloonctl."""
    arch = kernels.Kernel(series).arch
    root, build = ("/", debian.build_dir()) if arch is AMD64 else (cross.sysroot(arch), cross.programs(arch))
    return libraries.files([("/bin/balloond", os.path.join(build, "daemon", "balloond")),
                            ("/bin/balloonctl", os.path.join(build, "daemon", "ctl", "balloonctl"))], root, arch)


# What the guest has to do before it can use the disk of swap_disk(), and then.
SWAP_LOAD = "insmod /lib/modules-test/virtio_blk.ko && until test -b /dev/vda; do usleep 50000; done"
SWAP_ON = f"{SWAP_LOAD} && mkswap /dev/vda >/dev/null && swapon /dev/vda"
SWAP_OFF = "swapoff /dev/vda && rmmod virtio_blk"


def two_nodes(series, mib=1024):
    """Devices of a guest whose @mib MiB of memory are in two nodes, 512 in the second; what its kernel needs more is in the
    first."""
    first = micro.memory(kernels.Kernel(series), mib * MIB) - 512 * MIB
    return [["-object", f"memory-backend-ram,id=m0,size={first}", "-object", "memory-backend-ram,id=m1,size=512M",
             "-numa", "node,nodeid=0,cpus=0-1,memdev=m0", "-numa", "node,nodeid=1,memdev=m1"]]


def swap_disk(t, mib):
    """Devices of a guest with a disk to swap to, as long as the case @t runs."""
    disk = tempfile.NamedTemporaryFile(prefix="vmtest-swap-")
    t.defer(disk.close)
    disk.truncate(mib * MIB)
    return [["-drive", f"file={qemu_path(disk.name)},if=none,id=swap,format=raw,cache=unsafe"],
            "virtio-blk-pci,drive=swap"]


class Balloon:
    def __init__(self, t, guest):
        self.t, self.g = t, guest
        # In units of 4 KiB, in which the module counts.
        self.page = guest.kernel.page_bytes // 4096
        # What becomes available or does not by itself, MiB.
        self.noise_mib = guest.kernel.built.noise_mib if guest.kernel.built else 0

    def load(self, parameters="", module="uballoon"):
        self.g.sh(f"insmod /lib/modules-test/{module}.ko {parameters}")

    def tool(self, *commands, timeout=60):
        """Answers of ubtool to @commands, which share one open file."""
        return [answer(line) for line in
                self.g.sh("ubtool " + " , ".join(commands), timeout).splitlines()]

    def spawn(self, *commands):
        return self.g.spawn("ubtool " + " , ".join(commands))

    def ok(self, *commands, timeout=60):
        """As tool(); each must have succeeded. The last answer."""
        answers = self.tool(*commands, timeout=timeout)
        for a in answers:
            self.t.equal(a["rc"], "OK", a[""])
        return answers[-1]

    def lock(self, size, mib, how="10000"):
        """Locks @mib MiB below the largest ceiling, and demands that all was taken, by far."""
        info = self.tool("info")[0]
        a = self.ok(f"target {info['ram_pages']}", f"lock {size} {mib}M {how}")
        # A slow guest needs more than one call may take.
        done = a["done_pages"]
        while a["stop"] == "BUDGET" and a["done_pages"] and a["us"] >= int(how.split()[0]) * 1000:
            a = self.ok(f"lock {size} {mib * PAGES_PER_MIB - done} {how}")
            done += a["done_pages"]
        self.t.equal((done, a["stop"]), (mib * PAGES_PER_MIB, "DONE"), f"lock {size} {mib}M")

        def left():
            return (self.state()["mem_available_pages"] - info["floor_pages"]) / PAGES_PER_MIB
        # Free pages that are being reported are not available, for a moment.
        self.t.wait(lambda: left() > FLOOR_MARGIN_MIB, 10, f"{FLOOR_MARGIN_MIB} MiB are left above the floor (else "
                    "take less, or a guest with more)")
        return a

    def state(self):
        text = self.g.read(STATE)
        return {k: _value(v) for k, v in (line.split(None, 1) for line in text.splitlines())}

    def parameter(self, name, value, module="uballoon"):
        self.g.sh(f"echo {value} > /sys/module/{module}/parameters/{name}")

    def device(self):
        """Name of the virtio device that the module drives."""
        return self.g.sh(f"basename {DRIVER}/virtio*").strip()

    def bind(self, device, to):
        """Binds @device (@to true) or lets it go."""
        self.g.sh(f"echo {device} > {DRIVER}/{'bind' if to else 'unbind'}")

    def answering(self, device, yes):
        """Whether QEMU's device @device looks into its queues at all: it does not while it may not
        master the bus. The rest of it works on. It does not remember that it was told of requests
        meanwhile, and waits to be reminded."""
        command = "007" if yes else "003"
        self.g.sh(f"printf '\\{command}' | dd of=/sys/bus/virtio/devices/{device}/../config bs=1 seek=4 count=1 "
                  "conv=notrunc 2>/dev/null")

    def touched(self, mib):
        """Bytes of the guest's memory that its host holds once @mib MiB of it are in use; they are free again after.

        Looked at while they are: what is free may be reported before anybody asks."""
        job = self.spawn(f"hog {mib}M 3600000")
        self.t.wait(lambda: "hog rc=OK" in job.output, 60, f"{mib} MiB are touched")
        held = self.g.ram_rss()
        job.kill()
        job.wait()
        return held

    def stop(self, job):
        """Kills a job that moves memory; what it has under way is through when this returns."""
        job.kill()
        job.wait()
        self.t.wait(lambda: not (s := self.state())["flags"] & 2 and not s["inflight_batches"], 10, "the last call ends")

    def balanced(self):
        """The accounts must agree whenever nothing is under way."""
        # What was given back needs no answer to be the guest's again; so the call may have ended before it.
        s = self.t.wait(lambda: (s := self.state())["inflight_batches"] == 0 and s, 10, "nothing is under way")
        size = s["size_4k_pages"] + s["size_2m_pages"]
        self.t.equal(s["inflight_pages"], 0, "inflight_pages")
        self.t.equal(s["locked_4k_pages"] - s["unlocked_4k_pages"], s["size_4k_pages"], "4 KiB: locked - unlocked")
        self.t.equal(s["locked_2m_pages"] - s["unlocked_2m_pages"], s["size_2m_pages"], "2 MiB: locked - unlocked")
        self.t.equal(s["available_pages"] + s["gone_pages"], size, "what is in the accounts")
        counted = re.search(r"^nr_balloon_pages (\d+)$", self.g.read("/proc/vmstat"), re.M)
        if counted:
            # Each CPU may keep 125 pages of a counter to itself.
            slack = COUNTER_SLACK * self.page
            self.t.between(int(counted[1]) * self.page, size - slack, size + slack, "nr_balloon_pages")
        return s

    def free(self):
        """Bytes of free memory, with what lies on the lists of the CPUs."""
        def look():
            lists = re.findall(r"^ +count: +(\d+)$", self.g.read("/proc/zoneinfo"), re.M)
            return self.g.meminfo()["MemFree"] + sum(map(int, lists)) * self.page * 4096
        return self.at_rest(look)

    def at_rest(self, look):
        """What look() saw of free or available memory, at a moment at which all free pages were there.

        While free pages are being reported, up to 32 blocks of them are on no list. So it is read again until
        no report has come to its end for a second after it.
        """
        while True:
            reported = self._reported()
            seen = look()
            if not reported:
                return seen
            time.sleep(1)
            if self._reported() == reported:
                return seen

    def _reported(self):
        """What the module says of it; "" while it is not loaded."""
        return self.g.run(f"grep ^reported_pages {STATE}")[1]

    def device_stats(self):
        """{tag: value} that the device holds now, read out of the guest's memory by QEMU."""
        desc, = self.g.qmp("x-query-virtio-queue-element", path=BACKEND, queue=2)["descs"]
        with tempfile.NamedTemporaryFile(prefix="vmtest-") as f:
            self.g.qmp("pmemsave", val=desc["addr"], size=desc["len"], filename=f.name)
            return dict(struct.iter_unpack("<HQ", f.read()))

    def actual_mib(self):
        """The balloon as the host sees it."""
        return (self.g.memory - self.g.balloon_actual()) / MIB


@contextlib.contextmanager
def balloon(t, series, parameters="", modules=("uballoon",), load=True, **options):
    with micro.micro(t, series, modules, **options) as g:
        b = Balloon(t, g)
        t.on_failure(lambda: f"state: {b.state()}")
        if load:
            b.load(parameters)
        yield b


SERIES = (*kernels.SERIES, kernels.NEWEST)
# Emulated, whatever the machine; by pages of 4 and 16 KiB.
ARM_SERIES = ("6.12 arm64", "6.12 arm64-16k")
ARM_PATIENCE = 3
# A kernel that preempts wherever it can.
RT_SERIES = ("6.12 rt-amd64",)
OTHER_SERIES = ARM_SERIES + RT_SERIES
# With all checks; they take an hour to build, so there are cases of them only where the command line says so.
DEBUG_SERIES = tuple(s for s in built.SERIES if any(f"({s})" in argument for argument in sys.argv[1:]))
tap.PATIENCE *= max([built.FLAVOURS[s.split()[1]].patience for s in DEBUG_SERIES], default=1)


def selected(series):
    """Whether cases of that kernel may be among those that the command line selects."""
    names = [f"({s})" for s in (*SERIES, *OTHER_SERIES, *DEBUG_SERIES)]
    for argument in sys.argv[1:] or [""]:
        named = [n for n in names if n in argument] or [n for n in names if "arm64" in n or "arm64" not in argument]
        if f"({series})" in named:
            return True
    return False


@tap.setup
def modules():
    """Where the newest kernel is not there yet it takes minutes, which are no case's."""
    for series in filter(selected, (*SERIES, *OTHER_SERIES, *DEBUG_SERIES)):
        micro.uballoon(kernels.Kernel(series))
        if series in ARM_SERIES:
            daemon(series)


modules.timeout = 1800 + built.BUILD_S * len(DEBUG_SERIES)


def both(name, fn, timeout=240):
    """The case @fn(t, series) on each kernel."""
    for series in (*SERIES, *DEBUG_SERIES):
        tap.add(f"{name} ({series})", fn, series, timeout=timeout)


def everyday(name, fn, timeout=240):
    """The same, but not on those that are built here: they know little hardware, and are slow for all their checks."""
    for series in SERIES:
        tap.add(f"{name} ({series})", fn, series, timeout=timeout)


# Linux 7.3 does not wake up in an emulated guest (QEMU 7.2 and 10), with our module or without it.
WAKE = (*kernels.SERIES, *(s for s in DEBUG_SERIES if built.FLAVOURS[s.split()[1]].wakes))


def asleep(name, fn, timeout=240):
    """The case @fn(t, series), in which the guest sleeps, on each kernel that wakes up."""
    for series in WAKE:
        tap.add(f"{name} ({series})", fn, series, timeout=timeout)


def others(name, fn, timeout=240):
    """The same on arm64, and with a realtime kernel."""
    for series in OTHER_SERIES:
        tap.add(f"{name} ({series})", fn, series, timeout=timeout * ARM_PATIENCE)
