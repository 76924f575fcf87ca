# SPDX-License-Identifier: GPL-2.0-or-later
"""balloond as a service in a real Debian guest, seen from the guest and from the host.

One boot a kernel; the cases build on each other in the order in which they
stand, as an administrator would go on. A case that fails leaves the next ones
a service that restart() puts in order. The last of them demands the verdict of
the guest: all memory back, the module unloaded, the kernel log clean. Then a
guest of its own boots with the service enabled.

The host's view counts: `actual` of the device and the resident memory of QEMU.
"""
import contextlib
import json
import os
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "lib")]

import tap                                                            # noqa: E402
from harness import debian, kernels                                   # noqa: E402

MIB = 1 << 20
RAM = 1024 * MIB
CONFIG = "/etc/balloond.conf"
# Patience is for servers; a test may not wait ten minutes after each deflation.
QUICK = 'tail: { hold_off = "1s"; stall_price = "1M"; };\n'
# The kernel keeps some memory of the RAM that QEMU gives (its image, page tables).
BURST = "stress-ng --vm 4 --vm-bytes {mib}M --vm-keep --vm-populate --vm-method zero-one --oomable " \
        "--vm-ops {ops} --timeout 60"
# A boot that is over when it is told so.
SLOW = """\
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'until [ -e /run/go ]; do sleep 0.2; done'
"""


