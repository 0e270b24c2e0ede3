from __future__ import annotations

from collections.abc import Callable

import pytest

from rltf.types import Category, ErrorReport, FinishReason, Outcome, Problem, Program, Span, Verdict

MakeProgram = Callable[..., Program]


@pytest.fixture
def problem() -> Problem:
    return Problem(id="p", statement="Add two numbers.", tests=())


@pytest.fixture
def make_program() -> MakeProgram:
    """A program from the pieces of text that its tokens wrote; "" is a token outside the text, e.g. EOS."""

    def make(pieces: list[str], finish: FinishReason = FinishReason.EOS, lead: str = "") -> Program:
        offsets: list[Span] = []
        at = len(lead)
        for piece in pieces:
            offsets.append((at, at + len(piece)))
            at += len(piece)
        return Program(
            problem_id="p",
            text=lead + "".join(pieces),
            prompt_ids=(1, 2),
            token_ids=tuple(range(10, 10 + len(pieces))),
            offsets=tuple(offsets),
            logprobs=(-1.0,) * len(pieces),
            finish=finish,
        )

    return make


@pytest.fixture
def make_verdict() -> Callable[..., Verdict]:
    def make(
        outcome: Outcome,
        passed: int = 0,
        total: int = 10,
        line: int | None = None,
        end_line: int | None = None,
        category: Category | None = None,
    ) -> Verdict:
        error = None if category is None else ErrorReport("Error", "message", line, end_line, category)
        return Verdict(outcome, passed, total, error)

    return make
