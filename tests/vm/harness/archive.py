# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's archive as the harness uses it, and roots to build kernel modules in.

  Archive   what a Debian release has: names, dependencies, packages. That of this
            machine is asked as the machine is configured. Another one is asked by
            lists of our own in the cache, from the server that this machine uses;
            they are as old as the machine's (`./bootstrap deps` refreshes those),
            and what is in the cache needs no network. So is another architecture's
  Workshop  a root of the release with a compiler, and the headers of kernels
            unpacked into it: their tools want its C library, and have absolute
            paths. Nothing of it is installed on the machine. For the kernels of another
            architecture it has a compiler that makes code for that

Left out: which kernels there are to be (kernels.py).
"""
import contextlib
import glob
import os
import re
import sys

from .architecture import ARCHITECTURES, NATIVE
from .paths import HarnessError, cache, command, digest, locked, replace, scratch


def codename(path="/etc/os-release"):
    """What this machine's Debian is called; if the harness does not know it, the first that it does."""
    with contextlib.suppress(OSError), open(path) as f:
        named = re.search(r'^VERSION_CODENAME="?(\w+)"?$', f.read(), re.M)
        if named and named[1] in RELEASES:
            return named[1]
    return next(iter(RELEASES))


# Oldest first; their numbers.
RELEASES = {"bookworm": 12, "trixie": 13}
# The series of kernels that a release has by itself, and others that are in its backports.
KERNELS = {"bookworm": ("6.1", "6.12"), "trixie": ("6.12",)}
BACKPORTS = {"bookworm": (), "trixie": ("7.2", "7.3")}
HERE = codename()
# The names in bookworm, and what there is in their place.
OTHER_NAMES = {
    "trixie": {"libconfig9": "libconfig11", "openjdk-17-jre-headless": "openjdk-21-jre-headless"},
}
# Where what will be the next release is.
UNSTABLE = "sid"
POSTGRESQL = {"bookworm": 15, "trixie": 17}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
APT_LISTS = "/var/lib/apt/lists"
# What the build tools in the headers' packages are linked with, and what they call.
TOOLS = {
    "bookworm": ("make", "gcc-12", "pahole", "libelf1", "libssl3"),
    "trixie": ("make", "gcc-14", "pahole", "libelf1t64", "libssl3t64"),
}
# And for each foreign architecture, by release, too.
CROSS = {
    ("bookworm", "arm64"): ("gcc-12-aarch64-linux-gnu",),
    ("trixie", "arm64"): ("gcc-14-aarch64-linux-gnu",),
}
ENV = dict(os.environ, LC_ALL="C")


def names(packages, release):
    """What the @packages, by their names in bookworm, are called in @release."""
    return tuple(OTHER_NAMES.get(release, {}).get(name, name) for name in packages)


def package_sources(release=HERE, backports=None):
    """This machine's own package sources, as one-line entries; for another @release from the same server.

    With backports if @backports says so, or if it says nothing and the release is another one."""
    backports = release != HERE if backports is None else backports
    text = command(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                    "Created-By: Packages"], "listing of package sources")
    lines = set()
    for line in text.splitlines():
        uri, suite, component = line.split()
        if re.fullmatch(rf"{HERE}(-updates|-security)?", suite) and component == "main":
            # What is being developed has nothing beside it.
            if suite == HERE or release != UNSTABLE:
                lines.add(f"deb {uri} {suite.replace(HERE, release)} {component}")
            if suite == HERE and backports and release != UNSTABLE:
                lines.add(f"deb {uri} {release}-backports {component}")
    if not lines:
        raise HarnessError(f"apt knows no sources for {HERE}; run ./bootstrap deps")
    return "\n".join(sorted(lines)) + "\n"


def apt_options():
    """For mmdebstrap: how this machine reaches the archive, and how old it lets it be."""
    text = command(["apt-config", "dump"], "apt-config")
    return [f"--aptopt={line}" for line in text.splitlines() if re.match(r'Acquire::(\S*[Pp]roxy|Check-)', line)]


