"""Programs to read: what was written, what the tests said, who was blamed."""

from __future__ import annotations

from collections.abc import Sequence

from rltf.report.draw.numbers import short
from rltf.report.read.examples import Example
from rltf.report.write.escape import tag, text
from rltf.report.write.program_listing import intensity, listing
from rltf.types import Credit, Outcome

LONGEST_MESSAGE = 400
"""Characters of an error's message that are shown."""

SCALE = (0.3, 1.0, 3.0, 10.0)
"""Weights in the legend."""


def gallery(examples: Sequence[Example]) -> str:
    """Cards behind a row of boxes, one an outcome, that hide and show them; empty without examples."""
    if not examples:
        return ""
    present = [outcome for outcome in Outcome if any(e.outcome == outcome for e in examples)]
    boxes = "".join(
        tag("label", f'<input type="checkbox" id="show-{o}" checked>' + _badge(o), class_="filter") for o in present
    )
    return tag("div", boxes, class_="filters") + _legend(examples) + "".join(_card(example) for example in examples)


def outcome_name(outcome: str) -> str:
    """`wrong_answer` as people write it."""
    return outcome.replace("_", " ")


def _card(example: Example) -> str:
    where = f"{example.row}, " if example.row else ""
    where += f"iteration {example.iteration}, " + ("greedy" if example.greedy else f"draw {example.draw}")
    if example.version is not None:
        where += f", policy of step {example.version}"
    head = _badge(example.outcome) + tag("strong", text(example.problem_id)) + tag("span", text(where), class_="where")
    return tag(
        "article",
        tag("header", head) + _verdict(example) + _failed(example) + listing(example) + _numbers(example),
        class_=f"card o-{example.outcome}",
    )


def _verdict(example: Example) -> str:
    said = f"{example.passed} of {example.total} tests passed"
    if example.finish == "length":
        said += "; cut at the length limit"
    error = example.error
    if error is None:
        return tag("p", text(said), class_="verdict")
    message = error.message if len(error.message) <= LONGEST_MESSAGE else error.message[:LONGEST_MESSAGE] + " …"
    where = "" if error.line is None else f" in line {error.line}"
    named = tag("code", text(error.type + (f": {message}" if message else "")))
    return tag("p", text(said) + "; " + named + text(where + _blame(example)), class_="verdict")


def _failed(example: Example) -> str:
    if example.failed is None:
        return ""
    number, test = example.failed
    return tag("p", text(f"test {number} failed: ") + tag("code", text(test)), class_="verdict")


def _blame(example: Example) -> str:
    """Whom the reward's terms blamed, in brackets; empty when no term looks at tokens."""
    spans = [credit.span for credit in example.credits if credit.span is not None]
    if not spans:
        return ""
    return (
        " (the whole response is blamed)" if (0, len(example.offsets)) in spans else " (blame on the coloured tokens)"
    )


def _numbers(example: Example) -> str:
    values = {"reward": example.reward, "baseline": example.baseline, "advantage": example.advantage}
    parts = [f"{name} {_signed(value)}" for name, value in values.items() if value is not None]
    parts += [_credit(credit) for credit in example.credits]
    if silent := len(example.silent()):
        parts.append(f"no weight on {silent} of {len(example.offsets)} tokens, whose lines no test executed")
    if example.given:
        parts.append(f"the first {example.given} characters were given")
    return tag("p", " · ".join(map(text, parts)), class_="numbers")


def _credit(credit: Credit) -> str:
    if credit.span is None:
        return f"{credit.term} {_signed(credit.value)}"
    start, end = credit.span
    tokens = f"token {start}" if end - start == 1 else f"each of tokens {start} to {end - 1}"
    return f"{credit.term} {_signed(credit.value)} on {tokens}"


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{short(abs(value))}"


def _badge(outcome: str) -> str:
    return tag("span", text(outcome_name(outcome)), class_=f"badge o-{outcome}")


def _legend(examples: Sequence[Example]) -> str:
    swatches = "".join(
        tag("b", f" −{short(weight)} ", class_="minus", style=f"--w:{intensity(weight):.2f}") for weight in SCALE
    )
    said = "Weight of a blamed token, besides the advantage of its program: "
    more = " (rest on a token to read where its weight is from)"
    if any(example.unexecuted for example in examples):
        more += "; struck out: no weight, since no test executed it"
    if any(example.given for example in examples):
        more += "; in italics: given to the policy, not written by it"
    return tag("p", text(said) + tag("span", swatches, class_="code inline") + text(more))
