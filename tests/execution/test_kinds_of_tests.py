"""Checkers, tolerances, text answers and test modules in the style of pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.json_tests import InvalidInput, records_of_row
from rltf.execution.messages import tests_from_json as decoded
from rltf.execution.messages import tests_to_json as encoded
from rltf.execution.pytest_module import module_tests
from rltf.types import CallTest, Job, Outcome, StdioTest, TextTest, Verdict

PERMUTATION = "def check(stdin, expected, printed):\n    return sorted(printed.split()) == sorted(expected.split())"


def judged(pool: LocalExecutor, program: str, *rows: dict[str, Any], **fields: Any) -> Verdict:
    tests = tuple(test for i, row in enumerate(rows) for test in records_of_row(f"tests[{i}]", row, ""))
    return pool.submit(Job(program, tests, **fields)).result()


def statuses(verdict: Verdict) -> list[str]:
    return [test.status.value for test in verdict.tests]


def with_checker(checker: str, stdout: str = "1 2 3\n") -> dict[str, Any]:
    return {"kind": "stdio", "stdin": "3\n", "stdout": stdout, "checker": checker}


def test_a_checker_decides_where_several_answers_are_right(pool: LocalExecutor) -> None:
    row = with_checker(PERMUTATION)
    assert statuses(judged(pool, "print(3, 1, 2)", row)) == ["passed"]
    assert statuses(judged(pool, "print(3, 1, 1)", row)) == ["wrong_answer"]
    given = with_checker(
        "def check(stdin, expected, printed):\n    return (stdin, expected, printed) == ('3\\n', '', 'a\\n')", ""
    )
    assert statuses(judged(pool, "print('a')", given, given)) == ["passed", "passed"]
    asserts = with_checker("def check(stdin, expected, printed):\n    assert len(printed) == 2\n    return True")
    assert statuses(judged(pool, "print(1)", asserts)) == ["passed"]
    assert statuses(judged(pool, "print(10)", asserts)) == ["wrong_answer"]


def test_a_program_that_fails_is_not_shown_to_the_checker(pool: LocalExecutor) -> None:
    anything = with_checker("def check(stdin, expected, printed):\n    return True")
    verdict = judged(pool, "print(1)\n1 / 0", anything)
    assert (statuses(verdict), verdict.error and verdict.error.line) == (["runtime_error"], 2)
    assert statuses(judged(pool, "print(", anything)) == ["syntax_error"]
    assert statuses(judged(pool, "while True: pass", anything, timeout=0.5)) == ["timeout"]
    assert judged(pool, "print(1)", anything, output=True).tests[0].output is not None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return 1", "TypeError: check returned int: expected True or False"),
        ("pass", "check returned NoneType"),
        ("return 1 / 0 > 1", "ZeroDivisionError"),
        ("import sys\n    sys.exit(0)", "the checker gave no verdict"),
    ],
)
def test_a_checker_without_a_verdict_makes_the_test_unjudgeable(pool: LocalExecutor, body: str, says: str) -> None:
    verdict = judged(pool, "print(1)", with_checker(f"def check(stdin, expected, printed):\n    {body}"))
    assert verdict.outcome is Outcome.UNJUDGEABLE
    assert verdict.error is not None
    assert says in verdict.error.message


def test_a_program_does_not_reach_the_checker(pool: LocalExecutor) -> None:
    """It has ended before the checker begins, and is another process with other files."""
    program = (
        "import builtins, os\nbuiltins.sorted = lambda x: []\nopen('check.py', 'w').write('x')\nprint(5)\nos.fork()"
    )
    assert statuses(judged(pool, program, with_checker(PERMUTATION), with_checker(PERMUTATION))) == ["wrong_answer"] * 2
    reads = "import os\ndef check(stdin, expected, printed):\n    return os.listdir('.') == []"
    assert statuses(judged(pool, program, with_checker(reads))) == ["passed"]


def test_many_checks_are_each_of_their_own_texts(pool: LocalExecutor) -> None:
    rows = [{**with_checker(PERMUTATION, f"1 2 {i}"), "stdin": f"{i}"} for i in range(30)]
    verdict = judged(pool, "i = int(input())\nprint(i if i % 3 else 'x', 2, 1)", *rows)
    assert statuses(verdict) == ["passed" if i % 3 else "wrong_answer" for i in range(30)]


@pytest.mark.parametrize(
    ("printed", "expected", "tolerance", "passes"),
    [
        ("0.501", "0.5", None, False),
        ("0.501", "0.5", 0.01, True),
        ("0.52", "0.5", 0.01, False),  # below 1 the tolerance is absolute
        ("1005.0", "1000.0", 0.01, True),  # above it relative: 0.01 * 1000 = 10
        ("1011", "1000", 0.01, False),
        ("2.0", "2", None, False),  # integers are exact
        ("2.001", "2", 0.01, True),
        ("a 1.001", "b 1", 0.01, False),
        ("nan", "1", 0.5, False),
    ],
)
def test_numbers_may_be_off_by_the_tolerance_of_a_test(
    pool: LocalExecutor, printed: str, expected: str, tolerance: float | None, passes: bool
) -> None:
    outcome = Outcome.PASSED if passes else Outcome.WRONG_ANSWER
    tests = (StdioTest("", expected, tolerance), TextTest(expected, tolerance))
    assert pool.submit(Job(f"print({printed!r})", tests[:1])).result().outcome is outcome
    assert pool.submit(Job(printed, tests[1:])).result().outcome is outcome


def test_returned_numbers_may_be_off_too(pool: LocalExecutor) -> None:
    value = [1.001, (2, {"x": 1000.5}), "a", True]
    tests = [CallTest("f", (), [1, (2, {"x": 1000}), "a", True], tolerance=t) for t in (None, 0.01, 0.0005)]
    verdict = pool.submit(Job(f"def f(): return {value}", tuple(tests))).result()
    assert statuses(verdict) == ["wrong_answer", "passed", "wrong_answer"]  # 1.001 is off by 0.001
    edge = (CallTest("f", (), float("inf"), tolerance=0.1), CallTest("f", (), True, tolerance=0.5))
    assert statuses(pool.submit(Job("def f(): return 1", edge)).result()) == ["wrong_answer", "passed"]
    object_ = "class C:\n    def __sub__(self, other): return 0\n    def __abs__(self): return 0\ndef f(): return C()"
    assert statuses(pool.submit(Job(object_, tests[1:2] and (CallTest("f", (), 1, tolerance=0.5),))).result()) == [
        "wrong_answer"
    ]


def test_a_text_answer_is_compared_and_not_run(pool: LocalExecutor) -> None:
    row = {"kind": "text", "expected": "forty two"}
    assert statuses(judged(pool, " forty   two\n", row)) == ["passed"]
    assert statuses(judged(pool, "print('forty two')", row)) == ["wrong_answer"]
    assert statuses(judged(pool, "while True: pass", {"kind": "text", "expected": "while True: pass"})) == ["passed"]


def test_all_fields_travel() -> None:
    tests = (
        *(StdioTest("a", "b"), StdioTest("a", "b", 0.0), StdioTest("a", "b", None, PERMUTATION), TextTest("x", 0.5)),
    )
    assert decoded(encoded(tests)) == tests
    calls = [CallTest("f", (1,), 2, *fields) for fields in ((), (True,), (False, 0.0), (True, 0.5))]
    assert [(c.or_in_list, c.tolerance) for c in decoded(encoded(calls))] == [  # type: ignore[union-attr]
        *((False, None), (True, None), (False, 0.0), (True, 0.5)),
    ]


MODULE = """
import math
import pytest
from solution import area, Shape as S
import solution

