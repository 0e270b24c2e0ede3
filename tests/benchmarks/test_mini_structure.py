"""Splits by structure, the two renderings of one tree, and the mistakes of demonstrations."""

from __future__ import annotations

import ast
from random import Random

import pytest

from rltf.benchmarks.mini import Mini
from rltf.benchmarks.mini.bugs import KINDS, break_program
from rltf.benchmarks.mini.checks import choose_cases
from rltf.benchmarks.mini.forms import FORMS, Apply, Literal, Type, Variable
from rltf.benchmarks.mini.skeleton import skeleton, split_of
from rltf.benchmarks.mini.steps import Answer, Source

A, B = Variable("a", Type.INT), Variable("b", Type.INT)
XS = Variable("xs", Type.INTS)
BY_NAME = {f.name: f for f in FORMS}


def one(expression, *parameters, mode="call") -> Source:
    return Source(parameters, (Answer(expression, Type.INT),), mode)


def abstracted(code: str) -> str:
    """Structure from the code alone: the syntax tree without constants, names and the reading of input."""
    tree = ast.parse(code)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = type(node.value).__name__
        elif isinstance(node, ast.Name) and node.id in ("a", "b", "s", "xs", "t", "ys", "r", "x", "i"):
            node.id = names.setdefault(node.id, f"v{len(names)}")
        elif isinstance(node, ast.arguments):
            node.args = []
    return ast.dump(tree)


def test_no_program_structure_lies_in_two_splits():
    mini = Mini(sizes={"train": 500, "validation": 100, "test": 200}, stdio_share=0.0, demonstrated_share=0.0)
    found = [{abstracted(p.references[0]) for p in mini.problems(s)} for s in ("train", "validation", "test")]
    train, validation, test = found
    assert len(test) > 60
    assert not test & train
    assert not test & validation
    assert not validation & train


def test_a_constant_or_a_name_does_not_change_the_structure():
    plus = BY_NAME["add_k"]
    first = one(Apply(plus, (A, Literal(3))), A)
    assert skeleton(first) == skeleton(one(Apply(plus, (B, Literal(8))), B))
    assert skeleton(first) == skeleton(one(Apply(plus, (A, Literal(3))), A, mode="stdio"))
    assert skeleton(first) != skeleton(one(Apply(BY_NAME["subtract_k"], (A, Literal(3))), A))


def test_repeated_and_different_variables_are_told_apart():
    times = BY_NAME["multiply"]
    inner = Apply(BY_NAME["add"], (A, B))
    assert skeleton(one(Apply(times, (inner, A)), A, B)) != skeleton(one(Apply(times, (inner, B)), A, B))


def test_splits_take_the_stated_shares_of_structures():
    splits = [split_of(f"structure {i}") for i in range(4000)]
    assert splits.count("validation") / 4000 == pytest.approx(0.10, abs=0.02)
    assert splits.count("test") / 4000 == pytest.approx(0.25, abs=0.03)


def test_english_and_code_come_from_one_tree():
    total = Apply(BY_NAME["sum"], (XS,))
    source = one(Apply(BY_NAME["multiply_k"], (Apply(BY_NAME["add"], (total, A)), Literal(3))), A, XS)
    assert source.english() == "f(a, xs): return ((the sum of xs) plus a) times 3"
    assert source.code() == "def f(a, xs):\n    return (sum(xs) + a) * 3"


def test_a_program_reads_what_it_names():
    source = one(Apply(BY_NAME["add"], (Apply(BY_NAME["sum"], (XS,)), A)), A, XS, mode="stdio")
    assert source.english() == "read a, xs; print (the sum of xs) plus a"
    assert source.code() == ("a = int(input())\nxs = list(map(int, input().split()))\nprint(sum(xs) + a)")


def test_no_tests_are_found_for_a_program_that_a_simpler_one_equals():
    assert choose_cases(Random(0), "def f(a):\n    return abs(abs(a))", [A], "call", 6) is None
    assert choose_cases(Random(0), "def f(xs):\n    return sum(sorted(xs))", [XS], "call", 6) is None
    assert choose_cases(Random(0), "def f(a):\n    return a * 0", [A], "call", 6) is None
    assert choose_cases(Random(0), "def f(a):\n    return a + 1", [A], "call", 6) is not None


LOOP = "def f(a, xs):\n    t = 0\n    for x in xs:\n        if x > a:\n            t += x * 2\n    return t"
READ = "a = int(input())\nxs = list(map(int, input().split()))\nprint(len(xs[a:]) + xs[0])"
OTHER = "def f(a):\n    ys = []\n    for i in range(a):\n        ys.append(str(i))\n    return ys"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_mistake_has_a_program_it_changes(kind):
    make = KINDS[kind][0]
    wrong = [w for code in (LOOP, READ, OTHER) for w in make(code) if w != code]
    assert wrong


@pytest.mark.parametrize("kind", ["missing_colon", "missing_bracket"])
def test_mistakes_of_syntax_do_not_compile(kind):
    for wrong in KINDS[kind][0](LOOP):
        with pytest.raises(SyntaxError):
            compile(wrong, "wrong", "exec")


def test_other_mistakes_compile():
    for kind in KINDS.keys() - {"missing_colon", "missing_bracket"}:
        for wrong in KINDS[kind][0](LOOP):
            compile(wrong, "wrong", "exec")


def test_a_mistake_that_the_tests_do_not_notice_is_not_used():
    assert break_program(Random(0), LOOP, lambda program: True) is None
    program, kind = break_program(Random(0), LOOP, lambda program: False) or ("", "")
    assert program != LOOP
    assert kind in KINDS


def test_mistakes_crash_in_varied_ways():
    problems = Mini(sizes={"train": 300}, demonstrated_share=1.0, bug_share=1.0, stdio_share=0.0).problems("train")
    seen: set[str] = set()
    for p in problems:
        try:
            names: dict = {}
            exec(compile(p.demonstrations[0], "program", "exec"), names)
            for t in p.tests:
                names["f"](*t.args)
        except Exception as error:
            seen.add(type(error).__name__)
    assert {"SyntaxError", "NameError", "TypeError", "IndexError", "AttributeError"} <= seen


def test_every_mistake_ends():
    loop = "def f(xs):\n    ys = []\n    for x in xs:\n        ys.append(x + 1)\n    return ys"
    tried = [break_program(Random(seed), loop, lambda program: False) for seed in range(60)]
    for program, _ in filter(None, tried):
        assert not ("in xs" in program and "xs.append" in program)
        assert not ("in ys" in program and "ys.append" in program)
