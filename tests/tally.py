# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: tally.py TESTLOG.json...

Adds up meson's test logs (one JSON object a line) and ends with the line
"N passed, N failed, N skipped". A suite that prints TAP counts point by point,
any other counts as one. Exit status 1 if anything failed or nothing ran.

What a suite leaves out is not forgiven: one that died, timed out, printed no
plan or promised more points than it made counts as one more failure. Prints the failed
points with what their tests said of them (the TAP comments that follow, cut after
a dozen lines) and the reasons for skips before the total.
"""
import json
import re
import sys

_POINT = re.compile(r"(not )?ok\b\s*\d*\s*(?:- )?([^#]*)(?:#\s*(skip)\S*\s*(.*))?$", re.I)
_SAID_LINES = 12
_PLAN = re.compile(r"1\.\.(\d+)\s*(?:#\s*skip\S*\s*(.*))?$", re.I)


def count(entry):
    """(passed, [(failed name, [what was said])], [(skipped name, reason)]) of one suite."""
    passed, failed, skipped = 0, [], []
    said = None
    plan = None
    points = 0
    text = entry.get("stdout") or ""
    for line in text.splitlines():
        line = line.rstrip()
        if m := _PLAN.match(line):
            plan = int(m[1])
            if plan == 0:
                skipped.append(("", m[2] or "no reason given"))
        elif m := _POINT.match(line):
            points += 1
            said = None
            name, directive = m[2].strip(), (m[3] or "").lower()
            if directive == "skip" and not m[1]:
                skipped.append((name, m[4] or "no reason given"))
            elif m[1]:
                said = []
                failed.append((name, said))
            else:
                passed += 1
        elif said is not None and line.startswith("#"):
            said.append(line)
    result = entry["result"]
    if plan is None and points == 0:
        # Not TAP: the exit status speaks.
        if result == "SKIP" and entry.get("returncode") == 77:
            skipped.append(("", text.strip().splitlines()[-1] if text.strip() else "no reason given"))
        elif result in ("OK", "EXPECTEDFAIL"):
            passed += 1
        else:
            failed.append((f"(result {result}, no test points)", text.splitlines()[-_SAID_LINES:]))
    elif plan is None or plan > points:
        failed.append((f"(ended after {points} points, plan {'missing' if plan is None else plan})",
                       text.splitlines()[-_SAID_LINES:]))
    elif result not in ("OK", "SKIP", "EXPECTEDFAIL") and not failed:
        failed.append((f"(result {result} with exit status {entry.get('returncode')}, all points ok)",
                       (entry.get("stderr") or "").splitlines()[-_SAID_LINES:]))
    return passed, failed, skipped


def main(paths):
    passed = failed = skipped = 0
    for path in paths:
        try:
            with open(path) as f:
                entries = [json.loads(line) for line in f]
        except (OSError, ValueError) as e:
            print(f"FAILED  {path}: {e}")
            failed += 1
            continue
        for entry in entries:
            p, f, s = count(entry)
            passed, failed, skipped = passed + p, failed + len(f), skipped + len(s)
            for name, said in f:
                print(f"FAILED  {entry['name']}: {name}")
                for line in said[:_SAID_LINES]:
                    print(f"        {line[:200]}")
            for name, reason in s:
                print(f"skipped {entry['name']}{': ' if name else ''}{name}: {reason}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or passed + skipped == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
