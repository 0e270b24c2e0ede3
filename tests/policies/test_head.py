"""Caps and scales of logits are read from the configuration and held to the model's own forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from families import family_model
from policy_kinds import codegen_type
from torch import nn

from rltf.policies.causal import CausalPolicy
from rltf.policies.forward.logit_scaling import PLAIN, LogitScaling
from rltf.policies.forward.logprobs import target_logits
from rltf.policies.head import check_head, logit_scaling
from rltf.policies.load import pretrained

VOCABULARY = 64
SCALINGS = {
    "llama": PLAIN,
    "gemma3": PLAIN,
    "gemma2": LogitScaling(cap=30.0),
    "t5gemma": LogitScaling(cap=30.0),
    "recurrent_gemma": LogitScaling(cap=30.0),
    "granite": LogitScaling(scale=1 / 8),
    "cohere": LogitScaling(scale=0.0625),
    "longt5": LogitScaling(scale=32**-0.5),
    "bart": PLAIN,
}


@pytest.mark.parametrize("family", SCALINGS)
def test_what_the_configuration_says_is_what_the_model_computes(family: str):
    model = family_model(family, VOCABULARY)
    assert logit_scaling(model) == SCALINGS[family]
    check_head(model, SCALINGS[family])


@pytest.mark.parametrize(
    ("family", "wrong"),
    [
        ("gemma2", PLAIN),
        ("gemma2", LogitScaling(cap=50.0)),
        ("gemma2", LogitScaling(scale=1.1, cap=30.0)),
        ("granite", LogitScaling(scale=0.0625)),
        ("granite", LogitScaling(scale=1 / 8, cap=100.0)),
        ("llama", LogitScaling(cap=1000.0)),
    ],
)
def test_another_cap_or_scale_is_refused_however_small_the_weights(family: str, wrong: LogitScaling):
    """Logits of these weights are below 0.01, where no cap shows."""
    model = family_model(family, VOCABULARY)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e-3)
    with pytest.raises(ValueError, match=r"whose logits are not its head times its hidden states: expected a model"):
        check_head(model, wrong)


def test_in_half_precision_rounding_is_no_reason_to_refuse():
    check_head(family_model("gemma2", VOCABULARY).bfloat16(), LogitScaling(cap=30.0))


def test_a_model_that_ignores_the_number_in_its_configuration_is_refused(tmp_path: Path):
    model = family_model("llama", len(codegen_type()))
    model.config.logit_scale = 0.5
    CausalPolicy(model, codegen_type(), 48).export(tmp_path)
    with pytest.raises(ValueError, match=r"holds a LlamaForCausalLM, whose logits are not its head times"):
        pretrained(name="llama", path=str(tmp_path), max_prompt_tokens=48)


def test_a_number_of_unknown_meaning_is_refused_by_name():
    model = family_model("llama", VOCABULARY)
    model.config.logits_scale_exponent = 2.0
    with pytest.raises(ValueError, match=r"hidden states \(logits_scale_exponent=2\.0\): expected"):
        logit_scaling(model)


def test_layers_that_a_model_puts_behind_its_head_are_refused():
    model = family_model("llama", VOCABULARY)
    forward = model.forward

    def louder(**inputs: object) -> object:
        output = forward(**inputs)
        output.logits = output.logits.relu()
        return output

    model.forward = louder
    with pytest.raises(ValueError, match=r"whose logits are not its head times its hidden states: expected"):
        check_head(model, PLAIN)


def test_the_logit_of_a_target_is_scaled_and_capped():
    hidden, weight, bias = torch.tensor([[2.0, 1.0]]), torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([0.0, 2.0])
    logit = target_logits(hidden, weight, bias, torch.tensor([1]), LogitScaling(scale=0.5, cap=3.0))
    torch.testing.assert_close(logit, 3.0 * torch.tensor([6.0 / 3.0]).tanh())  # (2*3 + 1*4 + 2) / 2 is 6


def test_values_are_those_of_the_capped_logits():
    policy = CausalPolicy(family_model("gemma2", len(codegen_type())), codegen_type(), 48)
    with torch.no_grad():
        nn.init.normal_(policy.model.get_output_embeddings().weight, std=3.0)  # logits far above the cap
    prompt, response = torch.tensor([[5, 6, 7]]), torch.tensor([[8, 9, 10]])
    mask = torch.ones_like(prompt, dtype=torch.bool)
    with torch.no_grad():
        logprobs, values, _ = policy.token_values(prompt, mask, response, mask)
        logits = policy.model(input_ids=torch.cat([prompt, response], 1)).logits[:, 2:-1]
    assert logits.abs().max() > 29
    torch.testing.assert_close(values, logits.logsumexp(-1), rtol=1e-5, atol=1e-4)
    expected = logits.log_softmax(-1).gather(-1, response[..., None])[..., 0]
    torch.testing.assert_close(logprobs, expected, rtol=1e-5, atol=1e-4)
