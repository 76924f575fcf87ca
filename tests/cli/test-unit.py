# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit as systemd judges it, side by side with those of its relatives.

`systemd-analyze security --offline` gives the same exposure that it would give
on a machine where the unit is installed, 0.0 (none) to 10.0. systemd-oomd and
earlyoom do the nearest thing to what balloond does; their units are taken out
of the distribution's packages, which are downloaded and not installed.

Left out: whether the service works in that confinement (the VM suites), and
which of its rights it really needs (takeover).
"""
import glob
import os
import re
import shutil
import subprocess
import tempfile

import tap

BUILD = os.environ["BUILD_ROOT"]
ROOT = os.environ["SOURCE_ROOT"]
UNIT = os.path.join(BUILD, "systemd", "balloond.service")
RELATIVES = {"systemd-oomd": "systemd-oomd.service", "earlyoom": "earlyoom.service"}
MOST = 1.5


def run(argv, **kwargs):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=100, **kwargs)


def exposure(unit):
    p = run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit])
    m = re.search(r"Overall exposure level for \S+: ([\d.]+)", p.stdout)
    if not m:
        raise tap.Failure(f"systemd-analyze security {unit}: {p.stdout}")
    return float(m.group(1))


def relative(t, folder, package, unit):
    """The unit's path, in the package as the distribution has it now."""
    p = run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package], cwd=folder)
    debs = glob.glob(f"{folder}/{package}_*.deb")
    if p.returncode or not debs:
        raise tap.Failure(f"{package} cannot be downloaded; ./bootstrap deps refreshes apt's lists: {p.stdout}")
    tree = os.path.join(folder, package)
    run(["dpkg-deb", "--extract", debs[0], tree], check=True)
    found = glob.glob(f"{tree}/**/{unit}", recursive=True)
    if len(found) != 1:
        raise tap.Failure(f"{package} has {found or 'no'} {unit}")
    return found[0]


@tap.case("exposure, beside systemd-oomd's and earlyoom's", timeout=240)
def beside_others(t):
    for program in ("systemd-analyze", "apt-get", "dpkg-deb"):
        if not shutil.which(program):
            t.skip(f"{program} is not installed")
    folder = tempfile.mkdtemp(prefix="test-unit-")
    t.defer(shutil.rmtree, folder, True)
    levels, offline = {"balloond": exposure(UNIT)}, set()
    for package, unit in RELATIVES.items():
        path = relative(t, folder, package, unit)
        levels[package] = exposure(path)
        with open(path) as f:
            if re.search(r"^PrivateNetwork=(true|yes)$", f.read(), re.M):
                offline.add(package)
    version = run(["systemd-analyze", "--version"]).stdout.split("\n")[0]
    t.diag(f"systemd-analyze security, {version}:")
    for name, level in levels.items():
        t.diag(f"  {name:<14} {level:4.1f}")
    t.check(levels["balloond"] <= MOST, f"{levels['balloond']} is at most {MOST}")
    t.check(levels["balloond"] < levels["systemd-oomd"], f"less than systemd-oomd's {levels['systemd-oomd']}")
    # A third of what is left is that udev's events come by the network; earlyoom 1.8 needs none.
    less = levels["balloond"] - (0.5 if "earlyoom" in offline else 0)
    t.check(round(less, 1) <= levels["earlyoom"], f"{less:.1f} is at most earlyoom's {levels['earlyoom']}")


@tap.case("the check sees a unit that is less confined")
def sees_less(t):
    folder = tempfile.mkdtemp(prefix="test-unit-")
    t.defer(shutil.rmtree, folder, True)
    with open(UNIT) as f:
        text = f.read()
    loose = os.path.join(folder, "balloond.service")
    for line in ("CapabilityBoundingSet=", "SystemCallFilter=", "User="):
        t.check(f"\n{line}" in text, f"the unit has {line}")
        text = re.sub(rf"^{line}.*$", "", text, flags=re.M)
    with open(loose, "w") as f:
        f.write(text)
    t.check(exposure(loose) > MOST, f"exposure without them: {exposure(loose)}")


@tap.case("no capability but the one that is shown to be needed")
def capabilities(t):
    with open(UNIT) as f:
        text = f.read()
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        t.equal(re.findall(rf"^{key}=(.*)$", text, re.M), ["CAP_SYS_RESOURCE"], key)
    # The one line that is run as root is not the daemon.
    privileged = [line.lstrip("-@:+!") for line in re.findall(r"^Exec\w+=(.*)$", text, re.M)
                  if re.match("[-@:]*[+!]", line)]
    t.equal([os.path.basename(line.split()[0]) for line in privileged], ["balloonctl", "systemd-tmpfiles"], "programs with all rights")


@tap.case("the kernel's modules can be seen, and not be loaded")
def modules(t):
    p = run(["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT])
    t.check(re.search(r"^\S+ ProtectKernelModules= .*0\.2$", p.stdout, re.M), f"it is not hidden: {p.stdout}")
    for line in ("SystemCallFilter=~@module", "CapabilityBoundingSet=~CAP_SYS_MODULE"):
        t.check(re.search(rf"^✓ {re.escape(line)} ", p.stdout, re.M), f"{line}: {p.stdout}")


if __name__ == "__main__":
    tap.main()
