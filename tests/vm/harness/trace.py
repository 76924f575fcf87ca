# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU's balloon device notes, by itself and with QEMU's clock: nobody has to ask."""
import os
import re
import tempfile

# PID@seconds.microseconds:event [balloon ]name: number ...
_LINE = re.compile(r"\d+@(\d+\.\d+):virtio_balloon_(\w+) (?:balloon )?\w+: (\w+)")


class DeviceTrace:
    """For one guest: @arguments go into Guest(devices=...). close() when it has ended."""

    def __init__(self):
        self._dir = tempfile.TemporaryDirectory(prefix="vmtest-")
        path = os.path.join(self._dir.name, "trace")
        self._file = open(path, "w+")
        self.arguments = ["-D", path, "-msg", "timestamp=on", "-trace", "virtio_balloon_to_target",
                          "-trace", "virtio_balloon_set_config"]

    def text(self):
        """Whole lines since the last call, of it or of events()."""
        text = self._file.read()
        whole = text.rfind("\n") + 1
        self._file.seek(self._file.tell() - len(text) + whole)
        return text[:whole]

    def events(self):
        """[(seconds, event, number)] since the last call: bytes that the guest shall have
        ("to_target"), or pages of 4 KiB that it says are in the balloon ("set_config")."""
        return [(float(s), event, int(number, 0)) for s, event, number in _LINE.findall(self.text())]

    def close(self):
        self._file.close()
        self._dir.cleanup()
