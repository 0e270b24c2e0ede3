"""Whatever a program, a test or a lost process does, everybody who waits for a verdict gets an answer."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from processes import alive, eventually, processes
from test_judge_command import GOOD, judge

from rltf.execution import LocalExecutor, messages
from rltf.execution.json_tests import InvalidInput
from rltf.execution.jsonl import parse
from rltf.execution.messages import Message
from rltf.execution.pool.job_queue import Task
from rltf.execution.pool.pending import encode_tests
from rltf.execution.pool.supervisor import Supervisor, _WorkerProcess
from rltf.execution.pool.worker import Worker
from rltf.execution.sandbox.limits import LARGEST, require_limit
from rltf.execution.sandbox.process_tree import descendants
from rltf.execution.values.codec import MAX_DEPTH, MAX_NODES
from rltf.types import AssertTest, CallTest, Job, Outcome, StdioTest, Verdict, encode_verdict

FOREVER = "import time\ndef f(x):\n    time.sleep(600)\n# {}"
PROCESSES = 9
CROWD = f"""
import os, time
def f(x):
    [os.fork() or time.sleep(600) for _ in range({PROCESSES - 1})]
    time.sleep(600)
"""
"""Told from a zygote that starts, and forks to probe its layers, by its number of processes."""


def sum_of_range() -> Job:
    """Its test stays in one loop of C, which no exception ends."""
    return Job("def f():\n    return range(10 ** 12)", (AssertTest("assert sum(f()) == 3"),), timeout=0.05)


def addition(number: int) -> Job:
    return Job(f"def f(x):\n    return x + {number}", (CallTest("f", (1,), 1 + number),))


def busy(executor: LocalExecutor) -> list[int]:
    """Workers that have `CROWD` running."""
    workers = processes("worker", executor._process.pid)
    return [pid for pid in workers if any(len(descendants(z)) == PROCESSES for z in processes("zygote", pid))]


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_a_job_whose_worker_dies_three_times_gets_a_verdict_and_the_next_one_its_own() -> None:
    with LocalExecutor(workers=1, timeout=900) as executor:
        future = executor.submit(Job(CROWD, (CallTest("f", (1,), 1),) * 3))
        for _ in range(3):
            assert eventually(lambda: busy(executor) != [])
            (worker,) = busy(executor)
            os.kill(worker, signal.SIGKILL)
            assert eventually(lambda worker=worker: alive([worker]) == [])
        verdict = future.result(60)
        assert (verdict.outcome, verdict.passed, verdict.total) == (Outcome.UNJUDGEABLE, 0, 3)
        assert verdict.error is not None
        assert (verdict.error.type, verdict.error.line, verdict.error.category) == ("JudgeLost", None, "ignore")
        assert verdict.unexecuted is None
        assert executor.submit(addition(1)).result(60).outcome is Outcome.PASSED


def test_test_text_that_does_not_come_back_is_a_timeout_and_keeps_nobody() -> None:
    with LocalExecutor(workers=1) as executor:
        executor.report()
        (worker,) = processes("worker", executor._process.pid)
        futures = [executor.submit(job) for job in (addition(1), sum_of_range(), addition(2))]
        outcomes = [future.result(120).outcome for future in futures]
        assert outcomes == [Outcome.PASSED, Outcome.TIMEOUT, Outcome.PASSED]
        error = futures[1].result().error
        assert error is not None
        assert error.message == "its tests need more than 5 s with what it answered"
        assert processes("worker", executor._process.pid) == [worker]


def test_only_the_job_that_ends_a_worker_is_blamed_for_it() -> None:
    """Jobs go out by fours, and the verdicts on them come in one go: those that were done are lost with the worker."""
    with LocalExecutor(workers=1, timeout=900) as executor:
        jobs = [Job(CROWD, (CallTest("f", (1,), 1),)) if i == 1 else addition(i) for i in range(16)]
        futures = [executor.submit(job) for job in jobs]  # before the worker has started, so that there is a queue
        for _ in range(4):  # of a batch at first, and three times alone
            assert eventually(lambda: busy(executor) != [])
            (worker,) = busy(executor)
            os.kill(worker, signal.SIGKILL)
            assert eventually(lambda worker=worker: alive([worker]) == [])
        outcomes = [future.result(120).outcome for future in futures]
    assert outcomes == [Outcome.UNJUDGEABLE if i == 1 else Outcome.PASSED for i in range(16)]


def test_large_verdicts_and_large_test_sets_pass_each_other() -> None:
    """A worker that tells 0.8 MB of verdicts while it is sent 1.6 MB of tests: neither side waits for the other."""
    program = "def f(text, i):\n    raise ValueError('x' * 500)\n# {}"
    with LocalExecutor(workers=1, timeout=60) as executor:
        executor.report()
        sets = [tuple(CallTest("f", ("y" * 1000, i), k) for i in range(1500)) for k in range(24)]
        futures = [executor.submit(Job(program.format(k), tests)) for k, tests in enumerate(sets)]
        verdicts = [future.result(200) for future in futures]
    assert [(v.outcome, v.total) for v in verdicts] == [(Outcome.RUNTIME_ERROR, 1500)] * 24


def test_a_thread_of_verdicts_that_ends_tells_everybody_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(number: int, body: bytes) -> None:
        raise ZeroDivisionError("by a fault of ours")

    with LocalExecutor(workers=2, timeout=900) as executor:
        executor.report()
        monkeypatch.setattr(executor, "_resolve", broken)
        endless = Job(FOREVER, (CallTest("f", (1,), 1),))
        futures = [executor.submit(job) for job in (endless, addition(1), endless, addition(2))]
        sentence = r"the executor ended: ZeroDivisionError in its thread of verdicts \(by a fault of ours\)"
        for future in futures:
            with pytest.raises(RuntimeError, match=sentence):
                future.result(60)
        with pytest.raises(RuntimeError, match=sentence):
            executor.submit(addition(3))
        below = descendants(executor._process.pid)
    assert eventually(lambda: alive(below) == [])


def test_a_verdict_that_cannot_be_read_is_nobody_elses_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    read = messages.verdict_from_json
    record = encode_verdict(Verdict(Outcome.PASSED, 1, 1)) | {"isolation": {"judging": "rpc"}}
    assert read(json.dumps(record).encode(), {"files": "active"}).isolation == {"files": "active", "judging": "rpc"}
    for key in record:
        text = json.dumps({k: v for k, v in record.items() if k != key}).encode()
        with pytest.raises(messages.UnreadableVerdict, match=rf"cannot be read: KeyError \('{key}'\)"):
            read(text, {})
    for text in (b"", b"[]", b"{", b'{"outcome": "fine"}', b"[" * 100_000):
        with pytest.raises(messages.UnreadableVerdict):
            read(text, {})

    def first_is_broken(text: bytes, isolation: dict[str, str]) -> Verdict:
        monkeypatch.setattr(messages, "verdict_from_json", read)
        return read(b"{}", isolation)

    with LocalExecutor(workers=1) as executor:
        executor.report()
        monkeypatch.setattr(messages, "verdict_from_json", first_is_broken)
        futures = [executor.submit(addition(i)) for i in range(3)]
        with pytest.raises(messages.UnreadableVerdict):
            futures[0].result(60)
        assert [future.result(60).outcome for future in futures[1:]] == [Outcome.PASSED] * 2
        assert executor.submit(addition(0)).result(60).outcome is Outcome.PASSED  # not remembered


def test_a_supervisor_that_is_lost_again_and_again_is_given_up() -> None:
    with LocalExecutor(workers=1, timeout=900) as executor:
        future: Future[Verdict] = executor.submit(Job(FOREVER, (CallTest("f", (1,), 1),)))

        def over() -> bool:
            for pid in processes("supervisor"):
                if pid == executor._process.pid:
                    os.kill(pid, signal.SIGKILL)
            return future.done()

        assert eventually(over)
        with pytest.raises(RuntimeError, match="its supervisor was lost 6 times without a verdict"):
            future.result()


class SilentProcess:
    """A worker's process that gives no sign of life."""

    killed = False
    returncode = -signal.SIGKILL

    def kill(self) -> None:
        self.killed = True

    def wait(self, seconds: float) -> None:
        return


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Two pairs."""
    pairs = [*socket.socketpair(), *socket.socketpair()]
    yield pairs
    for end in pairs:
        end.close()


def test_a_worker_that_is_silent_for_too_long_is_killed_and_its_job_not_tried_again(
    sockets: list[socket.socket],
) -> None:
    ours, theirs, trainer, answers = sockets
    supervisor = Supervisor(trainer, {"workers": 1})
    process = SilentProcess()
    task = Task(Message(messages.JOB, job=1, test_set=1, timeout=0.1))
    worker = _WorkerProcess(process, messages.Connection(ours), tasks=deque([task]))  # type: ignore[arg-type]
    supervisor._workers.append(worker)
    worker.alive_at = time.monotonic() - 62
    theirs.sendall(Message(messages.ALIVE).packed())
    supervisor._receive_from_worker(worker)
    supervisor._kill_stuck_workers()
    assert not process.killed
    worker.alive_at = time.monotonic() - 62
    supervisor._kill_stuck_workers()
    assert process.killed
    supervisor._test_sets[1] = Message(messages.TESTS, test_set=1, tests=2)
    supervisor._selector.register(worker.connection, selectors.EVENT_READ, worker)
    supervisor._workers.append(worker)  # as if there were another, so that no successor is started
    supervisor._remove_worker(worker)
    supervisor._trainer.flush()
    (message,) = messages.Unpacker().feed(answers.recv(1 << 16))
    assert (message.kind, message.job) == (messages.VERDICT, 1)
    verdict = messages.verdict_from_json(message.body, {})
    assert (verdict.total, verdict.error and verdict.error.type) == (2, "JudgeLost")


@pytest.mark.parametrize(
    "body", [b"", b'{"timeout": 9, "x": [1, 2]}', b'["program", "", false, 1024, 7.5]', b"no JSON"]
)
def test_the_supervisor_reads_no_body(sockets: list[socket.socket], body: bytes) -> None:
    trainer, executor = sockets[:2]
    supervisor = Supervisor(trainer, {"workers": 1})
    executor.sendall(Message(messages.JOB, body, job=1, test_set=1, timeout=2.5).packed())
    assert supervisor._receive_from_trainer()
    (task,) = supervisor._queue.take(set(), 1)
    assert (task.message.body, task.message.timeout) == (body, 2.5)


def test_a_worker_gives_signs_of_life_while_a_program_runs_at_most_one_a_second(
    sockets: list[socket.socket],
) -> None:
    ours, theirs = sockets[:2]
    waiting: list[Callable[[], None]] = []
    Worker(ours, SimpleNamespace(when_waiting=waiting.append))  # type: ignore[arg-type]
    start = time.monotonic()
    for _ in range(1000):
        waiting[0]()
    received = list(messages.Unpacker().feed(theirs.recv(1 << 16)))
    assert {message.kind for message in received} == {messages.ALIVE}
    assert len(received) <= 1 + (time.monotonic() - start)


def test_a_line_that_cannot_be_judged_leaves_the_others_their_verdicts() -> None:
    call = {"kind": "call", "function": "f", "args": [nested(500)], "expected": 1}
    lines = [
        GOOD,
        {"id": "deep", "program": "", "tests": [call]},
        {"id": "long", "program": "", "tests": GOOD["tests"], "timeout": 1e10},
        {"id": "large", "program": "", "tests": GOOD["tests"], "memory_mb": 1e16},
        {**GOOD, "id": "last"},
    ]
    rows = judge(lines)
    assert [row["id"] for row in rows] == ["a", "deep", "long", "large", "last"]
    assert [row["outcome"] for row in rows] == ["passed", "invalid_input", "invalid_input", "invalid_input", "passed"]
    assert rows[1]["message"].startswith("line 2: tests hold what cannot be judged outside the sandbox: nested deeper")
    assert rows[2]["message"] == ("line 3: `timeout` is 10000000000.0: expected a number above 0 and at most 86400")


BAD_LIMITS = [("timeout", v) for v in (0, -1, 86_401, 1e10, float("nan"), float("inf"), True, "4", 10**400)]
BAD_LIMITS += [("memory_mb", v) for v in (0, -1, (1 << 20) + 1, 10**16, float("inf"), True, "4", 10**400)]


@pytest.mark.parametrize(("key", "value"), BAD_LIMITS, ids=str)
def test_limits_that_no_clock_and_no_rlimit_holds_are_refused_where_they_are_read(
    pool: LocalExecutor, key: str, value: Any
) -> None:
    with pytest.raises(InvalidInput, match=rf"`{key}` is .*: expected a (whole )?number above 0 and at most"):
        parse(json.dumps({"id": 1, "program": "", "tests": GOOD["tests"], key: value}).encode())
    with pytest.raises(ValueError, match=rf"^{key} is .*above 0 and at most {LARGEST[key]}"):
        pool.submit(Job("", (StdioTest("", ""),), **{key: value}))
    with pytest.raises(ValueError, match=rf"^{key} is .*above 0 and at most {LARGEST[key]}"):
        LocalExecutor(**{key: value})


def test_the_largest_limits_are_served(pool: LocalExecutor) -> None:
    job = Job("def f(x): return x", (CallTest("f", (1,), 1), StdioTest("", ""), AssertTest("assert f(2) == 2")))
    largest = Job(job.program, job.tests, timeout=LARGEST["timeout"], memory_mb=LARGEST["memory_mb"])
    assert pool.submit(largest).result(60).outcome is Outcome.PASSED


@pytest.mark.parametrize("key", [key for key in LARGEST if key != "timeout"])
def test_counts_and_sizes_are_whole(key: str) -> None:
    require_limit(key, LARGEST[key])
    for value in (0.5, 2.0, LARGEST[key] + 1, None):
        with pytest.raises(
            ValueError, match=f"expected a whole number (above|of at least) 0 and at most {LARGEST[key]}"
        ):
            require_limit(key, value)


def test_a_fraction_of_a_megabyte_in_a_line_is_a_whole_one() -> None:
    assert parse(json.dumps({**GOOD, "memory_mb": 0.25}).encode())[1].memory_mb == 1


def recursive_list() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


VALUES = [lambda: nested(MAX_DEPTH + 1), recursive_list, lambda: [0] * MAX_NODES, object]


@pytest.mark.parametrize("value", VALUES, ids=["deep", "recursive", "large", "object"])
def test_a_value_that_cannot_be_sent_is_refused_when_the_job_is_given_in(
    pool: LocalExecutor, value: Callable[[], Any]
) -> None:
    tests = (CallTest("f", (value(),), 1),)
    with pytest.raises(ValueError, match="tests hold what cannot be judged outside the sandbox"):
        encode_tests(tests)
    with pytest.raises(ValueError, match="tests hold what cannot be judged outside the sandbox"):
        pool.submit(Job("", tests))
    assert pool.submit(addition(3)).result(60).outcome is Outcome.PASSED
