# SPDX-License-Identifier: GPL-2.0-or-later
"""Laws of rivals that live on the host: how Proxmox VE and oVirt size one guest's balloon.

A law is asked every INTERVAL_S: step(actual, stats, host) -> target in bytes, or None for no change.

  actual  what query-balloon says: bytes that the guest has left
  stats   "stats" of the device's guest-stats, bytes; what is not known is missing, -1 or 2**64 - 1
  host    Host(total, used). What counts as used is not the same for both: for Proxmox MemTotal less
          MemAvailable (pve-common, src/PVE/ProcFSTools.pm), for MOM MemTotal less MemFree, Buffers and
          Cached (mom, mom/Collectors/HostMemory.py)

Neither does anything for its own sake: memory is taken when the host is short of it, and handed back when it is
not. With one guest, a law says as much about the host that it is told of as about the guest.

Pure: no clock, no I/O. Proxmox keeps no state; Mom keeps what its averages are made of.

Left out: more than one guest (shares, who is served first), guests that migrate, what the operator can
change (the target of 80 %, MOM's policy while it runs), and all that is not memory (KSM, CPU and I/O limits).
Each class says what that leaves of its law.
"""
import collections

KIB, MIB = 1 << 10, 1 << 20
UNKNOWN = 2**64 - 1

Host = collections.namedtuple("Host", "total used")


def known(stats, name):
    """A figure of guest-stats, or None."""
    value = stats.get(name)
    return value if value is not None and 0 <= value < UNKNOWN else None


class Proxmox:
    """Proxmox VE's automatic ballooning.

    pve-manager, PVE/Service/pvestatd.pm: each round of 10 s compares what the host uses with 80 % of its
    memory; the difference is the goal. PVE/AutoBalloon.pm: up to 10 MiB of difference nothing is done;
    otherwise the goal is spread over the guests, each between its minimum and its maximum, by 100 MiB a round
    at most. qemu-server, src/PVE/QemuServer.pm: a guest starts at its minimum (not here), and has automatic ballooning only
    if it has one.

    The law looks at free memory in a guest (more than a quarter of the guest's minimum) only to choose who
    shrinks or grows first. If nobody is in the group that comes first, or the group has nothing to give or
    take, all guests are considered; so a guest that is alone shrinks with no memory free at all, and grows with
    plenty. That is why stats are not looked at.

    A guest below its minimum (it has not come up to it yet, or the minimum was raised) grows if the host
    has memory, and is left alone if not.
    """
    INTERVAL_S = 10
    HOST_PERCENT = 80
    CHANGE_MAX = 100 * MIB
    IGNORED = 10 * MIB

    def __init__(self, maximum, minimum):
        self.maximum, self.minimum = maximum, minimum

    def step(self, actual, stats, host):
        if not self.minimum or not actual:
            return None
        goal = int(host.total * self.HOST_PERCENT / 100 - host.used)
        if abs(goal) <= self.IGNORED:
            return None
        want = min(max(actual + goal, self.minimum), self.maximum)
        if goal < 0 and want > actual:
            return None
        target = min(max(want, actual - self.CHANGE_MAX), actual + self.CHANGE_MAX)
        return target if target != actual else None


class Mom:
    """oVirt's Memory Overcommitment Manager, with the policy and the intervals that vdsm gives it.

    vdsm, static/etc/vdsm/mom.conf.in: samples and decisions every 15 s, averages over the last 10 samples.
    static/etc/vdsm/mom.d/02-balloon.policy: with less than 20 % of the host free the guest shrinks, otherwise
    it grows. Either way it is to have its used memory (averages: size less free) and a share of its size free;
    the share is 20 % times the host's free share over 20 %, and with 5 % or less of the host free, that less
    5 %, which is negative: the guest is to reclaim or to swap. It shrinks to that by 5 % of its size at most. It
    grows by 5 %, or at once to that if that is more; so with half of the host free, a guest that has less than
    half of its size free grows faster. A change of 0.25 % of its size or less is dropped, and a guest below its
    minimum is set to it.

    Free memory is MemFree (vdsm, lib/vdsm/virt/vmstats.py), not MemAvailable: a guest whose cache has filled
    its memory gives next to nothing until the host is down to 5 %. Averages include the sizes of the last two
    and a half minutes; while the guest shrinks, it seems to use a little more than it does.

    Sizes are whole KiB, as libvirt has them. A guest without statistics is left alone, but for its minimum;
    one that has them, but not how much is free, has nothing free.

    doc/balloon.rules of the project mom is the same law with one difference: a guest that grows is to have
    20 % free, whatever the host has. doc/mom-balloon.conf there samples every 5 s and decides every 10 s.

    Left out: ballooning switched off (balloonEnabled, which is 0 until the cluster's settings say otherwise;
    guests only grow then), and that a guest whose use rounds to 0 % counts as one without statistics.
    """
    INTERVAL_S = 15
    SAMPLES = 10
    HOST_FREE, HOST_CRITICAL = 0.20, 0.05
    GUEST_FREE = 0.20
    CHANGE_MAX, CHANGE_MIN = 0.05, 0.0025

    def __init__(self, maximum, minimum):
        self.maximum, self.minimum = maximum // KIB, minimum // KIB
        self.sizes, self.free, self.host_free = (collections.deque(maxlen=self.SAMPLES) for _ in range(3))

    def step(self, actual, stats, host):
        size, free = actual // KIB, self._guest_free(stats)
        self.sizes.append(size)
        self.free.append(free)
        self.host_free.append(host.total - host.used)
        target = None
        if free is not None:
            share = mean(self.host_free) / host.total
            target = self._shrunk(size, share) if share < self.HOST_FREE else self._grown(size, share)
        # The policy's last rule, so it has the last word.
        if size < self.minimum:
            target = self.minimum
        return None if target is None else int(target) * KIB

    def _guest_free(self, stats):
        """KiB, or None for a guest without statistics."""
        if known(stats, "stat-total-memory") is None:
            return None
        return (known(stats, "stat-free-memory") or 0) // KIB

    def _wanted(self, size, share):
        """What the guest uses and is to have free, with that share of the host free."""
        if share <= self.HOST_CRITICAL:
            guest_free = share - 0.05
        else:
            guest_free = self.GUEST_FREE * share / self.HOST_FREE
        used = mean(self.sizes) - mean(self.free)
        return max(self.minimum, used + guest_free * size)

    def _big_enough(self, size, target):
        return abs(target - size) > self.CHANGE_MIN * size

    def _shrunk(self, size, share):
        target = max(size * (1 - self.CHANGE_MAX), self._wanted(size, share))
        return target if target <= size and self._big_enough(size, target) else None

    def _grown(self, size, share):
        if size >= self.maximum:
            return None
        target = min(max(size * (1 + self.CHANGE_MAX), self._wanted(size, share)), self.maximum)
        return target if self._big_enough(size, target) else None


def mean(samples):
    """Of the samples that are there; 0 of none, as MOM has it (mom/Entity.py)."""
    there = [s for s in samples if s is not None]
    return sum(there) / len(there) if there else 0.0


LAWS = {"proxmox": Proxmox, "mom": Mom}
