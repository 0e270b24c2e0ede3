"""Coarse, adaptive, binary: numbers of METHODS, sections 1a and 1b."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.rewards.adaptive import Adaptive
from rltf.rewards.base import RewardStack
from rltf.rewards.binary import Binary
from rltf.rewards.coarse import Coarse
from rltf.rewards.overlong import Overlong
from rltf.types import Credit, Outcome, Verdict

OTHER_ERRORS = [outcome for outcome in Outcome if outcome.is_error]


def test_coarse_gives_the_papers_four_numbers():
    values = {outcome: Coarse().value(Verdict(outcome, 0, 1)) for outcome in Outcome}
    assert values[Outcome.PASSED] == 1.0
    assert values[Outcome.WRONG_ANSWER] == -0.3
    assert values[Outcome.SYNTAX_ERROR] == -1.0
    assert {values[outcome] for outcome in OTHER_ERRORS} == {-0.6}
    assert len(OTHER_ERRORS) == 5


def test_seven_of_ten_tests_earn_0_61():
    assert Adaptive().value(Verdict(Outcome.WRONG_ANSWER, 7, 10)) == pytest.approx(0.61, abs=1e-12)  # -0.3 + 1.3 * 0.7


def test_seven_of_ten_beat_a_failing_baseline_by_0_91():
    sample = Adaptive().value(Verdict(Outcome.WRONG_ANSWER, 7, 10))
    baseline = Adaptive().value(Verdict(Outcome.WRONG_ANSWER, 0, 10))
    assert sample - baseline == pytest.approx(0.91, abs=1e-12)


def test_adaptive_equals_coarse_when_no_test_passes():
    nothing = Verdict(Outcome.WRONG_ANSWER, 0, 7)
    assert Adaptive().value(nothing) == Coarse().value(nothing) == -0.3


def test_adaptive_equals_coarse_when_every_test_passes():
    everything = Verdict(Outcome.PASSED, 7, 7)
    assert Adaptive().value(everything) == Coarse().value(everything) == 1.0


@pytest.mark.parametrize("outcome", [Outcome.SYNTAX_ERROR, *OTHER_ERRORS])
def test_a_program_that_crashes_once_earns_its_coarse_value_however_many_tests_it_passed(outcome):
    crashed = Verdict(outcome, 9, 10)
    assert Adaptive().value(crashed) == Coarse().value(crashed)


@given(total=st.integers(1, 200), data=st.data())
def test_adaptive_rises_with_each_test_passed_and_stays_between_floor_and_ceiling(total, data):
    fewer = data.draw(st.integers(0, total - 1))
    more = data.draw(st.integers(fewer + 1, total))
    low = Adaptive().value(Verdict(Outcome.WRONG_ANSWER, fewer, total))
    high = Adaptive().value(Verdict(Outcome.WRONG_ANSWER, more, total))
    assert -0.3 <= low < high <= 1.0


def test_binary_pays_for_passing_only(problem, make_program):
    for outcome in Outcome:
        [credit] = Binary()(problem, make_program(["x"]), Verdict(outcome, 1, 2))
        assert credit.value == (1.0 if outcome is Outcome.PASSED else 0.0)
        assert credit.span is None


def test_paper_sums_coarse_and_adaptive(problem, make_program):
    stack = RewardStack({"coarse": Coarse(), "adaptive": Adaptive()})
    credits = stack(problem, make_program(["x"]), Verdict(Outcome.WRONG_ANSWER, 7, 10))
    assert [credit.term for credit in credits] == ["coarse", "adaptive"]
    assert math.fsum(credit.value for credit in credits) == pytest.approx(0.31, abs=1e-12)  # -0.3 + 0.61


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.UNJUDGEABLE])
def test_official_code_replaces_coarse_by_adaptive(problem, make_program, outcome):
    stack = RewardStack({"coarse": Coarse(), "adaptive": Adaptive(mode="replace")})
    [credit] = stack(problem, make_program(["x"]), Verdict(outcome, 7, 10))
    assert credit.term == "adaptive"
    if outcome is Outcome.WRONG_ANSWER:
        assert credit.value == pytest.approx(0.61, abs=1e-12)
    else:
        assert credit.value == Coarse().value(Verdict(outcome, 7, 10))


def test_a_replaced_term_is_gone_whatever_the_order_of_terms():
    assert list(RewardStack({"adaptive": Adaptive(mode="replace"), "coarse": Coarse()}).terms) == ["adaptive"]


def test_replacing_an_absent_term_changes_nothing():
    assert list(RewardStack({"adaptive": Adaptive(mode="replace"), "binary": Binary()}).terms) == ["adaptive", "binary"]


def test_a_term_does_not_replace_itself():
    assert list(RewardStack({"coarse": Adaptive(mode="replace")}).terms) == ["coarse"]


def test_credits_carry_the_name_that_the_term_has_in_the_stack(problem, make_program):
    stack = RewardStack({"easy": Binary(), "hard": Binary(passed=2.0)})
    credits = stack(problem, make_program(["x"]), Verdict(Outcome.PASSED, 1, 1))
    assert [(credit.term, credit.value) for credit in credits] == [("easy", 1.0), ("hard", 2.0)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Coarse(passed=math.nan), r"^passed is nan: expected a finite number"),
        (lambda: Coarse(error="-0.6"), r"^error is '-0\.6': expected a finite number"),
        (lambda: Binary(failed=math.inf), r"^failed is inf: expected a finite number"),
        (lambda: Binary(passed=True), r"^passed is True: expected a finite number"),
        (lambda: Adaptive(ceiling=None), r"^ceiling is None: expected a finite number"),
        (lambda: Adaptive(floor=2.0), r"^floor is 2\.0: expected at most ceiling, which is 1\.0$"),
        (lambda: Adaptive(mode="both"), r"^mode is 'both': expected add or replace$"),
        (lambda: RewardStack({}), r"reward\.terms is empty"),
        (lambda: RewardStack({"x": 0.3}), r"reward\.terms\.x is 0\.3: expected a node whose _target_"),
    ],
)
def test_a_wrong_setting_names_its_key_what_was_found_and_what_was_expected(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_terms_that_replace_each_other_are_refused():
    class Selfish(Binary):
        replaces = ("a", "b")

    with pytest.raises(ValueError, match="a, b replace each other"):
        RewardStack({"a": Selfish(), "b": Selfish()})


@pytest.mark.parametrize(("tokens", "value"), [(16384, 0.0), (18432, -0.5), (20480, -1.0), (30000, -1.0), (1, 0.0)])
def test_penalty_of_overlong_responses_grows_over_dapos_last_4096_of_20480_tokens(tokens, value):
    assert Overlong(limit=20480, margin=0.2).value(tokens) == value


@pytest.mark.parametrize("options", [{"margin": 0.0}, {"margin": 1.1}, {"limit": 0}])
def test_a_penalty_without_room_is_refused_by_its_key(options):
    with pytest.raises(ValueError, match=rf"^{next(iter(options))} is"):
        Overlong(**options)


def test_a_term_that_can_answer_for_many_programs_is_asked_once():
    class Numbers:
        def __init__(self):
            self.asked = []

        def credit_batch(self, judged):
            self.asked.append(len(judged))
            return [[Credit("x", float(n))] for n, _ in enumerate(judged)]

        def __call__(self, problem, program, verdict):
            raise AssertionError("asked one by one")

    term = Numbers()
    stack = RewardStack({"coarse": Coarse(), "numbers": term})
    verdicts = [Verdict(Outcome.PASSED, 1, 1), Verdict(Outcome.WRONG_ANSWER, 0, 1)]
    found = stack.credit_batch([(None, None, verdict) for verdict in verdicts])
    assert term.asked == [2]
    assert found == [(Credit("coarse", 1.0), Credit("numbers", 0.0)), (Credit("coarse", -0.3), Credit("numbers", 1.0))]
