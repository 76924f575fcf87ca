# SPDX-License-Identifier: GPL-2.0-or-later
"""balloonctl record and simulate, as a user runs them: files, signals, full disks, bad traces.

What a recording holds is compared with what the manual page lists, and so is
the JSON of a simulation. Whether a score is right is for the unit tests.
"""
import csv
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import xml.etree.ElementTree

import tap
from mdoc import items, section

BALLOONCTL = os.environ["BALLOONCTL"]
NO_BUS = "--bus-address=unix:path=/nonexistent/bus"

DEMAND = "# ram_kib: 2097152\nt_s,need_kib\n0,300000\n600,900000\n1200,400000\n"


def folder(t):
    d = tempfile.TemporaryDirectory()
    t.defer(d.cleanup)
    return d.name


def write(path, text):
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return path


def ctl(*args, **kwargs):
    kwargs = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs}
    return subprocess.run([kwargs.pop("program", BALLOONCTL), NO_BUS, *args], text=True, timeout=60, **kwargs)


def expect(t, p, status, error=None):
    t.equal(p.returncode, status, f"exit status ({p.stderr.strip()})")
    if error:
        t.check(re.search(error, p.stderr), f"{error!r} in {p.stderr!r}")


def spawn(t, *args, **kwargs):
    p = subprocess.Popen([BALLOONCTL, NO_BUS, *args], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                         **kwargs)
    t.defer(p.stderr.close)
    t.defer(p.wait)
    t.defer(p.kill)
    return p


def rows(t, path):
    """The rows of a recording that must be whole, each of them."""
    with open(path) as f:
        text = f.read()
    t.check(text.endswith("\n"), "it ends with a whole line")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    fields = {line.count(",") for line in lines}
    t.equal(len(fields), 1, f"numbers of fields {fields}")
    return list(csv.DictReader(lines))


def until_lines(t, path, n):
    def there():
        with open(path, "rb") as f:
            return f.read().count(b"\n") >= n
    t.wait(lambda: os.path.exists(path) and there(), 20, f"{n} lines")


@tap.case("record: the columns of the manual page, without daemon, module or root")
def columns(t):
    d = folder(t)
    os.chmod(d, 0o777)
    path = os.path.join(d, "r.csv")
    nobody = {} if os.geteuid() else {"user": 65534, "group": 65534, "extra_groups": []}
    # The tree may be where only root can look.
    program = shutil.copy(BALLOONCTL, d)
    # A machine that stands still meanwhile misses lines, and the end: then once more.
    for tries in range(5):
        if tries:
            os.unlink(path)
        expect(t, ctl("record", "--interval", "50ms", "--duration", "1s", path, program=program, **nobody), 0,
               r"^\d+ lines in .* us of CPU each")
        got = rows(t, path)
        if len(got) >= 5 and 0.9 < float(got[-1]["t_s"]) <= 1.05:
            break
    t.between(len(got), 5, 21, "rows")
    listed = [w for item in items(section("balloon-trace.5", "Recording")) for w in item]
    t.equal(set(listed), set(got[0]), "columns")
    t.equal(got[0]["t_s"], "0.000", "first time")
    t.check(0.9 < float(got[-1]["t_s"]) <= 1.05, f"last time {got[-1]['t_s']}")
    for name, value in got[0].items():
        t.check(re.search(r"_(s|kib|pages|events|us)$", name) or name == "reason", f"{name} names no unit")
        t.check(re.fullmatch(r"\d*(\.\d{3})?", value), f"{name}: {value!r}")
    t.check(int(got[0]["mem_available_kib"]) <= int(got[0]["mem_total_kib"]), "MemAvailable")
    t.equal({r["balloon_kib"] for r in got}, {""}, "no daemon, no balloon")
    with t.subtest("simulate takes it"):
        expect(t, ctl("simulate", path), 0)


