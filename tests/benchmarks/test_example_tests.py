"""Example tests come from what a statement shows, and from nothing else."""

import gzip
import json

import pytest

from rltf.benchmarks.apps.benchmark import Apps
from rltf.benchmarks.examples import docstring_examples, shown_examples, stdio_examples
from rltf.benchmarks.humaneval import HumanEval
from rltf.benchmarks.mbpp import Mbpp
from rltf.benchmarks.mini import Mini
from rltf.benchmarks.prompts import Doc, Paper
from rltf.execution import LocalExecutor
from rltf.types import AssertTest, CallTest, Job, Outcome, Problem, StdioTest

ATCODER = """Add.
-----Input-----
Two numbers A and B.

-----Output-----
Their sum.

-----Sample Input-----
1 2

-----Sample Output-----
3

1 + 2 is 3, and 1 2 is the input.
"""
CODEFORCES = """Count the lines that follow.

Input

A number.

Output

It.

Examples

Input


2
a
b


Output


2

Input

0

Output
0

Note

In the first example there are two.
"""


def test_examples_of_whole_programs_are_read_from_their_headings():
    assert stdio_examples(ATCODER) == (StdioTest("1 2\n", "3\n"),)
    assert stdio_examples(CODEFORCES) == (StdioTest("2\na\nb\n", "2\n"), StdioTest("0\n", "0\n"))


def test_a_statement_without_examples_has_none():
    assert stdio_examples("Input\n\nA number.\n\nOutput\n\nTwice the number.\n") == ()
    assert stdio_examples("") == ()


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        (">>> f([1, 2], 'a')\n    [2]", (CallTest("f", ([1, 2], "a"), [2]),)),
        ("f(3) == 4", (CallTest("f", (3,), 4),)),
        ("* f(3) -> {'a': 1}.", (CallTest("f", (3,), {"a": 1}),)),
        ("f(x) = x + 1 for every x", ()),
        ("f(n) => f(n - 1)", ()),
        (">>> f(f(1)) + len('ab')\n    5", (AssertTest("assert f(f(1)) + len('ab') == (5)"),)),
        (">>> f(1)\n    Traceback (most recent call last):", ()),
    ],
)
def test_examples_of_functions_are_read_from_docstrings(docstring, expected):
    assert docstring_examples(f'def f(x):\n    """Do it.\n\n    {docstring}\n    """\n', "f") == expected


def test_tests_that_the_prompt_shows_are_examples_and_the_others_stay_hidden():
    tests = tuple(AssertTest(f"assert f({n}) == {n + 1}") for n in range(5))
    problem = Problem("p", "Add one.", tests, entry_point="f")
    assert shown_examples(problem, Doc().prompt(problem)) == tests[:3]
    started = Problem("p", "Add one.", tests, entry_point="f", starter="def f(x):\n")
    assert shown_examples(started, Paper().prompt(started)) == ()


def test_mini_shows_its_first_two_tests():
    mini = Mini(sizes={"test": 3})
    for problem in mini.problems("test"):
        assert mini.examples(problem) == problem.tests[:2]
    with pytest.raises(ValueError, match=r"^examples_per_problem is 6: expected .* below tests_per_problem, which is"):
        Mini(examples_per_problem=6)


def test_mbpp_shows_its_tests(shared_data):
    mbpp = Mbpp(path=str(shared_data / "mbpp.jsonl"))
    problem = mbpp.problems("test")[0]
    assert mbpp.examples(problem) == problem.tests[:3]


@pytest.mark.slow
def test_humanevals_references_pass_the_examples_of_their_docstrings(shared_data):
    benchmark = HumanEval(path=str(shared_data / "humaneval.jsonl.gz"))
    shown = [(problem, benchmark.examples(problem)) for problem in benchmark.problems("test")]
    assert sum(bool(examples) for _, examples in shown) == 125
    with LocalExecutor(workers=2) as executor:
        judged = executor.map(Job(p.references[0], examples, p.setup) for p, examples in shown if examples)
        failed = {p.id for (p, _), v in zip([s for s in shown if s[1]], judged, strict=True) if v.passed < v.total}
    assert failed == {"HumanEval/47", "HumanEval/116", "HumanEval/130"}  # their docstrings contradict their tests


def test_apps_examples_equal_those_that_others_extracted(shared_data):
    with gzip.open(shared_data / "apps" / "apps_test_example_io.jsonl.gz", "rt") as file:
        extracted = {row["id"]: row["example_io"] for row in map(json.loads, file)}
    apps = Apps(path=str(shared_data / "apps" / "apps_original.jsonl.gz"))
    known = [p for p in apps.problems("test") if p.entry_point is None and p.id in extracted]
    assert len(known) == 7
    for problem in known:
        found = [(test.stdin.split(), test.stdout.split()) for test in apps.examples(problem)]
        pairs = zip(extracted[problem.id]["inputs"], extracted[problem.id]["outputs"], strict=True)
        assert found == [(given.split(), wanted.split()) for given, wanted in pairs]


def test_an_example_judges_programs():
    with LocalExecutor(workers=1) as executor:
        right = Job("a, b = map(int, input().split())\nprint(a + b)", stdio_examples(ATCODER))
        assert executor.submit(right).result().outcome is Outcome.PASSED
