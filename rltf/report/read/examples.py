"""One line of `rollouts.jsonl`, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rltf.report.draw.numbers import short
from rltf.rewards.spans import tokens_within_lines
from rltf.types import Category, Credit, ErrorReport, Span


@dataclass(frozen=True)
class Example:
    """A judged program as the gallery shows it; fields as in `rltf.types`."""

    iteration: int
    problem_id: str
    program: str
    outcome: str
    passed: int
    total: int
    finish: str = ""
    draw: int = 0
    greedy: bool = False
    version: int | None = None
    reward: float | None = None
    baseline: float | None = None
    advantage: float | None = None
    error: ErrorReport | None = None
    credits: tuple[Credit, ...] = ()
    offsets: tuple[Span, ...] = ()
    failed: tuple[int, str] | None = None
    """Number, from 1, and text of the first test with the program's outcome."""
    given: int = 0
    """Characters at the start that were given to the policy."""
    unexecuted: tuple[int, ...] = ()
    """Lines that no test executed."""
    final: tuple[float, ...] = ()
    """Weight of each token where `credit` weighed them; empty: advantage and span credits."""
    row: str = ""
    """Of the report, when it has several."""

    def in_row(self, row: str) -> Example:
        """The same program, of a row."""
        return replace(self, row=row)

    def weights(self) -> list[float]:
        """Weight that span credits give to each token; the advantage comes on top."""
        weights = [0.0] * len(self.offsets)
        for credit in self.credits:
            for t in range(*(credit.span or (0, 0))):
                weights[t] += credit.value
        return weights

    def sources(self, token: int) -> str:
        """What the token weighs, and from where: span credits, advantage, and the sum or what `credit` made of it."""
        parts = [(c.term, c.value) for c in self.credits if c.span is not None and c.span[0] <= token < c.span[1]]
        parts += [] if self.advantage is None else [("advantage", self.advantage)]
        said = ", ".join(f"{name} {short(value)}" for name, value in parts)
        whole = self.final[token] if self.final else sum(value for _, value in parts)
        return said + (f": {short(whole)} in all" if len(parts) > 1 or self.final else "")

    def silent(self) -> set[int]:
        """Tokens that have no weight, since no test executed their lines."""
        return tokens_within_lines(self.program, self.offsets, self.unexecuted) if self.final else set()


def example_of(record: Mapping[str, Any]) -> Example:
    """The example in a record.

    Raises:
        KeyError, TypeError, ValueError: the record lacks a field, or a field is of another shape than
            `rltf.runs.rollouts_file` writes.
    """
    plain = {
        name: record[name]
        for name in ("finish", "draw", "greedy", "version", "reward", "baseline", "advantage")
        if record.get(name) is not None
    }
    offsets = tuple((int(start), int(end)) for start, end in record.get("offsets") or ())
    final = tuple(float(weight or 0.0) for weight in record.get("weights") or ())
    if final and len(final) != len(offsets):
        raise ValueError(f"{len(final)} weights for {len(offsets)} tokens")
    return Example(
        iteration=int(record["iteration"]),
        problem_id=str(record["problem_id"]),
        program=str(record["program"]),
        outcome=str(record["outcome"]),
        passed=int(record["passed"]),
        total=int(record["total"]),
        error=_error(record.get("error")),
        credits=tuple(_credit(credit, len(offsets)) for credit in record.get("credits") or ()),
        offsets=offsets,
        failed=_failed(record.get("failed")),
        given=offsets[0][0] if record.get("given") and offsets else 0,
        unexecuted=tuple(int(line) for line in record.get("unexecuted") or ()),
        final=final,
        **plain,
    )


def _error(record: Mapping[str, Any] | None) -> ErrorReport | None:
    if record is None:
        return None
    return ErrorReport(
        type=str(record["type"]),
        message=str(record["message"]),
        line=None if record["line"] is None else int(record["line"]),
        end_line=None if record["end_line"] is None else int(record["end_line"]),
        category=Category(record["category"]),
    )


def _failed(record: Mapping[str, Any] | None) -> tuple[int, str] | None:
    return None if record is None else (int(record["number"]), str(record["test"]))


def _credit(record: Mapping[str, Any], tokens: int) -> Credit:
    if record["span"] is None:
        return Credit(str(record["term"]), float(record["value"]))
    start, end = (int(border) for border in record["span"])
    if not 0 <= start <= end <= tokens:
        raise ValueError(f"credit span {start}..{end} lies outside the response's {tokens} tokens")
    return Credit(str(record["term"]), float(record["value"]), (start, end))
