#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: eat.py WAY ARGUMENT...       (sizes in MiB)

One way of a program to ask for memory. What was asked for is touched, unless the way says
otherwise. The last line says how it went, "rc=OK ms=... longest_ms=..." or "rc=WHY at_mib=...";
the exit status is 0 or 1.

  grow SIZE STEP [RATE [HOLD]]   so much in steps of so much, RATE a second (0: no limit);
                                 then holds it for so many seconds
  many N SIZE                    so many processes at once
  fork SIZE DIRTY                a private mapping, fork, the child writes into so much of it
  map SIZE                       a private mapping, not touched
  mlock SIZE                     locked in memory
  write FILE SIZE                a new file
  read FILE                      of any size
  churn FILE SIZE SECONDS        has so much, says "settled", then reads the file again and again
  memcached SIZE                 sets values in the server on this machine
"""
import ctypes
import errno
import mmap
import os
import socket
import sys
import time

MIB = 1 << 20
BLOCK = b"x" * MIB


class Refused(Exception):
    """The kernel or the server said no."""

    def __init__(self, why, at=0):
        super().__init__(why)
        self.at = at


class Clock:
    """Time in all and the longest step."""

    def __init__(self):
        self.began = self.last = time.monotonic()
        self.longest = 0.0

    def step(self):
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last)
        self.last = now

    def skip(self):
        self.last = time.monotonic()


def take(size, step, clock, rate=0.0):
    kept = []
    for done in range(0, size, step):
        try:
            kept.append(bytearray(step * MIB))
        except MemoryError:
            raise Refused("MemoryError", done) from None
        clock.step()
        if rate:
            time.sleep(max(0.0, clock.began + (done + step) / rate - time.monotonic()))
            clock.skip()
    return kept


def private(size):
    return mmap.mmap(-1, size * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def fill(mapping, size, clock):
    for at in range(0, size * MIB, MIB):
        mapping[at:at + MIB] = BLOCK
        clock.step()


def wait_for(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def grow(clock, size, step, rate="0", hold="0"):
    kept = take(int(size), int(step), clock, float(rate))
    clock.step()
    spent = time.monotonic()
    time.sleep(float(hold))
    clock.began += time.monotonic() - spent
    del kept


def many(clock, n, size):
    ready, has = os.pipe()
    wait, end = os.pipe()
    children = []
    for _ in range(int(n)):
        pid = os.fork()
        if pid == 0:
            os.close(end)
            try:
                kept = take(int(size), int(size), clock)
            except Refused:
                os._exit(1)
            # None ends before all have theirs or have failed.
            os.close(has)
            os.read(wait, 1)
            del kept
            os._exit(0)
        children.append(pid)
    os.close(has)
    os.read(ready, 1)
    clock.step()
    os.close(end)
    failed = sum(wait_for(pid) != 0 for pid in children)
    if failed:
        raise Refused(f"{failed}-of-{n}-failed")


def fork(clock, size, dirty):
    mapping = private(int(size))
    fill(mapping, int(size), clock)
    pid = os.fork()
    if pid == 0:
        fill(mapping, int(dirty), clock)
        os._exit(0)
    status = wait_for(pid)
    clock.step()
    if status:
        raise Refused(f"child-{status}")


def map_only(clock, size):
    mapping = private(int(size))
    mapping[0] = 1
    clock.step()


def mlock(clock, size):
    libc = ctypes.CDLL(None, use_errno=True)
    mapping = private(int(size))
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    if libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(int(size) * MIB)):
        raise OSError(ctypes.get_errno(), "mlock")
    clock.step()


def write(clock, path, size):
    try:
        with open(path, "wb", buffering=0) as f:
            for _ in range(int(size)):
                f.write(BLOCK)
                clock.step()
    finally:
        os.unlink(path)


def read(clock, path):
    buffer = bytearray(MIB)
    with open(path, "rb", buffering=0) as f:
        while f.readinto(buffer):
            clock.step()


def churn(clock, path, size, seconds):
    kept = take(int(size), 1, clock)
    time.sleep(2)
    print("settled", flush=True)
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        read(clock, path)
    del kept


def memcached(clock, size):
    s = socket.create_connection(("127.0.0.1", 11211))
    value = b"x" * 500000
    for i in range(int(size) * MIB // len(value)):
        s.sendall(b"set key%d 0 0 %d\r\n" % (i, len(value)) + value + b"\r\n")
        answer = s.recv(100)
        if answer != b"STORED\r\n":
            raise Refused(answer.decode().strip().replace(" ", "-"), i * len(value) // MIB)
        clock.step()


WAYS = {"grow": grow, "many": many, "fork": fork, "map": map_only, "mlock": mlock, "write": write,
        "read": read, "churn": churn, "memcached": memcached}


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in WAYS:
        sys.exit(__doc__)
    clock = Clock()
    try:
        WAYS[sys.argv[1]](clock, *sys.argv[2:])
    except Refused as e:
        print(f"rc={e} at_mib={e.at}")
        sys.exit(1)
    except OSError as e:
        print(f"rc={errno.errorcode.get(e.errno, e.errno)} at_mib=0")
        sys.exit(1)
    print(f"rc=OK ms={(time.monotonic() - clock.began) * 1000:.0f} longest_ms={clock.longest * 1000:.0f}")


if __name__ == "__main__":
    main()
