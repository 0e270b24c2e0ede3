"""A program lends names to the tests and takes none: whatever it calls `zip`, the test's own is the judge's."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from test_reference_programs import rows

from rltf.execution import LocalExecutor
from rltf.execution.grader.text_test_code import builtin_under_test, compile_text
from rltf.types import AssertTest, CheckTest, Job, Outcome

FUNCTIONS = sorted(n for n, v in vars(builtins).items() if callable(v) and n.isidentifier() and not n.startswith("_"))
ANSWERS = ("0", "[]", "True", "''", "Same()")
SAME = """
class Same:
    def __eq__(self, other): return True
    def __iter__(self): return iter(())
"""


def theft(names: list[str], answer: str) -> str:
    """Definitions of builtins that answer what suits a program that can do nothing."""
    return SAME + "".join(f"def {name}(*a, **k): return {answer}\n" for name in names)


def names_in(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


def test_humaneval_with_stolen_builtins(pool: LocalExecutor, shared_data: Path) -> None:
    """No problem is passed by a program that defines the builtins which its test names, and answers nothing itself."""
    problems = rows(shared_data / "humaneval.jsonl.gz")

    def thieves() -> Iterator[Job]:
        for p in problems:
            named = sorted(compile_text(p["test"]).names & set(FUNCTIONS))
            for answer in ANSWERS:
                program = theft(named, answer) + f"def {p['entry_point']}(*a, **k): return None\n"
                yield Job(program, (CheckTest(p["test"], p["entry_point"]),))

    assert sum(bool(compile_text(p["test"]).names & set(FUNCTIONS)) for p in problems) >= 13
    verdicts = list(pool.map(thieves()))
    assert len(verdicts) == 164 * len(ANSWERS)
    assert {v.outcome for v in verdicts} <= {Outcome.WRONG_ANSWER, Outcome.RUNTIME_ERROR}


def test_humaneval_solutions_with_helpers_named_like_builtins_pass(pool: LocalExecutor, shared_data: Path) -> None:
    """Every canonical solution, beside functions named like all the builtins that it does not use itself."""
    problems = rows(shared_data / "humaneval.jsonl.gz")

    def jobs() -> Iterator[Job]:
        for p in problems:
            solution = p["prompt"] + p["canonical_solution"]
            others = [name for name in FUNCTIONS if name not in names_in(solution)]
            yield Job(solution + "\n" + theft(others, "Same()"), (CheckTest(p["test"], p["entry_point"]),))

    failed = [p["task_id"] for p, v in zip(problems, pool.map(jobs()), strict=True) if v.outcome != Outcome.PASSED]
    assert failed == []


PLUS = """
def check(candidate):
    inputs = {inputs}
    results = {results}
    for i, (inp, exp) in enumerate(zip(inputs, results)):
        assert isinstance(inp, list) and candidate(*inp) == exp, f"{{i}}"
"""
"""The skeleton of HumanEval+'s tests."""


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_skeleton_of_humaneval_plus_keeps_its_zip_and_enumerate(pool: LocalExecutor, answer: str) -> None:
    test = CheckTest(PLUS.format(inputs=[[1, 2], [3, 4]], results=[3, 7]), "f")
    thief = theft(["zip", "enumerate", "isinstance"], answer) + "def f(*a): return None"
    honest = theft(["zip", "enumerate", "isinstance"], answer) + "def f(a, b): return a + b"
    assert [v.outcome for v in pool.map([Job(thief, (test,)), Job(honest, (test,))])] == ["wrong_answer", "passed"]


@pytest.mark.parametrize(
    ("asserts", "bound", "name"),
    [
        (["assert sum(10, 15) == 6"], set(), "sum"),
        (["assert sum(10, 15) == 6", "assert abs(sum(1, 2) - 3) < 1"], set(), "sum"),
        (["assert abs(sum(10, 15) - 6) < 1"], set(), None),  # which of the two is the task's cannot be known
        (["assert abs(sum(1, 2)) == 3", "assert abs(max(1, 2)) == 2"], set(), "abs"),
        (["assert sum(10, 15) == 6", "assert max(1, 2) == 2"], set(), None),
        (["assert sum(f(1)) == 6"], set(), None),
        (["assert sum(10, 15) == 6", "assert f(1) == 1"], set(), None),
        (["assert math.isclose(sum(10, 15), 6)"], set(), "sum"),
        (["assert sum(Node(1)) == 6"], {"Node"}, "sum"),
        (["assert sum(Node(1)) == 6"], set(), None),
        (["assert sum(1, 2) == 3"], {"sum"}, None),  # the setup's own
        (["assert True", "assert sum(1, 2) == 3"], set(), None),
        (["sum = 3", "assert sum == 3"], set(), None),
        (["assert ("], set(), None),
        (["assert sum(1, 2) == 3", f"assert {'(' * 5000}1{')' * 5000}"], set(), None),
        (["assert sum(1, 2) == 3", f"assert {'-' * 100_000}1"], set(), None),
        ([], set(), None),
    ],
)
def test_which_builtin_is_the_tasks_function(asserts: list[str], bound: set[str], name: str | None) -> None:
    assert {builtin_under_test(order, bound) for order in permutations(asserts)} == {name}


def test_a_task_named_like_a_builtin_is_called_in_every_order_of_its_tests(pool: LocalExecutor) -> None:
    texts = ["assert sum(10, 15) == 6", "assert sum(100, 150) == 93", "assert abs(sum(4, 6) - 3) < 1"]
    right = "def sum(a, b, n=0):\n    for i in range(1, a + 1):\n        n += i * (a % i == b % i == 0)\n    return n"
    jobs = [
        Job(program, tuple(map(AssertTest, order)))
        for order in permutations(texts)
        for program in (right, "def sum(a, b): return 6", "x = 1", "def abs(x): return 0\ndef sum(a, b): return 0")
    ]
    outcomes = [v.outcome.value for v in pool.map(jobs)]
    assert outcomes == ["passed", "wrong_answer", "runtime_error", "wrong_answer"] * 6


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("assert f(1) == g.h", {"f", "g"}),
        ("x = 1\ndef check(c):\n    y = c(x)\n    assert isclose(y, z)\n", {"isclose", "z"}),
        ("import math as m\nassert [f(i) for i in range(3)] == m.pi", {"f", "range"}),
    ],
)
def test_free_names_of_a_test(text: str, names: set[str]) -> None:
    assert compile_text(text).names == names
