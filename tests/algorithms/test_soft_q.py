"""Soft Q-learning against worlds whose optimum is known in closed form (`soft_q_worlds.py`)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from objective_batches import batch_of
from soft_q_worlds import OPTIMAL, TWO_STEPS, VALUES, OneStep, TwoSteps, scored_by, total_variation, trained

from rltf.algorithms.objective import BatchLogprobs, TokenScores
from rltf.algorithms.soft_q import SoftQ, residuals

UNIFORM = [0, 1, 2, 3]
SKEWED = [0] * 7 + [1, 2, 3]
"""Each program once, and the first seven times as often."""


def tokens(*rows):
    return torch.tensor(rows)


def scores(logprobs, values):
    return TokenScores(tokens(*logprobs), tokens(*values))


def test_the_optimum_of_the_two_step_world_is_what_a_sheet_of_paper_gives():
    weights = [math.exp(sum(row)) for row in TWO_STEPS]
    assert pytest.approx([w / sum(weights) for w in weights], abs=1e-6) == list(OPTIMAL)
    assert pytest.approx([math.log(sum(weights)), math.log(math.e + 1), math.log(1 + math.e**2)], abs=1e-6) == VALUES


@pytest.mark.parametrize("paths", ["both", "single", "multi"])
@pytest.mark.parametrize("reverse", [0.0, 0.5, 1.0])
def test_at_the_optimal_q_values_loss_and_gradient_are_zero_on_every_program(paths, reverse):
    # Q(0) = V behind 0, Q(1) = V behind 1; behind them Q is the reward
    policy = TwoSteps([(VALUES[1], VALUES[2]), (1.0, 0.0), (0.0, 2.0)])
    scored = scored_by(policy, TWO_STEPS, UNIFORM)
    loss = SoftQ(paths=paths, reverse=reverse, prior="none")(scored)
    loss.total.backward()
    assert loss.total.item() == pytest.approx(0.0, abs=1e-10)
    assert policy.logits.grad.abs().max() < 1e-5  # the closed form has six digits


def test_residuals_of_two_tokens_and_their_combined_loss():
    ratio, value, reward = tokens([0.3, -0.1]), tokens([0.5, 0.2]), tokens([0.0, 1.0])
    single, multi = residuals(ratio, value, reward)
    assert single[0].tolist() == pytest.approx([0.3 - (0.2 - 0.5), -0.1 - (1 - 0.2)])  # 0.6, -0.9
    assert multi[0].tolist() == pytest.approx([0.2 - (1 - 0.5), -0.1 - (1 - 0.2)])  # -0.3, -0.9
    zeros = TokenScores(torch.zeros(1, 2), torch.zeros(1, 2))
    scored = BatchLogprobs(
        batch_of([[0.0, 1.0]]), ratio, zeros, torch.zeros(1, 2), TokenScores(torch.zeros(1, 2), value)
    )
    # (0.36 + 0.81 + 0.09 + 0.81) / 2
    assert SoftQ(reverse=0.0)(scored).total.item() == pytest.approx(1.035)
    assert SoftQ(reverse=0.0, paths="single")(scored).total.item() == pytest.approx(1.17)
    assert SoftQ(reverse=0.0, paths="multi")(scored).total.item() == pytest.approx(0.9)


def test_single_steps_to_the_end_add_up_to_the_step_over_all():
    draw = torch.Generator().manual_seed(0)
    single, multi = residuals(*(torch.randn(3, 6, generator=draw, dtype=torch.float64) for _ in range(3)))
    torch.testing.assert_close(single.flip(1).cumsum(1).flip(1), multi)


def test_a_uniform_policy_over_four_tokens_that_earns_1_at_the_third():
    # A = -ln 4 and V = ln 4 everywhere; half squares, as in the paper
    logits = math.log(4.0)
    residual_pair = residuals(torch.full((1, 3), -logits), torch.full((1, 3), logits), tokens([0.0, 0.0, 1.0]))
    single, multi = ((residual.square() / 2)[0].tolist() for residual in residual_pair)
    assert single == pytest.approx([0.96091, 0.96091, 0.5], abs=1e-5)
    assert multi == pytest.approx([7.11621, 2.8472, 0.5], abs=1e-4)


def test_the_reversed_part_is_the_same_with_the_roles_of_policy_and_target_swapped():
    ours, target = scores([[-0.3, -1.0]], [[0.7, -0.2]]), scores([[-0.5, -0.4]], [[0.1, 0.3]])
    zeros = TokenScores(torch.zeros(1, 2), torch.zeros(1, 2))
    batch = batch_of([[0.5, 2.0]])
    forward = BatchLogprobs(batch, ours.logprobs_BT, zeros, ours.values_BT, target)
    swapped = BatchLogprobs(batch, target.logprobs_BT, zeros, target.values_BT, ours)
    reversed_alone = SoftQ(reverse=1.0)(forward).total
    torch.testing.assert_close(reversed_alone, SoftQ(reverse=0.0)(swapped).total)
    mixed = 0.75 * SoftQ(reverse=0.0)(forward).total + 0.25 * reversed_alone
    torch.testing.assert_close(SoftQ(reverse=0.25)(forward).total, mixed)


def test_values_learn_from_the_reversed_part_alone_and_log_probs_from_the_other():
    for reverse, learns in ((0.0, (True, False)), (1.0, (False, True)), (0.5, (True, True))):
        logprobs, values = tokens([-0.5, -1.0]).requires_grad_(), tokens([0.3, 0.1]).requires_grad_()
        zeros = TokenScores(torch.zeros(1, 2), torch.zeros(1, 2))
        SoftQ(reverse=reverse)(BatchLogprobs(batch_of([[0.0, 1.0]]), logprobs, zeros, values, zeros)).total.backward()
        moved = tuple(leaf.grad is not None and bool(leaf.grad.any()) for leaf in (logprobs, values))
        assert moved == learns


@pytest.mark.parametrize("rows", [UNIFORM, SKEWED], ids=["uniform", "skewed"])
def test_programs_of_any_distribution_teach_the_softmax_of_their_rewards(rows):
    policy = trained(TwoSteps, SoftQ(prior="none"), TWO_STEPS, rows, steps=1500)
    assert total_variation(policy.programs(), OPTIMAL) < 1e-3
    assert policy.logits.logsumexp(-1).tolist() == pytest.approx(VALUES, abs=2e-3)


@pytest.mark.parametrize(("rows", "distance"), [(UNIFORM, 0.226), (SKEWED, 0.368)], ids=["uniform", "skewed"])
def test_without_the_reversed_part_they_do_not_which_is_why_it_is_on_by_default(rows, distance):
    policy = trained(TwoSteps, SoftQ(prior="none", reverse=0.0), TWO_STEPS, rows)
    assert total_variation(policy.programs(), OPTIMAL) == pytest.approx(distance, abs=2e-3)
    assert SoftQ().reverse == 0.5


@pytest.mark.parametrize(("reverse", "probability"), [(0.0, 0.662584), (0.5, 0.731059)])
def test_one_choice_without_the_reversed_part_stops_at_the_fixed_point_of_a_sigmoid(reverse, probability):
    # 0.337416 = sigmoid(-2 * 0.337416); the optimum is e / (1 + e)
    policy = trained(OneStep, SoftQ(prior="none", reverse=reverse), [[0.0], [1.0]], [0, 1])
    assert policy.programs()[1] == pytest.approx(probability, abs=1e-4)


@pytest.mark.parametrize("rows", [[0, 1], [0] * 4 + [1]], ids=["uniform", "of the prior"])
def test_the_prior_is_weighed_by_the_exponential_of_the_reward(rows):
    prior = (math.log(0.8), math.log(0.2))
    policy = trained(OneStep, SoftQ(), [[0.0], [2.0]], rows, prior=prior)
    # 0.2 e^2 / (0.8 + 0.2 e^2), and the value is the log of the denominator: in nats twice 0.411607, whatever the data
    assert policy.programs() == pytest.approx([0.351214, 0.648786], abs=5e-4)
    assert policy.logits.logsumexp(-1).item() == pytest.approx(0.823214, abs=1e-3)


@pytest.mark.parametrize(("rows", "probability"), [([0] * 4 + [1], 0.414912), ([0, 1], 0.576412)])
def test_with_a_prior_too_the_level_of_values_needs_the_reversed_part(rows, probability):
    policy = trained(OneStep, SoftQ(reverse=0.0), [[0.0], [2.0]], rows, prior=(math.log(0.8), math.log(0.2)))
    assert policy.programs()[1] == pytest.approx(probability, abs=1e-4)


def test_a_constant_in_the_logits_of_policy_target_and_prior_changes_nothing():
    rewards = [[0.0], [1.0]]
    totals = []
    for constant in (0.0, 3.0):
        policy, prior = OneStep((0.4 + constant, -0.2 + constant)), OneStep((constant, 0.1 + constant)).scores()
        totals.append(
            SoftQ()(scored_by(policy, rewards, [0, 1], TokenScores(prior.logprobs_BT, prior.values_BT))).total
        )
    torch.testing.assert_close(totals[0], totals[1])


def random_scores(rows, columns, seed):
    draw = torch.Generator().manual_seed(seed)
    return TokenScores(-torch.rand(rows, columns, generator=draw), torch.randn(rows, columns, generator=draw))


def scored_rows(lengths, columns, noise=0.0):
    """Rows of random scores; `noise` is added to all that stands at padding."""
    rewards = torch.randn(len(lengths), 4, generator=torch.Generator().manual_seed(9))
    batch = batch_of(torch.nn.functional.pad(rewards, (0, columns - 4)).tolist(), lengths=lengths)
    padding_BT = ~batch.mask_BT
    padded = []
    for seed in range(3):
        s = random_scores(len(lengths), 4, seed)
        wide = [torch.nn.functional.pad(t, (0, columns - 4)) for t in (s.logprobs_BT, s.values_BT)]
        padded.append(TokenScores(*(t + noise * padding_BT for t in wide)))
    return BatchLogprobs(batch, padded[0].logprobs_BT, padded[1], padded[0].values_BT, padded[2])


def test_padding_and_whatever_stands_in_it_change_neither_loss_nor_metrics():
    narrow, wide = SoftQ()(scored_rows([2, 4, 3], 4)), SoftQ()(scored_rows([2, 4, 3], 7, noise=50.0))
    torch.testing.assert_close(narrow.total, wide.total)
    assert {name: value.item() for name, value in wide.metrics.items()} == pytest.approx(
        {name: value.item() for name, value in narrow.metrics.items()}, rel=1e-6
    )


def test_the_loss_of_a_batch_is_the_sum_over_its_rows_in_any_order():
    whole = scored_rows([2, 4, 3], 4)

    def rows(index):
        batch = replace(whole.batch, **{n: getattr(whole.batch, n)[index] for n in ("mask_BT", "weight_BT")})
        by = [TokenScores(s.logprobs_BT[index], s.values_BT[index]) for s in (whole.reference, whole.target)]
        return BatchLogprobs(batch, whole.logprobs_BT[index], by[0], whole.values_BT[index], by[1])

    total = SoftQ()(whole).total
    torch.testing.assert_close(SoftQ()(rows([2, 0, 1])).total, total)
    torch.testing.assert_close(sum(SoftQ()(rows([row])).total for row in range(3)), total)


def test_a_given_prefix_and_an_empty_response_are_no_part_of_the_chain():
    scored = scored_rows([4, 0], 4)
    batch = scored.batch
    prefix = replace(batch, mask_BT=batch.mask_BT & torch.tensor([False, True, True, True]))
    with_prefix = SoftQ()(replace(scored, batch=prefix))
    cut = [TokenScores(s.logprobs_BT[:1, 1:], s.values_BT[:1, 1:]) for s in (scored.reference, scored.target)]
    alone = BatchLogprobs(
        batch_of(batch.weight_BT[:1, 1:].tolist()), scored.logprobs_BT[:1, 1:], cut[0], scored.values_BT[:1, 1:], cut[1]
    )
    torch.testing.assert_close(with_prefix.total, SoftQ()(alone).total)
    assert with_prefix.count == 1


def test_a_bounded_residual_weighs_linearly_beyond_its_bound():
    zeros = TokenScores(torch.zeros(1, 1), torch.zeros(1, 1))
    for reward, expected in ((0.5, 0.25), (1.0, 1.0), (3.0, 5.0)):  # x^2 up to 1, then 2 |x| - 1
        scored = BatchLogprobs(batch_of([[reward]]), torch.zeros(1, 1), zeros, torch.zeros(1, 1), zeros)
        assert SoftQ(residual_clip=1.0, reverse=0.0)(scored).total.item() == pytest.approx(expected)


def test_metrics_say_whether_the_level_of_values_was_learned():
    target = scores([[0.0, 0.0]], [[0.5, 0.2]])
    zeros = TokenScores(torch.zeros(1, 2), torch.zeros(1, 2))
    scored = BatchLogprobs(batch_of([[0.0, 1.0]]), tokens([0.3, -0.1]), zeros, tokens([0.6, 0.8]), target)
    metrics = {name: value.item() for name, value in SoftQ()(scored).metrics.items()}
    assert metrics == pytest.approx(
        {
            "residual_single": (0.6 + 0.9) / 2,
            "residual_multi": (0.3 + 0.9) / 2,
            "value_mean": 0.7,
            "return_mean": 1.0,
            "log_ratio_mean": 0.1,
        }
    )


def test_a_negative_program_is_pushed_to_a_finite_log_ratio_and_no_further():
    # a reward of -3 against 0 on prior (0.5, 0.5): pi* = e^-3 / (1 + e^-3), and the gradient there is 0
    policy = trained(OneStep, SoftQ(), [[0.0], [-3.0]], [0, 1], prior=(0.0, 0.0))
    assert policy.programs()[1] == pytest.approx(math.exp(-3) / (1 + math.exp(-3)), abs=1e-4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"paths": "double"}, "paths is 'double': expected both, single or multi"),
        ({"prior": "uniform"}, "prior is 'uniform': expected start or none"),
        ({"reverse": 1.5}, "reverse is 1.5: expected a number of at least 0 and at most 1"),
        ({"residual_clip": 0}, "residual_clip is 0: expected null or a number above 0"),
        ({"reduction": "mean"}, "reduction is 'mean': expected sequence_sum, token_mean or sequence_mean"),
    ],
)
def test_a_wrong_option_is_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        SoftQ(**options)
