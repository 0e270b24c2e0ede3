"""The supervisor: a small process of its own that hands jobs to workers, replaces lost ones and ends with its parent.

It forwards bodies unread and waits for nobody: a worker that is stuck, or busy telling verdicts, takes its messages
later. It is started by exec, so that nothing of the trainer (heap, secrets, descriptors) is in it, and it does not
share the trainer's interpreter lock: workers never wait while the trainer computes.
"""

from __future__ import annotations

import json
import os
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
from rltf.execution.isolation import memory, syscalls
from rltf.execution.sandbox.control import BOOT, ENVIRONMENT, FLAGS, STUCK_SIGNAL
from rltf.execution.sandbox.process_tree import children, kill_descendants

_AT_ONCE = 4
"""Jobs given to a worker in one message while many wait; few, so that none waits long behind a slow one."""
_TRIES = 3
"""A job whose worker dies under it is given to so many workers."""


@dataclass
class _Task:
    number: int
    tests: int
    body: bytes
    patience: float
    """Seconds without a sign of life after which the worker itself must be stuck."""
    tries: int = 0
    alone: bool = False
    """It may have ended a worker that had other jobs, too, and goes out by itself from now on."""


@dataclass
class _WorkerProcess:
    """One worker process."""

    process: subprocess.Popen[bytes]
    connection: messages.Connection
    has: set[int] = field(default_factory=set)
    """Test sets it was sent."""
    knows: set[int] = field(default_factory=set)
    """Those of which it knows what they ask."""
    tasks: deque[_Task] = field(default_factory=deque)
    """Given and not yet answered; the first one runs."""
    since: float = 0.0
    """When it last gave a sign of life, or was given its tasks."""
    ready: bool = False
    stuck: bool = False
    """It gave no sign of life for too long, and was ended."""


def main(argv: list[str]) -> None:
    """Entry of the process: `argv` = descriptor of the trainer's socket, JSON settings."""
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)  # the zygotes of workers that die fall to us
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the trainer, which then closes us
    Supervisor(socket.socket(fileno=int(argv[0])), json.loads(argv[1])).run()


