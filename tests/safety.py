# SPDX-License-Identifier: GPL-2.0-or-later
"""Each row of docs/safety.md has tests behind it: it names them, and they exist. The README repeats some rows.

A test is a file and pieces of the names of its cases: for a suite in Python as it lists them itself, for a unit
test the functions that are registered, with blanks for underscores. A file that no meson.build names is no test:
nobody runs it. The cases at the end break a copy of each rule.

Left out: whether a test shows what the row says. Who writes the row has to see it fail.
"""
import functools
import glob
import os
import re
import subprocess
import sys

import tap

ROOT = os.environ.get("SOURCE_ROOT") or os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
HOW = """
A row of docs/safety.md is
    | if this | then that | `file.py`: part of a case's name; another. `test-file.c`: function |
in which each file is one below tests/ that a meson.build runs. A row of the README's table "What keeps it safe" has the
first two columns of one of them, to the letter."""


def read(name):
    with open(os.path.join(ROOT, name)) as f:
        return f.read()


def table(text, heading):
    """[cells of each row] of the first table after @heading, its own two lines left out."""
    _, _, rest = text.partition(heading)
    rows = re.search(r"(?:^\|.*\n)+", rest, re.M)
    return [[c.strip() for c in line.strip("|").split("|")] for line in rows[0].splitlines()[2:]] if rows else []


@functools.lru_cache(None)
def cases(name):
    """Names of the cases in the file @name, wherever it is below tests/; None if there is no such file."""
    found = [p for p in glob.glob(f"{ROOT}/tests/**/{name}", recursive=True)
             # Of what is for guests only the suites are tests; benchmarks are none.
             if "/vm/suites/" in p or not re.search("/(vm|bench)/", p[len(ROOT):])]
    if len(found) != 1:
        return None
    if name.endswith(".c"):
        with open(found[0]) as f:
            text = f.read()
        return [n.replace("_", " ") for n in re.findall(r"^static void (\w+)\(void \*\*", text, re.M)
                if len(re.findall(rf"\b{n}\b", text)) > 1]
    # They look for programs that are not needed for a list.
    env = dict({n: "/nonexistent" for n in ("BALLOOND", "BALLOONCTL", "CONFIG_KEYS", "FAKE_MANAGER", "STARTUP_PROBE",
                                            "JSON_ECHO", "MODPROBE_SHIM", "BUILD_ROOT")}, SOURCE_ROOT=ROOT)
    env.update(os.environ, PYTHONPATH=":".join(f"{ROOT}/tests/{d}" for d in ("lib", "bus", "cli")))
    p = subprocess.run([sys.executable, found[0], "--list"], env=env, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, timeout=300)
    return p.stdout.splitlines() if p.returncode == 0 else None


@functools.lru_cache(None)
def run_by_meson(name):
    stem = re.sub(r"^(test-)?(.*)\.\w+$", r"\2", name)
    return any(re.search(rf"'({re.escape(name)}|{re.escape(stem)})'", open(p).read())
               for p in glob.glob(f"{ROOT}/tests/**/meson.build", recursive=True))


def wrong_tests(text):
    """What is wrong with the second column of a line."""
    wrong, named = [], list(re.finditer(r"`([\w.-]+)`: (.*?)(?=\. `|$)", text))
    if not named or re.sub(r"`[\w.-]+`: .*?(?=\. `|$)", "", text).strip(". "):
        return [f"not of the form `file`: name; name. `file`: name: {text!r}"]
    for m in named:
        known = cases(m[1])
        if known is None:
            wrong.append(f"no test {m[1]} below tests/ (or two), or it does not list its cases")
            continue
        if not run_by_meson(m[1]):
            wrong.append(f"no meson.build runs {m[1]}")
        wrong += [f"{m[1]} has no case {piece.strip()!r}" for piece in m[2].split("; ")
                  if not any(piece.strip() in k for k in known)]
    return wrong


def wrong_rows(readme, safety):
    lines = [r[0] for r in safety]
    return [f"docs/safety.md: not three columns: {row}" for row in safety if len(row) != 3 or not all(row)] + \
        [f"docs/safety.md has no such row, to the letter: {row}" for row in readme if row not in [r[:2] for r in safety]] + \
        [f"docs/safety.md: twice: {have!r}" for have in sorted(set(lines)) if lines.count(have) > 1]


def both():
    return table(read("README.md"), "## What keeps it safe"), table(read("docs/safety.md"), "# What keeps it safe")


@tap.case("each row has a column that names tests, and the README says the same")
def rows(t):
    readme, safety = both()
    t.check(len(safety) > 15, f"{len(safety)} rows")
    t.check(len(readme) > 5, f"{len(readme)} rows in the README")
    wrong = wrong_rows(readme, safety)
    t.check(not wrong, "\n".join(wrong) + HOW)


@tap.case("the tests exist, and are run", timeout=120)
def tests(t):
    for row in both()[1]:
        with t.subtest(row[0][:60]):
            wrong = wrong_tests(row[2])
            t.check(not wrong, "\n".join(wrong) + HOW)


@tap.case("what is missing is seen")
def sees(t):
    readme, safety = both()
    t.check(wrong_rows(readme + [["a new row", "then"]], safety), "a row of the README's own")
    t.check(wrong_rows([[readme[0][0], "something else"]], safety), "a row of the README that says something else")
    t.check(wrong_rows(readme, safety + [["a new row", "then"]]), "a row without tests")
    t.check(wrong_rows(readme, safety + safety[:1]), "a row that is there twice")
    for text in ("", "somebody has seen it", "`test-none.c`: a", "`test-psi.c`: no such case",
                 "`layers.py`: no such case", "`test-psi.c`: test text. And more", "`crashes_lib.py`: another service"):
        t.check(wrong_tests(text), f"{text!r} is wrong")
    t.equal(wrong_tests("`test-psi.c`: test text; test trigger here"), [], "what is right")


if __name__ == "__main__":
    tap.main()
