"""Sizes of the paper's backbones, from models without memory (the meta device) and from closed forms."""

from __future__ import annotations

import pytest
import torch
from models import codegen_model, t5_model

from rltf.policies.codet5p.config import CodeT5pConfig
from rltf.policies.codet5p.load import count_weights, freeze
from rltf.policies.codet5p.model import CodeT5pEncoderDecoderModel
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


def crossing_count(d: int, encoder: int) -> int:
    """The projection of the encoder's states with its bias; queries, keys, values and output of cross-attention."""
    return encoder * d + d + 4 * d * d


@pytest.mark.parametrize(
    ("d", "layers", "heads", "count", "tuned"),
    [(2560, 32, 32, 3_112_427_008, 333_070_848), (4096, 33, 16, 7_439_753_216, 375_539_712)],
    ids=["2B", "6B, whose 33 layers are from memory"],
)
def test_codet5p_sizes(d: int, layers: int, heads: int, count: int, tuned: int):
    """The encoder is a CodeGen-350M without head. The official tuning trains it, the projection and cross-attention."""
    fields = {"vocab_size": 51_200, "n_positions": 2048}
    config = CodeT5pConfig(
        encoder={"n_embd": 1024, "n_layer": 20, "n_head": 16, "rotary_dim": 32, **fields},
        decoder={"n_embd": d, "n_layer": layers, "n_head": heads, "rotary_dim": 64, **fields},
    )
    encoder = codegen_count(51_200, 1024, 20) - 51_200 * 1025
    assert count_weights(config) == encoder + codegen_count(51_200, d, layers) + crossing_count(d, 1024) == count
    assert encoder + crossing_count(d, 1024) == tuned
    with torch.device("meta"):
        model = CodeT5pEncoderDecoderModel(config)
    freeze(model, "encoder+cross")
    assert sum(w.numel() for w in model.parameters() if w.requires_grad) == tuned
    freeze(model, "cross_attention")
    assert sum(w.numel() for w in model.parameters() if w.requires_grad) == crossing_count(d, 1024)


@pytest.mark.parametrize("build", [tiny_t5, tiny_causal])
def test_tiny_policies_have_one_to_three_million_parameters(build):
    assert 1e6 < sum(p.numel() for p in build().parameters()) < 3e6
