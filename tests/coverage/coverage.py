# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: coverage.py BUILD [--guests FOLDER] [--module FOLDER] [--left]

What the tests have run of daemon/: lines and branches of each file and in all, as gcovr counts them in
the folder BUILD, which was built with -Db_coverage=true and whose tests have run. With --guests, the
counts that FOLDER/*.tar.gz brought from guests (tests/vm/harness/coverage.py) are added to BUILD's first;
they are removed, so that nothing counts twice. With --module, the lines of kmod/ by the counts that guests left
below FOLDER (tests/vm/harness/module_coverage.py). With --left, what has not run follows, line by line.

Exit status 1 if less has run than LINES and BRANCHES, and of the module MODULE_LINES say, or if the list
unreached.txt beside this file is not true: it says what no test can reach, and why, and does not count. An entry that names nothing in
the source, or something that has run, is an error.

    # reason, of one line or more
    FILE FUNCTION: the line as it stands in the source, without its indent

excuses what of that line (each of that text in FUNCTION) has not run, and its branches; "..." as the end of the
text also excuses the lines of the block that the line opens.

Left out: branches of the module, most of which are what the kernel's macros check for themselves; conditions within
an expression, which gcc counts as branches anyway.
"""
import argparse
import collections
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
LIST = os.path.join(HERE, "unreached.txt")
# Percent of what counts.
LINES, BRANCHES, MODULE_LINES = 95, 85, 90
# The kernel that counts has no Xen, whose guests are booted in another way.
NOT_COUNTED = {"host/xen.c"}

# number: of the line; hits: how often it ran; taken: the same for each of its branches.
Line = collections.namedtuple("Line", "number hits taken")
Entry = collections.namedtuple("Entry", "where file function text block")


class Problem(Exception):
    """The counting itself is wrong; the text says where."""


# -- counting ------------------------------------------------------------
def add_guests(build, folder):
    """Adds the counts of all archives in @folder to those of @build, and removes them. How many there were."""
    archives = sorted(glob.glob(os.path.join(folder, "*.tar.gz")))
    if not archives:
        raise Problem(f"{folder}: no guest has brought any counts")
    for archive in archives:
        with tempfile.TemporaryDirectory(dir=folder) as tmp:
            for name in ("here", "guest"):
                os.mkdir(f"{tmp}/{name}")
            with tarfile.open(archive) as tar:
                members = [m for m in tar if m.isfile() and m.name.endswith(".gcda")]
                if not members:
                    raise Problem(f"{archive}: nothing has been counted in this guest")
                tar.extractall(f"{tmp}/guest", members)
            # Only what both have is added up; the rest is moved as it is.
            for path in glob.glob(f"{tmp}/guest/**/*.gcda", recursive=True):
                name = os.path.relpath(path, f"{tmp}/guest")
                if stamp(path) != stamp(os.path.join(build, name[:-len("da")] + "no")):
                    raise Problem(f"{archive}: {name} is of another build")
                if os.path.exists(os.path.join(build, name)):
                    os.makedirs(os.path.dirname(f"{tmp}/here/{name}"), exist_ok=True)
                    shutil.copy(os.path.join(build, name), f"{tmp}/here/{name}")
                else:
                    shutil.move(path, os.path.join(build, name))
            run(["gcov-tool", "merge", f"{tmp}/here", f"{tmp}/guest", "-o", f"{tmp}/sum"])
            shutil.copytree(f"{tmp}/sum", build, dirs_exist_ok=True)
        os.unlink(archive)
    return len(archives)


def stamp(path):
    """What ties counts to the object that they are of: the third word of either file."""
    with open(path, "rb") as f:
        return f.read(12)[8:]


def run(argv, **kwargs):
    p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       **kwargs)
    if p.returncode != 0:
        raise Problem(f"{argv[0]}: status {p.returncode}: {p.stderr.strip()[-1000:]}")
    return p.stdout


