"""Adapters: few weights train, sampling and export see them merged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from families import family_model
from omegaconf import OmegaConf
from policy_kinds import POLICIES
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from rltf.policies.load import pretrained
from rltf.policies.lora import Lora, add_adapters
from rltf.policies.pretrained import TransformersPolicy
from rltf.setup.instantiate import build

pytest.importorskip("peft", reason="the extra lora is not installed")

TARGETS = {"t5": None, "llama": ["q_proj", "v_proj", "up_proj"], "codegen": ["qkv_proj"], "codet5p": None}


KINDS = [(name, {}) for name in POLICIES] + [("t5", {"use_rslora": True}), ("llama", {"use_dora": True})]
"""Family, and keys of `model.lora` besides the rank."""


@pytest.fixture(params=KINDS, ids=lambda kind: "_".join((kind[0], *kind[1])))
def adapted(request: pytest.FixtureRequest, tmp_path: Path) -> TransformersPolicy:
    """A policy with adapters that no longer are zero."""
    family, keys = request.param
    POLICIES[family]().export(tmp_path / "base")
    lora = {"r": 2, "alpha": 4, "target_modules": TARGETS[family], **keys}
    policy = pretrained(name="base", path=str(tmp_path / "base"), max_prompt_tokens=64, lora=lora)
    torch.manual_seed(1)
    for name, weight in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
        if "lora_magnitude" in name:
            torch.nn.init.uniform_(weight, 0.1, 1.0)
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
    [({"r": 0}, "r"), ({"dropout": 1.0}, "dropout"), ({"use_dora": "yes"}, "use_dora")],
)
def test_values_out_of_range_name_their_key(keywords: dict[str, object], key: str):
    with pytest.raises(ValueError, match=rf"^{key} is "):
        Lora(**keywords)


def test_a_config_with_bad_adapters_is_refused_by_its_path_before_anything_is_loaded():
    model = {"_target_": "rltf.policies.load.pretrained", "name": "no/model", "lora": {"r": 0}}
    with pytest.raises(ValueError, match=r"^model\.lora\.r is 0: expected a whole number of at least 1"):
        build(OmegaConf.create({"trusted": ["rltf"], "model": model}), "model")


@pytest.mark.parametrize("keys", [{}, {"use_rslora": True}, {"use_dora": True}], ids=str)
def test_the_merged_weight_is_that_of_the_papers(keys: dict[str, bool], tmp_path: Path):
    POLICIES["llama"]().export(tmp_path)
    policy = pretrained(name="llama", path=str(tmp_path), lora={"r": 4, "alpha": 3, **keys}, max_prompt_tokens=64)
    layer = policy.model.get_submodule(min(adapted_layers(policy.model)))
    weight, a, b = layer.base_layer.weight.clone(), layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.nn.init.normal_(b)
    expected = weight + (3 / 4**0.5 if "use_rslora" in keys else 3 / 4) * b @ a
    if "use_dora" in keys:
        magnitude = layer.lora_magnitude_vector["default"].weight
        torch.testing.assert_close(magnitude, weight.norm(dim=1))  # so that the first update is none
        torch.nn.init.uniform_(magnitude)
        expected = magnitude[:, None] * expected / expected.norm(dim=1, keepdim=True)
    with policy.merged_adapters():
        torch.testing.assert_close(layer.base_layer.weight, expected)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["nope"], r"names of linear layers of a T5.* and this fits no layer"),
        ("wo", r"names of linear layers of a T5.* all-linear, or a regular expression of whole names"),
        (["q", "nope"], "no nope, which fits no layer"),
        (["lm_head"], "layers between embeddings and head"),
        (r".*(lm_head|\.q)", "layers between embeddings and head"),
        (["shared"], "layers between embeddings and head"),
    ],
)
def test_layers_that_can_have_no_adapter_are_said(targets: list[str] | str, expected: str, tmp_path: Path):
    POLICIES["t5"]().export(tmp_path)
    with pytest.raises(ValueError, match=rf"^lora\.target_modules is .*: expected {expected}"):
        pretrained(name="t5", path=str(tmp_path), lora={"target_modules": targets})


def adapted_layers(model: torch.nn.Module) -> set[str]:
    from peft.tuners.lora import LoraLayer

    return {name for name, module in model.named_modules() if isinstance(module, LoraLayer)}


@pytest.mark.parametrize("targets", ["all-linear", r".*\.(q|wo)", ["wo"], r"decoder.*\.o"])
def test_a_target_means_what_it_means_in_peft(targets: list[str] | str, tmp_path: Path):
    from peft import LoraConfig, inject_adapter_in_model

    POLICIES["t5"]().export(tmp_path)
    policy = pretrained(name="t5", path=str(tmp_path), lora={"target_modules": targets})
    plain = inject_adapter_in_model(
        LoraConfig(target_modules=targets, task_type="SEQ_2_SEQ_LM"), AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    )
    assert adapted_layers(policy.model) == adapted_layers(plain) != set()


@pytest.mark.parametrize("family", ["starcoder2", "gpt_oss", "xglm", "phi3", "olmo2"])
def test_a_family_without_a_default_of_peft_gets_adapters_on_all_linear_layers(family: str):
    model = family_model(family, 64)
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)} - {"lm_head"}
    add_adapters(model, Lora(r=2))
    assert adapted_layers(model) == linear != set()


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
def test_experts_which_are_no_layers_get_no_adapter_in_silence(family: str):
    model = family_model(family, 64)
    with pytest.raises(ValueError, match="expected linear layers alone, and experts are none; name them"):
        add_adapters(model, Lora(r=2, target_modules="all-linear"))


@pytest.mark.parametrize("family", ["deepseek_v3", "qwen3_next"])
def test_beside_experts_the_default_is_attention(family: str):
    """Shared experts are linear layers, but peft takes their names for those of the experts, too."""
    model = family_model(family, 64)
    add_adapters(model, Lora(r=2))
    parents = {name.split(".")[3] for name in adapted_layers(model)}
    assert parents in ({"self_attn"}, {"self_attn", "linear_attn", "mlp"})
    assert {name.rpartition(".")[2] for name in adapted_layers(model) if ".mlp." in name} <= {"shared_expert_gate"}


@pytest.mark.parametrize("family", ["mamba", "mamba2"])
def test_adapters_of_state_space_layers_are_on_their_input(family: str):
    model = family_model(family, 64)
    add_adapters(model, Lora(r=2))
    assert adapted_layers(model) == {f"backbone.layers.{layer}.mixer.in_proj" for layer in (0, 1)}
    with pytest.raises(ValueError, match=r"^lora\.target_modules is .*, and peft has no adapter for one of them"):
        add_adapters(family_model(family, 64), Lora(r=2, target_modules=["in_proj", "out_proj"]))


def test_training_goes_on_from_an_exported_adapter(adapted: TransformersPolicy, tmp_path: Path):
    adapted.export(tmp_path / "out")
    policy = pretrained(name="any", path=str(tmp_path / "out" / "adapter"), max_prompt_tokens=64)
    assert torch.equal(logits(policy.model), logits(adapted.model))
    assert trained(policy) == trained(adapted) != set()
    policy.export(tmp_path / "again")
    again = pretrained(name="any", path=str(tmp_path / "again" / "adapter"), max_prompt_tokens=64)
    assert torch.equal(logits(again.model), logits(adapted.model))


def trained(policy: TransformersPolicy) -> set[str]:
    return {name for name, weight in policy.named_parameters() if weight.requires_grad}


def test_an_adapter_folder_that_cannot_be_trained_on_is_said(adapted: TransformersPolicy, tmp_path: Path):
    adapted.export(tmp_path / "out")
    folder = tmp_path / "out" / "adapter"
    with pytest.raises(ValueError, match=r"^lora is .*: expected null, since .* holds adapters"):
        pretrained(name="any", path=str(folder), lora={"r": 2})
    file = folder / "adapter_config.json"
    fields = json.loads(file.read_text())
    for change, said in (
        ({"lora_bias": True}, "has lora_bias=True: expected LoRA or DoRA without further weights"),
        ({"peft_type": "IA3"}, "has peft_type='IA3': expected LoRA or DoRA"),
        ({"base_model_name_or_path": None}, "has no base_model_name_or_path"),
        ({"target_modules": sorted(fields["target_modules"])[:1], "r": 2}, "do not fit the layers of its base"),
    ):
        file.write_text(json.dumps(fields | change))
        if change.get("target_modules") == sorted(fields["target_modules"]):
            continue  # this adapter has one kind of layer alone
        with pytest.raises(ValueError, match=rf"^model\.path: .*{said}"):
            pretrained(name="any", path=str(folder), max_prompt_tokens=64)
