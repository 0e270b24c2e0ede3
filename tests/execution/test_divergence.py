"""Programs with a wrong answer beside a reference, in the sandbox."""

from __future__ import annotations

import time

import pytest

from rltf.execution import LocalExecutor, messages
from rltf.execution.inside.trace import EVENTS
from rltf.execution.judge.divergence import ReferenceComparison
from rltf.execution.judge.job_tests import JobTests
from rltf.execution.judge.progress import TestProgress
from rltf.execution.sandbox.limits import Limits, ZygoteLost
from rltf.types import AssertTest, CallTest, CheckTest, Divergence, Job, Outcome, StdioTest, Test, TextTest, Verdict

SUM = "def f(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"
WRONG = SUM.replace("s += x", "s -= x")
MAIN = "print(f([int(x) for x in input().split()]))\n"
TEST = CallTest("f", ([3, 4],), 7)


def judged(pool: LocalExecutor, program: str, *tests: Test, reference: str | None = SUM, **options: object) -> Verdict:
    return pool.submit(Job(program, tests or (TEST,), reference=reference, **options)).result()  # type: ignore[arg-type]


def lines(verdict: Verdict) -> tuple[int, int | None]:
    """Test and line of a divergence."""
    assert verdict.divergence is not None
    return verdict.divergence.test, verdict.divergence.line


@pytest.mark.parametrize("form", ["call", "assert", "check", "stdio"])
def test_the_line_is_found_in_tests_of_each_kind_and_the_verdict_stays(pool: LocalExecutor, form: str) -> None:
    program, reference, test = WRONG, SUM, TEST
    if form == "assert":
        test = AssertTest("assert f([]) == 0 and f([3, 4]) == 7")
    elif form == "check":
        test = CheckTest("def check(g):\n    assert g([]) == 0\n    assert g([3, 4]) == 7\n    assert g([1]) == 1", "f")
    elif form == "stdio":
        program, reference, test = WRONG + MAIN, SUM + MAIN, StdioTest("3 4\n", "7\n")
    verdict = judged(pool, program, test, reference=reference)
    assert verdict.divergence == Divergence(1, 4, 4)
    plain = judged(pool, program, test, reference=None)
    assert plain.divergence is None
    assert [(t.status, t.error) for t in plain.tests] == [(t.status, t.error) for t in verdict.tests]
    assert (plain.outcome, plain.error, plain.isolation) == (verdict.outcome, verdict.error, verdict.isolation)


def test_the_first_test_with_a_wrong_answer_is_looked_at(pool: LocalExecutor) -> None:
    tests = [CallTest("f", (xs,), sum(xs)) for xs in ([], [0], [3, 4], [5])]
    assert lines(judged(pool, WRONG, *tests)) == (3, 4)


@pytest.mark.parametrize(
    "program",
    [
        SUM,
        "def f(xs):\n    return missing\n",
        "def f(xs:\n",
        "import os\nos._exit(0)\n",
        "def f(xs):\n    while xs: pass\n",
    ],
)
def test_other_outcomes_are_compared_with_nothing(pool: LocalExecutor, program: str) -> None:
    verdict = judged(pool, program, timeout=0.3)
    assert verdict.outcome is not Outcome.WRONG_ANSWER
    assert verdict.divergence is None


def test_a_statement_of_several_lines_is_blamed_as_a_whole_and_a_block_by_its_header(pool: LocalExecutor) -> None:
    program = "def f(xs):\n    s = 0\n    for x in (\n        xs[1:]\n    ):\n        s += x\n    return s\n"
    assert judged(pool, program).divergence == Divergence(1, 3, 5)
    program = SUM.replace("s = 0", "s = (\n        1\n    )")
    assert judged(pool, program).divergence == Divergence(1, 2, 4)


PRINTED = {
    "a wrong word": ("a, b = input().split()\nprint(a)\nprint(b + '0')\n", 3),
    "written piece by piece": ("a, b = input().split()\nprint(a, end='')\nprint()\nprint('', b, sep='', end='!')\n", 4),
    "written as bytes": (
        "import sys\na, b = input().split()\nsys.stdout.buffer.write(a.encode() + b' ')\nsys.stdout.write('9 9\\n')\n",
        4,
    ),
    "written by a function": ("a, b = input().split()\ndef g(x):\n    print(x)\ng(a)\ng(a)\n", 3),
    "too much": ("a, b = input().split()\nprint(a)\nprint(b)\nprint(b)\n", 4),
    "too little": ("a, b = input().split()\nprint(a)\n", 2),
    "nothing": ("a, b = input().split()\nif a == b:\n    print(a)\n    print(b)\n", 2),
    "a number in other digits, then a wrong one": ("a, b = input().split()\nprint('3.0000001')\nprint('4.5')\n", 3),
}


