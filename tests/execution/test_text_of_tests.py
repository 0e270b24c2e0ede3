"""What the text of a test may do with a program, and that nothing which either of them does gets out of hand.

Most of it is in `programs/test_text.txt`; here a grader's requests meet a program's process without the sandbox.
"""

from __future__ import annotations

import gc
import json
import marshal
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from strategies import ANSWERS, TEXT_PROGRAM, TEXTS

from rltf.execution.grader.requests import ConnectionBroken, ProgramStopped, Requests, Unjudgeable
from rltf.execution.grader.text_test_code import Scope
from rltf.execution.inside import runner

Send = Callable[..., Any]


@pytest.fixture
def collected() -> Iterator[None]:
    """Frees the coroutines that a text left unawaited here, since Python warns of them in whatever test they die in."""
    yield
    with warnings.catch_warnings(action="ignore"):
        gc.collect()


class Program:
    """A program in a process of its own, and the requests to it."""

    def __init__(self, text: str = TEXT_PROGRAM) -> None:
        self._socket, theirs = socket.socketpair()
        self._pid = os.fork()
        if not self._pid:
            self._socket.close()
            runner.main(theirs.fileno())
        theirs.close()
        self._send([{"program": text, "setup": "", "coverage": False, "trace": False, "mode": "requests"}])
        self.requests = Requests(self._send, self._receive)
        self.scope = Scope(self.requests, "", [])

    def _send(self, messages: list[Any]) -> None:
        for body in map(marshal.dumps, messages):
            self._socket.sendall(len(body).to_bytes(4, "big") + body)

    def _receive(self) -> dict[str, Any]:
        size = self._read(4)
        message: dict[str, Any] = json.loads(self._read(int.from_bytes(size, "big")))
        return message

    def _read(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            chunk = self._socket.recv(size - len(read))
            if not chunk:
                raise ProgramStopped
            read += chunk
        return read

    def outcome(self, text: str) -> str:
        """What becomes of a test."""
        self.requests.begin_test()
        raised: BaseException | None = None
        try:
            self.scope.run(text)
        except (Exception, SystemExit, KeyboardInterrupt, ProgramStopped, ConnectionBroken, Unjudgeable) as e:
            raised = e
        if self.requests.stopped:
            return "stopped"
        if self.requests.unjudgeable is not None:
            return "unjudgeable"
        if raised is None:
            return "passed"
        return "runtime_error" if self.requests.program_error(raised) else "wrong_answer"

    def close(self) -> None:
        """Ends the process."""
        self._socket.close()
        os.waitpid(self._pid, 0)


@pytest.fixture
def program() -> Iterator[Program]:
    made = Program()
    yield made
    made.close()


def test_an_answer_that_nobody_read_is_never_taken_for_another(program: Program) -> None:
    receive = program.requests._receive

    def interrupted() -> dict[str, Any]:
        raise MemoryError

    program.requests._receive = interrupted  # type: ignore[method-assign]
    assert program.outcome("try:\n    f(1)\nexcept MemoryError:\n    pass\nassert f(2) == 2") == "wrong_answer"
    assert program.requests.broken
    program.requests._receive = receive  # type: ignore[method-assign]
    with pytest.raises(ConnectionBroken):
        program.requests.send(["result", "f", [[3], {}], []])


def test_answers_carry_the_number_of_their_request(program: Program) -> None:
    assert program.requests.send(["result", "f", [[3], {}], []]) == {"n": 1, "value": 3}
    assert program.requests.send(["result", "f", [[[4]], {}], []]) == {"n": 2, "value": [4]}
    program.requests._number = 7
    receive = program.requests._receive
    program.requests._receive = lambda: receive() | {"n": 1}  # type: ignore[method-assign]
    with pytest.raises(ConnectionBroken):
        program.requests.send(["result", "f", [[3], {}], []])


@pytest.mark.parametrize("swallow", ["except BaseException", "except", "finally"])
def test_the_end_of_the_program_is_not_swallowed(swallow: str) -> None:
    made = Program("import os\ndef f(x): os._exit(0)")
    assert made.outcome(f"try:\n    f(1)\n{swallow}:\n    pass\nassert True") == "stopped"
    assert made.outcome("assert True\nf(1)") == "stopped"
    made.close()


def test_what_cannot_be_judged_ends_with_its_test(program: Program) -> None:
    assert program.outcome("try:\n    V(1) == V(1)\nexcept BaseException:\n    pass\nassert f(1) == 1") == "unjudgeable"
    assert program.requests.unjudgeable is not None
    assert program.outcome("assert f(1) == 1") == "passed"


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("assert f(f)(3) == 3", "passed"),
        ("assert f(V) is V and f([V])[0] is V", "passed"),
        ("v = V(1)\nassert f(v) is v and f({'v': v})['v'] is v", "passed"),
        ("q = lambda: 3\nassert f(q) is q", "passed"),
        ("a = []\na.append(a)\nassert f(a) is a", "passed"),
        ("assert V(1) != 1 and not V(1) == 1 and V(1) not in [1, None]", "passed"),
        ("assert V(1) in [V(2)]", "unjudgeable"),
        ("assert {V(1): 1}[V(1)]", "unjudgeable"),
        ("assert sorted([V(2), V(1)])[0].x == 1", "passed"),
        ("assert list(V(3)) == [0, 1, 2]", "passed"),
        ("try:\n    h('a')\nexcept E as e:\n    assert e.args == ('a',)", "passed"),
        ("h('a')", "runtime_error"),
        ("assert apply(lambda: 1 / 0)", "runtime_error"),
        ("def bad(): assert False\napply(bad)", "wrong_answer"),
        ("try:\n    apply(lambda: int('x'))\nexcept ValueError:\n    pass", "passed"),
        ("import sys\nassert f(sys)", "unjudgeable"),
        (
            "from concurrent.futures import ThreadPoolExecutor as T\nassert [*T(4).map(f, range(99))] == [*range(99)]",
            "passed",
        ),
        (
            "class T(E): pass\ntry:\n    raise T('x')\nexcept E as e:\n    assert type(e) is T and str(e) == 'x'",
            "passed",
        ),
        ("assert apply(isinstance, V(1), V) and apply(lambda v: v + V(1), V(2)).x == 3", "passed"),
        ("assert [v.x for v in apply(map, lambda n: V(n), [1, 2])] == [1, 2]", "passed"),
        ("import functools\nassert apply(functools.partial(f, 3)) == 3 and apply([4].__getitem__, 0) == 4", "passed"),
        ("assert missing == 1", "runtime_error"),
        ("CONST.append(3)\nassert CONST == [1, 2, 3]", "unjudgeable"),
        ("c = CONST\nc.append(3)\nassert f(1)", "unjudgeable"),
        ("def rec(n): return apply(rec, n - 1) if n else 0\nrec(500)", "unjudgeable"),
        ("from unittest.mock import patch\nwith patch('builtins.input', lambda: '1'):\n    f(1)", "unjudgeable"),
    ],
)
def test_what_becomes_of_a_text(program: Program, text: str, outcome: str) -> None:
    assert program.outcome(text) == outcome


