import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from objective_batches import batch_of, gradient, scored

from rltf.algorithms.cispo import CISPO
from rltf.algorithms.grpo import GRPO
from rltf.algorithms.gspo import GSPO
from rltf.algorithms.ratios import k3
from rltf.algorithms.reductions import REDUCTIONS
from rltf.algorithms.reinforce import Reinforce
from rltf.algorithms.supervised import Supervised

ALL = [Reinforce, Supervised, GRPO, GSPO, CISPO]


def test_gradient_of_one_token_matches_the_softmax_oracle():
    # d(-w log p_1)/dz = w (p - onehot_1), with w = 0.91 and z = [0.2, -0.1, 0.5]
    logits = torch.tensor([0.2, -0.1, 0.5], requires_grad=True)
    logprobs_BT = logits.log_softmax(0)[1].reshape(1, 1)
    Reinforce()(scored(logprobs_BT, batch_of([[0.91]]))).total.backward()
    assert logits.grad.tolist() == pytest.approx([0.29443, -0.69188, 0.39744], abs=1e-5)
    assert logits.grad.sum().item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("span", [1, 8, 40])
def test_fine_loss_of_a_uniform_policy_is_minus_24_953_whatever_the_span(span):
    # V = 8, T = 40, R_fine = -0.3, alpha = T / span: 0.3 * 40 * (-ln 8)
    weights = [[-0.3 * 40 / span] * span + [0.0] * (40 - span)]
    loss = Reinforce()(scored(torch.full((1, 40), -math.log(8)), batch_of(weights)))
    assert loss.total.item() == pytest.approx(-24.953, abs=1e-3)


def test_tokens_outside_the_blamed_span_get_no_gradient():
    _, grad = gradient(Reinforce(), [[-1.0] * 5], batch_of([[0.0, -1.5, -1.5, 0.0, 0.0]]))
    assert grad.tolist() == [[0.0, 1.5, 1.5, 0.0, 0.0]]


def test_program_equal_to_its_baseline_gives_exactly_no_gradient():
    for objective in (Reinforce(), GRPO()):
        _, grad = gradient(objective, [[-1.0, -2.0]], batch_of([[0.0, 0.0]], old_logprobs=[[-1.5, -1.0]]))
        assert grad.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("reduction", "total", "count"),
    [
        ("sequence_sum", 1 + 2 + 3 + 4, 2),  # rows of 1 and 3 tokens
        ("token_mean", 1 + 2 + 3 + 4, 4),
        ("sequence_mean", 1 + (2 + 3 + 4) / 3, 2),
    ],
)
def test_reductions_of_unequal_sequences(reduction, total, count):
    batch = batch_of([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]], lengths=[1, 3])
    loss = Supervised(reduction)(scored(torch.tensor([[-1.0, 0.0, 0.0], [-2.0, -3.0, -4.0]]), batch))
    assert (loss.total.item(), loss.count.item()) == (pytest.approx(total), count)


@pytest.mark.parametrize("objective", [o(reduction=r) for o in ALL for r in REDUCTIONS])
def test_count_is_known_before_the_forward_pass_and_skips_empty_rows(objective):
    batch = batch_of([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]], lengths=[2, 1, 0])
    expected = 3 if objective.reduction == "token_mean" else 2
    assert objective.count(batch).item() == expected
    assert objective(scored(torch.full((3, 2), -1.0), batch)).count.item() == expected


@pytest.mark.parametrize("objective", [o(reduction=r) for o in ALL for r in REDUCTIONS])
def test_whatever_stands_at_padding_reaches_neither_loss_nor_gradient(objective):
    clean = batch_of([[1.0, -0.5, 9.0]], lengths=[2], old_logprobs=[[-1.0, -1.0, -1.0]])
    value, grad = gradient(objective, [[-1.2, -0.7, 0.0]], clean)
    other, other_grad = gradient(objective, [[-1.2, -0.7, -55.0]], clean)
    assert value == other
    assert torch.equal(grad, other_grad)
    assert grad[0, 2] == 0