@pytest.mark.parametrize("name", PRINTED)
def test_equal_values_with_a_wrong_print_blame_the_print(pool: LocalExecutor, name: str) -> None:
    program, line = PRINTED[name]
    digits = ".0" if "digits" in name else ""
    reference = f"a, b = input().split()\nprint(a + '{digits}')\nprint(b + '{digits}')\n"
    verdict = judged(pool, program, StdioTest("3 4\n", f"3{digits}\n4{digits}\n"), reference=reference)
    assert verdict.outcome is Outcome.WRONG_ANSWER
    assert lines(verdict) == (1, line)


def test_a_reference_that_does_not_pass_tells_nothing(pool: LocalExecutor) -> None:
    for reference in (WRONG, "def f(xs:\n", "def f(xs):\n    return missing\n"):
        assert lines(judged(pool, WRONG, reference=reference)) == (1, None)


def test_tests_with_several_right_answers_and_those_that_run_nothing_tell_nothing(pool: LocalExecutor) -> None:
    reference, program = "n = int(input())\nprint(n)\n", "n = int(input())\nprint(n - 9)\n"
    checked = StdioTest("3\n", "3\n", checker="def check(stdin, expected, printed):\n    return int(printed) > 0\n")
    assert lines(judged(pool, program, checked, reference=reference)) == (1, None)
    assert lines(judged(pool, "4", TextTest("3"), reference="3")) == (1, None)


def test_a_tolerance_of_the_test_says_which_prints_are_right(pool: LocalExecutor) -> None:
    reference = "x = float(input())\nprint(x)\ny = x + 1\nprint(y)\n"
    program = "x = float(input())\nprint(round(x, 2))\ny = x + 2\nprint(y)\n"
    near = StdioTest("0.333\n", "0.333\n1.333\n", tolerance=0.01)
    assert lines(judged(pool, program, near, reference=reference)) == (1, 3)


def test_a_program_that_another_run_does_not_fail_is_not_blamed_on_a_line(pool: LocalExecutor) -> None:
    keeps = "seen = []\ndef f(xs):\n    seen.append(1)\n    return sum(xs) + len(seen) - 1\n"
    verdict = judged(pool, keeps, CallTest("f", ([],), 0), TEST)
    assert (verdict.outcome, lines(verdict)) == (Outcome.WRONG_ANSWER, (2, None))


def test_a_deep_recursion_has_room_for_its_records(pool: LocalExecutor) -> None:
    deep = "def f(n):\n    if n == 0:\n        return {}\n    return 1 + f(n - 1)\n"
    verdict = judged(pool, deep.format(1), CallTest("f", (980,), 980), reference=deep.format(0))
    assert (verdict.outcome, lines(verdict)) == (Outcome.WRONG_ANSWER, (1, 3))


def test_a_program_that_floods_its_trace_is_stopped_and_read_up_to_there(pool: LocalExecutor) -> None:
    flood = "def f(xs):\n    s = {}\n    for i in range(10**6):\n        t = i\n" + SUM.partition("s = 0\n")[2]
    start = time.monotonic()
    assert lines(judged(pool, flood.format(1), reference=flood.format(0))) == (1, 2)
    late = flood.format(0).replace("s += x", "s -= x")
    assert lines(judged(pool, late, reference=flood.format(0))) == (1, None)
    large = "def f(xs):\n    s = [0] * 10**6\n    for x in s[:3000]:\n        s[x] += 1\n    return s[0] + {}\n"
    assert lines(judged(pool, large.format(1), CallTest("f", ([],), 3000), reference=large.format(0))) == (1, None)
    assert time.monotonic() - start < 60
    assert EVENTS < 10**6


