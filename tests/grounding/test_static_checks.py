"""Each check with a program that violates it and one that nearly does; programs are read, never run."""

import builtins
import random
import time

import pytest

from rltf.grounding.checks import LEVELS, MOST_CHARACTERS, Task, Violation, read_levels, violations
from rltf.validation import OptionError


def found(program, entry_point="f", returns="some", setup=""):
    return [(v.check, v.line) for v in violations(program, Task(entry_point, setup), returns)]


@pytest.mark.parametrize(
    ("check", "line", "program"),
    [
        ("syntax", 1, "def f(x:\n    return x"),
        ("syntax", 1, "return 1"),  # parses, and does not compile
        ("syntax", None, "f" * (MOST_CHARACTERS + 1)),
        ("syntax", None, "def f(x):\n    return " + "-" * 300 + "x"),
        ("undefined", 2, "def f(x):\n    return y"),
        ("undefined", 1, "from math import *\ndef f(x):\n    return sqrt(x)"),
        ("entry", None, "def g(x):\n    return x"),
        ("entry", None, "def g(x):\n    def f(x):\n        return x\n    return f"),
        ("value", 1, "def f(x):\n    print(x)"),
        ("value", 1, "def f(x):\n    return"),
        ("value", 1, "def f(x):\n    return None"),
        ("value", 1, "def f(x):\n    def g():\n        return x\n    g()"),
        ("arity", 3, "def g(a, b=1):\n    return a + b\ndef f(x): return g()"),
        ("arity", 3, "def g(a, b=1):\n    return a + b\ndef f(x): return g(1, 2, 3)"),
        ("arity", 3, "def g(a, *, b):\n    return a + b\ndef f(x): return g(1)"),
        ("arity", 3, "def g(a, b=1):\n    return a + b\ndef f(x): return g(*x, c=2)"),
        ("arity", 2, "def f(x):\n    return f(x, 1)"),
        ("unbound", 3, "y = 1\ndef f(x):\n    print(y)\n    y = x\n    return y"),
        ("unreachable", 3, "def f(x):\n    return x\n    print(x)"),
        (
            "unreachable",
            5,
            "def f(x):\n    for y in x:\n        if y:\n            break\n            print(y)\n    return x",
        ),
        ("unused", 2, "def f(x):\n    y = 1\n    return x"),
        ("unused", 1, "import math\ndef f(x):\n    return x"),
        ("shadowed", 3, "def f(x):\n    return x\ndef f(x):\n    return 1"),
    ],
)
def test_a_program_that_violates_one_check(check, line, program):
    assert found(program) == [(check, line)]


@pytest.mark.parametrize(
    "program",
    [
        "def f(x):\n    return [y for y in x]",  # bound by the comprehension
        "def f(x):\n    try:\n        return x\n    finally:\n        print(x)",
        "class Solution:\n    def f(self, x):\n        return x",
        "f = lambda x: x",
        "from math import sqrt as f\nprint(f(4))",
        "if True:\n    def f(x):\n        return x",
        "def f(x):\n    yield x",
        "def f(x):\n    return None if x else 1",
        "def g(a, *rest, b=1, **more):\n    return a, rest, b, more\ndef f(x):\n    return g(1, 2, 3, c=4), g(*x)",
        "def g(a, b):\n    return a, b\ndef f(g):\n    return g(1)",  # the parameter, not the function
        "def g(a):\n    return a\nprint(g(1))\ng = max\ndef f(x):\n    return g(x, 1)",
        "def f(x):\n    if x:\n        y = 1\n    return y",  # unbound on one branch alone
        "def f(x):\n    if x:\n        return 1\n    return 2",
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None\ndef f(x):\n    return numpy",
    ],
)
def test_a_program_that_nearly_violates_one(program):
    assert found(program) == []


@pytest.mark.parametrize(
    ("all_return", "body"),
    [
        (True, "return x"),
        (True, "if x: return 1\n    else: raise ValueError"),
        (True, "while True:\n        if x: return 1"),
        (True, "for y in x: pass\n    else: return 1"),
        (True, "with x: return 1"),
        (True, "try: return 1\n    except E: return 2"),
        (True, "match x:\n        case 1: return 1\n        case _: return 2"),
        (False, "if x: return 1"),
        (False, "if x: return\n    return 1"),
        (False, "while True:\n        if x: break\n        return 1"),
        (False, "for y in x: return 1"),
        (False, "try: return 1\n    except E: pass"),
        (False, "match x:\n        case 1: return 1"),
    ],
)
def test_a_value_on_all_paths_or_on_some(all_return, body):
    program = f"E = ValueError\ndef f(x):\n    {body}"
    assert found(program, returns="some") == []
    assert found(program, returns="all") == ([] if all_return else [("value", 2)])


