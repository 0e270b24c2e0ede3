"""Answers of functions, from the sandbox alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from rltf.execution import Executor
from rltf.execution.values.codec import loads
from rltf.mining.functions import METHOD, Function
from rltf.types import CallTest, Job, Outcome, Verdict

PROBE = "_rltf_probe"
LONGEST_ANSWER = 400
"""Characters of the `repr` of an answer."""
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered."""

    value: Any = None
    kind: str = ""
    """Why this is no expectation: `error`, `timeout`, `changes` (its arguments), `unsent`; empty where it is one."""


def probe(function: Function) -> str:
    """The function's program with one more function, which says what the function returned and whether it left its
    arguments alone."""
    call = f"Solution().{function.name}" if function.is_method else function.name
    return (
        f"{function.code}\n\ndef {PROBE}(*args):\n    from copy import deepcopy\n    before = deepcopy(args)\n"
        f"    value = {call}(*args)\n    return [value, args == before]\n"
    )


def ask(
    executor: Executor,
    function: Function,
    inputs: Sequence[tuple[Any, ...]],
    timeout: float,
    coverage: bool = False,
) -> Future[Verdict]:
    """The verdict to come on a function that is called with each of the inputs; with `coverage`, it says which lines
    none of them executed."""
    tests = tuple(CallTest(PROBE, arguments, None) for arguments in inputs)
    return executor.submit(
        Job(probe(function), tests, function.setup, timeout=timeout, coverage=coverage, answers=True)
    )


def answers_of(verdict: Verdict) -> list[Answer]:
    """The answers in a verdict that was asked for by `ask`, one an input."""
    return [_answer(result.status, text) for result, text in zip(verdict.tests, verdict.answers, strict=True)]


def _answer(status: Outcome, text: str | None) -> Answer:
    if text is None:
        return Answer(kind="timeout" if status is Outcome.TIMEOUT else "error" if status.is_error else "unsent")
    try:
        value, unchanged = loads(text)
    except (ValueError, TypeError):
        return Answer(kind="unsent")
    return Answer(value) if unchanged is True else Answer(kind="changes")


def same(first: Answer, second: Answer) -> bool:
    """True where two runs gave one expectation: equal values, of equal types, and in lists in one order."""
    return not first.kind and not second.kind and _canonical(first.value) == _canonical(second.value)


def _canonical(value: Any) -> Any:
    """A value whose `==` is strict: 1 is not True, and NaN equals nothing."""
    match value:
        case list() | tuple():
            return type(value).__name__, [_canonical(item) for item in value]
        case dict():
            return "dict", {key: _canonical(item) for key, item in value.items()}
        case _:
            return type(value).__name__, value


def is_short(value: Any) -> bool:
    """True for a value that a test can hold: its text is no novel, and its numbers are finite."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return False
    return len(text) <= LONGEST_ANSWER and all(map(math.isfinite, _floats(value)))


def call_test(function: Function, arguments: tuple[Any, ...], value: Any) -> CallTest:
    """The test that expects what the function answered; numbers with a fraction to 1e-6."""
    name = f"{METHOD}{function.name}" if function.is_method else function.name
    return CallTest(name, arguments, value, tolerance=_TOLERANCE if any(True for _ in _floats(value)) else None)


def _floats(value: Any) -> Any:
    if isinstance(value, float):
        yield value
    elif isinstance(value, complex):
        yield from (value.real, value.imag)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _floats(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _floats(item)
