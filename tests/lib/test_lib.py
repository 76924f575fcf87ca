# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the test tools: a runner or a tally that cannot say "failed" is worse than none."""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import tally                                                          # noqa: E402
import tap                                                            # noqa: E402

PRELUDE = f"import sys, time\nsys.path.insert(0, {HERE!r})\nimport tap\n"


def run(body, *argv):
    return subprocess.run([sys.executable, "-c", PRELUDE + body + "\ntap.main()", *argv],
                          text=True, capture_output=True, timeout=60)


def points(p):
    return [line for line in p.stdout.splitlines() if not line.startswith("#")]


def runner(name, body, want_points, want_status, want_text=""):
    @tap.case(f"runner: {name}")
    def case(t):
        p = run(body)
        t.equal(points(p), want_points, "points")
        t.equal(p.returncode, want_status, "exit status")
        t.contains(p.stdout, want_text, "output")


runner("a case that returns passes", "tap.add('a', lambda t: None)", ["ok 1 - a", "1..1"], 0)
runner("a failed check fails", "tap.add('a', lambda t: t.equal(1, 2, 'x'))",
       ["not ok 1 - a", "1..1"], 1, "x: got 1, want 2")
runner("an exception fails with its traceback", "tap.add('a', lambda t: {}['k'])",
       ["not ok 1 - a", "1..1"], 1, "KeyError: 'k'")
runner("a case that takes too long fails, the next one runs",
       "tap.add('a', lambda t: time.sleep(30), timeout=0.2)\ntap.add('b', lambda t: None)",
       ["not ok 1 - a", "ok 2 - b", "1..2"], 1, "took too long")
runner("a skip keeps its reason", "tap.add('a', lambda t: t.skip('no bus'))", ["ok 1 - a # SKIP no bus", "1..1"], 0)
runner("a failed set-up fails every case",
       "@tap.setup\ndef s(): raise OSError('x')\ntap.add('a', lambda t: None)\ntap.add('b', lambda t: None)",
       ["not ok 1 - a", "not ok 2 - b", "1..2"], 1)
runner("a skipped set-up skips the suite",
       "@tap.setup\ndef s(): raise tap.Skip('no qemu')\ntap.add('a', lambda t: None)", ["1..0 # SKIP no qemu"], 0)
runner("a failed clean-up fails", "tap.add('a', lambda t: t.defer(t.fail, 'left over'))",
       ["ok 1 - a", "not ok 2 - a: clean-up", "1..2"], 1)
runner("a failed subtest does not end the case",
       "@tap.case('a')\ndef a(t):\n with t.subtest('x'): t.fail('no')\n with t.subtest('y'): pass",
       ["not ok 1 - a: x", "ok 2 - a: y", "1..2"], 1)
runner("a teardown that fails fails the suite",
       "@tap.teardown\ndef s(): raise OSError('x')\ntap.add('a', lambda t: None)", ["ok 1 - a", "1..1"], 1)


@tap.case("runner: being stopped still cleans up and leaves the plan out")
def stopped(t):
    p = run("import os, signal\n@tap.case('a')\ndef a(t):\n"
            " t.defer(tap.diag, 'cleaned')\n os.kill(os.getpid(), signal.SIGTERM)\n time.sleep(9)")
    t.contains(p.stdout, "Bail out!", "output")
    t.contains(p.stdout, "cleaned", "output")
    t.check("1.." not in p.stdout, "there is no plan")
    t.equal(p.returncode, 1, "exit status")


def total(name, entries, want, status):
    @tap.case(f"tally: {name}")
    def case(t):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            for result, returncode, stdout in entries:
                f.write(json.dumps({"name": "s", "stdout": stdout, "result": result, "returncode": returncode}) + "\n")
            f.flush()
            p = subprocess.run([sys.executable, tally.__file__, f.name], text=True, capture_output=True, timeout=60)
        t.equal(p.stdout.splitlines()[-1], want, "last line")
        t.equal(p.returncode, status, "exit status")


@tap.case("tally: what a failed test said is shown with it")
def said(t):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        f.write(json.dumps({"name": "s", "result": "FAIL", "returncode": 1,
                            "stdout": "not ok 1 - a\n# got 1, want 2\nok 2 - b\n# b: 0.1 s\n1..2\n"}) + "\n")
        f.flush()
        p = subprocess.run([sys.executable, tally.__file__, f.name], text=True, capture_output=True, timeout=60)
    t.equal(p.stdout.splitlines(), ["FAILED  s: a", "        # got 1, want 2", "1 passed, 1 failed, 0 skipped"], "output")


total("points are added over suites", [("OK", 0, "ok 1 - a\nok 2 - b\n1..2\n"), ("OK", 0, "1..1\nok 1\n")],
      "3 passed, 0 failed, 0 skipped", 0)
total("failures and skips", [("FAIL", 1, "ok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no\n1..3\n")],
      "1 passed, 1 failed, 1 skipped", 1)
total("a directive that the tally does not know hides nothing", [("OK", 0, "ok 1 - a\nnot ok 2 - b # LATER\n1..2\n")],
      "1 passed, 1 failed, 0 skipped", 1)
total("a suite skipped as a whole", [("SKIP", 0, "1..0 # SKIP no qemu\n")], "0 passed, 0 failed, 1 skipped", 0)
total("a suite that dies after its points", [("ERROR", -11, "ok 1 - a\n1..1\n")], "1 passed, 1 failed, 0 skipped", 1)
total("a suite that dies half-way", [("ERROR", 1, "ok 1 - a\n")], "1 passed, 1 failed, 0 skipped", 1)
total("a suite that makes fewer points than planned", [("ERROR", 0, "1..3\nok 1 - a\n")],
      "1 passed, 1 failed, 0 skipped", 1)
total("a suite that times out", [("TIMEOUT", -15, "")], "0 passed, 1 failed, 0 skipped", 1)
total("a TAP suite that prints nothing", [("SKIP", 0, "")], "0 passed, 1 failed, 0 skipped", 1)
total("exit status alone", [("OK", 0, "hello\n"), ("FAIL", 2, "ow\n"), ("SKIP", 77, "no module support\n")],
      "1 passed, 1 failed, 1 skipped", 1)
total("nothing at all", [], "0 passed, 0 failed, 0 skipped", 1)

if __name__ == "__main__":
    tap.main()
