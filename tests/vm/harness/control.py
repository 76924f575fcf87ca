# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness's end of the control channel; the other end is guest/agent.c.

A thread drains the socket all the time, so the agent never blocks on us.
Commands may overlap, also from several threads; each is a Job.
"""
import queue
import socket
import struct
import threading
import time

from .paths import HarnessError

RUN, KILL, PUT, DATA, OUT, END = range(1, 7)
_HEADER = struct.Struct("<IIiI")
_CHUNK = 65536
# The guest enforces a command's timeout; outside we allow it this much longer.
GRACE_S = 15
# Timeouts say how long a quiet machine may take, as those of cases do (tests/lib/tap.py); a busy one has so many
# times that.
PATIENCE = 3


class GuestDied(Exception):
    """The guest or QEMU ended, or no longer answers."""


class Job:
    """A command in the guest. output grows while it runs; status is None until it ended."""

    def __init__(self, control, ident, command, timeout):
        self.command, self.output, self.status = command, "", None
        self._control, self._id, self._timeout = control, ident, timeout
        self._chunks = []
        self._done = queue.SimpleQueue()

    def _feed(self, kind, arg, data):
        if kind == OUT:
            self._chunks.append(data)
            self.output = b"".join(self._chunks).decode(errors="replace")
        else:
            self.status = arg
            self._done.put(None)

    def wait(self, timeout=None):
        """Waits for the end; (status, output). A dead guest raises GuestDied."""
        end = time.monotonic() + (self._timeout + GRACE_S if timeout is None else timeout) * PATIENCE
        while self.status is None:
            if self._control.closed:
                raise GuestDied(f"the guest ended during {self.command!r}")
            if time.monotonic() > end:
                raise GuestDied(f"the guest gave no answer to {self.command!r}")
            try:
                self._done.get(timeout=0.2)
            except queue.Empty:
                pass
        return self.status, self.output

    def running(self):
        return self.status is None

    def kill(self):
        self._control._send(KILL, self._id, 0)


class Control:
    def __init__(self, path, timeout=20, alive=lambda: True):
        """@alive says whether there is still somebody to connect to."""
        self.closed = False
        self._jobs = {}
        self._next = 1
        self._lock = threading.Lock()
        self._put_lock = threading.Lock()
        self.ready = Job(self, 0, "boot", 0)
        self._jobs[0] = self.ready
        end = time.monotonic() + timeout
        while True:
            self._sock = socket.socket(socket.AF_UNIX)
            try:
                self._sock.connect(path)
                break
            except OSError as e:
                self._sock.close()
                if time.monotonic() > end or not alive():
                    raise HarnessError(f"control channel: {e}") from None
                time.sleep(0.02)
        threading.Thread(target=self._read_loop, daemon=True).start()

    def _read_exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self._sock.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def _read_loop(self):
        try:
            while True:
                kind, ident, arg, length = _HEADER.unpack(self._read_exactly(_HEADER.size))
                data = self._read_exactly(length)
                job = self._jobs.get(ident)
                if job:
                    job._feed(kind, arg, data)
                    if kind == END:
                        del self._jobs[ident]
        except (OSError, EOFError):
            self.closed = True

    def _send(self, kind, ident, arg, data=b""):
        with self._lock:
            try:
                self._sock.sendall(_HEADER.pack(kind, ident, arg, len(data)) + data)
            except OSError as e:
                self.closed = True
                raise GuestDied(f"control channel: {e}") from None

    def _job(self, what, timeout):
        with self._lock:
            job = Job(self, self._next, what, timeout)
            self._jobs[self._next] = job
            self._next += 1
        return job

    def spawn(self, command, timeout):
        job = self._job(command, timeout)
        self._send(RUN, job._id, int(timeout * PATIENCE * 1000), command.encode())
        return job

    def put(self, data, dest, mode):
        # The agent has one file open at a time.
        with self._put_lock:
            self._put(data, dest, mode)

    def _put(self, data, dest, mode):
        steps = [(PUT, mode, dest.encode())]
        steps += [(DATA, 0, data[i:i + _CHUNK]) for i in range(0, len(data), _CHUNK)]
        for kind, arg, payload in steps:
            job = self._job(f"put {dest}", 30)
            self._send(kind, job._id, arg, payload)
            errno, _ = job.wait()
            if errno:
                raise HarnessError(f"put {dest}: errno {errno} in the guest")

    def skip_ids(self, n):
        """Later requests get other numbers than the first @n."""
        with self._lock:
            self._next += n

    def close(self):
        self.closed = True
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._sock.close()
