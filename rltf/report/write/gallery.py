"""Texts of the gallery: where a program is from, its error, and which tokens are blamed."""

from __future__ import annotations

from collections.abc import Sequence

from rltf.report.draw.numbers import short
from rltf.report.read.examples import ComparedTest, Example
from rltf.report.write.program_listing import intensity, listing_lines
from rltf.runs.rollouts_file import line_ranges
from rltf.types import Credit, Divergence, ErrorReport, Outcome

LONGEST_MESSAGE = 400
"""Characters of an error's message that are shown."""


def outcomes(examples: Sequence[Example]) -> list[Outcome]:
    """The outcomes that the examples have, worst first."""
    return [outcome for outcome in Outcome if any(example.outcome == outcome for example in examples)]


def origin_text(example: Example) -> str:
    """Row, iteration, draw and policy version of a program."""
    parts = [example.row_label] if example.row_label else []
    parts += [] if example.iteration is None else [f"iteration {example.iteration}"]
    parts += ["greedy" if example.greedy else f"draw {example.draw}"]
    parts += [] if example.version is None else [f"policy of step {example.version}"]
    return ", ".join(parts)


def error_text(error: ErrorReport) -> str:
    """Type and message of an error, the message shortened."""
    message = error.message if len(error.message) <= LONGEST_MESSAGE else error.message[:LONGEST_MESSAGE] + " …"
    return f"{error.type}: {message}" if message else error.type


def blame_text(example: Example) -> str:
    """Line of the error, and which tokens the reward's terms blame; empty when neither is known."""
    line = "" if example.error is None or example.error.line is None else f" in line {example.error.line}"
    spans = [credit.span for credit in example.credits if credit.span is not None]
    if not spans:
        return line
    whole_response = (0, len(example.offsets)) in spans
    return line + (" (the whole response is blamed)" if whole_response else " (blame on the coloured tokens)")


def divergence_text(divergence: Divergence) -> str:
    """Where a program parts from a reference program, or that no line can be told."""
    if divergence.line is None:
        return f"no line can be told at which test {divergence.test} parts from the reference program"
    return f"parts from the reference program in line {divergence.line} (test {divergence.test})"


def weights_text(example: Example) -> str:
    """Reward, baseline, advantage and credits of a program, and which of its tokens have no weight."""
    values = {"reward": example.reward, "baseline": example.baseline, "advantage": example.advantage}
    parts = [f"{name} {_signed(value)}" for name, value in values.items() if value is not None]
    parts += [_credit_text(credit) for credit in example.credits]
    if unweighted := len(example.unexecuted_tokens()):
        parts.append(f"no weight on {unweighted} of {len(example.offsets)} tokens, whose lines no test executed")
    if example.prefix_length:
        parts.append(f"the first {example.prefix_length} characters were given")
    return " · ".join(parts)


def compared_test_text(test: ComparedTest) -> str:
    """Number, outcome, advantage and lines of a test that was compared over the programs of the problem."""
    advantage = "could not be judged" if test.advantage is None else f"advantage {_signed(test.advantage)}"
    lines = line_ranges(test.lines or ()).replace(",", ", ") or "none"
    return f"test {test.number}: {test.status.replace('_', ' ')}, {advantage}, lines {lines}"


def _credit_text(credit: Credit) -> str:
    if credit.span is None:
        return f"{credit.term} {_signed(credit.value)}"
    start, end = credit.span
    tokens = f"token {start}" if end - start == 1 else f"each of tokens {start} to {end - 1}"
    return f"{credit.term} {_signed(credit.value)} on {tokens}"


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{short(abs(value))}"


_FUNCTIONS = (
    outcomes,
    origin_text,
    error_text,
    blame_text,
    divergence_text,
    weights_text,
    compared_test_text,
    listing_lines,
    intensity,
    short,
)
TEMPLATE_FUNCTIONS = {function.__name__: function for function in _FUNCTIONS}
"""Name in `programs.html` -> function."""
