# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes initramfs archives (cpio "newc"), without root and without a staging tree.

Everything is owned by root with a fixed time, so equal input gives equal bytes.
"""
import stat


class Archive:
    def __init__(self):
        self._parts = []
        self._dirs = set()
        self._ino = 0

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self._ino += 1
        raw = name.encode() + b"\0"
        fields = (self._ino, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(raw), 0)
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + raw
        self._parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def dir(self, path):
        path = path.strip("/")
        if path and path not in self._dirs:
            self.dir(path.rpartition("/")[0])
            self._dirs.add(path)
            self._entry(path, stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o644):
        path = path.strip("/")
        self.dir(path.rpartition("/")[0])
        self._entry(path, stat.S_IFREG | mode, data)

    def symlink(self, path, target):
        path = path.strip("/")
        self.dir(path.rpartition("/")[0])
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def chardev(self, path, major, minor):
        path = path.strip("/")
        self.dir(path.rpartition("/")[0])
        self._entry(path, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def bytes(self):
        end = Archive()
        end._entry("TRAILER!!!", 0)
        return b"".join(self._parts + end._parts)