def measure(build):
    """{file: [Line]} of daemon/."""
    return parse(run(["gcovr", "--root", TOP, "--filter", re.escape(TOP) + "/daemon/", "--json", "-", "."],
                     cwd=build))


def parse(text):
    """As gcovr's JSON has it: a line may be there several times, once for each object or function."""
    files = {}
    for entry in json.loads(text)["files"]:
        lines = {}
        for line in entry["lines"]:
            if line.get("gcovr/noncode") or line.get("gcovr/excluded"):
                continue
            number, taken = line["line_number"], [b["count"] for b in line["branches"]]
            if number in lines:
                old = lines[number]
                if len(old.taken) == len(taken):
                    taken = [a + b for a, b in zip(old.taken, taken)]
                else:
                    taken = old.taken + taken
                lines[number] = Line(number, old.hits + line["count"], taken)
            else:
                lines[number] = Line(number, line["count"], taken)
        files[entry["file"]] = [lines[n] for n in sorted(lines)]
    return files


def measure_module(folder):
    """{file: [Line]} of kmod/; what kbuild writes for it is none of it."""
    sys.path.insert(0, os.path.join(TOP, "tests", "vm"))
    from harness import module_coverage                                # noqa: PLC0415
    from harness.paths import HarnessError                             # noqa: PLC0415

    try:
        counted = module_coverage.lines(folder)
    except HarnessError as e:
        raise Problem(str(e)) from e
    missing = {os.path.relpath(path, os.path.join(TOP, "kmod"))
               for path in glob.glob(os.path.join(TOP, "kmod", "**", "*.c"), recursive=True)} - set(counted)
    if missing - NOT_COUNTED:
        raise Problem(f"{folder}: no guest has counted what runs of {', '.join(sorted(missing - NOT_COUNTED))}")
    return {f"kmod/{name}": [Line(n, lines[n], []) for n in sorted(lines)]
            for name, lines in counted.items() if os.path.exists(os.path.join(TOP, "kmod", name))}


# -- the list ------------------------------------------------------------
def entries(text):
    """[Entry] of a list."""
    found, reason = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            reason = len(line.strip("# ")) > 0
        elif line.strip():
            m = re.fullmatch(r"(\S+) (\S+): (.*?)( \.\.\.)?", line.rstrip())
            if not m:
                raise Problem(f"unreached.txt:{number}: not FILE FUNCTION: LINE")
            if not reason:
                raise Problem(f"unreached.txt:{number}: no reason")
            found.append(Entry(f"unreached.txt:{number}", m[1], m[2], m[3], bool(m[4])))
        else:
            reason = False
    return found


def functions(source):
    """The function that each line of @source, a list, belongs to; "" for none."""
    names, name = [], ""
    for line in source:
        # As the whole tree is written: what begins in the first column is no body.
        if m := re.match(r"[A-Za-z_].*?\b(\w+)\(", line):
            name = m[1]
        names.append(name)
        if line.startswith("}"):
            name = ""
    return names


def indent(line):
    return len(line) - len(line.lstrip("\t"))


def block(source, first):
    """Numbers of the lines that line number @first opens: deeper than it, without a line at its level between."""
    numbers = []
    for number in range(first + 1, len(source) + 1):
        line = source[number - 1]
        if line.strip() and indent(line) <= indent(source[first - 1]):
            break
        numbers.append(number)
    return numbers


def excuse(files, listed, read):
    """({file: {line number}}, [complaint]): what @listed excuses, and what of it is not true."""
    excused, complaints, sources = collections.defaultdict(set), [], {}
    for e in listed:
        if e.file not in files:
            complaints.append(f"{e.where}: {e.file} is no file that counts")
            continue
        if e.file not in sources:
            source = read(e.file).splitlines()
            sources[e.file] = (source, functions(source))
        source, owners = sources[e.file]
        lines = {line.number: line for line in files[e.file]}
        matching = [n for n, (text, owner) in enumerate(zip(source, owners), 1)
                    if owner == e.function and text.strip() == e.text]
        if not matching:
            complaints.append(f"{e.where}: there is no such line in {e.function}() of {e.file}")
            continue
        numbers = [n for first in matching for n in [first, *(block(source, first) if e.block else [])]]
        needed = [n for n in numbers if n in lines and not reached(lines[n])]
        if not needed:
            complaints.append(f"{e.where}: it has run, or is no code")
        excused[e.file].update(needed)
    return excused, complaints


