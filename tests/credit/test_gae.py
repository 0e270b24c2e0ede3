"""Advantages of single tokens from values, and what PPO makes of them."""

from dataclasses import replace

import pytest
import torch
from critic_cases import program_of, reading, rollout_of

from rltf.algorithms.grpo import GRPO
from rltf.algorithms.objective import BatchLogprobs
from rltf.credit.chain import CreditChain
from rltf.credit.critic_token import CriticTokenCredit
from rltf.credit.executed import ExecutedLinesCredit
from rltf.credit.gae import GAECredit, gae
from rltf.rollouts.collate import collate
from rltf.types import Credit, Outcome, Verdict

HALVES = reading([0.5, 0.5, 0.5])


def test_advantages_of_three_tokens_whose_last_earns_one():
    assert gae([0, 0, 1], [0.5] * 3, 1.0, 0.95) == pytest.approx([0.45125, 0.475, 0.5])
    assert gae([0, 0, 1], [0.5] * 3, 1.0, 1.0) == [0.5] * 3
    assert gae([0, 0, 1], [0.5] * 3, 1.0, 0.0) == [0.0, 0.0, 0.5]
    assert gae([0, 0, 1], [0.0] * 3, 0.5, 1.0) == [0.25, 0.5, 1.0]


def test_with_lambda_one_the_return_of_every_token_is_what_is_still_earned():
    [r] = GAECredit(lam=1.0, whiten=False)([rollout_of([1, 2, 3], reward=0.7, critic=reading([0.1, -0.4, 2.0]))])
    assert r.critic.returns == pytest.approx((0.7, 0.7, 0.7))
    assert r.weights == pytest.approx((0.6, 1.1, -1.3))


def test_the_reward_comes_at_the_last_token_and_spans_add_to_advantages_after_whitening():
    blame = Credit("fine", -0.3, (1, 3))
    rollouts = [
        rollout_of([1, 2, 3], reward=1.0, credits=[blame], critic=HALVES),
        rollout_of([4], reward=-1.0, critic=reading([0.5])),
    ]
    plain = GAECredit(whiten=False)(rollouts)
    assert plain[0].weights == pytest.approx((0.45125, 0.175, 0.2))
    assert plain[1].weights == pytest.approx((-1.5,))
    white = GAECredit()(rollouts)
    without = [*white[0].weights, *white[1].weights]
    without[1] += 0.3
    without[2] += 0.3
    assert sum(without) == pytest.approx(0)
    assert sum(w * w for w in without) == pytest.approx(4)
    assert white[0].critic == plain[0].critic


def test_greedy_programs_are_no_part_of_the_mean_that_whitens():
    drawn = [rollout_of([1, 2], reward=r, critic=reading([0, 0])) for r in (1.0, 0.0)]
    greedy = rollout_of([1], reward=9.0, greedy=True, critic=reading([0]))
    gae_ = GAECredit(lam=1.0)
    assert [r.weights for r in gae_([*drawn, greedy])[:2]] == [r.weights for r in gae_(drawn)] == [(1, 1), (-1, -1)]


def test_rewards_of_lines_are_earned_at_their_last_token_and_of_nothing_change_nothing_to_the_bit():
    def some(value):
        lines = [Credit("prm", value, (0, 2)), Credit("prm", 2 * value, (2, 3))]
        return rollout_of([1, 2, 3], reward=1.0, credits=lines, critic=reading([0.3, 0.1, 0.2]))

    dense = GAECredit(lam=1.0, whiten=False, spans="reward")
    [r] = dense([some(0.1)])
    assert r.critic.returns == pytest.approx((1.3, 1.3, 1.2))
    assert dense([some(0.0)])[0].weights == dense([replace(some(0.0), credits=())])[0].weights


def test_lines_that_no_test_executed_get_no_gradient_and_the_critic_still_learns_their_returns():
    program = replace(program_of([1, 2, 3]), text="a\nb\nc", offsets=((0, 2), (2, 4), (4, 5)))
    rollout = replace(rollout_of([1, 2, 3], critic=HALVES), program=program)
    rollout = replace(rollout, verdict=Verdict(Outcome.WRONG_ANSWER, 0, 1, unexecuted=(2,)))
    alone = GAECredit(lam=1.0, whiten=False)
    [r] = CreditChain([alone, ExecutedLinesCredit()])([rollout])
    assert r.weights == (0.5, 0.0, 0.5)
    assert r.critic == alone([rollout])[0].critic
    assert CreditChain([alone, ExecutedLinesCredit()]).needs_coverage
    with pytest.raises(ValueError, match="a run has one critic"):
        CreditChain([alone, CriticTokenCredit()])


def test_where_nothing_has_moved_the_surrogate_is_minus_the_mean_advantage_and_its_gradient_that_of_reinforce():
    rollouts = [rollout_of([1, 2], critic=reading([0.5, 0.2])), rollout_of([3], reward=-1, critic=reading([0.1]))]
    batch = collate(GAECredit(whiten=False)(rollouts), 0, "right")
    logprobs_BT = batch.old_logprobs_BT.clone().requires_grad_()
    loss = GRPO(reduction="token_mean")(BatchLogprobs(batch, logprobs_BT))
    assert float(loss.total.detach() / loss.count) == pytest.approx(-float(batch.weight_BT.sum()) / 3, rel=1e-6)
    loss.total.backward()
    torch.testing.assert_close(logprobs_BT.grad, -batch.weight_BT)


def test_costs_of_tokens_are_taken_from_their_rewards():
    credit = GAECredit(lam=1.0, whiten=False, penalty=lambda rollouts: [[0.1, 0.2, 0.3]])
    [paying] = credit([rollout_of([1, 2, 3], critic=HALVES)])
    assert paying.critic.returns == pytest.approx((0.4, 0.5, 0.7))


def test_wrong_options_are_refused_by_their_keyword():
    with pytest.raises(ValueError, match=r"^lam is 1\.5: expected a number of at least 0 and at most 1"):
        GAECredit(lam=1.5)
    with pytest.raises(ValueError, match=r"^spans is 'weighed': expected advantage or reward"):
        GAECredit(spans="weighed")
