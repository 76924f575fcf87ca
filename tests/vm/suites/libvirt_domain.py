# SPDX-License-Identifier: GPL-2.0-or-later
"""balloond in a domain of libvirt's: what virsh shows and orders, and what comes of it.

Debian's libvirtd, started for the suite. The domain is what docs/libvirt.md advises: autodeflate and
freePageReporting, statistics. One boot a kernel; the cases build on each other, the last one demands
the verdict of the guest. Then, that nothing is left when a test is killed.

Figures are those of `virsh dommemstat` and `virsh domstats --balloon`, held against the guest's own
/proc, balloonctl and the host's /proc of QEMU.
"""
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import kernels                                           # noqa: E402
from libvirt.daemon import Libvirt                                    # noqa: E402
from libvirt.domain import Domain                                     # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
RAM = 1024 * MIB
# Patience is for servers; a test may not wait ten minutes after each deflation.
QUICK = 'mode = "{mode}";\ntail: {{ hold_off = "1s"; stall_price = "1M"; }};\n{more}\n'
# A law that leaves the guest more than its floor, so that there is something to be ordered.
GENEROUS = 'adaptive: { headroom_min = "384M"; headroom_max = "384M"; };'
# The default.
LEASE_S = 30
# What a guest at rest may take or free between two looks.
SLACK = 16 * MIB


class Lab:
    """libvirtd and the domain of one kernel; started by the first case that needs them."""

    def __init__(self, series):
        self.series, self.libvirt, self.d = series, None, None

    def domain(self, t):
        if self.d is None:
            self.libvirt = self.libvirt or Libvirt()
            self.d = Domain(self.libvirt, self.series, memory=RAM, report=t.diag)
            self.d.start()
        t.on_failure(self.report)
        return self.d

    def report(self):
        return "\n".join([self.d.run("balloonctl status")[1], self.d.virsh("dommemstat"),
                          *self.libvirt.messages().splitlines()[-3:], self.d.console_tail(5)])

    def status(self):
        status, text = self.d.run("balloonctl status --json")
        return json.loads(text) if status == 0 else {}

    def until(self, t, what, condition, timeout=60):
        return t.wait(lambda: (s := self.status()) and condition(s) and s, timeout, what, 0.3)

    def mode(self, mode, more=""):
        """The service with this mode, as if it were new."""
        self.d.put(QUICK.format(mode=mode, more=more).encode(), "/etc/balloond.conf", 0o644)
        self.d.sh("systemctl stop balloond; systemctl start balloond", 60)

    def actual(self):
        return self.d.memstat()["actual"] * KIB

    def leaves(self, t, size, timeout=60):
        """Waits until libvirt sees a guest of @size."""
        t.wait(lambda: abs(self.actual() - size) <= 2 * MIB, timeout, f"dommemstat: actual is {size // MIB} MiB")

    def rests(self, t):
        """Waits until the balloon is where it is led, and does not move for some seconds; the status."""
        seen = []

        def look():
            seen.append(self.status())
            last = [s.get("size") for s in seen[-6:]]
            return len(last) == 6 and len(set(last)) == 1 and last[0] == seen[-1].get("target") and seen[-1]
        return t.wait(look, 90, "the balloon is at rest", 1)

    def close(self):
        for part in (self.d, self.libvirt):
            if part:
                part.kill() if part is self.d else part.close()
        self.d = self.libvirt = None


def device(t, lab):
    d = lab.domain(t)
    for name, path in (("deflate-on-oom", "autodeflate"), ("free-page-reporting", "freePageReporting")):
        found = [d.qmp("qom-get", path=f"/machine/peripheral/{child['name']}", property=name)
                 for child in d.qmp("qom-list", path="/machine/peripheral") if "virtio-balloon" in child["type"]]
        t.equal(found, [True], f"QEMU's {name} by libvirt's {path}")
    lab.mode("manual")
    s = lab.until(t, "the daemon has the device", lambda s: s["host"] == "virtio", 20)
    t.equal({"deflate-on-oom", "reporting", "guest-driven", "host-target"} - set(s["capabilities"]), set(),
            "missing capabilities")
    t.equal((s["account"], s["host_target"]), ("available", 0), "account, host's target")


