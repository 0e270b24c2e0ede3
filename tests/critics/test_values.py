"""What critics of values say, and what they learn."""

import pytest
import torch
from critic_cases import POLICIES, random_rollouts, rollout_of, shaken, started, with_returns
from omegaconf import OmegaConf

from rltf.credit.gae import GAECredit
from rltf.critics.value import MlpCritic, ValueCritic, value_loss
from rltf.setup.instantiate import build

BOTH = pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)


def test_the_value_loss_is_the_larger_of_the_two_that_ppo_compares():
    value, old, target = torch.tensor([0.0, 0.5, 0.9, -0.5]), torch.zeros(4), torch.ones(4)
    plain = [0.5, 0.125, 0.005, 1.125]
    assert value_loss(value, old, target, None).tolist() == pytest.approx(plain)
    # moved by 0.5 and 0.9, of which 0.2 count: (1 - 0.2)^2 / 2 = 0.32; the last one moved away and keeps its own
    assert value_loss(value, old, target, 0.2).tolist() == pytest.approx([0.5, 0.32, 0.32, 1.125])


@BOTH
@pytest.mark.parametrize("kind", [ValueCritic, MlpCritic])
def test_a_value_is_of_the_state_before_its_token_and_given_tokens_have_none(make, kind):
    critic = shaken(started(kind(make())))
    first, other = critic.add_predictions([rollout_of([5, 6, 7]), rollout_of([5, 8, 7])])
    torch.testing.assert_close(first.critic.tokens[:2], other.critic.tokens[:2], rtol=0, atol=1e-5)
    assert abs(first.critic.tokens[2] - other.critic.tokens[2]) > 1e-4
    [begun] = critic.add_predictions([rollout_of([7], prefix_ids=(5, 6))])
    torch.testing.assert_close(begun.critic.tokens, first.critic.tokens[2:], rtol=0, atol=1e-5)


@BOTH
@pytest.mark.parametrize("kind", [ValueCritic, MlpCritic])
def test_values_come_near_what_programs_earn(make, kind):
    def visit():
        drawn = [rollout_of([5 + i % 2, 9, 10], reward=float(i % 2)) for i in range(16)]
        return GAECredit(lam=1.0, whiten=False)(critic.add_predictions(drawn))

    critic = started(kind(make(), lr=1e-2, clip=None))
    for _ in range(16):
        critic.learn(visit())
    zero, one = (r.critic.tokens for r in visit()[:2])
    assert zero[0] == pytest.approx(0.5, abs=0.25)  # nothing is known before the first token
    assert zero[1:] == pytest.approx((0, 0), abs=0.25)
    assert one[1:] == pytest.approx((1, 1), abs=0.25)


def test_the_mlp_trains_its_head_alone_and_reads_the_policys_present_states():
    policy = POLICIES["causal"]()
    before = {name: w.clone() for name, w in policy.state_dict().items()}
    critic = shaken(started(MlpCritic(policy)))
    rollouts = random_rollouts(8)
    said = critic.add_predictions(rollouts)
    assert all(name.startswith("head.") for name in critic.network.trainable_parameters())
    critic.learn(with_returns(said))
    assert all(torch.equal(before[name], w) for name, w in policy.state_dict().items())
    assert all(w.grad is None for w in policy.parameters())
    again = shaken(started(MlpCritic(policy)))
    with torch.no_grad():
        for weight in policy.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    assert [r.critic for r in again.add_predictions(rollouts)] != [r.critic for r in said]


def test_reading_the_policys_states_leaves_the_mode_of_each_of_its_modules():
    policy = POLICIES["T5"]().train()
    policy.model.get_input_embeddings().eval()
    modes = {name: module.training for name, module in policy.named_modules()}
    critic = started(MlpCritic(policy))
    critic.add_predictions(random_rollouts(2))
    assert {name: module.training for name, module in policy.named_modules()} == modes


def test_a_clip_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"^clip is 0: expected null or a number above 0"):
        ValueCritic(POLICIES["T5"](), clip=0)


def test_a_configs_mistake_is_named_by_its_full_path():
    node = {"_target_": "rltf.critics.value.ValueCritic", "hidden": 0, "batch_size": 0.5}
    cfg = OmegaConf.create({"critic": node, "trusted": ["rltf"]})
    with pytest.raises(ValueError, match=r"^critic\.batch_size is 0\.5: expected a whole number of at least 1"):
        build(cfg, "critic", policy=POLICIES["T5"]())
