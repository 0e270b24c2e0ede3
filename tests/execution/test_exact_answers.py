"""Calls whose answers are to the byte what is expected are decided by the worker; all others by the grader."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from counting_judge import CountingJudge

from rltf.execution.judge.exact_answers import ExactCalls, KnownCalls
from rltf.execution.judge.job_tests import JobTests
from rltf.execution.judge.progress import TestProgress
from rltf.execution.messages import EncodedCall, JudgeTest
from rltf.execution.sandbox.limits import Limits
from rltf.types import AssertTest, CallTest, Outcome, StdioTest, Verdict

CALLS = [CallTest("f", (i,), i + 100) for i in range(5)]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingJudge]:
    counting = CountingJudge(monkeypatch)
    yield counting
    counting.close()


def statuses(verdict: Verdict) -> list[str]:
    return [str(test.status.value) for test in verdict.tests]


def test_right_answers_need_no_grader(judge: CountingJudge) -> None:
    for answer in (3, -1.5, None, True, "é\ud800", [1, [2]], (1, 2), {"a": {1}}, 1 << 80, b"x", float("inf")):
        verdict = judge(f"def f(): return {answer!r}".replace("inf", "float('inf')"), CallTest("f", (), answer))
        assert (verdict.outcome, judge.graded) == (Outcome.PASSED, 0), answer
    verdict = judge("def f(x): return x + 100", *CALLS)
    assert (statuses(verdict), judge.graded) == (["passed"] * 5, 0)
    assert all(test.seconds > 0 for test in verdict.tests)
    verdict = judge("print('x' * 300_000)\ndef f(x): return x + 100", *CALLS)  # more than a pipe holds
    assert (statuses(verdict), judge.graded) == (["passed"] * 5, 0)


@pytest.mark.parametrize(
    ("program", "expected", "graded"),
    [
        ("def f(x): return float(x + 100)", ["passed"] * 5, 1),  # equal, in other bytes
        ("def f(x): return x + 100 - (x == 1)", ["passed", "wrong_answer", "passed", "passed", "passed"], 1),
        ("def f(x): return x + 100 if x - 3 else x / 0", ["passed"] * 3 + ["runtime_error", "passed"], 1),
        (
            "import os\ndef f(x): return x + 100 if x - 3 else os._exit(0)",
            ["passed"] * 3 + ["runtime_error", "passed"],
            2,
        ),
        ("import os\ndef f(x): return x + 100 if x - 3 else os.execv('/bin/true', ['a'])", None, 2),
        ("def f(x): return [x] * 30_000", ["wrong_answer"] * 5, 1),
        ("1 / 0", ["runtime_error"] * 5, 1),
        ("def f(x: return", ["syntax_error"] * 5, 1),
        ("g = 1", ["runtime_error"] * 5, 1),
    ],
)
def test_other_answers_are_the_graders(
    judge: CountingJudge, program: str, expected: list[str] | None, graded: int
) -> None:
    verdict = judge(program, *CALLS)
    assert statuses(verdict) == (expected or ["passed"] * 3 + ["violation", "passed"])
    assert judge.graded == graded


def test_a_program_that_takes_long_is_handed_over_as_it_is(
    judge: CountingJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rltf.execution.judge.exact_answers._WAIT_SECONDS", 0.02)
    program = "import time\ndef f(x):\n    time.sleep(0.1)\n    return x + 100"
    assert (statuses(judge(program, *CALLS)), judge.graded) == (["passed"] * 5, 1)
    verdict = judge("def f(x):\n    while x == 2: pass\n    return x + 100", *CALLS, timeout=1.0)
    assert statuses(verdict) == ["passed", "passed", "timeout", "passed", "passed"]
    assert verdict.error is not None
    assert verdict.error.line == 2


@pytest.mark.parametrize(
    "forgery",
    [
        'os.write(3, frame(b\'{"n":1,"value":1}\'))',  # all that it says is compared, not its beginning
        "os.write(3, answers[:-1])",
        "os.write(3, answers); os.execv('/bin/true', ['a'])",
    ],
)
def test_bytes_beside_the_right_ones_do_not_count_as_right(judge: CountingJudge, forgery: str) -> None:
    program = (
        "import os\ndef frame(body): return len(body).to_bytes(4, 'big') + body\n"
        'answers = frame(b\'{"n":1,"value":1}\') + frame(b\'{"n":2,"value":3}\')\n'
        f"def f(x):\n    if x == 0: {forgery}\n    return 0\n"
    )
    verdict = judge(program, CallTest("f", (0,), 1), CallTest("f", (5,), 3))
    assert verdict.outcome is not Outcome.PASSED
    assert judge.graded or verdict.outcome is Outcome.VIOLATION


@pytest.mark.parametrize("size", [100_000, 200_000, 390_000])
def test_more_bytes_than_a_socket_takes_hold_nobody_up(judge: CountingJudge, size: int) -> None:
    program = (
        "import os, socket\n"
        "def f(x):\n"
        "    channel = socket.socket(fileno=3)\n"
        "    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)\n"
        "    channel.setblocking(False)\n"
        f"    channel.send(b'x' * {size})\n"
        "    os._exit(0)\n"
    )
    start = time.monotonic()
    verdict = judge(program, CallTest("f", (0,), 1), timeout=10.0)
    assert verdict.outcome is not Outcome.PASSED
    assert time.monotonic() - start < 9


def progress(*tests: JudgeTest, program: str = "", **options: Any) -> TestProgress:
    return TestProgress(program, "", JobTests(0, tests), Limits(1.0, 1 << 20, 1 << 10), **options)


CALL = EncodedCall("f", [1], 2)


def test_what_is_sent_without_a_grader_is_short_and_of_calls_alone() -> None:
    assert ExactCalls.of([CALL, CALL]) is not None
    for other in (AssertTest("assert f(1) == 2"), StdioTest("1", "2")):
        assert ExactCalls.of([CALL, other]) is None
    assert ExactCalls.of([CALL] * 257) is None
    assert ExactCalls.of([EncodedCall("f", ["x" * 40_000], 2)]) is None
    assert ExactCalls.of([EncodedCall("f", [1], "x" * 40_000)]) is None
    assert ExactCalls.of([EncodedCall("f", [1], json.loads("[NaN]"))]) is None  # it is equal to nothing
    # an input that is the answer to another call waits for that answer, since the program could read it
    apart = ExactCalls.of([CALL, EncodedCall("f", [{"tuple": [2]}], 3)])
    assert apart is not None
    assert [group.number for group in apart.groups] == [1, 1]


def test_what_else_is_asked_of_calls_is_asked_by_a_grader() -> None:
    known = KnownCalls()
    assert known.of(progress(CALL, CALL), [0, 1]) is not None
    assert known.of(progress(CALL, CALL), [0]) is None
    assert known.of(progress(CALL, CALL, stop_at_first_failure=True), [0, 1]) is None
    assert known.of(progress(CALL, CALL, program="#" * 40_000), [0, 1]) is None
    for option in ({"answers": True}, {"coverage": True}, {"language": "javascript"}):
        assert known.of(progress(CALL, CALL, **option), [0, 1]) is None
    known.forget(0)
    assert known.of(progress(CALL, stop_at_first_failure=True), [0]) is not None
