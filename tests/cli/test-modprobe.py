# SPDX-License-Identifier: GPL-2.0-or-later
"""The file for modprobe.d(5): which driver is loaded, first and at all, by the real libkmod.

A folder of modules with an index by the real depmod, in which both drivers have the
alias of a virtio balloon; the file itself; and modprobe, asked as udev asks (a device's
alias, blacklists apply). A shim between it and the kernel writes down what would be
loaded and refuses what a kernel would. All names get a prefix that no module has: what
is loaded on this machine does not matter.

Left out: which of two loaded drivers gets a device, which is for the kernel (tests/vm).
"""
import os
import platform
import re
import shutil
import struct
import subprocess
import tempfile

import tap

CONF = os.path.join(os.environ["SOURCE_ROOT"], "systemd", "modprobe-uballoon.conf")
VIRTIO = "virtio:d00000005v00001AF4"
DMI = "dmi:bvnPhoenix:bvr6.00:svnVMware,Inc.:pnVMwareVirtualPlatform:"
# Alphabetically the kernel's own come last; its order of modules (modules.order) has them first.
STOCK = {"virtio_balloon": ["virtio:d00000005v*"], "vmw_balloon": ["dmi:*:svnVMware*:*"]}
OURS = {"uballoon": ["virtio:d00000005v*"]}


def named(text):
    return re.sub(r"\b(uballoon|virtio_balloon|vmw_balloon)\b", r"t_\1", text)


def module(aliases, name):
    """An object file with nothing but what depmod looks at."""
    info = b"".join(f"alias={a}".encode() + b"\0" for a in aliases) + f"name={name}".encode() + b"\0"
    names = b"\0.modinfo\0.shstrtab\0"
    body = info + names
    at = 64 + len(body)
    at += -at % 8

    def section(name, kind, offset, size):
        return struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, 0, 0, 1, 0)
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, at, 0, 64, 0, 0, 64, 3, 2)
    return (header + body).ljust(at, b"\0") + bytes(64) + section(1, 1, 64, len(info)) + \
        section(10, 3, 64 + len(info), len(names))


class Machine:
    def __init__(self, t, ours=True, conf=True):
        for program in ("depmod", "modprobe"):
            if not shutil.which(program, path="/usr/sbin:/sbin"):
                t.skip(f"{program} is not installed")
        self.root = tempfile.mkdtemp(prefix="test-modprobe-")
        t.defer(shutil.rmtree, self.root, True)
        self.log = os.path.join(self.root, "log")
        # Names in LD_PRELOAD end at a space.
        self.shim = shutil.copy(os.environ["MODPROBE_SHIM"], self.root)
        folder = f"{self.root}/lib/modules/{platform.release()}"
        os.makedirs(f"{folder}/kernel")
        os.makedirs(f"{folder}/updates/dkms")
        os.makedirs(f"{self.root}/conf")
        for where, modules in (("kernel", STOCK), ("updates/dkms", OURS if ours else {})):
            for name, aliases in modules.items():
                with open(f"{folder}/{where}/{named(name)}.ko", "wb") as f:
                    f.write(module(aliases, named(name)))
        with open(f"{folder}/modules.order", "w") as f:
            f.writelines(f"kernel/{named(name)}.ko\n" for name in STOCK)
        with open(f"{folder}/modules.builtin", "w"):
            pass
        if conf:
            with open(CONF) as f, open(f"{self.root}/conf/uballoon.conf", "w") as to:
                to.write(named(f.read()))
        self.run(["depmod", "-b", self.root, platform.release()], t)

    def run(self, argv, t=None, **more):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SHIM_LOG": self.log,
               "LD_PRELOAD": self.shim,
               "MODPROBE_OPTIONS": f"-d {self.root} -C {self.root}/conf", **more}
        if argv[0] == "depmod":
            env = {"PATH": env["PATH"]}
        p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, env=env, timeout=100)
        if t:
            t.equal(p.returncode, 0, f"{argv}: {p.stdout}")
        return p

    def loaded(self, *arguments, refuse="", install=""):
        """The modules that were brought before the kernel, in this order."""
        if os.path.exists(self.log):
            os.unlink(self.log)
        with open(f"{self.root}/conf/a.conf", "w") as f:
            f.write(named(install))
        self.status = self.run(["modprobe", *arguments], SHIM_REFUSE=f"t_{refuse}.ko").returncode
        if not os.path.exists(self.log):
            return []
        with open(self.log) as f:
            return f.read().replace("t_", "").replace(".ko", "").split("\n")[:-1]


@tap.case("without the file the kernel's own driver comes first")
def without(t):
    m = Machine(t, conf=False)
    t.equal(m.loaded("-b", VIRTIO), ["virtio_balloon", "uballoon"], "virtio")
    t.equal(m.loaded("-b", DMI), ["vmw_balloon"], "VMware")


@tap.case("a virtio device: uballoon alone")
def virtio(t):
    m = Machine(t)
    t.equal(set(m.loaded("-b", VIRTIO)), {"uballoon"}, "by the alias")
    t.equal(set(m.loaded("t_virtio_balloon")), {"uballoon"}, "by name")
    t.equal(m.loaded("t_uballoon"), ["uballoon"], "uballoon by name")
    t.equal(m.loaded("-qi", "t_virtio_balloon")[-1:], ["virtio_balloon"], "as balloonctl adopt --undo asks")


@tap.case("a virtio device: the kernel's own driver where uballoon cannot be had")
def virtio_without(t):
    m = Machine(t)
    t.equal([x for x in m.loaded("-b", VIRTIO, refuse="uballoon") if "refused" not in x], ["virtio_balloon"],
            "the signature is refused")
    t.equal(m.loaded("-b", VIRTIO, install="install uballoon /bin/false\n"), ["virtio_balloon"], "it does not load")
    m = Machine(t, ours=False)
    t.equal(m.loaded("-b", VIRTIO), ["virtio_balloon"], "it is missing")
    t.equal(m.status, 0, "status")
    t.equal(m.loaded("t_virtio_balloon"), ["virtio_balloon"], "it is missing, by name")


@tap.case("VMware: one of the two, never both")
def vmware(t):
    m = Machine(t)
    t.equal(m.loaded("-b", DMI), ["uballoon"], "by the alias")
    t.equal(m.loaded("-b", DMI, refuse="uballoon"), ["uballoon refused", "vmw_balloon"], "the signature is refused")
    t.equal(m.status, 0, "status")
    t.equal(m.loaded("-b", DMI, install="install uballoon /bin/false\n"), ["vmw_balloon"], "it does not load")
    t.equal(m.loaded("-qi", "t_vmw_balloon"), ["vmw_balloon"], "as balloonctl adopt --undo asks")
    m = Machine(t, ours=False)
    t.equal(m.loaded("-b", DMI), ["vmw_balloon"], "it is missing")


@tap.case("at boot by modules-load.d: loaded if it can be, and no failed service if not")
def at_boot(t):
    with open(os.path.join(os.path.dirname(CONF), "modules-load-uballoon.conf")) as f:
        names = [line.strip() for line in f if line.strip() and line[0] not in "#;"]
    t.equal(len(names), 1, f"names: {names}")
    m = Machine(t)
    t.equal((m.loaded(*names), m.status), (["uballoon"], 0), "it is there")
    t.equal((m.loaded(*names, refuse="uballoon"), m.status), (["uballoon refused"], 0), "its signature is refused")
    m = Machine(t, ours=False)
    t.equal((m.loaded(*names), m.status), ([], 0), "it is missing")


if __name__ == "__main__":
    tap.main()
