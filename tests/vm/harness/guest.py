# SPDX-License-Identifier: GPL-2.0-or-later
"""One QEMU machine under test, seen from outside.

    with micro(t, "6.12", memory=512) as g:        # see micro.py, debian.py
        status, text = g.run("uname -r")
        g.put("uballoon.ko", "/uballoon.ko")
        g.balloon(256 << 20)
        ...
    # leaving the block runs the end checks and demands the verdict

What makes a run count: at the very end the guest checks itself (guest/finish:
modules unload, memory is back, the kernel log is clean) and only then writes a
random word, given to it for this boot, to a serial port of its own. Everything
else, a panic, a hang, a reset, an early end of QEMU (whose exit status is 0
after a panic), leaves the word out and is a failure.

A kernel of ours with checks (built.py) makes a guest slow: it has times as long for everything.

The kernel runs with panic_on_warn, and QEMU ends instead of rebooting. QEMU is
killed with the process that started it, and by a timer in any case.

Serial ports: 0 console (kernel log), 1 verdict; control is virtio-serial. What is another
architecture's is in architecture.py.
"""
import ctypes
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from . import accel, coverage, emulator
from .architecture import AMD64
from .control import PATIENCE, Control, GuestDied
from .paths import LOGS, HarnessError, prune
from .qmp import Qmp, QmpError
from .reports import complaints, wrong_clock

MIB = 1 << 20
BALLOON = "virtio-balloon-pci,id=b0,deflate-on-oom=on,free-page-reporting=on,guest-stats-polling-interval=1"

# Shared by all guests. The stall detectors get long limits: on a loaded machine
# an emulated CPU may stand still for many seconds through no fault of the guest.
APPEND = ("loglevel=5 panic=-1 panic_on_warn=1 oops=panic "
          "mitigations=off no_timer_check random.trust_cpu=on "
          "rcupdate.rcu_cpu_stall_timeout=200 nmi_watchdog=0 nosoftlockup")


def qemu_path(path):
    """@path as part of an option's value, where a comma would end it."""
    return path.replace(",", ",,")


def _typed(name, value):
    """A property as newer QEMUs demand it in JSON, by its own type; older ones take strings for all."""
    # "auto" is a third value of it.
    if value in ("on", "off") and name != "disable-legacy":
        return name, value == "on"
    return name, int(value) if value.isdigit() else value


def _by_qemu(image, initrd, line):
    return ["-kernel", image, "-initrd", initrd, "-append", line]


class VerdictError(Exception):
    """The guest did not say that all is well at its end."""


# Loaded here: after a fork beside other threads, the loader may be locked for ever.
_LIBC = ctypes.CDLL(None)


def _die_with_parent():
    _LIBC.prctl(1, signal.SIGKILL)     # PR_SET_PDEATHSIG


