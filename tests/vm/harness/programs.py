# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian guest with the programs that people run: databases, caches, Java, Python, OOM daemons.

One image for both kernels, as debian.py's base with more packages in it: 2 GiB, of which 0.8 GiB
take room on the disk; made in one to two minutes, once (73 s on two busy CPUs). What it took is
kept beside it, for made(). None of the servers is started at boot.

The Java program of the tests is compiled here, by the compiler's module that Debian's headless
runtime has among its modules, so that no JDK is needed, neither outside nor in the guest.
"""
import os
import shutil
import time

from . import debian, kernels
from .paths import VM, HarnessError, cache, command, digest, locked, scratch

SERVERS = ("postgresql", "redis-server", "memcached")
PACKAGES = debian.PACKAGES + debian.RIVALS + SERVERS + ("openjdk-17-jre-headless", "python3-minimal", "python3")
IMAGE_SIZE = "2G"
JAVA = os.path.join(VM, "guest", "programs", "Need.java")
FOLDER = "usr/lib/vmtest"
# In the layer, so that an edit costs no new image.
FILES = [(f"{FOLDER}/eat.py", os.path.join(VM, "guest", "programs", "eat.py"), 0o755)]


def _compile(root):
    os.makedirs(f"{root}/{FOLDER}", exist_ok=True)
    shutil.copy(JAVA, f"{root}/{FOLDER}")
    name = os.path.basename(JAVA)
    command(["unshare", "--mount", "--fork", "sh", "-c", 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"', root,
             "java", "-m", "jdk.compiler/com.sun.tools.javac.Main", "-d", f"/{FOLDER}", f"/{FOLDER}/{name}"],
            f"compilation of {name}", env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})


def image(report=lambda text: None):
    """Path of the ext4 image; made now if it is not cached."""
    available = [kernels.Kernel(s) for s in kernels.SERIES]
    key = digest(debian.settings_digest(*PACKAGES, *(k.release for k in available)), IMAGE_SIZE, ("Need.java", JAVA))
    folder = cache("debian", f"programs-{key}")
    with locked("debian-programs"):
        if not os.path.exists(folder):
            if os.geteuid() != 0:
                raise HarnessError("building the guest's root file system needs root")
            report("building the Debian guest with programs in it (one or two minutes, once)")
            started = time.monotonic()
            with scratch(folder) as tmp:
                debian.bootstrap(tmp + "/root", PACKAGES, available)
                debian.disable(tmp + "/root", ("postgresql", "redis", "memcached"))
                _compile(tmp + "/root")
                os.mkdir(tmp + "/made")
                debian.make_image(tmp + "/root", tmp + "/made/image", IMAGE_SIZE)
                with open(tmp + "/made/seconds", "w") as f:
                    f.write(f"{time.monotonic() - started:.0f}\n")
                debian.replace(tmp + "/made", folder, "programs-")
    return folder + "/image"


def made(path):
    """What the image at @path costs, in words."""
    with open(os.path.join(os.path.dirname(path), "seconds")) as f:
        seconds = f.read().strip()
    status = os.stat(path)
    return (f"the image has {status.st_size >> 20} MiB, {status.st_blocks * 512 >> 20} of them on the disk, "
            f"and was made in {seconds} s")


def guest(series, name="programs", report=lambda text: None, **options):
    """debian.guest() on that image, the project installed."""
    path = image(report)
    report(made(path))
    return debian.guest(series, name, files=FILES, report=report, image=path, project=True, **options)
