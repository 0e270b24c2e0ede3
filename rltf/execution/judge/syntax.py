"""Programs that do not compile, found without a process of their own.

A policy at the start of its training writes many of them. A process that only compiles what it is sent, and runs none
of it, tells them from the others for a tenth of what a fork costs. It decides nothing else: a program that compiles, or
about which it says anything but that there is a syntax error, is judged as ever.
"""

from __future__ import annotations

from typing import Any

from rltf.execution.sandbox.limits import Limits, ZygoteLost
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.sandbox.sandbox import Sandbox
from rltf.execution.sandbox.settings import SandboxSettings

_LARGEST_TEXT = 100_000
"""Characters of a program that is looked at."""
_ERRORS = ("SyntaxError", "IndentationError", "TabError")
_WORTHWHILE_SHARE = 0.1
"""Share of programs that do not compile, from which on it is worth to look: a fork costs ten times as much."""
_MEMORY = 0.98
"""Weight of the programs before in that share: the last fifty or so count."""
_SECONDS = 1.0
"""Longest compilation that is waited for."""
_PROGRAMS = 3600
"""That one process may compile, each of which takes that long."""
_LIMITS = Limits(timeout=_SECONDS, memory_bytes=512 << 20, output_bytes=1 << 10)


class SyntaxChecker:
    """Looks for syntax errors, once enough programs have had one.

    Args:
        settings: of the sandbox in which it compiles.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self._sandbox = Sandbox(settings, compiles=True)
        self._process: SandboxedProcess | None = None
        self._share = 0.0

    def error(self, program: str) -> dict[str, Any] | None:
        """What a process of the program's own would say of its syntax error; None: it has none, or nobody looked."""
        if self._share < _WORTHWHILE_SHARE or len(program) > _LARGEST_TEXT:
            return None
        try:
            answer = self._ask(program)
        except ZygoteLost:
            self._sandbox.close()
            self._forget()
            answer = None
        if answer is None:
            self._share = 0.0  # a fresh process costs as much as many forks
            return None
        record = answer.get("syntax")
        return answer if isinstance(record, dict) and record.get("type") in _ERRORS else None

    def count(self, compiled: bool) -> None:
        """Notes whether a program compiled."""
        self._share = _MEMORY * self._share + (1 - _MEMORY) * (not compiled)

    def close(self) -> None:
        """Ends the sandbox and all that runs in it."""
        self._forget()
        self._sandbox.close()

    def _forget(self) -> None:
        """The process goes with its sandbox."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _ask(self, program: str) -> dict[str, Any] | None:
        """The answer; None where none came in time, or the process ended.

        Raises:
            ZygoteLost: the sandbox did not start, or broke.
        """
        if self._process is None:
            self._process = self._sandbox.fork(_LIMITS, tests=_PROGRAMS)
            self._process.channel.send(
                {"program": "", "setup": "", "coverage": False, "trace": False, "mode": "syntax"}
            )
        self._process.channel.send({"program": program})
        answer = self._process.receive(_SECONDS)
        if isinstance(answer, dict):
            return answer
        process, self._process = self._process, None
        process.finish()
        return None
