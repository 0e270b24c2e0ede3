"""Blocked log-probs against the textbook way: all logits in memory, log_softmax, gather."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rltf.policies.distribution import log_probs
from rltf.policies.forward import logprobs, truncated_logprobs
from rltf.policies.forward.logit_scaling import PLAIN, LogitScaling
from rltf.policies.forward.logprobs import head_logprobs
from rltf.types import Sampling

N, D, V = 37, 12, 701
SAMPLINGS = [
    None,
    Sampling(temperature=0.7),
    Sampling(temperature=1.6),
    Sampling(top_p=0.8),
    Sampling(temperature=0.6, top_p=0.95),
    Sampling(top_k=20),
    Sampling(temperature=1.3, min_p=0.05),
]


@pytest.fixture(params=[0, 3 * 4 * N * 100, 1 << 30], ids=["none stored", "some stored", "all stored"])
def problem(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden states, weight, bias, targets, with blocks that do not divide the vocabulary or the tokens."""
    monkeypatch.setattr(logprobs, "_MIN_BLOCK", 100)
    monkeypatch.setitem(logprobs.BLOCK_BYTES, "cpu", 1)
    monkeypatch.setitem(logprobs.STORED_BYTES, "cpu", request.param)
    monkeypatch.setattr(logprobs, "STORED_SHARE", 0.0)
    monkeypatch.setattr(truncated_logprobs, "CHUNK_BYTES", 10 * 4 * V)
    torch.manual_seed(0)
    hidden = torch.randn(N, D, requires_grad=True)
    weight = torch.randn(V, D, requires_grad=True)
    bias = torch.randn(V, requires_grad=True)
    with torch.no_grad():
        target = (hidden @ weight.T + bias).argsort(-1, descending=True)[:, 0]
        target[::3] = torch.randint(V, (len(target[::3]),))  # some targets are unlikely ones
        target[1], target[2] = 0, V - 1
    return hidden, weight, bias, target


def textbook(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    sampling: Sampling | None,
    scaling: LogitScaling = PLAIN,
):
    """Log-probs and entropy in the type of the arguments; only what truncation keeps is decided in float32."""
    logits = (hidden @ weight.T + bias) * scaling.scale
    if scaling.cap is not None:
        logits = scaling.cap * torch.tanh(logits / scaling.cap)
    untempered = logits.log_softmax(-1)
    entropy = -(untempered.exp() * untempered).sum(-1).detach()
    sampling = sampling or Sampling()
    outside = ~log_probs(logits, sampling).detach().isfinite()
    law = (logits / sampling.temperature).masked_fill(outside, -math.inf).log_softmax(-1)
    return law.gather(-1, target[:, None])[:, 0], entropy


SCALED = [
    (None, LogitScaling(scale=0.0625)),
    (None, LogitScaling(cap=4.0)),
    (Sampling(temperature=0.7), LogitScaling(scale=1.5, cap=4.0)),
    (Sampling(temperature=0.6, top_p=0.95), LogitScaling(scale=1.5, cap=4.0)),
]
"""Head products are of size 3.5 here, so that a cap of 4 bends most of them."""


@pytest.mark.parametrize(("sampling", "scaling"), [*((s, PLAIN) for s in SAMPLINGS), *SCALED])
def test_values_and_gradients_equal_those_from_full_logits(problem, sampling: Sampling | None, scaling: LogitScaling):
    hidden, weight, bias, target = problem
    leaves = (hidden, weight, bias)
    exact_leaves = [leaf.detach().double().requires_grad_() for leaf in leaves]  # float32's own rounding is 2e-6 here
    expected, entropy = textbook(*exact_leaves, target, sampling, scaling)
    inside = expected.isfinite().detach()
    assert inside.sum() > N / 2
    coefficient = torch.randn(N) * inside
    actual, actual_entropy = head_logprobs(hidden, weight, bias, target, sampling, scaling=scaling)
    torch.testing.assert_close(actual[inside].double(), expected[inside], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(actual_entropy.double(), entropy, rtol=1e-5, atol=1e-5)
    expected_gradients = torch.autograd.grad((expected.masked_fill(~inside, 0) * coefficient).sum(), exact_leaves)
    gradients = torch.autograd.grad((actual * coefficient).sum(), leaves)
    for name, a, b in zip(("hidden", "weight", "bias"), gradients, expected_gradients, strict=True):
        rounding = 4 * torch.finfo(torch.float32).eps * float(b.abs().max())
        torch.testing.assert_close(
            a.double(), b, rtol=1e-4, atol=1e-5 + rounding, msg=lambda m, name=name: f"{name}: {m}"
        )


def test_a_uniform_model_gives_minus_log_vocabulary_and_its_entropy():
    hidden, target = torch.zeros(3, D), torch.tensor([0, 5, V - 1])
    values, entropy = head_logprobs(hidden, torch.randn(V, D), None, target, None)
    torch.testing.assert_close(values, torch.full((3,), -math.log(V)))
    torch.testing.assert_close(entropy, torch.full((3,), math.log(V)))


def test_huge_logits_neither_overflow_nor_vanish(problem):
    hidden, weight, bias, target = problem
    values, entropy = head_logprobs(hidden * 1000, weight, bias, target, None)
    expected, _ = textbook(hidden * 1000, weight, bias, target, None)
    assert values.isfinite().all()
    assert entropy.isfinite().all()
    torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-2)


