# SPDX-License-Identifier: GPL-2.0-or-later
"""The arrows of the tree, as a test: which file may include what.

RULES gives each file of daemon/ and kmod/ the project headers that it may
include; OWNERS gives each foreign library the files that may use it; PURE
lists the system headers that decide/ may use. A file that no rule covers
fails, so that a new folder is a decision and not an accident. An arrow that
has to be bent is bent here, with its reason.

Whatever the rules say, arrows make no circle: neither among files, by what each .c
includes, nor among headers, nor among the rooms of daemon/, which are its folders.

Invariants of the check itself: a header is what the compiler would find (also
with <angle brackets>), a computed #include is refused, and a tree in which no
file is found fails. The cases at the end break a copy of each rule.

Left out: what is called (the linker sees to that: decide/ is linked alone in
its tests), and includes of system headers outside decide/.
"""
import fnmatch
import os
import re
import tempfile

import tap

ROOT = os.environ.get("SOURCE_ROOT") or os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

# File -> what it may include; the first match counts. Paths of daemon/ are those of the
# #include lines ("sense/sample.h"), paths of kmod/ are below kmod/.
RULES = [
    # The bottom of the daemon, and the plain data that everybody shares.
    ("daemon/basic/*", ["basic/*"]),
    ("daemon/sense/sample.h", []),
    ("daemon/sense/*", ["sense/*", "basic/*"]),
    # Pure. Sums that do not wrap are as pure as itself. Who weighs one thing against another
    # knows the whole state ...
    *((f"daemon/decide/{whole}.[ch]", ["decide/*", "sense/sample.h", "basic/arith.h"])
      for whole in ("policy", "policy-state", "round", "shortage", "goal", "gate", "follow", "pace")),
    # ... every other part what it remembers itself, and what it is told.
    ("daemon/decide/*", [*(f"decide/{part}.h" for part in (
        "policy-config", "view", "bounds", "pressure", "relief", "peaks", "turn", "thrash", "move", "settle", "evict",
        "start", "standstill", "insist", "progress", "proof", "ratelimit", "law*")), "sense/sample.h", "basic/arith.h"]),
    # The life of a transport knows how it is got; its end knows its life. None knows whom it serves.
    ("daemon/act/opener.[ch]", ["act/opener.h", "act/transport.h", "basic/*"]),
    ("daemon/act/balloon.[ch]", ["act/balloon.h", "act/opener.h", "act/mover.h", "act/transport.h", "basic/*",
                                 "sense/sample.h"]),
    ("daemon/act/leave.[ch]", ["act/leave.h", "act/balloon.h", "basic/*", "uballoon.h"]),
    # Of the policy's numbers only those that a transport reports.
    ("daemon/act/*", ["act/*", "basic/*", "sense/sample.h", "uballoon.h"]),
    # Plain data: a tick, an order and its answer.
    ("daemon/serve/tick.h", ["serve/hold.h", "decide/policy.h", "sense/sample.h"]),
    ("daemon/serve/order.h", []),
    # Those who are told of a tick know it, and what each of them works with, but not each other. What is said
    # is noted.
    ("daemon/serve/journal.[ch]", ["serve/journal.h", "serve/tick.h", "serve/keep.h", "basic/*"]),
    ("daemon/serve/show.[ch]", ["serve/show.h", "serve/tick.h", "serve/status.h", "serve/bus.h", "serve/notify.h",
                                "basic/*"]),
    ("daemon/serve/keep.[ch]", ["serve/keep.h", "serve/tick.h", "serve/status.h", "serve/hold.h", "serve/history.h",
                                "serve/metrics.h", "serve/peaks-file.h", "serve/writer.h", "basic/*"]),
    # What is wanted comes out of the file, too.
    ("daemon/serve/orders.[ch]", ["serve/orders.h", "serve/order.h", "serve/tick.h", "serve/hold.h", "serve/keep.h",
                                  "config/config.h", "basic/*"]),
    ("daemon/serve/*", ["serve/*", "basic/*", "sense/sample.h", "decide/policy.h", "uballoon.h"]),
    # Two verbs look for themselves: record at /proc, simulate at the test bench.
    ("daemon/ctl/ctl-record.c", ["ctl/*", "basic/*", "sense/*", "sim/recording.h"]),
    ("daemon/ctl/*simulate*", ["ctl/*", "basic/*", "config/config.h", "decide/policy.h", "sim/*"]),
    # A hand of the operator: talks D-Bus, checks files; never the device, never the loop.
    ("daemon/ctl/*", ["ctl/*", "basic/*", "config/config.h", "decide/policy.h", "sim/svg.h"]),
    # The guest model drives the very policy, and stops moves as the module does.
    ("daemon/sim/*", ["sim/*", "basic/*", "decide/policy.h", "sense/sample.h", "uballoon.h"]),
    ("daemon/config/*", ["config/*", "basic/*", "decide/policy.h"]),
    # When something has come, and not what it means.
    ("daemon/loop/events.[ch]", ["loop/events.h", "sense/sample.h", "basic/*"]),
    ("daemon/loop/*", ["loop/*", "config/config.h", "serve/*", "act/*", "decide/policy.h", "sense/sample.h",
                       "basic/*"]),
    ("daemon/balloond.c", ["loop/loop.h", "config/config.h", "act/*", "sense/*", "basic/*"]),

    ("kmod/uapi/*", []),
    ("kmod/compat/*", ["compat/*"]),
    ("kmod/host/host.h", ["uapi/*"]),
    # stats.h: a host counts what only it can see (statistics asked for, pages reported).
    ("kmod/host/*", ["host/*", "core.h", "stats.h", "uapi/*"]),
    ("kmod/core.[ch]", ["core.h", "host/host.h", "uapi/*"]),
    ("kmod/chardev.[ch]", ["chardev.h", "core.h", "uapi/*"]),
    ("kmod/reclaim.[ch]", ["reclaim.h", "offline.h", "core.h", "uapi/*"]),
    ("kmod/wake.c", ["reclaim.h", "core.h", "uapi/*"]),
    ("kmod/offline.[ch]", ["offline.h", "core.h", "uapi/*"]),
    ("kmod/migrate.[ch]", ["migrate.h", "core.h", "uapi/*"]),
    ("kmod/stats.[ch]", ["stats.h", "core.h", "uapi/*"]),
    ("kmod/main.c", ["chardev.h", "reclaim.h", "migrate.h", "stats.h", "core.h", "uapi/*"]),
    # Parts of core that have become files of their own.
    ("kmod/*.[ch]", ["core.h", "uapi/*"]),
]

