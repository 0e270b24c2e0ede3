"""Which lines the tests execute. In the programs below `# no` stands on every line that no test comes to."""

from __future__ import annotations

import ast
import mmap
import random
import sys

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.inside import coverage
from rltf.execution.inside.coverage import EXECUTED, LINES, WAITING, CoverageMarks, consistent_unexecuted
from rltf.execution.inside.instrument import STAND_IN
from rltf.types import AssertTest, CallTest, CheckTest, Job, Outcome, StdioTest, Test, Verdict

PROGRAMS = {
    "branch": """
def f(x):
    if x > 0:
        return 1
    elif x == 0:  # no
        return 0  # no
    else:  # no
        return -1  # no
""",
    "second branch": """
def f(x):
    if x < 0:
        return -1  # no
    elif x < 1: return 0
    return x
""",
    "loop never entered": """
def f(x):
    for i in range(0):
        x += i  # no
    while x > 9:
        x -= 1  # no
    else:
        x += 0
    return x
""",
    "function never called": """
def g(
    a,
    b=1,
):
    return a  # no

def f(x):
    '''Of two
    lines.'''
    return x
""",
    "several lines are one": """
def f(x):
    y = [
        x
        for _ in
        range(0)
    ]
    if (x
            and y):
        return (  # no
            x)  # no
    return x
""",
    "comprehension and lambda": """
squares = [i * i for i in range(9)
           if i > 99]
unused = lambda y: (
    y + 1)
def f(x): return x
""",
    "error halfway": """
def f(x):
    y = x
    y = y + missing
    y = 2  # no
    return y  # no
""",
    "except, else, finally": """
def f(x):
    try:
        y = int('no number')
        y = 3  # no
    except KeyError:  # no
        y = 4  # no
    except ValueError:
        y = x
    else:  # no
        y = 6  # no
    finally:
        z = y
    return z
""",
    "decorator and class": """
def twice(g):
    def h(x):
        return g(g(x))
    return h

def spare(g):
    return g  # no

class A:
    '''What it is.'''
    size = 1
    def method(self):
        return self.size  # no

@twice
def f(x):
    return x
""",
    "match, with, generator": """
from contextlib import suppress
def g(x):
    yield x
    yield 2  # no
def f(x):
    with suppress(ZeroDivisionError):
        x = 1 / 0
        x = 5  # no
    match x:
        case 0:  # no
            y = 1  # no
        case 1:
            y = next(g(x))
    return y
""",
    "future and docstring": '''
"""A program."""
from __future__ import annotations
import math
def f(x: Undefined):
    """Nothing but
    a docstring."""
''',
    "behind return, break and exit": """
def f(x):
    for i in range(3):
        if i == 1:
            break
            i = 9  # no
    return x
    x = 9  # no
""",
    "nested and global": """
total = 0
def f(x):
    global total
    def inner():
        nonlocal x  # no
        x += 1  # no
    total += x
    return x
""",
}


def expected(name: str) -> tuple[int, ...]:
    return tuple(n for n, line in enumerate(PROGRAMS[name].split("\n"), start=1) if "# no" in line)


def judged(pool: LocalExecutor, program: str, *tests: Test, **options: object) -> Verdict:
    return pool.submit(Job(program, tests, coverage=True, **options)).result()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("form", ["call", "assert", "check", "stdio"])
def test_executed_lines_of_known_programs(pool: LocalExecutor, name: str, form: str) -> None:
    program = PROGRAMS[name]
    test: Test = CallTest("f", (1,), 1)
    if form == "assert":
        test = AssertTest("assert f(1) == 1")
    elif form == "check":
        test = CheckTest("def check(g):\n    assert g(1) == 1", "f")
    elif form == "stdio":
        program, test = program + "print(f(int(input())))", StdioTest("1\n", "1\n")
    verdict = judged(pool, program, test)
    assert verdict.unexecuted == expected(name)
    plain = pool.submit(Job(program, (test,))).result()
    assert plain.unexecuted is None
    assert (plain.outcome, plain.error) == (verdict.outcome, verdict.error)


