# SPDX-License-Identifier: GPL-2.0-or-later
"""./bootstrap on systems that it does not know: with BALLOOND_NO_DEPS=1 it installs nothing and names what is missing.

A copy of the script runs with a PATH of our own, on which the programs of its list are links and
pkg-config is played; meson is a program that says that it was reached.

Left out: what deps installs on the Debians that it knows (tests/vm/suites/debian13.py).
"""
import os
import re
import shutil
import subprocess
import tempfile

import tap

TOP = os.environ["SOURCE_ROOT"]
# What the script itself calls.
OWN = ("bash", "cat", "dirname", "id", "nproc", "rm")
MESON = "#!/bin/bash\necho meson was reached; exit 9\n"
PKG_CONFIG = """#!/bin/bash
[[ $'\\n'$PKG_MODULES$'\\n' == *$'\\n'"$2"$'\\n'* ]]
"""


def text():
    with open(os.path.join(TOP, "bootstrap")) as f:
        return f.read()


def needs():
    """[(what needs it, kind, name, what for)] as the script lists them."""
    lines = re.search(r"^needs=\(\n(.*?)^\)$", text(), re.M | re.S)[1].splitlines()
    return [re.fullmatch(r"\t'(\w+) (command|file|pkg-config) (\S+): (.+)'", line).groups() for line in lines]


class Machine:
    """Has all that is needed but what is named in @missing."""

    def __init__(self, t, *missing):
        self.root = tempfile.mkdtemp(prefix="test-bootstrap-")
        t.defer(shutil.rmtree, self.root, True)
        os.mkdir(f"{self.root}/bin")
        for name in OWN:
            os.symlink(shutil.which(name), f"{self.root}/bin/{name}")
        self.modules = []
        for _, kind, name, _ in needs():
            if name in missing:
                continue
            if kind == "command":
                self.put(f"bin/{name}", {"meson": MESON, "pkg-config": PKG_CONFIG}.get(name, "#!/bin/bash\nexit 9\n"))
            elif kind == "file":
                self.put(name.replace("*", "1.2.3"), "")
            else:
                self.modules.append(name.replace(">=", " >= "))
        # Where it looks for files is a folder of ours, and so are the programs of an administrator.
        self.put("bootstrap", text().replace("/usr/src/", f"{self.root}/usr/src/")
                 .replace("PATH:/usr/sbin:/sbin", "PATH"))

    def put(self, name, content):
        path = f"{self.root}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(content)
        os.chmod(path, 0o755)

    def run(self, *argv):
        p = subprocess.run([f"{self.root}/bootstrap", *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=60, cwd=self.root,
                           env={"PATH": f"{self.root}/bin", "BALLOOND_NO_DEPS": "1",
                                "PKG_MODULES": "\n".join(self.modules)})
        return p.returncode, p.stdout.replace(self.root, "")


@tap.case("all is there: nothing to say, and the build begins")
def complete(t):
    machine = Machine(t)
    t.equal(machine.run("deps"), (0, ""), "deps")
    status, said = machine.run("build")
    t.equal(status, 9, said)
    t.contains(said, "meson was reached", "build")


@tap.case("each thing that is missing is named, and what it is for")
def one(t):
    for what, kind, name, purpose in needs():
        with t.subtest(name):
            if name == "pkg-config":
                continue
            # What only this verb needs is not asked for otherwise.
            verb = what if what == "analyse" else "deps"
            status, said = Machine(t, name).run(verb)
            t.equal(status, 1, said)
            t.equal(said, f"bootstrap: {verb} needs these, and they are not there:\n  {kind} {name}: {purpose}\n", what)


@tap.case("two that are missing are named together; without pkg-config all that it finds is")
def several(t):
    said = Machine(t, "libproc2", "sparse").run("check")[1]
    t.equal(re.findall(r"^  \S+ (\S+): ", said, re.M), ["libproc2", "sparse"], said)
    said = Machine(t, "pkg-config").run("deps")[1]
    t.equal(re.findall(r"^  \S+ (\S+): ", said, re.M),
            ["pkg-config", *(name for _, kind, name, _ in needs() if kind == "pkg-config")], said)


@tap.case("a verb asks for what it needs itself, and not for more")
def verbs(t):
    for missing, refused in (("cc", ("build", "demo", "check", "package", "systems")),
                             ("qemu-system-x86_64", ("demo", "check", "systems")),
                             ("lintian", ("check", "package", "systems")),
                             ("mandoc", ("check", "systems"))):
        machine = Machine(t, missing)
        for verb in ("build", "demo", "check", "package", "systems"):
            with t.subtest(f"{verb} without {missing}"):
                said = machine.run(verb)[1]
                t.equal(f" {missing}: " in said, verb in refused, said)


@tap.case("coverage: what it cannot do it says before it builds anything")
def coverage(t):
    machine = Machine(t)
    t.equal(machine.run("coverage", "--frob"),
            (1, "bootstrap: coverage takes --left and nothing else\n"), "options")
    t.equal(machine.run("coverage"), (1, "bootstrap: coverage needs gcovr, and it is not there\n"), "without gcovr")
    machine.put("bin/gcovr", "#!/bin/bash\n")
    status, said = machine.run("coverage", "--left")
    t.check(status == 9 and "meson was reached" in said, said)


@tap.case("the list has what meson asks for, and is right about this machine")
def complete_list(t):
    with open(os.path.join(TOP, "meson.build")) as f:
        asked = set(re.findall(r"dependency\('(lib\w+|cmocka)'", f.read()))
    t.equal({name.split(">=")[0] for _, kind, name, _ in needs() if kind == "pkg-config"}, asked, "libraries")
    p = subprocess.run([os.path.join(TOP, "bootstrap"), "deps"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=60, env={**os.environ, "BALLOOND_NO_DEPS": "1"})
    t.equal((p.returncode, p.stdout), (0, ""), "deps on this machine")


if __name__ == "__main__":
    tap.main()
