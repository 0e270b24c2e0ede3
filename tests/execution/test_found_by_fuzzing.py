"""Faults that fuzzing and soaking have found, each by itself."""

from __future__ import annotations

import os
import signal

import pytest
from processes import by_role, eventually

from rltf.execution import LocalExecutor
from rltf.execution.judge.compare import same_output
from rltf.types import AssertTest, CallTest, Job, Outcome, StdioTest, Test, Verdict

ASKS_NOTHING = AssertTest("assert True")
CALLS = (AssertTest("assert f(1) == 2"), CallTest("f", (1,), 2))
WRITES = """
import os
def w(body):
    body = len(body).to_bytes(4, "big") + body
    while body:
        body = body[os.write(3, body):]
"""


def judge(pool: LocalExecutor, program: str, *tests: Test, setup: str = "", coverage: bool = False) -> Verdict:
    return pool.submit(Job(program, tests, setup, timeout=1, coverage=coverage)).result(120)


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("import os\nos._exit(0)", Outcome.RUNTIME_ERROR),
        ("while True: pass", Outcome.TIMEOUT),
        ("def f(:", Outcome.SYNTAX_ERROR),
        ("1 / 0", Outcome.RUNTIME_ERROR),
        ("def f(x): return 1", Outcome.UNJUDGEABLE),
    ],
)
def test_what_a_program_does_by_itself_is_known_where_tests_ask_nothing(
    pool: LocalExecutor, program: str, outcome: Outcome
) -> None:
    """Once ended the worker: all tests were decided, and there was one more decision."""
    verdict = judge(pool, program, ASKS_NOTHING, ASKS_NOTHING)
    assert verdict.outcome is outcome
    assert verdict.error is not None
    assert verdict.error.type != "JudgeLost"


@pytest.mark.parametrize("coverage", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        """'{"load": {"type": "E", "message": "' + 'x' * 3_000_000 + '"}}'""",
        """'{"load": {"type": "E", "classes": [' + '"x",' * 500_000 + '"x"]}}'""",
        """'{"load": {"type": "E", "message": ' + '[' * 960 + ']' * 960 + '}}'""",
    ],
    ids=["long", "many classes", "deep"],
)
def test_no_report_of_a_program_makes_its_tests_unjudgeable(pool: LocalExecutor, body: str, coverage: bool) -> None:
    """Once cost the grader; with coverage, the tests then counted as faulty, and the program earned no blame."""
    verdict = judge(pool, f"{WRITES}w(({body}).encode())", *CALLS, coverage=coverage)
    assert verdict.outcome is Outcome.RUNTIME_ERROR
    assert verdict.error is not None
    assert (verdict.error.type, verdict.error.line) == ("E", None)
    assert len(verdict.error.message) <= 500


@pytest.mark.parametrize("end", ["'x' * 900_000", "[[[]]]", "10 ** 4000", "{'a': 1}"])
def test_an_exit_status_that_is_none_is_1(pool: LocalExecutor, end: str) -> None:
    program = f"{WRITES}import json, sys\nsys.set_int_max_str_digits(0)\nw(json.dumps({{'end': {end}}}).encode())"
    verdict = judge(pool, program, StdioTest("", "1"))
    assert verdict.error is not None
    assert verdict.error.message == "exit status 1"


@pytest.mark.parametrize("line", [10**4000, 1 << 31, 0, -3, True, [1], None])
def test_a_line_that_no_program_has_is_none(pool: LocalExecutor, line: object) -> None:
    report = f"w(json.dumps({{'load': {{'type': 'E', 'line': {line!r}, 'end_line': 10**4000}}}}).encode())"
    verdict = judge(pool, f"{WRITES}import json, sys\nsys.set_int_max_str_digits(0)\n{report}", *CALLS)
    assert verdict.error is not None
    assert (verdict.error.line, verdict.error.end_line) == (None, None)


@pytest.mark.parametrize("where", ["setup", "test"])
def test_copies_of_the_grader_that_test_text_makes_decide_nothing(where: str) -> None:
    """Once the last words of both were read, the second as those on the next program."""
    fork = "import os\nos.fork()\n"
    with LocalExecutor(workers=1) as executor:
        for number in range(6):
            setup, text = (fork, "") if where == "setup" else ("", fork)
            job = Job(f"def f(x): return 3 # {number}", (AssertTest(f"{text}assert f(1) == 2"),), setup)
            right = Job(f"def f(x): return {number}", (CallTest("f", (1,), number),))
            futures = [executor.submit(one) for one in (job, right)]
            outcomes = [future.result(60).outcome for future in futures]
            assert outcomes == [Outcome.WRONG_ANSWER, Outcome.PASSED]


def test_how_a_program_ended_that_closed_its_channel_depends_on_no_race(pool: LocalExecutor) -> None:
    jobs = [Job(f"import os\ndef f(x):\n    os.closerange(0, 99)\n# {i}", (CallTest("f", (1,), 1),)) for i in range(20)]
    errors = {verdict.error and verdict.error.type for verdict in pool.map(jobs)}
    assert errors == {"SystemExit"}


def test_a_grader_that_is_killed_once_changes_no_verdict() -> None:
    program = "import time\ndef f(x):\n    time.sleep(1)\n    return x + 1"
    with LocalExecutor(workers=1) as executor:
        future = executor.submit(Job(program, CALLS, timeout=20))

        def asked() -> list[int]:
            roles = by_role(executor._process.pid)
            return roles["grader"] if roles["program"] else []

        assert eventually(lambda: asked() != [])
        for pid in asked():
            os.kill(pid, signal.SIGKILL)
        verdict = future.result(120)
    assert [test.status for test in verdict.tests] == [Outcome.PASSED] * 2


def test_nothing_finite_is_close_to_what_no_float_holds() -> None:
    assert not same_output("1.0", "1e400")
    assert same_output("1e400", "1e400")
