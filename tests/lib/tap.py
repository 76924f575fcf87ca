# SPDX-License-Identifier: GPL-2.0-or-later
"""A small TAP producer: cases are functions, each gives one or more test points.

    import tap

    @tap.case("a second writer is refused", timeout=30)
    def second_writer(t):
        t.defer(cleanup)                    # runs when the case ends, last deferred first
        t.equal(os.read(fd, 4), b"pong", "answer")
        with t.subtest("after a reload"):   # a test point of its own, does not end the case
            t.check(ready(), "daemon is ready")
        t.skip("no such hardware here")

    if __name__ == "__main__":
        tap.main()

A case passes if it returns. Any exception fails it, with the traceback as TAP
diagnostics; t.check() and its kin raise Failure, which is reported by its text
alone. A case that runs longer than its timeout fails and the next one runs:
timeouts say how long a quiet machine may take, a busy one has PATIENCE times that.
tap.setup() registers what must succeed before the first case: if it raises
Skip the whole suite is skipped with that reason, if it fails all cases fail.

Points are flat and numbered ("case: subtest"), because that is what meson
counts. The plan comes last, so a suite that dies half-way is noticed. Exit
status: 0 all passed or skipped, 1 otherwise. Command line: names (substrings)
select cases, --list names them.

Left out: parallel cases, fixtures, discovery of files. SIGTERM and SIGINT end
the run through the normal unwinding, so that deferred clean-up still happens.
"""
import os
import signal
import subprocess
import sys
import time
import traceback

CLEANUP_TIMEOUT_S = 60
PATIENCE = 3

_cases = []
_setups = []
_teardowns = []
_points = 0
_failed = 0


class Failure(Exception):
    """What the test observed is not what it should be."""


class Skip(Exception):
    """The case cannot run here; the text says why."""


class CaseTimeout(BaseException):
    """Raised out of whatever the case was doing. Not an Exception, so that a
    broad except clause in a helper does not swallow it."""


class _Terminated(BaseException):
    pass


def case(name, timeout=60, args=()):
    """Decorator: registers a function of one argument (the T), plus @args."""
    def register(fn):
        _cases.append((name, fn, timeout, tuple(args)))
        return fn
    return register


def add(name, fn, *args, timeout=60):
    """Registers @fn(t, *args); for tables of cases."""
    _cases.append((name, fn, timeout, args))


def setup(fn):
    """Decorator: @fn() runs before the first selected case (60 s unless fn.timeout is set, times PATIENCE)."""
    _setups.append(fn)
    return fn


def teardown(fn):
    """Decorator: @fn() runs after the last case, also when the suite is interrupted."""
    _teardowns.append(fn)
    return fn


def diag(text):
    """Prints @text as TAP comments; flushed, so that progress can be watched."""
    for line in str(text).splitlines() or [""]:
        print("# " + line.rstrip("\r"), flush=True)


def _point(ok, name, directive=""):
    global _points, _failed
    _points += 1
    _failed += not ok
    # '#' starts a directive and cannot be escaped in the TAP that meson reads.
    name = " ".join(name.replace("#", "no.").split())
    print(f"{'ok' if ok else 'not ok'} {_points} - {name}{directive}", flush=True)


class T:
    """What a case gets: assertions, clean-up, subtests."""

    def __init__(self, name, timeout):
        self.name = name
        self.deadline = time.monotonic() + timeout * PATIENCE
        self._deferred = []
        self._on_failure = []

    # -- flow -----------------------------------------------------------
    def defer(self, fn, *args, **kwargs):
        """Calls fn(*args) when the case ends, however it ends; last in, first out."""
        self._deferred.append((fn, args, kwargs))

    def on_failure(self, fn):
        """@fn() -> text, printed as diagnostics if the case (or a subtest) fails."""
        self._on_failure.append(fn)

    def diag(self, text):
        diag(text)

    def skip(self, why):
        raise Skip(why)

    def left(self):
        """Seconds until the case's timeout."""
        return max(0.0, self.deadline - time.monotonic())

    def subtest(self, name):
        """A point of its own."""
        return _Subtest(self, name)

    # -- assertions -----------------------------------------------------
    def check(self, ok, what):
        if not ok:
            raise Failure(what)

    def fail(self, what):
        raise Failure(what)

    def equal(self, got, want, what="value"):
        if got != want:
            raise Failure(f"{what}: got {got!r}, want {want!r}")

    def contains(self, haystack, needle, what="text"):
        if needle not in haystack:
            raise Failure(f"{what}: {needle!r} is not in {haystack!r}")

    def between(self, got, low, high, what="value"):
        if not low <= got <= high:
            raise Failure(f"{what}: got {got}, want {low} to {high}")

    def raises(self, exc, fn, *args, errno=None, **kwargs):
        """Calls fn and returns the exception that it must raise."""
        try:
            fn(*args, **kwargs)
        except exc as e:
            if errno is not None and getattr(e, "errno", None) != errno:
                raise Failure(f"errno {getattr(e, 'errno', None)} ({os.strerror(e.errno)}), "
                              f"want {errno} ({os.strerror(errno)})") from e
            return e
        raise Failure(f"{getattr(fn, '__name__', fn)} did not raise {exc.__name__}")

    def wait(self, fn, timeout, what, interval=0.2):
        """Polls fn() until it is true and returns its value; fails after @timeout seconds times PATIENCE."""
        timeout *= PATIENCE
        end = time.monotonic() + timeout
        while True:
            value = fn()
            if value:
                return value
            if time.monotonic() > end:
                raise Failure(f"{what}: not within {timeout} s (last: {value!r})")
            time.sleep(interval)

    def run(self, argv, timeout=30, status=None, **kwargs):
        """Runs a program with text output captured; with @status, its exit status must be that."""
        p = subprocess.run(argv, stdin=kwargs.pop("stdin", subprocess.DEVNULL), text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout * PATIENCE, **kwargs)
        if status is not None and p.returncode != status:
            raise Failure(f"{argv!r}: exit status {p.returncode}, want {status}\n"
                          f"stdout: {p.stdout}\nstderr: {p.stderr}")
        return p


