"""A program as lines of pieces that look alike: blamed tokens by their weight, tokens that no test executed, and the
prefix that was given to the policy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rltf.report.draw.numbers import short
from rltf.report.read.examples import ComparedTest, Example
from rltf.rewards.spans import line_spans
from rltf.types import FinishReason

FULL_COLOUR = 10.0
"""Weight from which a token has the full colour; below it, colour goes with the logarithm."""


@dataclass(frozen=True)
class TokenMark:
    """Characters of one token that is coloured or struck out."""

    start: int
    end: int
    weight: float
    title: str
    """Token and sources of its weight."""
    kind: str
    """Class in the style sheet: `plus`, `minus`, or `silent` for a token that no weight reaches."""


@dataclass(frozen=True)
class Piece:
    """Characters of one line that look alike."""

    text: str
    mark: TokenMark | None = None
    is_prefix: bool = False
    """Whether it was given to the policy, not written by it."""


@dataclass(frozen=True)
class ListingLine:
    """One line of a program."""

    number: int
    """Line number, 1-based."""
    is_faulty: bool
    pieces: tuple[Piece, ...]


def listing_lines(example: Example, test: ComparedTest | None = None) -> list[ListingLine]:
    """All lines of a program; their pieces make up its text.

    Args:
        example: the program.
        test: colours the tokens that this test executed by its advantage, and no others; None: by their weights.
    """
    marks = list(_token_marks(example) if test is None else _marks_of_test(example, test))
    spans = line_spans(example.program) or [(0, 0)]
    next_starts = [start for start, _ in spans[1:]] + [len(example.program)]
    faulty_lines = _faulty_lines(example, len(spans))
    lines = []
    for number, ((start, end), next_start) in enumerate(zip(spans, next_starts, strict=True), start=1):
        prefix_end = min(max(example.prefix_length, start), end)
        pieces = [Piece(example.program[start:prefix_end], is_prefix=True)]
        pieces += _pieces(example.program, prefix_end, end, marks)
        pieces += _line_end(example, end, next_start, marks)
        if number == len(spans) and test is None:
            pieces += _end_of_sequence(example)
        lines.append(ListingLine(number, number in faulty_lines, tuple(piece for piece in pieces if piece.text)))
    return lines


def intensity(weight: float) -> float:
    """How strongly a token is coloured: 0.2 (hardly blamed) to 1."""
    return 0.2 + 0.8 * min(1.0, math.log1p(abs(weight)) / math.log1p(FULL_COLOUR))


def _token_marks(example: Example) -> Iterator[TokenMark]:
    """Weighted and unexecuted tokens in order; a character that several tokens share belongs to the first."""
    marked_end, unexecuted = 0, example.unexecuted_tokens()
    for token, ((start, end), weight) in enumerate(zip(example.offsets, example.coloured_weights(), strict=True)):
        if (weight or token in unexecuted) and max(start, marked_end) < end:
            title = f"token {token}: {example.weight_sources(token)}"
            title += "; no test executed its line" if token in unexecuted else ""
            kind = "silent" if token in unexecuted else _sign(weight)
            yield TokenMark(max(start, marked_end), end, weight, title, kind)
            marked_end = end


def _marks_of_test(example: Example, test: ComparedTest) -> Iterator[TokenMark]:
    """The tokens that a test executed."""
    marked_end, executed = 0, example.executed_tokens(test)
    for token, (start, end) in enumerate(example.offsets):
        if token in executed and max(start, marked_end) < end:
            advantage = test.advantage or 0.0
            title = f"token {token}: test {test.number} has advantage {short(advantage)}; "
            title += example.weight_sources(token)
            yield TokenMark(max(start, marked_end), end, advantage, title, _sign(advantage))
            marked_end = end


def _pieces(program: str, start: int, end: int, marks: list[TokenMark]) -> Iterator[Piece]:
    """The characters `start..end`, none of them a line end, in pieces of one weight each."""
    position = start
    for mark in marks:
        mark_start, mark_end = max(mark.start, start), min(mark.end, end)
        if mark_start < mark_end:
            yield Piece(program[position:mark_start])
            yield Piece(program[mark_start:mark_end], mark)
            position = mark_end
    yield Piece(program[position:end])


def _line_end(example: Example, start: int, end: int, marks: list[TokenMark]) -> list[Piece]:
    """A sign for a line end that is blamed on its own account: not as part of the whole response, nor with the
    characters before or behind it, nor as one of all tokens of a line that a test executed."""
    if example.is_weighed_by_line or any(credit.span == (0, len(example.offsets)) for credit in example.credits):
        return []
    return [Piece("↵", m) for m in marks if m.kind != "silent" and start <= m.start and m.end <= end]


def _end_of_sequence(example: Example) -> list[Piece]:
    weights = example.coloured_weights()
    if example.finish != FinishReason.EOS or not weights or not weights[-1]:
        return []
    title = f"token {len(weights) - 1}: {example.weight_sources(len(weights) - 1)}"
    return [Piece("end of sequence", TokenMark(0, 0, weights[-1], title, f"{_sign(weights[-1])} eos"))]


def _sign(weight: float) -> str:
    return "minus" if weight < 0 else "plus"


def _faulty_lines(example: Example, lines: int) -> range:
    """1-based numbers; a line past the end is the last one."""
    error = example.error
    if error is None or error.line is None:
        return range(0)
    first = min(max(error.line, 1), lines)
    return range(first, min(max(error.end_line or first, first), lines) + 1)