def _age():
    """Of this machine's package lists: another one after each `apt-get update` that brought something."""
    return digest(*(f"{e.name} {e.stat().st_mtime_ns}\n" for e in
                  sorted(os.scandir(APT_LISTS), key=lambda e: e.name) if e.is_file()))


class Archive:
    def __init__(self, release=HERE, backports=False, architecture=NATIVE):
        self.release, self.architecture = release, architecture
        own = (release, backports, architecture) != (HERE, False, NATIVE)
        self._options = self._own_lists() if own else []

    def _own_lists(self):
        name = self.release if self.architecture == NATIVE else f"{self.release}-{self.architecture}"
        root = cache("archive", name)
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(f"{root}/{name}", exist_ok=True)
        options = [f"-oDir::State={root}", f"-oDir::State::status={root}/status", f"-oDir::State::lists={root}/lists",
                   f"-oDir::Cache={root}/cache", f"-oDir::Etc::sourcelist={root}/sources.list",
                   "-oDir::Etc::sourceparts=/dev/null", "-oDir::Etc::preferencesparts=/dev/null"]
        if self.architecture != NATIVE:
            options += [f"-oAPT::Architecture={self.architecture}", f"-oAPT::Architectures={self.architecture}"]
        stamp, text = f"{root}/stamp", package_sources(self.release, True)
        age = digest(text, _age())
        with locked(f"archive-{name}"):
            known = _read(stamp)
            if known == age:
                return options
            _write(f"{root}/status", "")
            _write(f"{root}/sources.list", text.replace("deb ", f"deb [signed-by={KEYRING}] "))
            try:
                command(["apt-get", "-q", "-oAPT::Sandbox::User=root", "-oAPT::Update::Error-Mode=any", *options,
                         "update"], f"reading of {name}'s package lists", env=ENV)
            except HarnessError as e:
                if known is None:
                    raise
                print(f"# the package lists of {name} stay as they were: {e}", file=sys.stderr)
                return options
            _write(stamp, age)
        return options

    def _cache(self, *args):
        return command(["apt-cache", *self._options, *args], "apt-cache " + args[0], env=ENV)

    def version(self, package):
        """Of the package that would be installed, None if there is none."""
        found = re.search(r"^  Candidate: (\S+)$", self._cache("policy", package), re.M)
        return found[1] if found and found[1] != "(none)" else None

    def newest(self, prefix, pattern):
        """The package whose name is @prefix and what matches @pattern, of the highest version by that name."""
        found = [n for n in self._cache("pkgnames", prefix).split() if re.fullmatch(re.escape(prefix) + pattern, n)]
        if not found:
            raise HarnessError(f"{self.release} has no package {prefix}... ({pattern}); run ./bootstrap deps")
        return max(found, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])

    def with_depends(self, name, pattern):
        """[@name and those of its direct dependencies whose names match @pattern]"""
        found = re.findall(r"^\s*\|?(?:Pre)?Depends: (\S+)$", self._cache("depends", "--important", name), re.M)
        return [name] + sorted({n for n in found if re.fullmatch(pattern, n)})

    def closure(self, names, pattern):
        """[@names, their dependencies whose names match @pattern, and the dependencies of these]"""
        depends, package = {}, None
        for line in self._cache("depends", "--important", "--recurse", *names).splitlines():
            if re.match(r"\S", line):
                package = line.strip()
            elif found := re.match(r"\s*\|?(?:Pre)?Depends: (\S+)$", line):
                depends.setdefault(package, set()).add(found[1])
        out, new = set(), set(names)
        while new:
            out |= new
            new = {d for name in new for d in depends.get(name, ()) if re.fullmatch(pattern, d)} - out
        return sorted(out)

    def installed_with(self, name):
        """[(package, version)] of @name and all that it depends on, sorted; nothing counts as installed."""
        said = command(["apt-get", "-q", "-s", "--no-install-recommends", "-oDir::State::status=/dev/null",
                        *self._options, "install", name], f"what {name} of {self.release} depends on", env=ENV)
        return sorted(set(re.findall(r"^Inst (\S+) \((\S+)", said, re.M)))

    def unpack(self, names, folder):
        """Unpacks the packages @names into the new folder @folder."""
        with scratch(folder) as tmp:
            command(["apt-get", "-q", "-oAPT::Sandbox::User=root", *self._options, "download", *names],
                    f"download of {names[0]} (./bootstrap deps refreshes the package lists)", cwd=tmp, env=ENV)
            for deb in glob.glob(tmp + "/*.deb"):
                command(["dpkg-deb", "-x", deb, tmp + "/root"], f"unpacking of {deb}")
            os.rename(tmp + "/root", folder)


