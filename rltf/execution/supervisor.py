"""The supervisor: a small process of its own that hands jobs to workers, replaces lost ones and ends with its parent.

It forwards bodies unread. It is started by exec, so that nothing of the trainer (heap, secrets, descriptors) is in it,
and it does not share the trainer's interpreter lock: workers never wait while the trainer computes.
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

from rltf.execution import wire
from rltf.execution.isolation import memory, syscalls
from rltf.execution.protocol import BOOT, ENVIRONMENT, FLAGS
from rltf.execution.survivors import children, kill_descendants

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
    """Seconds after which the worker itself must be stuck."""
    tries: int = 0


@dataclass
class _Crew:
    """One worker process."""

    process: subprocess.Popen[bytes]
    socket: socket.socket
    unpacker: wire.Unpacker = field(default_factory=wire.Unpacker)
    has: set[int] = field(default_factory=set)
    """Test sets it was sent."""
    knows: set[int] = field(default_factory=set)
    """Those of which it knows what they ask."""
    tasks: deque[_Task] = field(default_factory=deque)
    """Given and not yet answered; the first one runs."""
    since: float = 0.0
    ready: bool = False


def main(argv: list[str]) -> None:
    """Entry of the process: `argv` = descriptor of the trainer's socket, JSON settings."""
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)  # the zygotes of workers that die fall to us
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the trainer, which then closes us
    Supervisor(socket.socket(fileno=int(argv[0])), json.loads(argv[1])).run()


