# SPDX-License-Identifier: GPL-2.0-or-later
"""Configuration files and their drop-ins, by the programs that read them: which are read, what is
said of each value and each error, and with which exit status.

The directories of the system are those of a root of the test's own, into which the programs and
their libraries are copied. Left out: how keys are merged and what else can be wrong with a file
(test-config-dropins.c), a daemon that reloads (the bus suite).
"""
import json
import os
import re
import shutil
import subprocess
import tempfile

import tap

BALLOONCTL = os.environ["BALLOONCTL"]
BALLOOND = os.environ["BALLOOND"]
CONFIG_KEYS = os.environ["CONFIG_KEYS"]


def run(*argv, **kwargs):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="surrogateescape", timeout=60, **kwargs)


def run_with(text, cwd, *argv):
    return subprocess.run(argv, input=text, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


def ctl(*args):
    return run(BALLOONCTL, *args)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def folder(t):
    d = tempfile.mkdtemp(prefix="test-config-")
    t.defer(shutil.rmtree, d, True)
    return d


def origins(text):
    """Key -> value and origin, of the lines of `balloonctl config`; files are left out."""
    rows = [re.split(" {2,}", line) for line in text.splitlines() if not line.startswith("# ")]
    return {key: (value, origin) for key, value, origin in rows}


@tap.case("config: each key in its order, with its value and where that is from")
def config(t):
    path = os.path.join(folder(t), "x.conf")
    write(path, 'limit = "25%";\ntail: { stuck = "5s";\n settle = "1s"; };\n')
    write(f"{path}.d/10-a.conf", '\ntail: { stuck = "6s"; };\nmetrics_file = "/run/é.prom";\n')
    write(f"{path}.d/20-b.conf", 'limit = "10%";\n')
    p = ctl("config", path)
    t.equal((p.returncode, p.stderr), (0, ""), "outcome")
    files = [path, f"{path}.d/10-a.conf", f"{path}.d/20-b.conf"]
    t.equal(p.stdout.splitlines()[:3], [f"# {f}" for f in files], "files")
    got = origins(p.stdout)
    table = [line.split("\t") for line in run(CONFIG_KEYS).stdout.splitlines()]
    t.equal(list(got), [row[0] for row in table], "keys")
    want = {row[0]: (row[1], "default") for row in table}
    want.update({"limit": ("10%", f"{files[2]}:1"), "tail.stuck": ("6s", f"{files[1]}:2"),
                 "tail.settle": ("1s", f"{path}:3"), "metrics_file": ("/run/é.prom", f"{files[1]}:3")})
    t.equal(got, want, "values and origins")
    with t.subtest("the same as JSON"):
        p = ctl("config", "--json", path)
        t.equal((p.returncode, p.stderr), (0, ""), "outcome")
        said = json.loads(p.stdout)
        p = ctl("config", "--json=short", path)
        t.equal((p.stdout.count("\n"), json.loads(p.stdout)), (1, said), "on one line")
        t.equal(said["files"], files, "files")
        t.equal({key: (v["value"], v["origin"]) for key, v in said["keys"].items()}, want, "values and origins")


@tap.case("config, check-config: a drop-in that is wrong")
def wrong(t):
    path = os.path.join(folder(t), "x.conf")
    write(path, 'limit = "25%";\n')
    write(f"{path}.d/1.conf", '\nfrob = "1";\n')
    os.mkdir(f"{path}.d/2.conf")
    os.symlink("nowhere", f"{path}.d/3.conf")
    lines = [f"{path}.d/1.conf:2: frob: unknown key", f"{path}.d/2.conf: is a directory, not a file",
             f"{path}.d/3.conf: cannot be opened: it is a link to a file that is not there"]
    p = ctl("check-config", path)
    t.equal((p.returncode, p.stdout.splitlines()), (6, lines), "check-config")
    t.contains(p.stderr, f"{path} is not valid: 3 errors; balloond would refuse it")
    p = ctl("config", path)
    t.equal((p.returncode, p.stdout, p.stderr.splitlines()[:3]), (6, "", lines), "config")
    p = run(BALLOOND, "--no-bus", "--config", path)
    t.equal(p.returncode, 6, "balloond")
    for line in lines:
        t.contains(p.stderr, line, "balloond")


@tap.case("check-config: how many there are, and what masks")
def counted(t):
    path = os.path.join(folder(t), "x.conf")
    write(path, "")
    t.equal(ctl("check-config", path).stdout, f"{path}: valid\n", "without drop-ins")
    write(f"{path}.d/1.conf", 'lease = "20s";\n')
    t.equal(ctl("check-config", path).stdout, f"{path}: valid, with 1 drop-in\n", "one")
    write(f"{path}.d/2.conf", "# nothing\n")
    os.symlink("/dev/null", f"{path}.d/3.conf")
    write(f"{path}.d/README", "no drop-in")
    t.equal(ctl("check-config", path).stdout, f"{path}: valid, with 2 drop-ins\n", "two")
    with t.subtest("as JSON"):
        p = ctl("check-config", "--json=short", path)
        t.equal((p.returncode, p.stdout.count("\n")), (0, 1), "status and lines")
        t.equal(json.loads(p.stdout), {"valid": True, "files": [path, f"{path}.d/1.conf", f"{path}.d/2.conf"],
                                       "errors": []}, "valid")
        write(f"{path}.d/4.conf", "frob = 1;\n")
        p = ctl("check-config", "--json", path)
        said = json.loads(p.stdout)
        t.equal((p.returncode, said["valid"], said["errors"]),
                (6, False, [f"{path}.d/4.conf:1: frob: unknown key"]), "not valid")
        t.contains(p.stderr, "is not valid: 1 error;")
        os.unlink(f"{path}.d/4.conf")
        t.equal(json.loads(ctl("check-config", "--json", f"{path}x").stdout),
                {"valid": False, "files": [], "errors": [f"{path}x: there is no such file"]}, "no file")
    with t.subtest("drop-ins are not enough for who names a file"):
        os.unlink(path)
        for verb in ("check-config", "config"):
            p = ctl(verb, path)
            t.equal((p.returncode, p.stdout), (6, ""), verb)
            t.contains(p.stderr, f"{path}: there is no such file", verb)
        p = run(BALLOOND, "--no-bus", "--check-config", "--config", path)
        t.equal(p.returncode, 6, "balloond")
        t.contains(p.stderr, f"{path}: there is no such file", "balloond")


@tap.case("config, check-config: - is the standard input, without drop-ins")
def standard_input(t):
    d = folder(t)
    for name in ("-.d", "<stdin>.d"):
        write(f"{d}/{name}/1.conf", "frob = 1;\n")

    def piped(verb, text):
        return run_with(text, d, BALLOONCTL, verb, "-")
    p = piped("check-config", 'lease = "20s";\n')
    t.equal((p.returncode, p.stdout, p.stderr), (0, "<stdin>: valid\n", ""), "valid")
    p = piped("check-config", 'lease = "20s";\n\nlimit = "5";\ninterval = "1min"; idle_interval = "1s";')
    t.equal(p.returncode, 6, "status")
    t.equal([line.split(": ")[:2] for line in p.stdout.splitlines()],
            [["<stdin>:3", "limit"], ["<stdin>:4", "interval"]], "errors")
    p = piped("check-config", "x" * 65537)
    t.equal((p.returncode, p.stdout), (6, "<stdin>: is larger than 64 KiB; this is not a balloond.conf\n"), "too long")
    p = piped("config", '\nlease = "20s";\n')
    t.equal(p.stdout.splitlines()[0], "# <stdin>", "files")
    got = origins(p.stdout)
    t.equal((got["lease"], got["limit"][1]), (("20s", "<stdin>:2"), "default"), "values and origins")
    p = piped("config", "")
    t.equal((p.returncode, {v[1] for v in origins(p.stdout).values()}), (0, {"default"}), "nothing is said")
    fd = os.open("/", os.O_RDONLY)
    t.defer(os.close, fd)
    p = subprocess.run([BALLOONCTL, "check-config", "-"], stdin=fd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                       text=True, timeout=60)
    t.equal((p.returncode, p.stdout), (6, "<stdin>: cannot be read: Is a directory\n"), "no text at all")


@tap.case("a name that is no text is one line, and valid JSON")
def names(t):
    path = os.path.join(folder(t), "x.conf")
    write(path, "")
    write(f"{path}.d/a\udcff\n\x1b[2J.conf", 'lease = "20s";\n')
    p = ctl("config", path)
    t.equal(origins(p.stdout)["lease"], ("20s", f"{path}.d/a???[2J.conf:1"), "config")
    t.equal(json.loads(ctl("config", "--json", path).stdout)["files"][1], f"{path}.d/a???[2J.conf", "files")
    write(f"{path}.d/a\udcff\n\x1b[2J.conf", 'lease = "20";\n')
    p = ctl("check-config", path)
    t.contains(p.stdout, f"{path}.d/a???[2J.conf:1: lease: needs a unit")
    t.equal(p.stdout.count("\n"), 1, "lines")


class Root:
    """A root in which there are the two programs, and no configuration."""

    def __init__(self, t):
        self.path = folder(t)
        os.chmod(self.path, 0o755)
        for program in (BALLOONCTL, BALLOOND):
            # "NAME => PATH (ADDRESS)", and the loader by its path alone.
            for library in re.findall(r"(/\S+) \(0x", run("ldd", program).stdout):
                self.copy(library, library)
            self.copy(program, "/" + os.path.basename(program))
        # Sanitizers look for leaks by way of /proc; they have their environment from there, too.
        self.write("/proc/self/environ", "ASAN_OPTIONS=detect_leaks=0\0")

    def copy(self, source, name):
        os.makedirs(os.path.dirname(self.path + name), exist_ok=True)
        shutil.copy(source, self.path + name)

    def write(self, name, text):
        write(self.path + name, text)

    def run(self, t, program, *args, user=None):
        argv = ["chroot", *(["--userspec", user] if user else []), self.path, "/" + program, *args]
        p = run(*([] if os.geteuid() == 0 else ["unshare", "-r"]), *argv)
        # What sanitizers have to say of a root without a /proc.
        p.stderr = re.sub(r"^==\d+==WARNING: reading executable name failed.*\n", "", p.stderr, flags=re.M)
        if re.match(r"(unshare|chroot): ", p.stderr):
            t.skip(f"no other root here: {p.stderr}")
        return p


@tap.case("the directories of the system: /etc before /run before /usr/lib, by name")
def system(t):
    root = Root(t)
    t.equal(root.run(t, "balloonctl", "check-config").stdout,
            "/etc/balloond.conf: there is no such file, the defaults are in force\n", "no file at all")
    root.write("/usr/lib/balloond.conf.d/10-vendor.conf", 'lease = "10s"; limit = "1G"; log_level = "debug";\n')
    t.equal(root.run(t, "balloonctl", "check-config").stdout,
            "/etc/balloond.conf: there is no such file, the defaults and 1 drop-in are in force\n", "one of a package")
    root.write("/etc/balloond.conf", 'lease = "11s"; floor = "1G";\n')
    root.write("/usr/lib/balloond.conf.d/30-vendor.conf", "masked by /etc")
    root.write("/run/balloond.conf.d/20-boot.conf", 'limit = "2G";\n')
    root.write("/run/balloond.conf.d/30-vendor.conf", "masked, too")
    root.write("/etc/balloond.conf.d/30-vendor.conf", "")
    root.write("/etc/balloond.conf.d/15-site.conf", 'limit = "3G"; interval = "2s";\n')
    for args in ([], ["/etc/balloond.conf"]):
        p = root.run(t, "balloonctl", "config", *args)
        t.equal((p.returncode, p.stderr), (0, ""), f"outcome with {args}")
        got = {key: v for key, v in origins(p.stdout).items() if v[1] != "default"}
        t.equal(got, {"limit": ("2 GiB", "/run/balloond.conf.d/20-boot.conf:1"),
                      "floor": ("1 GiB", "/etc/balloond.conf:1"),
                      "lease": ("10s", "/usr/lib/balloond.conf.d/10-vendor.conf:1"),
                      "interval": ("2s", "/etc/balloond.conf.d/15-site.conf:1"),
                      "log_level": ("debug", "/usr/lib/balloond.conf.d/10-vendor.conf:1")}, f"with {args}")
    p = root.run(t, "balloond", "--check-config")
    t.equal((p.returncode, p.stderr), (0, ""), "balloond")
    os.unlink(root.path + "/etc/balloond.conf.d/30-vendor.conf")
    for program in ("balloond", "balloonctl"):
        p = root.run(t, program, *{"balloond": ["--check-config"], "balloonctl": ["check-config"]}[program])
        t.equal(p.returncode, 6, program)
        t.contains(p.stdout + p.stderr, "/run/balloond.conf.d/30-vendor.conf:1: ", program)


@tap.case("another file has none of the system's")
def other_file(t):
    root = Root(t)
    root.write("/usr/lib/balloond.conf.d/10.conf", "wrong")
    root.write("/etc/other.conf", 'lease = "11s";\n')
    root.write("/etc/other.conf.d/10.conf", 'lease = "12s";\n')
    p = root.run(t, "balloonctl", "config", "/etc/other.conf")
    t.equal(p.returncode, 0, f"exit status ({p.stderr})")
    t.equal(origins(p.stdout)["lease"], ("12s", "/etc/other.conf.d/10.conf:1"), "lease")
    t.equal(root.run(t, "balloond", "--check-config", "--config", "/etc/other.conf").returncode, 0, "balloond")


@tap.case("adopt --if-configured: a drop-in says so, and no other file has to be there")
def adopt(t):
    if os.geteuid() != 0:
        t.skip("needs another user")
    root = Root(t)
    # Nothing must be done here, so who asks is not allowed to.
    p = root.run(t, "balloonctl", "adopt", "--if-configured", user="65534:65534")
    t.equal((p.returncode, p.stderr), (0, ""), "nothing is configured")
    root.write("/etc/balloond.conf.d/adopt.conf", "adopt = true;\n")
    p = root.run(t, "balloonctl", "adopt", "--if-configured", user="65534:65534")
    t.equal(p.returncode, 4, f"exit status ({p.stderr})")
    t.contains(p.stderr, "only root may change drivers")


if __name__ == "__main__":
    tap.main()
