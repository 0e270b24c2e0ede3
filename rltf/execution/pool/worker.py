"""A worker: takes jobs from the supervisor, one after another, and answers with verdicts."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import time
from types import FrameType

from rltf.execution import messages
from rltf.execution.isolation import syscalls
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.judge.job_tests import JobTests
from rltf.execution.judge.judge import Judge, JudgeSettings
from rltf.execution.messages import Message
from rltf.execution.sandbox.limits import ZygoteLost
from rltf.execution.sandbox.sandbox import become_subreaper
from rltf.execution.sandbox.settings import SandboxSettings
from rltf.types import Verdict

_MEMORY_BYTES = 4 << 30
"""What this process may take: tests, and what a program printed."""
_ALIVE_SECONDS = 1.0
"""Seconds between two signs of life of a job that takes long, at least."""
_ATTEMPTS = 3
"""A job whose zygote is lost under it is tried so often before that counts as the program's doing."""


def main(argv: list[str]) -> None:
    """Entry of the process: `argv` = descriptor of the supervisor's socket, JSON settings."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the trainer, which then closes us
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    become_subreaper()
    settings = json.loads(argv[1])
    sandbox_settings = SandboxSettings(**settings["sandbox"])
    judge = Judge(sandbox_settings, ErrorTable(settings["errors"]), JudgeSettings(**settings["judge"]))

    def end(number: int, frame: FrameType | None) -> None:
        """Ends without an exception, which test text could catch."""
        with contextlib.suppress(Exception):
            judge.close()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    try:
        Worker(socket.socket(fileno=int(argv[0])), judge).serve()
    finally:
        judge.close()


class Worker:
    """Judges for the supervisor until it hangs up."""

    def __init__(self, supervisor: socket.socket, judge: Judge) -> None:
        self._supervisor = supervisor
        self._judge = judge
        self._test_sets: dict[int, JobTests] = {}
        self._unsent_verdicts = b""
        self._alive_at = 0.0
        """When we last gave a sign of life."""
        judge.when_waiting(self._while_waiting)

    def serve(self) -> None:
        """Runs until the socket closes."""
        self._judge.start()
        self._supervisor.sendall(Message(messages.READY, json.dumps(self._judge.report()).encode()).packed())
        unpacker, wait = messages.Unpacker(), messages.wait_readable(self._supervisor)
        while wait() and (chunk := self._supervisor.recv(1 << 16)):
            for message in unpacker.feed(chunk):
                if message.kind == messages.TESTS:
                    tests = messages.tests_from_json(message.body)
                    self._test_sets[message.test_set] = JobTests(message.test_set, tests)
                elif message.kind == messages.FORGET:
                    self._test_sets.pop(message.test_set, None)
                else:
                    body = messages.verdict_to_json(self._verdict(message))
                    self._unsent_verdicts += Message(messages.VERDICT, body, job=message.job).packed()
            self._send_verdicts()

    def _verdict(self, message: Message) -> Verdict:
        """The verdict on the job of a message."""
        job, job_tests = messages.job_from_json(message.body), self._test_sets[message.test_set]
        why = ""
        for _ in range(_ATTEMPTS):
            try:
                return self._judge.judge(job, message.timeout, job_tests)
            except ZygoteLost as e:
                why = str(e)
        return self._judge.sandbox_lost_verdict(len(job_tests.tests), why)

    def _send_verdicts(self) -> None:
        """Sends finished verdicts: all those of one chunk of jobs together, or sooner when a program takes long."""
        if self._unsent_verdicts:
            self._supervisor.sendall(self._unsent_verdicts)
            self._unsent_verdicts = b""

    def _while_waiting(self) -> None:
        self._send_verdicts()
        self._send_alive()

    def _send_alive(self) -> None:
        """Tells the supervisor that we are not stuck; at most once a second."""
        now = time.monotonic()
        if now - self._alive_at > _ALIVE_SECONDS:
            self._alive_at = now
            self._supervisor.sendall(Message(messages.ALIVE).packed())
