"""Calls of test text and answers to them with which all tests pass, for the worker: a program that gives these answers,
to the byte, has passed, and no grader is woken to say so (`rltf.execution.judge.exact_answers`).

Which calls a test makes is read from its text (`rltf.execution.grader.pipelining`), and so are answers that may be
right. That they are is seen by running the tests on a function that returns them. What a test decides depends on the
answers alone: with the same ones it passes again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rltf.execution.grader.connection import framed
from rltf.execution.grader.pipelining import UNKNOWN, SureCall, SureCalls, groups_of
from rltf.execution.grader.requests import Request
from rltf.execution.grader.text_test_code import compile_text, names_after
from rltf.execution.values.codec import Encoder, decode, encode, framed_answer

_MAX_BYTES = 1 << 15
"""Of requests and of answers, each: less than a socket holds."""


class RightAnswers(NamedTuple):
    """Requests that tests make, in their order, and answers with which the tests pass, encoded."""

    groups: tuple[tuple[Request, ...], ...]
    """The requests; those of a group may go to a program together."""
    answers: tuple[Any, ...]

    @property
    def requests(self) -> list[Request]:
        """The requests of all groups."""
        return [request for group in self.groups for request in group]

    def message(self) -> list[tuple[int, str, str]]:
        """Of each group: the number of its requests, the requests, and the answers, both as they travel to and from a
        program's process, in base64. Requests are numbered from 1; behind the last comes the end."""
        rows: list[tuple[int, str, str]] = []
        number = 0
        for group in self.groups:
            calls, answers = bytearray(), bytearray()
            for request in group:
                number += 1
                calls += framed([*request, number])
                answers += framed_answer(number, self.answers[number - 1])
            if number == len(self.answers):
                calls += framed(None)
            rows.append((len(group), base64.b64encode(calls).decode(), base64.b64encode(answers).decode()))
        return rows


def right_answers(rows: Sequence[Sequence[Any]], calls_of_tests: Sequence[SureCalls]) -> RightAnswers | None:
    """Requests and answers of tests; None where a test may make other requests, or where no right answers are known.

    A test of several calls that fails at one of them would leave the others unmade, so it is the only one.

    Args:
        rows: `[position, kind, *fields]` of tests that are text, which leaves no traces and needs no setup.
        calls_of_tests: the calls of each.
    """
    numbers = [len(test.calls) for test in calls_of_tests]
    if not all(test.complete for test in calls_of_tests) or 0 in numbers or (len(rows) > 1 and max(numbers) > 1):
        return None
    calls = [call for test in calls_of_tests for call in test.calls]
    answers = tuple(call.likely_answer for call in calls)
    if UNKNOWN in answers:
        return None
    size = max(sum(call.size for call in calls), sum(len(framed_answer(0, answer)) for answer in answers))
    if size > _MAX_BYTES or any(compile_text(row[2]).patches for row in rows) or not _pass(rows, calls):
        return None
    return RightAnswers(tuple(map(tuple, groups_of(calls))), answers)


def _pass(rows: Iterable[Sequence[Any]], calls: Sequence[SureCall]) -> bool:
    """Whether tests pass with the likely answers, and make these calls and no others."""
    waiting = iter(calls)
    functions = {name: _answering(name, waiting) for name in {call.request[1] for call in calls}}
    try:
        for _, kind, text, *entry_point in rows:
            values = names_after(text, functions if kind == "assert" else {})
            if kind == "check":
                values["check"](functions[entry_point[0]])
    except BaseException:
        return False
    return next(waiting, None) is None


def _answering(target: str, waiting: Iterator[SureCall]) -> Callable[..., Any]:
    """A function that gives the likely answers of the calls that it waits for; another call is an error."""

    def function(*args: Any, **names: Any) -> Any:
        encoder = Encoder(rich=True, shared=[], number_new=True)
        keywords = {name: encode(value, encoder) for name, value in names.items()}
        call = next(waiting)
        if call.request != ["call", target, [encoder.items(args, 0), keywords], []]:
            raise LookupError("another call")
        return decode(call.likely_answer)

    return function
