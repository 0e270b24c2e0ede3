"""The tests of a task as a grader has them, and what it knows of them before it asks a program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rltf.execution.grader.pipelining import (
    SureCalls,
    calls_of_assert,
    calls_of_check,
    calls_of_values,
    groups_from,
)
from rltf.execution.grader.purity import is_pure
from rltf.execution.grader.requests import Request
from rltf.execution.grader.right_answers import RightAnswers, right_answers
from rltf.execution.text_checks import problem_of_text
from rltf.execution.values.codec import decode


class TestSet:
    """The tests of a task, without those on stdin, as rows `[position, kind, *fields]`, and its setup code."""

    __test__ = False  # not a pytest class

    def __init__(self, rows: Sequence[Sequence[Any]], setup: str) -> None:
        self.setup = setup
        self.rows = {row[0]: row for row in rows}
        texts = [row for row in rows if row[1] in ("assert", "check")]
        self.has_text = bool(texts)
        self._all_text = len(texts) == len(rows)
        self.pure = is_pure(setup) and all(is_pure(row[2]) for row in texts)
        self.asserts = [] if any(row[1] == "check" for row in rows) else [row[2] for row in texts]
        self.problems = {row[0]: problem_of_text(row[2], row[1], setup) for row in texts}
        """Position -> what is wrong with a test, or None."""
        self._expected: dict[int, Any] = {}
        self._calls: dict[tuple[int, bool], SureCalls] = {}
        self._answers_known = False
        self._right_answers: RightAnswers | None = None

    def groups_from(self, indices: Iterable[int], last: int, stop_at_first_failure: bool) -> list[list[Request]]:
        """Requests that go together, in groups.

        Args:
            indices: tests that are to run.
            last: the last of them.
            stop_at_first_failure: a test that fails ends the job.
        """
        return groups_from((self._calls_of(at, at == last) for at in indices), stop_at_first_failure)

    def _calls_of(self, at: int, last: bool) -> SureCalls:
        """The calls that a test is sure to make."""
        if (at, last) not in self._calls:
            _, kind, *fields = self.rows[at]
            if kind == "call":
                function, args, expected = fields[:3]
                calls = calls_of_values(function, args, expected, last)
            elif kind == "check":
                calls = calls_of_check(*fields)
            else:
                calls = calls_of_assert(fields[0], self.setup)
            self._calls[at, last] = calls
        return self._calls[at, last]

    @property
    def right_answers(self) -> RightAnswers | None:
        """Answers with which all tests pass that are to be run; None where they are not known from the tests alone."""
        if not self._answers_known:
            self._answers_known = True
            if self._all_text and self.pure and not self.setup and not any(self.problems.values()):
                calls = [self._calls_of(at, False) for at in self.rows]
                self._right_answers = right_answers([*self.rows.values()], calls)
        return self._right_answers

    def sent_requests(self, indices: Sequence[int], count: int) -> tuple[Sequence[Request], bool] | None:
        """The requests that the worker has sent for tests, the first `count`, and whether it sent the end as well; None
        where it cannot have sent them."""
        if not self.has_text:
            requests = [self.request_of_call(at, at == indices[-1]) for at in indices]
        elif self.right_answers is not None:
            requests = self.right_answers.requests
        else:
            return None
        return requests[:count], count == len(requests)

    def request_of_call(self, at: int, last: bool) -> Request:
        """The request of a call test.

        Args:
            at: its position.
            last: no request comes behind it.
        """
        _, _, function, args, *_ = self.rows[at]
        return ["result", function, [args, {}], last]

    def expected(self, at: int) -> Any:
        """The expected value of a call test."""
        if at not in self._expected:
            self._expected[at] = decode(self.rows[at][4])
        return self._expected[at]
