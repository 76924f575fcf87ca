# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON writer, read back by another implementation.

json-echo writes what it gets; Python's json module must understand all of it,
and find the very strings: every character, every control, and for bytes that
are no UTF-8 one U+FFFD each, as Python decodes them.
"""
import codecs
import json
import os
import random
import subprocess

import tap

JSON_ECHO = os.environ["JSON_ECHO"]

codecs.register_error("each", lambda e: ("\ufffd" * (e.end - e.start), e.end))


def echo(strings):
    said = []
    for form in ("pretty", "short"):
        p = subprocess.run([JSON_ECHO, form], input=b"\0".join(strings) + b"\0", stdout=subprocess.PIPE,
                           timeout=30, check=True)
        said.append(p.stdout.decode("utf-8", errors="strict"))
    pretty, short = said
    out = json.loads(pretty)
    # The one is what Python makes of it, too, but for escapes; the other is a line.
    if pretty.isascii() and "\\" not in pretty:
        for text, kwargs in ((pretty, {"indent": 2}), (short, {"separators": (",", ":")})):
            if text != json.dumps(out, **kwargs) + "\n":
                raise tap.Failure(f"another form: {text!r}")
    if short.count("\n") != 1 or json.loads(short) != out:
        raise tap.Failure(f"not the same on one line: {short!r}")
    return out


def compare(t, strings):
    out = echo(strings)
    want = [s.decode("utf-8", errors="each") for s in strings]
    for got, text, raw in zip(out["strings"], want, strings):
        t.equal(got, text, f"of {raw!r}")
    t.equal(len(out["strings"]), len(want), "number of strings")
    for got, text in zip(out["objects"], want):
        t.equal(got, {text: text}, "an object")
    return out


@tap.case("null, numbers, empty objects and arrays")
def shapes(t):
    out = compare(t, [b"x"])
    t.equal(out["max"], 2 ** 64 - 1, "the largest number")
    t.equal(out["none"], None, "null")
    t.equal((out["yes"], out["no"]), (True, False), "truth")
    t.equal(out["empty_object"], {}, "empty object")
    t.equal(out["empty_array"], [], "empty array")


@tap.case("every ASCII character, quotes and backslashes")
def ascii_characters(t):
    compare(t, [bytes([c]) for c in range(1, 128)] + [b'"\\"', b"\\", b"", b"a\nb\tc\rd"])


@tap.case("characters of every length, and their neighbours that are none")
def borders(t):
    points = [0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff, 0x2028, 0x1f388]
    strings = [chr(p).encode() for p in points]
    strings += [b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
                b"\xed\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
                b"\xf5\x80\x80\x80", b"\xff", b"\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x8e",
                b"a\xe2\x82b", b"\xe2\xe2\x82\xac"]
    compare(t, strings)


@tap.case("random bytes")
def random_bytes(t):
    rng = random.Random(2)
    pool = bytes(range(1, 256)) + b'"\\\n\xe2\x82\xac\xf0\x9f\x8e\x88' * 8
    for _ in range(20):
        compare(t, [bytes(rng.choice(pool) for _ in range(rng.randrange(40)))
                    for _ in range(200)])


if __name__ == "__main__":
    tap.main()