def test_a_drawn_token_outside_the_present_support_keeps_a_finite_logprob_and_gradient():
    # Logits 2, 1, 0: top-1 keeps token 0 alone; token 2, drawn earlier, joins it: p = 1 / (1 + e^2).
    hidden = torch.tensor([[1.0]], requires_grad=True)
    weight = torch.tensor([[2.0], [1.0], [0.0]])
    values, _ = head_logprobs(hidden, weight, None, torch.tensor([2]), Sampling(top_k=1))
    values.sum().backward()
    assert values.item() == pytest.approx(-math.log(1 + math.e**2), rel=1e-6)
    assert hidden.grad.item() == pytest.approx(-2 * math.e**2 / (1 + math.e**2), rel=1e-5)


def test_entropy_of_blocks_is_as_exact_as_that_of_whole_rows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(logprobs.BLOCK_BYTES, "cpu", 1)
    draw = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(50, 64, generator=draw), torch.randn(3000, 64, generator=draw)
    exact = torch.distributions.Categorical(logits=(hidden @ weight.T).double()).entropy()
    entropy = head_logprobs(hidden, weight, None, torch.zeros(50, dtype=torch.long), None)[1]
    torch.testing.assert_close(entropy.double(), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_none_is_not_hidden(bad: float):
    hidden, weight = torch.ones(2, 1, requires_grad=True), torch.arange(40.0)[:, None].clone()
    weight[7] = bad
    values, entropy = head_logprobs(hidden, weight, None, torch.tensor([0, 39]), None)
    values.sum().backward()
    assert not values.isfinite().any()
    assert not entropy.isfinite().any()
    assert not hidden.grad.isfinite().any()


@pytest.mark.parametrize("sampling", [None, Sampling(top_p=0.9)])
def test_no_tokens_give_no_logprobs_and_zero_gradients(sampling: Sampling | None):
    weight = torch.randn(V, D, requires_grad=True)
    values, entropy = head_logprobs(torch.zeros(0, D), weight, None, torch.zeros(0, dtype=torch.long), sampling)
    values.sum().backward()
    assert values.shape == entropy.shape == (0,)
    assert (weight.grad == 0).all()


def test_entropy_carries_no_gradient(problem):
    hidden, weight, bias, target = problem
    for sampling in SAMPLINGS:
        assert not head_logprobs(hidden, weight, bias, target, sampling)[1].requires_grad


def test_frozen_heads_get_no_gradient_and_no_work(problem):
    hidden, weight, bias, target = problem
    values, _ = head_logprobs(hidden, weight.detach(), bias.detach(), target, None)
    want = torch.autograd.grad(textbook(hidden, weight.detach(), bias.detach(), target, None)[0].sum(), hidden)[0]
    torch.testing.assert_close(torch.autograd.grad(values.sum(), hidden)[0], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_heads_agree_with_full_logits_of_the_same_type(problem, dtype: torch.dtype):
    hidden, weight, _, target = (t.detach() if t.is_floating_point() else t for t in problem)
    hidden, weight = hidden.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_()
    values, _ = head_logprobs(hidden, weight, None, target, None)
    # block by block: a product of another shape may round a logit to the next number of that type
    logits = torch.cat([logprobs._logits(hidden, weight, None, b) for b in logprobs._blocks(hidden, weight)], -1)
    expected = logits.log_softmax(-1).gather(-1, target[:, None])[:, 0]
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5)
    have = torch.autograd.grad(values.sum(), (hidden, weight))
    want = torch.autograd.grad(expected.sum(), (hidden, weight))
    for a, b in zip(have, want, strict=True):
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.05)


def test_under_autocast_the_head_runs_in_its_type_and_gradients_stay_float32(problem):
    hidden, weight, bias, target = problem
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values, _ = head_logprobs(hidden, weight, bias, target, None)
    expected, _ = textbook(*problem, None)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, expected, rtol=0.05, atol=0.2)
    assert all(g.dtype == torch.float32 for g in torch.autograd.grad(values.sum(), (hidden, weight, bias)))


@pytest.mark.parametrize("sampling", SAMPLINGS[:3])
def test_logprobs_without_entropy_are_the_same(problem, sampling: Sampling | None):
    values, entropy = head_logprobs(*problem, sampling, entropy=False)
    torch.testing.assert_close(values, head_logprobs(*problem, sampling)[0], rtol=0, atol=0)
    assert (entropy == 0).all()


def test_a_second_backward_gives_the_same_gradients(problem):
    hidden, weight, bias, target = problem
    loss = head_logprobs(hidden, weight, bias, target, Sampling(temperature=0.7))[0].sum()
    first = torch.autograd.grad(loss, (hidden, weight), retain_graph=True)
    for a, b in zip(first, torch.autograd.grad(loss, (hidden, weight)), strict=True):
        assert torch.equal(a, b)


def test_saved_bytes_are_a_sixth_of_full_logits_at_most(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(logprobs.STORED_BYTES, "cpu", 0)  # these logits are few enough to be stored
    tokens, width, vocabulary = 64, 16, 32_100
    hidden = torch.randn(tokens, width, requires_grad=True)
    weight = torch.randn(vocabulary, width)
    target = torch.randint(vocabulary, (tokens,))
    for sampling in (None, Sampling(top_p=0.9)):
        saved: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.nbytes) or t, lambda t: t):  # noqa: B023
            head_logprobs(hidden, weight, None, target, sampling)
        assert sum(saved) - weight.nbytes <= tokens * vocabulary * 4 / 6
