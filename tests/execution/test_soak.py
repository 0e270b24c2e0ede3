"""Long runs with faults injected (slow)."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.sandbox.process_tree import descendants
from rltf.types import CallTest, Job, Outcome

PROGRAMS = int(os.environ.get("RLTF_SOAK_PROGRAMS", "20000"))


def rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_random_kills_lose_nothing_and_leak_nothing() -> None:
    """Zygotes, workers, programs and now and then the supervisor are killed while thousands of programs run."""
    draw = random.Random(7)
    over = threading.Event()

    def kill_someone() -> None:
        while not over.wait(draw.uniform(0.1, 0.6)):
            pids = descendants(os.getpid())
            victim = draw.choice(pids[1:] or pids) if draw.random() < 0.97 else pids[0]
            try:
                os.kill(victim, signal.SIGKILL)
            except OSError:
                continue

    with LocalExecutor(workers=2, timeout=5) as executor:
        executor.report()
        files = len(os.listdir("/proc/self/fd"))
        memory = 0
        killer = threading.Thread(target=kill_someone)
        killer.start()
        try:
            jobs = (Job(f"def f(x):\n    return x + {i}", (CallTest("f", (1,), 1 + i),)) for i in range(PROGRAMS))
            outcomes = []
            for number, verdict in enumerate(executor.map(jobs)):
                outcomes.append(verdict)
                if number == PROGRAMS // 2:
                    memory = rss(os.getpid())
        finally:
            over.set()
            killer.join()
        assert len(outcomes) == PROGRAMS
        # a program that is itself killed says so; every other one passes
        killed = [v for v in outcomes if v.outcome != Outcome.PASSED]
        assert all(v.error is not None and v.error.type in ("SIGKILL", "SandboxLost", "JudgeLost") for v in killed)
        assert len(killed) < PROGRAMS / 100
        assert rss(os.getpid()) < memory + 64 * 1024
        assert len(os.listdir("/proc/self/fd")) <= files + 1
    time.sleep(1)
    assert descendants(os.getpid()) == []
