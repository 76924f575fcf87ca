# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are, locks between suites, and content hashes.

Everything that the harness makes lives under one cache directory (build/vm of
the source tree, or $BALLOOND_VM_CACHE), named by a hash of what it was made
from, so that nothing stale is ever used and removing the directory is always
safe. Two suites may need the same thing at once: build under locked(), into a
temporary name, and rename.
"""
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
VM = os.path.join(TOP, "tests", "vm")
CACHE = os.path.realpath(os.environ.get("BALLOOND_VM_CACHE") or os.path.join(TOP, "build", "vm"))
LOGS = os.path.join(CACHE, "log")


class HarnessError(Exception):
    """The harness could not do its part (as opposed to: the guest misbehaved)."""


def cache(*parts):
    path = os.path.join(CACHE, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


@contextlib.contextmanager
def locked(name):
    with open(cache(f"{name}.lock"), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def scratch(beside):
    """A directory on the same file system as @beside, gone afterwards."""
    os.makedirs(os.path.dirname(beside), exist_ok=True)
    path = tempfile.mkdtemp(prefix=".tmp-", dir=os.path.dirname(beside))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def replace(made, path, prefix):
    """Puts @made at @path of the cache, and drops what had the same purpose before."""
    os.rename(made, path)
    for old in os.listdir(os.path.dirname(path)):
        if old.startswith(prefix) and old != os.path.basename(path):
            old = os.path.join(os.path.dirname(path), old)
            shutil.rmtree(old) if os.path.isdir(old) else os.unlink(old)


def prune(folder, keep):
    """Removes all but the @keep newest files of a cache folder: old ones are only made again."""
    try:
        files = sorted((e.stat().st_mtime, e.path) for e in os.scandir(folder) if e.is_file())
    except OSError:
        return
    for _, path in files[:-keep]:
        with contextlib.suppress(OSError):
            os.unlink(path)


def digest(*things):
    """Short hash over byte strings, texts, and the content of (name, path) pairs."""
    h = hashlib.sha256()
    for thing in things:
        if isinstance(thing, tuple):
            name, path = thing
            h.update(name.encode() + b"\0")
            with open(path, "rb") as f:
                thing = f.read()
        elif isinstance(thing, str):
            thing = thing.encode()
        h.update(b"%d\0" % len(thing) + thing)
    return h.hexdigest()[:16]


def tree(path, suffixes=None):
    """(relative name, path) of all regular files below @path, sorted."""
    found = []
    for folder, dirs, files in os.walk(path):
        dirs[:] = sorted(d for d in dirs if not d.startswith((".", "build", "__pycache__")))
        for name in sorted(files):
            full = os.path.join(folder, name)
            if os.path.isfile(full) and (suffixes is None or name.endswith(suffixes)):
                found.append((os.path.relpath(full, path), full))
    return found


def command(argv, what, timeout=600, **kwargs):
    """Runs a build step; its output only shows when it fails."""
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=timeout, text=True, errors="replace", **kwargs)
    if p.returncode != 0:
        tail = "\n".join(p.stdout.splitlines()[-40:])
        raise HarnessError(f"{what} failed ({' '.join(map(str, argv))}: status {p.returncode})\n{tail}")
    return p.stdout
