"""Norms, gated activations and self-attention by kernels, against float64 and against transformers' own layers."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from rltf.policies.forward import fused_layers
from rltf.policies.forward.fused_layers import _Attention, _Gate, _RMSNorm
from rltf.policies.kernels import load
from rltf.policies.tiny import tiny_causal, tiny_t5

pytestmark = pytest.mark.skipif(load() is None, reason="no C compiler")


def gradients(function, inputs, weight):
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    out = function(*inputs)
    return [out.detach(), *torch.autograd.grad((out * weight.to(out.dtype)).sum(), inputs)]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(8, 70), st.sampled_from([0.01, 1.0, 30.0]), st.integers(0, 2**31))
def test_both_ways_as_in_float64(rows, width, scale, seed):
    draw = torch.Generator().manual_seed(seed)
    x, y, weight = (torch.randn(rows, width, generator=draw) * scale for _ in range(3))
    gain = torch.randn(width, generator=draw)
    pairs = [
        (lambda a, b: _RMSNorm.apply(a, b, 1e-6, load()), lambda a, b: F.rms_norm(a, (width,), b, 1e-6), (x, gain)),
        (lambda a, b: _Gate.apply(a, b, load()), lambda a, b: F.silu(a) * b, (x, y)),
    ]
    for ours, plain, inputs in pairs:
        found = gradients(ours, inputs, weight)
        wanted = gradients(plain, [tensor.double() for tensor in inputs], weight.double())
        for one, other in zip(found, wanted, strict=True):
            size = other.abs().max()
            torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5 * float(size))


def attention_in_float64(query, key, value, bias, causal):
    heads, length = bias.shape[1:3]
    query, key, value = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    scores = query @ key.transpose(2, 3) + bias
    if causal:
        scores = scores.masked_fill(~torch.ones(length, length, dtype=torch.bool).tril(), -torch.inf)
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 150),
    st.sampled_from([16, 32, 48, 64]),
    st.booleans(),
    st.sampled_from(["shared", "of each", "padded"]),
    st.integers(0, 2**31),
)
def test_self_attention_with_a_bias_both_ways_as_in_float64(batch, heads, length, width, causal, kind, seed):
    draw = torch.Generator().manual_seed(seed)
    query, key, value, weight = (torch.randn(batch, length, heads * width, generator=draw) for _ in range(4))
    bias = torch.randn(1 if kind == "shared" else batch, heads, length, length, generator=draw)
    if kind == "padded":  # as padding is barred: by the lowest number
        seen = torch.arange(length) < torch.randint(1, length + 1, (batch, 1, 1, 1), generator=draw)
        bias = bias.masked_fill(~seen, torch.finfo(torch.float32).min)
    inputs = (query * width**-0.5, key, value, bias)
    found = gradients(lambda *x: _Attention.apply(*x, causal, load()), inputs, weight)
    wanted = gradients(lambda *x: attention_in_float64(*x, causal), [x.double() for x in inputs], weight.double())
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=5e-5 * max(1.0, float(other.abs().max())))


@pytest.mark.parametrize("build", [tiny_t5, tiny_causal])
def test_a_models_log_probs_and_gradients_stay_as_they_are(build, monkeypatch, smooth_units):
    policy = build(64, 128, layers=2, max_prompt_tokens=16).train()
    draw = torch.Generator().manual_seed(0)
    prompt, response = (torch.randint(3, 90, (4, n), generator=draw) for n in (9, 7))
    lengths = torch.tensor([[9, 4, 6, 1], [7, 2, 7, 1]])
    masks = [torch.arange(ids.shape[1]) < row[:, None] for ids, row in zip((prompt, response), lengths, strict=True)]
    if build is tiny_causal:
        masks[0] = masks[0].flip(1)
    used = []

    def grads(find):
        monkeypatch.setattr(fused_layers, "_kernels_for", find)
        logprobs = policy.token_logprobs(prompt, masks[0], response, masks[1])[0]
        return [logprobs.detach(), *torch.autograd.grad(logprobs.sum(), list(policy.parameters()))]

    def counted(*tensors):
        used.append(len(tensors))
        return load()

    for ours, theirs in zip(grads(counted), grads(lambda *_: None), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    # a norm and an attention are asked with a weight, a gate without
    assert set(used) == ({1, 2} if build is tiny_causal else {2})


def test_elsewhere_the_layers_are_transformers_own():
    policy = tiny_causal(32, 64, layers=1, max_prompt_tokens=16)
    again = copy.deepcopy(policy).to(torch.bfloat16)
    ids = torch.randint(3, 90, (2, 5))
    assert again.model(input_ids=ids).logits.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        policy.model(input_ids=ids).logits.float().sum().backward()
    assert {type(m).__name__ for m in policy.model.modules()} >= {"LlamaRMSNorm", "LlamaMLP"}


def test_a_model_may_be_made_a_policy_twice():
    policy = tiny_t5(32, 64, layers=1, max_prompt_tokens=16)
    kinds = [type(module) for module in policy.model.modules()]
    type(policy)(policy.model, policy.tokenizer, 16)
    assert [type(module) for module in policy.model.modules()] == kinds