def test_lines_are_executed_when_any_of_the_tests_comes_to_them(pool: LocalExecutor) -> None:
    program = PROGRAMS["branch"]
    calls = [CallTest("f", (x,), x) for x in (1, 0, -1)]
    assert [judged(pool, program, call).unexecuted for call in calls] == [(5, 6, 7, 8), (4, 7, 8), (4, 6)]
    assert judged(pool, program, *calls).unexecuted == ()
    assert judged(pool, program, calls[0], AssertTest("assert f(0) == 0")).unexecuted == (7, 8)
    script = "x = int(input())\nif x:\n    print(1)\nelse:\n    print(0)\n"
    assert judged(pool, script, StdioTest("1", "1")).unexecuted == (4, 5)
    assert judged(pool, script, StdioTest("1", "1"), StdioTest("0", "0")).unexecuted == ()


def test_a_program_that_is_killed_has_executed_what_it_came_to(pool: LocalExecutor) -> None:
    program = (
        "def f(x):\n    y = x\n    while True:\n        y += 1\n        if y < 0:\n            break\n    return y\n"
    )
    verdict = judged(pool, program, CallTest("f", (1,), 1), timeout=0.3)
    assert (verdict.outcome, verdict.unexecuted) == (Outcome.TIMEOUT, (6, 7))
    leaving = "import os\nx = 1\nos._exit(0)\nx = 2\ndef f(x): return x\n"
    assert judged(pool, leaving, CallTest("f", (1,), 1)).unexecuted == (4, 5)
    forbidden = "import os\nos.execv('/bin/true', ['true'])\nx = 2\n"
    verdict = judged(pool, forbidden, StdioTest("", ""))
    assert (verdict.outcome, verdict.unexecuted) == (Outcome.VIOLATION, (3,))


def test_an_error_while_loading_leaves_the_rest_unexecuted(pool: LocalExecutor) -> None:
    verdict = judged(pool, "x = 1\nraise ValueError('no')\ndef f(x):\n    return x\n", CallTest("f", (1,), 1))
    assert (verdict.unexecuted, verdict.error and verdict.error.line) == ((3, 4), 2)


@pytest.mark.parametrize("program", ["def f(x:\n", "x = 1\nreturn x\n", "", "# nothing\n", "-" * 100_000 + "1"])
def test_a_program_without_a_mark_has_no_word_of_its_lines(pool: LocalExecutor, program: str) -> None:
    assert judged(pool, program, CallTest("f", (1,), 1)).unexecuted is None


def test_programs_after_one_another_start_with_clean_lines() -> None:
    with LocalExecutor(workers=1) as executor:
        both = "def f(x):\n    if x:\n        return 1\n    return 0\n"
        tests = (CallTest("f", (1,), 1), CallTest("f", (0,), 0))
        assert judged(executor, both, *tests).unexecuted == ()
        assert judged(executor, both, tests[0]).unexecuted == (4,)
        assert judged(executor, both, tests[1]).unexecuted == (3,)


def test_a_program_sees_no_mark_among_its_names_and_lines_may_end_as_they_like(pool: LocalExecutor) -> None:
    program = "a = 1\r\nif a > 1:\r\n    a = 2\r\ndef f():\r\n    return [n for n in globals() if n[0] != '_']\r\n"
    verdict = judged(pool, program, CallTest("f", (), ["a", "f"]))
    assert (verdict.outcome, verdict.unexecuted) == (Outcome.PASSED, (3,))


def test_a_program_that_forges_its_marks_lies_about_its_own_lines_alone() -> None:
    forging = "def f(x):\n    memory = next(c for c in f.__code__.co_consts if hasattr(c, 'madvise'))\n"
    forging += "    memory[:] = bytes([{}]) * len(memory)\n    return x\n    x = 1\n"
    test = CallTest("f", (1,), 2)
    with LocalExecutor(workers=1) as executor:
        for mark in (EXECUTED, WAITING, 0):
            verdict = judged(executor, forging.format(mark), test)
            assert (verdict.outcome, verdict.passed) == (Outcome.WRONG_ANSWER, 0)
            assert set(verdict.unexecuted or ()) <= set(range(1, 8))
            honest = judged(executor, f"def f(x):\n    return x + 1\n    x = {mark}\n", test)
            assert (honest.outcome, honest.unexecuted) == (Outcome.PASSED, (3,))
        closing = forging.replace("memory[:] = bytes([{}]) * len(memory)", "memory.close()")
        assert judged(executor, closing, test).outcome == Outcome.RUNTIME_ERROR


