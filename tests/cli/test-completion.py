# SPDX-License-Identifier: GPL-2.0-or-later
"""The shells' completions, by the shells themselves, against the programs' own help.

bash: the real function, called as readline does. zsh: the real completion in a
real shell on a pty.
"""
import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import termios
import time

import tap

ROOT = os.environ["SOURCE_ROOT"]
BALLOONCTL = os.environ["BALLOONCTL"]
BALLOOND = os.environ["BALLOOND"]
FOLDER = os.path.join(ROOT, "conf", "completion")
# For every verb, and told by none.
COMMON = {"--help", "--version"}


def out(*argv, **kwargs):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          timeout=60, check=True, **kwargs).stdout


def verbs():
    listed = out(BALLOONCTL, "--help").split("Verbs:\n")[1].split("\n\n")[0]
    return re.findall(r"^  (\S+)", listed, re.M)


def options(*argv):
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", out(*argv), re.M))


def bash(program, *words):
    """What bash offers for the last of the words."""
    line = " ".join(shlex.quote(w) for w in (program, *words))
    script = f"source {shlex.quote(os.path.join(FOLDER, program))}; " \
             f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; " \
             f"_{program} 2>/dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return set(out("bash", "--norc", "-c", script).split("\n")) - {""}


@tap.case("bash: verbs and options of balloonctl")
def bash_balloonctl(t):
    t.equal(bash("balloonctl", ""), set(verbs()), "verbs")
    t.equal(bash("balloonctl", "re"), {"record", "release", "reload"}, "verbs that begin with re")
    t.equal(bash("balloonctl", "--"), options(BALLOONCTL, "--help"), "common options")
    t.equal(bash("balloonctl", "help", ""), set(verbs()), "verbs after help")
    for verb in verbs():
        want = COMMON if verb == "help" else COMMON | options(BALLOONCTL, verb, "--help")
        t.equal(bash("balloonctl", verb, "--"), want, f"options of {verb}")
        t.equal(bash("balloonctl", "--bus-address", "unix:path=/x", verb, "--"), want, verb)


@tap.case("bash: arguments of balloonctl")
def bash_arguments(t):
    for verb, bad in [("mode", "frob"), ("policy", "frob")]:
        words = bash("balloonctl", verb, "")
        p = subprocess.run([BALLOONCTL, "--bus-address=unix:path=/nonexistent", verb, bad],
                           stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=30)
        # The message lists what there is: all of that is offered, and it is all that is.
        listed = re.search(r"are ([a-z, ]+?)(?:\.|\n)", p.stderr + "\n").group(1)
        t.equal(words, set(re.split(r", | and ", listed)), f"words of {verb}")
    t.equal(bash("balloonctl", "set-target", ""), {"auto"}, "words of set-target")
    t.equal(bash("balloonctl", "status", "--json", "=", ""), {"pretty", "short", "off"}, "forms of JSON")
    t.equal(bash("balloonctl", "status", "--json", "=", "s"), {"short"}, "forms that begin with s")
    t.equal(bash("balloonctl", "set-target", "--wait", "=", ""), set(), "a time")
    t.equal(bash("balloonctl", "status", ""), set(), "words of status")
    t.contains(bash("balloonctl", "check-config", "/etc/pass"), "/etc/passwd", "files")
    t.contains(bash("balloonctl", "history", "--svg", "/etc/pass"), "/etc/passwd", "files")
    t.equal(bash("balloonctl", "hold", "--for", ""), set(), "a time")
    p = subprocess.run([BALLOONCTL, "simulate", "--law", "frob", "x"], stdin=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, text=True, timeout=30)
    t.equal(bash("balloonctl", "simulate", "--law", ""),
            set(re.search(r"laws: (.*)", p.stderr).group(1).split()), "laws")
    t.contains(bash("balloonctl", "simulate", "--compare", "/etc/pass"), "/etc/passwd", "files")
    t.contains(bash("balloonctl", "record", "/etc/pass"), "/etc/passwd", "files")


