"""Jobs that hypothesis makes for `test_fuzzing.py`, each with the outcomes that may come of it."""

from __future__ import annotations

import datetime
import fractions
import itertools
import json
from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from program_list import SECRET
from strategies import ANSWERS, EXPRESSIONS, LIBRARY_VALUES, MESSAGES, TEXT_PROGRAM, TEXTS, VALUES

from rltf.execution.grader.compare import same_value
from rltf.execution.judge.compare import same_output
from rltf.types import AssertTest, CallTest, CheckTest, Job, Outcome, StdioTest, Test

ANY = frozenset(Outcome)
FAILED = ANY - {Outcome.PASSED}
"""Whatever a program says, when it never says what is expected."""
BY_ANSWER = frozenset({Outcome.PASSED, Outcome.WRONG_ANSWER})
_TIMEOUT = 0.25
"""Seconds; long enough for honest programs on a busy machine only where nobody expects them to pass."""
_PATIENT = 20.0


@dataclass(frozen=True)
class FuzzedJob:
    """A job, and what may come of it."""

    job: Job
    possible: frozenset[Outcome]

    def __repr__(self) -> str:
        """Begins as the job does; thousands of tests would be a warning of their own that hides the failure."""
        return f"FuzzedJob({str(self.job)[:5000]}, {len(self.job.tests)} tests)"


# values: what a program returns is what was drawn

_NAMES: dict[str, Any] = {
    "datetime": datetime,
    "Decimal": Decimal,
    "Fraction": fractions.Fraction,
    "deque": deque,
    "inf": float("inf"),
    "nan": float("nan"),
    "infj": complex(0, float("inf")),
}
_IMPORTS = """import datetime
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction
from array import array
from uuid import UUID
from pathlib import PurePosixPath
inf, nan, infj = float("inf"), float("nan"), complex(0, float("inf"))
"""


@st.composite
def value_jobs(draw: st.DrawFn) -> FuzzedJob:
    """Passes exactly where the value that the program's text names is the expected one."""
    value = draw(VALUES)
    expected = value if draw(st.booleans()) else draw(VALUES)
    try:
        assume(eval(repr(value), _NAMES) == value)
    except (SyntaxError, ValueError):  # an integer of too many digits
        assume(False)
    outcome = Outcome.PASSED if same_value(value, expected) else Outcome.WRONG_ANSWER
    args = tuple(draw(st.lists(VALUES, max_size=2)))
    program = f"{_IMPORTS}def f(*args):\n    return {value!r}\n"
    return FuzzedJob(Job(program, (CallTest("f", args, expected),), timeout=_PATIENT), frozenset({outcome}))


@st.composite
def echo_jobs(draw: st.DrawFn) -> FuzzedJob:
    """Values arrive at the program, in whatever form of test, and come back."""
    args = tuple(draw(st.lists(VALUES, max_size=3)))
    text = f"assert f(*{args!r}) == {args!r}"
    tests: list[Test] = [CallTest("f", args, args)]
    possible = frozenset({Outcome.PASSED})
    if draw(st.booleans()):
        tests.append(AssertTest(_IMPORTS + text))
        possible = possible if len(text) < 1000 and args else ANY  # without a value the test may check nothing
    return FuzzedJob(Job("def f(*args):\n    return args", tuple(tests), timeout=_PATIENT), possible)


LIBRARY_JOBS = st.tuples(LIBRARY_VALUES, LIBRARY_VALUES | VALUES).map(
    lambda pair: FuzzedJob(
        Job(f"{_IMPORTS}def f(x):\n    return {pair[0]!r}", (AssertTest(f"{_IMPORTS}assert f(1) == {pair[1]!r}"),)),
        BY_ANSWER | {Outcome.UNJUDGEABLE},
    )
)
"""Values whose type the test sees."""

# messages: what a program writes on its channel is no verdict


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def _json(value: Any) -> bytes:
    return _framed(json.dumps(value).encode())


