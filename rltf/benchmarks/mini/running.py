"""Runs the benchmark's own programs in this process: they are generated here, end, and do no I/O. Programs of policies
never run here."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from types import CodeType
from typing import Any

from rltf.benchmarks.mini.steps import ENTRY, Mode

Inputs = tuple[Any, ...]
"""One value per parameter: int, str or list of int."""


class ProgramFailure(Exception):
    """The exception that a program raised, by name."""


def compile_program(code: str) -> CodeType | None:
    """The compiled program; None: a syntax error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            return compile(code, "<mini>", "exec")
        except SyntaxError:
            return None


def run_program(program: CodeType, mode: Mode, inputs: Sequence[Inputs]) -> list[Any]:
    """Result of the program on each input: the value it returns, the text it prints, or a `ProgramFailure`."""
    return [_call(program, i) if mode == "call" else _print(program, i) for i in inputs]


def stdin_of(inputs: Inputs) -> str:
    """Standard input with one line per input value."""
    return "".join(f"{' '.join(map(str, v)) if isinstance(v, list) else v}\n" for v in inputs)


def _call(program: CodeType, inputs: Inputs) -> Any:
    names: dict[str, Any] = {"print": lambda *values: None}  # a wrong program may print
    try:
        exec(program, names)
        return names[ENTRY](*(list(v) if isinstance(v, list) else v for v in inputs))
    except Exception as error:
        return ProgramFailure(type(error).__name__)


def _print(program: CodeType, inputs: Inputs) -> Any:
    lines = iter(stdin_of(inputs).splitlines())
    lines_printed: list[str] = []

    def read() -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    def write(*values: object) -> None:
        lines_printed.append(" ".join(map(str, values)) + "\n")

    try:
        exec(program, {"input": read, "print": write})
    except Exception as error:
        return ProgramFailure(type(error).__name__)
    return "".join(lines_printed)


def is_expected(mode: Mode, expected: Any, actual: Any) -> bool:
    """True where a test would pass: equal values, or the same words printed."""
    if isinstance(actual, ProgramFailure):
        return False
    return bool(expected == actual) if mode == "call" else expected.split() == actual.split()
