# SPDX-License-Identifier: GPL-2.0-or-later
"""What an analyser says and is not mended: each with the reason why it is no fault.

An entry is (tool, check, file, piece of the line that is meant, reason). The check and the file may be patterns. An
entry that fits nothing any more fails the run: the list is no longer than what it is needed for.
"""

CLEANUP = "freed by its cleanup attribute, which this tool does not follow"

EXCEPTIONS = [
    # -- sparse
    ("sparse", "-", "tests/vm/guest/ubtool-malformed.h", "BAD_", "a good argument in which one field is made bad: meant"),
    ("sparse", "-", "tests/vm/guest/meddle/meddle.c", "__has_include(", "sparse 0.6.4 does not know it"),

    # -- cppcheck
    ("cppcheck", "zerodivcond", "daemon/basic/units.c", "d.scale > 1 && d.frac % (d.scale / 10)",
     "scale is a power of ten: above 1 it is 10 or more"),
    ("cppcheck", "resourceLeak", "daemon/basic/machine.c", "}", CLEANUP),
    ("cppcheck", "memleak", "daemon/act/discover.c", "return -ENOMEM;", CLEANUP),
    ("cppcheck", "memleak", "daemon/sense/procfile.c", "return 0;",
     "the line before keeps it, by a compound literal"),
    ("cppcheck", "selfAssignment", "daemon/sim/trace-read.c", "?: ram", "of GNU's ?: the first operand is not seen"),
    ("cppcheck", "uninitvar", "tests/unit/test-sim-score.c", "fwrite(line, 1, recording_",
     "filled by the call that makes another argument; the pointer is what is passed before"),
    ("cppcheck", "uninitvar", "tests/unit/test-sim-score.c", "ret->rows",
     "filled by sim_run(), by way of setup.check"),
    ("cppcheck", "uninitvar", "tests/fuzz/fuzz-trace.c", "&seen", "it is filled through that pointer"),

    # -- clang's analyser
    ("clang-analyser", "unix.Malloc", "daemon/act/device.c", "return r;", CLEANUP),
    ("clang-analyser", "unix.Malloc", "daemon/act/discover.c", "return -ENOMEM;", CLEANUP),
    ("clang-analyser", "unix.Malloc", "daemon/config/config-parse.c", "units_parse_time(slash", CLEANUP),
    ("clang-analyser", "unix.Malloc", "daemon/serve/history.c", "return r;", CLEANUP),
    ("clang-analyser", "unix.Malloc", "daemon/sim/bound.c", "*ret_bs = sum;", CLEANUP),
    ("clang-analyser", "unix.Malloc", "daemon/sim/trace-re*.c", "return -ENOMEM;", CLEANUP),
    ("clang-analyser", "core.UndefinedBinaryOperatorResult", "daemon/basic/machine.c", "features[bit] == '1'",
     "first_line() has ended the text, and the bit is within its length"),
    ("clang-analyser", "core.NullDereference", "daemon/ctl/ctl-simulate.c", "report.ram = t->ram",
     "read_trace() returns CTL_OK only with a trace"),
    ("clang-analyser", "core.DivideZero", "daemon/sim/guest-flow.h", "amount * part / whole",
     "serve_workload() asks so when something is unmet, and then something was asked for"),
    ("clang-analyser", "unix.Malloc", "tests/bench/tick.c", "out of memory", "the program ends"),
    ("clang-analyser", "unix.Malloc", "tests/unit/test-swap.c", "return -1;", "the test program ends"),
]