# Foreign header -> its owners.
OWNERS = [
    ("libproc2/*", ["daemon/sense/meminfo.c"]),
    ("libconfig*", ["daemon/config/config.c"]),
    ("libudev*", ["daemon/act/discover.c"]),
    ("systemd/sd-device*", []),
    ("systemd/sd-bus*", ["daemon/serve/bus.c", "daemon/serve/sdbus.[ch]", "daemon/serve/startup.c", "daemon/ctl/*"]),
    ("systemd/sd-event*", ["daemon/serve/bus.h", "daemon/serve/sdbus.h", "daemon/serve/startup.h",
                           "daemon/loop/events.[ch]", "daemon/ctl/*"]),
    ("systemd/sd-daemon*", ["daemon/serve/notify.c"]),
    ("systemd/sd-journal*", []),
    ("systemd/*", []),
    # The device is spoken to in one place.
    ("sys/ioctl.h", ["daemon/act/device.c", "daemon/ctl/term.c"]),
]

# No I/O, clock, allocation, log: what is left of the C library.
PURE = ["stdbool.h", "stdint.h", "stddef.h", "limits.h", "string.h", "inttypes.h", "errno.h"]

# Kernel versions are known to the probes only.
VERSIONS = re.compile(r"\b(LINUX_VERSION_CODE|KERNEL_VERSION|RHEL_RELEASE_CODE)\b|linux/version\.h")

INCLUDE = re.compile(r"^[ \t]*#[ \t]*include(?:_next)?\b[ \t]*(.*)$", re.M)
HEADER = re.compile(r'^(?:"([^"]+)"|<([^>]+)>)')
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*")', re.S)


def strip_comments(text):
    return COMMENT.sub(lambda m: m.group(1) or "\n" * m.group(0).count("\n"), text)


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, p) for p in patterns)


def rule_of(path):
    """The first rule for a file. "*" stays in its folder, but for a rule of a whole folder."""
    for pattern, allowed in RULES:
        if fnmatch.fnmatchcase(path, pattern) and \
           (pattern.endswith("/*") or path.count("/") == pattern.count("/")):
            return allowed
    return None


