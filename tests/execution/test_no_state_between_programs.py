"""A program's verdict does not depend on the programs that were judged before it."""

from itertools import permutations

import pytest

from rltf.execution import LocalExecutor
from rltf.types import AssertTest, Job, Outcome

TESTS = tuple(AssertTest(f"assert f({x}) == {x + 1}") for x in range(4))
PROGRAMS = {
    "right": ("def f(x):\n    return x + 1", [Outcome.PASSED] * 4),
    "wrong": ("def f(x):\n    return x + 1 + (x == 1)", [Outcome.PASSED, Outcome.WRONG_ANSWER, *[Outcome.PASSED] * 2]),
    "raises": (
        "def f(x):\n    return {0: 1, 2: 3, 3: 4}[x]",
        [Outcome.PASSED, Outcome.RUNTIME_ERROR, *[Outcome.PASSED] * 2],
    ),
}


@pytest.mark.parametrize("order", list(permutations(PROGRAMS)), ids="-".join)
def test_the_same_tests_give_each_program_its_own_verdict_in_any_order(order):
    """Failed on commit 3c8496c, whose judge sent later requests ahead, as earlier programs had answered them: a test in
    the middle that one program failed was failed by all after it."""
    with LocalExecutor(workers=1) as executor:
        for name in order:
            program, expected = PROGRAMS[name]
            verdict = executor.submit(Job(program, TESTS)).result()
            assert [test.status for test in verdict.tests] == expected, name
