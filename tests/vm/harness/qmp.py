# SPDX-License-Identifier: GPL-2.0-or-later
"""A client for QEMU's machine protocol (one JSON object a line).

Events that arrive while a command waits for its answer are kept in .events;
wait_event() looks there first. Not thread-safe.
"""
import json
import socket
import time


class QmpError(Exception):
    pass


class Qmp:
    def __init__(self, path, timeout=30, alive=lambda: True):
        """@alive says whether there is still somebody to connect to."""
        self.events = []
        self._buffer = b""
        end = time.monotonic() + timeout
        while True:
            self._sock = socket.socket(socket.AF_UNIX)
            try:
                self._sock.connect(path)
                break
            except OSError:
                self._sock.close()
                if time.monotonic() > end or not alive():
                    raise
                time.sleep(0.02)
        self._receive(end)
        self("qmp_capabilities")

    def _receive(self, end):
        while b"\n" not in self._buffer:
            self._sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                data = self._sock.recv(65536)
            except TimeoutError:
                raise QmpError("QEMU does not answer") from None
            except OSError as e:
                raise QmpError(f"QEMU has gone: {e}") from None
            if not data:
                raise QmpError("QEMU has gone")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def __call__(self, execute, timeout=60, **arguments):
        """Runs a command and returns what it returns."""
        text = json.dumps({"execute": execute, "arguments": arguments})
        try:
            self._sock.sendall(text.encode() + b"\n")
        except OSError as e:
            raise QmpError(f"QEMU has gone: {e}") from None
        end = time.monotonic() + timeout
        while True:
            message = self._receive(end)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise QmpError(f"{execute}: {message['error']['desc']}")
            elif "return" in message:
                return message["return"]

    def wait_event(self, name, timeout=60):
        end = time.monotonic() + timeout
        while True:
            for i, event in enumerate(self.events):
                if event["event"] == name:
                    return self.events.pop(i)
            message = self._receive(end)
            if "event" in message:
                self.events.append(message)

    def close(self):
        self._sock.close()