def test_supervised_loss_is_the_cross_entropy_of_torch():
    logits_BTV = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    ids_BT = torch.randint(7, (2, 5), generator=torch.Generator().manual_seed(1))
    logprobs_BT = logits_BTV.log_softmax(-1).gather(-1, ids_BT[..., None])[..., 0]
    loss = Supervised("token_mean")(scored(logprobs_BT, batch_of([[1.0] * 5] * 2)))
    expected = torch.nn.functional.cross_entropy(logits_BTV.reshape(-1, 7), ids_BT.reshape(-1))
    torch.testing.assert_close(loss.total / loss.count, expected)
    torch.testing.assert_close(loss.metrics["nll"], expected)


@given(advantage=st.floats(-2, 2, width=32), logprob=st.floats(-8, 0, width=32))
def test_first_inner_step_of_grpo_is_reinforce_with_the_same_advantage(advantage, logprob):
    batch = batch_of([[advantage]], old_logprobs=[[logprob]])
    _, clipped = gradient(GRPO(), [[logprob]], batch)
    _, plain = gradient(Reinforce(reduction="sequence_mean"), [[logprob]], batch)
    torch.testing.assert_close(clipped, plain)


@pytest.mark.parametrize(
    ("advantage", "ratio", "clipped"),
    [(1.0, 1.3, False), (1.0, 1.5, True), (1.0, 0.5, False), (-1.0, 0.7, True), (-1.0, 0.9, False), (-1.0, 1.5, False)],
)
def test_positive_advantages_clip_only_above_and_negative_only_below(advantage, ratio, clipped):
    # range [1 - 0.2, 1 + 0.4]; unclipped d(-rho A)/d log p = -rho A
    objective = GRPO(eps_low=0.2, eps_high=0.4)
    _, grad = gradient(objective, [[math.log(ratio)]], batch_of([[advantage]]))
    assert grad.item() == pytest.approx(0.0 if clipped else -ratio * advantage, abs=1e-6)
    loss = objective(scored(torch.tensor([[math.log(ratio)]]), batch_of([[advantage]])))
    assert loss.metrics["clipped_share"].item() == float(clipped)
    assert loss.metrics["ratio_max"].item() == pytest.approx(ratio)


def test_dual_clip_bounds_the_loss_of_a_negative_advantage():
    batch = batch_of([[-1.0]])
    assert gradient(GRPO(), [[math.log(10.0)]], batch)[0] == pytest.approx(10.0, rel=1e-6)
    value, grad = gradient(GRPO(dual_clip=3.0), [[math.log(10.0)]], batch)
    assert (value, grad.item()) == (pytest.approx(3.0), 0.0)
    assert gradient(GRPO(dual_clip=3.0), [[math.log(10.0)]], batch_of([[1.0]]))[0] == pytest.approx(-1.2)


def test_longer_program_with_the_same_token_terms_weighs_the_same_in_grpo_and_double_in_dr_grpo():
    short, long = batch_of([[0.7] * 3]), batch_of([[0.7] * 6])
    for reduction, factor in (("sequence_mean", 1.0), ("sequence_sum", 2.0)):
        objective = GRPO(reduction=reduction)
        once, _ = gradient(objective, [[0.05] * 3], short)
        twice, _ = gradient(objective, [[0.05] * 6], long)
        assert twice == pytest.approx(factor * once)


@pytest.mark.parametrize(("d", "value"), [(0.0, 0.0), (-0.5, 0.106531), (0.5, 0.148721)])
def test_k3_values(d, value):
    assert k3(torch.tensor([-1.0]), torch.tensor([-1.0 + d])).item() == pytest.approx(value, abs=1e-6)


def test_k3_estimates_the_kl_divergence_without_bias():
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    q = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    torch.testing.assert_close((p * k3(p.log(), q.log())).sum(), (p * (p / q).log()).sum())


@pytest.mark.parametrize("make", [Reinforce, GRPO])
def test_kl_pulls_towards_the_reference(make):
    objective, batch = make(kl=0.5), batch_of([[0.0]], old_logprobs=[[-1.0]])
    assert objective.needs == {"reference"}
    assert not make().needs
    # d k3 / d log p = 1 - p_ref / p
    _, grad = gradient(objective, [[-1.0]], batch, reference=[[-2.0]])
    assert grad.item() == pytest.approx(0.5 * (1 - math.exp(-1)), rel=1e-5)
    _, grad = gradient(objective, [[-1.0]], batch, reference=[[-1.0]])
    assert grad.item() == 0.0


