# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirtd for a test: Debian's, with all that it reads and writes in a folder of its own.

As a session daemon (qemu:///session), whose configuration, sockets and state are where the XDG
variables say. It is one for everybody but root, so it gets a user namespace in which root is called
nobody; the files of root are still its own there. A PID namespace around it ends all that it
started, QEMU above all, when it ends, and it ends with the process that started it, however that
ends. Nothing of it is seen by a libvirt that the machine may run.

Left out: domains (domain.py); the system daemon, which differs in rights, networks and cgroups, not
in what it does to a balloon.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time

from harness.paths import HarnessError

NOBODY = "65534"
LIBVIRTD, VIRSH = "/usr/sbin/libvirtd", "/usr/bin/virsh"
# QEMU's messages go to files, without virtlogd.
QEMU_CONF = 'stdio_handler = "file"\nsecurity_driver = "none"\n'
# The first process of the namespace: it waits for libvirtd, and for all that was left behind.
INIT = f"{LIBVIRTD} & wait"
# Loaded here: after a fork beside other threads, the loader may be locked for ever.
_LIBC = ctypes.CDLL(None)


def _die_with_parent():
    _LIBC.prctl(1, signal.SIGKILL)     # PR_SET_PDEATHSIG


class Libvirt:
    """Started, and answering, when it is made. close() leaves nothing of it."""

    def __init__(self, timeout=120):
        for path in (LIBVIRTD, VIRSH):
            if not os.path.exists(path):
                raise HarnessError(f"{path} is not installed; run ./bootstrap systems")
        if os.geteuid() != 0:
            raise HarnessError("starting libvirtd in namespaces of its own needs root")
        # Paths of sockets are limited to about 100 characters.
        self.folder = tempfile.mkdtemp(prefix="vmtest-virt-")
        self.env = dict(os.environ, LC_ALL="C", HOME=self.folder, LIBVIRT_AUTOSTART="0",
                        **{f"XDG_{name}": self._folder(place) for name, place in
                           (("RUNTIME_DIR", "run"), ("CONFIG_HOME", "config"), ("CACHE_HOME", "cache"),
                            ("DATA_HOME", "data"))})
        self._folder("config/libvirt")
        with open(f"{self.folder}/config/libvirt/qemu.conf", "w") as f:
            f.write(QEMU_CONF)
        with open(f"{self.folder}/log", "w") as log:
            self.process = subprocess.Popen(
                ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "unshare", "--user",
                 f"--map-user={NOBODY}", f"--map-group={NOBODY}", "sh", "-c", INIT],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, cwd=self.folder,
                preexec_fn=_die_with_parent)
        try:
            self._answers(timeout)
        except BaseException:
            self.close()
            raise

    def _folder(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path

    def _answers(self, timeout):
        end = time.monotonic() + timeout
        while self._virsh("version", timeout=timeout).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > end:
                raise HarnessError(f"libvirtd does not answer; it said:\n{self.messages()}")
            time.sleep(0.1)

    def messages(self):
        with open(f"{self.folder}/log", errors="replace") as f:
            return f.read().strip()

    def _virsh(self, *words, timeout):
        socket = f"{self.folder}/run/libvirt/libvirt-sock"
        return subprocess.run([VIRSH, "-q", "-c", f"qemu:///session?socket={socket}", *words], text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env)

    def virsh(self, *words, timeout=300):
        """What virsh printed; anything but success is an error with its text."""
        p = self._virsh(*words, timeout=timeout)
        if p.returncode != 0:
            raise HarnessError(f"virsh {' '.join(words)}: status {p.returncode}: {p.stderr.strip()}")
        return p.stdout

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