# dommemstat's name -> (of /proc/vmstat, unit in KiB or counts); those that only grow.
COUNTERS = {"swap_in": ("pswpin", 4), "swap_out": ("pswpout", 4), "major_fault": ("pgmajfault", 1),
            "minor_fault": ("pgfault", 1)}


def figures(lab):
    """What the guest and the host know of it, by the names that dommemstat has for it."""
    d, s = lab.d, lab.status()
    mem, vm = d.meminfo(), d.vmstat()
    return {"actual": (RAM - s["size"]) // KIB, "rss": d.rss() // KIB, "unused": mem["MemFree"] // KIB,
            "available": (mem["MemTotal"] - s["account_available"]) // KIB, "usable": s["available"] // KIB,
            "disk_caches": (mem["Cached"] + mem["Buffers"] + mem["SwapCached"]) // KIB,
            **{name: vm[key] * unit for name, (key, unit) in COUNTERS.items()}}


def compare(t, lab):
    """dommemstat against the guest, once libvirt has statistics that are newer than the guest's."""
    before = figures(lab)
    first = lab.d.memstat()["last_update"]
    got = t.wait(lambda: (m := lab.d.memstat()) and m["last_update"] > first + 1 and m, 60, "statistics of now")
    after = figures(lab)
    for name, low in before.items():
        high, slack = after[name], 0 if name in (*COUNTERS, "actual", "available") else SLACK // KIB
        t.between(got[name], min(low, high) - slack, max(low, high) + slack, f"dommemstat: {name}")
    t.equal((got["hugetlb_pgalloc"], got["hugetlb_pgfail"]), (0, 0), "huge pages that were asked for")
    return got


