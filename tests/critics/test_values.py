"""Advantages from values, the KL cost, what PPO makes of them, and what critics of values learn."""

from dataclasses import replace

import pytest
import torch
from critic_cases import POLICIES, program_of, random_rollouts, reading, rollout_of, shaken, started, with_returns

from rltf.algorithms.grpo import GRPO
from rltf.credit.chain import Chain
from rltf.credit.critic_token import CriticToken
from rltf.credit.executed import ExecutedLinesCredit
from rltf.credit.gae import GAECredit, gae
from rltf.credit.kl_penalty import KlPenalty
from rltf.critics.value import MlpCritic, ValueCritic, value_loss
from rltf.rollouts.batch import collate
from rltf.types import Credit, Outcome, Sampling, Verdict

BOTH = pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
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
    [r] = Chain([alone, ExecutedLinesCredit()])([rollout])
    assert r.weights == (0.5, 0.0, 0.5)
    assert r.critic == alone([rollout])[0].critic
    assert Chain([alone, ExecutedLinesCredit()]).needs_coverage
    with pytest.raises(ValueError, match="a run has one critic"):
        Chain([alone, CriticToken()])


def test_where_nothing_has_moved_the_surrogate_is_minus_the_mean_advantage_and_its_gradient_that_of_reinforce():
    rollouts = [rollout_of([1, 2], critic=reading([0.5, 0.2])), rollout_of([3], reward=-1, critic=reading([0.1]))]
    batch = collate(GAECredit(whiten=False)(rollouts), 0, "right")
    logprobs_BT = batch.old_logprobs_BT.clone().requires_grad_()
    loss = GRPO(reduction="token_mean")(logprobs_BT, batch)
    assert float(loss.total.detach() / loss.count) == pytest.approx(-float(batch.weight_BT.sum()) / 3, rel=1e-6)
    loss.total.backward()
    torch.testing.assert_close(logprobs_BT.grad, -batch.weight_BT)


# ------------------------------------------------------------------------------------------------ KL


def test_the_weight_of_the_divergence_grows_by_the_formula():
    penalty = KlPenalty(beta=0.1, target=1.0, horizon=10_000)
    penalty._seen = [2.0] * 32
    assert penalty.adapt() == {"kl": 2.0, "kl_weight": 0.1}
    assert penalty.beta == pytest.approx(0.1 * 1.00064)  # 1 + 0.2 * 32 / 10000
    penalty._seen = [0.9] * 32
    penalty.adapt()
    assert penalty.beta == pytest.approx(0.1 * 1.00064 * (1 - 0.1 * 32 / 10_000))
    fixed = KlPenalty(beta=0.1)
    fixed._seen = [5.0]
    fixed.adapt()
    assert fixed.beta == 0.1
    assert fixed.adapt() == {}


@BOTH
def test_tokens_pay_for_what_the_reference_finds_less_probable_and_nothing_where_it_agrees(make):
    policy = make()
    rollouts = random_rollouts(5)
    batch = collate(rollouts, policy.pad_id, policy.prompt_padding)
    with torch.no_grad():
        own_BT = policy.token_logprobs(batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.read_BT)[0]
    told = [
        replace(r, program=replace(r.program, logprobs=tuple((row[: len(r.program.token_ids)] + 0.5).tolist())))
        for r, row in zip(rollouts, own_BT, strict=True)
    ]
    penalty = KlPenalty(beta=0.2)
    penalty.start(policy, Sampling())
    for cost, rollout in zip(penalty(told), told, strict=True):
        assert cost == pytest.approx([0.1] * len(rollout.program.token_ids), abs=1e-6)
    tokens = sum(len(r.program.token_ids) for r in told)
    assert penalty.adapt()["kl"] == pytest.approx(0.5 * tokens / 5, abs=1e-5)
    [paying] = GAECredit(lam=1.0, whiten=False, penalty=lambda rs: [[0.1, 0.2, 0.3]])(
        [rollout_of([1, 2, 3], critic=HALVES)]
    )
    assert paying.critic.returns == pytest.approx((0.4, 0.5, 0.7))


def test_numbers_out_of_range_are_refused():
    for arguments, key in (
        ({"beta": 0}, "beta"),
        ({"beta": 1, "target": 0}, "target"),
        ({"beta": 1, "horizon": 0}, "ho"),
    ):
        with pytest.raises(ValueError, match=rf"algorithm\.credit\.penalty\.{key}"):
            KlPenalty(**arguments)
    with pytest.raises(ValueError, match=r"credit\.lam is 1\.5"):
        GAECredit(lam=1.5)
    with pytest.raises(ValueError, match=r"credit\.spans is 'weighed'"):
        GAECredit(spans="weighed")
    with pytest.raises(ValueError, match=r"critic\.clip is 0"):
        ValueCritic(POLICIES["T5"](), clip=0)


# ------------------------------------------------------------------------------------------------ values


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
    first, other = critic.read([rollout_of([5, 6, 7]), rollout_of([5, 8, 7])])
    torch.testing.assert_close(first.critic.tokens[:2], other.critic.tokens[:2], rtol=0, atol=1e-5)
    assert abs(first.critic.tokens[2] - other.critic.tokens[2]) > 1e-4
    [begun] = critic.read([rollout_of([7], prefix_ids=(5, 6))])
    torch.testing.assert_close(begun.critic.tokens, first.critic.tokens[2:], rtol=0, atol=1e-5)


@BOTH
@pytest.mark.parametrize("kind", [ValueCritic, MlpCritic])
def test_values_come_near_what_programs_earn(make, kind):
    def visit():
        drawn = [rollout_of([5 + i % 2, 9, 10], reward=float(i % 2)) for i in range(16)]
        return GAECredit(lam=1.0, whiten=False)(critic.read(drawn))

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
    said = critic.read(rollouts)
    assert all(name.startswith("head.") for name in critic.network.trained())
    critic.learn(with_returns(said))
    assert all(torch.equal(before[name], w) for name, w in policy.state_dict().items())
    assert all(w.grad is None for w in policy.parameters())
    again = shaken(started(MlpCritic(policy)))
    with torch.no_grad():
        for weight in policy.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    assert [r.critic for r in again.read(rollouts)] != [r.critic for r in said]
