# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU 7.2 and 10: that the option chooses, and what of the balloon device differs between them.

The virtio suites themselves run with either, see system_suites in tests/vm/meson.build. Here each
difference that they do not see has its row in DIFFER; one that is not there, or that is new, fails.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from kmod_lib import balloon, tap                                     # noqa: E402
from harness import emulator                                          # noqa: E402
from harness.paths import HarnessError                                # noqa: E402

# Option -> what its version begins with.
VERSIONS = {"": (7, 2), "10": (10, 0)}
# What the guest or the management sees -> with 7.2, with 10.
DIFFER = {
    "interrupts of the device in the guest": ({"IO-APIC"}, {"PCI-MSI"}),
    "sizes of the queues (inflate, deflate, statistics, reports)": ({128, 32}, {1024}),
    "figures of guest-stats that only one of them has": (set(), {
        "stat-oom-kills", "stat-alloc-stalls", "stat-async-scans", "stat-direct-scans", "stat-async-reclaims",
        "stat-direct-reclaims"}),
}


def chosen(t, option):
    """The case's QEMU is that of @option."""
    before = os.environ.get(emulator.OPTION)
    t.defer(lambda: os.environ.pop(emulator.OPTION) if before is None else
            os.environ.__setitem__(emulator.OPTION, before))
    os.environ[emulator.OPTION] = option


def seen(t, option):
    """{what differs: its value}, of a guest under that QEMU."""
    chosen(t, option)
    with balloon(t, "6.12") as b:
        version = b.g.qmp("query-version")["qemu"]
        t.equal((version["major"], version["minor"]), VERSIONS[option], f"{emulator.OPTION}={option}: QEMU that runs")
        t.equal(emulator.version()[:2], VERSIONS[option], "what --version says")
        b.lock("2m", 20)
        t.wait(lambda: b.g.guest_stats()["last-update"], 20, "statistics")
        lines = [line for line in b.g.read("/proc/interrupts").splitlines() if line.split()[-1].startswith(b.device())]
        kinds = {kind for line in lines for kind in ("IO-APIC", "PCI-MSI") if kind in line}
        sizes = {b.g.qmp("x-query-virtio-queue-status", path="/machine/peripheral/b0/virtio-backend",
                         queue=queue)["vring-num"] for queue in range(4)}
        return {"sizes of the queues (inflate, deflate, statistics, reports)": sizes,
                "interrupts of the device in the guest": kinds,
                "figures of guest-stats that only one of them has": set(b.g.guest_stats()["stats"])}


@tap.case("the option chooses, and the devices differ as it is stated", timeout=240)
def differences(t):
    got = [seen(t, option) for option in VERSIONS]
    for name, want in DIFFER.items():
        both = set.intersection(*(g[name] for g in got))
        with t.subtest(name):
            t.equal(tuple(g[name] - both for g in got), want, "with 7.2, with 10")


@tap.case("a QEMU that is not known is refused, and those that are known are named")
def unknown(t):
    chosen(t, "8")
    e = t.raises(HarnessError, emulator.argv)
    t.contains(str(e), f"{emulator.OPTION}=8: there is no such QEMU; there are: {' '.join(emulator.NEWER)}", "error")


if __name__ == "__main__":
    tap.main()