@tap.case("record: signals end it with a whole line")
def signals(t):
    for name, status in (("INT", 0), ("TERM", 0), ("HUP", 0), ("KILL", -9)):
        with t.subtest(name):
            path = os.path.join(folder(t), "r.csv")
            p = spawn(t, "record", "--interval", "10ms", path)
            until_lines(t, path, 12)
            p.send_signal(getattr(signal, "SIG" + name))
            t.equal(p.wait(10 * tap.PATIENCE), status, "exit status")
            t.check(len(rows(t, path)) >= 10, "rows")


@tap.case("record: a full disk")
def full(t):
    d = folder(t)
    with t.subtest("a limit that falls into a line"):
        path = os.path.join(d, "r.csv")
        p = ctl("record", "--interval", "10ms", path,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3001, 3001)))
        expect(t, p, 1, r"no space left; stopped after \d+ lines, all of them whole")
        n = len(rows(t, path))
        t.check(n > 3 and f"after {n} lines" in p.stderr, f"{n} rows, {p.stderr}")
        expect(t, ctl("simulate", path), 0)
    with t.subtest("no room for anything"):
        expect(t, ctl("record", "/dev/full"), 1, r"/dev/full: no space left; stopped after 0 lines")
    with t.subtest("a file system without room"):
        mount = os.path.join(d, "mnt")
        os.mkdir(mount)
        p = subprocess.run(["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=16k none {mount} || exit 77; "
                            f"'{BALLOONCTL}' {NO_BUS} record --interval 10ms {mount}/r.csv; s=$?; "
                            f"cp {mount}/r.csv {d}/t.csv; exit $s"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        if p.returncode == 77 or "unshare" in p.stderr:
            t.skip("nothing can be mounted here")
        t.equal(p.returncode, 1, f"exit status {p.stderr}")
        t.contains(p.stderr, "no space left", "reason")
        t.check(len(rows(t, f"{d}/t.csv")) > 10, "rows")


@tap.case("record: where it writes")
def outputs(t):
    d = folder(t)
    path = write(os.path.join(d, "old"), "precious\n")
    with t.subtest("a file that is there stays as it is"):
        expect(t, ctl("record", path), 1, "is there already")
        with open(path) as f:
            t.equal(f.read(), "precious\n", "content")
    with t.subtest("a pipe whose reader goes"):
        r, w = os.pipe()
        p = spawn(t, "record", "--interval", "10ms", "/dev/stdout", stdout=w)
        os.close(w)
        got = b""
        while got.count(b"\n") < 4:
            got += os.read(r, 4096)
        os.close(r)
        t.equal(p.wait(10 * tap.PATIENCE), 1, "exit status")
        t.contains(p.stderr.read(), "Broken pipe", "reason")
    with t.subtest("- is the standard output"):
        p = ctl("record", "--interval", "10ms", "--duration", "30ms", "-", cwd=d)
        expect(t, p, 0, r"^\d lines in the standard output")
        t.contains(p.stdout, "\nt_s,ram_kib", "the header")
        rows(t, write(os.path.join(d, "copy"), p.stdout))
        t.equal(set(os.listdir(d)), {"old", "copy"}, "files")
        with open("/dev/full", "w") as out:
            expect(t, ctl("record", "-", stdout=out), 1, "the standard output: no space left; stopped after 0 lines, all")
    for args, error in ((("--interval", "1"), "needs a unit"), (("--interval", "1ms"), "from 10ms to 1h"),
                        (("--interval", "2h"), "from 10ms to 1h"), (("--interval", "x"), "'x'"),
                        (("--duration", "5"), "needs a unit"), (("--frob",), "not an option")):
        with t.subtest(" ".join(args)):
            expect(t, ctl("record", *args, os.path.join(d, "new")), 2, error)
            t.check(not os.path.exists(os.path.join(d, "new")), "no file")
    expect(t, ctl("record", os.path.join(d, "none", "x")), 1, "No such file")
    expect(t, ctl("record", d), 1, "s a directory")


def documented(name):
    """The keys that the manual page lists as scores, and those of each law."""
    text = section("balloon-trace.5", "Scores")
    laws = text[text.index("an object for each law"):text.index(".It Va guest_against_recording")]
    return {w for item in items(laws) for w in item}, {w for item in items(text) for w in item}


@tap.case("simulate: the numbers of the manual page")
def scores(t):
    path = write(os.path.join(folder(t), "d.csv"), DEMAND)
    p = ctl("simulate", path)
    expect(t, p, 0)
    for word in ("adaptive", "static", "clairvoyant", "GiB x h", "lost", "2 GiB of RAM", "no swap", "20.0 min", "3 rows (linear)"):
        t.contains(p.stdout, word, "the table")
    p = ctl("simulate", "--json", "--compare", path)
    expect(t, p, 0)
    [got] = json.loads(p.stdout)
    law_keys, keys = documented("scores")
    t.equal(set(got["laws"][0]), law_keys, "keys of a law")
    t.equal(set(got), keys - law_keys - {"against_recording", "guest_against_recording"}, "keys of a trace")
    t.equal([law["law"] for law in got["laws"]],
            ["adaptive", "selfballoon", "mom", "proxmox", "senpai", "vm0", "reporting", "static"], "laws")
    t.equal((got["ram"], got["swap"], got["rows"], got["duration_s"]), (2 << 30, 0, 3, 1200), "what was simulated")
    for law in got["laws"]:
        t.equal(law["short_s"] > 0, law["shortages"] > 0, f"{law['law']}: shortages")
        t.between(law["share_of_bound"], 0, 1.01, law["law"])
        beyond = (got["bound_avg"] - law["reclaimed_avg"]) * got["duration_s"] / 3600 / (1 << 30)
        t.check(abs(law["beyond_bound_gib_h"] - beyond) < 1e-3, f"{law['law']}: {law['beyond_bound_gib_h']} GiB x h, {beyond}")
        t.between(law["lost_s"], max(law["short_s"], law["tasks_full_s"]) - 1e-3,
                  law["short_s"] + law["tasks_full_s"] + 1e-3, f"{law['law']}: time lost")
        t.check(law["tasks_full_s"] <= law["mem_full_s"] + 1e-3, f"{law['law']}: tasks are a part of all")
    again = ctl("simulate", "--json", "--compare", path)
    t.equal(again.stdout, p.stdout, "the same again")


@tap.case("simulate: against a recording")
def against_recording(t):
    text = "# ram_kib: 2097152\nt_s,need_kib,mem_available_kib,balloon_kib,mem_some_us,io_full_us,refault_file_pages\n" \
           "0,300000,1700000,0,1000,500,7\n600,300000,500000,1200000,3000,500,1007\n"
    path = write(os.path.join(folder(t), "r.csv"), text)
    p = ctl("simulate", "--json", "--csv", "/dev/stderr", path)
    expect(t, p, 0)
    got = json.loads(p.stdout)[0]["against_recording"]
    text = section("balloon-trace.5", "Scores")
    listed = set(text[text.index("It Va guest_against_recording"):].split())
    names = {re.sub(r"^(mem_some|mem_full|io_some|io_full|refault_\w+|activate_file)_(recorded|model|ratio)", r"NAME_\2", n) for n in got}
    t.check({n for n in names if not n.startswith("NAME_")} <= listed, f"keys {names}")
    t.equal(got["mem_some_recorded_s"], 0.002, "memory stalls")
    t.equal((got["io_full_recorded_s"], "io_full_ratio" in got), (0, False), "nothing to be compared with")
    t.equal((got["refault_file_recorded"], got["refault_file_ratio"]), (1000, got["refault_file_model"] / 1000), "refaults")
    t.check("mem_full_model_s" not in got, "what was not recorded is not compared")
    [row] = csv.DictReader(p.stderr.splitlines())
    t.equal((row["seen_refault_file_pages"], row["seen_mem_some_us"]), ("1000", "2000"), "recorded")
    t.equal(int(row["mem_some_us"]) / 1e6, got["mem_some_model_s"], "model")
    text = ctl("simulate", path).stdout
    for word in ("mem_some_us: 2ms recorded, ", "refault_file_pages: 1000 recorded, ", " times)"):
        t.contains(text, word, "the table")


@tap.case("simulate: --law recorded")
def law_recorded(t):
    d = folder(t)
    rows = [(0, 1900000, 0), (60, 1400000, 500000), (120, 900000, 1000000), (180, 1700000, 200000)]
    path = write(os.path.join(d, "r.csv"), "# ram_kib: 2097152\nt_s,need_kib,mem_available_kib,balloon_kib\n" +
                 "".join(f"{s},100000,{a},{b}\n" for s, a, b in rows))
    p = ctl("simulate", "--json", "--csv", "/dev/stderr", "--law", "recorded", path)
    expect(t, p, 0)
    got = json.loads(p.stdout)[0]
    t.equal([int(r["balloon_kib"]) for r in csv.DictReader(p.stderr.splitlines())], [b for _, _, b in rows[1:]], "balloon")
    t.equal([law["law"] for law in got["laws"]], ["recorded", "static"], "laws")
    t.equal(("against_recording" in got, got["guest_against_recording"]["balloon_error_max"]), (False, 0), "the guest")
    p = ctl("simulate", "--json", path)
    expect(t, p, 0)
    beside = json.loads(p.stdout)[0]
    t.equal(beside["guest_against_recording"], got["guest_against_recording"], "beside another law")
    t.equal([law["law"] for law in beside["laws"]], ["adaptive", "static", "recorded"], "laws")
    t.check(beside["against_recording"]["balloon_error_max"] > 0, "the law has its own mind")
    text = ctl("simulate", path).stdout
    for word in ("the guest, given the recorded balloon, 3 rows", "guest and law, 3 rows"):
        t.contains(text, word, "the table")
    with t.subtest("without a column for the balloon: what is missing from MemTotal, however late that is known"):
        path = write(os.path.join(d, "m.csv"), "t_s,mem_total_kib,mem_available_kib,active_file_kib,inactive_file_kib\n"
                     "0,1048576,500000,0,0\n60,2097152,1500000,0,0\n120,1572864,1000000,0,0\n")
        p = ctl("simulate", "--csv", "-", "--law", "recorded", path)
        t.equal([(int(r["balloon_kib"]), int(r["seen_balloon_kib"])) for r in csv.DictReader(p.stdout.splitlines())],
                [(0, 0), (524288, 524288)], "balloon")
    path = write(os.path.join(d, "d.csv"), DEMAND)
    expect(t, ctl("simulate", "--law", "recorded", path), 1, "no balloon was recorded")
    expect(t, ctl("simulate", "--law", "frob", path), 2, "laws: .* recorded")


@tap.case("simulate: a stream, and the recording's own pace")
def stream(t):
    d = folder(t)
    head = "# ram_kib: 1048576\nt_s,need_kib,cold_cache_kib"
    plain = write(os.path.join(d, "p.csv"), f"{head}\n0,262144,600000\n60,262144,600000\n")
    path = write(os.path.join(d, "s.csv"), f"{head},stream_kib_s\n0,262144,600000,51200\n60,262144,600000,51200\n")
    law = [json.loads(ctl("simulate", "--json", "--law", "reporting", p).stdout)[0]["laws"][0] for p in (plain, path)]
    t.equal([x["kswapd_s"] for x in law][0], 0, "without a stream")
    t.check(law[1]["kswapd_s"] > 0.5 and law[1]["mem_some_s"] == law[1]["kswapd_s"], f"kswapd alone: {law[1]['kswapd_s']}")
    columns = "mem_total_kib,mem_available_kib,active_file_kib,inactive_file_kib,mem_some_us,pgscan_kswapd_pages," \
              "pgscan_direct_pages,restore_file_pages"
    path = write(os.path.join(d, "r.csv"), f"t_s,{columns}\n0,2097152,1500000,0,0,0,0,0,0\n"
                 "1,2097152,1500000,0,0,1000000,51200,0,0\n2,2097152,1500000,0,0,1000000,51200,0,0\n")
    t.contains(ctl("simulate", path).stdout, "kswapd reclaims 200 MiB/s, by the recorded stalls", "its pace")
    t.equal(json.loads(ctl("simulate", "--json", path).stdout)[0]["reclaim_rate"], 200 << 20, "its pace")
    t.check("kswapd reclaims" not in ctl("simulate", "--reclaim-rate", "1GiB/s", path).stdout, "the option goes first")


@tap.case("simulate: options")
def options(t):
    d = folder(t)
    path = write(os.path.join(d, "d.csv"), DEMAND)

    def one(*args):
        p = ctl("simulate", "--json", *args, path)
        expect(t, p, 0)
        return json.loads(p.stdout)[0]
    plain = one()
    with t.subtest("--ram, --swap"):
        t.equal(one("--ram", "4GiB")["ram"], 4 << 30, "RAM")
        t.equal(one("--swap", "1GiB")["swap"], 1 << 30, "swap")
    with t.subtest("--law"):
        for law in ("committed", "mom", "static"):
            t.equal(one("--law", law, "--swap", "1G")["laws"][0]["law"], law, law)
        expect(t, ctl("simulate", "--law", "frob", path), 2, "'frob' is not a law")
    with t.subtest("--config is used, and must be right"):
        conf = write(os.path.join(d, "conf"), 'limit = "64M"; law = "committed"; committed: { without_swap = true; };\n')
        r = one("--config", conf)
        t.equal(r["laws"][0]["law"], "committed", "law")
        t.check(r["laws"][0]["reclaimed_avg"] <= 64 << 20 < plain["laws"][0]["reclaimed_avg"], "limit")
        t.equal(one("--config", conf, "--law", "adaptive")["laws"][0]["law"], "adaptive", "--law goes first")
        expect(t, ctl("simulate", "--config", write(conf, "limit = 5;\n"), path), 6, r"conf:1: limit: ")
        expect(t, ctl("simulate", "--config", conf + "x", path), 6, "no such file")
    with t.subtest("--interpolate, and what the trace says"):
        t.equal(plain["interpolation"], "linear", "default")
        t.equal(one("--interpolate", "steps")["interpolation"], "steps", "option")
        write(path, "# interpolation: steps\n" + DEMAND)
        t.equal(one()["interpolation"], "steps", "trace")
        t.equal(one("--interpolate", "linear")["interpolation"], "linear", "the option goes first")
        expect(t, ctl("simulate", "--interpolate", "cubic", path), 2, "neither linear nor steps")
    with t.subtest("--disk and its kin, and what the trace says"):
        names = ("disk_rate", "iops", "hot_period_s", "touch_rate", "reclaim_rate")
        t.equal([plain[n] for n in names], [125 << 20, 3000, 60, 2 << 30, 2 << 30], "defaults")
        write(path, "# iops: 200\n# hot_period_s: 600\n# disk_kib_s: 4096\n" + DEMAND)
        t.equal([one()[n] for n in names], [4 << 20, 200, 600, 2 << 30, 2 << 30], "trace")
        got = one("--disk", "50MiB/s", "--iops", "77", "--hot-period", "5s", "--touch-rate", "1GiB/s")
        t.equal([got[n] for n in names], [50 << 20, 77, 5, 1 << 30, 1 << 30], "options go first")
        t.equal(one("--reclaim-rate", "1GiB/s")["reclaim_rate"], 1 << 30, "reclaim")
        t.contains(ctl("simulate", path).stdout, "disk 4 MiB/s, 200 requests/s; hot cache looked at once in 10min", "the table")
    with t.subtest("--svg"):
        svg = os.path.join(d, "a.svg")
        one("--svg", svg)
        root = xml.etree.ElementTree.parse(svg).getroot()
        t.equal(root.tag, "{http://www.w3.org/2000/svg}svg", "root")
        texts = {e.text for e in root.iter("{http://www.w3.org/2000/svg}text")}
        t.check({"balloon", "demand", "guest memory, peak", "RAM", "some", "full"} <= texts, f"legend in {texts}")
        expect(t, ctl("simulate", "--svg", svg, path, path), 2, "one trace")
        expect(t, ctl("simulate", "--svg", os.path.join(d, "no", "x"), path), 1, "No such file")
    with t.subtest("what is read is not written, by whatever name"):
        own = write(os.path.join(d, "own.csv"), DEMAND)
        os.symlink(own, os.path.join(d, "link"))
        own_conf = write(os.path.join(d, "own.conf"), 'mode = "auto";\n')
        for option in ("--csv", "--svg"):
            for args in ((own, own), (os.path.join(d, ".", "own.csv"), own), (own, os.path.join(d, "link"))):
                expect(t, ctl("simulate", option, *args), 2, option + " would overwrite")
            expect(t, ctl("simulate", "--config", own_conf, option, own_conf, own), 2, option + " would overwrite")
            with open(own) as f:
                p = subprocess.run([BALLOONCTL, "simulate", option, own, "-"], stdin=f, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, timeout=60)
            expect(t, p, 2, "what is read from <stdin>")
            with open(own, "a") as f:
                p = subprocess.run([BALLOONCTL, "simulate", option, "-", own], stdin=subprocess.DEVNULL, stdout=f,
                                   stderr=subprocess.PIPE, text=True, timeout=60)
            t.equal(p.returncode, 2, "standard output that is the trace")
        with open(own) as f:
            t.equal(f.read(), DEMAND, "the trace")
        with open(own_conf) as f:
            t.equal(f.read(), 'mode = "auto";\n', "the configuration")
    with t.subtest("two outputs are two, by whatever name"):
        for a, b in (("same", "./same"), (f"{d}/same", "same"), ("-", "/dev/stdout"), ("/dev/stdout", "-")):
            expect(t, ctl("simulate", "--svg", a, "--csv", b, own, cwd=d), 2, "two different files")
        t.check(not os.path.exists(os.path.join(d, "same")), "nothing was written")
        write(os.path.join(d, "same"), "kept")
        expect(t, ctl("simulate", "--svg", "same", "--csv", f"{d}/../{os.path.basename(d)}/same", own, cwd=d), 2,
               "two different files")
        expect(t, ctl("simulate", "--svg", "a", "--csv", "b", own, cwd=d), 0)
        # One of two that is there already, and the same name elsewhere.
        os.mkdir(os.path.join(d, "sub"))
        expect(t, ctl("simulate", "--svg", "same", "--csv", "c", own, cwd=d), 0)
        expect(t, ctl("simulate", "--svg", "new", "--csv", "sub/new", own, cwd=d), 0)
        expect(t, ctl("simulate", "--svg", "new2", "--csv", "nowhere/new2", own, cwd=d), 1, "No such file")
    with t.subtest("a run that fails writes nothing"):
        kept = write(os.path.join(d, "kept"), "kept")
        empty = write(os.path.join(d, "empty.csv"), "t_s,need_kib\n")
        for option in ("--csv", "--svg"):
            expect(t, ctl("simulate", option, kept, empty), 1, "not used")
            expect(t, ctl("simulate", option, kept, "--law", "recorded", own), 1, "no balloon was recorded")
            with open(kept) as f:
                t.equal(f.read(), "kept", option)
    with t.subtest("a trace whose name no terminal and no XML should get"):
        for name in (b"\x1b[31m<a>&\".csv", b"\xff\xc3.csv", b"\xef\xbf\xbf\xc2\x9b.csv", b"a\nb.csv", "ä€".encode() * 49 + b".csv"):
            odd = os.path.join(os.fsencode(d), name)
            with open(odd, "wb") as f:
                f.write(DEMAND.encode())
            p = ctl("simulate", "--svg", svg, odd)
            expect(t, p, 0)
            t.check(re.fullmatch(r"[ -~\nä€\uffff]+", p.stdout) and p.stdout.split("\n")[0].endswith("(linear)"), p.stdout)
            texts = [e.text for e in xml.etree.ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")]
            t.check(re.fullmatch(r"[ -~ä€]+", texts[0]), texts[0])
            t.check(texts[0].isprintable(), texts[0])
            expect(t, ctl("simulate", "--json", odd), 0)
    with t.subtest("--csv"):
        p = ctl("simulate", "--csv", "-", path)
        expect(t, p, 0)
        r = list(csv.DictReader(p.stdout.splitlines()))
        t.equal([x["t_s"] for x in r], ["600.000", "1200.000"], "times")
        t.check(int(r[0]["balloon_kib"]) > 0, "balloon")
        expect(t, ctl("simulate", "--csv", "-", "--json", path), 2, "standard output")
        expect(t, ctl("simulate", "--csv", "/dev/full", path), 1, "No space")
    with t.subtest("- is the standard input, and the standard output"):
        def piped(file, *args):
            with open(file) as f:
                return ctl("simulate", *args, stdin=f, cwd=d)
        before = set(os.listdir(d))
        p = piped(path, "--json", "-")
        expect(t, p, 0)
        got, = json.loads(p.stdout)
        t.equal(got.pop("trace"), "<stdin>", "its name")
        t.equal(got, {k: v for k, v in one().items() if k != "trace"}, "as from a file")
        p = piped(conf, "--config", "-", path)
        expect(t, p, 6, "^<stdin>:1: limit: .*\n.*: <stdin> is not valid")
        expect(t, piped(write(os.path.join(d, "bad"), "t_s,need_kib\n1,x\n"), "-"), 1, "<stdin>:2: ")
        expect(t, piped(path, "-", "-"), 2, "the standard input can be read as one file only")
        expect(t, piped(path, "--config", "-", "-"), 2, "one file only")
        p = ctl("simulate", "--svg", "-", path, cwd=d)
        expect(t, p, 0)
        t.equal(xml.etree.ElementTree.fromstring(p.stdout).tag, "{http://www.w3.org/2000/svg}svg", "only a picture")
        expect(t, ctl("simulate", "--svg", "-", "--json", path), 2, "--svg - and --json cannot both")
        expect(t, ctl("simulate", "--svg", "-", "--csv", "-", path), 2, "two different files")
        expect(t, ctl("simulate", "--svg", "/dev/full", path), 1, "No space")
        t.equal(set(os.listdir(d)) - before, {"bad"}, "new files")
    for args, error in ((("--ram", "512"), "needs a unit"), (("--ram", "1M"), "too small"), (("--ram", "9999999T"), "'9999999T'"),
                        (("--swap", "x"), "'x'"), (("--disk", "5M"), "'5M'"), (("--disk", "1KiB/s"), "too small"),
                        (("--iops", "0"), "too small"), (("--iops", "1k"), "not a number"), (("--iops", "-1"), "not a number"),
                        (("--iops", "999999999"), "too large"), (("--hot-period", "5"), "unit"),
                        (("--hot-period", "1ms"), "too small"), (("--touch-rate", "99T/s"), "too large"),
                        (("--reclaim-rate", "x"), "'x'")):
        expect(t, ctl("simulate", *args, path), 2, error)


@tap.case("simulate: files that are no traces, rows that are bad")
def bad(t):
    d = folder(t)
    good = write(os.path.join(d, "good.csv"), DEMAND)
    for text, error in (
            ("", "empty"), ("\n\n", "empty"), ("0,1\n1,2\n", r":1: no column t_s|:1: no column"),
            ("t_s,need_kib\n0,1\n1,-2\n2,3\n", r":3: need_kib is negative\n.*--skip-bad"),
            ("t_s,need_kib\n0,1\n1\n2,3\n", r":3: 1 fields, the header has 2"),
            ("t_s,need_kib\n0,1\n0,1\n", r":3: time does not go forward"),
            ("# ram_kib: 100000\nt_s,need_kib\n0,1\n1,100001\n2,1\n", r":4: usage is above the capacity"),
            ("t_s,need_kib\n0,1\n1,99999999999999999999999\n", r":3: need_kib is too large"),
            ("t_s,capacity_kib,active_kib\n0,8,4\n1,8,4\n", r"8 KiB of RAM are too small"),
            (b"t_s,need_kib\n0,1\n1,\x002\n", r":3: a zero byte"),
            (b"t_s,need_kib\n0,1\n" + b"1" * 70000, r":3: a line of more than 64 KiB"),
            (b"\x7fELF\x02\x01\x01" + bytes(100), "not used"), (os.urandom(1000), "not used")):
        path = write(os.path.join(d, "bad.csv"), text)
        p = ctl("simulate", path)
        expect(t, p, 1, error)
        t.equal(p.stdout, "", f"nothing is simulated ({text[:40]!r})")
        t.check("bad.csv" in p.stderr, p.stderr)
    p = ctl("simulate", "-")
    expect(t, p, 1, "<stdin>: not used\n$")
    with t.subtest("a directory, a missing file, a pipe"):
        expect(t, ctl("simulate", d), 1, "s a directory")
        expect(t, ctl("simulate", good + "x"), 1, "No such file")
        p = subprocess.run([BALLOONCTL, "simulate", "/dev/stdin"], input=DEMAND, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=60)
        expect(t, p, 0)
    with t.subtest("--skip-bad leaves them out, and says so"):
        path = write(os.path.join(d, "bad.csv"), "t_s,need_kib\r\n0,100000\r\n1,x\r\n60,200000\r\n30,1\r\n120,150000")
        p = ctl("simulate", "--skip-bad", path)
        expect(t, p, 0, r"(?s):3: need_kib is not a number.*:5: time does not go forward.*:6: the last line has no newline")
        t.contains(p.stdout, "3 rows (linear), 2 bad rows left out", "the table")
    with t.subtest("many bad rows are counted, not listed"):
        path = write(os.path.join(d, "bad.csv"), "t_s,need_kib\n" + "x,y\n" * 1000)
        p = ctl("simulate", path)
        expect(t, p, 1, "and 980 more")
        t.check(len(p.stderr.splitlines()) < 30, "few lines")
    with t.subtest("the others are run"):
        p = ctl("simulate", path, good)
        expect(t, p, 1, "not used")
        t.contains(p.stdout, "good.csv: 2 GiB of RAM", "the good one")
    with t.subtest("output that cannot be written"):
        with open("/dev/full", "w") as f:
            expect(t, ctl("simulate", good, stdout=f), 1, "cannot write")


@tap.case("simulate: a month of 5-minute rows in less than 5 s")
def month(t):
    lines = ["t_s,capacity_kib,active_kib"]
    # An hourly peak on a daily one, and some noise without a random number.
    for i in range(8640):
        active = 1500000 + 2500000 * (i % 288) // 288 + 1500000 * (i % 12 == 5) + 40000 * (i * i % 37)
        lines.append(f"{300 * i},8388608,{active}")
    path = write(os.path.join(folder(t), "m.csv"), "\n".join(lines) + "\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = ctl("simulate", "--json", path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    expect(t, p, 0)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    r = json.loads(p.stdout)[0]
    t.diag(f"{used:.2f} s of CPU for two laws, {r['laws'][0]['ticks']} looks of the first")
    t.equal(r["duration_s"], 300 * 8639, "duration")
    with open(BALLOONCTL, "rb") as f:
        code = f.read()
    # With a sanitizer, or built to count what has run.
    slow = b"__asan_init" in code or b"__gcov_" in code
    t.check(used < (15 if slow else 5), f"{used:.1f} s of CPU")


if __name__ == "__main__":
    tap.main()
