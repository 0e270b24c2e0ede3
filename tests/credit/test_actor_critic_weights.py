"""`experiment=actor_critic`: a token's weight is the return less the value before it, so that a critic which knows a
constant reward leaves nothing to learn."""

from dataclasses import replace

import pytest
from rollout_strategies import build_rollout

from rltf.credit.gae import GAECredit
from rltf.types import Credit, CriticPrediction


def weights(reward, values, spans=()):
    rollout = replace(build_rollout(length=len(values), credits=spans), reward=reward, critic=CriticPrediction(values))
    [weighted] = GAECredit(gamma=1.0, lam=1.0, whiten=False)([rollout])
    return weighted.weights, weighted.critic.returns


@pytest.mark.parametrize("reward", [-0.8, 0.25, 1.0])
def test_a_constant_reward_that_the_critic_knows_weighs_nothing(reward):
    token_weights, returns = weights(reward, (reward,) * 3)
    assert token_weights == pytest.approx((0.0, 0.0, 0.0))
    assert returns == pytest.approx((reward,) * 3)  # what the critic learns: the value it has


def test_a_weight_is_the_return_less_the_value_before_the_token():
    token_weights, returns = weights(1.0, (0.5, -0.25, 0.0))
    assert token_weights == pytest.approx((0.5, 1.25, 1.0))
    assert returns == pytest.approx((1.0, 1.0, 1.0))


def test_a_span_adds_to_its_tokens():
    token_weights, _ = weights(1.0, (1.0, 1.0, 1.0), [Credit("fine", -0.3, (1, 3))])
    assert token_weights == pytest.approx((0.0, -0.3, -0.3))
