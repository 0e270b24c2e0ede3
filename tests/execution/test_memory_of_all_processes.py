"""The memory of all processes of a program together is limited where a memory cgroup can be had, and said so."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from processes import processes

from rltf.execution import LocalExecutor
from rltf.execution.isolation import memory
from rltf.execution.sandbox.process_tree import descendants
from rltf.types import CallTest, Job, Outcome

EACH = """
import os
def f(n):
    memory, depth = None, 0
    while depth < n:
        if (pid := os.fork()):
            os.waitpid(pid, 0)
            break
        memory = None
        memory = b"x" * (40 << 20)
        depth += 1
    if depth:
        os._exit(0)
    return n
"""
"""A chain of n processes, each of which holds 40 MB while the next ones live."""


def groups() -> set[Path]:
    return {group for parent, _ in memory._parents() for group in parent.glob("rltf-*")}


def holding(processes: int) -> Job:
    return Job(f"{EACH}# {processes}", (CallTest("f", (processes,), processes),), memory_mb=128)


@pytest.fixture
def counted() -> LocalExecutor:
    executor = LocalExecutor(workers=1)
    state = executor.report()["memory"]
    if state != "active":
        executor.close()
        pytest.skip(f"this host gives no memory cgroup: {state}")
    return executor


def groups_of(processes: set[int]) -> set[Path]:
    return {group for group in groups() if int(group.name.split("-")[1]) in processes}


def test_processes_that_take_too_much_together_meet_the_limit(counted: LocalExecutor) -> None:
    """Each of them has 40 MB, well below the 128 of one process; eight of them have 320."""
    with counted:
        few, many = (counted.submit(holding(n)).result() for n in (2, 8))
        assert few.outcome == Outcome.PASSED
        assert many.outcome == Outcome.MEMORY_LIMIT
        assert many.error is not None
        assert (many.error.type, many.error.category) == ("MemoryLimit", "global")
        assert counted.submit(holding(3)).result().outcome == Outcome.PASSED  # the next one is not blamed


def test_no_group_outlives_its_pool_not_even_that_of_a_killed_worker(counted: LocalExecutor) -> None:
    with counted:
        supervisor = counted._process.pid
        ours = groups_of(set(descendants(supervisor)))
        assert ours
        for pid in processes("worker", supervisor):
            os.kill(pid, signal.SIGKILL)
        assert counted.submit(holding(1)).result().outcome == Outcome.PASSED
        ours |= groups_of(set(descendants(supervisor)))
    assert not groups() & ours


def test_without_a_group_the_report_says_so_and_each_process_has_its_limit() -> None:
    with LocalExecutor(workers=1, without=["cgroup"]) as executor:
        assert executor.report()["memory"] == "absent: left out by configuration"
        assert executor.submit(holding(2)).result().outcome == Outcome.PASSED
        huge = Job("def f(n): return len(bytearray(1 << 30))", (CallTest("f", (1,), 1 << 30),), memory_mb=128)
        assert executor.submit(huge).result().outcome == Outcome.MEMORY_LIMIT
    with pytest.raises(ValueError, match=r"^require is .*: expected layers that are active here; 'memory' is absent"):
        LocalExecutor(workers=1, without=["cgroup"], require=["memory"])


SOCKETS = """
import os, socket, time
def f(x):
    for _ in range(20):
        if os.fork() == 0:
            break
    held = []
    try:
        while True:
            a, b = socket.socketpair()
            a.setblocking(False)
            held += [a, b]
            while True:
                try:
                    a.send(b"x" * 65536)
                except BlockingIOError:
                    break
    except OSError:
        pass
    time.sleep(60)
"""
"""Small processes whose memory is the kernel's, so that it may end the zygote for them."""


@pytest.mark.parametrize("without", [(), ("namespaces",)], ids=["all layers", "no namespaces"])
def test_a_zygote_that_ends_for_its_program_means_memory_limit_and_leaves_no_process(without: tuple[str, ...]) -> None:
    with LocalExecutor(workers=1, without=without) as executor:
        if executor.report()["memory"] != "active":
            pytest.skip("this host gives no memory cgroup")
        job = Job(SOCKETS, (CallTest("f", (1,), 1), CallTest("f", (2,), 1)), memory_mb=64, timeout=20)
        assert executor.submit(job).result().outcome == Outcome.MEMORY_LIMIT
        good = Job("def f(n): return n", (CallTest("f", (1,), 1),))
        assert executor.submit(good).result().outcome == Outcome.PASSED
        zygotes = processes("zygote", executor._process.pid)
        assert len([pid for pid in zygotes if descendants(pid) == []]) <= 4


def test_each_process_that_the_kernel_ended_is_told_once(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("max 0\noom 0\noom_kill 2\noom_group_kill 0\n")
    group = memory.MemoryGroup(tmp_path, modern=True)
    told = []
    for peaks, kills in ((0, 2), (5, 2), (5, 3), (5, 3), (9, 5)):
        events.write_text(f"max {peaks}\noom 0\noom_kill {kills}\noom_group_kill 0\n")
        told.append(group.exceeded())
    os.close(group._events)
    assert told == [False, False, True, False, True]
