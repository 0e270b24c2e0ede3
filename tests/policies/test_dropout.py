"""Dropout: of every family's layers, off in RL, the weights' own in supervised training and in exports."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from families import FAMILIES, family_model
from policy_kinds import codegen_type, seq2seq_policy

from rltf.policies.causal import CausalPolicy
from rltf.policies.dropout import PhaseDropout
from rltf.policies.load import pretrained
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.policies.tiny import tiny_t5

VOCABULARY = 64
NO_DROPOUT = ("lfm2", "mamba", "mamba2", "rwkv")


def logprobs(model: torch.nn.Module, times: int = 3) -> torch.Tensor:
    """log-probs of `times` forward passes on the same tokens."""
    ids = torch.arange(3, 23)[None]
    extra = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        return torch.stack([model(input_ids=ids, **extra).logits.log_softmax(-1) for _ in range(times)])


@pytest.mark.parametrize("family", FAMILIES)
def test_training_computes_what_evaluation_does_once_rl_begins(family: str):
    model = family_model(family, VOCABULARY)
    expected = logprobs(model)
    dropout = PhaseDropout(model)
    own = model.config.to_dict()
    dropout.start(supervised=False)
    assert torch.equal(logprobs(model.train()), expected)
    dropout.start(supervised=True)
    assert model.config.to_dict() == own


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(NO_DROPOUT)))
def test_a_rate_reaches_the_layers_of_every_family(family: str):
    model = family_model(family, VOCABULARY)
    expected = logprobs(model)
    PhaseDropout(model, supervised=0.2)
    assert torch.equal(logprobs(model), expected)
    assert (logprobs(model.train()) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("family", NO_DROPOUT)
def test_a_rate_for_a_family_without_dropout_is_refused(family: str):
    model = family_model(family, VOCABULARY)
    with pytest.raises(ValueError, match=r"^dropout is 0\.1: expected 0 or null, since a .* has no dropout"):
        PhaseDropout(model, supervised=0.1)


def test_supervised_training_has_the_weights_own_rate_and_rl_none(tmp_path: Path):
    seq2seq_policy(dropout_rate=0.1).export(tmp_path)
    policy = pretrained(name="t5", path=str(tmp_path))
    assert rates(policy) == {0.1}
    policy.start_phase(supervised=False)
    assert rates(policy) == {0.0}
    policy.start_phase(supervised=True)
    assert rates(policy) == {0.1}


@pytest.mark.parametrize(("rl_dropout", "expected"), [(0.0, 0.0), (0.05, 0.05), (None, 0.2)])
def test_each_phase_has_a_key(rl_dropout: float | None, expected: float, tmp_path: Path):
    seq2seq_policy(dropout_rate=0.1).export(tmp_path)
    policy = pretrained(name="t5", path=str(tmp_path), dropout=0.2, rl_dropout=rl_dropout)
    assert rates(policy) == {0.2}
    policy.start_phase(supervised=False)
    assert rates(policy) == {expected}
    tiny = tiny_t5(layers=1, dropout=0.2, rl_dropout=rl_dropout)
    tiny.start_phase(supervised=False)
    assert rates(tiny) == {expected}


def test_an_export_has_the_dropout_that_the_weights_were_made_with(tmp_path: Path):
    policy = seq2seq_policy(dropout_rate=0.1)
    policy.start_phase(supervised=False)
    policy.export(tmp_path)
    assert pretrained(name="t5", path=str(tmp_path)).model.config.dropout_rate == 0.1
    assert rates(policy) == {0.0}


def test_dropout_of_adapters_is_their_own_and_ends_with_supervised_training(tmp_path: Path):
    pytest.importorskip("peft", reason="the extra lora is not installed")
    seq2seq_policy(dropout_rate=0.1).export(tmp_path)
    policy = pretrained(name="t5", path=str(tmp_path), dropout=0.2, lora={"r": 2, "dropout": 0.3})
    assert rates(policy) == {0.2, 0.3}
    policy.start_phase(supervised=False)
    assert rates(policy) == {0.0}


@pytest.mark.parametrize("family", ["t5", "starcoder2"])
def test_a_copied_policy_has_rates_of_its_own(family: str):
    import copy

    model = family_model(family, 400)
    tokenizer = codegen_type()
    policy = (Seq2SeqPolicy if family == "t5" else CausalPolicy)(model, tokenizer, 32)
    expected = logprobs(model)
    copied = copy.deepcopy(policy)
    copied.start_phase(supervised=False)
    assert torch.equal(logprobs(copied.model.train()), expected)
    assert not torch.equal(logprobs(model.train()), expected)


def rates(policy: torch.nn.Module) -> set[float]:
    return {module.p for module in policy.modules() if isinstance(module, torch.nn.Dropout)}