@pytest.fixture
def unit():
    yield S(1)

@pytest.fixture(autouse=True)
def nothing():
    return None

@pytest.fixture()
def double(unit):
    return S(unit.side * 2)

def helper(x):
    return x * x

@pytest.mark.parametrize("side, expected", [(1, 1), pytest.param(3, 9, id="three")])
@pytest.mark.parametrize("factor", [1, pytest.param(2)])
def test_area(side, expected, factor):
    assert solution.area(side) * factor == pytest.approx(expected * factor)

def test_shape(unit, double):
    assert unit.side == 1
    assert area(double.side) == helper(2)

@pytest.mark.skip(reason="not today")
def test_left_out():
    assert False

async def test_awaited():
    assert await solution.later(2) == 2

class TestErrors:
    def setup_method(self):
        self.side = -1

    def test_negative(self):
        with pytest.raises(ValueError, match="negative"):
            area(self.side)

    @pytest.mark.parametrize("side", [0, 4])
    def test_root(self, side, unit):
        assert math.sqrt(area(side)) == side * unit.side
"""
RIGHT = """
class Shape:
    def __init__(self, side):
        self.side = side
def area(side):
    if side < 0:
        raise ValueError("negative side")
    return side * side
async def later(x):
    return x
"""
NAMES = ["test_area", "test_shape", "test_awaited", "TestErrors::test_negative", "TestErrors::test_root"]


def test_a_module_has_a_verdict_for_each_test_function(pool: LocalExecutor) -> None:
    row = {"kind": "pytest", "code": MODULE}
    assert [test.name for test in module_tests(MODULE)] == NAMES
    assert statuses(judged(pool, RIGHT, row)) == ["passed"] * 5
    wrong_for_three = RIGHT.replace("return side * side", "return side * side if side != 3 else 8")
    assert statuses(judged(pool, wrong_for_three, row)) == ["wrong_answer", *["passed"] * 4]
    no_error = RIGHT.replace('raise ValueError("negative side")', "return 0")
    assert statuses(judged(pool, no_error, row))[3] == "wrong_answer"
    assert statuses(judged(pool, "def area(", row)) == ["syntax_error"] * 5


def test_a_module_says_what_pytest_says(pool: LocalExecutor, tmp_path: Path) -> None:
    """The same module under pytest itself, plugins left out."""
    broken = RIGHT.replace("return x", "return x + 1").replace("self.side = side", "self.side = side + 1")
    (tmp_path / "solution.py").write_text(broken)
    text = MODULE.replace(
        "async def test_awaited():\n    assert await",
        "def test_awaited():\n    import asyncio\n    assert asyncio.run(",
    )
    text = text.replace("later(2) == 2", "later(2)) == 2")
    (tmp_path / "test_it.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-p", "no:anyio", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    failed = {
        line.split("::", 1)[1].split("[")[0].split(" - ")[0]
        for line in done.stdout.splitlines()
        if line.startswith("FAILED")
    }
    assert failed, done.stdout
    verdict = judged(pool, broken, {"kind": "pytest", "code": MODULE})
    assert {name for name, status in zip(NAMES, statuses(verdict), strict=True) if status != "passed"} == failed


def test_a_class_of_unittest_runs_by_itself(pool: LocalExecutor) -> None:
    code = (
        "import unittest\nfrom main import *\nclass Areas(unittest.TestCase):\n"
        "    def setUp(self):\n        self.x = 2\n"
        "    def test_right(self):\n        self.assertEqual(area(self.x), 4)\n"
        "    def test_wrong(self):\n        self.assertEqual(area(self.x), 5)\n"
    )
    assert statuses(judged(pool, RIGHT, {"kind": "pytest", "code": code})) == ["passed", "wrong_answer"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"kind": "pytest", "code": "x = 1"}, "tests[0].code has no test function"),
        ({"kind": "pytest", "code": "def test_("}, "tests[0].code does not compile"),
        ({"kind": "pytest", "code": "def test_a():\n    area(1)"}, "tests[0].code has test_a, which checks nothing"),
        (
            {"kind": "pytest", "code": "def test_a(tmp_path):\n    assert f()"},
            "needs the fixture tmp_path: the judge has",
        ),
        (
            {"kind": "pytest", "code": "@pytest.fixture(params=[1])\ndef x(): ...\ndef test_a(x):\n    assert f(x)"},
            "has the fixture x with params",
        ),
        ({"kind": "pytest", "code": "def test_a():\n    assert f()", "module": " "}, "tests[0].module is empty"),
        ({**with_checker("def check(")}, "tests[0].checker does not compile"),
        ({**with_checker("def judge(a): ...")}, "does not define the function check(stdin, expected, printed)"),
        ({"kind": "text", "expected": 42}, "tests[0].expected is a number: expected str"),
        (
            {"kind": "text", "expected": "42", "tolerance": -1},
            "tests[0].tolerance is -1: expected a number of at least 0",
        ),
        ({"kind": "text", "expected": "42", "tolerance": True}, "tests[0].tolerance is a boolean: expected float"),
        ({"kind": "call", "function": "f", "args": [], "expected": 1, "or_in_list": 1}, "or_in_list is a number"),
        ({"kind": "assert", "code": "assert f()", "tolerance": 1}, "unknown key `tests[0].tolerance`"),
    ],
)
def test_what_makes_no_sense_is_refused(row: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        records_of_row("tests[0]", row, "")
    assert says in str(refused.value)