@tap.case("bash: options with arguments before the verb, whose = and : are words for bash")
def bash_before(t):
    address = ("unix", ":", "path", "=", "/x")
    for before in (("--json", "=", "short"), ("--host", "=", "foo"), ("--host", "foo"), ("-H", "foo", ":", "22"), ("-M", "box"),
                   ("--bus-address", "=", *address), ("--bus-address", *address), ("--bus-address", "=", "unix:path=/x"),
                   ("--no-pager", "--json", "=", "short", "--host", "=", "foo")):
        t.equal(bash("balloonctl", *before, ""), set(verbs()), f"verbs after {' '.join(before)}")
        t.equal(bash("balloonctl", *before, "mode", ""), {"auto", "host", "manual", "observe"}, f"modes after {' '.join(before)}")
    for amid in (("--bus-address", "="), ("--bus-address", "=", "un"), ("--bus-address", "=", "unix", ":"), ("--host", ""),
                 ("--bus-address", "=", "unix", ":", "pa"), ("--bus-address", "unix", ":", "path", "="), ("--host", "=", "f")):
        t.equal(bash("balloonctl", *amid), set(), f"amid {' '.join(amid)}")
        t.equal(bash("balloonctl", "record", *amid), set(), f"amid {' '.join(amid)}, after the verb")
    t.equal(bash("balloonctl", "--json", "=", "s"), {"short"}, "a form of JSON")
    t.equal(bash("balloonctl", "mode", "--json", "=", "short", ""), {"auto", "host", "manual", "observe"}, "after the verb")


@tap.case("bash: balloond")
def bash_balloond(t):
    t.equal(bash("balloond", "--"), options(BALLOOND, "--help"), "options")
    t.equal(bash("balloond", "--mode", ""), {"auto", "host", "manual", "observe"}, "modes")
    t.equal(bash("balloond", "--log-level", "e"), {"err"}, "levels")


class Zsh:
    """An interactive zsh on a pty, with the completion system and our folder."""

    SETUP = """PROMPT='' RPS1='' PS1=''; unsetopt prompt_cr prompt_sp zle_bracketed_paste
fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D
zstyle ':completion:*' list-separator '|'; zstyle ':completion:*' list-packed no
LISTMAX=1000; bindkey '^X' list-choices; bindkey '^U' kill-whole-line; print rea''dy
"""

    def __init__(self, t):
        self.t = t
        pid, self.fd = pty.fork()
        if pid == 0:
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "vt100"})
        t.defer(os.close, self.fd)
        t.defer(os.waitpid, pid, 0)
        t.defer(os.kill, pid, signal.SIGKILL)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.send(self.SETUP.format(folder=shlex.quote(FOLDER)))
        self.read(lambda text: "\nready" in text)

    def send(self, text):
        os.write(self.fd, text.encode())

    def read(self, enough):
        text, end = "", time.monotonic() + 20 * tap.PATIENCE
        while not enough(text):
            if time.monotonic() > end:
                raise tap.Failure(f"zsh shows only {text!r}")
            if select.select([self.fd], [], [], 0.1)[0]:
                text += os.read(self.fd, 65536).decode(errors="replace")
                text = re.sub(r"\033\[[0-9;?]*[A-Za-z]|\033[=>]|[\0\r\007]", "", text)
        return text

    def offers(self, line, want):
        """The words in front of the descriptions that zsh lists for a line must be these."""
        self.send(line + "\x18")
        got = set()

        def enough(text):
            got.clear()
            got.update(w.split("=")[0] for w in re.findall(r"^(\S+)\s+\|", text, re.M))
            return got >= want
        try:
            self.read(enough)
        finally:
            self.t.equal(got, want, f"offered after {line!r}")
        # Let it finish, and begin afresh.
        self.send("\x15print en''d\n")
        self.read(lambda text: "\nend" in text)


@tap.case("zsh: verbs and options of balloonctl", timeout=180)
def zsh_balloonctl(t):
    if not shutil.which("zsh"):
        t.skip("zsh is not installed")
    shell = Zsh(t)
    shell.offers("balloonctl ", set(verbs()))
    shell.offers("balloonctl help ", set(verbs()))
    for verb in verbs():
        if verb != "help":
            shell.offers(f"balloonctl {verb} --", COMMON | options(BALLOONCTL, verb, "--help"))


if __name__ == "__main__":
    tap.main()
