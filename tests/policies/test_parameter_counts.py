"""Sizes of the paper's backbones, from models without memory (the meta device) and from closed forms."""

from __future__ import annotations

import pytest
import torch
from models import codegen_model, t5_model

from rltf.policies.tiny import tiny_causal, tiny_t5


def t5_count(vocabulary: int, d: int, f: int, layers: int, heads: int, d_kv: int) -> int:
    """Embedding, attention and feed-forward matrices, layer norms, and two tables of 32 relative positions."""
    h = heads * d_kv
    encoder = layers * (4 * d * h + 2 * d * f + 2 * d) + d
    decoder = layers * (8 * d * h + 2 * d * f + 3 * d) + d
    return vocabulary * d + encoder + decoder + 2 * 32 * heads


def codegen_count(vocabulary: int, d: int, layers: int) -> int:
    """Two embeddings, the head's bias; a block: qkv and out without bias, 8 d^2 + 5 d of feed-forward, one norm."""
    return 2 * vocabulary * d + vocabulary + layers * (12 * d * d + 5 * d + 2 * d) + 2 * d


@pytest.mark.parametrize(
    ("d", "f", "layers", "heads", "millions"),
    [(512, 2048, 6, 8, 60.5), (768, 3072, 12, 12, 222.9), (1024, 4096, 24, 16, 737.6)],
)
def test_codet5_sizes(d: int, f: int, layers: int, heads: int, millions: float):
    with torch.device("meta"):
        model = t5_model(32_100, d, inner=f, heads=heads, layers=layers)
    count = sum(p.numel() for p in model.parameters())
    assert count == t5_count(32_100, d, f, layers, heads, 64)
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(
    ("d", "layers", "heads", "rotary", "millions"), [(1024, 20, 16, 32, 356.7), (2560, 32, 32, 64, 2778.9)]
)
def test_codegen_sizes(d: int, layers: int, heads: int, rotary: int, millions: float):
    with torch.device("meta"):
        model = codegen_model(51_200, d, heads=heads, layers=layers, rotary_dim=rotary)
    count = sum(p.numel() for p in model.parameters())
    assert count == codegen_count(51_200, d, layers)
    assert count / 1e6 == pytest.approx(millions, abs=0.7)


@pytest.mark.parametrize("build", [tiny_t5, tiny_causal])
def test_tiny_policies_have_one_to_three_million_parameters(build):
    assert 1e6 < sum(p.numel() for p in build().parameters()) < 3e6
