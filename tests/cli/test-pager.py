# SPDX-License-Identifier: GPL-2.0-or-later
"""balloonctl's pager: when there is one and which, what it is told, and how it all ends.

The pagers are scripts that write down what they get; the terminal is a pty. The last
case has the real less. Verbs that need no daemon stand for all; the bus suite has one that fails
halfway.
"""
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import tempfile
import termios

import tap

BALLOONCTL = os.environ["BALLOONCTL"]
LIMIT_S = 60

# Writes down its name, arguments, environment and input.
PAGER = """#!/bin/sh
{ echo "$0 $*"; echo "$LESS"; echo "$LESSSECURE$LESSHISTFILE"; cat; } > "$CAUGHT"
echo "shown by ${0##*/}"
"""


class Lab:
    """A folder of programs that is all of $PATH, and what the pager caught."""

    def __init__(self, t):
        self.t = t
        self.folder = tempfile.mkdtemp(prefix="test-pager-")
        t.defer(shutil.rmtree, self.folder, True)
        self.caught_path = os.path.join(self.folder, "caught")
        self.bin = os.path.join(self.folder, "bin")
        os.mkdir(self.bin)
        self.config = os.path.join(self.folder, "x.conf")
        with open(self.config, "w") as f:
            f.write('lease = "20s";\n')
        for program in ("sh", "cat", "true", "head"):
            os.symlink(shutil.which(program), os.path.join(self.bin, program))

    def program(self, name, text=PAGER):
        path = os.path.join(self.bin, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o755)
        return path

    def run(self, *args, before=lambda: None, keys=lambda fd, text: None, **env):
        """On a terminal: exit status and all that it shows."""
        if os.path.exists(self.caught_path):
            os.unlink(self.caught_path)
        env = {"PATH": self.bin, "TERM": "xterm", "CAUGHT": self.caught_path, **env}
        pid, fd = pty.fork()
        self.pid = pid
        if pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
            before()
            signal.alarm(LIMIT_S)
            os.execve(BALLOONCTL, [BALLOONCTL, *args], env)
        text = b""
        while True:
            try:
                got = os.read(fd, 4096)
            except OSError:
                got = b""
            if not got:
                break
            text += got
            keys(fd, text)
        os.close(fd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return status, text.decode().replace("\r\n", "\n")

    def caught(self):
        """Command, LESS, LESSSECURE with LESSHISTFILE, and input of the pager; None: there was none."""
        if not os.path.exists(self.caught_path):
            return None
        with open(self.caught_path) as f:
            return tuple(f.read().split("\n", 3))


def plain(*args, **env):
    p = subprocess.run([BALLOONCTL, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                       timeout=LIMIT_S, env={**os.environ, **env})
    return p.stdout


@tap.case("which pager, and what it gets")
def which(t):
    lab = Lab(t)
    mine, other = lab.program("mine"), lab.program("other")
    for args in (["--help"], ["history", "--help"], ["help", "config"], ["config", lab.config],
                 ["config", "--json", lab.config]):
        status, shown = lab.run(*args, SYSTEMD_PAGER=mine, PAGER=other, SYSTEMD_PAGERSECURE="1")
        t.equal((status, shown), (0, "shown by mine\n"), " ".join(args))
        t.equal(lab.caught(), (f"{mine} ", "FRSXMK", "1-", plain(*args)), "what it got")
    lab.run("--help", PAGER=f"{other}  -x  y", SYSTEMD_PAGERSECURE="0", SYSTEMD_LESS="FX", LESSSECURE="1")
    t.equal(lab.caught()[:3], (f"{other} -x y", "FX", ""), "its arguments, options of less, and no limits")
    with t.subtest("one that is not there, or has more words than are kept: the next that is known"):
        lab.program("less")
        for name in ("nowhere", " ".join([mine] + ["x"] * 16)):
            lab.run("--help", SYSTEMD_PAGER=name, SYSTEMD_PAGERSECURE="0")
            t.check(lab.caught()[0].endswith("/less "), lab.caught()[0])
    with t.subtest("as many words as are kept"):
        lab.run("--help", SYSTEMD_PAGER=" ".join([mine] + ["x"] * 15), SYSTEMD_PAGERSECURE="0")
        t.equal(lab.caught()[0], mine + " x" * 15, "command")
    with t.subtest("words that mean yes and no"):
        for text, want in [("y", "1-"), ("T", "1-"), ("on", "1-"), ("n", ""), ("F", ""), ("Off", "")]:
            lab.run("--help", SYSTEMD_PAGER=mine, SYSTEMD_PAGERSECURE=text)
            t.equal(lab.caught()[2], want, text)


@tap.case("standard streams that are closed")
def closed(t):
    lab = Lab(t)
    mine = lab.program("mine")
    for fds in ((0,), (2,), (0, 2)):
        status, _ = lab.run("--help", before=lambda: [os.close(fd) for fd in fds], SYSTEMD_PAGER=mine, SYSTEMD_PAGERSECURE="1")
        t.equal((status, lab.caught()), (0, (f"{mine} ", "FRSXMK", "1-", plain("--help"))), f"without {fds}")


@tap.case("none: --no-pager, an empty name or cat, a dumb terminal, no terminal, and output that is short")
def none(t):
    lab = Lab(t)
    env = {"SYSTEMD_PAGER": lab.program("mine"), "SYSTEMD_PAGERSECURE": "1"}
    lab.program("less")
    want = plain("--help")
    for args, more in ((["--no-pager", "--help"], {}), (["--help", "--no-pager"], {}), (["--help"], {"SYSTEMD_PAGER": ""}),
                       (["--help"], {"SYSTEMD_PAGER": "cat"}), (["--help"], {"TERM": "dumb"})):
        status, shown = lab.run(*args, **{**env, **more})
        t.equal((status, shown, lab.caught()), (0, want, None), f"{args} {more}")
    t.equal(lab.run("--help", PAGER="")[1], want, "an empty $PAGER, also where it would not be trusted")
    t.equal(plain("--help", CAUGHT=lab.caught_path, **env), want, "to a pipe")
    t.equal(lab.caught(), None, "to a pipe")
    for args in (["--version"], ["--no-pager", "check-config", lab.config], ["check-config", lab.config]):
        t.equal((lab.run(*args, **env)[0], lab.caught()), (0, None), " ".join(args))
    with t.subtest("no pager anywhere: it shows all by itself"):
        t.equal(Lab(t).run("--help", SYSTEMD_PAGERSECURE="0"), (0, want), "outcome")


@tap.case("a terminal that may be another user's: only less, and without its dangers")
def secure(t):
    lab = Lab(t)
    mine = lab.program("mine")
    env = {"SYSTEMD_PAGER": mine, "PAGER": lab.program("more"), "SYSTEMD_LESS": "SX"}
    for name in ("pager", "less"):
        lab.program(name)
    own = str(os.geteuid())

    def log_in(uid):
        """What PAM does for a session; only root may, and once for a process that has none."""
        with open("/proc/self/loginuid", "w") as f:
            f.write(uid)

    def real(uid, **more):
        """Exit status, and what the machine's own less was told. None: there is no login to be had here."""
        told = []

        def before():
            try:
                if uid:
                    log_in(uid)
            except OSError:
                os._exit(77)

        def keys(fd, text):
            if b"(END)" not in text and b"lines 1-" not in text:
                return
            with open(f"/proc/{lab.pid}/task/{lab.pid}/children") as f:
                children = f.read().split()
            for child in children if not told else ():
                with open(f"/proc/{child}/environ") as f:
                    environ = dict(v.split("=", 1) for v in f.read().split("\0") if v)
                told.append((os.path.realpath(f"/proc/{child}/exe"), environ["LESSSECURE"], environ["LESSHISTFILE"]))
            os.write(fd, b"q")
        status, shown = lab.run("--help", before=before, keys=keys, **{**env, "SYSTEMD_LESS": "SXM", **more})
        if status == 77:
            return None
        t.equal(lab.caught(), None, "nothing of the $PATH was started")
        t.contains(shown, "Usage: balloonctl", "shown")
        return status, told

    for path in ("/usr/bin/less", "/bin/less"):
        if os.path.exists(path):
            want = (0, [(os.path.realpath(path), "1", "-")])
            break
    else:
        want = (0, [])
    with t.subtest("said, but not understood"):
        for value in ("maybe", "", "yes please", "2"):
            t.equal(real(None, SYSTEMD_PAGERSECURE=value), want, repr(value))
    with t.subtest("said, and no pager named"):
        t.equal(real(None, SYSTEMD_PAGERSECURE="1", SYSTEMD_PAGER="nowhere"), want, "outcome")
    got = real("4242")
    if not got:
        t.skip("logins cannot be had here")
    t.equal(got, want, "somebody else's")

    def as_session(uid, **more):
        status, shown = lab.run("--help", before=lambda: log_in(uid), **env, **more)
        return status, shown, lab.caught()[0], lab.caught()[2]
    want = (0, "shown by mine\n", f"{mine} ", "")
    t.equal(as_session("4242", SYSTEMD_PAGERSECURE="no"), want, "said to be safe")
    t.equal(as_session(own), want, "one's own")


@tap.case("how it ends: who reads no more, Ctrl-C, and the exit status of the verb")
def ends(t):
    lab = Lab(t)
    t.equal(lab.run("--help", SYSTEMD_PAGER="true", SYSTEMD_PAGERSECURE="1"), (0, ""), "reads nothing")
    status, shown = lab.run("--help", SYSTEMD_PAGER="head -n 1", SYSTEMD_PAGERSECURE="1")
    t.equal((status, shown), (0, plain("--help").split("\n", 1)[0] + "\n"), "reads a line")
    t.equal(lab.run("--help", SYSTEMD_PAGER=lab.program("fails", "#!/bin/sh\nexit 3\n"), SYSTEMD_PAGERSECURE="1")[0], 0,
            "the pager's own status is its own")
    with t.subtest("errors are no output: shown without a pager"):
        env = {"SYSTEMD_PAGER": lab.program("mine"), "SYSTEMD_PAGERSECURE": "1"}
        status, shown = lab.run("config", "/nonexistent", **env)
        t.equal((status, shown, lab.caught()), (6, "balloonctl: /nonexistent: there is no such file\n", None), "outcome")
    with t.subtest("Ctrl-C is the pager's"):
        asked = []

        def keys(fd, text):
            if b"waiting" in text and not asked:
                asked.append(1)
                os.write(fd, b"\x03")
        pager = lab.program("patient", "#!/bin/sh\ntrap 'echo interrupted; exit 0' INT\ncat > /dev/null\necho waiting\n"
                                       "while :; do read -r line < /dev/tty; done\n")
        status, shown = lab.run("--help", keys=keys, SYSTEMD_PAGER=pager, SYSTEMD_PAGERSECURE="1")
        t.equal(status, 0, "exit status")
        t.contains(shown, "interrupted\n", "what the pager said")
    with t.subtest("killed: the pager ends, too"):
        fifo = os.path.join(lab.folder, "fifo")
        os.mkfifo(fifo)
        # Waits for one who never writes. Hang-ups are what the kernel sends when a session ends.
        pager = lab.program("stays", f"#!/bin/sh\ntrap '' HUP\necho waiting\nread -r line < {fifo}\necho stayed\n")
        # Unless it was told to end, it does now.
        t.defer(lambda: os.close(os.open(fifo, os.O_RDWR)))
        status, shown = lab.run("--help", keys=lambda fd, text: os.kill(lab.pid, signal.SIGKILL) if b"waiting" in text else None,
                                SYSTEMD_PAGER=pager, SYSTEMD_PAGERSECURE="1")
        t.equal((status, shown), (-signal.SIGKILL, "waiting\n"), "outcome")


@tap.case("--no-legend: a table without its titles")
def legend(t):
    lab = Lab(t)
    text = plain("config", lab.config).splitlines(True)
    t.equal(text[0], f"# {lab.config}\n", "with it")
    t.equal(plain("config", "--no-legend", lab.config).splitlines(True), text[1:], "without it")
    t.equal(plain("--no-legend", "config", lab.config).splitlines(True), text[1:], "before the verb")


@tap.case("less itself: short output ends it")
def less_itself(t):
    if not shutil.which("less"):
        t.skip("less is not installed")
    lab = Lab(t)
    status, shown = lab.run("release", "--help", PATH=os.environ["PATH"])
    t.equal(status, 0, "exit status")
    t.contains(shown, "Let the balloon move again.", "output")


if __name__ == "__main__":
    tap.main()