class _Subtest:
    def __init__(self, t, name):
        self.t, self.name = t, name

    def __enter__(self):
        return self.t

    def __exit__(self, kind, exc, tb):
        full = f"{self.t.name}: {self.name}"
        if exc is None:
            _point(True, full)
        elif isinstance(exc, Skip):
            _point(True, full, f" # SKIP {exc}")
        elif isinstance(exc, Exception):
            _report(full, exc, self.t._on_failure)
        else:
            return False
        return True


def _report(name, exc, on_failure):
    _point(False, name)
    if isinstance(exc, (Failure, CaseTimeout)):
        diag(f"{type(exc).__name__}: {exc}")
        frames = [f for f in traceback.extract_tb(exc.__traceback__) if f.filename != __file__]
        if frames:
            diag(f"  at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}: {frames[-1].line}")
    else:
        diag("".join(traceback.format_exception(exc)))
    for fn in on_failure:
        try:
            diag(fn())
        except Exception as e:
            diag(f"(no diagnostics: {e!r})")


def _alarm(signum, frame):
    raise CaseTimeout("took too long")


def _terminate(signum, frame):
    signal.signal(signum, signal.SIG_IGN)
    raise _Terminated(signal.Signals(signum).name)


def _limited(seconds, fn, *args):
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return fn(*args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _run_case(name, fn, timeout, args):
    t = T(name, timeout)
    started = time.monotonic()
    before = _points
    try:
        _limited(timeout * PATIENCE, fn, t, *args)
    except Skip as e:
        _point(True, name, f" # SKIP {e}")
    except (Exception, CaseTimeout) as e:
        _report(name, e, t._on_failure)
    else:
        # A case whose subtests spoke for it needs no point of its own.
        if _points == before:
            _point(True, name)
    finally:
        _clean_up(t)
    diag(f"{name}: {time.monotonic() - started:.1f} s")


def _clean_up(t):
    while t._deferred:
        fn, args, kwargs = t._deferred.pop()
        try:
            _limited(CLEANUP_TIMEOUT_S * PATIENCE, lambda: fn(*args, **kwargs))
        except (Exception, CaseTimeout) as e:
            _report(f"{t.name}: clean-up", e, [])


def _run(selected):
    for fn in _setups:
        try:
            _limited(getattr(fn, "timeout", 60) * PATIENCE, fn)
        except Skip as e:
            print(f"1..0 # SKIP {e}", flush=True)
            return
        except (Exception, CaseTimeout) as e:
            for name, *_ in selected:
                _report(name, e, [])
                e = Failure("set-up failed, see above")
            print(f"1..{_points}", flush=True)
            return
    for entry in selected:
        _run_case(*entry)
    print(f"1..{_points}", flush=True)


def main(argv=None):
    """Runs the registered cases and exits."""
    argv = sys.argv[1:] if argv is None else argv
    if "--list" in argv:
        print("\n".join(c[0] for c in _cases))
        sys.exit(0)
    selected = [c for c in _cases if not argv or any(a in c[0] for a in argv)]
    if not selected:
        print(f"no case matches {argv}", file=sys.stderr)
        sys.exit(2)
    signal.signal(signal.SIGALRM, _alarm)
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _terminate)
    status = 1
    try:
        _run(selected)
        status = 1 if _failed else 0
    except _Terminated as e:
        print(f"Bail out! stopped by {e}", flush=True)
    finally:
        for fn in reversed(_teardowns):
            try:
                _limited(CLEANUP_TIMEOUT_S * PATIENCE, fn)
            except (Exception, CaseTimeout) as e:
                diag(f"teardown: {e!r}")
                status = 1
    sys.exit(status)
