# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays VMware to a guest of QEMU: every port read of a module is answered here.

A thread owns the gdb stub. It stops the guest at do_init_module() of each module
that is being loaded; for the one watched it finds the port reads and breaks on
them from then on: at each hit the registers go to Hypervisor.call(), the answer
goes back, the instruction is stepped over by adding its length, and the guest goes on.

The test's thread scripts the hypervisor inside `with monitor.script() as hv`
and waits with wait_for(); both hold the one lock that guards it. What fails in
the thread (QEMU has gone, a module that is not the expected one) is raised
by the next call from the test.

Invariants: the guest runs whenever the lock is free; it is never left stopped.
Left out: what the protocol means, see hypervisor.py.
"""
import contextlib
import threading
import time

from harness.control import PATIENCE

from .callsites import CallSites, module_name
from .gdbstub import GdbError

_POLL_S = 0.5
# in (%dx), %eax
_PORT_READ = b"\xed"


class MonitorError(Exception):
    pass


class Monitor:
    def __init__(self, gdb, hypervisor):
        self._gdb = gdb
        self._hv = hypervisor
        self._changed = threading.Condition()
        self._failure = None
        self._quit = False
        self._init_address = None
        self._watched = {}          # module name -> CallSites
        self._sites = {}            # address -> module name
        self.stops = 0
        self.stopped_s = 0.0        # guest time spent stopped
        self._thread = None

    def start(self, do_init_module):
        """Take over a guest that waits, stopped or running, to be told to load its modules."""
        self._init_address = do_init_module
        self._gdb.insert(do_init_module)
        self._gdb.cont()
        self._thread = threading.Thread(target=self._run, name="vmware-monitor", daemon=True)
        self._thread.start()

    def watch(self, name, data):
        """From its next loading on, the module `name`, a .ko file of these bytes, is played to."""
        sites = CallSites(name, data)
        with self._changed:
            self._watched[name] = sites

    @property
    def hypervisor(self):
        """The hypervisor, for looking at after the guest has ended."""
        return self._hv

    def describe(self):
        with self._changed:
            return f"monitor: {self._hv.describe()}; {self._failure or 'running'}"

    def close(self):
        self._quit = True
        if self._thread:
            self._thread.join(10)
        self._gdb.close()

    # -- for the test's thread ---------------------------------------------

    def _check(self):
        if self._failure:
            raise MonitorError(f"monitor: {self._failure}")

    @contextlib.contextmanager
    def script(self):
        with self._changed:
            self._check()
            yield self._hv

    def wait_for(self, predicate, timeout, what):
        """Wait until predicate(hypervisor) is true, @timeout seconds times PATIENCE at most. Returns the seconds."""
        start = time.monotonic()
        timeout *= PATIENCE
        with self._changed:
            while not predicate(self._hv):
                self._check()
                left = start + timeout - time.monotonic()
                if left <= 0:
                    raise MonitorError(f"{what}: not within {timeout} s; {self._hv.describe()}")
                self._changed.wait(min(left, _POLL_S))
        return time.monotonic() - start

    # -- the thread -----------------------------------------------------------

    def _run(self):
        try:
            while not self._quit:
                if self._gdb.wait_stop(_POLL_S):
                    begin = time.monotonic()
                    with self._changed:
                        self._stopped()
                        self.stops += 1
                        self._changed.notify_all()
                    self._gdb.cont()
                    self.stopped_s += time.monotonic() - begin
        except (GdbError, MonitorError, ValueError, OSError) as e:
            with self._changed:
                self._failure = str(e)
                self._changed.notify_all()

    def _stopped(self):
        regs = self._gdb.registers()
        address = regs["rip"]
        if address == self._init_address:
            self._module_loaded(regs["rdi"])
            # Continuing on a breakpoint would stop there again.
            self._gdb.remove(address)
            self._gdb.step()
            self._gdb.insert(address)
        elif address in self._sites and self._gdb.read(address, 1) != _PORT_READ:
            # Another module lies where this one was before it was unloaded.
            self._gdb.remove(address)
            del self._sites[address]
        elif address in self._sites:
            answer = self._hv.call(*(regs[r] for r in ("rax", "rbx", "rcx", "rdx", "rsi")))
            for name in ("rax", "rbx", "rcx"):
                value = getattr(answer, name)
                if value != regs[name]:
                    self._gdb.set_register(name, value)
            self._gdb.set_register("rip", address + 1)
        else:
            raise MonitorError(f"guest stopped at {address:#x}, where nothing was expected")

    def _module_loaded(self, module):
        name = module_name(self._gdb.read, module)
        sites = self._watched.get(name)
        if sites is None:
            return
        for old in [a for a, owner in self._sites.items() if owner == name]:
            self._gdb.remove(old)
            del self._sites[old]
        addresses = sites.locate(self._gdb.read, module)
        if addresses is None:
            raise MonitorError(f"module {name} in the guest is not the file that was given")
        for address in addresses:
            self._gdb.insert(address)
            self._sites[address] = name
