"""Rewards at the last token, in nats."""

from __future__ import annotations

import logging

import pytest
from rollout_strategies import build_program

from rltf.credit.at_end import RewardAtEnd
from rltf.types import Credit, Outcome, Rollout, Verdict


def rollout(length=4, reward=1.0, credits=()):
    return Rollout(build_program(length=length), Verdict(Outcome.PASSED, 1, 1), credits, reward=reward, advantage=7.0)


def weights(credit, *rollouts):
    return [r.weights for r in credit(rollouts)]


def test_the_reward_of_a_program_comes_with_its_last_token_and_the_advantage_is_not_read():
    assert weights(RewardAtEnd(scale=10.0), rollout(), rollout(1, -0.6)) == [
        (0.0, 0.0, 0.0, 10.0),
        (pytest.approx(-6.0),),
    ]


def test_the_value_of_a_span_comes_with_the_spans_last_token():
    spans = (
        Credit("coarse", -0.3),
        Credit("fine", -1.2, (0, 2)),
        Credit("fine", -0.5, (3, 4)),
        Credit("x", 9.0, (2, 2)),
    )
    [row] = weights(RewardAtEnd(scale=2.0), rollout(reward=-0.3, credits=spans))
    assert row == pytest.approx((0.0, -2.4, 0.0, -1.6))


def test_rewards_of_tokens_stay_between_low_and_high():
    spans = (Credit("fine", -7.5, (0, 1)),)
    [row] = weights(RewardAtEnd(scale=10.0, low=-20.0, high=8.0), rollout(reward=1.0, credits=spans))
    assert row == (-20.0, 0.0, 0.0, 8.0)


def test_an_empty_response_has_no_reward_to_give():
    assert weights(RewardAtEnd(), rollout(0)) == [()]


def test_rewards_that_the_loss_cannot_follow_are_told(caplog):
    with caplog.at_level(logging.WARNING):
        RewardAtEnd(scale=50.0)([rollout()])
        assert not caplog.messages
        RewardAtEnd(scale=60.0)([rollout(reward=-1.0)])
    assert caplog.messages == [
        "a reward of 60 nats is more than soft Q-learning can follow (50): set a lower algorithm.credit.scale, or "
        "bounds in algorithm.credit.low and high"
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scale": 0}, "scale is 0: expected a number above 0"),
        ({"low": 3.0, "high": 3.0}, "low is 3.0: expected a number below high, which is 3.0"),
        ({"high": float("inf")}, "high is inf: expected null or a finite number"),
    ],
)
def test_a_wrong_option_is_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        RewardAtEnd(**options)
