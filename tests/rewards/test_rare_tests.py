"""`reward.terms.adaptive.tests=rare`: weights of tests by the pass rates of a group, worked out by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.rewards.adaptive import Adaptive
from rltf.rewards.base import RewardStack
from rltf.rewards.rarity import rare_shares
from rltf.setup.instantiate import build
from rltf.types import FinishReason, Outcome, Problem, Program, TestResult, Verdict


def judged(passes, problem="p", greedy=False):
    """A program that passes the tests marked `+`; "" does not compile."""
    program = Program(problem, "", (), (), (), (), FinishReason.EOS, draw=-1 if greedy else 0, greedy=greedy)
    if not passes:
        return Problem(problem, "", ()), program, Verdict(Outcome.SYNTAX_ERROR, 0, 3)
    statuses = [Outcome.PASSED if mark == "+" else Outcome.WRONG_ANSWER for mark in passes]
    outcome = Outcome.PASSED if "-" not in passes else Outcome.WRONG_ANSWER
    tests = tuple(TestResult(status, 0.0) for status in statuses)
    return Problem(problem, "", ()), program, Verdict(outcome, passes.count("+"), len(passes), tests=tests)


GROUP = [judged(passes) for passes in ("++-", "+-+", "+--", "++-")]  # 4, 2 and 1 of 4 pass: weights 0, 0.5, 0.75


def test_a_test_counts_by_the_share_of_the_group_that_fails_it():
    assert rare_shares(GROUP) == pytest.approx([0.4, 0.6, 0.0, 0.4])  # 0.5 / 1.25, 0.75 / 1.25
    values = [credit.value for [credit] in Adaptive(tests="rare").credit_batch(GROUP)]
    assert values == pytest.approx([0.22, 0.48, -0.3, 0.22])  # -0.3 + 1.3 * share
    equal = [credit.value for [credit] in Adaptive().credit_batch(GROUP)]
    assert equal == pytest.approx([-0.3 + 1.3 * 2 / 3, -0.3 + 1.3 * 2 / 3, -0.3 + 1.3 / 3, -0.3 + 1.3 * 2 / 3])


def test_a_program_that_does_not_compile_fails_every_test_and_keeps_its_value():
    group = [judged("+-"), judged("")]
    assert rare_shares(group) == pytest.approx([1 / 3, 0.0])  # weights 0.5 and 1
    values = [credit.value for [credit] in Adaptive(tests="rare").credit_batch(group)]
    assert values == pytest.approx([-0.3 + 1.3 / 3, -1.0])


def test_a_pass_earns_the_ceiling_though_all_its_tests_are_common():
    group = [judged("++"), judged("++"), judged("+-")]
    assert rare_shares(group) == [1.0, 1.0, 0.0]
    assert [credit.value for [credit] in Adaptive(tests="rare").credit_batch(group)] == [1.0, 1.0, -0.3]


def test_where_all_pass_everything_all_tests_count_alike():
    assert rare_shares([judged("+++"), judged("+++")]) == [1.0, 1.0]
    assert rare_shares([judged(""), judged("")]) == [0.0, 0.0]
    assert rare_shares([]) == []


def test_where_nobody_passes_anything_nobody_earns():
    assert rare_shares([judged("--"), judged("--")]) == [0.0, 0.0]


def test_groups_are_problems_and_their_order_does_not_matter():
    elsewhere = [judged("+-", "q"), judged("--", "q")]  # weights 0.5 and 1
    mixed = [GROUP[0], elsewhere[0], GROUP[1], GROUP[2], elsewhere[1], GROUP[3]]
    assert rare_shares(mixed) == pytest.approx([0.4, 1 / 3, 0.6, 0.0, 0.0, 0.4])


def test_the_greedy_program_is_weighed_and_weighs_nothing():
    assert rare_shares([*GROUP, judged("--+", greedy=True)]) == pytest.approx([0.4, 0.6, 0.0, 0.4, 0.6])
    assert rare_shares([judged("+-", greedy=True)]) == [0.0]  # alone, it passes what everyone passes


def test_a_test_without_rivals_counts_like_the_others():
    one_each = [judged("+--"), judged("-+-"), judged("--+")]
    assert rare_shares(one_each) == pytest.approx([1 / 3] * 3)


@given(st.lists(st.text("+-", min_size=4, max_size=4), min_size=1, max_size=8))
def test_a_program_that_passes_what_another_passes_and_more_earns_no_less(rows):
    shares = rare_shares([judged(row) for row in rows])
    assert all(0.0 <= share <= 1.0 + 1e-12 for share in shares)
    for row, share in zip(rows, shares, strict=True):
        for weaker, less in zip(rows, shares, strict=True):
            if all(mark == "-" or row[t] == "+" for t, mark in enumerate(weaker)):
                assert share >= less


def test_the_stack_gives_it_the_whole_group_and_no_unjudgeable_program():
    problem, program, verdict = judged("-+-")
    unknown = (problem, program, replace(verdict, outcome=Outcome.UNJUDGEABLE))
    credits = RewardStack({"adaptive": Adaptive(tests="rare")}).credit_batch([*GROUP, unknown])
    values = [[credit.value for credit in of_program] for of_program in credits]
    assert values == [pytest.approx([value]) for value in (0.22, 0.48, -0.3, 0.22)] + [[]]


def test_another_way_to_count_is_refused_by_its_path(composed):
    with pytest.raises(ValueError, match=r"^tests is 'hard': expected equal or rare$"):
        Adaptive(tests="hard")
    cfg = composed("train", "reward=fine+adaptive", "reward.terms.adaptive.tests=hard")
    with pytest.raises(ValueError, match=r"^reward\.terms\.adaptive\.tests is 'hard': expected equal or rare$"):
        build(cfg, "reward")
