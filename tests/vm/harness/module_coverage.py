# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of uballoon.ko have run in guests of "6.12 gcov".

With BALLOOND_MODULE_COVERAGE=FOLDER in the environment the module is built to count for that kernel, and
each small guest that comes to its end leaves its counts in FOLDER, a folder each. They are
taken when the module is unloaded, and so with what unloading does; a guest that dies tells nothing.

    python3 tests/vm/harness/module_coverage.py FOLDER       # a table of all of them

The kernel's counts are of the format of the compiler that built it: gcov must be of its version.

Left out: branches; programs of user space.
"""
import base64
import collections
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

if __name__ == "__main__":
    sys.path[0] = os.path.join(sys.path[0], "..")
    __package__ = "harness"

from .paths import HarnessError                                      # noqa: E402

FOLDER = os.environ.get("BALLOOND_MODULE_COVERAGE", "")
# For make.
COUNT = ("GCOV_PROFILE=y",)
# What gcov needs of the build.
NOTES = (".gcno",)
# In the guest; below it are the paths of the build.
COUNTERS = "/sys/kernel/debug/gcov"
_MARK = "== "


def counts(kernel):
    """Whether modules for @kernel are built to count."""
    return bool(FOLDER) and bool(kernel.built) and kernel.built.counts


def collect(guest, ko, folder):
    """Puts what the module @ko, built with COUNT, has counted in @guest into the new folder @folder.

    There is none if @guest has not loaded it."""
    text = guest.sh(f"find {COUNTERS} -name '*.gcda' | while read -r f; do echo \"{_MARK}$f\"; base64 < $f; done")
    notes = _notes(ko)
    for part in text.split(_MARK)[1:]:
        path, data = part.split("\n", 1)
        # Before it is the build's folder, which is gone.
        name = next((n for n in notes if path.endswith(f"/{n}.gcda")), None)
        if name:
            goal = os.path.join(folder, name)
            os.makedirs(os.path.dirname(goal), exist_ok=True)
            with open(f"{goal}.gcda", "wb") as f:
                f.write(base64.b64decode(data))
            shutil.copy(notes[name], f"{goal}.gcno")


def _notes(ko):
    """{name without suffix: path} of the notes beside @ko, longest names first."""
    top = os.path.dirname(ko)
    found = {os.path.relpath(p, top)[:-len(".gcno")]: p for p in glob.glob(f"{top}/**/*.gcno", recursive=True)}
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def lines(folder):
    """{file: {line: times}} of all counts below @folder, files as the module's tree has them."""
    total = collections.defaultdict(collections.Counter)
    for data in sorted(glob.glob(f"{folder}/**/*.gcda", recursive=True)):
        with tempfile.TemporaryDirectory(prefix="vmtest-") as tmp:
            p = subprocess.run(["gcov", "--json-format", "--stdout", os.path.abspath(data)], cwd=tmp, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if p.returncode or not p.stdout.strip() or "version" in p.stderr:
            raise HarnessError(f"gcov cannot read {data}: {p.stderr.strip()}")
        for line in p.stdout.splitlines():
            answer = json.loads(line)
            for file in answer["files"]:
                name = _of_the_module(file["file"], answer["current_working_directory"])
                if name:
                    for one in file["lines"]:
                        total[name][one["line_number"]] += one["count"]
    return total


def _of_the_module(path, folder):
    """@path as it is called in kmod/; None for the kernel's headers."""
    m = re.search(r"/vmtest-[^/]+/(.*)$", os.path.normpath(os.path.join(folder, path)))
    return m and m[1]


def table(total):
    """Text: a line for each file, with the lines that have not run."""
    out, have, ran = [], 0, 0
    for name, counted in sorted(total.items()):
        missing = sorted(n for n, times in counted.items() if not times)
        have, ran = have + len(counted), ran + len(counted) - len(missing)
        out.append(f"{100 * (len(counted) - len(missing)) // max(len(counted), 1):3} %  {name}  "
                   f"{_ranges(missing, counted)}".rstrip())
    return "\n".join([*out, f"{100 * ran // max(have, 1):3} %  of {have} lines"])


def _ranges(missing, counted):
    """The lines @missing, those that follow each other in one: "12 20-31"."""
    order = {n: i for i, n in enumerate(sorted(counted))}
    spans = []
    for n in missing:
        if spans and order[n] == order[spans[-1][1]] + 1:
            spans[-1][1] = n
        else:
            spans.append([n, n])
    return " ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: module_coverage.py FOLDER")
    counted = lines(sys.argv[1])
    if not counted:
        sys.exit(f"module_coverage.py: there are no counts below {sys.argv[1]}")
    print(table(counted))
