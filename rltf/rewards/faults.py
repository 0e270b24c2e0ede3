"""What ends a run when a reward term is at fault: one sentence with the term, the program and the value.

Programs of an iteration are drawn again, the same ones, when the run is resumed after the last checkpoint: so nothing
is lost, and a term that was mended goes on from there."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path

from rltf.types import Credit, Program, Span

MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError, ValueError)
"""Errors of a term's own code. Others, such as those of a full disk or memory, travel as they are."""
MEND = "mend the term, and resume= goes on from the last checkpoint"


class RewardError(ValueError):
    """A reward term that raised an error or gave what is no credit."""


@contextmanager
def named_term(name: str, program: Program | None) -> Iterator[None]:
    """Inside, a term's mistake becomes a `RewardError` that names the term.

    Args:
        name: of the term.
        program: the one that it credits; None: many.
    """
    try:
        yield
    except MISTAKES as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        credited = "a batch of programs" if program is None else program_name(program)
        raise RewardError(
            f"reward.terms.{name} ended with {type(error).__name__} ({error}; {Path(frame.filename).name}, line "
            f"{frame.lineno}) for {credited}: {MEND}"
        ) from error


def checked_credits(name: str, program: Program, credits: object) -> Sequence[Credit]:
    """The credits that a term gave to a program, with values and spans as numbers of Python.

    Raises:
        RewardError: they are no credits, a value is not finite, or a span is outside the response.

    Example:
        >>> checked_credits("mine", None, [Credit("mine", 1, None)])
        [Credit(term='mine', value=1, span=None)]
    """
    if not isinstance(credits, Iterable):
        raise _fault(name, program, f"{credits!r}: expected a sequence of rltf.types.Credit, such as an empty one")
    return [_checked_credit(name, program, credit) for credit in credits]


def program_name(program: Program) -> str:
    """The words with which messages name a program: its problem and its draw, as in rollouts.jsonl."""
    return f"the {'greedy program' if program.greedy else f'program of draw {program.draw}'} of {program.problem_id}"


def check_sum(program: Program, credits: Iterable[Credit]) -> None:
    """Refuses a reward, the sum of credits of the whole program, that is beyond every float.

    Raises:
        RewardError: it is.
    """
    values = [(credit.term, credit.value) for credit in credits if credit.span is None]
    if not math.isfinite(sum(value for _, value in values)):
        terms = ", ".join(f"{term}: {value!r}" for term, value in values)
        raise RewardError(f"reward.terms of {program_name(program)} sum to no finite number ({terms}); {MEND}")


def _checked_credit(name: str, program: Program, credit: object) -> Credit:
    if not isinstance(credit, Credit):
        raise _fault(name, program, f"{credit!r}: expected rltf.types.Credit")
    value, span = _plain_value(credit.value), credit.span
    if value is None:
        raise _fault(name, program, f"the value {credit.value!r}: expected a finite number")
    if span is not None:
        span = _plain_span(span, len(program.token_ids))
        if span is None:
            tokens = len(program.token_ids)
            raise _fault(name, program, f"the span {credit.span!r}: expected (start, end) within its {tokens} tokens")
    return credit if value is credit.value and span is credit.span else Credit(credit.term, value, span)


def _fault(name: str, program: Program, what: str) -> RewardError:
    return RewardError(f"reward.terms.{name} gave {program_name(program)} {what}; {MEND}")


def _plain_value(value: object) -> float | None:
    """A finite number, that of another library (numpy's) as a float, which checkpoints hold; None for all else."""
    try:
        if not isinstance(value, Real) or not math.isfinite(value):
            return None
    except OverflowError:  # a whole number beyond every float
        return None
    return value if type(value) is float or type(value) is int else float(value)


def _plain_span(span: object, tokens: int) -> Span | None:
    """A range of a response's tokens, in whole numbers of Python; None for all else."""
    if not isinstance(span, tuple | list) or len(span) != 2 or not all(isinstance(t, Integral) for t in span):
        return None
    if type(span) is tuple and all(type(t) is int for t in span):
        plain: Span = span
    else:
        plain = (int(span[0]), int(span[1]))
    return plain if 0 <= plain[0] <= plain[1] <= tokens else None
