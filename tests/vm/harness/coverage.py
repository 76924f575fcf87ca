# SPDX-License-Identifier: GPL-2.0-or-later
"""What has run in a guest, from the programs of a build that counts it (gcc's --coverage).

Such a program writes its counts when it ends, into a file for each object at the path where the
object was built. In a small guest that is as good a place as any. In a Debian guest GCOV_PREFIX brings
the files below FOLDER, for everything that systemd starts (the agent's commands, too): the daemon may
write there. It and root share the files, and the umask of neither may get in the way: a default
ACL takes its place.

$BALLOOND_COVERAGE, a folder, turns this on: collect() leaves an archive of each guest there, with
paths below the build directory. ./bootstrap coverage does it, and adds them up (tests/coverage/).

Left out: what ends without exit(), and guests that end otherwise than by finish(); those of Xen.
"""
import base64
import os
import secrets

from .paths import TOP, HarnessError

ARCHIVES = os.environ.get("BALLOOND_COVERAGE")
FOLDER = "/run/coverage"
_TMPFILES = f"""\
d {FOLDER} 0777 - - -
a {FOLDER} - - - - default:user::rwx,default:group::rwx,default:other::rwx
"""


def files(build):
    """[(name, mode, bytes)] for the layer of a guest with the programs of the folder @build."""
    if not ARCHIVES:
        return []
    strip = len([part for part in os.path.realpath(build).split("/") if part])
    manager = f'[Manager]\nDefaultEnvironment="GCOV_PREFIX={FOLDER}" "GCOV_PREFIX_STRIP={strip}"\n'
    service = f"[Service]\nReadWritePaths=-{FOLDER}\n"
    return [("etc/systemd/system.conf.d/coverage.conf", 0o644, manager.encode()),
            ("etc/systemd/system/balloond.service.d/coverage.conf", 0o644, service.encode()),
            ("etc/tmpfiles.d/coverage.conf", 0o644, _TMPFILES.encode())]


def collect(g, folder=None):
    """Takes the counts out of @g, if there are any. A daemon that still runs under systemd ends for it."""
    if not ARCHIVES:
        return
    if folder:
        g.run("systemctl stop balloond", 60)
    folder = folder or os.path.realpath(os.environ.get("BALLOOND_BUILD") or os.path.join(TOP, "build"))
    status, text = g.run(f"[ ! -d {folder} ] || tar -C {folder} -cz . | base64", 60)
    if status != 0:
        raise HarnessError(f"{g.name}: no counts: {text[-500:]}")
    if not text:
        return
    os.makedirs(ARCHIVES, exist_ok=True)
    with open(os.path.join(ARCHIVES, f"{g.name}-{secrets.token_hex(4)}.tar.gz"), "wb") as f:
        f.write(base64.b64decode(text))
