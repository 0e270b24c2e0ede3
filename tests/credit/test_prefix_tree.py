"""Credit from the prefix tree of a group: a tree worked by hand, and sums that hold for every tree."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rollout_strategies import build_program

from rltf.credit.tree import PrefixTreeCredit, value_steps
from rltf.types import Credit, Outcome, Rollout, Verdict
from rltf.validation import OptionError

A, B, C, D, E = range(5)


def rollout_of(token_ids, reward, credits=(), **program):
    written = replace(build_program(length=len(token_ids), **program), token_ids=tuple(token_ids))
    return Rollout(written, Verdict(Outcome.WRONG_ANSWER, 0, 1), tuple(credits), reward)


TREE = [rollout_of(ids, reward) for ids, reward in (((A, B), 1.0), ((A, C), 0.0), ((D, E), 0.0), ((D, E), 0.0))]
# V: root 1/4, a 1/2, ab 1, ac 0, d 0, de 0; R - mean: 3/4, -1/4, -1/4, -1/4; population spread 3**0.5 / 4


def test_a_tree_of_four_programs_by_hand():
    assert [r.weights for r in PrefixTreeCredit()(TREE)] == [
        (3 / 4 + 1 / 4, 3 / 4 + 1 / 2),
        (-1 / 4 + 1 / 4, -1 / 4 - 1 / 2),
        (-1 / 4 - 1 / 4, -1 / 4),
        (-1 / 4 - 1 / 4, -1 / 4),
    ]


def test_both_parts_are_divided_by_the_spread_of_rewards():
    plain = PrefixTreeCredit()(TREE)
    for normalize, spread in {"std": 3**0.5 / 4, "sample_std": 0.5, "batch": 3**0.5 / 4}.items():
        for weighed, before in zip(PrefixTreeCredit(normalize)(TREE), plain, strict=True):
            assert weighed.weights == pytest.approx([weight / spread for weight in before.weights])


def test_a_batch_has_one_spread_for_all_its_problems():
    alike = [rollout_of((A, B), 1.0, problem_id="q"), rollout_of((A, C), 1.0, problem_id="q")]
    weighed = PrefixTreeCredit("batch")([*TREE, *alike])  # differences 3/4, -1/4 three times, 0, 0: variance 1/8
    assert weighed[0].weights == pytest.approx((8**0.5, 1.25 * 8**0.5))
    assert [r.weights for r in weighed[4:]] == [(0.0, 0.0)] * 2


def test_programs_that_share_nothing_differ_at_their_first_token():
    first, second = PrefixTreeCredit()([rollout_of((A, B, C), 1.0), rollout_of((D, B), 0.0)])
    assert first.weights == (1.0, 0.5, 0.5)
    assert second.weights == (-1.0, -0.5)


def test_a_program_that_ends_where_another_goes_on_leaves_the_value_behind_to_the_other():
    short, long = PrefixTreeCredit()([rollout_of((A,), 1.0), rollout_of((A, B), 0.0)])
    assert short.weights == (0.5,)
    assert long.weights == (-0.5, -1.0)


def test_the_greedy_program_counts_in_its_own_values_alone():
    greedy = rollout_of((A, C), 1.0, greedy=True)
    weighed = PrefixTreeCredit()([greedy, *TREE])
    assert [r.weights for r in weighed[1:]] == [r.weights for r in PrefixTreeCredit()(TREE)]
    # with it: root 2/5, a 2/3, ac 1/2; it earns 1 - 1/4 more than the sampled ones on average
    assert weighed[0].weights == pytest.approx((3 / 4 + 2 / 3 - 2 / 5, 3 / 4 + 1 / 2 - 2 / 3))


def test_span_credits_come_on_top():
    first, _ = PrefixTreeCredit()([rollout_of((A, B), 1.0, [Credit("fine", -1.0, (1, 2))]), rollout_of((A, C), 1.0)])
    assert first.weights == (0.0, -1.0)


def test_a_program_alone_and_an_empty_one_have_no_advantage():
    alone, empty = PrefixTreeCredit("std")([rollout_of((A, B), 1.0), rollout_of((), 1.0, problem_id="q")])
    assert alone.weights == (0.0, 0.0)
    assert empty.weights == ()


def test_bad_options_are_one_sentence_with_key_value_and_expectation():
    with pytest.raises(OptionError, match=r"^normalize is 'rank': expected none, std, sample_std or batch$"):
        PrefixTreeCredit("rank")


trees = st.lists(
    st.tuples(st.lists(st.integers(0, 2), min_size=1, max_size=5), st.sampled_from((-1.0, -0.3, 0.25, 1.0))),
    min_size=1,
    max_size=6,
    unique_by=lambda path: tuple(path[0]),
)


@given(trees)
def test_steps_of_a_program_that_no_other_continues_sum_to_its_reward_less_the_mean(tree):
    mean = sum(reward for _, reward in tree) / len(tree)
    for token_ids, reward in tree:
        if sum(path[: len(token_ids)] == token_ids for path, _ in tree) == 1:
            assert sum(value_steps(token_ids, tree)) == pytest.approx(reward - mean)


@given(trees)
def test_at_every_branch_the_steps_of_the_programs_that_take_it_sum_to_zero(tree):
    ended = [(*token_ids, 9) for token_ids, _ in tree]  # the end of sequence, so that none continues another
    paths = [(token_ids, reward) for token_ids, (_, reward) in zip(ended, tree, strict=True)]
    for t in range(6):
        for prefix in {token_ids[:t] for token_ids in ended if len(token_ids) > t}:
            sharers = [token_ids for token_ids in ended if token_ids[:t] == prefix]
            assert sum(value_steps(token_ids, paths)[t] for token_ids in sharers) == pytest.approx(0, abs=1e-12)


@given(trees, st.randoms(use_true_random=False))
def test_the_order_of_programs_changes_no_weight(tree, random):
    group = [rollout_of(token_ids, reward, draw=draw) for draw, (token_ids, reward) in enumerate(tree)]
    weights = {r.program.draw: r.weights for r in PrefixTreeCredit("std")(group)}
    random.shuffle(group)
    assert {r.program.draw: r.weights for r in PrefixTreeCredit("std")(group)} == weights
