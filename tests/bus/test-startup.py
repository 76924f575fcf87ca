# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the guest boots, or starts services: what the daemon learns of a service manager.

The manager is made up (fake-manager.c), the bus is real. The first cases look at
serve/startup.c alone (startup-probe.c), by a clock of their own, so that they do
not depend on how long this machine has been up; the last ones at the daemon.

Left out: how long a start is waited for, and what waits (tests/unit/test-startup.c).
"""
import os
import signal
import subprocess
import threading

import lab
import tap
from lab import Bus, Daemon, ctl, expect

MANAGER = os.environ["FAKE_MANAGER"]
PROBE = os.environ["STARTUP_PROBE"]

# An hour after the boot: what is not told is over.
LATE = 3600
# Free memory is what any machine has, so that the law wants some of it.
GREEDY = 'interval = "100ms"; idle_interval = "100ms"; floor = "1M"; reserve = "0"; limit = "none";\n' \
         'adaptive: { headroom_min = "1M"; headroom_max = "1M"; };\n'


class Program:
    """A program whose lines are kept as they come."""

    def __init__(self, t, *argv):
        self.lines = []
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.t = t
        t.defer(self.end)
        t.on_failure(lambda: f"{os.path.basename(argv[0])} said: {self.lines}")

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def end(self):
        lab.end(self.process)
        self.reader.join()
        self.process.stdout.close()
        self.process.stdin.close()

    def count(self, line):
        return self.lines.count(line)

    def wait(self, what, condition):
        self.t.wait(lambda: condition() or self.process.poll() is not None, lab.PATIENCE_S, what, interval=0.01)
        self.t.check(condition(), what)


class Manager(Program):
    def __init__(self, t, bus, *args):
        super().__init__(t, MANAGER, bus.address, *args)
        self.wait("the manager is on the bus", lambda: "ready" in self.lines)

    def tell(self, command):
        self.process.stdin.write(command + "\n")

    def asked(self, what="ListJobs"):
        return self.count("asked " + what)

    def tell_and_be_asked(self, command):
        """The next question comes when the answer to the one before has been understood."""
        asked = self.asked()
        self.tell(command)
        self.wait(f"a question after {command!r}", lambda: self.asked() > asked)


class Probe(Program):
    def __init__(self, t, address, uptime=LATE, speed=0):
        super().__init__(t, PROBE, address, str(uptime), str(speed))

    def states(self):
        return [line for line in self.lines if line != "began"]

    def until(self, state):
        self.wait(f"it says {state!r}", lambda: self.states()[-1:] == [state])

    def boots_by_the_clock(self):
        self.wait("it says that the guest boots, for two minutes", lambda: self.states() == ["boot", "none"])

    def settled(self, manager):
        """The manager has been asked for its jobs, and has none that counts."""
        manager.wait("it is asked for jobs", manager.asked)
        self.until("none")


@tap.case("the boot is over when the manager says so")
def boot(t):
    bus = Bus(t)
    manager = Manager(t, bus, "7 slow.service start notify")
    probe = Probe(t, bus.address)
    manager.wait("it is asked", lambda: manager.asked("FinishTimestampMonotonic"))
    probe.until("boot")
    manager.tell("job 8 other.service start notify")
    manager.tell("done 7")
    manager.tell("done 8")
    manager.tell("finish")
    probe.settled(manager)
    t.equal(probe.states(), ["boot", "none"], "states")
    with t.subtest("jobs of the boot are nobody's business"):
        t.equal((manager.asked("FinishTimestampMonotonic"), manager.asked()), (2, 1), "questions")


@tap.case("who comes later finds a boot that is over")
def later(t):
    bus = Bus(t)
    manager = Manager(t, bus, "finished")
    probe = Probe(t, bus.address, uptime=5)
    probe.settled(manager)
    t.check("services" not in probe.states(), f"states {probe.states()}")


@tap.case("services that start, and jobs that are none of it")
def services(t):
    bus = Bus(t)
    manager = Manager(t, bus, "finished")
    probe = Probe(t, bus.address)
    probe.settled(manager)
    for number, job in enumerate(("backup.service start oneshot", "data.mount start notify",
                                  "multi-user.target start simple", "old.service stop notify",
                                  "web.service reload notify"), 1):
        with t.subtest(job):
            lines = list(probe.lines)
            manager.tell_and_be_asked(f"job {number} {job}")
            manager.tell_and_be_asked(f"done {number}")
            t.equal(probe.lines, lines, "what the probe said")
    for number, job in enumerate(("db.service start notify", "web.service restart simple",
                                  "a.b.service start forking", "bus.service start dbus"), 11):
        with t.subtest(job):
            manager.tell(f"job {number} {job}")
            probe.until("services")
            manager.tell(f"done {number}")
            probe.until("none")
    t.equal(probe.count("services"), 4, "times that services started")
    t.equal(probe.count("began"), 4, "times that it said so at once")
    with t.subtest("one that counts among others that do not"):
        manager.tell_and_be_asked("job 21 backup.service start oneshot")
        manager.tell("job 22 db.service start notify")
        probe.until("services")
        manager.tell_and_be_asked("job 23 web.service start notify")
        manager.tell_and_be_asked("done 22")
        t.equal(probe.states()[-1], "services", "while one is left")
        manager.tell("done 23")
        probe.until("none")
    with t.subtest("one that comes between a question and its answer"):
        manager.tell("job 24 race.service start oneshot")
        probe.until("services")


@tap.case("no manager: by the time since boot, until there is one")
def no_manager(t):
    bus = Bus(t)
    probe = Probe(t, bus.address, uptime=100, speed=20)
    probe.boots_by_the_clock()
    with t.subtest("one that comes is asked"):
        manager = Manager(t, bus)
        probe.until("boot")
        manager.tell("finish")
        probe.until("none")
    with t.subtest("one that goes in the middle of a boot leaves the time"):
        manager.end()
        manager = Manager(t, bus)
        probe.until("boot")
        manager.end()
        probe.until("none")
    with t.subtest("and one that executes itself anew is asked again"):
        manager = Manager(t, bus, "finished", "5 db.service start notify")
        probe.until("services")
        manager.end()
        manager = Manager(t, bus, "finished")
        probe.until("none")
        manager.tell("job 6 db.service start notify")
        probe.until("services")


@tap.case("no bus: by the time since boot, until there is one")
def no_bus(t):
    bus = Bus(t, start=False)
    probe = Probe(t, bus.address, uptime=100, speed=20)
    probe.boots_by_the_clock()
    bus.start()
    manager = Manager(t, bus, "finished", "5 db.service start notify")
    probe.until("services")
    with t.subtest("a bus that goes takes with it what it said"):
        bus.stop()
        probe.until("none")
        manager.end()
    with t.subtest("and comes back"):
        bus.start()
        manager = Manager(t, bus, "finished", "5 db.service start notify")
        probe.until("services")
        manager.tell("done 5")
        probe.until("none")


@tap.case("nobody to ask: by the time since boot")
def nobody(t):
    probe = Probe(t, "-", uptime=100, speed=20)
    probe.boots_by_the_clock()
    t.equal(probe.count("began"), 0, "times that it was told so")
    late = Probe(t, "-", uptime=120)
    late.until("none")
    t.equal(late.states(), ["none"], "states two minutes after the boot")


@tap.case("a manager that reads its units again may forget who listens")
def reload(t):
    bus = Bus(t)
    manager = Manager(t, bus, "finished")
    probe = Probe(t, bus.address)
    probe.settled(manager)
    subscribed = manager.asked("Subscribe")
    manager.tell("reload")
    manager.wait("it is subscribed to again", lambda: manager.asked("Subscribe") > subscribed)
    manager.tell("job 5 db.service start notify")
    probe.until("services")


@tap.case("a signal that is lost keeps nothing waiting")
def lost(t):
    bus = Bus(t)
    manager = Manager(t, bus, "finished", "5 db.service start notify")
    probe = Probe(t, bus.address, speed=20)
    probe.until("services")
    manager.tell("mute")
    manager.tell("done 5")
    probe.until("none")


@tap.case("the daemon: a service starts, and nothing is taken")
def daemon(t):
    bus = Bus(t)
    manager = Manager(t, bus, "finished")
    running = Daemon(t, bus, GREEDY)
    t.wait(lambda: bus.get("Reason") not in ("starting", "start-wait"), 20, "a decision", interval=0.05)
    target = bus.get("Target")
    t.check(target > 0, f"the law wants memory ({target} bytes)")
    manager.tell("job 5 db.service start notify")
    t.wait(lambda: bus.get("Reason") == "start-wait", 20, "the reason", interval=0.05)
    t.equal(bus.get("Target"), 0, "where the balloon is led to")
    text = "The guest, or a service in it, is starting; nothing is taken until it has."
    expect(t, ctl(bus), 0, "Reason  " + text)
    expect(t, ctl(bus, "explain"), 0, text)
    with t.subtest("a wait of 0 is none"):
        running.configure(GREEDY + 'tail: { start_wait = "0"; };\n')
        expect(t, ctl(bus, "reload"), 0)
        t.wait(lambda: bus.get("Reason") != "start-wait", 20, "another reason", interval=0.05)
        running.configure(GREEDY)
        expect(t, ctl(bus, "reload"), 0)
        t.wait(lambda: bus.get("Reason") == "start-wait", 20, "the reason again", interval=0.05)
    with t.subtest("afterwards the law goes on"):
        manager.tell("done 5")
        t.wait(lambda: bus.get("Reason") != "start-wait" and bus.get("Target") > 0, 20, "memory is taken",
               interval=0.05)


@tap.case("the daemon is ready, and ticks, whatever the manager does")
def deaf(t):
    bus = Bus(t)
    manager = Manager(t, bus, "3 balloond.service start notify")
    manager.process.send_signal(signal.SIGSTOP)
    t.defer(manager.process.send_signal, signal.SIGCONT)
    # Waits for READY=1.
    Daemon(t, bus, GREEDY)
    ticks = bus.get("Ticks")
    t.wait(lambda: bus.get("Ticks") > ticks + 5, 20, "ticks go on", interval=0.05)


if __name__ == "__main__":
    tap.main()
