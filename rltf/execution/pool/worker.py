"""A worker: one slot of the pool. Takes jobs from the supervisor, one after another, and answers with verdicts."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import sys
import time
from types import FrameType
from typing import Any

from rltf.execution import messages
from rltf.execution.isolation import syscalls
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.judge.judge import Judge, Settings
from rltf.execution.judge.test_calls import export_trace, import_trace
from rltf.execution.sandbox.control import STUCK_SIGNAL
from rltf.execution.sandbox.limits import ZygoteLost
from rltf.execution.sandbox.sandbox import SlotSettings, become_subreaper

_MEMORY = 4 << 30
"""What test text may take here, whatever values a program sends it."""
_ALIVE_SECONDS = 1.0
"""Seconds between two signs of life of a job with many tests, at least."""
_ATTEMPTS = 3
"""A job whose zygote is lost under it is tried so often before that counts as the program's doing."""


def main(argv: list[str]) -> None:
    """Entry of the process: `argv` = descriptor of the supervisor's socket, JSON settings."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the trainer, which then closes us
    signal.signal(STUCK_SIGNAL, signal.SIG_DFL)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY if hard == resource.RLIM_INFINITY else min(hard, _MEMORY), hard))
    become_subreaper()
    settings = json.loads(argv[1])
    if settings["slots"]["numpy"]:
        sys.path.append(settings["slots"]["numpy"])  # for test text that imports it
    slots = SlotSettings(**settings["slots"])
    judge = Judge(slots, ErrorTable(settings["errors"]), Settings(**settings["judge"]))

    def end(number: int, frame: FrameType | None) -> None:
        """Without an exception, which test text could catch."""
        with contextlib.suppress(Exception):
            judge.close()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    try:
        Worker(socket.socket(fileno=int(argv[0])), judge).serve()
    finally:
        judge.close()


class Worker:
    """Serves the supervisor until it hangs up."""

    def __init__(self, supervisor: socket.socket, judge: Judge) -> None:
        self._supervisor = supervisor
        self._judge = judge
        self._tests: dict[int, list[list[Any]]] = {}
        self._learned: set[int] = set()
        """Test sets of which all workers know what they ask."""
        self._verdicts = b""
        self._alive_at = 0.0
        judge.when_waiting(self._flush)
        judge.when_decided(self._report_alive)

    def serve(self) -> None:
        """Runs until the socket closes."""
        self._judge.start()
        self._supervisor.sendall(messages.pack(messages.READY, json.dumps(self._judge.report()).encode()))
        unpacker = messages.Unpacker()
        while data := self._supervisor.recv(1 << 16):
            for kind, body, job, tests in unpacker.feed(data):
                if kind == messages.TESTS:
                    self._tests[tests] = messages.tests_from_json(body)
                elif kind == messages.FORGET:
                    self._tests.pop(tests, None)
                    self._learned.discard(tests)
                elif kind == messages.LEARNED:
                    self._learned.add(tests)
                    import_trace(self._tests[tests], body)
                else:
                    verdict = self._attempt(json.loads(body), self._tests[tests])
                    self._verdicts += messages.pack(messages.VERDICT, messages.verdict_to_json(verdict), job)
                    if tests not in self._learned and (news := export_trace(self._tests[tests])):
                        self._learned.add(tests)
                        self._verdicts += messages.pack(messages.LEARNED, news, tests=tests)
            self._flush()

    def _flush(self) -> None:
        """Sends finished verdicts; called too when a program keeps us waiting."""
        if self._verdicts:
            self._supervisor.sendall(self._verdicts)
            self._verdicts = b""

    def _report_alive(self) -> None:
        """Tells the supervisor that we are not stuck; called when a test is decided."""
        now = time.monotonic()
        if now - self._alive_at > _ALIVE_SECONDS:
            self._alive_at = now
            self._supervisor.sendall(messages.pack(messages.ALIVE))

    def _attempt(self, job: list[Any], tests: list[list[Any]]) -> messages.VerdictRow:
        program, setup, coverage, timeout, memory_mb = job
        why = ""
        for _ in range(_ATTEMPTS):
            try:
                return self._judge.judge(program, setup, timeout, memory_mb, tests, coverage)
            except ZygoteLost as e:
                why = str(e)
        return self._judge.broken(len(tests), why)
