"""The supervisor: a small process of its own that hands jobs to workers, replaces lost ones and ends with its parent.

It forwards bodies unread and never blocks: a worker that is stuck, or busy sending verdicts, gets its messages later.
It is started by exec, so that nothing of the trainer (heap, secrets, descriptors) is in it, and it does not share the
trainer's interpreter lock: workers never wait while the trainer computes.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from rltf.execution import messages
from rltf.execution.isolation import memory, scratch, syscalls
from rltf.execution.messages import Message
from rltf.execution.pool.job_queue import JobQueue, Task
from rltf.execution.sandbox.control import BOOT, ENVIRONMENT, FLAGS
from rltf.execution.sandbox.limits import SILENT_WORKER_SECONDS
from rltf.execution.sandbox.process_tree import children, kill_descendants
from rltf.types import Category, ErrorReport, Outcome

_WITHDRAWN_SECONDS = 1.0
"""A withdrawn job that runs on for so long is ended with its worker; most are done before."""
_TRIES = 3
"""A job whose worker dies under it is given to so many workers."""


@dataclass
class _WorkerProcess:
    """One worker process."""

    process: subprocess.Popen[bytes]
    connection: messages.Connection
    test_sets: set[int] = field(default_factory=set)
    """Numbers of the test sets that it was sent."""
    tasks: deque[Task] = field(default_factory=deque)
    """Sent to it and not answered; the first one runs."""
    alive_at: float = 0.0
    """When it last gave a sign of life, or was sent its tasks."""
    ready: bool = False
    stuck: bool = False
    """It gave no sign of life for too long, and was ended."""
    ended_by_us: bool = False
    """It was at a job that was withdrawn, and was ended."""


def main(argv: list[str]) -> None:
    """Entry of the process: `argv` = descriptor of the trainer's socket, JSON settings."""
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)  # the zygotes of workers that die fall to us
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the trainer, which then closes us
    for which in (resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
        hard = resource.getrlimit(which)[1]
        resource.setrlimit(which, (hard, hard))  # the user's soft limits are not meant for processes that live long
    Supervisor(socket.socket(fileno=int(argv[0])), json.loads(argv[1])).run()


class Supervisor:
    """Keeps up to `settings["workers"]` workers busy.

    Args:
        trainer: socket to the executor.
        settings: what `LocalExecutor` sends; the whole of it goes on to the workers.
    """

    def __init__(self, trainer: socket.socket, settings: dict[str, Any]) -> None:
        self._trainer = messages.Connection(trainer)
        self._settings = settings
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._trainer, selectors.EVENT_READ)
        self._queue = JobQueue()
        self._test_sets: dict[int, Message] = {}
        self._workers: list[_WorkerProcess] = []
        self._early_deaths = 0
        """Workers in a row that died before they were ready."""
        self._has_orphans = False
        """A worker died, and its zygotes may have fallen to us."""
        # not PDEATHSIG: it would come when the thread ends that started us
        self._parent = os.getppid()

    def run(self) -> None:
        """Serves until the trainer hangs up."""
        self._start_worker()
        try:
            while os.getppid() == self._parent:
                for key, _ in self._selector.select(0.5):
                    if key.data is not None:
                        self._receive_from_worker(key.data)
                    elif not self._receive_from_trainer():
                        return
                self._collect_orphans()
                self._kill_stuck_workers()
                self._dispatch()
                for worker in self._workers:
                    self._flush(worker.connection)
                self._flush(self._trainer)
        finally:
            self._end()

    def _end(self) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            _wait_or_kill(worker.process)
        kill_descendants(os.getpid())
        while True:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break
        memory.sweep()
        scratch.sweep()

    def _receive_from_trainer(self) -> bool:
        """Takes in jobs and test sets; False when the trainer has hung up."""
        received = self._trainer.receive()
        if received is None:
            return False
        for message in received:
            if message.kind == messages.TESTS:
                self._test_sets[message.test_set] = message
            elif message.kind == messages.FORGET:
                self._forget(message)
            elif message.kind == messages.WITHDRAW:
                self._withdraw(message.job)
            else:
                self._queue.append(Task(message))
        return True

    def _withdraw(self, job: int) -> None:
        """Drops a job that waits; marks one that a worker has."""
        if self._queue.withdraw(job):
            return
        for task in (task for worker in self._workers for task in worker.tasks):
            if task.message.job == job:
                task.withdrawn_at = time.monotonic()

    def _forget(self, message: Message) -> None:
        self._test_sets.pop(message.test_set, None)
        for worker in self._workers:
            if message.test_set in worker.test_sets:
                worker.test_sets.discard(message.test_set)
                worker.connection.send(message.packed())

    def _flush(self, connection: messages.Connection) -> None:
        """Sends what waits, and wakes us when there is room for more."""
        if connection.pending:
            connection.flush()
        if connection.pending != connection.awaits_room:
            connection.awaits_room = connection.pending
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.pending else 0)
            self._selector.modify(connection, events, self._selector.get_key(connection).data)

    def _dispatch(self) -> None:
        """Sends jobs to idle workers; starts another worker when jobs are left."""
        idle = [worker for worker in self._workers if worker.ready and not worker.tasks]
        while self._queue and idle:
            worker = idle.pop()
            self._send_tasks(worker, self._queue.take(worker.test_sets, self._settings["workers"]))
        starting = sum(not worker.ready for worker in self._workers)
        if len(self._queue) > starting and len(self._workers) < self._settings["workers"]:
            self._start_worker()

    def _send_tasks(self, worker: _WorkerProcess, tasks: list[Task]) -> None:
        worker.tasks.extend(tasks)
        worker.alive_at = time.monotonic()
        text = b""
        for task in tasks:
            test_set = task.message.test_set
            if test_set not in worker.test_sets:
                worker.test_sets.add(test_set)
                text += self._test_sets[test_set].packed()
            text += task.message.packed()
        worker.connection.send(text)

    def _receive_from_worker(self, worker: _WorkerProcess) -> None:
        received = worker.connection.receive()
        if received is None:
            self._remove_worker(worker)
            return
        for message in received:
            if message.kind == messages.READY:
                worker.ready = True
                self._early_deaths = 0
                self._trainer.send(message.packed())
            elif message.kind == messages.ALIVE:
                worker.alive_at = time.monotonic()
            elif worker.tasks and worker.tasks[0].message.job == message.job:
                worker.tasks.popleft()
                worker.alive_at = time.monotonic()
                self._trainer.send(message.packed())

    def _start_worker(self) -> None:
        connection, worker_connection = socket.socketpair()
        boot = BOOT.format("rltf.execution.pool.worker")
        source = self._settings["sandbox"]["source"]
        arguments = [source, str(worker_connection.fileno()), json.dumps(self._settings)]
        process = subprocess.Popen(
            [sys.executable, *FLAGS, "-c", boot, *arguments],
            env=ENVIRONMENT,
            pass_fds=[worker_connection.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        worker_connection.close()
        worker = _WorkerProcess(process, messages.Connection(connection))
        self._workers.append(worker)
        self._selector.register(worker.connection, selectors.EVENT_READ, worker)

    def _remove_worker(self, worker: _WorkerProcess) -> None:
        """Queues the jobs of a worker that died again, but for one that ended too many."""
        self._has_orphans = True
        self._selector.unregister(worker.connection)
        worker.connection.close()
        self._workers.remove(worker)
        _wait_or_kill(worker.process)
        if not worker.ready:
            self._early_deaths += 1
        wanted = [task for task in worker.tasks if task.withdrawn_at is None]
        if len(worker.tasks) == len(wanted) == 1:
            worker.tasks[0].lost_workers += _TRIES if worker.stuck else 1  # it would be stuck again
            if worker.tasks[0].lost_workers >= _TRIES:
                self._give_up(wanted.pop())
        for task in wanted:  # of several, any may have ended it: verdicts are sent in one go
            task.alone = task.alone or not worker.ended_by_us
        self._queue.put_back(wanted)
        if self._early_deaths >= _TRIES and not self._workers:
            os._exit(3)
        if not self._workers:
            self._start_worker()

    def _give_up(self, task: Task) -> None:
        """Answers a job that no worker survives."""
        error = ErrorReport("JudgeLost", "the judge ended under this program", None, None, Category.IGNORE)
        tests = self._test_sets[task.message.test_set].tests
        body = messages.verdict_to_json(messages.uniform_verdict(tests, Outcome.UNJUDGEABLE, error))
        self._trainer.send(Message(messages.VERDICT, body, job=task.message.job).packed())

    def _collect_orphans(self) -> None:
        """Reaps the zygotes of workers that died."""
        if self._has_orphans:
            workers = {worker.process.pid for worker in self._workers}
            for pid in children(os.getpid()):
                if pid not in workers:
                    os.waitpid(pid, os.WNOHANG)

    def _kill_stuck_workers(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.tasks and now - worker.alive_at > SILENT_WORKER_SECONDS:
                worker.stuck = True
                worker.process.kill()
            withdrawn_at = worker.tasks[0].withdrawn_at if worker.tasks else None
            if withdrawn_at is not None and now - withdrawn_at > _WITHDRAWN_SECONDS:
                worker.ended_by_us = True
                worker.process.kill()


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