_ERROR = st.fixed_dictionaries(
    {},
    optional={
        "type": MESSAGES | st.text(max_size=3),
        "message": MESSAGES | st.just("x" * 2_000_000),
        "line": MESSAGES | st.sampled_from((10**30, 10**4000, -1, True)),
        "end_line": MESSAGES | st.just(10**4000),
        "classes": MESSAGES | st.just(["MemoryError"] * 50_000),
        "incomplete": MESSAGES,
    },
)
_KINDS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("syntax", "load", "error"), _ERROR | MESSAGES),
        "end": MESSAGES | st.just("x" * 900_000),
        "loaded": MESSAGES,
        "n": st.integers(0, 4) | MESSAGES,
    },
)
_PIECES = st.one_of(
    st.tuples(ANSWERS, st.integers(1, 4)).map(lambda pair: _json(pair[0] | {"n": pair[1]})),
    _KINDS.map(_json),
    MESSAGES.map(_json),
    st.binary(max_size=40).map(_framed),
    st.binary(max_size=40),
    st.integers(900, 1100).map(lambda n: _framed(b'{"n":1,"value":' + b"[" * n + b"]" * n + b"}")),
    st.integers(900, 1000).map(lambda n: _framed(b'{"end":' + b"[" * n + b"]" * n + b"}")),
    st.sampled_from(
        (
            *(b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x04\0\0\0", b"\0\0\0\x05{", _framed(b"{" * 100_000)),
            b'Stack (most recent call first):\n  File "<program>", line 1234567 in f\n',
            b'Stack\n  File "<program>", line ' + b"9" * 5000,
            _framed(b'{"n":1,"value":' + b"9" * 4300 + b"}"),
            _framed(b'{"n":1,"value":[' + b"[]," * 200_000 + b"[]]}"),
            _framed(b'{"n":1,"value":1e999}'),
            _framed(b'{"n":1,"value":{"int":"' + b"f" * 100_000 + b'"}}'),
        )
    ),
)
_ENDS = st.sampled_from(
    (
        *("return 1", "return x", "return {}", "os._exit(0)", "raise ValueError(1)", "sys.exit(3)", "os.close(3)"),
        *("os.kill(os.getpid(), 11)", "os.read(3, 9)", "os.fork()", "socket.socket(fileno=os.dup(3)).shutdown(2)"),
        *("os.dup2(1, 3)", "raise SystemExit", "raise KeyboardInterrupt", "raise AssertionError", "os.abort()"),
        "socket.send_fds(socket.socket(fileno=os.dup(3)), [b'x'], [0, 1, 2])",
        "threading.Thread(target=w, args=(PIECES[0] * 99,)).start()",
        "class A:\n        def __eq__(self, other): return True\n    return A()",
    )
)
_SLEEPS = st.sampled_from(("time.sleep(9)", "while True: pass"))
_SECRET_TESTS = (
    CallTest("f", (3,), SECRET),
    AssertTest(f"assert f(3) == {SECRET}"),
    AssertTest(f"x = f([1])\nassert list(x) == [{SECRET}] and x is not f(x)"),
    CheckTest(f"def check(c):\n    for x in c(3): assert x == {SECRET}\n    assert c(3) == {SECRET}", "f"),
    AssertTest(f"assert f(lambda a=0: a) == {SECRET} or sorted(f(iter([2, 1])), key=f) == [{SECRET}]"),
    AssertTest(f"n = Node(1)\nassert f(n).v == {SECRET} and n.v in ({SECRET}, f(n), [n])"),
    AssertTest(f"import random\nx = f({{1: [2]}})\nassert x['a'] == {SECRET}, [y for y in x]"),
    StdioTest("", f"{SECRET}\n"),
)
_NODE = "class Node:\n    def __init__(self, v):\n        self.v = v\n"


@st.composite
def message_jobs(draw: st.DrawFn) -> FuzzedJob:
    """The program writes what it likes where its answers go, at its load or when it is called."""
    pieces = draw(st.lists(_PIECES, min_size=1, max_size=4))
    end = draw(_ENDS if draw(st.integers(0, 9)) else _SLEEPS)
    body = "for piece in PIECES: w(piece)"
    at_load = draw(st.booleans())
    program = (
        f"import os, socket, sys, threading, time\nPIECES = {pieces!r}\n"
        "def w(data):\n    while data: data = data[os.write(3, data):]\n"
        f"def f(x):\n    {body}\n    {end}\n{body if at_load or draw(st.booleans()) else ''}\n"
    )
    tests = tuple(draw(st.lists(st.sampled_from(_SECRET_TESTS), min_size=1, max_size=4)))
    return FuzzedJob(Job(program, tests, _NODE, _TIMEOUT, coverage=draw(st.booleans())), FAILED)


# texts: whatever the tests and the setup of a task are

SETUPS = st.sampled_from(
    (
        *("", "import math", "K = 3", "def f(x): return 0", "import sys; sys.exit(0)", "raise SystemExit", "f(1)"),
        *("import os; os._exit(3)", "import os; os.kill(os.getpid(), 9)", "import os; os.close(3)", "1 / 0", "def f(:"),
        *(
            "import sys; sys.setrecursionlimit(10**6)",
            "import sys; sys.setrecursionlimit(30)",
            "raise KeyboardInterrupt",
        ),
        *("import decimal; decimal.getcontext().prec = 3", "import builtins; builtins.len = None", "x = [0] * 10**9"),
        *("import os; os.fork()", "import signal; signal.alarm(1)", "import gc; gc.disable()", "del __builtins__"),
        *(
            "import threading; threading.Thread(target=print).start()",
            "import resource",
            "import socket; socket.socket()",
        ),
        *("import sys; sys.modules.clear()", "import json; json.loads = None", "def check(c): assert c(1) == 1"),
        *("(" * 300, "-" * 3000 + "1", "x = " + "[" * 90 + "]" * 90, "\0", "\ud800", "a = '\ud800'", "x" * 100_000),
        *(
            "import sys; sys.stdout = None",
            "import atexit, os; atexit.register(os.abort)",
            "class Node: pass\nn = Node()",
        ),
        *("import time; time.sleep = None", "import os; os.write(3, b'x' * 99)", "import numpy as np\nK = np.ones(3)"),
    )
)
"""Setup code, good and bad, that comes to an end."""
_JUNK = st.one_of(
    st.text(max_size=30),
    st.text("assert f(1)=2[]{}:\n\t 'x\"#\\@lambda", max_size=40),
    SETUPS,
    EXPRESSIONS,
    EXPRESSIONS.map(lambda text: f"def check(candidate):\n    assert candidate({text}) == {text}"),
    EXPRESSIONS.map(lambda text: f"import threading\nassert [{text}, f(threading.current_thread)]"),
    EXPRESSIONS.map(lambda text: f"try:\n    {text}\nexcept BaseException: pass\nfinally:\n    assert f({text})"),
    EXPRESSIONS.map(lambda text: f"for i in range(20):\n    x = {text}\nassert x, repr(x)"),
    EXPRESSIONS.map(lambda text: f"class T(V): pass\nassert apply(lambda *a: T({text}), 1, 2)"),
    EXPRESSIONS.map(lambda text: f"async def t(): return await co({text})\nimport asyncio\nassert asyncio.run(t())"),
)


@st.composite
def text_jobs(draw: st.DrawFn) -> FuzzedJob:
    """Any text may be a test."""
    kinds = st.builds(AssertTest, TEXTS | _JUNK) | st.builds(CheckTest, _JUNK | TEXTS, st.sampled_from(("f", "V", "x")))
    tests = tuple(draw(st.lists(kinds, min_size=1, max_size=3)))
    program = TEXT_PROGRAM if draw(st.integers(0, 4)) else draw(SETUPS | st.text(max_size=60))
    setup = draw(SETUPS | TEXTS | st.just(""))
    return FuzzedJob(Job(program, tests, setup, _TIMEOUT, coverage=draw(st.booleans())), ANY)


# limits and streams

_HUNGRY = (
    *("return x", "time.sleep(x / 90)", "return [0] * x * 10**5", "print('x' * x * 10**5)", "return f(x)"),
    *("return bytearray(x << 22)", "[os.fork() for _ in range(3)]", "return str(10 ** (x * 10**3))"),
    *("sys.stderr.write('y' * x * 10**5)", "open('a', 'w').write('z' * x * 10**6)", "return list(range(x * 10**4))"),
)


@st.composite
def limit_jobs(draw: st.DrawFn) -> FuzzedJob:
    """Limits of every size, kept or not."""
    program = f"import os, sys, time\ndef f(x):\n    {draw(st.sampled_from(_HUNGRY))}\nf({draw(st.integers(0, 1))})"
    count = draw(st.integers(1, 12) | st.sampled_from((300, 2000)))
    step = draw(st.integers(0, 5))
    tests: tuple[Test, ...] = tuple(CallTest("f", (i * step % 32,), i * step % 32) for i in range(count))
    if draw(st.booleans()):
        tests = (*tests[:12], StdioTest("", ""), AssertTest("assert f(2) == 2"))
    timeout = draw(st.floats(1e-9, 0.1) | st.sampled_from((1e-320, 0.01, 0.1)))
    memory = draw(st.integers(1, 64) | st.just(1 << 20))
    return FuzzedJob(Job(program, tests, timeout=timeout, memory_mb=memory, coverage=draw(st.booleans())), ANY)


@st.composite
def stdio_jobs(draw: st.DrawFn) -> FuzzedJob:
    """What comes in at stdin goes out at stdout; right where it is what competitive judges call the same."""
    text = draw(st.text() | st.text("1.0e+-\n \t\r9", max_size=12))
    expected = text if draw(st.booleans()) else draw(st.text("1.0e+-\n \t\r9", max_size=12))
    program = draw(
        st.sampled_from(
            (
                "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())",
                f"import sys\nsys.stdout.buffer.write({text.encode()!r})",
                "import os\nos.write(1, os.read(0, 1 << 16))",
            )
        )
    )
    outcome = Outcome.PASSED if same_output(text, expected) else Outcome.WRONG_ANSWER
    return FuzzedJob(Job(program, (StdioTest(text, expected),), timeout=_PATIENT), frozenset({outcome}))


JOBS = st.one_of(
    *(value_jobs(), echo_jobs(), LIBRARY_JOBS, message_jobs(), message_jobs(), text_jobs(), text_jobs()),
    *(limit_jobs(), stdio_jobs()),
)
_unique = itertools.count()


def unlike_any_other(fuzzed: FuzzedJob) -> FuzzedJob:
    """The same job under a time limit that no other has, so that no earlier verdict answers it."""
    timeout = (fuzzed.job.timeout or _TIMEOUT) * (1 + 1e-9 * next(_unique))
    return replace(fuzzed, job=replace(fuzzed.job, timeout=timeout))
