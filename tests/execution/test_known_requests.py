"""What a test asked of one program is asked of the next unasked; verdicts are the same as without."""

from __future__ import annotations

import json

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.judge.test_calls import export_trace, import_trace
from rltf.execution.judge.test_code import prepare
from rltf.types import AssertTest, Job


def test_what_one_worker_learned_reaches_another_unchanged() -> None:
    request = ["call", "f", [[1, {"tuple": [2, "x"]}], {}], []]
    rows = [["assert", "assert f(1, (2, 'x')) == 3"], ["assert", "assert True"]]
    assert export_trace(rows) == b""
    text = json.dumps([[[request], True], [[], True]]).encode()
    import_trace(rows, text)
    assert json.loads(export_trace(rows)) == [[[request], True], [[], True]]
    import_trace(rows, json.dumps([[[], False], [[], False]]).encode())  # word that comes late changes nothing
    assert json.loads(export_trace(rows)) == [[[request], True], [[], True]]


@pytest.mark.parametrize(("first", "second"), [(1, 9), (9, 1)])
def test_a_test_that_asks_one_program_more_than_another_is_right_about_both(
    pool: LocalExecutor, first: int, second: int
) -> None:
    test = AssertTest(f"assert all(f(i) == i for i in range(size()))  # {first}")
    program = "def size(): return {}\ndef f(x): return x if x < {} else -1\n# {}"
    right = [Job(program.format(size, size, i), (test,)) for size in (first, second) for i in range(8)]
    wrong = [Job(program.format(size, size - 1, i), (test,)) for size in (first, second) for i in range(8)]
    assert {v.outcome for v in pool.map(right)} == {"passed"}
    assert {v.outcome for v in pool.map(wrong)} == {"wrong_answer"}


def test_a_program_is_judged_by_its_own_answers_when_the_requests_are_known(pool: LocalExecutor) -> None:
    tests = (AssertTest("assert g(2) == 4"), AssertTest("assert g(3) == 9"))
    list(pool.map([Job(f"def g(x): return x * x  # {i}", tests) for i in range(8)]))
    late = "def g(x):\n    if x == 3: raise ValueError('no')\n    return 4"
    leaving = "import os\ndef g(x):\n    if x == 3: os._exit(0)\n    return 4"
    outcomes = [[r.status for r in v.tests] for v in pool.map([Job(late, tests), Job(leaving, tests)])]
    assert outcomes == [["passed", "runtime_error"]] * 2


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("assert f(1) == g.h", {"f", "g"}),
        ("x = 1\ndef check(c):\n    y = c(x)\n    assert isclose(y, z)\n", {"isclose", "z"}),
        ("import math as m\nassert [f(i) for i in range(3)] == m.pi", {"f", "range"}),
    ],
)
def test_names_that_a_test_takes_from_elsewhere(text: str, names: set[str]) -> None:
    assert prepare(text).names == names
