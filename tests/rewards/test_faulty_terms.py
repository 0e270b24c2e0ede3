"""Terms that give what is no credit: one sentence with the term, the program and the value."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from rltf.rewards.base import RewardStack
from rltf.rewards.coarse import Coarse
from rltf.rewards.faults import RewardError
from rltf.types import Credit, Outcome, Verdict

PASSED = Verdict(Outcome.PASSED, 1, 1)


class Returns:
    """A term that returns the same whatever it is asked."""

    def __init__(self, credits: object) -> None:
        self.credits = credits

    def __call__(self, problem, program, verdict):
        return self.credits


class Batch(Returns):
    """The same as a `credit_batch`."""

    def credit_batch(self, judged):
        return self.credits


class Divides:
    def __call__(self, problem, program, verdict):
        return (Credit("divides", 1 / (verdict.total - 1)),)


@pytest.fixture
def program(make_program):
    return replace(make_program(["a", "b", ""]), problem_id="mbpp/7", draw=3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), 10**400, None, "1", [1.0]])
@pytest.mark.parametrize("span", [None, (0, 1)])
def test_a_value_that_is_no_finite_number_names_term_program_and_value(problem, program, value, span):
    stack = RewardStack({"coarse": Coarse(), "mine": Returns((Credit("x", value, span),))})
    with pytest.raises(RewardError) as error:
        stack(problem, program, PASSED)
    sentence = str(error.value)
    assert sentence.startswith(f"reward.terms.mine gave the program of draw 3 of mbpp/7 the value {value!r}: expected")
    assert "resume=" in sentence


def test_the_program_is_the_faulty_one_of_many(problem, program):
    class Odd:
        def __call__(self, problem, program, verdict):
            return (Credit("odd", math.nan if program.draw == 5 else 1.0),)

    judged = [(problem, replace(program, draw=draw), PASSED) for draw in range(8)]
    with pytest.raises(RewardError, match=r"^reward\.terms\.odd gave the program of draw 5 of mbpp/7 the value nan"):
        RewardStack({"odd": Odd()}).credit_batch(judged)
    greedy = replace(program, draw=-1, greedy=True)
    with pytest.raises(RewardError, match=r"gave the greedy program of mbpp/7 the value nan"):
        RewardStack({"odd": Returns([Credit("odd", math.nan)])})(problem, greedy, PASSED)


@pytest.mark.parametrize("returned", [1.0, None, math.nan, [1.0], "ab", {"reward": 1.0}])
def test_what_is_no_list_of_credits_is_refused(problem, program, returned):
    with pytest.raises(RewardError, match=r"^reward\.terms\.mine gave the program of draw 3 of mbpp/7 .*expected"):
        RewardStack({"mine": Returns(returned)})(problem, program, PASSED)


@pytest.mark.parametrize("span", [(0, 4), (-1, 2), (2, 1), (0,), (0.0, 1.0), "ab"])
def test_a_span_outside_the_response_is_refused(problem, program, span):
    with pytest.raises(RewardError, match=r"the span .* expected \(start, end\) within its 3 tokens"):
        RewardStack({"mine": Returns([Credit("mine", 1.0, span)])})(problem, program, PASSED)


def test_finite_values_that_overflow_together_are_refused(problem, program):
    terms = {"a": Returns([Credit("a", 1.5e308)]), "b": Returns([Credit("b", 1.5e308)])}
    with pytest.raises(RewardError, match=r"draw 3 of mbpp/7 sum to no finite number \(a: 1\.5e\+308, b: 1\.5e\+308\)"):
        RewardStack(terms)(problem, program, PASSED)


def test_numbers_of_other_libraries_become_plain_ones(problem, program):
    given = [
        Credit("x", np.float32(0.5)),
        Credit("x", Fraction(1, 4)),
        Credit("x", True),
        Credit("x", np.int64(2), (np.int64(0), np.int64(3))),
    ]
    credits = RewardStack({"mine": Returns(given)})(problem, program, PASSED)
    assert [credit.value for credit in credits] == [0.5, 0.25, 1.0, 2.0]
    assert {type(credit.value) for credit in credits} == {float}
    assert credits[-1].span == (0, 3)
    assert {type(t) for t in credits[-1].span} == {int}


def test_an_error_of_a_term_names_the_term_the_program_and_the_line(problem, program):
    with pytest.raises(RewardError) as error:
        RewardStack({"divides": Divides()})(problem, program, PASSED)
    sentence = str(error.value)
    assert sentence.startswith(
        "reward.terms.divides ended with ZeroDivisionError (division by zero; test_faulty_terms.py"
    )
    assert "draw 3 of mbpp/7" in sentence
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_a_full_disk_in_a_term_stays_what_it_is(problem, program):
    class Writes:
        def __call__(self, problem, program, verdict):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        RewardStack({"writes": Writes()})(problem, program, PASSED)


def test_a_batch_of_another_length_is_refused(problem, program):
    with pytest.raises(RewardError, match=r"^reward\.terms\.mine: credit_batch returned 2 items for 1 programs"):
        RewardStack({"mine": Batch([(), ()])})(problem, program, PASSED)
    with pytest.raises(RewardError, match=r"^reward\.terms\.mine gave .* the value nan"):
        RewardStack({"mine": Batch([[Credit("mine", math.nan)]])})(problem, program, PASSED)
