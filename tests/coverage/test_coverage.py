# SPDX-License-Identifier: GPL-2.0-or-later
"""What ./bootstrap coverage makes of counts: made-up ones for made-up sources, and the list for those of the tree.

Left out: gcovr and gcov-tool themselves; ./bootstrap coverage runs them.
"""
import json
import os
import tarfile
import tempfile

import tap

import coverage
from coverage import Line, Problem

SOURCE = """\
/* head */
static int first(int r)
{
	if (r < 0) {
		undo();

		return r;
	}
	return 0;
}

struct thing {
	int r;
};

int second(void)
{
	if (r < 0)
		return r;
	last();
	return 0;
}
"""
# Nothing of what follows an "if" has run, and last() has not.
LINES = [Line(4, 3, [0, 3]), Line(5, 0, []), Line(7, 0, []), Line(9, 3, []), Line(18, 3, [0, 3]), Line(19, 0, []),
         Line(20, 0, []), Line(21, 3, [])]
FILES = {"daemon/a.c": LINES}


def excuse(text):
    excused, complaints = coverage.excuse(FILES, coverage.entries(text), lambda name: SOURCE)
    return sorted(excused["daemon/a.c"]), complaints


def total(text=""):
    excused, _ = coverage.excuse(FILES, coverage.entries(text), lambda name: SOURCE)
    return coverage.table(FILES, excused)[1]


@tap.case("a line counts once, whatever objects it is in")
def parse(t):
    def line(number, count, branches=(), **more):
        return {"line_number": number, "count": count, "branches": [{"count": n} for n in branches], **more}
    files = coverage.parse(json.dumps({"files": [{"file": "daemon/a.h", "lines": [
        line(2, 0, (0, 1)), line(1, 0, **{"gcovr/noncode": True}), line(2, 5, (2, 0)), line(3, 0),
        line(4, 1, (1, 0)), line(4, 1, (0, 1, 1)), line(9, 0, **{"gcovr/excluded": True})]}]}))
    t.equal(files, {"daemon/a.h": [Line(2, 5, [2, 1]), Line(3, 0, []), Line(4, 2, [1, 0, 0, 1, 1])]}, "lines")


@tap.case("what has run is counted, and what is excused is not")
def counted(t):
    t.equal((total().lines_run, total().lines, total().branches_run, total().branches), (4, 8, 2, 4), "all of it")
    one = total("# why\ndaemon/a.c second: last();\n")
    t.equal((one.lines_run, one.lines, one.branches_run, one.branches, one.excused), (4, 7, 2, 4, 1),
            "without a line")
    one = total("# why\ndaemon/a.c first: if (r < 0) { ...\n")
    t.equal((one.lines_run, one.lines, one.branches_run, one.branches, one.excused), (4, 6, 2, 3, 3),
            "without a block")
    t.equal(coverage.Sum().percent(), (100, 100), "nothing at all")


@tap.case("an entry is for its function, its text, and its block if it says so")
def excused(t):
    t.equal(excuse("# why\ndaemon/a.c first: if (r < 0) {\n"), ([4], []), "the line")
    t.equal(excuse("# why\ndaemon/a.c first: if (r < 0) { ...\n"), ([4, 5, 7], []), "with its block")
    t.equal(excuse("# why\n# in two lines\n\n# another\ndaemon/a.c second: if (r < 0) ...\n"
                   "daemon/a.c second: last();\n"),
            ([18, 19, 20], []), "two")


@tap.case("an entry that is not true is an error")
def untrue(t):
    for text, complaint in (("daemon/b.c first: return 0;", "daemon/b.c is no file that counts"),
                            ("daemon/a.c first: last();", "there is no such line in first()"),
                            ("daemon/a.c third: last();", "there is no such line in third()"),
                            ("daemon/a.c first: return 0;", "it has run, or is no code"),
                            ("daemon/a.c first: {", "it has run, or is no code")):
        with t.subtest(text):
            lines, complaints = excuse(f"# why\n{text}\n")
            t.equal(lines, [], "excused")
            t.equal(len(complaints), 1, "complaints")
            t.contains(complaints[0], "unreached.txt:2: ", "where")
            t.contains(complaints[0], complaint, "what")
    for text, complaint in (("# why\nnonsense\n", ":2: not FILE FUNCTION: LINE"),
                            ("daemon/a.c first: x\n", ":1: no reason"),
                            ("# why\n\ndaemon/a.c first: x\n", ":3: no reason"),
                            ("#\ndaemon/a.c f: x\n", ":2: no reason")):
        with t.subtest(repr(text)):
            try:
                coverage.entries(text)
                t.fail("taken")
            except Problem as e:
                t.contains(str(e), complaint, "what")