def sources(root):
    for top in ("daemon", "kmod"):
        for folder, names, files in os.walk(os.path.join(root, top)):
            names.sort()
            for name in sorted(files):
                # .mod.c is written by the kernel's build.
                if name.endswith((".c", ".h")) and not name.endswith(".mod.c"):
                    yield os.path.relpath(os.path.join(folder, name), root)


def resolve(root, path, header):
    """The project's name of a header as the compiler finds it, or None if it is not ours."""
    top = path.split("/", 1)[0]
    for base in (os.path.dirname(path), top, "kmod/uapi"):
        found = os.path.normpath(os.path.join(base, header))
        if os.path.isfile(os.path.join(root, found)):
            if found.startswith("kmod/uapi/") and top == "daemon":
                return found[len("kmod/uapi/"):]
            return found.split("/", 1)[1] if "/" in found else found
    return None


def check_include(root, path, allowed, spec):
    m = HEADER.match(spec)
    if not m:
        return f"#include {spec.strip()}: a computed include cannot be checked"
    header = m.group(1) or m.group(2)
    ours = resolve(root, path, header)
    if ours is not None:
        if path.startswith("daemon/") and header != ours:
            return f'"{header}": write it from its layer on, "{ours}"'
        return None if matches(ours, allowed) else f'"{ours}" is not below it'
    if m.group(1):
        return f'"{header}": there is no such header in the tree'
    for pattern, owners in OWNERS:
        if fnmatch.fnmatchcase(header, pattern):
            return None if matches(path, owners) else \
                f"<{header}> belongs to {', '.join(owners) or 'nobody'}"
    if path.startswith("daemon/decide/") and header not in PURE:
        return f"<{header}>: decide/ is pure"
    return None


def user_of(path):
    """A .c says by its own lines whom it uses; what it has by way of a header are types."""
    return path[:-2] if path.endswith(".c") else None


def header_of(path):
    return path if path.endswith(".h") else None


