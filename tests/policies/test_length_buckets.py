"""Responses of like length run together: little padding, each row once, the same numbers."""

from __future__ import annotations

import copy
import math
import random
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rltf.policies import pretrained
from rltf.policies.forward.length_buckets import PASS_TOKENS, TokenCount, length_buckets
from rltf.policies.pretrained import TransformersPolicy
from rltf.policies.tiny import tiny_causal, tiny_t5


def log_normal(rows: int, seed: int) -> list[int]:
    """Tokens of programs: median 150, cut at 512."""
    draw = random.Random(seed)
    return [max(1, min(512, round(150 * math.exp(0.7 * draw.gauss(0, 1))))) for _ in range(rows)]


def padded(lengths: list[int], split: list[list[int]]) -> int:
    return sum(len(rows) * max(lengths[row] for row in rows) for rows in split)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(0, 80), st.integers(0, 80))
def test_every_row_comes_once_and_no_cut_of_the_sorted_rows_costs_less(lengths, pass_tokens, split_tokens):
    split = length_buckets(lengths, pass_tokens, split_tokens)
    assert sorted(row for rows in split for row in rows) == list(range(len(lengths)))

    def cost(parts):
        return sum(len(p) * max(p) + pass_tokens for p in parts) + (split_tokens if len(parts) > 1 else 0)

    ordered, gaps = sorted(lengths), range(1, len(lengths))
    every = []
    for choice in range(2 ** len(gaps)):
        cuts = [0, *(gap for i, gap in enumerate(gaps) if choice >> i & 1), len(lengths)]
        every.append(cost([ordered[a:b] for a, b in pairwise(cuts)]))
    assert cost([[lengths[row] for row in rows] for rows in split]) == min(every)


@pytest.mark.parametrize("seed", range(10))
def test_nine_tenths_of_what_runs_is_real_on_long_tailed_lengths(seed):
    real = processed = 0
    for batch in range(4):  # 256 rows in micro-batches of 64
        lengths = log_normal(64, 10 * seed + batch)
        split = length_buckets(lengths, PASS_TOKENS["cpu"])
        assert split == length_buckets(lengths, PASS_TOKENS["cpu"])
        real, processed = real + sum(lengths), processed + padded(lengths, split)
        assert sum(lengths) / (64 * max(lengths)) < 0.6  # what one rectangle would give
    assert real / processed >= 0.90


def test_rows_of_one_length_run_together():
    assert length_buckets([7] * 5, 0) == [[0, 1, 2, 3, 4]]


def exact_gradients(policy: TransformersPolicy, batch: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Gradients in float64: in float32 a ReLU unit within rounding of zero may open in one shape of batch only."""
    twin = copy.deepcopy(policy).double()
    twin.token_logprobs(*batch)[0].square().sum().backward()
    return [weight.grad for weight in twin.parameters()]


@pytest.mark.parametrize("build", [tiny_t5, tiny_causal])
@pytest.mark.parametrize("shared", [True, False])
def test_a_policy_in_buckets_gives_the_numbers_and_gradients_of_one_rectangle(build, shared, monkeypatch):
    policy: TransformersPolicy = build(d_model=16, d_ff=16, layers=1, heads=2)
    policy.share_prompts = shared
    whole = copy.deepcopy(policy)
    lengths = [max(1, length // 8) for length in log_normal(12, seed=1)]
    draw = torch.Generator().manual_seed(0)
    prompt = torch.randint(3, 90, (3, 6), generator=draw).repeat_interleave(4, 0)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    response = torch.randint(3, 90, mask.shape, generator=draw)
    results = []
    for side, pass_tokens in ((policy, 4), (whole, 10**9)):
        monkeypatch.setitem(pretrained.PASS_TOKENS, "cpu", pass_tokens)
        batch = (prompt, torch.ones_like(prompt, dtype=torch.bool), response, mask)
        values, entropy = side.token_logprobs(*batch)
        results.append((values.detach(), entropy, exact_gradients(side, batch)))
    torch.testing.assert_close(results[0][:2], results[1][:2], rtol=1e-5, atol=1e-5)
    for a, b in zip(results[0][2], results[1][2], strict=True):
        assert float((a - b).norm()) <= 1e-8 * float(b.norm())
    prompts = 3 * 6 if shared else 12 * 6
    assert whole.token_count == TokenCount(sum(lengths) + prompts, 12 * max(lengths) + prompts)
    assert policy.token_count.real == whole.token_count.real
    assert policy.token_count.processed < whole.token_count.processed
    assert policy.token_count.pop_efficiency() > 0.9
    assert policy.token_count.pop_efficiency() is None
