"""Programs of `rollouts.jsonl` to look at: one line of the file, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rltf.report.draw.numbers import short
from rltf.rewards.spans import tokens_within_lines
from rltf.runs.rollouts_file import lines_of_ranges
from rltf.types import Credit, Divergence, ErrorReport, Outcome, Span, decode_divergence, decode_error


@dataclass(frozen=True)
class ComparedTest:
    """A test of a program that `credit` compared over the programs of its problem."""

    number: int
    """From 1."""
    status: str
    advantage: float | None
    """Of the program at this test; None: it could not be judged."""
    lines: tuple[int, ...] | None
    """Lines that it executed, 1-based; None: not measured."""


@dataclass(frozen=True)
class Example:
    """A judged program as the gallery shows it; fields as in `rltf.types`."""

    iteration: int | None
    """None: the program is of an evaluation."""
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
    failed_test: tuple[int, str] | None = None
    """Number, from 1, and text of the first test with the program's outcome."""
    prefix_length: int = 0
    """Characters at the start that the policy did not write: they were part of its prompt."""
    unexecuted_lines: tuple[int, ...] = ()
    """Lines that no test executed, 1-based."""
    token_weights: tuple[float, ...] = ()
    """Weight of each token where `credit` weighed them; empty: advantage and span credits."""
    tests: tuple[ComparedTest, ...] = ()
    """All tests, where `credit` compared them one by one."""
    task: str = ""
    """Statement of its problem, perhaps shortened; empty for runs that recorded none."""
    divergence: Divergence | None = None
    """Where the program parts from a reference, if a wrong answer was compared with one."""
    row_label: str = ""
    """Label of its row; empty in a report of one run."""

    def in_row(self, label: str) -> Example:
        """The same program with the label of its row."""
        return replace(self, row_label=label)

    def span_weights(self) -> list[float]:
        """Weight of each token by span credits alone; the advantage comes on top."""
        weights = [0.0] * len(self.offsets)
        for credit in self.credits:
            for token in range(*(credit.span or (0, 0))):
                weights[token] += credit.value
        return weights

    def coloured_weights(self) -> list[float]:
        """Weight that each token is coloured by: the whole of it where `credit` set it by line, else that of spans."""
        return list(self.token_weights) if self.is_weighed_by_line else self.span_weights()

    @property
    def is_weighed_by_line(self) -> bool:
        """True where tests were compared one by one, or the statement that parts from a reference is known."""
        parts = self.divergence is not None and self.divergence.line is not None
        return bool(self.token_weights) and (bool(self.tests) or parts)

    def weight_sources(self, token: int) -> str:
        """The terms of a token's weight: span credits, advantage (or what its line's tests gave it), and their sum or
        what `credit` made of it."""
        terms = [(c.term, c.value) for c in self.credits if c.span is not None and c.span[0] <= token < c.span[1]]
        if self.tests and self.token_weights:
            terms.append(("tests", self.token_weights[token] - sum(value for _, value in terms)))
        elif self.advantage is not None:
            terms.append(("advantage", self.advantage))
        sentence = ", ".join(f"{name} {short(value)}" for name, value in terms)
        weight = self.token_weights[token] if self.token_weights else sum(value for _, value in terms)
        return sentence + (f": {short(weight)} in all" if len(terms) > 1 or self.token_weights else "")

    def unexecuted_tokens(self) -> set[int]:
        """Tokens without a weight, since no test executed their lines."""
        return tokens_within_lines(self.program, self.offsets, self.unexecuted_lines) if self.token_weights else set()

    def failed_tests(self) -> list[ComparedTest]:
        """The compared tests that did not pass and whose lines are known."""
        return [test for test in self.tests if test.status != Outcome.PASSED and test.lines is not None]

    def executed_tokens(self, test: ComparedTest) -> set[int]:
        """Tokens with a character on a line that the test executed."""
        skipped = set(range(1, self.program.count("\n") + self.program.count("\r") + 2)) - set(test.lines or ())
        outside = tokens_within_lines(self.program, self.offsets, sorted(skipped))
        return {t for t, (start, end) in enumerate(self.offsets) if start < end and t not in outside}


def example_from_record(record: Mapping[str, Any]) -> Example:
    """The example in a line of `rollouts.jsonl`.

    Raises:
        KeyError, TypeError, ValueError: the record lacks a field, or a field is of another shape than
            `rltf.runs.rollouts_file` writes.
    """
    optional = {
        name: record[name]
        for name in ("finish", "draw", "greedy", "version", "reward", "baseline", "advantage")
        if record.get(name) is not None
    }
    offsets = tuple((int(start), int(end)) for start, end in record.get("offsets") or ())
    weights = tuple(float(weight or 0.0) for weight in record.get("weights") or ())
    if weights and len(weights) != len(offsets):
        raise ValueError(f"{len(weights)} weights for {len(offsets)} tokens")
    failed_test = record.get("failed")
    return Example(
        iteration=int(record["iteration"]),
        problem_id=str(record["problem_id"]),
        program=str(record["program"]),
        outcome=str(record["outcome"]),
        passed=int(record["passed"]),
        total=int(record["total"]),
        error=decode_error(record.get("error")),
        credits=tuple(_credit_from_record(credit, len(offsets)) for credit in record.get("credits") or ()),
        offsets=offsets,
        failed_test=None if failed_test is None else (int(failed_test["number"]), str(failed_test["test"])),
        prefix_length=offsets[0][0] if record.get("given") and offsets else 0,
        unexecuted_lines=tuple(int(line) for line in record.get("unexecuted") or ()),
        token_weights=weights,
        task=str(record.get("task") or ""),
        divergence=None if record.get("divergence") is None else decode_divergence(record["divergence"]),
        tests=tuple(_test_from_record(*row) for row in enumerate(record.get("tests") or (), start=1)),
        **optional,
    )


def _test_from_record(number: int, record: Mapping[str, Any]) -> ComparedTest:
    advantage, lines = record["advantage"], record["lines"]
    return ComparedTest(
        number,
        str(record["status"]),
        None if advantage is None else float(advantage),
        None if lines is None else lines_of_ranges(lines),
    )


def _credit_from_record(record: Mapping[str, Any], tokens: int) -> Credit:
    if record["span"] is None:
        return Credit(str(record["term"]), float(record["value"]))
    start, end = (int(border) for border in record["span"])
    if not 0 <= start <= end <= tokens:
        raise ValueError(f"credit span {start}..{end} lies outside the response's {tokens} tokens")
    return Credit(str(record["term"]), float(record["value"]), (start, end))
