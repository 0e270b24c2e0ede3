"""A long run of programs of every kind, while workers, zygotes and graders are killed at random (slow).

`RLTF_SOAK_PROGRAMS` says how many. Prints its figures, one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from processes import alive, by_role, eventually
from test_listed_programs import PROGRAMS as LISTED
from test_listed_programs import _possible

from rltf.execution import LocalExecutor
from rltf.execution.isolation import memory
from rltf.execution.sandbox.process_tree import descendants
from rltf.types import AssertTest, CallTest, CheckTest, Job, Outcome, StdioTest, Test, Verdict

PROGRAMS = int(os.environ.get("RLTF_SOAK_PROGRAMS", "100000"))
WORKERS = 3
"""More than cores, since some programs sleep."""
LISTED_SHARE = 0.4
KILL_SECONDS = (0.5, 3.0)
"""Between two kills."""
SECONDS_ALONE = 4.0
"""Programs that take longer alone are left out."""
LOST = ("JudgeLost", "SandboxLost", "TooLarge")
"""Errors of a job under which all three workers, or zygotes, or both graders were killed."""
GROWTH_MB = 24
GROWTH_FILES = 10
"""A zygote that is needed late, e.g. for numpy, costs its worker a few."""

Signature = tuple[Any, ...]


@dataclass(frozen=True)
class Soaked:
    """A program of the run, and the verdict that is its own."""

    name: str
    job: Job
    signature: Signature


def signature(verdict: Verdict) -> Signature:
    """What must not depend on anything but the program and its tests. Where a program was when its time was up is
    known on good luck alone."""
    error = verdict.error
    line = None if error is None or verdict.outcome is Outcome.TIMEOUT else error.line
    statuses = tuple(test.status.value for test in verdict.tests)
    return verdict.outcome.value, verdict.passed, statuses, error and error.type, line


def like_no_other(job: Job, number: int) -> Job:
    """The job under a time limit of its own, so that no earlier verdict answers it."""
    assert job.timeout is not None
    return replace(job, timeout=job.timeout + 1e-7 * (number + 1))


def ordinary(draw: random.Random, number: int) -> Soaked:
    """A short program, right or wrong, whose tests few others have."""
    wrong = draw.randrange(3) == 0
    n = number if draw.randrange(5) == 0 else draw.randrange(50)
    forms: tuple[Test, ...] = (
        CallTest("f", (1,), 1 + n),
        AssertTest(f"assert f(1) == {1 + n}"),
        CheckTest(f"def check(c):\n    assert c(1) == {1 + n}\n    assert list(map(c, [1])) == [{1 + n}]", "f"),
        AssertTest(f"import random\nrandom.seed(1)\nassert f(1) == {1 + n}"),
        StdioTest("1\n", f"{1 + n}\n"),
    )
    test = draw.choice(forms)
    program = (
        f"def f(x):\n    return x + {n + wrong}\n# {number}\nif __name__ == '__main__':\n    print(f(int(input())))"
    )
    status = "wrong_answer" if wrong else "passed"
    return Soaked("ordinary", Job(program, (test,), timeout=60), (status, int(not wrong), (status,), None, None))


def verdicts_alone() -> tuple[list[Soaked], list[float]]:
    """The listed programs with the verdict that each gets with nothing else running, and the seconds that it takes."""
    soaked, seconds = [], []
    with LocalExecutor(workers=1) as executor:
        report = executor.report()
        for listed in LISTED:
            if _possible(listed, report):
                start = time.monotonic()
                verdict = executor.submit(listed.job).result()
                duration = time.monotonic() - start
                if duration < SECONDS_ALONE:
                    soaked.append(Soaked(listed.name, listed.job, signature(verdict)))
                    seconds.append(max(duration, 0.005))
    return soaked, seconds


def is_steady(soaked: Soaked) -> bool:
    """True where five more tries alone give the same verdict."""
    with LocalExecutor(workers=1) as executor:
        tries = [executor.submit(like_no_other(soaked.job, -2 - i)).result() for i in range(5)]
    return all(signature(verdict) == soaked.signature for verdict in tries)


class Killer:
    """A thread that kills workers, zygotes, graders and now and then the supervisor, never a program."""

    def __init__(self, executor: LocalExecutor) -> None:
        self.killed: Counter[str] = Counter()
        self._executor = executor
        self._draw = random.Random(7)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        """Stops killing."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._draw.uniform(*KILL_SECONDS)):
            supervisor = self._executor._process.pid
            roles = {kind: pids for kind, pids in by_role(supervisor).items() if pids and kind != "program"}
            if self._draw.random() < 0.97:
                roles.pop("supervisor", None)
            kind = self._draw.choice(sorted(roles) or ["supervisor"])
            with contextlib.suppress(OSError):
                os.kill(self._draw.choice(roles.get(kind, [supervisor])), signal.SIGKILL)
                self.killed[kind] += 1


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