def test_whatever_a_program_writes_into_the_marks_is_only_read_as_marks() -> None:
    lines = CoverageMarks()
    program = "a\nb\nc\nd\n"
    lines.clear_all()
    assert lines.unexecuted(program) is None
    assert lines.executed_since_last() == ()
    for line, mark in ((1, EXECUTED), (2, WAITING), (4, 255)):
        lines._memory[line] = mark
    assert lines.unexecuted(program) == [2]
    assert lines.unexecuted("x\n" * (LINES + 5)) == [2]
    assert lines.executed_since_last() == (1,)


def test_executed_lines_are_told_once_and_stay_executed_in_the_end() -> None:
    marks = CoverageMarks()
    program = "\n" * 9
    marks.clear_all()
    marks._memory[1:9] = bytes([WAITING, 0, EXECUTED, WAITING, 0, 0, WAITING, EXECUTED])
    assert marks.executed_since_last() == (2, 3, 8)
    assert marks.executed_since_last() == ()
    marks._memory[7] = EXECUTED
    marks._memory[3] = EXECUTED
    other_end = CoverageMarks(marks.fd)
    assert other_end.unexecuted(program) == [1, 4]
    assert other_end.executed_since_last() == (2, 3, 5, 6, 7)
    assert marks.unexecuted(program) == [1, 4]
    marks.clear_all()
    assert marks.unexecuted(program) is None
    assert not any(marks._memory[:])


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> CoverageMarks:
    marks = CoverageMarks()
    marks.clear_all()
    monkeypatch.setattr(coverage, "_memory", mmap.mmap(marks.fd, LINES))
    return marks


