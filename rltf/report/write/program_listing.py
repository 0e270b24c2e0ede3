"""A program with line numbers, its faulty lines marked, each blamed token coloured by its weight, and what was given to
the policy or never executed set apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rltf.report.read.examples import Example
from rltf.report.write.escape import tag, text
from rltf.rewards.spans import line_spans
from rltf.types import FinishReason

FULL_COLOUR = 10.0
"""Weight from which a token has the full colour; below it, colour goes with the logarithm."""


@dataclass(frozen=True)
class TokenMark:
    """Characters of one weighted token."""

    start: int
    end: int
    weight: float
    said: str
    """Token and sources of its weight."""
    silent: bool = False
    """No weight reaches it."""


def listing(example: Example) -> str:
    """The program as HTML; its text can be copied without the numbers."""
    paints = list(_paints(example))
    spans = line_spans(example.program) or [(0, 0)]
    ends = [start for start, _ in spans[1:]] + [len(example.program)]
    faulty = _faulty_lines(example, len(spans))
    lines = []
    for number, ((start, end), after) in enumerate(zip(spans, ends, strict=True), start=1):
        given = min(max(example.given, start), end)
        content = tag("i", text(example.program[start:given]), class_="given") if given > start else ""
        content += _pieces(example.program, given, end, paints) + _line_end(example, end, after, paints)
        if number == len(spans):
            content += _end_of_sequence(example)
        marks = "l faulty" if number in faulty else "l"
        lines.append(tag("span", content, class_=marks, data_n=number))
    return tag("pre", "\n".join(lines), class_="code", tabindex=0)


def intensity(weight: float) -> float:
    """How strongly a token is coloured: 0.2 (hardly blamed) to 1."""
    return 0.2 + 0.8 * min(1.0, math.log1p(abs(weight)) / math.log1p(FULL_COLOUR))


def _paints(example: Example) -> Iterator[TokenMark]:
    """Weighted tokens in order; a character that several tokens share belongs to the first."""
    done, silent = 0, example.silent()
    for token, ((start, end), weight) in enumerate(zip(example.offsets, example.weights(), strict=True)):
        if (weight or token in silent) and max(start, done) < end:
            said = f"token {token}: {example.sources(token)}"
            why = "; no test executed its line" if token in silent else ""
            yield TokenMark(max(start, done), end, weight, said + why, token in silent)
            done = end


def _pieces(program: str, start: int, end: int, paints: list[TokenMark]) -> str:
    """The characters `start..end`, none of them a line end, in pieces of one weight each."""
    html, at = "", start
    for paint in paints:
        left, right = max(paint.start, start), min(paint.end, end)
        if left < right:
            html += text(program[at:left]) + _blamed(program[left:right], paint)
            at = right
    return html + text(program[at:end])


def _line_end(example: Example, start: int, end: int, paints: list[TokenMark]) -> str:
    """A sign for a line end that is blamed on its own account: not as part of the whole response, nor with what stands
    before or behind it."""
    everything = (0, len(example.offsets))
    if any(credit.span == everything for credit in example.credits):
        return ""
    return "".join(_blamed("↵", p) for p in paints if not p.silent and start <= p.start and p.end <= end)


def _end_of_sequence(example: Example) -> str:
    weights = example.weights()
    if example.finish != FinishReason.EOS or not weights or not weights[-1]:
        return ""
    last = len(weights) - 1
    return _blamed("end of sequence", TokenMark(0, 0, weights[-1], f"token {last}: {example.sources(last)}"), "eos")


def _blamed(characters: str, paint: TokenMark, more: str = "") -> str:
    kind = "silent" if paint.silent else "minus" if paint.weight < 0 else "plus"
    look = f"--w:{intensity(paint.weight):.2f}"
    return tag("b", text(characters), class_=f"{kind} {more}".strip(), style=look, title=paint.said)


def _faulty_lines(example: Example, lines: int) -> range:
    """1-based numbers; a line past the end is the last one."""
    error = example.error
    if error is None or error.line is None:
        return range(0)
    first = min(max(error.line, 1), lines)
    return range(first, min(max(error.end_line or first, first), lines) + 1)
