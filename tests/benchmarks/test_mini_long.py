"""Long programs of `mini`: parts are independent, each test sees one, and mistakes stay in their part."""

from __future__ import annotations

import ast
from random import Random

import pytest

from rltf.benchmarks.mini import Mini
from rltf.benchmarks.mini.forms import FORMS, Apply, Literal, Type, Variable
from rltf.benchmarks.mini.long import LongSource, break_parts, choose_long_cases, part_body
from rltf.benchmarks.mini.skeleton import long_skeleton, split_of
from rltf.benchmarks.mini.steps import Answer, Let, Source
from rltf.setup.instantiate import build
from rltf.types import CallTest, Problem

A, T, XS = Variable("a", Type.INT), Variable("t", Type.INT), Variable("xs", Type.INTS)
BY_NAME = {form.name: form for form in FORMS}
LONG = {"difficulties": {"long": 1.0}, "tests_per_problem": 16}


def apply(name: str, *args: Variable | Literal) -> Apply:
    return Apply(BY_NAME[name], args)


TWO = LongSource(
    (
        Source((A,), (Answer(apply("add_k", A, Literal(3)), Type.INT),), "call"),
        Source((XS,), (Let(T, apply("sum", XS)), Answer(apply("multiply_k", T, Literal(2)), Type.INT)), "call"),
    )
)


def results(program: str, problem: Problem) -> list[bool]:
    """Test by test whether the program gives what is expected."""
    names: dict = {}
    try:
        exec(program, names)
    except SyntaxError:
        return [False] * len(problem.tests)
    passed = []
    for test in problem.tests:
        assert isinstance(test, CallTest)
        try:
            passed.append(names["f"](*test.args) == test.expected)
        except Exception:
            passed.append(False)
    return passed


def test_parts_stand_behind_the_first_argument():
    assert TWO.english() == "f(k, a, xs): if k is 0 return a plus 3; if k is 1 let t be the sum of xs; return t times 2"
    assert TWO.code() == (
        "def f(k, a, xs):\n    if k == 0:\n        return a + 3\n    else:\n        t = sum(xs)\n        return t * 2"
    )
    assert TWO.tags() == ("call", "arithmetic", "assignment", "list")


def test_one_part_is_a_function_without_choice():
    single = LongSource(TWO.parts[1:])
    assert single.english() == "f(xs): let t be the sum of xs; return t times 2"
    assert single.code() == "def f(xs):\n    t = sum(xs)\n    return t * 2"


def test_code_is_as_python_writes_it():
    for problem in Mini(sizes={"test": 30}, **LONG).problems("test"):
        assert ast.unparse(ast.parse(problem.references[0])) == problem.references[0]


def test_the_structure_is_that_of_the_parts():
    assert long_skeleton(TWO) == "answer((v0 + #))|let(sum(v0),v1);answer((v1 * #))".replace("sum(v0)", "(sum(v0))")


def test_each_test_runs_one_part_and_each_part_has_three_tests():
    cases = choose_long_cases(Random(0), TWO, 9)
    assert cases is not None
    shuffled, by_part = cases
    assert len(shuffled) == 9
    assert sum(map(len, by_part)) == 9
    for i, of_part in enumerate(by_part):
        assert len(of_part) >= 3
        assert all(inputs[0] == i for inputs, _ in of_part)
    for (k, a, xs), result in shuffled:
        assert result == (a + 3 if k == 0 else 2 * sum(xs))


def test_programs_have_13_to_25_lines_at_four_parts_and_references_pass():
    problems = Mini(sizes={"test": 60}, **LONG).problems("test")
    for problem in problems:
        assert 13 <= problem.references[0].count("\n") + 1 <= 25
        assert len(problem.tests) == 16
        assert all(results(problem.references[0], problem))
        assert problem.difficulty == "long"
    lengths = [sum(test.args[0] == 0 for test in problem.tests) for problem in problems]
    assert min(lengths) == 3
    assert max(lengths) > 6


def test_a_program_without_one_part_fails_the_tests_of_that_part_alone():
    for problem in Mini(sizes={"test": 20}, **LONG).problems("test"):
        lines = problem.references[0].split("\n")
        header = lines.index("    elif k == 2:")
        broken = "\n".join([*lines[: header + 1], "        raise ValueError", *lines[header + 1 :]])
        passed = results(broken, problem)
        assert passed == [test.args[0] != 2 for test in problem.tests]


def test_a_mistake_stays_in_its_part():
    cases = choose_long_cases(Random(1), TWO, 8)
    assert cases is not None
    broken = {break_parts(Random(seed), TWO, cases[1], 1.0) for seed in range(20)}
    assert len(broken) > 3
    right = [part_body(part.code()) for part in TWO.parts]
    for program in broken:
        assert program.startswith("def f(k, a, xs):\n    if k == 0:\n        ")
        first, _, second = program.partition("\n    else:\n")
        assert first.split("\n")[2:] != ["        " + line for line in right[0]]
        assert second.split("\n") != ["        " + line for line in right[1]]
    assert break_parts(Random(0), TWO, cases[1], 0.0) == TWO.code()


def test_the_stated_share_of_parts_is_wrong():
    mini = Mini(sizes={"train": 150}, bug_share=0.5, **LONG)
    wrong = compiled = 0
    for problem in mini.problems("train"):
        passed = results(problem.demonstrations[0], problem)
        if any(passed):
            compiled += 1
            wrong += sum(
                not all(p for p, test in zip(passed, problem.tests, strict=True) if test.args[0] == k) for k in range(4)
            )
    assert compiled > 90
    assert (
        0.36 <= wrong / (4 * compiled) <= 0.5
    )  # those that do not compile, more often with several mistakes, left out


def test_no_structure_lies_in_two_splits_and_numbers_of_parts_are_drawn():
    mini = Mini(
        sizes={"train": 60, "validation": 20, "test": 30}, parts=(1, 2), bug_share=0, difficulties={"long": 1.0}
    )
    choices = [
        {problem.statement.count("if k is") for problem in mini.problems(split)} for split in ("train", "validation")
    ]
    assert choices == [{0, 2}, {0, 2}]
    assert {split_of(long_skeleton(TWO))} <= {"train", "validation", "test"}


def test_other_difficulties_are_drawn_as_without_long_ones():
    with_long = Mini(sizes={"test": 30}, difficulties={"easy": 0.8, "medium": 0.15, "hard": 0.05, "long": 0.0})
    without = Mini(sizes={"test": 30}, difficulties={"easy": 0.8, "medium": 0.15, "hard": 0.05})
    assert with_long.problems("test") == without.problems("test")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parts": []}, r"^parts is \[\]: expected a list of whole numbers"),
        ({"parts": 4}, r"^parts is 4: expected a list of whole numbers"),
        ({"parts": [9]}, "^parts is 9: expected a whole number of at least 1 and at most 8"),
        ({"parts": [1, 2.5]}, "^parts is 2.5: expected a whole number"),
        ({"parts": [6], **LONG}, "^tests_per_problem is 16: expected at least 3 a part, of which there are 6"),
    ],
)
def test_wrong_numbers_of_parts_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mini(**arguments)


def test_the_benchmark_of_long_programs_is_a_choice(composed):
    mini = build(composed("train", "benchmark=mini_long", "benchmark.sizes.test=2"), "benchmark")
    assert all("    elif k == 2:" in problem.references[0] for problem in mini.problems("test"))