class Guest:
    """Not started until start(). All sizes are bytes; memory and cpus are fixed for its life.

    @sleeps: it will suspend to RAM. @boot gives the options that bring kernel, initrd and command line
    to the machine, where QEMU is not to do that by itself."""

    # How many times as long as others a guest takes for everything; its kernel may say so.
    patience = 1
    # Whether the OOM killer is to leave commands alone that do not say otherwise.
    spares = False
    # After so many boots that found a wrong clock it is no accident.
    wrong_clocks = 8

    def __init__(self, name, kernel, initrd, memory=512 * MIB, cpus=2, append="", balloon=BALLOON,
                 devices=(), machine=None, cpu=None, lifetime=600, boot_timeout=90,
                 end_tolerance=4 * MIB, accelerator=None, boot=None, sleeps=False):
        self.name, self.kernel, self.memory = name, kernel, memory
        if kernel.built:
            self.patience = kernel.built.patience
        self.lifetime, self.boot_timeout = lifetime * self.patience * PATIENCE, boot_timeout * self.patience
        self.end_tolerance = end_tolerance
        if kernel.built:
            self.end_tolerance += int(memory * kernel.built.end_tolerance)
            append = f"{kernel.built.append} {append} {'' if sleeps else kernel.built.append_awake}"
        self.arch = arch = kernel.arch
        self.accelerator = accelerator or (accel.choose() if arch is AMD64 else "tcg")
        self.process = None
        self.abandoned = False
        self._verdict = secrets.token_hex(16)
        # Bytes that a firmware has written to the verdict's port before the guest was there.
        self._not_the_guests = 0
        self._dir = self.log = self.qmp = self._control = self._timer = None
        cpu = cpu or ("host" if self.accelerator == "kvm" else arch.cpu)
        accel_arg = "kvm" if self.accelerator == "kvm" else "tcg,thread=multi,tb-size=128"
        self._argv = [
            *emulator.argv(arch), "-accel", accel_arg, "-machine", machine or arch.machine, "-cpu", cpu,
            "-m", f"{memory // MIB}", "-smp", str(cpus), "-nodefaults", "-no-user-config",
            "-display", "none", "-vga", "none", "-no-reboot",
            *(boot or _by_qemu)(kernel.image, initrd, f"console={arch.console} {APPEND} {append}".strip())]
        if balloon:
            self._argv += ["-device", balloon]
        for device in devices:
            self._argv += device if isinstance(device, (list, tuple)) else ["-device", device]

    # -- life -----------------------------------------------------------
    def start(self):
        """Boots until the agent answers. A boot that hangs or dies is tried once more, and said: nothing
        of ours runs before the agent, and emulated machines do that rarely. One that finds a wrong clock
        is tried some times more: the busier the machine, the less rare is that."""
        failed = wrong = 0
        while True:
            self._launch()
            try:
                self._control.ready.wait(self.boot_timeout)
                if not wrong_clock(self.console()):
                    self._not_the_guests = os.path.getsize(self._verdict_path)
                    self._control.put(f"{self._verdict}\n".encode(), "/run/vmtest/verdict", 0o600)
                    return self
                how = "found a wrong clock"
                wrong += 1
            except GuestDied:
                # Who did that has taken away what could be told of it.
                if self.abandoned:
                    raise
                how = "hung" if self.alive() else f"ended (QEMU: status {self.process.poll()})"
                failed += 1
            said = f"{self.qemu_messages()}\n{self.console_tail()}"
            self.kill()
            if failed == 2 or wrong == self.wrong_clocks:
                raise GuestDied(f"{self.name}: the boot {how}; console:\n{said}")
            print("\n".join(f"# {line}" for line in
                            [f"{self.name}: the boot {how}, trying once more", *said.splitlines()]), flush=True)

    def _launch(self):
        os.makedirs(LOGS, exist_ok=True)
        prune(LOGS, 300)
        # Socket paths are limited to about 100 characters, build directories are not.
        self._dir = tempfile.mkdtemp(prefix="vmtest-")
        self.log = os.path.join(LOGS, f"{self.name}-{os.getpid()}-{secrets.token_hex(2)}.log")
        self._verdict_path = os.path.join(self._dir, "verdict")
        self._stderr = open(os.path.join(self._dir, "stderr"), "w+")
        argv = self._argv + [
            "-chardev", f"file,id=console,path={qemu_path(self.log)}", "-serial", "chardev:console",
            "-chardev", f"file,id=verdict,path={self._verdict_path}", *self.arch.port.split(),
            "-chardev", f"socket,id=control,path={self._dir}/control,server=on,wait=off",
            "-device", "virtio-serial-pci,id=serial0",
            "-device", "virtserialport,bus=serial0.0,chardev=control,name=vmtest.control",
            "-qmp", f"unix:{self._dir}/qmp,server=on,wait=off"]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._stderr,
                                        stderr=self._stderr, preexec_fn=_die_with_parent)
        self.ends_in(self.lifetime)
        # Who did that may have come before there was a process to end.
        if self.abandoned:
            self.kill()
            raise GuestDied(f"{self.name} is abandoned")
        try:
            self.qmp = Qmp(f"{self._dir}/qmp", alive=self.alive)
            self._control = Control(f"{self._dir}/control", alive=self.alive)
        except (OSError, QmpError, HarnessError) as e:
            text = self.qemu_messages()
            self.kill()
            raise HarnessError(f"QEMU did not start: {e}; it said: {text}") from None

    def ends_in(self, seconds):
        """QEMU's lifetime, from now on: whatever happens, it is killed then."""
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, self.process.kill)
        self._timer.daemon = True
        self._timer.start()

    def boot_again(self, timeout=30):
        """Waits for QEMU's end, which the guest has asked for, and boots the same machine once more.

        What is on its disks is still there: a hibernated guest can be woken from here. The verdict
        is the word that the guest got at its first boot."""
        self.process.wait(timeout * self.patience * PATIENCE)
        self.kill()
        self._launch()
        self._control.ready.wait(self.boot_timeout)
        # The agent of the guest that wakes up still answers what it was asked before.
        self._control.skip_ids(1 << 16)

    def receive(self):
        """Launches, and waits for nobody: the machine will come from another QEMU (-incoming)."""
        self._launch()

    def continue_from(self, other):
        """What ran under @other runs here now: its verdict is its word, and its agent has answered it before."""
        self._verdict = other._verdict
        self._control.skip_ids(1 << 16)

    def starts_over(self, timeout=None):
        """Waits for the agent of a machine that has been started anew under the same QEMU."""
        self._control.close()
        self._control = Control(f"{self._dir}/control", alive=self.alive)
        self._control.ready.wait(timeout or self.boot_timeout)
        self._control.put(f"{self._verdict}\n".encode(), "/run/vmtest/verdict", 0o600)

    def monitor(self, line, timeout=120):
        """A command of QEMU's monitor for people, which must have nothing to say."""
        said = self.qmp("human-monitor-command", timeout, **{"command-line": line})
        if said.strip():
            raise HarnessError(f"{line}: {said}")

    def qemu_messages(self):
        """What QEMU has said so far on its standard error."""
        self._stderr.flush()
        with open(self._stderr.name) as f:
            return f.read().strip()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def abandon(self):
        """As kill(), from another thread: a boot under way is not tried again."""
        self.abandoned = True
        self.kill()

    def kill(self):
        """Ends QEMU whatever its state; harmless if it has ended."""
        if self._control:
            self._control.close()
        if self.qmp:
            self.qmp.close()
        if self._timer:
            self._timer.cancel()
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
            self._stderr.close()
        self._control = self.qmp = None
        if self._dir:
            shutil.rmtree(self._dir, ignore_errors=True)
            self._dir = None

    def finish(self, modules=("uballoon",), timeout=90):
        """Runs the end checks (unloading @modules), takes the verdict, ends QEMU.

        Raises VerdictError with all that is known if the verdict is not there."""
        said, verdict = "", ""
        try:
            if self._control and not self._control.closed:
                try:
                    self.collect()
                    _, said = self.run(f"VERDICT={self.arch.verdict} /usr/lib/vmtest/finish "
                                       f"{self.end_tolerance // 1024} {' '.join(modules)}", timeout)
                except GuestDied as e:
                    said = str(e)
            # Give the serial port's bytes the time to come out.
            end = time.monotonic() + 3 * PATIENCE
            while time.monotonic() < end and self._dir:
                with open(self._verdict_path) as f:
                    f.seek(self._not_the_guests)
                    verdict = f.read()
                if self._verdict in verdict or not self.alive() or "end check:" in said:
                    break
                time.sleep(0.05)
            if self.alive() and self.qmp:
                try:
                    self.qmp("quit")
                    self.process.wait(10 * PATIENCE)
                except (QmpError, subprocess.TimeoutExpired):
                    pass
        finally:
            self.kill()
        for line in said.splitlines():
            if line.startswith("memory:"):
                print(f"# {self.name}: {line}", flush=True)
        problems = []
        if verdict.split() != [self._verdict]:
            problems.append("the guest did not write its verdict")
        bad = complaints(self.console(), modules)
        problems += [f"kernel: {line}" for line in bad[:5]]
        problems += [line for line in said.splitlines() if line.startswith("end check:")]
        if problems:
            raise VerdictError("\n".join(problems + [f"last words: {said.strip()[-500:]}", self.console_tail()]))

    def collect(self):
        """What the tests have run in it, where that is counted."""
        coverage.collect(self)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, exc, tb):
        if kind is None:
            self.finish()
        else:
            self.kill()

    # -- inside ---------------------------------------------------------
    def spawn(self, command, timeout=600):
        """Starts a shell command in the guest; a Job with .wait(), .kill(), .output."""
        self._demand()
        if self.spares:
            command = "echo -1000 > /proc/self/oom_score_adj; " + command
        return self._control.spawn(command, timeout * self.patience)

    def run(self, command, timeout=90):
        """(status, output) of a shell command; status 124 if it took longer than @timeout."""
        return self.spawn(command, timeout).wait()

    def sh(self, command, timeout=90):
        """Output of a command that must succeed."""
        status, text = self.run(command, timeout)
        if status != 0:
            raise RuntimeError(f"guest: {command!r}: status {status}\n{text}")
        return text

    def put(self, source, dest, mode=None):
        """Copies a file (path) or bytes into the guest."""
        if isinstance(source, bytes):
            data, mode = source, 0o644 if mode is None else mode
        else:
            with open(source, "rb") as f:
                data = f.read()
            mode = os.stat(source).st_mode & 0o777 if mode is None else mode
        self._demand()
        self._control.put(data, dest, mode)

    def read(self, path):
        return self.sh(f"cat {path}")

    def meminfo(self):
        """/proc/meminfo of the guest, in bytes."""
        return {m[1]: int(m[2]) * 1024
                for m in re.finditer(r"^(\S+):\s+(\d+) kB$", self.read("/proc/meminfo"), re.M)}

    def vmstat(self):
        return {k: int(v) for k, v in (line.split() for line in self.read("/proc/vmstat").splitlines())}

    def oom_kills(self):
        return self.vmstat()["oom_kill"]

    def dmesg(self):
        return self.sh("dmesg")

    def _demand(self):
        if not self._control or self._control.closed or not self.alive():
            raise GuestDied(f"{self.name} is not running; console:\n{self.console_tail()}")

    # -- outside --------------------------------------------------------
    def console(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except (OSError, TypeError):
            return ""

    def console_tail(self, lines=25):
        return "\n".join(self.console().splitlines()[-lines:]) + f"\n(all of it: {self.log})"

    def balloon(self, guest_bytes):
        """Host asks for a balloon that leaves the guest @guest_bytes."""
        self.qmp("balloon", value=guest_bytes)

    def balloon_actual(self):
        """What the guest has left, as the device reports it."""
        return self.qmp("query-balloon")["actual"]

    def guest_stats(self, device="b0"):
        """{"last-update": seconds, "stats": {...}} of the statistics queue."""
        return self.qmp("qom-get", path=f"/machine/peripheral/{device}", property="guest-stats")

    def device_add(self, device=BALLOON):
        driver, *options = device.split(",")
        self.qmp("device_add", driver=driver, **dict(_typed(*o.split("=", 1)) for o in options))

    def device_del(self, ident="b0", timeout=90):
        """Unplugs and waits until the guest has let go."""
        self.qmp("device_del", id=ident)
        end = time.monotonic() + timeout * self.patience * PATIENCE
        while self.qmp.wait_event("DEVICE_DELETED", max(0.1, end - time.monotonic()))["data"].get("device") != ident:
            pass

    def smaps(self):
        """Of the QEMU process, bytes: all of it ("rss", "anon_huge") and the guest's RAM alone
        ("ram_rss", "ram_anon_huge"): the emulator's own memory grows as it translates code."""
        totals = {"rss": 0, "anon_huge": 0, "ram_rss": 0, "ram_anon_huge": 0}
        size = 0
        with open(f"/proc/{self.process.pid}/smaps") as f:
            for line in f:
                key, _, rest = line.partition(":")
                if key == "Size":
                    size = int(rest.split()[0]) * 1024
                elif key in ("Rss", "AnonHugePages"):
                    name = "rss" if key == "Rss" else "anon_huge"
                    value = int(rest.split()[0]) * 1024
                    totals[name] += value
                    if size == self.memory:
                        totals["ram_" + name] += value
        return totals

    def rss(self):
        """Resident memory of the QEMU process, bytes."""
        return self.smaps()["rss"]

    def ram_rss(self):
        """Resident part of the guest's RAM, bytes."""
        return self.smaps()["ram_rss"]

    def anon_huge(self):
        return self.smaps()["anon_huge"]
