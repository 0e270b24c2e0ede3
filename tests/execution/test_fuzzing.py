"""Whatever programs, messages, tests, limits and lines are, nothing but verdicts comes out, and each job's is its own.

`make test-slow` runs ten times as many examples.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fuzzed_jobs import (
    LIBRARY_JOBS,
    FuzzedJob,
    echo_jobs,
    limit_jobs,
    message_jobs,
    stdio_jobs,
    text_jobs,
    unlike_any_other,
    value_jobs,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import eventually, processes

from rltf.execution import LocalExecutor
from rltf.execution.__main__ import _serve
from rltf.execution.sandbox.process_tree import descendants
from rltf.types import AssertTest, CallTest, Job, Outcome, Verdict

WORKERS = 2
_numbers = itertools.count()


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    """A pool whose workers outlive everything that is tried on them."""
    with LocalExecutor(workers=WORKERS) as executor:
        executor.report()
        futures = [executor.submit(neighbour(0)) for _ in range(20)]
        assert eventually(lambda: len(processes("worker", executor._process.pid)) == WORKERS or done(futures))
        yield executor


def done(futures: list[Any]) -> bool:
    return all(future.done() for future in futures)


LIBRARY = """import json, math, re
from collections import Counter
from decimal import Decimal
from fractions import Fraction
assert json.loads(json.dumps({"x": [f(1)]})) == {"x": [1 + NUMBER]}
assert len(sorted(map(str, (f(1), "b")))) == 2 and math.isclose(f(1), 1 + NUMBER) and re.match("[0-9]+", str(f(1)))
assert Counter("aab").most_common(1) == [("a", 2)] and Decimal(1) / 3 + f(1) > Fraction(f(1), 1)
"""
"""What test text that went before in the same grader might have spoilt."""


def neighbour(difference: int) -> Job:
    """An honest program, wrong by so much."""
    number = next(_numbers)
    call = CallTest("f", (1,), 1 + number + difference)
    text = AssertTest(LIBRARY.replace("NUMBER", str(number + difference)))
    return Job(f"def f(x):\n    return x + {number}", (call, text)[: 1 + number % 2], timeout=60)


def judge(executor: LocalExecutor, jobs: list[FuzzedJob]) -> None:
    """Judges jobs beside honest ones, and checks what must hold of every verdict."""
    start = time.monotonic()
    fuzzed = [unlike_any_other(job) for job in jobs]
    right, wrong = executor.submit(neighbour(0)), executor.submit(neighbour(1))
    futures = [executor.submit(one.job) for one in fuzzed]
    last = executor.submit(neighbour(0))
    for one, future in zip(fuzzed, futures, strict=True):
        verdict = future.result(300)
        assert verdict.outcome in one.possible, verdict
        check(one.job, verdict)
    assert right.result(60).outcome is last.result(60).outcome is Outcome.PASSED
    assert wrong.result(60).outcome is Outcome.WRONG_ANSWER
    limited = [one.job for one in fuzzed if one.job.timeout < 5]
    timeouts = sum(min(3, len(job.tests)) * job.timeout for job in limited)
    passes = sum(len(job.tests) * job.timeout for job in limited)  # each test may take what it is given
    assert time.monotonic() - start < 30 + 12 * timeouts + 2 * passes  # 12: other processes may need the cores


def check(job: Job, verdict: Verdict) -> None:
    """What holds of every verdict."""
    assert verdict.total == len(verdict.tests) == len(job.tests)
    assert verdict.passed == sum(test.status is Outcome.PASSED for test in verdict.tests)
    assert (verdict.outcome is Outcome.PASSED) == (verdict.passed == verdict.total)
    lines = job.program.count("\n") + job.program.count("\r") + 1
    for error in (verdict.error, *(test.error for test in verdict.tests)):
        assert error is None or error.type not in ("JudgeLost", "SandboxLost"), error
        assert error is None or len(error.type) + len(error.message) <= 1000
        assert error is None or error.line is None or 1 <= error.line <= (error.end_line or 0) <= 1 << 30
    assert verdict.unexecuted is None or all(1 <= line <= lines for line in verdict.unexecuted)
    json.dumps(verdict.unexecuted)


KINDS = {
    "values": (value_jobs(), 150),
    "echoes": (echo_jobs(), 100),
    "library": (LIBRARY_JOBS, 60),
    "messages": (message_jobs(), 200),
    "texts": (text_jobs(), 250),
    "limits": (limit_jobs(), 25),
    "stdio": (stdio_jobs(), 200),
}
"""Kind of jobs -> strategy, examples in the fast suite."""


@pytest.mark.parametrize("factor", [1, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(1800)
def test_every_job_gets_a_verdict_of_its_own(executor: LocalExecutor, kind: str, factor: int) -> None:
    jobs, examples = KINDS[kind]

    @settings(max_examples=factor * examples, suppress_health_check=list(HealthCheck))
    @given(st.lists(jobs, min_size=1, max_size=2))
    def judged(fuzzed: list[FuzzedJob]) -> None:
        judge(executor, fuzzed)

    before = standing(executor)
    judged()
    assert eventually(lambda: standing(executor) == before), (before, standing(executor))
    assert small(executor)


def standing(executor: LocalExecutor) -> list[int]:
    """The workers, which no job ends."""
    return sorted(processes("worker", executor._process.pid))


def small(executor: LocalExecutor) -> bool:
    """True where processes and descriptors have not piled up: a worker has up to two zygotes of programs and two of
    graders (with numpy and without), each of the latter a grader; and, once a tenth of the programs had a syntax error,
    a zygote with the process that compiles."""
    supervisor = executor._process.pid
    files = [len(os.listdir(f"/proc/{pid}/fd")) for pid in (supervisor, *processes("worker", supervisor))]
    crowd = eventually(lambda: len(descendants(supervisor)) <= WORKERS * 9, 10)
    return crowd and max(files) < 60


LINE_KEYS = st.sampled_from(("id", "program", "setup", "tests", "timeout", "memory_mb", "coverage", "zz"))
LINE_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
LINES = st.one_of(
    st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")),
    st.text('{}[]",:id0123456789\\ truefalsn', max_size=40).map(str.encode),
    st.dictionaries(LINE_KEYS, LINE_VALUES, max_size=3),
    st.integers(100, 3000).map(lambda n: b'{"id": ' + b"[" * n + b"]" * n + b"}"),
    st.integers(4000, 200_000).map(lambda n: b'{"id": ' + b"7" * n + b"}"),
)
"""Lines, or keys that replace those of a good line."""


@pytest.mark.parametrize("factor", [1, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_every_line_of_the_judges_command_is_answered_by_one(executor: LocalExecutor, factor: int) -> None:
    @settings(max_examples=80 * factor, suppress_health_check=list(HealthCheck))
    @given(st.lists(LINES, min_size=1, max_size=6))
    def answered(lines: list[bytes | dict[str, Any]]) -> None:
        number = next(_numbers)
        good = {
            "id": number,
            "program": f"def f(x): return x + {number}",
            "tests": [{"kind": "call", "function": "f", "args": [1], "expected": 1 + number}],
        }
        rows = [line if isinstance(line, bytes) else json.dumps({**good, **line}).encode() for line in lines]
        rows.append(json.dumps(good).encode())
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert _serve(executor, rows) == 0
        answers = [json.loads(line) for line in out.getvalue().splitlines() if len(line) < 4000]
        assert len(out.getvalue().splitlines()) == sum(bool(row.strip()) for row in rows)
        assert (answers[-1]["id"], answers[-1]["outcome"]) == (number, "passed")
        assert all(answer["outcome"] in {*Outcome, "invalid_input"} for answer in answers)
        assert all((answer["outcome"] == "invalid_input") == ("message" in answer) for answer in answers)

    answered()
    assert len(standing(executor)) == WORKERS


def test_workers_and_graders_stay_small(executor: LocalExecutor) -> None:
    """After all of the above."""
    for pid in processes("worker", executor._process.pid):
        below = [pid, *descendants(pid)]
        sizes = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) * 4096 for one in below]
        assert sum(sizes) < 600 << 20, sizes
