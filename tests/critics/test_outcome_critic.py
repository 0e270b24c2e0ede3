"""CodeRL's critic: what it reads, what it learns, and what tokens weigh by it."""

import random

import pytest
import torch
from critic_cases import POLICIES, program_of, random_rollouts, rollout_of, shaken, started

from rltf.algorithms.advantages import Advantages, CreditedGroup
from rltf.algorithms.objective import BatchLogprobs
from rltf.algorithms.reinforce import Reinforce
from rltf.credit.critic_token import CriticTokenCredit
from rltf.critics.outcome import OutcomeCritic
from rltf.rollouts.collate import collate
from rltf.types import Credit, Outcome, Verdict

BOTH = pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)


@BOTH
def test_a_fresh_critic_gives_each_of_four_outcomes_a_quarter_and_the_loss_is_a_quarter_of_plain_reinforce(make):
    rollouts = random_rollouts(6)
    read = started(OutcomeCritic(make())).add_predictions(rollouts)
    assert all(set(r.critic.tokens) == {0.25} and r.critic.classes == (0.25,) * 4 for r in read)
    losses = []
    for chosen in (rollouts, CriticTokenCredit()(read)):
        batch = collate(chosen, 0, "right")
        logprobs_BT = torch.linspace(-2, -1, batch.mask_BT.numel()).view(batch.mask_BT.shape) * batch.mask_BT
        losses.append(Reinforce()(BatchLogprobs(batch, logprobs_BT)).total)
    assert losses[1] == 0.25 * losses[0]


def test_relative_returns_of_the_sixteen_pairs_of_outcomes_are_antisymmetric_and_zero_for_equal_ones():
    returns = {Outcome.SYNTAX_ERROR: -1.0, Outcome.RUNTIME_ERROR: -0.6, Outcome.WRONG_ANSWER: -0.3, Outcome.PASSED: 1.0}

    def relative(outcome, baseline):
        group = [
            (program_of([1]), Verdict(outcome, 0, 1), (Credit("coarse", returns[outcome]),)),
            (program_of([2], greedy=True), Verdict(baseline, 0, 1), (Credit("coarse", returns[baseline]),)),
        ]
        [[rollout, _]] = Advantages("greedy_latest")([CreditedGroup(group)])
        return rollout.advantage

    table = [[relative(a, b) for b in returns] for a in returns]
    assert table[3] == [2.0, 1.6, 1.3, 0.0]
    assert all(table[i][j] == -table[j][i] for i in range(4) for j in range(4))


@BOTH
@pytest.mark.parametrize("pool", ["logits", "states"])
def test_padding_never_enters_the_maximum(make, pool):
    critic = shaken(started(OutcomeCritic(make(), pool=pool)))
    short, long = rollout_of([5, 6], prompt=(7, 8)), rollout_of(range(10, 30), prompt=range(40, 50))
    [alone] = critic.add_predictions([short])
    beside = critic.add_predictions([short, long])[0]
    assert len(alone.critic.tokens) == 2
    torch.testing.assert_close(beside.critic.tokens, alone.critic.tokens, rtol=0, atol=1e-5)
    torch.testing.assert_close(beside.critic.classes, alone.critic.classes, rtol=0, atol=1e-5)


@BOTH
def test_what_is_said_at_a_token_has_read_it_and_nothing_behind_it(make):
    critic = shaken(started(OutcomeCritic(make())))
    read = critic.add_predictions([rollout_of([5, 6, 7, 8]), rollout_of([5, 6, 9, 8]), rollout_of([5, 6])])
    first, other, prefix = (r.critic.tokens for r in read)
    torch.testing.assert_close(first[:2], other[:2], rtol=0, atol=1e-5)
    torch.testing.assert_close(first[:2], prefix, rtol=0, atol=1e-5)
    assert abs(first[2] - other[2]) > 1e-4


@BOTH
def test_given_tokens_are_read_but_nothing_is_said_of_them(make):
    critic = shaken(started(OutcomeCritic(make())))
    whole, begun = critic.add_predictions([rollout_of([5, 6, 7, 8]), rollout_of([7, 8], prefix_ids=(5, 6))])
    torch.testing.assert_close(begun.critic.tokens, whole.critic.tokens[2:], rtol=0, atol=1e-5)
    torch.testing.assert_close(begun.critic.classes, whole.critic.classes, rtol=0, atol=1e-5)


@BOTH
def test_the_classes_of_a_program_are_the_largest_logits_of_its_tokens(make):
    critic = shaken(started(OutcomeCritic(make())))
    rollouts = random_rollouts(5)
    batch = critic._collate([rollout.program for rollout in rollouts])
    with torch.no_grad():
        tokens_BTK, programs_BK = critic.logits(batch)
    for row, rollout in enumerate(rollouts):
        largest = tokens_BTK[row, : len(rollout.program.token_ids)].max(0).values
        torch.testing.assert_close(programs_BK[row], largest)


@BOTH
def test_an_outcome_that_hangs_on_one_token_is_learned_and_the_winning_logit_of_a_linear_head_is_largest_there(make):
    draw, where, good, bad = random.Random(0), 3, 50, 51

    def some(count):
        pairs = [(good, Outcome.PASSED), (bad, Outcome.WRONG_ANSWER)]
        for _ in range(count):
            token, outcome = draw.choice(pairs)
            ids = [draw.randrange(100, 120) for _ in range(7)]
            ids[where] = token
            yield rollout_of(ids, outcome)

    critic = started(OutcomeCritic(make(), hidden=0, lr=1e-2, passes=3))
    for _ in range(3):
        critic.learn(list(some(48)))
    unseen = critic.add_predictions(list(some(32)))
    said = [max(range(4), key=r.critic.classes.__getitem__) for r in unseen]
    assert said == [r.verdict.outcome.stage for r in unseen]
    with torch.no_grad():
        logits_BTK = critic.logits(critic._collate([rollout.program for rollout in unseen]))[0]
    assert all(int(logits_BTK[row, :, k].argmax()) == where for row, k in enumerate(said))


def test_search_is_told_the_probability_that_each_prefix_passes():
    critic = shaken(started(OutcomeCritic(POLICIES["T5"]())))
    failed = rollout_of([5, 6, 7], Outcome.TIMEOUT)
    [trust] = critic([failed.program])
    [passed] = critic.add_predictions([rollout_of([5, 6, 7], Outcome.PASSED)])
    assert trust == list(passed.critic.tokens)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match=r"pool is 'mean'"):
        OutcomeCritic(POLICIES["T5"](), pool="mean")


def test_every_outcome_has_one_of_four_stages():
    assert [o.stage for o in (Outcome.SYNTAX_ERROR, Outcome.TIMEOUT, Outcome.WRONG_ANSWER, Outcome.PASSED)] == [
        0,
        1,
        2,
        3,
    ]
    assert {o for o in Outcome if o.stage == 1} == {o for o in Outcome if o.is_error}