def census(executor: LocalExecutor) -> dict[str, Any]:
    """What an idle pool has: of each role the number of processes and the most memory and descriptors of one."""
    assert eventually(lambda: by_role(executor._process.pid)["program"] == [])
    found: dict[str, Any] = {}
    for role, pids in {**by_role(executor._process.pid), "trainer": [os.getpid()]}.items():
        if role not in ("program", "compiler"):  # of which there may be none
            sizes, files = map(rss_mb, pids), (len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
            found[role] = {"count": len(pids), "mb": round(max(sizes), 1), "files": max(files)}
    found["processes"] = len(descendants(executor._process.pid))
    found["temporary"] = len(temporary_files())
    found["groups"] = len(groups())
    return found


def temporary_files() -> list[str]:
    """Scratch folders of workers that have ended."""
    return orphaned(name for name in os.listdir(tempfile.gettempdir()) if name.startswith("rltf-slot-"))


def groups() -> list[str]:
    """Memory cgroups of workers that have ended."""
    return orphaned(group.name for parent, _ in memory._parents() for group in parent.glob("rltf-[0-9]*"))


def orphaned(names: Iterable[str]) -> list[str]:
    """Those whose name holds the id of a process that is gone."""
    return [name for name in names if not Path(f"/proc/{next(p for p in name.split('-') if p.isdigit())}").exists()]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_programs_leave_nothing_and_each_gets_its_own_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    draw = random.Random(11)
    listed, seconds = verdicts_alone()
    weights = [1 / duration for duration in seconds]

    def programs() -> Iterator[Soaked]:
        for number in range(PROGRAMS):
            if draw.random() < LISTED_SHARE:
                (one,) = draw.choices(listed, weights)
                yield replace(one, job=like_no_other(one.job, number))
            else:
                yield ordinary(draw, number)

    start = time.monotonic()
    differing: list[tuple[Soaked, Verdict, bool]] = []
    counts: Counter[str] = Counter()
    stream = programs()
    descriptors = len(os.listdir("/proc/self/fd"))
    with LocalExecutor(workers=WORKERS, timeout=60) as executor:
        executor.report()

        def judge(count: int, killing: bool) -> None:
            batch = list(islice(stream, count))
            for one, verdict in zip(batch, executor.map(one.job for one in batch), strict=True):
                counts[verdict.outcome.value] += 1
                if signature(verdict) != one.signature:
                    differing.append((one, verdict, killing))

        killer = Killer(executor)
        try:
            for _ in range(10):
                judge(PROGRAMS // 20, killing=True)
        finally:
            killer.end()
        judge(PROGRAMS // 10, killing=False)
        first = census(executor)
        for _ in range(4):
            judge(PROGRAMS // 10, killing=False)
        last = census(executor)
        below = descendants(os.getpid())
    seconds_taken = time.monotonic() - start
    lost = [one.name for one, verdict, killing in differing if killing and verdict.error and verdict.error.type in LOST]
    others = [
        (one, signature(v)) for one, v, killing in differing if not (killing and v.error and v.error.type in LOST)
    ]
    unsteady = sorted({one.name for one, _ in others if one.name != "ordinary" and not is_steady(one)})
    wrong = [(one.name, one.signature, found) for one, found in others if one.name not in unsteady]
    figures = {
        "programs": sum(counts.values()),
        "seconds": round(seconds_taken),
        "outcomes": counts,
        "killed": killer.killed,
        "lost": lost,
        "unsteady": unsteady,
        "differing": wrong[:20],
        "listed": len(listed),
        "after 60 %": first,
        "at the end": last,
    }
    with capsys.disabled():
        print(json.dumps(figures, default=str))
    assert sum(counts.values()) == PROGRAMS // 20 * 10 + PROGRAMS // 10 * 5
    assert wrong == []
    assert len(lost) <= 1 + PROGRAMS / 10_000
    assert len(unsteady) <= len(listed) / 50
    assert alive(below) == []
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert eventually(lambda: temporary_files() == groups() == [])
    assert last["processes"] <= WORKERS * 9  # a zygote with the process that compiles is among them
    for role in ("trainer", "supervisor", "worker", "zygote", "grader"):
        assert last[role]["mb"] <= first[role]["mb"] + GROWTH_MB, role
        assert last[role]["files"] <= first[role]["files"] + GROWTH_FILES, role