@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine:RuntimeWarning")
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXTS)
def test_any_text_comes_to_an_outcome(text: str) -> None:
    made = Program()
    start = time.monotonic()
    try:
        assert made.outcome(text) in ("passed", "wrong_answer", "runtime_error", "unjudgeable")
        assert not made.requests.stopped
    finally:
        made.close()
    assert time.monotonic() - start < 5


class Forger:
    """A program's process that answers what it likes."""

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        self._answers = answers
        self.requests = Requests(lambda messages: None, self._answer)
        self.scope = Scope(self.requests, "class Node:\n    def __init__(self): self.v = 1", [])

    def _answer(self) -> dict[str, Any]:
        if not self._answers:
            raise ProgramStopped
        return self._answers.pop() | {"n": self.requests._number}


@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine:RuntimeWarning")
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANSWERS, ANSWERS)
def test_any_answer_comes_to_an_outcome(first: dict[str, Any], second: dict[str, Any]) -> None:
    forger = Forger([second, first])
    text = "x = f([1], iter([2]), Node(), lambda a: 1)\nassert x == g(x) == x.y and str(x) and list(x)"
    start = time.monotonic()
    with pytest.raises((Exception, Unjudgeable, ProgramStopped, ConnectionBroken)):
        forger.scope.run(text)
    assert time.monotonic() - start < 5
