# SPDX-License-Identifier: GPL-2.0-or-later
"""Client of QEMU's gdb stub: stop the guest, look at it, change it, go on.

Speaks the part of the GDB remote serial protocol that a monitor of a guest
needs: hardware breakpoints, whole register files in, single registers out,
memory both ways, continue and single-step. One connection, one thread.

Invariants:
 - Requests are answered in order; nothing is sent while the guest runs, except
   the interrupt of interrupt().
 - Every wait has an end: a stub that is silent for too long is GdbError, a
   guest that merely does not stop is None from wait_stop().

Left out: software breakpoints (they write into the guest's code, which may not
be mapped yet), watchpoints, non-stop mode, other machines than x86-64.
"""
import select
import socket
import struct
import time

# Order of the x86-64 register file in a 'g' answer; all of these are 8 bytes.
REGISTERS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
             "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip")
_REG_NO = {name: i for i, name in enumerate(REGISTERS)}

# The stub's packet buffer is 4096 bytes, a byte of memory takes two of them.
_MEM_CHUNK = 1024


class GdbError(Exception):
    """The stub refused, closed the connection or does not answer."""


class GdbStub:
    def __init__(self, sock, reply_timeout=20.0):
        self._sock = sock
        self._buf = b""
        self._reply_timeout = reply_timeout
        # Single-register writes are refused until the client has asked for
        # the target description, which tells the stub its register numbering.
        self._request(b"qSupported:xmlRegisters=i386")
        self._request(b"qXfer:features:read:target.xml:0,ffb")

    @classmethod
    def connect(cls, path, timeout=20.0):
        """Connect to the stub's unix socket, which QEMU may still be creating."""
        end = time.monotonic() + timeout
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(path)
                return cls(sock)
            except OSError as e:
                sock.close()
                if time.monotonic() > end:
                    raise GdbError(f"no gdb stub at {path}: {e}") from e
                time.sleep(0.05)

    def close(self):
        self._sock.close()

    # -- packets ---------------------------------------------------------

    def _send(self, payload):
        try:
            self._sock.sendall(b"$%s#%02x" % (payload, sum(payload) & 0xff))
        except OSError as e:
            raise GdbError(f"gdb stub has gone: {e}") from e

    def _fill(self, timeout):
        """Read more; False when nothing came within the time."""
        if not select.select([self._sock], [], [], max(0.0, timeout))[0]:
            return False
        try:
            data = self._sock.recv(65536)
        except OSError as e:
            raise GdbError(f"gdb stub has gone: {e}") from e
        if not data:
            raise GdbError("gdb stub closed the connection (QEMU has ended)")
        self._buf += data
        return True

    def _receive(self, timeout):
        """Next packet's payload, or None when none came within the time."""
        end = time.monotonic() + timeout
        while True:
            start = self._buf.find(b"$")
            stop = self._buf.find(b"#", start + 1) if start >= 0 else -1
            if stop >= 0 and len(self._buf) >= stop + 3:
                payload = self._buf[start + 1:stop]
                self._buf = self._buf[stop + 3:]
                try:
                    self._sock.sendall(b"+")
                except OSError as e:
                    raise GdbError(f"gdb stub has gone: {e}") from e
                return payload
            if not self._fill(end - time.monotonic()):
                return None

    def _request(self, payload):
        self._send(payload)
        answer = self._receive(self._reply_timeout)
        # Connecting stops the guest, which the stub reports when it gets there.
        while answer is not None and answer[:1] == b"T":
            answer = self._receive(self._reply_timeout)
        if answer is None:
            raise GdbError(f"gdb stub does not answer {payload[:20]!r}")
        return answer

    def _command(self, payload):
        answer = self._request(payload)
        if answer != b"OK":
            raise GdbError(f"gdb stub answers {answer!r} to {payload[:20]!r}")

    # -- running ---------------------------------------------------------

    def cont(self):
        self._send(b"c")

    def step(self, timeout=20.0):
        self._send(b"s")
        if self._receive(timeout) is None:
            raise GdbError("single step does not end")

    def wait_stop(self, timeout):
        """True when the guest has stopped, False when it still runs."""
        packet = self._receive(timeout)
        if packet is None:
            return False
        if packet[:1] not in b"TS":
            raise GdbError(f"unexpected packet {packet!r}")
        return True

    def interrupt(self, timeout=20.0):
        """Stop the running guest."""
        try:
            self._sock.sendall(b"\x03")
        except OSError as e:
            raise GdbError(f"gdb stub has gone: {e}") from e
        if not self.wait_stop(timeout):
            raise GdbError("guest does not stop")

    # -- state of the stopped guest ---------------------------------------

    def insert(self, address):
        self._command(b"Z1,%x,1" % address)

    def remove(self, address):
        self._command(b"z1,%x,1" % address)

    def registers(self):
        """The register file of the CPU that stopped, as a dict of integers."""
        answer = self._request(b"g")
        size = 8 * len(REGISTERS)
        if len(answer) < 2 * size:
            raise GdbError(f"short register file ({len(answer)} digits): not a 64-bit guest")
        return dict(zip(REGISTERS, struct.unpack(f"<{len(REGISTERS)}Q",
                                                 bytes.fromhex(answer[:2 * size].decode()))))

    def set_register(self, name, value):
        self._command(b"P%x=%s" % (_REG_NO[name],
                                   struct.pack("<Q", value & (1 << 64) - 1).hex().encode()))

    def read(self, address, length):
        """Guest-virtual memory; None when it is not mapped."""
        out = b""
        while len(out) < length:
            n = min(_MEM_CHUNK, length - len(out))
            answer = self._request(b"m%x,%x" % (address + len(out), n))
            if answer[:1] == b"E" or len(answer) != 2 * n:
                return None
            out += bytes.fromhex(answer.decode())
        return out

    def write(self, address, data):
        for i in range(0, len(data), _MEM_CHUNK):
            part = data[i:i + _MEM_CHUNK]
            self._command(b"M%x,%x:%s" % (address + i, len(part), part.hex().encode()))
