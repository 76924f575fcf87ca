# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with the pages (*.md) of a tree: links that lead nowhere, and names of files that are not there.

Headings have the anchors that forges give them. What the package ships is a tree of its own, laid out as conf/debian
says: there, too, each link of a page has to lead to something. Functions named wrong_... return a list of sentences.

Left out: links to the web, whether a page says what is true, and paths that have a word in capital letters in them,
which stands for a name.
"""
import collections
import glob
import os
import re

TOPS = ("conf", "daemon", "docs", "kmod", "man", "systemd", "tests")
# Path from the root of the tree, what is linked to.
Link = collections.namedtuple("Link", "page target")


def read(*path):
    with open(os.path.join(*path)) as f:
        return f.read()


def pages(root):
    """Paths of all pages below @root, from there."""
    out = []
    for folder, names, files in os.walk(root):
        names[:] = [n for n in names if not n.startswith((".", "build"))]
        out += [os.path.relpath(os.path.join(folder, f), root) for f in files if f.endswith(".md")]
    return sorted(out)


def without_code(text):
    """@text without indented blocks and fences; `code` stays as empty as it is long."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    text = "\n".join("" if line.startswith(("    ", "\t")) else line for line in text.split("\n"))
    return re.sub(r"`[^`]*`", lambda m: re.sub(r"[^\n]", "x", m[0]), text)


def links(page, text):
    text = without_code(text)
    found = re.findall(r"\[[^][]*\]\(\s*<?([^)\s>]*)[^)]*\)", text) + re.findall(r"^ *\[[^]]+\]: *(\S+)", text, re.M) + \
        re.findall(r"""<(?:a|img)\b[^>]*?(?:href|src)=["']([^"']*)""", text)
    # A picture that is a link itself.
    found += re.findall(r"\)\]\(([^)\s]*)\)", text)
    return [Link(page, t) for t in found if not re.match(r"[a-z][a-z0-9+.-]*:", t)]


def anchors(text):
    """What forges make of the headings: letters, digits, - and _; blanks are -; the second of a kind gets -1."""
    out, seen = set(), collections.Counter()
    fenced = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    for heading in re.findall(r"^#{1,6} +(.*?)(?: +#+)? *$", fenced, re.M):
        heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        out.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
        seen[slug] += 1
    return out


def wrong_link(root, link, shipped=None):
    """What is wrong with @link of a tree, or None. @shipped: paths in the tree that there is nothing beside."""
    path, _, anchor = link.target.partition("#")
    if path.startswith("/"):
        return f"{link.page}: {link.target} is no relative link"
    target = os.path.normpath(os.path.join(os.path.dirname(link.page), path)) if path else link.page
    if target.startswith(".."):
        return f"{link.page}: {link.target} leaves the tree"
    there = target in shipped if shipped is not None else os.path.exists(os.path.join(root, target))
    if not there:
        return f"{link.page}: {link.target}: " + ("the package has no such file" if shipped is not None else "no such file")
    if anchor and anchor not in (anchors(read(root, target)) if target.endswith(".md") else ()):
        return f"{link.page}: {link.target}: no such heading"
    return None


def wrong_links(root):
    found = (wrong_link(root, link) for page in pages(root) for link in links(page, read(root, page)))
    return [w for w in found if w]


def shipped(root):
    """Paths in the tree of what the package has in its folder of documents, where they are as in the tree; and what is
    wrong, where they are not."""
    paths, wrong = set(), []
    for pattern in read(root, "conf/debian/balloond.docs").split():
        for path in glob.glob(pattern, root_dir=root):
            paths.add(path)
            if "/" in path:
                wrong.append(f"balloond.docs: {path} loses its folder; balloond.install keeps it")
    for line in read(root, "conf/debian/balloond.install").splitlines():
        pattern, _, to = line.partition(" ")
        if to.startswith("usr/share/doc/balloond"):
            found = glob.glob(pattern, root_dir=root)
            wrong += [] if found else [f"balloond.install: there is no {pattern}"]
            for path in found:
                paths.add(path)
                if to != os.path.join("usr/share/doc/balloond", os.path.dirname(path)):
                    wrong.append(f"balloond.install: {path} is in another place than in the tree")
    return paths, wrong


def wrong_shipped(root):
    paths, wrong = shipped(root)
    found = (wrong_link(root, link, paths) for page in sorted(paths) if page.endswith(".md")
             for link in links(page, read(root, page)))
    return wrong + [w for w in found if w]


def not_found_by(root):
    """Pages of docs/ without a link in the README."""
    known = {os.path.normpath(link.target.partition("#")[0]) for link in links("README.md", read(root, "README.md"))}
    return [p for p in pages(root) if p.startswith("docs/") and p not in known]


def wrong_names(root):
    """Of files and folders in `this type`, and of functions behind a file: `FILE`: `one()`, `another()`."""
    wrong = []
    for page in pages(root):
        for code in re.findall(r"`([^`\n]+)`", re.sub(r"^ {4}.*$", "", read(root, page), flags=re.M)):
            path = re.fullmatch(rf"(?:{'|'.join(TOPS)})/[\w.+*/-]*", code)
            # meson makes balloond.service of balloond.service.in.
            if path and not re.search("[A-Z]{3}", code) and not glob.glob(os.path.join(root, code)):
                wrong.append(f"{page}: there is no {code}")
        for path, functions in re.findall(rf"`((?:{'|'.join(TOPS)})/[\w./-]+\.[ch])`: ((?:`\w+\(\)`(?:, )?)+)", read(root, page)):
            text = read(root, path) if os.path.exists(os.path.join(root, path)) else ""
            wrong += [f"{page}: {path} has no {f}()" for f in re.findall(r"\w+", functions)
                      if not re.search(rf"^\w.*\b{f}\(", text, re.M)]
    return wrong


def wrong_map(root):
    """Of all functions that the map of the code names, also in its picture: those that nothing defines."""
    if not os.path.exists(os.path.join(root, "docs/map.md")):
        return []
    sources = "".join(read(path) for top in ("daemon", "kmod")
                      for path in glob.glob(os.path.join(root, top, "**/*.c"), recursive=True))
    defined = set(re.findall(r"^\w.*?\b(\w+)\(", sources, re.M))
    return [f"docs/map.md: there is no {name}()"
            for name in sorted(set(re.findall(r"\b(\w+)\(\)", read(root, "docs/map.md"))) - defined)]