def reached(line):
    return line.hits > 0 and all(line.taken)


# -- the sum -------------------------------------------------------------
class Sum:
    """Lines and branches, of which some ran and some are excused."""

    def __init__(self):
        self.lines = self.lines_run = self.branches = self.branches_run = self.excused = 0

    def add(self, line, excused):
        taken = sum(1 for count in line.taken if count)
        if excused:
            self.excused += (line.hits == 0) + len(line.taken) - taken
        self.lines += not excused or line.hits > 0
        self.lines_run += line.hits > 0
        self.branches += taken if excused else len(line.taken)
        self.branches_run += taken

    def percent(self):
        return tuple(100 * run / all if all else 100.0
                     for run, all in ((self.lines_run, self.lines), (self.branches_run, self.branches)))

    def row(self, name):
        lines, branches = self.percent()
        return (f"{name:<36} {self.lines_run:>6} of {self.lines:>6} {lines:>6.1f} %  "
                f"{self.branches_run:>6} of {self.branches:>6} {branches:>6.1f} %  {self.excused:>5}")


def table(files, excused):
    """([row], Sum of all)."""
    total, rows = Sum(), []
    for name in sorted(files):
        one = Sum()
        for line in files[name]:
            one.add(line, line.number in excused[name])
            total.add(line, line.number in excused[name])
        rows.append(one.row(name))
    head = f"{'':<36} {'lines':>25}  {'branches':>25}  {'excused':>5}"
    return [head, *rows, total.row("in all")], total


def left(files, excused, read):
    """Rows of what has not run and is not excused."""
    rows = []
    for name in sorted(files):
        source = read(name).splitlines()
        for line in files[name]:
            if line.number not in excused[name] and not reached(line):
                what = "     " if line.hits == 0 else f"{sum(map(bool, line.taken))}/{len(line.taken)}".rjust(5)
                rows.append(f"{name}:{line.number}: {what} {source[line.number - 1].strip()}")
    return rows


def read_source(name):
    with open(os.path.join(TOP, name)) as f:
        return f.read()


def judge(total, complaints, wanted=(LINES, BRANCHES), of=""):
    """[what is wrong]; percent of lines, and of branches if they count, are @wanted."""
    wrong = list(complaints)
    for what, got, want in zip(("lines", "branches"), total.percent(), wanted):
        if got < want:
            wrong.append(f"{got:.1f} % of the {what}{of} have run, and {want} % are wanted")
    return wrong


def report(files, listed, show_left, *wanted):
    """Prints one table of @files; [what is wrong]."""
    excused, complaints = excuse(files, listed, read_source)
    rows, total = table(files, excused)
    print("\n".join(rows + (left(files, excused, read_source) if show_left else [])))
    return judge(total, complaints, *wanted)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.splitlines()[0][7:])
    parser.add_argument("build")
    parser.add_argument("--guests")
    parser.add_argument("--module")
    parser.add_argument("--left", action="store_true")
    args = parser.parse_args()
    try:
        if args.guests:
            print(f"counts of {add_guests(args.build, args.guests)} guests added")
        with open(LIST) as f:
            listed = entries(f.read())
        of_module = [e for e in listed if e.file.startswith("kmod/")]
        wrong = report(measure(args.build), [e for e in listed if e not in of_module], args.left)
        if args.module:
            wrong += report(measure_module(args.module), of_module, args.left, (MODULE_LINES,), " of the module")
    except (Problem, OSError) as e:
        wrong = [str(e)]
    print("".join(f"coverage: {text}\n" for text in wrong), end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
