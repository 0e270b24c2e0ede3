"""What judging costs as programs and problems grow in number, and what load does to verdicts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from execution import Ours, null_program

from rltf.execution import LocalExecutor
from rltf.execution.sandbox.process_tree import descendants
from rltf.types import CallTest, Job

SPIN = [sys.executable, "-c", "while True: pass"]


def resident_mb() -> float:
    """Of this process and all below it."""
    total = 0
    for pid in (os.getpid(), *descendants(os.getpid())):
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:  # ended meanwhile
            continue
    return round(total * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def judged(quick: bool) -> dict[str, Any]:
    """CPU milliseconds a program and memory after 1,000 to 100,000 programs through one pool."""
    marks = (100, 300, 1000) if quick else (1000, 3000, 10_000, 30_000, 100_000)
    ours, rows, done = Ours(), [], 0
    for mark in marks:
        cost, count = 0.0, 0
        while done < mark:
            size = min(500, mark - done)
            cost += ours.run(null_program(10**7 + done, size)[1])[0]
            done, count = done + size, count + size
        rows.append({"programs": mark, "cpu_ms": round(1e3 * cost / count, 3), "resident_mb": resident_mb()})
    ours.pool.close()
    return {"by_programs": rows, "last_over_first_cpu": round(rows[-1]["cpu_ms"] / rows[0]["cpu_ms"], 3)}


def problems(quick: bool) -> dict[str, Any]:
    """The same number of programs over more and more problems, each with tests of its own."""
    programs, rows = (200 if quick else 10_000), []
    for count in (100, 200) if quick else (100, 1000, 10_000):
        ours = Ours()
        tests = [tuple(CallTest("f", (x,), x + 1) for x in range(p, p + 10)) for p in range(count)]
        cost = 0.0
        for start in range(0, programs, 500):
            jobs = [
                Job(f"def f(x): return x + 1\n# {count} {i}", tests[i % count])
                for i in range(start, min(programs, start + 500))
            ]
            cost += ours.run(jobs)[0]
        rows.append({"problems": count, "cpu_ms": round(1e3 * cost / programs, 3), "resident_mb": resident_mb()})
        ours.pool.close()
    return {"by_problems": rows, "last_over_first_cpu": round(rows[-1]["cpu_ms"] / rows[0]["cpu_ms"], 3)}


def load(quick: bool) -> dict[str, Any]:
    """Verdicts of the same programs on the machine as it is and beside 8 busy processes."""
    jobs = program_mix(60 if quick else 2000)
    with LocalExecutor(workers=2) as pool:
        idle = [verdict.outcome for verdict in pool.map(jobs)]
        busy = [subprocess.Popen(SPIN) for _ in range(8)]
        try:
            again = [replaced(job, number) for number, job in enumerate(jobs)]  # equal programs are judged once
            loaded = [verdict.outcome for verdict in pool.map(again)]
        finally:
            _end(busy)
    flips = [(number, str(a), str(b)) for number, (a, b) in enumerate(zip(idle, loaded, strict=True)) if a != b]
    counts = {str(outcome): idle.count(outcome) for outcome in dict.fromkeys(idle)}
    return {"programs": len(jobs), "idle": counts, "flips": len(flips), "flipped": flips[:20], "goal_flips": 0}


def program_mix(count: int) -> list[Job]:
    """Four fifths ordinary programs of five outcomes; the rest needs two thirds or one and a half of its timeout, in
    processor time or asleep."""
    steps = _steps_a_second()
    need = 0.12
    burn = "def f():\n    n = 0\n    while n < {}:\n        n += 1\n    return n"
    sleep = "import time\ndef f():\n    time.sleep({})\n    return 1"
    kinds: list[Callable[[], Job]] = [
        *[partial(_job, "def f():\n    return 1", 1)] * 8,
        *[partial(_job, "def f():\n    return 2", 1)] * 4,
        *[partial(_job, "def f():\n    return [][1]", 1)] * 2,
        partial(_job, "def f(:\n    return 1", 1),
        partial(_job, "x = [0] * 10**11\ndef f():\n    return 1", 1),
        partial(_job, burn.format(int(steps * need)), int(steps * need), 1.5 * need),
        partial(_job, burn.format(int(steps * need)), int(steps * need), need / 1.5),
        partial(_job, sleep.format(need), 1, 1.5 * need),
        partial(_job, sleep.format(need), 1, need / 1.5),
    ]
    return [replaced(kinds[number % len(kinds)](), -1 - number) for number in range(count)]


def _job(program: str, expected: int, timeout: float | None = None) -> Job:
    return Job(program, (CallTest("f", (), expected),), timeout=timeout)


def replaced(job: Job, number: int) -> Job:
    """The same program under another text."""
    return Job(f"{job.program}\n# {number}", job.tests, timeout=job.timeout)


def _steps_a_second() -> float:
    """Of the loop that burns, in CPU time; the slowest of five beside busy neighbours, with whom a core may share more
    than its clock, so that a need is never longer than it says."""
    busy = [subprocess.Popen(SPIN) for _ in range(os.cpu_count() or 1)]
    rows = []
    try:
        for _ in range(5):
            start, n = time.process_time(), 0
            while n < 2_000_000:
                n += 1
            rows.append(n / (time.process_time() - start))
    finally:
        _end(busy)
    return min(rows)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()
