"""Folders of CodeT5+ as the hub has them, with small models of random weights."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from models import t5_model

from rltf.policies.codet5p.embedding import CodeT5pEmbeddingModel
from rltf.policies.codet5p.matching import CodeT5pMatchingModel

sys.path.insert(0, str(Path(__file__).parent / "policies"))
from policy_kinds import codet5p_policy, roberta_type


def codet5p_folder(folder: Path) -> None:
    """Writes a CodeT5+ of the layout of 2B, for at most 256 tokens."""
    codet5p_policy().export(folder)


def codet5p_t5_folder(folder: Path, kind: str, **options: object) -> torch.nn.Module:
    """Writes the embedding or the bimodal model as the hub has it, with random weights; returns it.

    Args:
        folder: is made.
        kind: `embedding` or `bimodal`.
        **options: further fields of the configuration.
    """
    tokenizer = roberta_type()
    tokenizer.add_special_tokens({"additional_special_tokens": ["[ENC]", "[DEC]"]})
    torch.manual_seed(0)
    config = t5_model(len(tokenizer), **options).config
    config.embed_dim = 12
    model = (CodeT5pEmbeddingModel if kind == "embedding" else CodeT5pMatchingModel)(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3) if weight.dim() == 2 else weight.add_(0.2 * torch.randn_like(weight))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    fields = json.loads((folder / "config.json").read_text())
    fields["model_type"] = f"codet5p_{kind}"
    if kind == "embedding":  # the hub's file says nothing of it: that is its own class's default
        del fields["is_encoder_decoder"]
    fields["auto_map"] = {"AutoConfig": f"configuration_codet5p_{kind}.Config", "AutoModel": "modeling.Model"}
    (folder / "config.json").write_text(json.dumps(fields))
    return model