class Boot:
    """The guest of one kernel; started by the first case that needs it."""

    def __init__(self, series):
        self.series, self.g = series, None

    def guest(self, t):
        if self.g is None:
            self.g = debian.guest(self.series, "daemon", memory=RAM, lifetime=1200, report=t.diag)
            started = time.monotonic()
            self.g.start()
            t.diag(f"{self.series}: systemd was up after {time.monotonic() - started:.1f} s "
                   f"({self.g.accelerator})")
        t.on_failure(self.report)
        return self.g

    def report(self):
        return "\n".join([self.g.run("balloonctl status; systemctl status --no-pager balloond | head -20")[1],
                          self.g.journal("balloond", 15), self.g.console_tail(5)])

    # -- the service ----------------------------------------------------
    def status(self):
        status, text = self.g.run("balloonctl status --json")
        return json.loads(text) if status == 0 else {}

    def until(self, t, what, condition, timeout=60):
        """Waits until condition(status of the daemon) is true; that status."""
        def look():
            s = self.status()
            return s if s and condition(s) else None
        return t.wait(look, timeout, what, 0.3)

    def configure(self, text):
        self.g.put(text.encode(), CONFIG, 0o644)

    def restart(self, config=QUICK):
        """The service as for the next case, with @config, whatever the case before left behind."""
        self.configure(config)
        self.g.run("systemctl kill -s CONT balloond; systemctl stop balloond; systemctl reset-failed balloond")
        self.g.sh("modprobe uballoon && systemctl start balloond", 60)

    def inflated(self, t, at_least=RAM // 4):
        """Waits for the law to inflate by itself."""
        return self.until(t, "the balloon inflates", lambda s: s["size"] >= at_least)

    def held(self):
        """The balloon as the host sees it."""
        return RAM - self.g.balloon_actual()

    def held_is(self, t, want, timeout=60, slack=2 * MIB):
        t.wait(lambda: abs(self.held() - want) <= slack, timeout, f"the host sees a balloon of {want // MIB} MiB")

    def counter(self, name):
        return int(self.g.sh(f"awk '$1 ~ /^{name}:?$/ {{ print $2 }}' /sys/kernel/debug/uballoon/state"))

    def pid(self):
        return int(self.g.property("balloond", "MainPID"))

    def stored(self):
        """Files that systemd keeps for the next daemon."""
        return int(self.g.property("balloond", "NFileDescriptorStore"))

    def said_since(self, cursor):
        return self.g.sh(f"journalctl --no-pager -o cat -u balloond --after-cursor '{cursor}'")

    def cursor(self):
        return self.g.sh("journalctl -n 1 --show-cursor | sed -n 's/^-- cursor: //p'").strip()

    def replaced(self, t, old, timeout=60):
        """Waits for another daemon than @old that has the device; its status."""
        t.wait(lambda: self.pid() not in (0, old) and self.g.property("balloond", "ActiveState") == "active",
               timeout, "a new daemon", 0.1)
        return self.until(t, "the new one has the device", lambda s: s["host"] == "virtio", 20)

    @contextlib.contextmanager
    def drop_in(self, text):
        folder = "/run/systemd/system/balloond.service.d"
        self.g.sh(f"mkdir -p {folder} && printf '[Service]\\n{text}' > {folder}/test.conf && systemctl daemon-reload")
        try:
            yield
        finally:
            self.g.sh(f"rm -r {folder} && systemctl daemon-reload")


def watched(look, work):
    """What look() saw ten times a second while work() ran: a list."""
    seen = [look()]
    done = threading.Event()

    def watch():
        while not done.wait(0.1):
            seen.append(look())
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return seen


def peak_rss(g, work):
    """Bytes of the guest's RAM that were resident at most while work() ran. Free page
    reporting begins to give them back before a look afterwards could see them."""
    return max(watched(g.ram_rss, work))


def starts(t, b):
    g = b.guest(t)
    b.touched = peak_rss(g, lambda: g.sh(BURST.format(mib=700, ops=1000), 90))
    t.check(b.touched > RAM // 2, f"the guest has touched its memory ({b.touched >> 20} MiB)")
    t.equal(g.property("balloond", "ActiveState"), "inactive", "state before")
    t.equal(g.run("ls -d /sys/bus/virtio/drivers/uballoon/virtio*")[0], 0, "uballoon has the device")
    t.equal(g.run("grep -c ^virtio_balloon /proc/modules")[1].strip(), "0", "the stock driver is not loaded")
    g.sh("systemctl enable --now balloond 2>&1", 60)
    with t.subtest("it is ready when systemctl returns"):
        t.equal(g.property("balloond", "ActiveState"), "active", "state")
        t.equal(g.property("balloond", "Result"), "success", "result")
        t.equal(b.status()["host"], "virtio", "host")
    with t.subtest("it tells systemd what it does"):
        t.wait(lambda: "alloon" in g.property("balloond", "StatusText"), 20, "a status text")
    with t.subtest("it is not root, locked in memory, and not for the OOM killer"):
        pid = b.pid()
        t.equal(g.sh(f"stat -c %U /proc/{pid}").strip(), "balloond", "user")
        t.check(int(g.sh(f"awk '/^VmLck/ {{ print $2 }}' /proc/{pid}/status")) > 0, "memory is locked")
        t.between(int(g.read(f"/proc/{pid}/oom_score_adj")), -1000, -500, "oom_score_adj")
    with t.subtest("systemd finds nothing wrong with the units"):
        t.equal(g.run("systemd-analyze verify --man=no balloond.service", 60), (0, ""), "systemd-analyze verify")


def inflates(t, b):
    g = b.guest(t)
    s = b.inflated(t)
    with t.subtest("daemon, device and host agree on the size"):
        s = b.until(t, "rest", lambda s: s["size"] == s["target"])
        t.wait(lambda: abs(b.held() - b.status()["size"]) <= 2 * MIB, 20, "host and daemon agree")
    with t.subtest("the guest is left what it needs"):
        t.check(s["ram"] - s["size"] >= s["floor"], f"floor {s['floor'] >> 20} MiB is kept")
        # Free pages that are being reported are not, for a moment.
        b.until(t, "memory is available", lambda s: s["available"] > 64 * MIB, 20)
    with t.subtest("the host's memory fell by at least half of the balloon"):
        t.wait(lambda: b.touched - g.ram_rss() >= b.status()["size"] // 2, 30, "fall of QEMU's resident memory")
        t.diag(f"balloon {b.status()['size'] >> 20} MiB, guest's RAM on the host "
               f"{b.touched >> 20} -> {g.ram_rss() >> 20} MiB")


def bursts(t, b):
    g = b.guest(t)
    b.restart()
    s = b.inflated(t, RAM * 2 // 5)
    mib = (s["available"] + s["size"] * 3 // 4) // MIB
    t.diag(f"balloon {s['size'] >> 20} MiB, available {s['available'] >> 20} MiB; the burst takes {mib} MiB")
    kills = g.oom_kills()
    status, text = g.run(BURST.format(mib=mib, ops=4000), 120)
    t.equal(g.oom_kills(), kills, "OOM kills")
    t.equal(status, 0, f"exit status of the burst ({text.strip()})")
    t.check(b.status()["ticks"] > 0, "the daemon is alive")
    with t.subtest("and afterwards it inflates again"):
        b.inflated(t)


def host_target(t, b):
    g = b.guest(t)
    b.restart()
    g.sh("balloonctl mode host")
    for mib in (640, 896, 512, 1024):
        with t.subtest(f"QMP asks for a guest of {mib} MiB"):
            g.balloon(mib * MIB)
            s = b.until(t, "host target seen", lambda s: s["host_target"] == RAM - mib * MIB, 20)
            t.equal(s["mode"], "host", "mode")
            b.held_is(t, RAM - mib * MIB)
    with t.subtest("a target below the floor is obeyed as far as the floor allows"):
        g.balloon(64 * MIB)
        b.until(t, "rest at the floor", lambda s: s["size"] > RAM * 2 // 5 and s["size"] == s["target"])
        s = b.status()
        t.check(s["ram"] - s["size"] >= s["floor"], "the floor is kept")
        t.equal(g.oom_kills(), 0, "OOM kills")
    g.balloon(RAM)
    b.held_is(t, 0)


def manual(t, b):
    g = b.guest(t)
    b.restart()
    with t.subtest("balloonctl set-target --wait"):
        t.equal(g.run("balloonctl set-target 256MiB --wait", 60)[0], 0, "exit status")
        b.held_is(t, 256 * MIB, 10)
        t.equal(b.status()["mode"], "manual", "mode")
    with t.subtest("a target below the guest's floor is refused, nothing moves"):
        status, text = g.run("balloonctl set-target 1000MiB")
        t.equal(status, 5, f"exit status ({text})")
        b.held_is(t, 256 * MIB, 1)
    with t.subtest("back to auto"):
        g.sh("balloonctl set-target auto")
        t.equal(b.status()["mode"], "auto", "mode")


def rights(t, b):
    g = b.guest(t)
    b.restart()
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups "
    call = "busctl call org.balloond1 /org/balloond1 org.balloond1.Manager "
    t.equal(g.run(nobody + "balloonctl status")[0], 0, "anyone may look")
    t.equal(g.run(nobody + "busctl get-property org.balloond1 /org/balloond1 org.balloond1.Manager Size")[0], 0,
            "anyone may read a property")
    for what, command, want in (("set-target", "balloonctl set-target 100M", 4), ("mode", "balloonctl mode manual", 4),
                                ("reload", "balloonctl reload", 4), ("SetTarget", call + "SetTarget t 0", 1),
                                ("SetMode", call + "SetMode s manual", 1), ("Reload", call + "Reload", 1)):
        with t.subtest(f"nobody may not {what}"):
            status, text = g.run(nobody + command)
            t.equal(status, want, f"exit status ({text.strip()})")
    with t.subtest("nobody may not open the device"):
        t.check(g.run(nobody + "cat /dev/uballoon")[0] != 0, "the device is closed to others")
        t.equal(g.sh("stat -c '%U %G %a' /dev/uballoon").strip(), "root balloond 660", "owner and mode")
    t.equal(b.status()["mode"], "auto", "mode after all this")


def reload(t, b):
    g = b.guest(t)
    b.restart()
    with t.subtest("a good file is taken over"):
        b.configure(QUICK + 'limit = "300M";\n')
        g.sh("systemctl reload balloond", 60)
        b.until(t, "the new limit", lambda s: s["limit"] <= 300 * MIB and s["size"] <= 300 * MIB)
        t.equal(b.status()["config_error"], "", "error")
    with t.subtest("law and interval change without a restart"):
        pid, ticks = b.pid(), b.status()["ticks"]
        b.configure(QUICK + 'limit = "300M";\nlaw = "committed";\ninterval = "100ms";\nidle_interval = "100ms";\n')
        g.sh("systemctl reload balloond", 60)
        s = b.until(t, "the new law, ten ticks in a second or so",
                    lambda s: s["law"] == "committed" and s["ticks"] >= ticks + 30, 20)
        t.equal((b.pid(), g.property("balloond", "NRestarts")), (pid, "0"), "pid, restarts")
        b.configure(QUICK + 'limit = "300M";\n')
        g.sh("systemctl reload balloond", 60)
    with t.subtest("a bad file is refused with file, line and reason; the old one stays"):
        b.configure(QUICK + 'limit = "300M";\nfloor = 12;\n')
        t.check(g.run("systemctl reload balloond 2>&1", 60)[0] != 0, "systemctl reload fails")
        s = b.until(t, "the error is shown", lambda s: s["config_error"] != "", 20)
        t.contains(s["config_error"], f"{CONFIG}:3: floor: ", "error")
        t.check(s["limit"] <= 300 * MIB, "the limit stays")
        t.equal(g.property("balloond", "ActiveState"), "active", "state")
        t.contains(g.journal("balloond", 20), f"{CONFIG}:3: floor: ", "journal")
    with t.subtest("a repaired file clears the error"):
        b.configure(QUICK)
        g.sh("systemctl reload balloond", 60)
        b.until(t, "no error", lambda s: s["config_error"] == "" and s["limit"] > 300 * MIB, 20)


def account(t, b):
    """What programs see follows the configuration at each reload, and status says why."""
    g = b.guest(t)
    b.restart(QUICK + 'limit = "200M";\n')
    total = g.meminfo()["MemTotal"]
    b.until(t, "the balloon inflates", lambda s: s["size"] >= 196 * MIB)
    for word, gone in (("gone", True), ("available", False), ("gone", True), ("auto", False)):
        with t.subtest(word):
            b.configure(QUICK + f'limit = "200M";\naccount = "{word}";\n')
            g.sh("systemctl reload balloond", 60)
            # The balloon may still grow by a little, and what is not seen at one time differs by that.
            s = b.until(t, "the account", lambda s: s["account"] == ("gone" if gone else "available") and
                        total - g.meminfo()["MemTotal"] == (s["size"] if gone else 0), 20)
            where = "account_gone" if gone else "account_available"
            t.equal((s[where], s["account_gone"] + s["account_available"]), (s["size"], s["size"]), "bytes in it")
            t.check((word == "auto") != (f'account = "{word}"' in s["account_text"]), f"why: {s['account_text']}")
            t.contains(g.sh("balloonctl status"), f"Account  {s['account']}: {s['account_text']}", "status")
    t.check(s["relief_line"] > 0, f"relief line {s['relief_line']}")


def services(t, b):
    """While a service starts nothing is taken; a task that takes its time is none."""
    g = b.guest(t)
    b.restart(QUICK.replace("tail: {", 'tail: { inflate_rate = "8MiB/s";'))
    run = "systemd-run --quiet --no-block --collect "
    g.sh(run + "--unit=task --service-type=oneshot sleep 300")
    b.until(t, "the balloon inflates beside a task", lambda s: s["size"] > 0)
    g.sh(run + "--unit=slow --service-type=notify -p NotifyAccess=all sh -c "
         "'until [ -e /run/go ]; do sleep 0.2; done; systemd-notify --ready; exec sleep infinity'")
    # What is under way comes to its end.
    size = b.until(t, "the reason", lambda s: s["reason"] == "start-wait" and s["size"] == s["target"], 20)["size"]
    time.sleep(4)
    s = b.status()
    t.equal((s["size"], s["reason"]), (size, "start-wait"), "size and reason four seconds later")
    t.check(s["goal"] > size, f"the law wants more: {s['goal'] >> 20} MiB")
    g.sh("touch /run/go")
    b.until(t, "the balloon inflates again", lambda s: s["size"] > size)
    t.equal(g.property("task", "ActiveState"), "activating", "the task all along")
    g.sh("systemctl stop slow task; rm /run/go", 60)


def boots(t, b):
    """A guest of its own, with the service enabled: nothing is taken until systemd has done all it had to."""
    with tempfile.NamedTemporaryFile("w", suffix=".service") as unit:
        unit.write(SLOW)
        unit.flush()
        g = debian.guest(b.series, "boots", memory=RAM, report=t.diag,
                         files=[("etc/systemd/system/slow.service", unit.name, 0o644)],
                         append="systemd.wants=balloond.service systemd.wants=slow.service")
        t.defer(g.kill)
        t.on_failure(g.console_tail)
        # As for all guests, but for the wait until the boot is over.
        super(debian.DebianGuest, g).start()
    g.sh("/usr/lib/vmtest/baseline")

    def status():
        code, text = g.run("balloonctl status --json")
        return json.loads(text) if code == 0 else {}
    t.wait(lambda: status().get("reason") == "start-wait", 60, "the reason", 0.5)
    for _ in range(10):
        time.sleep(1)
        s = status()
        t.equal((s["reason"], s["size"], g.balloon_actual()), ("start-wait", 0, RAM), "reason, balloon, host's view")
    t.equal(g.property("balloond", "ActiveState"), "active", "the service, which waits for nobody")
    t.equal(g.run("systemctl is-system-running")[1].strip(), "starting", "the boot")
    g.sh("touch /run/go")
    t.equal(g.run("systemctl is-system-running --wait", 60)[1].strip(), "running", "the boot, later")
    t.wait(lambda: status().get("size", 0) > RAM // 8, 60, "the balloon inflates", 0.5)
    g.sh("systemctl stop balloond", 60)
    g.finish()


def lease(t, b):
    g = b.guest(t)
    b.restart(QUICK + 'lease = "4s";\n')
    b.inflated(t)
    # On a busy machine it may have stood still before.
    before, events, pages = b.held(), b.counter("lease_events"), b.counter("lease_pages")
    g.sh(f"kill -STOP {b.pid()}")
    b.held_is(t, 0, 40)
    with t.subtest("the module says what happened"):
        t.equal(b.counter("lease_events") - events, 1, "lease_events")
        t.check((b.counter("lease_pages") - pages) * 4096 >= before * 9 // 10, "lease_pages")
    with t.subtest("when the daemon comes back it carries on"):
        g.sh(f"kill -CONT {b.pid()}")
        b.inflated(t, before // 2)
        t.equal(g.property("balloond", "NRestarts"), "0", "restarts")


def crash(t, b):
    g = b.guest(t)
    b.restart()
    b.inflated(t)
    before, pid, cursor = b.held(), b.pid(), b.cursor()
    t.equal(b.stored(), 1, "files that systemd keeps")

    def work():
        g.sh(f"kill -KILL {pid}")
        b.last = b.replaced(t, pid)
    lowest = min(watched(b.held, work))
    t.check(lowest >= before * 9 // 10, f"the balloon outlived the daemon ({before >> 20} MiB, lowest {lowest >> 20} MiB)")
    t.check(b.last["size"] >= before * 9 // 10, "the new daemon took it over")
    t.equal(g.property("balloond", "NRestarts"), "1", "restarts")
    t.contains(b.said_since(cursor), "its device handed over by the service manager", "journal")


def restarts(t, b):
    """An administrator's restart, and one of an upgrade, are the same to systemd."""
    g = b.guest(t)
    b.restart()
    b.inflated(t)

    def work():
        g.sh("systemctl restart balloond", 60)
        b.last = b.replaced(t, pid)
    for how, drop_in, handed_over in (("with the file", "", True),
                                      ("where the unit keeps no file", "FileDescriptorStoreMax=0\\n", False)):
        with t.subtest("systemctl restart " + how), b.drop_in(drop_in):
            if not handed_over:
                # What the store has stays until the unit has been stopped.
                g.sh("systemctl stop balloond && systemctl start balloond", 60)
                b.inflated(t)
                t.equal(b.stored(), 0, "files that systemd keeps")
            before, pid, cursor = b.held(), b.pid(), b.cursor()
            lowest = min(watched(b.held, work))
            t.check(lowest >= before * 9 // 10, f"balloon {before >> 20} MiB, lowest {lowest >> 20} MiB")
            said = b.said_since(cursor)
            t.contains(said, "to the next daemon", "journal of the old one")
            t.contains(said, "taking over a balloon of", "journal of the new one")
            t.equal("handed over by the service manager" in said, handed_over, f"handed over: {said}")
            t.equal(b.stored(), int(handed_over), "files that systemd keeps")


def comes_late(t, b):
    """Nothing stored, and nobody there before the lease is over: all memory back, then anew."""
    g = b.guest(t)
    # The moment between lease and restart is not to be missed.
    with b.drop_in("FileDescriptorStoreMax=0\\nRestartSec=24s\\n"):
        b.restart(QUICK + 'lease = "3s";\n')
        b.inflated(t)
        pid, cursor = b.pid(), b.cursor()
        g.sh(f"kill -KILL {pid}")
        b.held_is(t, 0, 20)
        t.check(g.meminfo()["MemTotal"] > RAM * 9 // 10, "MemTotal is whole")
        b.replaced(t, pid)
        b.inflated(t)
        t.check("taking over a balloon" not in b.said_since(cursor), "there was nothing to take over")


def rebound(t, b):
    """The device goes and comes back while nobody runs: what was stored is of no use."""
    g = b.guest(t)
    with b.drop_in("RestartSec=24s\\n"):
        b.restart()
        b.inflated(t)
        pid = b.pid()
        device = g.sh("basename $(readlink -f /sys/bus/virtio/drivers/uballoon/virtio*)").strip()
        g.sh(f"kill -KILL {pid}; cd /sys/bus/virtio/drivers/uballoon; echo {device} > unbind; echo {device} > bind", 60)
        t.wait(lambda: b.stored() == 0, 10, "systemd drops the file")
        b.replaced(t, pid)
        b.inflated(t)
        t.equal((b.status()["problem"], b.stored()), ("", 1), "problem, files kept of the device that came")


def watchdog(t, b):
    g = b.guest(t)
    # A healthy guest may stand still for seconds.
    seconds = 5 * tap.PATIENCE
    with b.drop_in(f"WatchdogSec={seconds}s\\nTimeoutAbortSec=2s\\n"):
        b.restart()
        with t.subtest("a healthy daemon keeps it quiet"):
            pid = b.pid()
            time.sleep(1.5 * seconds)
            t.equal(b.pid(), pid, "pid after one and a half periods")
        with t.subtest("a hung one is replaced"):
            g.sh(f"kill -STOP {pid}")
            t.wait(lambda: b.pid() not in (0, pid) and g.property("balloond", "ActiveState") == "active", 60,
                   "a new daemon")
            t.contains(g.journal("balloond", 30), "watchdog", "journal")


def unbinds(t, b):
    g = b.guest(t)
    b.restart()
    b.inflated(t)
    pid = b.pid()
    device = g.sh("basename $(readlink -f /sys/bus/virtio/drivers/uballoon/virtio*)").strip()
    g.sh(f"echo {device} > /sys/bus/virtio/drivers/uballoon/unbind", 60)
    with t.subtest("unbind: the daemon says so and the memory is back"):
        s = b.until(t, "no device", lambda s: s["host"] == "", 30)
        t.check(s["problem"] != "", "the problem is shown")
        t.check(g.meminfo()["MemTotal"] > RAM * 9 // 10, "MemTotal is whole")
        b.held_is(t, 0, 20)
    with t.subtest("the module can be unloaded and loaded under the running daemon"):
        g.sh("modprobe -r uballoon && modprobe uballoon")
        b.until(t, "the device is found again", lambda s: s["host"] == "virtio" and s["problem"] == "", 30)
        b.inflated(t)
    with t.subtest("a module in use stays"):
        status, text = g.run("modprobe -r uballoon 2>&1")
        t.check(status != 0, "modprobe -r fails")
        t.check(b.status()["host"] == "virtio", "and nothing has changed")
    t.equal(b.pid(), pid, "the same daemon all along")


def unplugs(t, b):
    g = b.guest(t)
    b.restart()
    b.inflated(t)
    pid = b.pid()
    with t.subtest("QMP device_del"):
        g.device_del("b0", 60)
        b.until(t, "no device", lambda s: s["host"] == "", 30)
        t.check(g.meminfo()["MemTotal"] > RAM * 9 // 10, "MemTotal is whole")
    with t.subtest("QMP device_add"):
        g.device_add()
        b.until(t, "the device is found", lambda s: s["host"] == "virtio", 60)
        b.inflated(t)
    t.equal(b.pid(), pid, "the same daemon all along")


def stops(t, b):
    g = b.guest(t)
    b.restart()
    b.inflated(t)
    g.sh("systemctl stop balloond", 60)
    t.equal(g.property("balloond", "Result"), "success", "result")
    t.equal(b.held(), 0, "balloon when systemctl stop returns")
    t.equal(b.stored(), 0, "files that systemd keeps")
    g.sh("modprobe -r uballoon && modprobe uballoon")
    t.check(g.meminfo()["MemTotal"] > RAM * 9 // 10, "MemTotal is whole")


def keeps(t, b):
    g = b.guest(t)
    b.restart(QUICK + 'on_stop = "keep";\nlease = "3s";\n')
    s = b.inflated(t)
    g.sh("systemctl stop balloond", 60)
    before = b.held()
    t.check(before >= s["size"] // 2, f"the balloon stays ({before >> 20} MiB)")
    time.sleep(7)
    t.equal(b.held(), before, "balloon two leases later")
    with t.subtest("the next one takes it over"):
        g.sh("systemctl start balloond", 60)
        s = b.until(t, "the daemon is back", lambda s: s["host"] == "virtio", 20)
        t.check(b.held() >= before * 9 // 10, "the balloon is still there")


def ends(t, b):
    g = b.guest(t)
    b.configure(QUICK)
    g.run("systemctl stop balloond; systemctl start balloond", 60)
    g.sh("systemctl disable --now balloond 2>&1", 60)
    t.equal(b.held(), 0, "balloon")
    g.run("rm -f " + CONFIG)
    g.finish()
    b.g = None


CASES = (
    ("starts with systemctl enable --now", starts, 300),
    ("an idle guest inflates", inflates, 200),
    ("a burst gets its memory back without an OOM kill", bursts, 300),
    ("mode host follows the host's target", host_target, 300),
    ("manual targets", manual, 150),
    ("only root may change anything", rights, 120),
    ("reload", reload, 200),
    ("the account in balloond.conf", account, 150),
    ("a service that starts", services, 200),
    ("a daemon that stands still loses its lease", lease, 200),
    ("a daemon that was killed is restarted and takes the balloon over", crash, 200),
    ("a restart leaves the balloon to the next daemon", restarts, 240),
    ("nothing stored, and the next daemon comes after the lease", comes_late, 200),
    ("the device comes back as another while no daemon runs", rebound, 200),
    ("the watchdog", watchdog, 200),
    ("driver unbound and bound, module unloaded", unbinds, 240),
    ("device unplugged and plugged", unplugs, 240),
    ("stop returns the memory", stops, 150),
    ("on_stop = keep", keeps, 150),
    ("verdict of the guest", ends, 150),
    ("enabled at boot", boots, 400),
)
boots_by_kernel = [Boot(series) for series in kernels.SERIES]
for boot in boots_by_kernel:
    for name, fn, timeout in CASES:
        tap.add(f"{boot.series}: {name}", fn, boot, timeout=timeout)


@tap.teardown
def kill_all():
    for boot in boots_by_kernel:
        if boot.g:
            boot.g.kill()


if __name__ == "__main__":
    tap.main()
