"""Programs that do not compile need no process of their own, and get the verdicts that they would get in one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest

from rltf.execution.judge import syntax
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.judge.job_tests import JobTests
from rltf.execution.judge.judge import Judge, JudgeSettings
from rltf.execution.messages import EncodedCall, JobJSON, JudgeTest
from rltf.execution.sandbox.process_tree import children
from rltf.execution.sandbox.settings import SandboxSettings
from rltf.types import AssertTest, Outcome, StdioTest, TextTest, Verdict

CALLS = (EncodedCall("f", [1], 2), EncodedCall("f", [2], 3))
SCRIPTS = (StdioTest("1\n", "2\n"), StdioTest("2\n", "3\n"))
BROKEN = {
    "no colon": "def f(x) return x + 1",
    "not indented": "def f(x):\nreturn x + 1",
    "tabs and spaces": "def f(x):\n\tif x:\n        return x\n",
    "open bracket": "def f(x):\n    return (x + 1",
    "outside a function": "x = 1\nreturn x",
    "two lines": "def f(x):\n    return (x +\n        1 1)",
    "octal": "def f(x):\n    return x + 08",
    "deep": "def f(x):\n    return " + "(" * 300,
    "a byte-order mark": "\ufeffdef f(x) return x",
    "another coding": "# -*- coding: latin-1 -*-\n\u20ac = (",
    "a warning before": "def f(x):\n    return x is 1\n)",
    "nonlocal": "def f(x):\n    nonlocal y",
}
NO_SYNTAX_ERRORS = {
    "a lone surrogate": "x = '\ud800'",
    "passes": "def f(x):\n    return x + 1",
    "fails when it loads": "1 / 0",
    "empty": "",
}


@pytest.fixture
def judge() -> Iterator[Judge]:
    settings = SandboxSettings(source=str(Path(__file__).parents[2]))
    judge = Judge(settings, ErrorTable.paper(), JudgeSettings(1 << 20, stop_at_first_failure=False, max_timeouts=3))
    yield judge
    judge.close()


def verdict(
    judge: Judge, program: str, tests: tuple[JudgeTest, ...] = CALLS, setup: str = "", output: bool = False
) -> Verdict:
    """The verdict without its times."""
    job = JobJSON(
        program=program,
        setup=setup,
        coverage=False,
        memory_mb=256,
        output=output,
        reference=None,
        language="python",
        answers=False,
    )
    timed = judge.judge(job, 2.0, JobTests(crc32(repr(tests).encode()), tests))
    return replace(timed, seconds=0.0, tests=tuple(replace(test, seconds=0.0) for test in timed.tests))


def forks(judge: Judge) -> int:
    """Processes of programs so far."""
    return judge._sandboxes[None]._programs


def look(judge: Judge) -> None:
    """Has programs looked at, as after many that did not compile."""
    judge._syntax._share = 1.0


@pytest.mark.parametrize("tests", [CALLS, SCRIPTS], ids=["calls", "scripts"])
def test_verdicts_are_those_of_a_process_of_its_own(judge: Judge, tests: tuple[JudgeTest, ...]):
    programs = BROKEN | NO_SYNTAX_ERRORS
    expected = {}
    for name, program in programs.items():
        judge._syntax._share = 0.0
        expected[name] = verdict(judge, program, tests)
    assert forks(judge) >= len(programs)
    assert {name for name, v in expected.items() if v.outcome is Outcome.SYNTAX_ERROR} >= set(BROKEN)
    for name, program in programs.items():
        look(judge)
        before = forks(judge)
        assert verdict(judge, program, tests) == expected[name], name
        assert (forks(judge) == before) == (name in BROKEN), name


def test_it_looks_once_a_tenth_of_the_last_programs_did_not_compile(judge: Judge):
    for count in range(1, 5):
        verdict(judge, BROKEN["no colon"])
        assert forks(judge) == count  # 1 - 0.98 ** 5 = 0.096
    verdict(judge, BROKEN["no colon"])
    verdict(judge, BROKEN["no colon"])  # 0.114 after the sixth
    assert forks(judge) == 6
    verdict(judge, BROKEN["octal"])
    assert forks(judge) == 6
    for _ in range(20):
        verdict(judge, NO_SYNTAX_ERRORS["passes"])
    assert judge._syntax._share < 0.1


def test_setup_and_test_text_come_first(judge: Judge):
    look(judge)
    checked = verdict(judge, BROKEN["no colon"], (AssertTest("assert f(1) == 2"),))
    assert (checked.outcome, forks(judge)) == (Outcome.SYNTAX_ERROR, 1)
    assert verdict(judge, BROKEN["no colon"], setup="1 / 0").outcome is Outcome.RUNTIME_ERROR
    assert forks(judge) == 2


def test_a_text_is_no_program(judge: Judge):
    look(judge)
    assert verdict(judge, "forty two", (TextTest("forty two"),)).outcome is Outcome.PASSED


def test_what_a_script_prints_comes_from_a_process(judge: Judge):
    look(judge)
    checked = verdict(judge, BROKEN["no colon"], SCRIPTS, output=True)
    assert (checked.outcome, forks(judge)) == (Outcome.SYNTAX_ERROR, 1)


def test_a_lost_process_changes_no_verdict(judge: Judge):
    expected = verdict(judge, BROKEN["octal"])
    look(judge)
    verdict(judge, BROKEN["octal"])
    assert judge._syntax._sandbox.pid > 1
    for process in children(judge._syntax._sandbox.pid):
        os.kill(process, signal.SIGKILL)
    assert verdict(judge, BROKEN["octal"]) == expected
    assert judge._syntax._process is None
    look(judge)
    assert judge._syntax._sandbox.pid > 1
    os.kill(judge._syntax._sandbox.pid, signal.SIGKILL)
    assert verdict(judge, BROKEN["octal"]) == expected
    look(judge)
    before = forks(judge)
    assert verdict(judge, BROKEN["octal"]) == expected
    assert forks(judge) == before


def test_a_text_that_compiles_slowly_is_judged_in_a_process_of_its_own(judge: Judge, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(syntax, "_SECONDS", 0.001)
    look(judge)
    slow = "def f(x):\n    return x + 1\n" + "y = [" + "1," * 45_000 + "]\n"
    assert verdict(judge, slow).outcome is Outcome.PASSED
    assert judge._syntax._process is None
    assert judge._syntax._share < 0.1
