"""The tests of a task as a grader has them, and what it knows of them before it asks a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rltf.execution.grader.pipelining import pipelines
from rltf.execution.grader.purity import is_pure
from rltf.execution.grader.requests import Request
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
        self.pure = is_pure(setup) and all(is_pure(row[2]) for row in texts)
        self.asserts = [] if any(row[1] == "check" for row in rows) else [row[2] for row in texts]
        self.problems = {row[0]: problem_of_text(row[2], row[1], setup) for row in texts}
        """Position -> what is wrong with a test, or None."""
        self._expected: dict[int, Any] = {}
        self._pipelines: tuple[Any, dict[int, list[list[Request]]]] = (None, {})

    def pipelines(self, indices: Sequence[int], stop_at_first_failure: bool) -> dict[int, list[list[Request]]]:
        """Test -> groups of requests to send together once it begins, where the tests at `indices` are to run."""
        run = ([*indices], stop_at_first_failure)
        if self._pipelines[0] != run:
            self._pipelines = run, pipelines(self.rows, indices, self.setup, stop_at_first_failure)
        return self._pipelines[1]

    def expected(self, at: int) -> Any:
        """The expected value of a call test."""
        if at not in self._expected:
            self._expected[at] = decode(self.rows[at][4])
        return self._expected[at]