@tap.case("too little is a failure, and is said")
def judge(t):
    one = coverage.Sum()
    one.lines, one.lines_run, one.branches, one.branches_run = 1000, 950, 1000, 850
    t.equal(coverage.judge(one, []), [], "just enough")
    t.equal(coverage.judge(one, ["x"]), ["x"], "a complaint")
    one.lines_run, one.branches_run = 949, 849
    t.equal(coverage.judge(one, []), ["94.9 % of the lines have run, and 95 % are wanted",
                                      "84.9 % of the branches have run, and 85 % are wanted"], "both")
    one.lines_run = 899
    t.equal(coverage.judge(one, [], (90,), " of the module"),
            ["89.9 % of the lines of the module have run, and 90 % are wanted"], "the module's branches do not count")


@tap.case("a file of the module that nobody counted is named")
def uncounted(t):
    with tempfile.TemporaryDirectory() as folder:
        said = str(t.raises(Problem, coverage.measure_module, folder))
    for name in ("core.c", "host/vmware.c"):
        t.contains(said, name, "files")
    t.check("host/xen.c" not in said, said)


@tap.case("what is left is shown with its line, and what is excused is not")
def left(t):
    excused_lines, _ = coverage.excuse(FILES, coverage.entries("# why\ndaemon/a.c second: last();\n"),
                                       lambda name: SOURCE)
    t.equal(coverage.left(FILES, excused_lines, lambda name: SOURCE),
            ["daemon/a.c:4:   1/2 if (r < 0) {", "daemon/a.c:5:       undo();", "daemon/a.c:7:       return r;",
             "daemon/a.c:18:   1/2 if (r < 0)", "daemon/a.c:19:       return r;"], "left")


@tap.case("what guests bring: into its place, of this build only, and not for nothing")
def guests(t):
    with tempfile.TemporaryDirectory() as folder:
        def put(name, data):
            os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
            with open(f"{folder}/{name}", "wb") as f:
                f.write(data)

        def bring(*names):
            with tarfile.open(f"{folder}/guests/g.tar.gz", "w:gz") as tar:
                for name in names:
                    tar.add(f"{folder}/guest/{name}", f"./{name}")

        put("build/d/x.c.gcno", b"oncg----same")
        put("guest/d/x.c.gcda", b"adcg----sameDATA")
        put("guest/empty", b"")
        os.mkdir(f"{folder}/guests")
        try:
            coverage.add_guests(f"{folder}/build", f"{folder}/guests")
            t.fail("no guest is enough")
        except Problem as e:
            t.contains(str(e), "no guest has brought any counts", "what")
        bring("empty")
        try:
            coverage.add_guests(f"{folder}/build", f"{folder}/guests")
            t.fail("a guest that counted nothing is taken")
        except Problem as e:
            t.contains(str(e), "nothing has been counted in this guest", "what")
        put("guest/d/x.c.gcda", b"adcg----elseDATA")
        bring("d/x.c.gcda")
        try:
            coverage.add_guests(f"{folder}/build", f"{folder}/guests")
            t.fail("counts of another build are taken")
        except Problem as e:
            t.contains(str(e), "d/x.c.gcda is of another build", "what")
        t.check(not os.path.exists(f"{folder}/build/d/x.c.gcda"), "nothing is added")


@tap.case("the list: each entry has a reason, and names a line of the tree")
def the_list(t):
    with open(coverage.LIST) as f:
        listed = coverage.entries(f.read())
    t.check(listed, "entries")
    seen = set()
    for e in listed:
        source = coverage.read_source(e.file).splitlines()
        owners = coverage.functions(source)
        t.check(any(text.strip() == e.text and owner == e.function for text, owner in zip(source, owners)),
                f"{e.where}: there is no such line in {e.function}() of {e.file}")
        t.check(e[1:] not in seen, f"{e.where} stands there twice")
        seen.add(e[1:])


if __name__ == "__main__":
    tap.main()
