# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's RAM, seen from outside.

QEMU's RAM is a memfd that this process has mapped as well, so that the
hypervisor reads and writes batch pages at memory speed and can mark the frames
that a driver has given away: each 8 bytes of such a frame hold a value made of
its number. A frame whose marking has changed was written to by a guest that
had no right to.

Invariants: guest-physical address 0 is offset 0, and the RAM ends below 3 GiB,
where the pc machine puts no hole into it.
"""
import mmap
import os
import struct

FRAME_SIZE = 4096
FRAMES_PER_2M = 512
_MARK = 0xba110000_00000000


def _marking(pfn, frames):
    """Content of a run of locked frames: all of it made of the first frame's number."""
    return struct.pack("<Q", _MARK | pfn) * (frames * FRAME_SIZE // 8)


class GuestRam:
    def __init__(self, size):
        if size % (2 << 20) or not 0 < size <= 3 << 30:
            raise ValueError("guest RAM must be a multiple of 2 MiB of at most 3 GiB")
        self.size = size
        self.frames = size // FRAME_SIZE
        self.fd = os.memfd_create("guest-ram")
        os.ftruncate(self.fd, size)
        self._map = mmap.mmap(self.fd, size)

    def close(self):
        self._map.close()
        os.close(self.fd)

    def qemu_object(self):
        """QEMU's memory backend "ram0"; it opens the memfd of this process by name."""
        return ("memory-backend-file,id=ram0,share=on,"
                f"size={self.size},mem-path=/proc/{os.getpid()}/fd/{self.fd}")

    def read(self, address, length):
        return self._map[address:address + length]

    def write(self, address, data):
        self._map[address:address + len(data)] = data

    def mark(self, pfn, frames):
        self.write(pfn * FRAME_SIZE, _marking(pfn, frames))

    def damaged(self, pfn, frames):
        """Number of the first frame whose marking is not what mark() left, or None."""
        expected = _marking(pfn, frames)
        found = self.read(pfn * FRAME_SIZE, frames * FRAME_SIZE)
        if found == expected:
            return None
        for i in range(frames):
            part = slice(i * FRAME_SIZE, (i + 1) * FRAME_SIZE)
            if found[part] != expected[part]:
                return pfn + i
        return None
