# SPDX-License-Identifier: GPL-2.0-or-later
"""D-Bus as it goes over the socket: messages of any signature, many at a time, and halves of them.

    c = Client(bus.socket, uid=65534)
    serial = c.send("SetTarget", "t", [5])         # flushed by answers() or flush()
    c.answers([serial])                            # {serial: None or (error name, text)}

Little endian, the D-Bus specification's marshalling. Left out: file descriptors (who does not offer
to take them gets an error in their place), signals, whatever a client needs that wants to live long.
"""
import contextlib
import os
import socket
import struct

FIXED = {"y": ("B", 1), "b": ("I", 4), "n": ("h", 2), "q": ("H", 2), "i": ("i", 4), "u": ("I", 4), "x": ("q", 8),
         "t": ("Q", 8), "d": ("d", 8), "h": ("I", 4)}
ALIGN = {"s": 4, "o": 4, "g": 1, "v": 1, "a": 4, "(": 8, "{": 8, **{k: n for k, (_, n) in FIXED.items()}}
CALL, RETURN, ERROR = 1, 2, 3
# Header fields.
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SIGNATURE = 1, 2, 3, 4, 5, 6, 8


def first(signature):
    """The first complete type of a signature, and the rest."""
    if signature[0] == "a":
        inner, rest = first(signature[1:])
        return "a" + inner, rest
    if signature[0] not in "({":
        return signature[0], signature[1:]
    depth = 0
    for i, c in enumerate(signature):
        depth += (c in "({") - (c in ")}")
        if not depth:
            return signature[:i + 1], signature[i + 1:]
    raise ValueError(signature)


class Writer:
    def __init__(self):
        self.data = bytearray()

    def align(self, n):
        self.data += bytes(-len(self.data) % n)

    def put(self, kind, value):
        self.align(ALIGN[kind[0]])
        if kind[0] in FIXED:
            self.data += struct.pack("<" + FIXED[kind][0], value)
        elif kind[0] in "so":
            raw = value if isinstance(value, bytes) else value.encode()
            self.data += struct.pack("<I", len(raw)) + raw + b"\0"
        elif kind == "g":
            self.data += bytes([len(value)]) + value.encode() + b"\0"
        elif kind == "v":
            self.put("g", value[0])
            self.put(*value)
        elif kind[0] == "a":
            at = len(self.data)
            self.data += bytes(4)
            self.align(ALIGN[kind[1]])
            start = len(self.data)
            for element in value:
                self.put(kind[1:], element)
            self.data[at:at + 4] = struct.pack("<I", len(self.data) - start)
        else:
            self.sequence(kind[1:-1], value)

    def sequence(self, signature, values):
        for value in values:
            kind, signature = first(signature)
            self.put(kind, value)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def align(self, n):
        self.at += -self.at % n

    def get(self, kind):
        self.align(ALIGN[kind[0]])
        if kind[0] in FIXED:
            form, n = FIXED[kind]
            self.at += n
            return struct.unpack_from("<" + form, self.data, self.at - n)[0]
        if kind[0] in "sog":
            n = self.get("y" if kind == "g" else "u")
            self.at += n + 1
            return self.data[self.at - n - 1:self.at - 1].decode()
        if kind == "v":
            return self.get(self.get("g"))
        if kind[0] == "a":
            n = self.get("u")
            self.align(ALIGN[kind[1]])
            end, out = self.at + n, []
            while self.at < end:
                out.append(self.get(kind[1:]))
            return out
        return self.sequence(kind[1:-1])

    def sequence(self, signature):
        out = []
        while signature:
            kind, signature = first(signature)
            out.append(self.get(kind))
        return out


def message(kind, serial, fields, signature="", values=(), flags=0):
    body = Writer()
    body.sequence(signature, values)
    if signature:
        fields = {**fields, SIGNATURE: ("g", signature)}
    w = Writer()
    w.data += struct.pack("<cBBBII", b"l", kind, flags, 1, len(body.data), serial)
    w.put("a(yv)", list(fields.items()))
    w.align(8)
    return bytes(w.data + body.data)


@contextlib.contextmanager
def identity(uid):
    """As another user, where it is asked for; the bus looks at who connects."""
    if uid:
        os.seteuid(uid)
    try:
        yield
    finally:
        if uid:
            os.seteuid(0)


class Client:
    """One connection, past its Hello. @defaults: destination, path and interface of calls."""

    def __init__(self, path, defaults, uid=None, timeout=60):
        self.destination, self.path, self.interface = defaults
        self.serial, self.out, self.buffer = 0, bytearray(), b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        with identity(uid):
            self.socket.connect(path)
            self.socket.sendall(b"\0AUTH EXTERNAL " + str(uid or 0).encode().hex().encode() + b"\r\n")
            if not self.socket.recv(200).startswith(b"OK "):
                raise OSError("the bus does not know us")
        self.socket.sendall(b"BEGIN\r\n")
        bus = "org.freedesktop.DBus"
        hello = self.send("Hello", destination=bus, path="/org/freedesktop/DBus", interface=bus)
        self.answers([hello])

    def send(self, member, signature="", values=(), destination=None, path=None, interface=None, kind=CALL, flags=0):
        """Queues a message; its serial."""
        self.serial += 1
        fields = {PATH: ("o", path or self.path), INTERFACE: ("s", interface or self.interface),
                  MEMBER: ("s", member), DESTINATION: ("s", destination or self.destination)}
        if kind == RETURN:
            fields[REPLY_SERIAL] = ("u", self.serial)
        self.out += message(kind, self.serial, fields, signature, values, flags)
        return self.serial

    def flush(self):
        self.socket.sendall(self.out)
        self.out.clear()

    def _receive(self, n):
        while len(self.buffer) < n:
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the bus has cut us off")
            self.buffer += data

    def receive(self):
        """(type, {header field: value}, body) of the next message."""
        self._receive(16)
        kind, body, length = self.buffer[1], *struct.unpack_from("<I4xI", self.buffer, 4)
        start = 16 + length + -length % 8
        self._receive(start + body)
        head = Reader(self.buffer[:start])
        head.at = 12
        fields = {code: value for code, value in head.get("a(yv)")}
        data, self.buffer = self.buffer[start:start + body], self.buffer[start + body:]
        return kind, fields, Reader(data).sequence(fields.get(SIGNATURE, ""))

    def answers(self, serials):
        """{serial: what came back}: None, or an error's (name, text)."""
        self.flush()
        out, missing = {}, set(serials)
        while missing:
            kind, fields, body = self.receive()
            serial = fields.get(REPLY_SERIAL)
            if kind not in (RETURN, ERROR) or serial not in missing:
                continue
            missing.remove(serial)
            out[serial] = (fields[ERROR_NAME], body[0] if body else "") if kind == ERROR else None
        return out

    def close(self):
        self.socket.close()