class Supervisor:
    """Keeps up to `workers` workers busy."""

    def __init__(self, trainer: socket.socket, settings: dict[str, Any]) -> None:
        self._trainer = trainer
        self._settings = settings
        self._worker_argument = json.dumps(settings)
        self._selector = selectors.DefaultSelector()
        self._selector.register(trainer, selectors.EVENT_READ, None)
        trainer.setblocking(False)
        self._unpacker = wire.Unpacker()
        self._out = bytearray()
        self._queue: deque[_Task] = deque()
        self._tests: dict[int, tuple[bytes, int]] = {}
        self._learned: dict[int, bytes] = {}
        self._crews: list[_Crew] = []
        self._early_deaths = 0
        self._lost = False
        # not PDEATHSIG: it would come when the thread ends that started us
        self._parent = os.getppid()

    def run(self) -> None:
        """Serves until the trainer hangs up."""
        self._hire()
        try:
            while os.getppid() == self._parent:
                for key, events in self._selector.select(0.5):
                    if key.data is not None:
                        self._hear(key.data)
                    else:
                        if events & selectors.EVENT_WRITE:
                            self._flush()
                        if events & selectors.EVENT_READ and not self._take():
                            return
                self._watch()
                self._deal()
                self._flush()
        finally:
            for crew in self._crews:
                crew.socket.close()
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
        try:
            data = self._trainer.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for kind, body, job, tests in self._unpacker.feed(data):
            if kind == wire.TESTS:
                self._tests[tests] = (body, job)  # here the job's place holds the number of tests
            elif kind == wire.FORGET:
                self._forget(tests)
            else:
                timeout = json.loads(body[body.rindex(b",", 0, body.rindex(b",")) + 1 : body.rindex(b",")])
                count = self._tests[tests][1]
                self._queue.append(_Task(job, tests, body, 30 + (count + 2) * (13 * timeout + 2)))
        return bool(data)

    def _forget(self, tests: int) -> None:
        self._tests.pop(tests, None)
        self._learned.pop(tests, None)
        for crew in self._crews:
            if tests in crew.has:
                crew.has.discard(tests)
                crew.knows.discard(tests)
                crew.socket.sendall(wire.pack(wire.FORGET, tests=tests))

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[: self._trainer.send(self._out)]
        except BlockingIOError:
            pass
        except OSError:
            self._out.clear()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        if self._selector.get_key(self._trainer).events != wanted:
            self._selector.modify(self._trainer, wanted, None)

    # ---------------------------------------------------------------------------------------------- the workers' side

    def _deal(self) -> None:
        idle = [c for c in self._crews if c.ready and not c.tasks]
        while self._queue and idle:
            share = len(self._queue) // (4 * self._settings["workers"])
            count = max(1, min(_AT_ONCE, share))
            self._give(idle.pop(), [self._queue.popleft() for _ in range(count)])
        starting = sum(not c.ready for c in self._crews)
        if len(self._queue) > starting and len(self._crews) < self._settings["workers"]:
            self._hire()

    def _give(self, crew: _Crew, tasks: list[_Task]) -> None:
        crew.tasks.extend(tasks)
        crew.since = time.monotonic()
        message = b""
        for task in tasks:
            if task.tests not in crew.has:
                crew.has.add(task.tests)
                message += wire.pack(wire.TESTS, self._tests[task.tests][0], tests=task.tests)
            if task.tests in self._learned and task.tests not in crew.knows:
                crew.knows.add(task.tests)
                message += wire.pack(wire.LEARNED, self._learned[task.tests], tests=task.tests)
            message += wire.pack(wire.JOB, task.body, task.number, task.tests)
        try:
            crew.socket.sendall(message)
        except OSError:
            return  # it is dead; `_hear` will notice

    def _hear(self, crew: _Crew) -> None:
        try:
            data = crew.socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._lose(crew)
            return
        for kind, body, job, tests in crew.unpacker.feed(data):
            if kind == wire.READY:
                crew.ready = True
                self._early_deaths = 0
                self._out += wire.pack(wire.READY, body)
            elif kind == wire.LEARNED:
                if tests in self._tests:
                    crew.knows.add(tests)
                    self._learned.setdefault(tests, body)
            elif crew.tasks and crew.tasks[0].number == job:
                crew.tasks.popleft()
                crew.since = time.monotonic()
                self._out += wire.pack(wire.VERDICT, body, job)

    def _hire(self) -> None:
        ours, theirs = socket.socketpair()
        boot = BOOT.format("rltf.execution.worker")
        source = self._settings["slots"]["source"]
        command = [sys.executable, *FLAGS, "-c", boot, source, str(theirs.fileno()), self._worker_argument]
        process = subprocess.Popen(
            command, env=ENVIRONMENT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        theirs.close()
        crew = _Crew(process, ours)
        self._crews.append(crew)
        self._selector.register(ours, selectors.EVENT_READ, crew)

    def _lose(self, crew: _Crew) -> None:
        """A worker died: its jobs go to others."""
        self._lost = True
        self._selector.unregister(crew.socket)
        crew.socket.close()
        self._crews.remove(crew)
        _end(crew.process)
        if not crew.ready:
            self._early_deaths += 1
        if crew.tasks:
            crew.tasks[0].tries += 1
            if crew.tasks[0].tries >= _TRIES:
                self._give_up(crew.tasks.popleft())
        self._queue.extendleft(reversed(crew.tasks))
        if self._early_deaths >= _TRIES and not self._crews:
            os._exit(3)
        if not self._crews:
            self._hire()

    def _give_up(self, task: _Task) -> None:
        count = self._tests[task.tests][1]
        error = ["JudgeLost", "the judge ended under this program", None, None, "ignore"]
        row = ["runtime_error", 0.0, error]
        verdict = {"outcome": row[0], "passed": 0, "error": error, "tests": [row] * count, "seconds": 0.0}
        self._out += wire.pack(wire.VERDICT, wire.verdict_to_json(verdict | {"judging": "external"}), task.number)

    def _watch(self) -> None:
        """Ends workers that are stuck in test text; collects the zygotes of those that died."""
        if self._lost:
            known = {crew.process.pid for crew in self._crews}
            for pid in children(os.getpid()):
                if pid not in known:
                    os.waitpid(pid, os.WNOHANG)
        now = time.monotonic()
        for crew in self._crews:
            if crew.tasks and now - crew.since > crew.tasks[0].patience:
                crew.process.kill()


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