@pytest.mark.parametrize("name", PROGRAMS)
def test_executed_and_unexecuted_lines_make_up_the_program(name: str, marks: CoverageMarks) -> None:
    program = PROGRAMS[name]
    code = coverage.marked(program, "<program>")
    assert code is not None
    namespace: dict[str, object] = {"__name__": "program"}
    exec(code, namespace)
    loading = marks.executed_since_last()
    try:
        namespace["f"](1)  # type: ignore[operator]
    except NameError:
        assert name == "error halfway"
    testing = marks.executed_since_last()
    unexecuted = marks.unexecuted(program)
    assert unexecuted == list(expected(name))
    last = max((*loading, *testing, *unexecuted))
    assert {*loading, *testing, *unexecuted} == set(range(1, last + 1))
    assert not {*loading, *testing} & set(unexecuted)
    assert not set(testing) & {s.lineno for s in ast.parse(program).body if s.lineno < (s.end_lineno or 0)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_line_that_must_have_run_is_called_unexecuted(name: str) -> None:
    program, honest = PROGRAMS[name], expected(name)
    assert consistent_unexecuted(program, honest, True, ()) == honest
    assert consistent_unexecuted(program, honest, False, ()) == honest
    assert consistent_unexecuted(program, None, True, ()) is None
    for statement in ast.parse(program).body:
        forged = (*honest, statement.lineno)
        if isinstance(statement, ast.Expr):
            continue  # a docstring, which may begin anywhere
        assert consistent_unexecuted(program, forged, True, ()) is None
        assert consistent_unexecuted(program, forged, False, ()) == tuple(sorted(forged))
        raised = next(n for n in range(statement.lineno, 99) if n not in forged or n == statement.end_lineno)
        assert consistent_unexecuted(program, forged, False, (raised,)) is None
    everything = range(1, program.count("\n") + 1)
    assert consistent_unexecuted(program, everything, True, ()) is None


def test_a_line_with_an_error_was_executed() -> None:
    program = "def f(x):\n    y = x\n    return 1 / y\nz = 1\n"
    assert consistent_unexecuted(program, (3,), True, (3,)) is None
    assert consistent_unexecuted(program, (2,), True, (3,)) == (2,)
    assert consistent_unexecuted(program, (4,), False, (3,)) == (4,)
    assert consistent_unexecuted(program, (4,), False, (3, 4)) is None
    assert consistent_unexecuted(program, (4,), False, (99,)) is None
    clause = "def f(x):\n    try:\n        g()\n    except missing:\n        return 1\n"
    assert consistent_unexecuted(clause, (4, 5), True, (4,)) == (5,)


def test_a_long_string_in_a_function_is_no_statement_of_the_module() -> None:
    program = "def f(x):\n    return '''\nimport os\ndef g():\n'''\n@f\ndef h(): pass\n"
    assert consistent_unexecuted(program, (2, 3, 4, 5), True, ()) == (2, 3, 4, 5)
    assert consistent_unexecuted(program, (2, 3, 4, 5, 6), True, ()) is None
    assert consistent_unexecuted(program + "#" * 200_000, (2, 3, 4, 5), True, ()) is None
    assert consistent_unexecuted("(" * 5000 + "\nx", (2,), True, ()) is None


@pytest.mark.parametrize("seed", range(20))
def test_any_text_and_any_marks_give_lines_of_those_marks_or_none(seed: int) -> None:
    chance = random.Random(seed)
    pieces = ("def f(x):", "    return x", "x = [", "]", "'''", "else:", "\r", "\x00", "\x0c", "@f", "(", "é = 1", "\\")
    for _ in range(200):
        program = "\n".join(chance.choices(pieces, k=chance.randrange(12)))
        lines = sorted(chance.sample(range(1, 40), chance.randrange(6)))
        errors = chance.sample(range(1, 50), chance.randrange(2))
        kept = consistent_unexecuted(program, lines, chance.random() < 0.5, errors)
        assert kept is None or set(kept) <= set(lines) - set(errors)


def test_a_constant_of_the_program_is_never_taken_for_the_memory(pool: LocalExecutor) -> None:
    text = "rltf: executed lines"
    program = f"def f():\n    return [b'{text}', '{text}', b'{text}'[:4]]\n"
    verdict = judged(pool, program, CallTest("f", (), [text.encode(), text, b"rltf"]))
    assert (verdict.outcome, verdict.unexecuted) == (Outcome.PASSED, ())
    assert len(STAND_IN) == 16


DEEPEST = 1400 if sys.version_info[:2] == (3, 12) else 2500
"""Levels of a program that is sure to have marks: Python 3.12 reads no deeper trees (`instrument.compile_tree`)."""


@pytest.mark.parametrize("branches", [900, DEEPEST])
def test_a_long_chain_of_branches_has_marks(pool: LocalExecutor, branches: int) -> None:
    chain = "".join(f"    elif x == {n}:\n        return {n}\n" for n in range(1, branches))
    program = "def f(x):\n    if x == 0:\n        return 0\n" + chain
    verdict = judged(pool, program, CallTest("f", (2,), 2))
    assert verdict.outcome is Outcome.PASSED
    assert verdict.unexecuted == (3, 5, *range(8, 2 * branches + 2))


def test_deeply_nested_code_has_marks_or_does_not_compile(pool: LocalExecutor) -> None:
    deep = "def f(x):\n" + "".join(" " * n + "if x:\n" for n in range(1, 20)) + " " * 20 + "return x\n"
    assert judged(pool, deep, CallTest("f", (2,), 2)).unexecuted == ()
    sums = "def f(x):\n    return " + "+".join(["x"] * DEEPEST) + "\n    return 1\n"
    assert judged(pool, sums, CallTest("f", (1,), DEEPEST)).unexecuted == (3,)
    for text in ("+".join(["x"] * 20_000), "(" * 150 + "x" + ")" * 150, "-" * 5000 + "x"):
        program = f"def f(x):\n    return {text}\n"
        plain = pool.submit(Job(program, (CallTest("f", (1,), 1),))).result()
        verdict = judged(pool, program, CallTest("f", (1,), 1))
        assert (verdict.outcome, verdict.error) == (plain.outcome, plain.error)


def test_marks_of_a_long_program_cost_little_more_than_compiling_it(pool: LocalExecutor) -> None:
    long = "def f(x):\n" + "    x += 1\n" * 60_000 + "    return x\n"
    plain = pool.submit(Job(long, (CallTest("f", (0,), 60_000),), timeout=30.0)).result()
    verdict = judged(pool, long, CallTest("f", (0,), 60_000), timeout=30.0)
    assert (verdict.outcome, verdict.unexecuted) == (plain.outcome, ())
    assert verdict.seconds < 5 * plain.seconds + 1
