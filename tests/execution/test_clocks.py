"""What of a test's time counts, and that nothing but the program's own doing makes it run out."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.execution import Job, LocalExecutor
from rltf.execution.sandbox import proc_stat
from rltf.execution.sandbox.clock import TaskClock, counted_seconds
from rltf.execution.sandbox.limits import WALL_CLOCK_FACTOR, Limits, Stop, StopReason
from rltf.execution.sandbox.proc_stat import task_seconds
from rltf.execution.sandbox.sandbox import Sandbox
from rltf.execution.sandbox.settings import SandboxSettings
from rltf.types import AssertTest, CallTest, CheckTest, Outcome, StdioTest

SECONDS = st.floats(0, 1000)


@pytest.mark.parametrize(
    ("wall", "waiting", "running", "counted"),
    [
        (2.0, 0.0, 2.0, 2.0),  # alone on a core
        (4.0, 3.0, 1.0, 1.0),  # one core for four
        (4.0, 0.0, 0.0, 4.0),  # asleep
        (4.0, 1.0, 0.0, 3.0),  # asleep, but for a second in the queue
        (3.0, 57.0, 6.0, 3.0),  # twenty of its own on two cores
        (3.0, 20.0, 1.0, 1.0),  # twenty of its own on a third of a core: the host is in the way
        (12.0, 11.9, 0.1, 1.0),  # the wall's own limit: a twelfth
    ],
)
def test_seconds_that_count(wall: float, waiting: float, running: float, counted: float) -> None:
    assert counted_seconds(wall, waiting, running) == pytest.approx(counted)


@given(SECONDS, SECONDS, SECONDS)
def test_neither_more_than_the_wall_nor_less_than_what_ran(wall: float, waiting: float, running: float) -> None:
    counted = counted_seconds(wall, waiting, running)
    assert wall / WALL_CLOCK_FACTOR <= counted <= wall
    assert counted >= min(wall, running) - 1e-9


def test_what_a_task_waited_counts_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler on a busy host: its first process waits 3 s and runs 1, the next has its id."""
    looks = [({7: 2.0}, 0.5), ({7: 3.0}, 1.0), ({7: 1.0}, 1.5), ({7: 3.0, 8: 0.5}, 2.0), ({}, 2.0)]
    monkeypatch.setattr(proc_stat, "task_seconds", lambda zygote: looks.pop(0))
    clock = TaskClock(1)
    for _ in range(3):
        clock.look()
    assert clock.counted(8.5) == pytest.approx(8.5 - 6.5)
    assert clock.counted(9.0) == pytest.approx(9.0 - 6.5)
    monkeypatch.setattr(proc_stat, "task_seconds", lambda zygote: ({9: 4.0}, 2.5))
    clock.look()
    clock.begin_test()
    assert clock.counted(1.0) == pytest.approx(1.0)  # what was waited before belongs to the tests before


def test_seconds_of_tasks_are_those_of_the_kernel() -> None:
    loop = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    command = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {loop!r}])"
    shell = subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert shell.stdout is not None
        shell.stdout.readline()
        waiting, running = task_seconds(shell.pid)
        assert 0.28 <= running <= 0.6  # ticks of 10 ms; the interpreter's start is in it
        assert all(seconds >= 0 for seconds in waiting.values())
    finally:
        shell.communicate(b"\n")
    assert task_seconds(shell.pid) == ({}, 0.0)


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalExecutor]:
    with LocalExecutor(workers=1) as executor:
        yield executor


@pytest.fixture
def busy_cores() -> Iterator[None]:
    """Twice as many busy processes as cores."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


WORK = """
import time
def f(x):
    end = time.process_time() + 0.01
    while time.process_time() < end:
        pass
    return x
"""


@pytest.mark.usefixtures("busy_cores")
@pytest.mark.parametrize("form", ["check", "asserts in one test", "calls", "stdio"])
def test_waiting_for_a_core_does_not_count_in_any_form_of_test(pool: LocalExecutor, form: str) -> None:
    """0.6 s of work under a limit of 1 s, beside four busy processes: at least 1.8 s by the clock of the wall."""
    check = CheckTest("def check(candidate):\n    for i in range(60):\n        assert candidate(i) == i", "f")
    tests = {
        "check": (check,),
        "asserts in one test": (AssertTest("\n".join(f"assert f({i}) == {i}" for i in range(60))),),
        "calls": (CallTest("f", (1,), 1), CallTest("g", (1,), 1)),
        "stdio": (StdioTest("", "60\n"),),
    }[form]
    program = WORK + "def g(x):\n    return sum(f(1) for _ in range(60)) // 60\n"
    if form == "stdio":
        program += "print(sum(f(1) for _ in range(60)))\n"
    verdict = pool.submit(Job(program, tests, timeout=1.0)).result()
    assert (verdict.outcome, verdict.error) == (Outcome.PASSED, None)


@pytest.mark.parametrize("child", ["while True: pass", "time.sleep(60)"])
@pytest.mark.parametrize("form", ["call", "stdio", "assert"])
def test_time_that_its_own_processes_take_counts(pool: LocalExecutor, child: str, form: str) -> None:
    program = f"""
import os, time
def f(x):
    for _ in range(15):
        if os.fork() == 0:
            {child}
    while True:
        pass
"""
    tests = {"call": CallTest("f", (1,), 1), "assert": AssertTest("assert f(1) == 1"), "stdio": StdioTest("", "")}
    start = time.monotonic()
    job = Job(program + "f(1)\n" * (form == "stdio"), (tests[form],), timeout=1.0)
    assert pool.submit(job).result().outcome is Outcome.TIMEOUT
    assert time.monotonic() - start < 6  # not twelve times the limit, however busy the host


@pytest.mark.parametrize("stdin", [b"", None], ids=["script", "functions"])
def test_a_long_wait_for_a_program_gives_a_sign_of_life_every_second(stdin: bytes | None) -> None:
    """A worker that gives none for a minute counts as stuck, and a test may take an hour."""
    sandbox = Sandbox(SandboxSettings(source=str(Path(__file__).parents[2])))
    signs: list[float] = []
    sandbox.when_waiting = lambda: signs.append(time.monotonic())
    try:
        process = sandbox.fork(Limits(timeout=60, memory_bytes=64 << 20, output_bytes=1000), stdin)
        start = time.monotonic()
        assert process.receive(2.2) == Stop(StopReason.TIME_LIMIT)  # it waits for its job
        process.finish()
        times = [start, *signs, start + 2.2]
        assert max(b - a for a, b in itertools.pairwise(times)) < 1
    finally:
        sandbox.close()


def test_the_limit_holds_for_all_requests_of_a_test_together(pool: LocalExecutor) -> None:
    program = "import time\ndef f(x):\n    time.sleep(0.2)\n    return x"
    check = CheckTest("def check(candidate):\n    for i in range(50):\n        assert candidate(i) == i", "f")
    verdict = pool.submit(Job(program, (check,), timeout=1.0)).result()
    assert verdict.outcome is Outcome.TIMEOUT
    assert 0.9 < verdict.tests[0].seconds < 3
