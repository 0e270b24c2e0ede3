"""Adapters: few weights train, sampling and export see them merged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from policy_kinds import POLICIES
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from rltf.policies.load import pretrained
from rltf.policies.lora import Lora
from rltf.policies.pretrained import TransformersPolicy
from rltf.setup.instantiate import build

pytest.importorskip("peft", reason="the extra lora is not installed")

TARGETS = {"t5": None, "llama": ["q_proj", "v_proj", "up_proj"], "codegen": ["qkv_proj"]}


@pytest.fixture(params=POLICIES)
def adapted(request: pytest.FixtureRequest, tmp_path: Path) -> TransformersPolicy:
    """A policy with adapters that no longer are zero."""
    POLICIES[request.param]().export(tmp_path / "base")
    lora = {"r": 2, "alpha": 4, "target_modules": TARGETS[request.param]}
    policy = pretrained(name="base", path=str(tmp_path / "base"), max_prompt_tokens=64, lora=lora)
    torch.manual_seed(1)
    for name, weight in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    return policy


def logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.tensor([[5, 6, 7, 8]])
    extra = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        return model(input_ids=ids, **extra).logits


def test_only_adapters_train(adapted: TransformersPolicy):
    trained = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    prompt, answer = torch.tensor([[5, 6]]), torch.tensor([[7, 8]])
    adapted.token_logprobs(prompt, prompt > 0, answer, answer > 0)[0].sum().backward()
    assert {name for name, weight in adapted.named_parameters() if weight.grad is not None} == set(trained)


def test_merged_weights_compute_what_the_adapters_do_and_come_back_bit_for_bit(adapted: TransformersPolicy):
    base_weights = {name: weight.clone() for name, weight in adapted.state_dict().items()}
    expected = logits(adapted.model)
    trainable = [weight.requires_grad for weight in adapted.parameters()]
    with adapted.merged_adapters():
        torch.testing.assert_close(logits(adapted.model), expected, rtol=1e-4, atol=1e-5)
        changed = [n for n, w in adapted.state_dict().items() if not torch.equal(w, base_weights[n])]
        assert changed
        assert all("base_layer" in name for name in changed)
    assert torch.equal(logits(adapted.model), expected)
    assert all(torch.equal(weight, base_weights[name]) for name, weight in adapted.state_dict().items())
    assert trainable == [weight.requires_grad for weight in adapted.parameters()]


def test_merged_weights_come_back_after_an_error(adapted: TransformersPolicy):
    expected = logits(adapted.model)
    with pytest.raises(RuntimeError, match="stop"), adapted.merged_adapters():
        raise RuntimeError("stop")
    assert torch.equal(logits(adapted.model), expected)


def test_export_writes_merged_weights_that_plain_transformers_loads(adapted: TransformersPolicy, tmp_path: Path):
    adapted.export(tmp_path / "out")
    auto = AutoModelForSeq2SeqLM if adapted.model.config.is_encoder_decoder else AutoModelForCausalLM
    model = auto.from_pretrained(tmp_path / "out")
    assert not any("lora" in name for name in model.state_dict())
    torch.testing.assert_close(logits(model), logits(adapted.model), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft's own call, with transformers 5
def test_export_writes_the_adapter_alone_in_peft_format(adapted: TransformersPolicy, tmp_path: Path):
    from peft import PeftModel

    adapted.export(tmp_path / "out")
    auto = AutoModelForSeq2SeqLM if adapted.model.config.is_encoder_decoder else AutoModelForCausalLM
    model = PeftModel.from_pretrained(auto.from_pretrained(tmp_path / "base"), tmp_path / "out" / "adapter")
    torch.testing.assert_close(logits(model), logits(adapted.model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("keywords", "key"),
    [({"r": 0}, "r"), ({"dropout": 1.0}, "dropout"), ({"target_modules": ["lm_head"]}, "target_modules")],
)
def test_values_out_of_range_name_their_key(keywords: dict[str, object], key: str):
    with pytest.raises(ValueError, match=rf"^{key} is "):
        Lora(**keywords)


def test_a_config_with_bad_adapters_is_refused_by_its_path_before_anything_is_loaded():
    model = {"_target_": "rltf.policies.load.pretrained", "name": "no/model", "lora": {"r": 0}}
    with pytest.raises(ValueError, match=r"^model\.lora\.r is 0: expected a whole number of at least 1"):
        build(OmegaConf.create({"trusted": ["rltf"], "model": model}), "model")


def test_layers_that_do_not_exist_are_said(tmp_path: Path):
    POLICIES["t5"]().export(tmp_path)
    with pytest.raises(ValueError, match=r"^model\.lora\.target_modules is \['nope'\], which fits no layer"):
        pretrained(name="t5", path=str(tmp_path), lora={"target_modules": ["nope"]})
