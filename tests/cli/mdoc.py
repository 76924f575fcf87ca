# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads just enough of the manual pages' source (mdoc) to compare their lists with the programs."""
import os
import re

ROOT = os.environ["SOURCE_ROOT"]
PAGES = ["balloonctl.1", "uballoon.4", "balloon-trace.5", "balloond.conf.5", "balloond.8"]


def source(page):
    with open(os.path.join(ROOT, "man", page)) as f:
        return f.read()


def section(page, name):
    """The source of a section, subsections included, or of one subsection."""
    text = source(page)
    m = (re.search(rf"^\.Sh {re.escape(name)}\n(.*?)(?=^\.Sh |\Z)", text, re.M | re.S) or
         re.search(rf"^\.Ss {re.escape(name)}\n(.*?)(?=^\.S[hs] |\Z)", text, re.M | re.S))
    assert m, f"{page} has no section {name}"
    return m.group(1)


def words(line):
    """What a macro line shows, without macros and punctuation."""
    return [w for w in line.split()[1:] if not re.fullmatch(r"[A-Z][a-z]|[,|()=.]|\"", w)]


def items(text):
    """The heads of all list items: lists of words."""
    return [words(line) for line in re.findall(r"^\.It .*$", text, re.M)]


def top_level(text):
    """The items of the outermost lists: (words of the head, lines of the body)."""
    depth, out = 0, []
    for line in text.splitlines():
        depth += line.startswith(".Bl ") - line.startswith(".El")
        if depth == 1 and line.startswith(".It "):
            out.append((words(line), []))
        elif depth and out:
            out[-1][1].append(line)
    return out


def options(text):
    """Long options that have an item."""
    return re.findall(r"^\.It.* Fl Fl ([a-z-]+)", text, re.M)