def test_importance_weight_of_a_stale_token_is_the_ratio_up_to_the_bound_without_gradient():
    batch = batch_of([[1.0, 1.0]], old_logprobs=[[-1.0 - math.log(1.5), -1.0 - math.log(8.0)]])
    value, grad = gradient(Reinforce(importance_clip=2.0), [[-1.0, -1.0]], batch)
    assert value == pytest.approx(1.5 + 2.0)
    assert grad.tolist() == [pytest.approx([-1.5, -2.0])]
    loss = Reinforce(importance_clip=2.0)(scored(torch.tensor([[-1.0, -1.0]]), batch))
    assert loss.metrics["truncated_share"].item() == 0.5
    assert loss.metrics["ratio_mean"].item() == pytest.approx((1.5 + 8.0) / 2)


def test_weight_clip_bounds_token_weights_on_both_sides():
    _, grad = gradient(Reinforce(weight_clip=2.0), [[-1.0] * 3], batch_of([[-12.0, 0.5, 12.0]]))
    assert grad.tolist() == [[2.0, -0.5, -2.0]]


@pytest.mark.parametrize("objective", [Reinforce(importance_clip=2.0, kl=0.1), GRPO(kl=0.1)])
def test_token_that_left_the_support_gets_no_gradient_and_is_counted(objective):
    batch = batch_of([[-1.0, 1.0]], old_logprobs=[[-1.0, -1.0]])
    value, grad = gradient(objective, [[-math.inf, -1.0]], batch, reference=[[-1.0, -1.0]])
    assert math.isfinite(value)
    assert grad[0, 0] == 0
    assert grad[0, 1] < 0
    loss = objective(scored(torch.tensor([[-math.inf, -1.0]]), batch, torch.tensor([[-1.0, -1.0]])))
    assert loss.metrics["outside_support_share"].item() == 0.5


@pytest.mark.parametrize("objective", [Reinforce(importance_clip=1.0, kl=1.0), GRPO(kl=1.0)])
@pytest.mark.parametrize(("old", "new"), [(-1e4, -1.0), (-1.0, -1e4)])
def test_extreme_ratios_stay_finite(objective, old, new):
    value, grad = gradient(objective, [[new]], batch_of([[-1.0]], old_logprobs=[[old]]), reference=[[old]])
    assert math.isfinite(value)
    assert torch.isfinite(grad).all()


@pytest.mark.parametrize("objective", [o(reduction=r) for o in ALL for r in REDUCTIONS])
def test_metrics_are_detached_scalars(objective):
    loss = objective(scored(torch.full((2, 3), -1.0, requires_grad=True), batch_of([[1.0] * 3] * 2)))
    assert loss.metrics
    assert all(m.ndim == 0 and not m.requires_grad for m in loss.metrics.values())


@pytest.mark.parametrize(
    ("make", "arguments", "key"),
    [
        (Reinforce, {"reduction": "mean"}, r"^reduction is 'mean': expected sequence_sum, token_mean or sequence_mean"),
        (Supervised, {"reduction": "sum"}, r"^reduction"),
        (GRPO, {"reduction": "sum"}, r"^reduction"),
        (Reinforce, {"importance_clip": 0}, r"^importance_clip is 0"),
        (Reinforce, {"weight_clip": -1.0}, r"^weight_clip is -1"),
        (Reinforce, {"kl": -0.1}, r"^kl is -0.1"),
        (GRPO, {"kl": float("nan")}, r"^kl is nan"),
        (GRPO, {"eps_low": 1.5}, r"^eps_low is 1.5"),
        (GRPO, {"eps_high": -0.2}, r"^eps_high is -0.2"),
        (GRPO, {"dual_clip": 1.0}, r"^dual_clip is 1"),
    ],
)
def test_wrong_hyperparameter_is_refused_with_its_key(make, arguments, key):
    with pytest.raises(ValueError, match=key):
        make(**arguments)