FORGER = """
def f(xs):
    for c in f.__code__.co_consts:
        if hasattr(c, '_memory'):
            {}
    s = 0
    t = 1
    return s
"""
FORGERIES = {
    "a value of its choice": "c._at = 0; c._record({}, 5)",
    "nothing": "c._memory[:] = bytes(len(c._memory))",
    "noise": "c._memory[:] = bytes(i * 7 % 251 for i in range(len(c._memory)))",
    "full": "c._memory[0] = 1",
    "closed": "c._memory.close()",
    "deaf": "type(c).__setitem__ = lambda *a: None; type(c).returned = lambda self, key, value: value",
    "left": "__import__('os')._exit(0)",
    "passing": "return 7",
    "endless": "exec('while True: c._at = 0; c[4] = 1')",
    "forking": "import os\n            if os.fork() == 0: exec('while True: c[4] = 1')",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_program_that_forges_its_trace_lies_about_its_own_line_alone(name: str) -> None:
    honest_program = WRONG + "# " + name  # not judged before
    with LocalExecutor(workers=1) as executor:
        program = FORGER.format(FORGERIES[name].format(1)).lstrip("\n")
        forged = judged(executor, program, reference=SUM)
        plain = judged(executor, program, reference=None)
        assert (forged.outcome, forged.passed) == (Outcome.WRONG_ANSWER, 0)
        assert (plain.outcome, plain.error, plain.tests[0].status) == (
            forged.outcome,
            forged.error,
            forged.tests[0].status,
        )
        test, line = lines(forged)
        assert test == 1
        assert line is None or 1 <= line <= 8
        honest = judged(executor, honest_program, reference=SUM)  # beside the same trace of the reference
        assert honest.divergence == Divergence(1, 4, 4)


FORGER_OF_ONE_VALUE = """\
def f(xs):
    for c in [c for c in f.__code__.co_consts if hasattr(c, '_memory')]:
        [setattr(c, '_at', {}), c._record({}, 5)]
    s = 0
    t = 1
    return s
"""


@pytest.mark.parametrize("at", [0, 1])
def test_a_forged_value_moves_the_blame_to_the_line_that_it_names(pool: LocalExecutor, at: int) -> None:
    honest = FORGER_OF_ONE_VALUE.replace("setattr(c, '_at', {}), c._record({}, 5)", "c, xs")
    reference = honest.replace("return s", "return 7")
    assert lines(judged(pool, honest, reference=reference)) == (1, 6)
    blamed = [lines(judged(pool, FORGER_OF_ONE_VALUE.format(at, s), reference=reference))[1] for s in range(1, 12)]
    assert {1, 2, 3, 4, 5, 6} >= {*blamed} - {None} > {4}
    assert blamed[-1] is None  # there are fewer statements


def test_equal_programs_with_other_references_are_other_jobs(pool: LocalExecutor) -> None:
    other = "def f(xs):\n    s = -0\n    for x in xs:\n        s += x\n    return s\n"
    futures = [pool.submit(Job(WRONG, (TEST,), reference=r)) for r in (SUM, other, None, SUM)]
    verdicts = [future.result() for future in futures]
    assert verdicts[0] is verdicts[3]
    assert verdicts[0] is not verdicts[1]
    assert verdicts[2].divergence is None


def wrong_program() -> TestProgress:
    """A program whose test is decided."""
    tests = messages.tests_from_json(messages.tests_to_json([TEST]))
    return TestProgress(WRONG, "", JobTests(1, tests), Limits(9.0, 1 << 20, 1 << 10))


def test_a_reference_is_run_once_for_all_programs_and_each_in_a_memory_of_its_own() -> None:
    programs = []

    def run(progress: TestProgress, at: int) -> None:
        assert progress.trace is not None
        assert progress.trace.trace().events == ()
        assert progress.limits.timeout == 2.0
        assert not progress.coverage
        programs.append(progress.program)
        progress.trace._memory[8:10] = b"\1\0"
        progress.mark(at, Outcome.PASSED if progress.program == SUM else Outcome.WRONG_ANSWER)
        progress.cpu_seconds += 1.5

    comparison, wrong = ReferenceComparison(run), wrong_program()
    for _ in range(3):
        comparison(wrong, SUM, 0)
    assert programs == [SUM, WRONG, WRONG, WRONG]
    assert wrong.cpu_seconds == 4 * 1.5


def test_a_sandbox_that_is_lost_while_a_program_is_compared_costs_the_line_and_no_verdict() -> None:
    def run(progress: TestProgress, at: int) -> None:
        raise ZygoteLost("gone")

    assert ReferenceComparison(run)(wrong_program(), SUM, 0) == Divergence(1, None, None)
