"""A program's verdict does not depend on the programs that were judged before it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rltf.execution import LocalExecutor
from rltf.types import AssertTest, CallTest, Job, Outcome, Test, Verdict

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


def leaving(found: str, leaves: str) -> str:
    """A program that leaves a trace, and returns 0 where it finds none."""
    imports = "import builtins, math, os, resource, sys, time"
    return f"{imports}\ndef f():\n    found = {found}\n    {leaves}\n    return int(found)"


TRACES = (
    leaving("os.listdir('.') != []", "open('left', 'w').close()"),
    leaving("os.path.basename(os.getcwd()) == 'sub'", "os.mkdir('sub')\n    os.chdir('sub')"),
    leaving("os.umask(0) & 0o700", "os.umask(0o777)"),
    leaving("os.environ.get('LEFT', 0)", "os.environ['LEFT'] = '1'"),
    leaving("hasattr(math, 'left')", "math.left = 1"),
    leaving("hasattr(builtins, 'left')", "builtins.left = len"),
    leaving("sys.getrecursionlimit() < 900", "sys.setrecursionlimit(500)"),
    leaving(f"os.nice(0) > {os.nice(0)}", "os.nice(3)"),
    leaving(
        f"len(os.sched_getaffinity(0)) < {len(os.sched_getaffinity(0))}",
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})",
    ),
    leaving("resource.getrlimit(7)[0] == 20", "resource.setrlimit(7, (20, 20))"),
    leaving("0", "os.fork() or time.sleep(30)"),
    leaving("0", "sys.modules.clear()"),
)
TEXTS = (
    "import decimal\nassert decimal.getcontext().prec == 28 + f()\ndecimal.getcontext().prec = 3",
    "import random\nrandom.seed(f())\nassert random.random() == 0.8444218515250481",
    "import builtins\nassert not hasattr(builtins, 'left') and f() == 0\nbuiltins.left = 1",
    "import json\nassert json.dumps(f()) == '0'\njson.dumps = None",
    "import sys\nsys.setrecursionlimit(200)\nassert f() == 0",
)
"""Tests that leave a trace in the process in which they run."""
ENDS = ("return 0", "return 1", "raise ValueError", "import os; os._exit(1)", "while True: pass")


def _jobs() -> Iterator[Job]:
    """Programs of `TRACES`, and others of any outcome, with tests that leave traces themselves."""
    for number, program in enumerate([*TRACES, *map("def f():\n    {}".format, ENDS)]):
        tests: list[Test] = [AssertTest(TEXTS[number % len(TEXTS)]), CallTest("f", (), 0), AssertTest(TEXTS[0])]
        yield Job(program, tuple(tests[: 1 + number % 3]), timeout=0.3, coverage=number % 2 == 0)


JOBS = st.sampled_from(list(_jobs()))


def statuses(verdict: Verdict) -> tuple[Any, ...]:
    error = verdict.error
    place = (error and error.type, error and error.line) if verdict.outcome is not Outcome.TIMEOUT else None
    return verdict.outcome, verdict.passed, tuple(test.status for test in verdict.tests), place, verdict.unexecuted


@pytest.fixture
def busy_cores() -> Iterator[None]:
    """Every core has something else to do."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


@pytest.fixture(scope="module")
def pools() -> Iterator[tuple[LocalExecutor, LocalExecutor]]:
    with LocalExecutor(workers=1) as one, LocalExecutor(workers=2) as two:
        yield one, two


_alone: dict[Job, tuple[Any, ...]] = {}
_numbers = itertools.count(1)


def alone(job: Job) -> tuple[Any, ...]:
    """What comes of a job that is the first one of its pool."""
    if job not in _alone:
        with LocalExecutor(workers=1) as executor:
            _alone[job] = statuses(executor.submit(job).result())
    return _alone[job]


@pytest.mark.parametrize("factor", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_a_verdict_depends_on_the_program_and_its_tests_alone(
    pools: tuple[LocalExecutor, LocalExecutor], busy_cores: None, factor: int
) -> None:
    """Not on what was judged before or is judged beside it, on the order, or on the load."""

    @settings(max_examples=6 * factor, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.lists(JOBS, min_size=1, max_size=12), min_size=1, max_size=3))
    def judged(batches: list[list[Job]]) -> None:
        for executor in pools:
            for batch in batches:
                unlike = [replace(job, timeout=job.timeout * (1 + 1e-9 * next(_numbers))) for job in batch]
                futures = [executor.submit(job) for job in unlike]
                found = [statuses(future.result()) for future in futures]
                assert found == [alone(job) for job in batch]

    judged()