class Supervisor:
    """Keeps up to `workers` workers busy."""

    def __init__(self, trainer: socket.socket, settings: dict[str, Any]) -> None:
        self._trainer = messages.Connection(trainer)
        self._settings = settings
        self._worker_argument = json.dumps(settings)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._trainer, selectors.EVENT_READ)
        self._queue: deque[_Task] = deque()
        self._tests: dict[int, tuple[bytes, int]] = {}
        self._learned: dict[int, bytes] = {}
        self._crews: list[_WorkerProcess] = []
        self._early_deaths = 0
        self._lost = False
        # not PDEATHSIG: it would come when the thread ends that started us
        self._parent = os.getppid()

    def run(self) -> None:
        """Serves until the trainer hangs up."""
        self._hire()
        try:
            while os.getppid() == self._parent:
                for key, _ in self._selector.select(0.5):
                    if key.data is not None:
                        self._hear(key.data)
                    elif not self._take():
                        return
                self._watch()
                self._deal()
                self._flush(self._trainer)
                for crew in self._crews:
                    self._flush(crew.connection)
        finally:
            for crew in self._crews:
                crew.connection.close()
                crew.process.terminate()
            for crew in self._crews:
                _end(crew.process)
            kill_descendants(os.getpid())
            while True:
                try:
                    os.waitpid(-1, 0)
                except ChildProcessError:
                    break
            memory.sweep()

    # ---------------------------------------------------------------------------------------------- the trainer's side

    def _take(self) -> bool:
        received = self._trainer.receive()
        if received is None:
            return False
        for kind, body, job, tests in received:
            if kind == messages.TESTS:
                self._tests[tests] = (body, job)  # here the job's place holds the number of tests
            elif kind == messages.FORGET:
                self._forget(tests)
            else:
                timeout = json.loads(body[body.rindex(b",", 0, body.rindex(b",")) + 1 : body.rindex(b",")])
                self._queue.append(_Task(job, tests, body, 30 + 13 * timeout))
        return True

    def _forget(self, tests: int) -> None:
        self._tests.pop(tests, None)
        self._learned.pop(tests, None)
        for crew in self._crews:
            if tests in crew.has:
                crew.has.discard(tests)
                crew.knows.discard(tests)
                crew.connection.send(messages.pack(messages.FORGET, tests=tests))

    def _flush(self, connection: messages.Connection) -> None:
        """Sends what waits, and wakes us when there is room for more."""
        connection.flush()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.pending else 0)
        key = self._selector.get_key(connection)
        if key.events != events:
            self._selector.modify(connection, events, key.data)

    # ---------------------------------------------------------------------------------------------- the workers' side

    def _deal(self) -> None:
        idle = [c for c in self._crews if c.ready and not c.tasks]
        while self._queue and idle:
            self._give(idle.pop(), self._next_tasks())
        starting = sum(not c.ready for c in self._crews)
        if len(self._queue) > starting and len(self._crews) < self._settings["workers"]:
            self._hire()

    def _next_tasks(self) -> list[_Task]:
        """Tasks from the front of the queue for one worker, at least one."""
        share = len(self._queue) // (4 * self._settings["workers"])
        tasks = [self._queue.popleft()]
        while self._queue and len(tasks) < min(_AT_ONCE, share) and not (tasks[-1].alone or self._queue[0].alone):
            tasks.append(self._queue.popleft())
        return tasks

    def _give(self, crew: _WorkerProcess, tasks: list[_Task]) -> None:
        crew.tasks.extend(tasks)
        crew.since = time.monotonic()
        message = b""
        for task in tasks:
            if task.tests not in crew.has:
                crew.has.add(task.tests)
                message += messages.pack(messages.TESTS, self._tests[task.tests][0], tests=task.tests)
            if task.tests in self._learned and task.tests not in crew.knows:
                crew.knows.add(task.tests)
                message += messages.pack(messages.LEARNED, self._learned[task.tests], tests=task.tests)
            message += messages.pack(messages.JOB, task.body, task.number, task.tests)
        crew.connection.send(message)

    def _hear(self, crew: _WorkerProcess) -> None:
        received = crew.connection.receive()
        if received is None:
            self._lose(crew)
            return
        for kind, body, job, tests in received:
            if kind == messages.READY:
                crew.ready = True
                self._early_deaths = 0
                self._trainer.send(messages.pack(messages.READY, body))
            elif kind == messages.ALIVE:
                crew.since = time.monotonic()
            elif kind == messages.LEARNED:
                if tests in self._tests:
                    crew.knows.add(tests)
                    self._learned.setdefault(tests, body)
            elif crew.tasks and crew.tasks[0].number == job:
                crew.tasks.popleft()
                crew.since = time.monotonic()
                self._trainer.send(messages.pack(messages.VERDICT, body, job))

    def _hire(self) -> None:
        ours, theirs = socket.socketpair()
        boot = BOOT.format("rltf.execution.pool.worker")
        source = self._settings["slots"]["source"]
        command = [sys.executable, *FLAGS, "-c", boot, source, str(theirs.fileno()), self._worker_argument]
        process = subprocess.Popen(
            command, env=ENVIRONMENT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        theirs.close()
        crew = _WorkerProcess(process, messages.Connection(ours))
        self._crews.append(crew)
        self._selector.register(crew.connection, selectors.EVENT_READ, crew)

    def _lose(self, crew: _WorkerProcess) -> None:
        """A worker died: its jobs go to others."""
        self._lost = True
        self._selector.unregister(crew.connection)
        crew.connection.close()
        self._crews.remove(crew)
        _end(crew.process)
        if not crew.ready:
            self._early_deaths += 1
        if len(crew.tasks) == 1:
            stuck = crew.stuck or crew.process.returncode == -STUCK_SIGNAL  # it would be stuck again
            crew.tasks[0].tries += _TRIES if stuck else 1
            if crew.tasks[0].tries >= _TRIES:
                self._give_up(crew.tasks.popleft())
        for task in crew.tasks:  # of several, any may have ended it: verdicts are told in one go
            task.alone = True
        self._queue.extendleft(reversed(crew.tasks))
        if self._early_deaths >= _TRIES and not self._crews:
            os._exit(3)
        if not self._crews:
            self._hire()

    def _give_up(self, task: _Task) -> None:
        error = ["JudgeLost", "the judge ended under this program", None, None, "ignore"]
        verdict = messages.uniform_verdict(self._tests[task.tests][1], "runtime_error", error)
        self._trainer.send(messages.pack(messages.VERDICT, messages.verdict_to_json(verdict), task.number))

    def _watch(self) -> None:
        """Ends workers that are stuck in test text; collects the zygotes of those that died."""
        if self._lost:
            known = {crew.process.pid for crew in self._crews}
            for pid in children(os.getpid()):
                if pid not in known:
                    os.waitpid(pid, os.WNOHANG)
        now = time.monotonic()
        for crew in self._crews:
            if crew.tasks and now - crew.since > max(task.patience for task in crew.tasks):
                crew.stuck = True
                crew.process.kill()


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
