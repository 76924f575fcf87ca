# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages (*.md) lead where they say: each relative link to a file that is there, each anchor to a heading.

In the package as well as in the tree; and nobody finds a page of docs/ that the README does not link to. A file or folder
of the tree that is named in `this type` exists. The last case breaks a copy of each rule.

Left out: what pages.py leaves out, and whether the package is made as conf/debian says (tests/vm/suites/packages.py).
"""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]

import tap                                            # noqa: E402
from pages import (not_found_by, pages, shipped, wrong_links, wrong_map, wrong_names,   # noqa: E402
                   wrong_shipped)

ROOT = os.environ.get("SOURCE_ROOT") or os.path.dirname(os.path.dirname(HERE))


@tap.case("each link leads to a file, each anchor to a heading")
def lead(t):
    found = pages(ROOT)
    for page in ("README.md", "docs/troubleshooting.md"):
        t.contains(found, page, "pages")
    wrong = wrong_links(ROOT)
    t.check(not wrong, "\n".join(wrong))


@tap.case("in the package, too")
def packaged(t):
    t.contains(shipped(ROOT)[0], "docs/troubleshooting.md", "shipped")
    wrong = wrong_shipped(ROOT)
    t.check(not wrong, "\n".join(wrong) + "\nIts pages may lead to what conf/debian/balloond.docs and balloond.install "
            "have, and to nothing else.")


@tap.case("the README leads to each page of docs/")
def found(t):
    t.equal(not_found_by(ROOT), [], "pages without a link in the README")


@tap.case("files, folders and functions that are named exist")
def names(t):
    wrong = wrong_names(ROOT) + wrong_map(ROOT)
    t.check(not wrong, "\n".join(wrong))


GOOD = {
    "README.md": "# A\n\n[a page](docs/a.md), [b](docs/a.md#what-if-x1), [c](#a), [over\ntwo lines](docs/a.md), `kmod/x.c`\n\n`kmod/x.c`: `f()`\n\n"
                 "![picture](docs/p/a.svg) [web](https://example.org/no)\n\n    [code](none.md)\n\n`[code](none.md)` `kmod/NAME.c`\n",
    "docs/a.md": "# What if X(1)\n\n## What if X(1)\n\n[back](../README.md#a), [second](#what-if-x1-1)\n",
    "docs/p/a.svg": "<svg/>", "kmod/x.c": "int f(void)\n{\n\th();\n}\n",
    "conf/debian/balloond.docs": "README.md\n",
    "conf/debian/balloond.install": "etc/x\ndocs/*.md usr/share/doc/balloond/docs\ndocs/p/*.svg usr/share/doc/balloond/docs/p\n",
}
ALL = (wrong_links, wrong_shipped, not_found_by, wrong_names, wrong_map)
# What is broken in a copy of GOOD, and who says so.
BROKEN = [
    ("a file that is not there", "README.md", "(docs/a.md)", "(docs/b.md)", wrong_links),
    ("a picture that is not there", "README.md", "a.svg", "b.svg", wrong_links),
    ("an anchor that is not there", "README.md", "#what-if-x1", "#what-if", wrong_links),
    ("an anchor of the page itself", "docs/a.md", "#what-if-x1-1", "#what-if-x1-2", wrong_links),
    ("a link in a list of links", "README.md", "`kmod/x.c`", "[1]\n\n[1]: docs/b.md", wrong_links),
    ("a link in HTML", "README.md", "`kmod/x.c`", '<img src="docs/b.svg">', wrong_links),
    ("a link out of the tree", "docs/a.md", "../README.md#a", "../../README.md", wrong_links),
    ("an absolute link", "docs/a.md", "../README.md#a", "/README.md", wrong_links),
    ("a heading that has another name", "docs/a.md", "## What if X(1)", "## What if Y(1)", wrong_links),
    ("a link to what is not shipped", "README.md", "`kmod/x.c`", "[x](kmod/x.c)", wrong_shipped),
    ("a folder that is not shipped", "conf/debian/balloond.install", "docs/p/*.svg usr/share/doc/balloond/docs/p\n", "", wrong_shipped),
    ("a page that loses its folder", "conf/debian/balloond.docs", "README.md", "README.md docs/a.md", wrong_shipped),
    ("a page in another folder", "conf/debian/balloond.install", "balloond/docs\n", "balloond\n", wrong_shipped),
    ("a page that nothing leads to", "docs/b.md", "", "# B\n", not_found_by),
    ("a file that is named and not there", "README.md", "kmod/x.c", "kmod/y.c", wrong_names),
    ("a function that is named and not there", "README.md", "`kmod/x.c`", "`kmod/x.c`: `f()`, `g()`", wrong_names),
    ("a function that is only called", "README.md", "`kmod/x.c`", "`kmod/x.c`: `h()`", wrong_names),
    ("a function that the map draws and that is not there", "docs/map.md", "", "    f()    g()\n", wrong_map),
]


@tap.case("what is broken is seen")
def sees(t):
    def said(files):
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)
                with open(f"{root}/{name}", "w") as f:
                    f.write(text)
            return {check: check(root) for check in ALL}
    t.equal(said(GOOD), {check: [] for check in ALL}, "what is right")
    for what, name, old, new, check in BROKEN:
        with t.subtest(what):
            text = GOOD.get(name, "")
            t.contains(text, old, "the copy")
            t.check(said({**GOOD, name: text.replace(old, new, 1)})[check], "nothing is said")


if __name__ == "__main__":
    tap.main()