def test_a_whole_program_prints():
    assert found("n = int(input())", entry_point=None) == [("entry", None)]
    assert found("print(int(input()) + 1)", entry_point=None) == []
    assert found("import sys\nsys.stdout.write(input())", entry_point=None) == []


def test_names_of_the_setup_are_defined_and_lines_are_those_of_the_program():
    assert found("def f(x):\n    return sqrt(y)", setup="from math import sqrt\n\n") == [("undefined", 2)]
    assert found("def f(x):\n    return sqrt(x)", setup="from math import *") == []
    assert (
        found("import math\ndef f(x):\n    return math.sqrt(x)", setup="import math") == []
    )  # replaces nothing of its own


def test_what_was_asked_for_may_be_unknown():
    assert violations("def g(x):\n    print(x)", Task(asks=False)) == ()


def test_a_program_that_does_not_compile_has_one_violation_whatever_else_it_does():
    assert violations("def g(x):\n    return y\n)", Task("f")) == (Violation("syntax", 3),)


def test_no_program_is_run(tmp_path, monkeypatch):
    def refuse(*args, **more):
        raise AssertionError("a program was run")

    canary = tmp_path / "canary"
    monkeypatch.setattr(builtins, "exec", refuse)
    monkeypatch.setattr(builtins, "eval", refuse)
    assert found(f"open({str(canary)!r}, 'w')\ndef f(x=open({str(canary)!r}, 'w')):\n    return x") == []
    assert not canary.exists()


def least_seconds(program, tries=4):
    """CPU seconds of checking a program, the least of some tries: collections of garbage apart."""
    seconds = []
    for _ in range(tries):
        start = time.process_time()
        violations.__wrapped__(program, Task("f"))
        seconds.append(time.process_time() - start)
        if seconds[-1] < 0.05:
            break
    return min(seconds)


DEEP = ["(" * 5000, "[" * 5000 + "]" * 5000, "-" * 5000 + "1", "not " * 4900 + "1", "lambda:" * 2800 + "1"]
DEEP += ["a" + ".b" * 9900, "1" + "+1" * 9900, "1 if 1 else " * 1600 + "1", "f(" * 5000 + ")" * 5000]


@pytest.mark.parametrize("program", DEEP, ids=lambda p: p[:8])
def test_deep_nesting_is_a_violation_of_syntax_within_50_ms(program):
    assert found(program)[0][0] == "syntax"
    assert least_seconds(program) < 0.05


def test_random_bytes_are_checked_within_50_ms_each():
    draw = random.Random(0)
    for _ in range(2000):
        text = draw.randbytes(draw.randrange(200)).decode("latin-1")
        assert least_seconds(text) < 0.05, text


def test_the_depth_of_the_caller_changes_nothing():
    program = "def f(x):\n    return " + "(" * 60 + "x" + " + 1)" * 60

    def below(depth):
        return below(depth - 1) if depth else violations.__wrapped__(program, Task("f"))

    assert below(0) == below(300) == ()


def test_levels_are_the_defaults_but_for_those_named():
    assert read_levels(None) == dict(LEVELS)
    assert read_levels({"unused": "hard"}) == {**LEVELS, "unused": "hard"}


@pytest.mark.parametrize(
    ("levels", "sentence"),
    [
        (
            {"undefned": "hard"},
            r"^checks.undefned is 'hard': expected a check among syntax, .* \(did you mean undefined\?\)",
        ),
        ({"unused": "strong"}, r"^checks.unused is 'strong': expected hard, soft or ignore"),
        (["unused"], r"^checks is \['unused'\]: expected a table of check: level"),
    ],
)
def test_an_unknown_check_or_level_is_refused_in_one_sentence(levels, sentence):
    with pytest.raises(OptionError, match=sentence):
        read_levels(levels)


def test_references_of_mini_violate_nothing_and_most_of_its_mistakes_do():
    from rltf.benchmarks.mini import Mini

    problems = Mini().problems("train")[:300]
    reference = [violations(r, Task(p.entry_point, p.setup)) for p in problems for r in p.references]
    assert len(reference) >= 300
    assert not any(reference)
    broken = [
        violations(d, Task(p.entry_point, p.setup))
        for p in problems
        for d in p.demonstrations
        if p.entry_point is not None and d not in p.references
    ]
    assert len(broken) > 30
    assert sum(map(bool, broken)) / len(broken) > 0.75  # 505 of 606 functions of the whole split
