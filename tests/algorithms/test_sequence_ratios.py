"""GSPO and CISPO: losses and gradients of small batches, worked out by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from objective_batches import batch_of, gradient

from rltf.algorithms.cispo import CISPO
from rltf.algorithms.gspo import GSPO
from rltf.algorithms.reinforce import Reinforce


def stale(ratios, weights, lengths=None):
    """Log-probs of -1 a token, and a batch whose behaviour gives these ratios."""
    old = [[-1.0 - math.log(ratio) for ratio in row] for row in ratios]
    return [[-1.0] * len(ratios[0]) for _ in ratios], batch_of(weights, lengths=lengths, old_logprobs=old)


def test_the_ratio_of_a_program_is_the_geometric_mean_of_its_tokens_ratios():
    # sqrt(4 * 0.25) = 1: the program is as probable as before, whatever its tokens do
    logprobs, batch = stale([[4.0, 0.25]], [[1.0, 1.0]])
    loss, grad = gradient(GSPO(), logprobs, batch)
    assert loss == pytest.approx(-1.0)
    assert grad[0].tolist() == pytest.approx([-0.5, -0.5])  # s_i A / |o_i|, the same for both


def test_padding_is_no_part_of_the_ratio():
    # the second row has one token, of ratio 1.2: 1.2 and not sqrt(1.2 * anything)
    logprobs, batch = stale([[1.0, 1.0], [1.2, 3.0]], [[1.0, 1.0], [-1.0, -1.0]], lengths=[2, 1])
    loss, grad = gradient(GSPO(eps_low=0.5, eps_high=0.5), logprobs, batch)
    assert loss == pytest.approx((-1.0 + 1.2) / 2)
    assert grad.tolist() == [pytest.approx([-0.25, -0.25]), pytest.approx([0.6, 0.0])]


def test_the_clip_ends_the_gradient_of_a_whole_program():
    # geometric mean sqrt(1.21) = 1.1 is above 1.05: a good program grows no further, a bad one still shrinks
    for weight, held in ((1.0, True), (-1.0, False)):
        logprobs, batch = stale([[1.21, 1.0]], [[weight, weight]])
        loss, grad = gradient(GSPO(eps_low=0.05, eps_high=0.05), logprobs, batch)
        assert loss == pytest.approx(-1.05 if held else 1.1)
        assert grad[0].tolist() == pytest.approx([0.0, 0.0] if held else [0.55, 0.55])
    # and 1 / 1.1 is below 0.95: a bad program shrinks no further
    logprobs, batch = stale([[1 / 1.21, 1.0]], [[-1.0, -1.0]])
    assert not gradient(GSPO(eps_low=0.05, eps_high=0.05), logprobs, batch)[1].any()


def test_a_blamed_token_of_a_program_has_its_own_weight_under_the_programs_ratio():
    logprobs, batch = stale([[1.21, 1.0]], [[1.0, -0.5]])
    _, grad = gradient(GSPO(eps_low=0.2, eps_high=0.2), logprobs, batch)
    assert grad[0].tolist() == pytest.approx([-1.1 / 2, 0.5 * 1.1 / 2])


@given(st.lists(st.floats(0.9, 1.1), min_size=3, max_size=3), st.floats(-2, 2))
def test_gradient_is_that_of_the_papers_sequence_surrogate(ratios, weight):
    logprobs, batch = stale([ratios], [[weight] * 3])
    _, grad = gradient(GSPO(eps_low=0.03, eps_high=0.04), logprobs, batch)
    logprobs_T = torch.tensor(logprobs[0], requires_grad=True)
    ratio = torch.exp((logprobs_T - batch.old_logprobs_BT[0]).mean())
    torch.minimum(ratio * weight, ratio.clamp(0.97, 1.04) * weight).neg().backward()
    torch.testing.assert_close(grad[0], logprobs_T.grad)


@pytest.mark.parametrize("objective", [GSPO(), CISPO()])
def test_on_policy_it_is_reinforce(objective):
    logprobs, batch = (
        [[-1.0, -2.0], [-0.5, -1.5]],
        batch_of([[0.5, -0.25]] * 2, old_logprobs=[[-1.0, -2.0], [-0.5, -1.5]]),
    )
    _, grad = gradient(objective, logprobs, batch)
    _, expected = gradient(Reinforce(reduction=objective.reduction), logprobs, batch)
    torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize("objective", [GSPO(), CISPO()])
def test_a_token_that_can_no_longer_be_drawn_has_no_gradient_and_no_part_in_ratios(objective):
    batch = batch_of([[1.0, 1.0]], old_logprobs=[[-1.0, -1.0]])
    loss, grad = gradient(objective, [[-1.0, -math.inf]], batch)
    assert math.isfinite(loss)
    assert grad[0].tolist() == pytest.approx([-0.5, 0.0])


@pytest.mark.parametrize("objective", [GSPO(kl=0.1), CISPO(kl=0.1)])
def test_a_reference_is_needed_for_a_kl_term_alone(objective):
    assert objective.needs == {"reference"}
    assert not type(objective)().needs
    batch = batch_of([[0.0]], old_logprobs=[[-1.0]])
    loss, _ = gradient(objective, [[-1.0]], batch, reference=[[-1.5]])
    assert loss == pytest.approx(0.1 * (math.exp(-0.5) + 0.5 - 1))  # e^d - d - 1 with d = -0.5


def test_cispo_bounds_the_weight_of_a_token_and_keeps_its_gradient():
    logprobs, batch = stale([[1.25, 4.0]], [[2.0, -1.0]])
    loss, grad = gradient(CISPO(eps_high=0.5), logprobs, batch)
    # -(1.25 * 2 * -1) - (min(4, 1.5) * -1 * -1) = 2.5 - 1.5, over two tokens
    assert loss == pytest.approx(0.5)
    assert grad[0].tolist() == pytest.approx([-1.25, 0.75])


def test_cispo_is_the_name_of_a_bound_of_importance_weights():
    logprobs, batch = stale([[1.25, 4.0, 0.3]], [[2.0, -1.0, 1.0]])
    named = gradient(CISPO(eps_high=0.5), logprobs, batch)
    plain = gradient(Reinforce(reduction="token_mean", importance_clip=1.5), logprobs, batch)
    assert named[0] == plain[0]
    assert torch.equal(named[1], plain[1])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GSPO(eps_low=-1), r"^eps_low is -1: expected a number of at least 0 and at most 1$"),
        (lambda: GSPO(eps_high=-1), r"^eps_high is -1: expected a number of at least 0$"),
        (lambda: GSPO(reduction="mean"), r"^reduction is 'mean': expected"),
        (lambda: CISPO(eps_high=-1), r"^eps_high is -1: expected a number of at least 0$"),
        (lambda: CISPO(kl=-1), r"^kl is -1: expected a number of at least 0$"),
        (lambda: CISPO(reduction="mean"), r"^reduction is 'mean': expected"),
    ],
)
def test_a_wrong_option_is_refused_with_its_key(make, words):
    with pytest.raises(ValueError, match=words):
        make()
