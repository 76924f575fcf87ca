# SPDX-License-Identifier: GPL-2.0-or-later
"""What uballoon-dkms says when it is installed: what was not built, and why; and that it does not fail for it.

The package's own postinst, with the part that debhelper puts in played by a line that
fails as DKMS's does, in a folder that looks like a machine's root. dkms is played, too.

Left out: DKMS itself (tests/vm/suites/packages.py).
"""
import os
import shutil
import subprocess
import tempfile

import tap

POSTINST = os.path.join(os.environ["SOURCE_ROOT"], "conf", "debian", "uballoon-dkms.postinst")
RUNNING, NEWEST = "6.1.0-9-amd64", "6.1.0-10-amd64"
FIRST = "DKMS make.log for uballoon-0.1.0 for kernel {} (x86_64)\n"
# Builds what DKMS_CAN names, as `dkms install -m uballoon -v VERSION -k KERNEL`.
DKMS = """#!/bin/sh
echo "dkms $*" >> "$DPKG_ROOT/asked"
[ "$7" = "$DKMS_CAN" ] || { echo "Error! no" >&2; exit 10; }
mkdir -p "$DPKG_ROOT/lib/modules/$7/updates/dkms"
touch "$DPKG_ROOT/lib/modules/$7/updates/dkms/uballoon.ko"
"""


class Machine:
    def __init__(self, t, *releases):
        self.root = tempfile.mkdtemp(prefix="test-postinst-")
        t.defer(shutil.rmtree, self.root, True)
        for release in releases:
            self.put(f"lib/modules/{release}/kernel/fs.ko", "")
        for name, text in (("uname", f"#!/bin/sh\necho {RUNNING}\n"), ("dkms", DKMS),
                           ("dpkg-query", "#!/bin/sh\necho 0.1.0\n")):
            self.put(f"bin/{name}", text)
            os.chmod(f"{self.root}/bin/{name}", 0o755)

    def put(self, name, text):
        os.makedirs(os.path.dirname(f"{self.root}/{name}"), exist_ok=True)
        with open(f"{self.root}/{name}", "w") as f:
            f.write(text)

    def headers(self, release):
        os.makedirs(f"{self.root}/lib/modules/{release}/build/include")

    def built(self, release):
        self.put(f"lib/modules/{release}/updates/dkms/uballoon.ko.xz", "")

    def log(self, release):
        self.put("var/lib/dkms/uballoon/0.1.0/build/make.log", FIRST.format(release))

    def run(self, debhelper, action="configure", can=""):
        """(status, output) of the postinst."""
        with open(POSTINST) as f:
            text = f.read().replace("#DEBHELPER#", debhelper)
        self.put("postinst", text)
        p = subprocess.run(["sh", f"{self.root}/postinst", action, ""], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                           env={"PATH": f"{self.root}/bin:/usr/bin:/bin", "DPKG_ROOT": self.root, "DKMS_CAN": can})
        return p.returncode, p.stdout

    def asked(self):
        path = f"{self.root}/asked"
        return open(path).read() if os.path.exists(path) else ""


@tap.case("all is built: nothing is said")
def all_built(t):
    m = Machine(t, RUNNING, NEWEST)
    m.built(RUNNING)
    m.built(NEWEST)
    t.equal(m.run("echo building $1"), (0, "building configure\n"), "postinst")
    t.equal(m.asked(), "", "dkms")


@tap.case("no headers: which packages to install, for the running kernel and the newest")
def no_headers(t):
    m = Machine(t, "6.1.0-8-amd64", RUNNING, NEWEST)
    status, text = m.run("true")
    t.equal(status, 0, "status")
    t.equal([line.rsplit(": ", 1)[1] for line in text.splitlines()],
            [f"apt install linux-headers-{RUNNING}", f"apt install linux-headers-{NEWEST}"], text)
    t.equal(m.asked(), "", "dkms")


@tap.case("a build that fails: where the log is, the other kernel's module, and no failure of the package")
def build_fails(t):
    m = Machine(t, RUNNING, NEWEST)
    # Headers of a kernel that is not there do not make it the newest.
    for release in (RUNNING, NEWEST, "6.9.0-1-amd64"):
        m.headers(release)
    m.log(RUNNING)
    status, text = m.run("echo before; exit 10; echo behind", can=NEWEST)
    t.equal(status, 0, "status")
    t.equal(text, f"before\nuballoon could not be built for kernel {RUNNING}: "
                  "/var/lib/dkms/uballoon/0.1.0/build/make.log says why\n", "output")
    t.equal(m.asked(), f"dkms install -m uballoon -v 0.1.0 -k {NEWEST}\n", "what DKMS had not tried")


@tap.case("dkms refuses a kernel: its own words")
def refused(t):
    m = Machine(t, RUNNING)
    m.headers(RUNNING)
    status, text = m.run("true")
    t.equal(status, 0, "status")
    t.equal(text, f"Error! no\nuballoon is not built for kernel {RUNNING}; dkms says why above\n", "output")


@tap.case("no kernels at all, and DKMS told to build nothing: nothing is said")
def none(t):
    t.equal(Machine(t).run("true"), (0, ""), "in a chroot")
    m = Machine(t, RUNNING)
    m.headers(RUNNING)
    m.put("etc/dkms/no-autoinstall", "")
    t.equal(m.run("true"), (0, ""), "no-autoinstall")
    t.equal(m.asked(), "", "dkms")


@tap.case("what is no configuration fails as it did")
def other(t):
    t.equal(Machine(t, RUNNING).run("exit 3", action="abort-upgrade")[0], 3, "status")


if __name__ == "__main__":
    tap.main()
