# SPDX-License-Identifier: GPL-2.0-or-later
"""uballoon in a guest of the strict VMware monitor, for the suites that try it: loaded anew, and asked by ubtool."""
import re

from vmware.hypervisor import Cmd

MODULE = "/lib/modules-test/uballoon.ko"


class Device:
    """/dev/uballoon in the guest, through ubtool: each answer is a dict."""

    def __init__(self, guest):
        self.guest = guest

    def start(self, *script, timeout=60):
        return self.guest.spawn("ubtool " + " , ".join(script), timeout)

    @staticmethod
    def answers(job):
        _, text = job.wait()
        return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in text.splitlines()]

    def do(self, *script, timeout=60):
        return self.answers(self.start(*script, timeout=timeout))

    def one(self, command):
        return self.do("open r", command)[1]

    def state(self):
        return {k: int(v) for k, v in self.one("state").items() if v.isdigit()}

    def lock(self, pages, size="4k"):
        return self.do("open", f"target {pages + 4096 * 16}", f"lock {size} {pages}")[-1]

    def unlock(self, pages, size="4k"):
        return self.do("open", f"unlock {size} {pages}")[-1]

    def debug(self, name):
        return int(self.guest.sh(f"awk '$1 == \"{name}\" {{ print $2 }}' /sys/kernel/debug/uballoon/state"))


def load(monitor, guest, offered=None, target=0, parameters=""):
    with monitor.script() as hv:
        starts = len(hv.starts)
        hv.target, hv.refuse, hv.refuse_unlock, hv.faults, hv.overshoot = target, [], [], [], None
        if offered is not None:
            hv.offered = offered
    guest.sh(f"grep -q '^uballoon ' /proc/modules && rmmod uballoon; insmod {MODULE} {parameters}")
    monitor.wait_for(lambda hv: hv.calls[Cmd.GET_TARGET] and len(hv.starts) > starts, 15, "a session")
    return Device(guest)
