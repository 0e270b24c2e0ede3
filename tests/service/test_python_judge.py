"""`from rltf import Judge, rewards`: plain texts and tests, without a run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rltf import Judge, rewards
from rltf.service.job_rows import row_of_job
from rltf.service.test_sets import TestSet, parse_test_set
from rltf.types import AssertTest, CallTest, Job, Outcome, StdioTest

README = Path(__file__).parents[2] / "README.md"
RIGHT, WRONG, BROKEN, ERROR = (
    "def f(x): return x + 1",
    "def f(x): return 2",
    "def f(x): return (",
    "def f(x): return x / 0",
)
TESTS = ["assert f(1) == 2", "assert f(2) == 3"]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(workers=2, timeout=2.0) as judge:
        yield judge


@pytest.mark.parametrize(
    ("tests", "records"),
    [
        (["assert f(1) == 2"], (AssertTest("assert f(1) == 2"),)),
        ("assert f(1) == 2", (AssertTest("assert f(1) == 2"),)),
        ('["assert f(1) == 2"]', (AssertTest("assert f(1) == 2"),)),
        ([CallTest("f", (1,), 2)], (CallTest("f", (1,), 2),)),
        ([{"kind": "call", "function": "f", "args": [1], "expected": 2}], (CallTest("f", (1,), 2),)),
        ([{"input": "1\n", "output": "2\n", "fn_name": None, "type": "stdin_stdout"}], (StdioTest("1\n", "2\n"),)),
        ([{"input": [1], "output": 2, "fn_name": "f"}], (CallTest("f", (1,), 2),)),
        (
            [
                {"kind": "call", "function": "f", "args": [1], "expected": None, "code": None},
                {"kind": "assert", "code": "assert f(1)", "function": None, "args": None, "expected": None},
            ],
            (CallTest("f", (1,), None), AssertTest("assert f(1)")),
        ),
        ({"inputs": ["1", "2"], "outputs": ["2", "3"]}, (StdioTest("1", "2"), StdioTest("2", "3"))),
        ({"inputs": [[1]], "outputs": [[2]], "fn_name": "f"}, (CallTest("f", (1,), 2, or_in_list=True),)),
        ({"inputs": ["1\n[2]"], "outputs": ["3"], "fn_name": "f"}, (CallTest("f", (1, [2]), 3),)),
    ],
)
def test_tests_are_read_in_the_forms_of_data_sets(tests: TestSet, records: tuple[object, ...]) -> None:
    assert parse_test_set(tests) == records


@pytest.mark.parametrize(
    ("tests", "says"),
    [
        ([], "`tests` is empty"),
        (None, "`tests` is missing: expected a list of tests"),
        (["f(1) == 2"], "tests[0].code checks nothing"),
        ([{"kind": "asert", "code": ""}], "tests[0] is 'asert': expected kind"),
        ([{"input": "1", "output": "2", "fn_nam": "f"}], "unknown key `tests[0].fn_nam`: did you mean fn_name?"),
        ([{"input": "1", "output": "2", "type": "file"}], "tests[0].type is 'file'"),
        ([{"input": "1"}], "tests[0] has an input without output"),
        ([{"input": 3, "output": 4, "fn_name": "f"}], "tests[0] calls f with what is no list of arguments"),
        ([{"input": [3], "output": 4, "fn_name": ""}], "tests[0].fn_name is a string: expected the name"),
        ({"inputs": ["1"], "outputs": []}, "of the same length, not empty"),
        ("{]", "begins like JSON and is none"),
        (b"assert f(1)", "expected a list of tests"),
    ],
)
def test_tests_that_cannot_be_read_are_refused_in_one_sentence(tests: TestSet, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        parse_test_set(tests)
    assert "\n" not in str(caught.value)


def test_many_programs_have_their_verdicts_in_order(judge: Judge) -> None:
    verdicts = judge.judge_many([RIGHT, WRONG, BROKEN, ERROR], [TESTS] * 4)
    assert [v.outcome.value for v in verdicts] == ["passed", "wrong_answer", "syntax_error", "runtime_error"]
    assert [v.passed for v in verdicts] == [2, 1, 0, 0]
    assert asyncio.run(judge.judge_many_async([RIGHT, BROKEN], [TESTS] * 2)) == [verdicts[0], verdicts[2]]


def test_programs_and_test_sets_are_as_many(judge: Judge) -> None:
    with pytest.raises(ValueError, match="2 programs with 1 test sets"):
        judge.judge_many([RIGHT, WRONG], [TESTS])
    with pytest.raises(ValueError, match=r"programs\[1\]: `tests` is empty"):
        judge.judge_many([RIGHT, WRONG], [TESTS, []])
    with pytest.raises(ValueError, match=r"programs\[0\] is None: expected a string"):
        judge.judge_many([None], [TESTS])  # type: ignore[list-item]


def test_limits_and_setup_are_those_of_the_call(judge: Judge) -> None:
    assert judge.judge("def f(x): return sqrt(x)", ["assert f(4) == 2"], setup="from math import sqrt").passed == 1
    slow = judge.judge("import time\ntime.sleep(1)\nx = 1", ["assert x == 1"], timeout=0.2)
    assert slow.outcome is Outcome.TIMEOUT
    with pytest.raises(ValueError, match="timeout is -1"):
        judge.judge(RIGHT, TESTS, timeout=-1)
    with pytest.raises(TypeError, match="timeot"):
        judge.judge(RIGHT, TESTS, timeot=1)


def test_the_ladder_pays_what_its_classes_say(judge: Judge) -> None:
    # of two tests WRONG passes one: adaptive is -0.3 + 1.3 / 2 = 0.35, pass first 0.1 / 2 = 0.05
    texts = [f"Here:\n```python\n{program}\n```\nDone." for program in (RIGHT, WRONG, BROKEN, ERROR)]
    expected = {
        "coarse": [1.0, -0.3, -1.0, -0.6],
        "adaptive": [1.0, 0.35, -1.0, -0.6],
        "pass_first": [1.0, 0.05, 0.0, 0.0],
        "binary": [1.0, 0.0, 0.0, 0.0],
    }
    for kind, values in expected.items():
        assert rewards.score(texts, [TESTS] * 4, judge, kind) == pytest.approx(values)
    assert rewards.score(texts[1:2], [TESTS], judge, rewards.Coarse(wrong_answer=0.5)) == [0.5]


def test_what_cannot_be_judged_has_no_reward(judge: Judge) -> None:
    assert rewards.score([RIGHT], [["import sys\nsys.stdout = None\nassert f(1) == 2"]], judge) == [None]


def test_an_unknown_reward_is_named(judge: Judge) -> None:
    with pytest.raises(ValueError, match="reward is 'coarce': expected coarse, adaptive, pass_first or binary"):
        rewards.score([RIGHT], [TESTS], judge, "coarce")


def test_thinking_and_examples_of_use_are_no_program(judge: Judge) -> None:
    answer = f"<think>\n```python\n{WRONG}\n```\n</think>\n```python\n{RIGHT}\n```\nTry:\n```python\nf(1)\n```"
    assert [v.passed for v in judge.judge_answers([answer], [TESTS])] == [2]
    calls = [{"kind": "call", "function": "g", "args": [1], "expected": 2}]
    answer = "```python\ndef g(x): return 2\n```\n```python\ndef h(x): return 3\n```"
    assert [v.passed for v in judge.judge_answers([answer], [calls])] == [1]


def test_the_lines_of_the_readme_print_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    [block] = re.findall(r"```python\n(from rltf import Judge.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
    scope: dict[str, Judge] = {}
    try:
        exec(block, scope)
    finally:
        scope["judge"].close()
    assert capsys.readouterr().out.split("\n") == ["passed", "[-0.3]", ""]
    assert re.findall(r"# (.*)", block) == ["passed", "[-0.3]"]


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        ("42", True),
        ("<think>It is 41.</think>\nThe sum is right.\nAnswer: 42", True),
        ("**Final answer:** 42", True),
        ("So\n#### 42", True),
        (r"Hence $\boxed{42}$, not 43.", True),
        ("Answer: 42\nAnswer: 43", False),
        ("Answer: 41.9999999", False),
    ],
)
def test_a_text_answer_is_looked_for_in_the_text(judge: Judge, answer: str, passes: bool) -> None:
    [verdict] = judge.judge_answers([answer], [[{"kind": "text", "expected": "42"}]])
    assert verdict.outcome is (Outcome.PASSED if passes else Outcome.WRONG_ANSWER)


def test_every_kind_of_test_goes_to_a_service_and_back() -> None:
    rows = [
        {"kind": "call", "function": "f", "args": [1], "expected": 2, "or_in_list": True, "tolerance": 0.5},
        {
            "kind": "stdio",
            "stdin": "1",
            "stdout": "2",
            "tolerance": 0.0,
            "checker": "def check(a, b, c):\n    return True",
        },
        {"kind": "stdio", "stdin": "1", "stdout": "2"},
        {"kind": "text", "expected": "2", "tolerance": 0.1},
        {"kind": "assert", "code": "assert f(1) == 2"},
        {"kind": "check", "code": "def check(candidate):\n    assert candidate(1) == 2", "entry_point": "f"},
    ]
    assert row_of_job(0, Job("", parse_test_set(rows)))["tests"] == rows