def room_of(path):
    """The folder of daemon/ that a file is in; None for what is not in one, and in the module."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "daemon" and len(parts) > 2 else None


def circle(arrows):
    """One circle of the arrows {from: {to, ...}} as "a -> b -> a", or None."""
    done = set()

    def walk(node, way):
        if node in way:
            return " -> ".join(way[way.index(node):] + [node])
        if node in done:
            return None
        for other in sorted(arrows.get(node, ())):
            found = walk(other, way + [node])
            if found:
                return found
        done.add(node)
        return None
    return next(filter(None, (walk(node, []) for node in sorted(arrows))), None)


def circles(root):
    """Violations as check() has them: a circle among files by what they use, among headers, among rooms."""
    arrows = {"files": {}, "headers": {}, "rooms": {}}
    for path in sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            text = strip_comments(f.read())
        for m in filter(None, (HEADER.match(m.group(1)) for m in INCLUDE.finditer(text))):
            ours = resolve(root, path, m.group(1) or m.group(2))
            if ours is None:
                continue
            there = f"{path.split('/', 1)[0]}/{ours}"
            for what, a, b in (("files", user_of(path), there[:-2]), ("headers", header_of(path), there),
                               ("rooms", room_of(path), room_of(there))):
                if a and b and a != b:
                    arrows[what].setdefault(a, set()).add(b)
    found = {what: circle(arrows[what]) for what in arrows}
    return [f"{way}: a circle among {what}" for what, way in found.items() if way]


def check(root):
    """All violations as "FILE:LINE: reason"."""
    found, bad = 0, []
    for path in sources(root):
        found += 1
        with open(os.path.join(root, path), encoding="utf-8") as f:
            text = strip_comments(f.read())
        allowed = rule_of(path)
        if allowed is None:
            bad.append(f"{path}:1: no rule covers this file")
            continue
        for m in INCLUDE.finditer(text):
            why = check_include(root, path, allowed, m.group(1))
            if why:
                bad.append(f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {why}")
        if not path.startswith("kmod/compat/"):
            for m in VERSIONS.finditer(text):
                bad.append(f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {m.group(0)}: "
                           "kernel versions are known to kmod/compat/ only")
    if not found:
        bad.append(f"{root}: no source file found")
    return bad + circles(root)


@tap.case("the tree keeps to its arrows")
def the_tree(t):
    bad = check(ROOT)
    for line in bad:
        t.diag(line)
    t.equal(len(bad), 0, "violations")


# Headers that the broken files below refer to.
HEADERS = ["daemon/loop/loop.h", "daemon/loop/events.h", "daemon/config/config.h", "daemon/basic/log.h",
           "daemon/sense/sense.h",
           "daemon/sense/sample.h", "daemon/decide/policy.h", "daemon/act/transport.h",
           "daemon/serve/bus.h", "daemon/serve/keep.h", "daemon/serve/orders.h", "daemon/serve/tick.h",
           "daemon/act/balloon.h", "daemon/ctl/ctl.h", "kmod/uapi/uballoon.h", "kmod/core.h",
           "kmod/chardev.h", "kmod/host/host.h"]


def broken(name, path, text, want):
    """@text in @path must be reported with @want, or not at all if that is None."""
    @tap.case(f"checker: {name}")
    def case(t):
        with tempfile.TemporaryDirectory() as root:
            for header in HEADERS:
                os.makedirs(os.path.dirname(os.path.join(root, header)), exist_ok=True)
                with open(os.path.join(root, header), "w", encoding="utf-8"):
                    pass
            t.equal(check(root), [], "violations of the sound tree")
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
            bad = check(root)
        if want is None:
            t.equal(bad, [], "violations")
        else:
            t.equal(len(bad), 1, f"violations ({bad})")
            t.contains(bad[0], want, "violation")


broken("upward in the daemon", "daemon/sense/psi.c", '\n\n#include "loop/loop.h"\n',
       'daemon/sense/psi.c:3: "loop/loop.h" is not below it')
broken("sideways in the daemon", "daemon/act/device.c", '#include "serve/bus.h"\n', "not below")
broken("the policy reads the log", "daemon/decide/policy.c", '#include "basic/log.h"\n', "not below")
broken("the policy looks at sense", "daemon/decide/policy.c", '#include "sense/sense.h"\n', "not below")
broken("the policy may see a sample", "daemon/decide/policy.c", '#include "sense/sample.h"\n', None)
broken("a law looks at the whole state", "daemon/decide/law-x.c", '#include "decide/policy.h"\n',
       "not below")
broken("the policy reads the clock", "daemon/decide/policy.c", "#include <time.h>\n", "is pure")
broken("the policy allocates", "daemon/decide/law-x.c", "#include <stdlib.h>\n", "is pure")
broken("ctl opens the device", "daemon/ctl/x.c", '#include "uballoon.h"\n', "not below")
broken("ctl uses the transport", "daemon/ctl/x.c", '#include "act/transport.h"\n', "not below")
broken("the bus decides", "daemon/serve/x.c", '#include "loop/loop.h"\n', "not below")
broken("angle brackets do not hide it", "daemon/sense/psi.c", "#include <loop/loop.h>\n", "not below")
broken("spaces do not hide it", "daemon/sense/psi.c", '  #  include\t"loop/loop.h"\n', "not below")
broken("a path that climbs", "daemon/sense/psi.c", '#include "../sense/sense.h"\n', "from its layer")
broken("a path without its layer", "daemon/sense/psi.c", '#include "sense.h"\n', "from its layer")
broken("a computed include", "daemon/sense/psi.c", "#include HEADER\n", "computed")
broken("a comment is no include", "daemon/sense/psi.c",
       '/* never\n#include "loop/loop.h"\n*/\n// #include "loop/loop.h"\n', None)
broken("a header that is not there", "daemon/sense/psi.c", '#include "sense/x.h"\n', "no such")
broken("who keeps a tick gives orders", "daemon/serve/keep.c", '#include "serve/orders.h"\n', "not below")
broken("who says what a tick was shows it", "daemon/serve/journal.c", '#include "serve/bus.h"\n', "not below")
broken("the transport's life looks up", "daemon/act/balloon.c", '#include "serve/tick.h"\n', "not below")
broken("the transport's life knows its end", "daemon/act/opener.c", '#include "act/balloon.h"\n', "not below")
broken("what is waited for is understood", "daemon/loop/events.c", '#include "act/balloon.h"\n', "not below")
broken("timers outside their file", "daemon/loop/loop.c", "#include <systemd/sd-event.h>\n", "belongs to")
broken("libproc2 in a second place", "daemon/sense/vmstat.c", "#include <libproc2/vmstat.h>\n",
       "belongs to daemon/sense/meminfo.c")
broken("libproc2 in its place", "daemon/sense/meminfo.c", "#include <libproc2/meminfo.h>\n", None)
broken("libconfig in ctl", "daemon/ctl/x.c", "#include <libconfig.h>\n", "belongs to")
broken("libudev in the loop", "daemon/loop/loop.c", "#include <libudev.h>\n", "belongs to")
broken("sd-bus in the loop", "daemon/loop/loop.c", "#include <systemd/sd-bus.h>\n", "belongs to")
broken("sd-journal in the policy", "daemon/decide/policy.c", "#include <systemd/sd-journal.h>\n",
       "belongs to")
broken("a part of systemd that nobody owns", "daemon/loop/loop.c", "#include <systemd/sd-login.h>\n",
       "belongs to nobody")
broken("ioctl outside the transport", "daemon/loop/loop.c", "#include <sys/ioctl.h>\n", "belongs to")
broken("a folder without a rule", "daemon/util/x.c", "int x;\n", "no rule covers")
broken("a folder without a rule in the module", "kmod/util/x.c", "int x;\n", "no rule covers")
broken("a new part of core looks up", "kmod/x.c", '#include "chardev.h"\n', "not below")
broken("core names a host", "kmod/core.c", '#include "host/virtio.h"\n', "no such header")
broken("core looks up", "kmod/core.c", '#include "chardev.h"\n', "not below")
broken("a host looks up", "kmod/host/x.c", '#include "../chardev.h"\n', "not below")
broken("a host may use core", "kmod/host/x.c", '#include "../core.h"\n#include "host.h"\n', None)
broken("a version check", "kmod/core.c", "#if LINUX_VERSION_CODE >= 5\n#endif\n",
       "kmod/core.c:1: LINUX_VERSION_CODE")
broken("a version check by its header", "kmod/host/x.c", "#include <linux/version.h>\n", "version.h")
broken("a version check where it belongs", "kmod/compat/x.h", "#if LINUX_VERSION_CODE\n#endif\n", None)


def around(name, files, want):
    """A tree of @files {path: headers that it includes} must have the circle @want, or none if that is None."""
    @tap.case(f"checker: {name}")
    def case(t):
        with tempfile.TemporaryDirectory() as root:
            for path, headers in files.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.writelines(f'#include "{header}"\n' for header in headers)
            t.equal(circles(root), [want] if want else [], "circles")


around("two files use each other",
       {"daemon/basic/a.c": ["basic/a.h", "basic/b.h"], "daemon/basic/a.h": [],
        "daemon/basic/b.c": ["basic/a.h", "basic/b.h"], "daemon/basic/b.h": []},
       "daemon/basic/a -> daemon/basic/b -> daemon/basic/a: a circle among files")
around("three files of the module use each other",
       {"kmod/a.c": ["b.h"], "kmod/b.c": ["c.h"], "kmod/c.c": ["a.h"], **{f"kmod/{x}.h": [] for x in "abc"}},
       "kmod/a -> kmod/b -> kmod/c -> kmod/a: a circle among files")
around("headers include each other",
       {"daemon/act/a.h": ["act/b.h"], "daemon/act/b.h": ["act/c.h"], "daemon/act/c.h": ["act/b.h"]},
       "daemon/act/b.h -> daemon/act/c.h -> daemon/act/b.h: a circle among headers")
around("rooms know each other, none of their files does",
       {"daemon/act/a.c": ["serve/a.h"], "daemon/serve/a.h": [], "daemon/serve/b.c": ["act/b.h"], "daemon/act/b.h": []},
       "daemon/act -> daemon/serve -> daemon/act: a circle among rooms")
around("who makes what another one needs for its types is used by it",
       {"daemon/act/a.c": ["act/a.h", "act/part.h"], "daemon/act/a.h": [], "daemon/act/part.c": ["act/part.h"],
        "daemon/act/part.h": ["act/a.h"]}, None)
around("two ways to one file are no circle",
       {"daemon/act/a.c": ["act/b.h", "act/c.h"], "daemon/act/b.c": ["act/c.h"], "daemon/act/b.h": ["act/c.h"],
        "daemon/act/c.h": []}, None)


@tap.case("checker: an empty tree is not a sound one")
def empty_tree(t):
    with tempfile.TemporaryDirectory() as root:
        t.contains(" ".join(check(root)), "no source file found", "violations")


if __name__ == "__main__":
    tap.main()
