# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian guest of harness/debian.py as a libvirt domain: another way to the same QEMU.

    d = Domain(libvirt, "6.12", memory=1024 << 20)
    d.start()
    d.virsh("setmem", "512M", "--live")
    d.sh("balloonctl status")

Domain is a Guest: run(), sh(), finish() and the host's view work as there; commands for QEMU go
through virsh. The root is a copy of the image, because a domain that is saved and restored starts
another QEMU, which must find the disk as it was left.

Left out: devices that no test of the balloon needs; another QEMU than the machine's (harness/emulator.py).
"""
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from xml.sax.saxutils import escape

from harness import debian, kernels
from harness.control import Control, GuestDied
from harness.guest import APPEND
from harness.paths import LOGS, TOP, HarnessError, command, prune
from harness.qmp import QmpError

XML = """\
<domain type='{kind}'>
  <name>{name}</name>
  <memory unit='b'>{memory}</memory>
  <vcpu>{cpus}</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{append}</cmdline>
  </os>
  <features><acpi/><apic/></features>
  {cpu}
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='unsafe'/>
      <source file='{folder}/root'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='{console}' append='on'/><target port='0'/></serial>
    <serial type='file'><source path='{folder}/verdict' append='on'/><target port='1'/></serial>
    <channel type='unix'>
      <source mode='bind' path='{folder}/control'/>
      <target type='virtio' name='vmtest.control'/>
    </channel>
    {balloon}
  </devices>
</domain>
"""
ADVICE = os.path.join(TOP, "docs", "libvirt.md")
CPU = {
    "kvm": "<cpu mode='host-passthrough'/>",
    "tcg": "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model>"
           "<feature policy='require' name='rdrand'/></cpu>",
}


def advised(period=1):
    """The device that docs/libvirt.md advises; statistics each @period seconds, so that a test need not wait."""
    with open(ADVICE) as f:
        device = re.search(r"<memballoon .*?</memballoon>", f.read(), re.S)
    if not device:
        raise HarnessError(f"{ADVICE} shows no memballoon")
    return re.sub(r"<stats period='\d+'/>", f"<stats period='{period}'/>", device[0])


class _Process:
    """The QEMU of a domain, with the methods of a Popen."""

    def __init__(self, name):
        self.pid = self._find(f"guest={name},")
        self._fd = os.pidfd_open(self.pid)

    @staticmethod
    def _find(word):
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    if entry.isdigit() and word in f.read().decode(errors="replace"):
                        return int(entry)
            except OSError:
                pass
        raise HarnessError(f"there is no process of {word}")

    def poll(self):
        try:
            with open(f"/proc/{self.pid}/stat") as f:
                return 0 if f.read().rpartition(")")[2].split()[0] in "ZX" else None
        except OSError:
            return 0

    def wait(self, timeout=60):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("QEMU", timeout)
            time.sleep(0.05)
        return 0

    def kill(self):
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            pass


class _Monitor:
    """As harness/qmp.py, through libvirt. Events are libvirt's."""

    def __init__(self, domain):
        self._domain = domain

    def __call__(self, execute, timeout=60, **arguments):
        text = json.dumps({"execute": execute, "arguments": arguments})
        try:
            answer = json.loads(self._domain.virsh("qemu-monitor-command", text, timeout=timeout))
        except (HarnessError, ValueError) as e:
            raise QmpError(f"{execute}: {e}") from None
        if "error" in answer:
            raise QmpError(f"{execute}: {answer['error']['desc']}")
        return answer["return"]

    def close(self):
        pass


class Domain(debian.DebianGuest):
    """Not started until start(). @libvirt is a Libvirt; @balloon the XML of the device, if not advised()."""

    def __init__(self, libvirt, series, name="libvirt", balloon=None, report=lambda text: None, **options):
        kernel, self._cpus = kernels.Kernel(series), options.get("cpus", 2)
        self._initrd = debian.initrd(kernel)
        options = {"boot_timeout": 150, "lifetime": 1200, "end_tolerance": 32 << 20, **options}
        # No two of one name, should somebody look at all processes of the machine.
        super().__init__(f"{name}-{series}-{secrets.token_hex(3)}", kernel, self._initrd, **options)
        self._libvirt, self._image, self._device = libvirt, debian.base_image(report), balloon or advised()

    def virsh(self, verb, *words, timeout=300):
        return self._libvirt.virsh(verb, self.name, *words, timeout=timeout)

    def _launch(self):
        os.makedirs(LOGS, exist_ok=True)
        prune(LOGS, 300)
        self._dir = tempfile.mkdtemp(prefix="vmtest-")
        self.log = os.path.join(LOGS, f"{self.name}.log")
        self._verdict_path = f"{self._dir}/verdict"
        self._stderr = open(f"{self._dir}/stderr", "w+")
        command(["cp", "--sparse=always", "--reflink=auto", self._image, f"{self._dir}/root"], "copy of the root")
        places = {"kernel": self.kernel.image, "initrd": self._initrd, "console": self.log, "folder": self._dir,
                  "emulator": shutil.which("qemu-system-x86_64"), "append": f"{APPEND} {debian.BOOT_APPEND}"}
        with open(f"{self._dir}/domain.xml", "w") as f:
            f.write(XML.format(kind="kvm" if self.accelerator == "kvm" else "qemu", name=self.name, memory=self.memory,
                               cpus=self._cpus, cpu=CPU[self.accelerator], balloon=self._device,
                               **{key: escape(place, {"'": "&apos;"}) for key, place in places.items()}))
        self._libvirt.virsh("define", f"{self._dir}/domain.xml")
        self.power_on()

    def power_on(self):
        """virsh start: boots, or restores what managedsave has saved."""
        self.virsh("start")
        self.process = _Process(self.name)
        self.ends_in(self.lifetime)
        self.qmp = _Monitor(self)
        self._control = Control(f"{self._dir}/control", alive=self.alive)

    def save(self):
        """virsh managedsave: QEMU has ended afterwards, the guest is in a file. That file's size."""
        self.virsh("managedsave")
        self.process.wait()
        self._control.close()
        path = f"{self._libvirt.env['XDG_CONFIG_HOME']}/libvirt/qemu/save/{self.name}.save"
        return os.stat(path).st_size

    def restore(self):
        self.power_on()
        # The agent still answers what it was asked before.
        self._control.skip_ids(1 << 16)

    def kill(self):
        """Ends QEMU whatever its state, and has libvirt forget the domain."""
        defined = self._dir is not None
        super().kill()
        if defined and self._libvirt.process.poll() is None:
            try:
                self._settled()
                self.virsh("undefine", "--managed-save")
            except HarnessError as e:
                print(f"# {self.name}: {e}", flush=True)

    def _settled(self, timeout=60):
        """Waits until libvirt has noticed QEMU's end."""
        end = time.monotonic() + timeout
        while self.virsh("domstate").strip() != "shut off":
            if time.monotonic() > end:
                raise GuestDied(f"{self.name}: libvirt has not noticed that QEMU ended")
            time.sleep(0.1)

    # -- the host's view ------------------------------------------------
    def memstat(self):
        """dommemstat: KiB and counts, as virsh prints them."""
        return {key: int(value) for key, value in (line.split() for line in self.virsh("dommemstat").splitlines())}

    def stats(self):
        """domstats --balloon: {"current": KiB, ...}, without the prefix."""
        lines = self.virsh("domstats", "--balloon").splitlines()
        return {key.strip().removeprefix("balloon."): int(value) for key, _, value in
                (line.partition("=") for line in lines if "=" in line)}