def _read(path):
    try:
        with open(path) as f:
            return f.read()
    except FileNotFoundError:
        return None


def _write(path, text):
    with open(path + ".tmp", "w") as f:
        f.write(text)
    os.rename(path + ".tmp", path)


def make_root(release, packages, sources, folder):
    """A root of @release with @packages from the @sources (their text): @folder/root."""
    # mmdebstrap's apt runs as another user.
    os.chmod(folder, 0o755)
    _write(f"{folder}/sources.list", sources)
    command(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
             '--aptopt=APT::Install-Recommends "false"', *apt_options(),
             "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
             "--dpkgopt=path-exclude=/usr/share/locale/*",
             # Java's packages want to link to their manual pages there, excluded or not.
             '--essential-hook=mkdir -p "$1/usr/share/man/man1"',
             f"--include={','.join(packages)}", release, f"{folder}/root", f"{folder}/sources.list"],
            "mmdebstrap", timeout=900)


class Workshop:
    """root: its path. Made now if it is not cached, which takes root and a minute or two."""

    def __init__(self, release, architecture=NATIVE):
        self.release, self.architecture = release, architecture
        self._tools = TOOLS[release] + CROSS.get((release, architecture), ())
        self._name = release if architecture == NATIVE else f"{architecture}-{release}"
        sources = package_sources(release, True)
        self.root = cache("workshop", f"{self._name}-{digest(sources, *self._tools)}")
        with locked(f"workshop-{self._name}"):
            if not os.path.exists(self.root):
                self._make(sources)

    def _make(self, sources):
        if os.geteuid() != 0:
            raise HarnessError(f"building a root of {self.release} needs root")
        with scratch(self.root) as tmp:
            make_root(self.release, self._tools, sources, tmp)
            replace(f"{tmp}/root", self.root, f"{self._name}-")

    def headers(self, release):
        """Unpacks the headers of the kernel @release; their folder as it is called inside."""
        inside = f"/usr/src/linux-headers-{release}"
        with locked(f"workshop-{self._name}"):
            if not os.path.exists(self.root + inside):
                archive = Archive(self.release, True, self.architecture)
                names = archive.with_depends(f"linux-headers-{release}", r"linux-(headers|kbuild)-\S+")
                with scratch(self.root + "/usr/src/x") as tmp:
                    # The tools are to run here.
                    tools = [n for n in names if n.startswith("linux-kbuild-")]
                    Archive(self.release, True).unpack(tools, f"{tmp}/tools")
                    archive.unpack([n for n in names if n not in tools], f"{tmp}/tree")
                    found = glob.glob(f"{tmp}/tools/usr/lib/linux-kbuild-*") + glob.glob(f"{tmp}/tree/usr/src/*")
                    # The folder that is asked for comes last: it says that all is there.
                    for path in sorted(found, key=lambda p: p.endswith(inside)):
                        goal = self.root + path[path.index("/usr/", len(tmp)):]
                        if not os.path.lexists(goal):
                            os.rename(path, goal)
        return inside

    def make(self, headers, folder, *arguments):
        """argv of a build with the @headers inside, of the module in @folder below self.root/tmp."""
        # objtool looks at its limits in /proc; ours is gone with the build.
        return ["unshare", "--pid", "--fork", f"--mount-proc={self.root}/proc", "chroot", self.root, "make", "-C",
                headers, f"M=/{os.path.relpath(folder, self.root)}",
                f"CROSS_COMPILE={ARCHITECTURES[self.architecture].prefix}", *arguments]