def statistics(t, lab):
    d = lab.domain(t)
    with t.subtest("with an empty balloon"):
        got = compare(t, lab)
        t.equal(got["actual"] * KIB, RAM, "actual")
    with t.subtest("with a balloon of 300 MiB, which programs in the guest do not see"):
        total = d.meminfo()["MemTotal"]
        d.sh("balloonctl set-target 300MiB --wait", 60)
        got = compare(t, lab)
        t.equal(got["actual"] * KIB, RAM - 300 * MIB, "actual")
        t.equal((d.meminfo()["MemTotal"], got["available"] * KIB), (total, total - 300 * MIB), "total in the guest, outside")
    with t.subtest("domstats --balloon says the same"):
        a, s, b = d.memstat(), d.stats(), d.memstat()
        t.equal((s["current"], s["maximum"]), (a["actual"], RAM // KIB), "current, maximum")
        names = {name.replace("last_update", "last-update") for name in a} - {"actual"}
        t.equal(names - set(s), set(), "figures that domstats lacks")
        for name in names - {"last-update"}:
            slack = 0 if name in ("available", "hugetlb_pgalloc", "hugetlb_pgfail", "swap_in", "swap_out") else SLACK // KIB
            t.between(s[name], min(a[name], b[name]) - slack, max(a[name], b[name]) + slack, f"domstats: {name}")
    with t.subtest("dominfo too"):
        used = [int(line.split()[2]) for line in d.virsh("dominfo").splitlines() if line.startswith("Used memory")]
        t.equal(used, [(RAM - 300 * MIB) // KIB], "used memory, KiB")
    d.sh("balloonctl set-target 0 --wait", 60)


def host_mode(t, lab):
    d = lab.domain(t)
    lab.mode("host")
    for mib in (640, 896, 512, 1024):
        with t.subtest(f"setmem --live to {mib} MiB"):
            d.virsh("setmem", f"{mib}M", "--live")
            lab.leaves(t, mib * MIB)
            want = RAM - mib * MIB
            lab.until(t, "the daemon is told, and there", lambda s: s["host_target"] == s["size"] == want, 20)
    with t.subtest("below the guest's floor: obeyed as far as that allows"):
        d.virsh("setmem", "64M", "--live")
        lab.until(t, "the host's target is seen", lambda s: s["host_target"] == RAM - 64 * MIB, 20)
        s = lab.rests(t)
        t.check(s["size"] > RAM // 3, f"the balloon is large: {s['size'] >> 20} MiB")
        t.check(s["ram"] - s["size"] >= s["floor"], f"the guest keeps its floor of {s['floor'] >> 20} MiB")
        t.equal(lab.actual(), RAM - s["size"], "libvirt sees what the guest does, not what was asked")
    d.virsh("setmem", f"{RAM // MIB}M", "--live")
    lab.leaves(t, RAM)
    t.equal(d.oom_kills(), 0, "OOM kills")


def auto_mode(t, lab):
    d = lab.domain(t)
    lab.mode("auto", GENEROUS)
    with t.subtest("the law inflates without an order"):
        lab.until(t, "the balloon inflates", lambda s: s["size"] > RAM // 4, 90)
        own = lab.rests(t)
        t.equal(own["host_target"], 0, "host's target")
        lab.leaves(t, RAM - own["size"], 5)
    # One and the other side of what the law gives.
    less, more = own["size"] // 2 // MIB * MIB, own["size"] // MIB * MIB + 100 * MIB
    t.check(own["ram"] - more >= own["floor"] + 32 * MIB, "the second leaves more than the floor")
    with t.subtest("setmem to less than the guest gives changes nothing"):
        d.virsh("setmem", f"{(RAM - less) // MIB}M", "--live")
        lab.until(t, "the host's target is seen", lambda s: s["host_target"] == less, 20)
        s = lab.rests(t)
        t.between(s["size"], own["size"] - 32 * MIB, own["size"] + 64 * MIB, "balloon")
    with t.subtest("setmem to more than it gives is obeyed, and no further"):
        d.virsh("setmem", f"{(RAM - more) // MIB}M", "--live")
        lab.until(t, "it inflates to the host's target", lambda s: s["host_target"] == s["size"] == more, 60)
        t.equal(lab.rests(t)["size"], more, "balloon")
        lab.leaves(t, RAM - more, 5)
    with t.subtest("setmem to all: the law has it again, and keeps what nobody needs"):
        d.virsh("setmem", f"{RAM // MIB}M", "--live")
        lab.until(t, "the host's target is seen", lambda s: s["host_target"] == 0, 20)
        s = lab.rests(t)
        t.check(s["size"] >= own["size"] - 32 * MIB, f"the balloon stays: {s['size'] >> 20} MiB")
        lab.leaves(t, RAM - s["size"], 5)
    t.equal((d.oom_kills(), lab.status()["emergencies"]), (0, 0), "OOM kills, emergencies")


def burst(t, lab):
    """autodeflate: who needs memory has it from the balloon, whatever was ordered."""
    d = lab.domain(t)
    lab.mode("host")
    d.virsh("setmem", "448M", "--live")
    lab.leaves(t, 448 * MIB, 90)
    before, rss = lab.status(), d.ram_rss()
    mib = (before["available"] + before["size"] // 2) // MIB
    status, text = d.run(f"stress-ng --vm 2 --vm-bytes {mib}M --vm-keep --vm-populate --vm-method zero-one --oomable "
                         "--vm-ops 2000 --timeout 60", 120)
    t.equal((status, d.oom_kills()), (0, 0), f"exit status, OOM kills of a burst of {mib} MiB ({text.strip()})")
    s = lab.status()
    t.check(s["relieved"] > before["relieved"], f"the relief line gave {s['relieved'] - before['relieved'] >> 20} MiB")
    t.check(s["rescue_events"] == before["rescue_events"], "not the OOM notifier")
    with t.subtest("and what the host asked for comes back to it when the burst is over"):
        lab.leaves(t, 448 * MIB, 120)
        t.wait(lambda: d.ram_rss() < rss + 64 * MIB, 60, "QEMU's resident memory")
    d.virsh("setmem", f"{RAM // MIB}M", "--live")
    lab.leaves(t, RAM)


def saved(t, lab):
    d = lab.domain(t)
    lab.mode("auto")
    lab.until(t, "the balloon inflates", lambda s: s["size"] > RAM // 3, 90)
    before = lab.rests(t)
    pid = d.property("balloond", "MainPID")
    size, first = d.save(), d.process.pid
    with t.subtest("saved: QEMU has ended, and the file is small"):
        t.equal((d.process.poll(), d.virsh("domstate").strip()), (0, "shut off"), "QEMU, the domain's state")
        t.check(size < RAM - before["size"] + 32 * MIB, f"{size >> 20} MiB for a guest that has "
                f"{RAM - before['size'] >> 20} of {RAM >> 20}")
    # Longer than the lease, which must not run out meanwhile.
    time.sleep(LEASE_S + 5)
    d.restore()
    with t.subtest("restored: the same balloon, the same daemon"):
        t.check(d.process.pid != first, "another QEMU")
        s = lab.until(t, "the daemon goes on", lambda s: s["ticks"] > before["ticks"], 60)
        t.equal(d.property("balloond", "MainPID"), pid, "process of the daemon")
        t.check(abs(s["size"] - before["size"]) <= 32 * MIB, f"{before['size'] >> 20} -> {s['size'] >> 20} MiB")
        s = lab.rests(t)
        lab.leaves(t, RAM - s["size"], 5)
        t.equal((s["rescue_events"], s["emergencies"], s["problem"]), (before["rescue_events"], 0, ""),
                "rescues, emergencies, problem")
        t.check(d.ram_rss() < RAM - s["size"] + 32 * MIB, f"QEMU holds {d.ram_rss() >> 20} MiB of the guest's RAM")
    with t.subtest("statistics go on, and are right"):
        compare(t, lab)
    with t.subtest("orders reach it"):
        d.sh("balloonctl mode host")
        for mib in (700, 1024):
            d.virsh("setmem", f"{mib}M", "--live")
            lab.leaves(t, mib * MIB)
    with t.subtest("all memory is the guest's again, and can be used"):
        mib = lab.status()["available"] * 7 // 8 // MIB
        status, text = d.run(f"stress-ng --vm 1 --vm-bytes {mib}M --vm-keep --vm-populate --vm-method zero-one "
                             "--vm-ops 500 --verify --timeout 60", 120)
        t.equal((status, d.oom_kills()), (0, 0), f"exit status, OOM kills ({text.strip()})")


def ends(t, lab):
    d = lab.domain(t)
    d.sh("systemctl stop balloond", 60)
    lab.leaves(t, RAM, 10)
    d.finish()
    t.equal(lab.libvirt.virsh("list", "--all", "--name").strip(), "", "domains that libvirt knows")
    lab.close()


KILLED = """\
import sys
sys.path[:0] = {path!r}
from libvirt.daemon import Libvirt
from libvirt.domain import Domain
lab = Libvirt()
d = Domain(lab, "6.12", name="{name}", memory=512 << 20)
d._launch()
print(lab.folder, d._dir, flush=True)
sys.stdin.read()
"""


def processes(word):
    """Of all on the machine whose command line or environment has @word."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as f, open(f"/proc/{entry}/environ", "rb") as g:
                if word.encode() in f.read() + g.read():
                    found.append(entry)
        except OSError:
            pass
    return found


@tap.case("a test that is killed leaves no process", timeout=120)
def killed(t):
    path = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]
    p = subprocess.Popen([sys.executable, "-c", KILLED.format(path=path, name="killed")], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    t.defer(p.kill)
    folder, guest = p.stdout.readline().split()
    for place in (folder, guest):
        t.defer(subprocess.run, ["rm", "-rf", place])
    t.check(len(processes(folder)) >= 2, "libvirtd and QEMU run")
    t.check(processes(f"{guest}/root"), "QEMU runs")
    p.send_signal(signal.SIGKILL)
    p.wait()
    t.wait(lambda: not processes(folder) and not processes(f"{guest}/root"), 20, "no process of theirs")


CASES = (
    ("the device as libvirt makes it", device, 300),
    ("dommemstat and domstats --balloon", statistics, 200),
    ("setmem --live, mode host", host_mode, 300),
    ("setmem --live, mode auto", auto_mode, 400),
    ("a burst beyond what was left", burst, 300),
    ("managedsave and restore with a balloon", saved, 400),
    ("verdict of the guest", ends, 150),
)
labs = [Lab(series) for series in kernels.SERIES]
for one in labs:
    for case_name, function, limit in CASES:
        tap.add(f"{one.series}: {case_name}", function, one, timeout=limit)


@tap.teardown
def kill_all():
    for lab in labs:
        lab.close()


if __name__ == "__main__":
    tap.main()
