# SPDX-License-Identifier: GPL-2.0-or-later
"""A private D-Bus daemon, a real balloond on it, and ways to ask them.

Everything is in a temporary folder of the case and ends with it. balloond runs
in mode observe unless a case says otherwise; the machine's system bus, its
balloon device and its configuration are never touched.
"""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import tap

BALLOOND = os.environ["BALLOOND"]
BALLOONCTL = os.environ["BALLOONCTL"]
ROOT = os.environ["SOURCE_ROOT"]

NAME = "org.balloond1"
PATH = "/org/balloond1"
MANAGER = "org.balloond1.Manager"
PROPERTIES = "org.freedesktop.DBus.Properties"
# A signal of nobody's.
PROBE = "org.balloond1.Probe"

# Long enough for a sanitizer build on a loaded machine.
PATIENCE_S = 30

OPEN_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{services}</servicedir>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"""

# As the distribution's system bus: nothing is allowed but what a service's own file allows.
STRICT_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>{policy}</include>
</busconfig>
"""


def end(process, timeout=PATIENCE_S):
    """Stops a process that the test started; its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout)
    return process.returncode


class Bus:
    """dbus-daemon on a socket of its own; start() and stop() as often as one likes."""

    def __init__(self, t, policy=None, start=True):
        self.folder = tempfile.mkdtemp(prefix="balloond-bus-")
        # Another user has to get in, too.
        os.chmod(self.folder, 0o755)
        t.defer(shutil.rmtree, self.folder, ignore_errors=True)
        self.socket = os.path.join(self.folder, "socket")
        self.address = f"unix:path={self.socket}"
        self.config = os.path.join(self.folder, "bus.conf")
        # Names that the open bus can start somebody for: none, unless a case puts a file there.
        self.services = os.path.join(self.folder, "services")
        os.mkdir(self.services)
        with open(self.config, "w") as f:
            f.write(STRICT_BUS.format(socket=self.socket, policy=policy) if policy
                    else OPEN_BUS.format(socket=self.socket, services=self.services))
        self.process = None
        t.defer(self.stop)
        if start:
            self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self.config}", "--nofork", "--nopidfile",
             "--nosyslog", "--print-address"], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        # It prints its address once it listens.
        if not self.process.stdout.readline():
            raise tap.Failure("dbus-daemon did not start")

    def stop(self):
        if self.process:
            end(self.process)
            self.process.stdout.close()
        self.process = None

    def busctl(self, *args, check=True):
        p = subprocess.run(["busctl", f"--address={self.address}", "--json=short", *args],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
        if check and p.returncode != 0:
            raise tap.Failure(f"busctl {args}: {p.stderr}")
        return p

    def properties(self):
        """{name: (type, value)} as the bus has them."""
        p = self.busctl("call", NAME, PATH, PROPERTIES, "GetAll", "s", MANAGER)
        return {name: (v["type"], v["data"]) for name, v in json.loads(p.stdout)["data"][0].items()}

    def get(self, name):
        return self.properties()[name][1]

    def call(self, method, *args):
        """The error of a method call, None if there was none."""
        p = self.busctl("call", NAME, PATH, MANAGER, method, *args, check=False)
        return p.stderr.strip() if p.returncode else None

    def owned(self):
        # Not "busctl status": it wants the owner's cgroup, which a chroot does not show.
        p = self.busctl("call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                        "NameHasOwner", "s", NAME)
        return json.loads(p.stdout)["data"][0]


class Signals:
    """PropertiesChanged signals of the daemon, as they come."""

    def __init__(self, t, bus):
        self.process = subprocess.Popen(
            ["busctl", f"--address={bus.address}", "--json=short", "monitor",
             f"--match=type='signal',interface='{PROPERTIES}',path='{PATH}'"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        t.defer(end, self.process)
        os.set_blocking(self.process.stderr.fileno(), False)
        os.set_blocking(self.process.stdout.fileno(), False)
        # That it listens it says in some versions only; so it is to hear something.
        said = b""
        deadline = time.monotonic() + PATIENCE_S
        while PROBE.encode() not in said:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise tap.Failure(f"busctl monitor did not start: {said!r} {self.process.stderr.read()!r}")
            bus.busctl("emit", PATH, PROPERTIES, "PropertiesChanged", "sa{sv}as", PROBE, "0", "0")
            time.sleep(0.05)
            said += self.process.stdout.read() or b""
        self.changes = []
        self.rest = said

    def seen(self):
        """All changes so far: a list of {property: value}."""
        self.rest += self.process.stdout.read() or b""
        *lines, self.rest = self.rest.split(b"\n")
        for line in lines:
            payload = json.loads(line).get("payload")
            if payload and payload["data"][0] == MANAGER:
                self.changes.append({k: v["data"] for k, v in payload["data"][1].items()})
        return self.changes

    def saw(self, name, value):
        return any(c.get(name) == value for c in self.seen())


def environment():
    """What a daemon inherits: no state directory but the one that a case gives it."""
    return {k: v for k, v in os.environ.items() if k != "STATE_DIRECTORY"}


class Daemon:
    """balloond, ready; its log in self.log(), its configuration in self.config."""

    def __init__(self, t, bus, config="", args=(), mode="observe", program=BALLOOND, user=None,
                 owner=True, env=None):
        self.folder = tempfile.mkdtemp(prefix="balloond-run-")
        t.defer(shutil.rmtree, self.folder, ignore_errors=True)
        self.config = os.path.join(self.folder, "balloond.conf")
        self.configure(config)
        notify = os.path.join(self.folder, "notify")
        self.notified = []
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(notify)
        # The daemon may be another user.
        os.chmod(notify, 0o666)
        os.chmod(self.folder, 0o755)
        # Read at once, as a service manager does.
        threading.Thread(target=self.read_notifications, daemon=True).start()
        t.defer(self.notify.shutdown, socket.SHUT_RDWR)
        self.log_path = os.path.join(self.folder, "log")
        argv = [program, "--config", self.config]
        if bus:
            argv += ["--bus-address", bus.address]
        if mode:
            argv += ["--mode", mode]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*argv, *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**environment(), "NOTIFY_SOCKET": notify, **(env or {})},
                **({} if user is None else {"user": user, "group": user, "extra_groups": []}))
        t.defer(end, self.process)
        t.on_failure(lambda: "balloond said:\n" + self.log())
        self.wait_notify(t, "READY=1")
        if bus and bus.process and owner:
            t.wait(bus.owned, PATIENCE_S, "balloond owns its name", interval=0.05)

    def configure(self, text):
        with open(self.config + ".new", "w", errors="surrogateescape") as f:
            # Whatever balloon device the machine of the tests has: its page cache is none of their business.
            f.write(text + 'without_module = "wait";\n')
        os.chmod(self.config + ".new", 0o644)
        os.rename(self.config + ".new", self.config)

    def read_notifications(self):
        with self.notify:
            while message := self.notify.recv(4096):
                self.notified += message.decode().split("\n")

    def wait_notify(self, t, wanted):
        t.wait(lambda: wanted in self.notified or self.process.poll() is not None, PATIENCE_S,
               f"balloond says {wanted}", interval=0.02)
        t.contains(self.notified, wanted, "what balloond told the service manager")

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """SIGTERM; the exit status."""
        return end(self.process)

    def descriptors(self):
        """What its open files are, sorted; sockets and the like without their numbers."""
        folder = f"/proc/{self.process.pid}/fd"
        out = []
        for fd in os.listdir(folder):
            try:
                out.append(os.readlink(f"{folder}/{fd}").split(":[")[0])
            except FileNotFoundError:
                pass
        return sorted(out)

    def descriptors_kept(self):
        """The same without those that are open for a moment, while a tick reads or the bus answers."""
        def look():
            time.sleep(0.05)
            return self.descriptors()
        return min((look() for _ in range(20)), key=len)

    def memory_kib(self, *kinds):
        """Not out of /proc/PID/status, which since Linux 6.2 may be wrong by 64 pages for each CPU and kind."""
        with open(f"/proc/{self.process.pid}/smaps_rollup") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith(tuple(f"{kind}:" for kind in kinds)))

    def rss_kib(self):
        return self.memory_kib("Rss")

    def private_kib(self):
        """Memory that only this process can have: what a leak is made of. How many pages of the libraries
        are in the RSS beside it is a matter of what the machine has cached."""
        return self.memory_kib("Private_Dirty", "Swap")


def ctl(bus, *args, timeout=PATIENCE_S, argv0=(), **kwargs):
    """balloonctl on a bus: its CompletedProcess."""
    return subprocess.run([*argv0, kwargs.pop("program", BALLOONCTL), "--bus-address",
                           bus.address, *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=timeout, **kwargs)


def expect(t, p, status, *patterns):
    """The exit status, and texts in standard error if it is a failure, else in standard output."""
    t.equal(p.returncode, status, f"exit status of {p.args[3:]} ({p.stderr!r})")
    text = p.stderr if status else p.stdout
    for pattern in patterns:
        t.contains(text, pattern, "output")
    return p


def need_root():
    if os.geteuid() != 0:
        raise tap.Skip("only root may take another user's identity; run the suite as root")


# The smallest leak of malloc is 32 bytes; test-growth finds that one in 10,000 rounds, and the others have
# those of kilobytes a call. The heap itself moves by a page or three, and by the buffer for a
# configuration file (64 KiB), which it may give back or not.
GROWTH_MAX_KIB = 128


def grows_not(t, daemon, use):
    """use() leaves the open files of @daemon as they were, and its memory. It has run often enough before."""
    files, used = daemon.descriptors_kept(), daemon.private_kib()
    use()
    t.wait(lambda: daemon.descriptors() == files, PATIENCE_S, f"open files as before ({files})")
    t.diag(f"private memory {used} -> {daemon.private_kib()} KiB")
    if not sanitized():
        t.check(daemon.private_kib() <= used + GROWTH_MAX_KIB, f"memory grew from {used} to {daemon.private_kib()} KiB")


def sanitized():
    """The daemon is a sanitizer build, whose memory is not its own."""
    with open(BALLOOND, "rb") as f:
        return b"__asan_init" in f.read()
