"""A base in 4 bits: what is refused without a GPU, and, where bitsandbytes is installed, the arithmetic on a CPU."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from families import MATRIX
from family_policies import NEW, PROMPT_TOKENS, save_policy
from policy_kinds import POLICIES
from test_policy_logprobs import batch
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from rltf.generation.auto import AutoSampler
from rltf.generation.engine.engine import Engine
from rltf.generation.hf import HFSampler
from rltf.generation.vllm import check_supported
from rltf.policies import compat, quantization
from rltf.policies.codet5p.load import codet5p
from rltf.policies.load import pretrained
from rltf.policies.pretrained import TransformersPolicy
from rltf.rollouts.self_check import check_sampler
from rltf.training.sharding import drop_frozen_weights, restore_frozen_weights
from rltf.types import Sampling

LORA = {"r": 4, "target_modules": "all-linear"}
KINDS = [(name, {}) for name in POLICIES] + [("llama", {"use_dora": True}), ("t5", {"use_dora": True})]
"""Family, and keys of `model.lora` besides the rank."""
needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None or find_spec("peft") is None, reason="the extra qlora is not installed"
)


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """bitsandbytes has a backend for CPUs: in its tests alone weights in 4 bits are loaded there."""
    monkeypatch.setattr(quantization, "cuda_device", lambda: torch.device("cpu"))


def quantized_policy(family: str, folder: Path, **keys: object) -> TransformersPolicy:
    """A policy of random weights in 4 bits, with adapters that no longer are zero."""
    torch.manual_seed(0)
    POLICIES[family]().export(folder)
    lora = {**LORA, **keys}
    policy = pretrained("base", str(folder), max_prompt_tokens=64, lora=lora, quantization="nf4")
    for name, weight in policy.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.3)
    return policy


@pytest.fixture(params=KINDS, ids=lambda kind: "_".join((kind[0], *kind[1])))
def quantized(request: pytest.FixtureRequest, on_cpu: None, tmp_path: Path) -> TransformersPolicy:
    family, keys = request.param
    return quantized_policy(family, tmp_path / "base", **keys)


def logprobs(policy: TransformersPolicy) -> torch.Tensor:
    with torch.no_grad():
        return policy.token_logprobs(*batch(policy))[0]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"lora": None}, r"quantization is 'nf4': expected null, or adapters to train on such weights \(model\.lora="),
        ({"gguf_file": "a.gguf"}, r"quantization is 'nf4': expected null, since a\.gguf is quantised otherwise"),
        ({}, "quantization is 'nf4': expected null without a CUDA device, and torch finds none here"),
        ({"quantization": "int8"}, "quantization is 'int8': expected nf4 or null"),
    ],
)
def test_what_cannot_be_in_4_bits_is_refused_before_weights_are_looked_for(
    keys: dict[str, object], sentence: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for load in (pretrained, codet5p) if not keys else (pretrained,):
        with pytest.raises(ValueError, match=rf"^{sentence}[^\n]*$"):
            load(**{"name": "no/model", "lora": LORA, "quantization": "nf4", **keys})


def test_a_package_that_is_missing_is_named_before_weights_are_looked_for(
    on_cpu: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(ValueError, match=r"^model\.quantization needs the package bitsandbytes: install it with `pip"):
        pretrained("no/model", lora=LORA, quantization="nf4")


@pytest.mark.parametrize(
    ("stored", "chosen", "sentence"),
    [
        ({"quant_method": "gptq", "bits": 4}, "nf4", r"\(gptq\) and model\.quantization is nf4: expected .*=null"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "nf4", r"\(bitsandbytes\) and model\.quantization is"),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            None,
            r"\(nf4\) and model\.quantization is null: expected .*=nf4, as these are",
        ),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "nf4", r"\(fp4\) and model\.quantization is nf4"),
    ],
)
def test_weights_that_are_quantised_otherwise_are_refused(
    stored: dict[str, object],
    chosen: str | None,
    sentence: str,
    on_cpu: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(quantization, "import_extra", lambda *_: None)
    POLICIES["llama"]().export(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "quantization_config": stored}))
    with pytest.raises(ValueError, match=rf"^model\.path: the weights of .* are quantised already {sentence}[^\n]*$"):
        pretrained("llama", str(tmp_path), lora=LORA, quantization=chosen)


@needs_bitsandbytes
def test_logprobs_are_those_of_a_plain_model_with_the_weights_that_bitsandbytes_unpacks(
    quantized: TransformersPolicy, tmp_path: Path
):
    """Largest difference seen: 4e-6 nats."""
    from bitsandbytes.functional import dequantize_4bit

    auto = AutoModelForSeq2SeqLM if quantized.model.config.is_encoder_decoder else AutoModelForCausalLM
    plain = auto.from_pretrained(tmp_path / "base", dtype=torch.float32)
    packed = dict(quantized.model.named_modules())
    linear = [name for name, module in plain.named_modules() if isinstance(module, nn.Linear)]
    in_4_bits = 0
    for name in linear:
        layer = getattr(packed[name], "base_layer", packed[name])
        if quantization.is_quantized(layer.weight):
            unpacked = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
            original = plain.get_submodule(name).weight
            largest = original.detach().reshape(-1, 8).abs().amax()
            assert 0 < (unpacked - original).abs().max() < 0.2 * largest  # half of NF4's widest step is 0.152
            original.data.copy_(unpacked)
            in_4_bits += 1
    kept = [name for name in linear if name.endswith(("lm_head", ".wo"))]  # the head; T5's `wo`
    assert in_4_bits == len(linear) - len(kept) > 0
    plain.save_pretrained(tmp_path / "unpacked")
    quantized.tokenizer.save_pretrained(tmp_path / "unpacked")
    quantized.export(tmp_path / "adapters")
    file = tmp_path / "adapters" / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "base_model_name_or_path": str(tmp_path / "unpacked")}))
    expected = pretrained("unpacked", str(tmp_path / "adapters"), max_prompt_tokens=64)
    torch.testing.assert_close(logprobs(quantized), logprobs(expected), rtol=0, atol=2e-5)


@needs_bitsandbytes
def test_a_train_step_moves_adapters_alone(quantized: TransformersPolicy):
    before = {name: weight.detach().clone() for name, weight in quantized.named_parameters()}
    states = {
        name: weight.quant_state.absmax.clone()
        for name, weight in quantized.named_parameters()
        if quantization.is_quantized(weight)
    }
    quantized.train()
    quantized.start_phase(supervised=False)
    with torch.autocast("cpu", torch.bfloat16):  # a bias is not rounded on the way
        loss = quantized.token_logprobs(*batch(quantized))[0].sum()
    loss.backward()
    trained = [weight for weight in quantized.parameters() if weight.requires_grad]
    torch.optim.AdamW(trained, lr=1e-2).step()
    moved = {name for name, weight in quantized.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == {name for name in before if "lora_" in name} != set()
    for name, absmax in states.items():
        assert torch.equal(dict(quantized.named_parameters())[name].quant_state.absmax, absmax)


@needs_bitsandbytes
def test_gradients_of_adapters_are_those_with_recomputed_layers(on_cpu: None, tmp_path: Path):
    policy = quantized_policy("llama", tmp_path)
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            compat.checkpoint_activations(policy.model)
        policy.train()
        policy.zero_grad()
        policy.token_logprobs(*batch(policy))[0].sum().backward()
        gradients.append([weight.grad for weight in policy.parameters() if weight.requires_grad])
    assert all(gradient is not None for gradient in gradients[0])
    torch.testing.assert_close(gradients[1], gradients[0])


@needs_bitsandbytes
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_products_are_of_the_precision_of_the_run(dtype: torch.dtype, on_cpu: None, tmp_path: Path):
    policy = quantized_policy("codegen", tmp_path)
    layer = quantization.quantized_layers(policy.model)[0]
    x = torch.randn(3, layer.in_features)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        assert layer(x).dtype == dtype
    assert layer(x).dtype == torch.float32


@needs_bitsandbytes
def test_the_self_check_passes_and_auto_takes_hf(quantized: TransformersPolicy):
    sampler = AutoSampler().choose(quantized)
    assert isinstance(sampler, HFSampler)
    check_sampler(quantized, sampler, 8)


@needs_bitsandbytes
def test_samplers_that_need_whole_weights_refuse_it(on_cpu: None, tmp_path: Path):
    policy = quantized_policy("llama", tmp_path)
    with pytest.raises(ValueError, match=r"^generation=native cannot read a layer of type Linear4bit: [^\n]*hf work$"):
        check_sampler(policy, Engine(), 8)
    for choice in ("vllm", "server"):
        with pytest.raises(ValueError, match=rf"^generation={choice} copies whole weights and the policy's are in 4"):
            check_supported(policy, Sampling(max_new_tokens=4), choice)


READS = "reads weights past their layers"
REFUSED = {
    "mamba": READS,
    **dict.fromkeys(("longt5", "longt5_global"), rf"{READS} \(an input is made uint8\)"),
    **dict.fromkeys(("falcon", "falcon_alibi"), "it applies to no layer of a FalconForCausalLM"),
}
"""Family that needs whole weights -> why."""


@needs_bitsandbytes
@pytest.mark.parametrize("family", sorted(MATRIX.keys() - {"rwkv", "mbart"}))  # which are refused without it, too
def test_a_family_is_served_as_its_own_forward_pass_computes_or_refused(family: str, on_cpu: None, tmp_path: Path):
    save_policy(family, tmp_path)
    keys = {"max_prompt_tokens": PROMPT_TOKENS, "lora": {"r": 2}, "quantization": "nf4"}
    if family in REFUSED:
        with pytest.raises(ValueError, match=rf"^quantization is 'nf4': expected null, since [^\n]*{REFUSED[family]}"):
            pretrained(family, str(tmp_path), **keys)
        return
    policy = pretrained(family, str(tmp_path), **keys)
    check_sampler(policy, HFSampler(max_rows=5), NEW)
    ids = torch.tensor([[5, 6, 7]])
    policy.token_logprobs(ids, ids > 0, ids, ids > 0)[0].sum().backward()
    assert all((weight.grad is not None) == weight.requires_grad for weight in policy.parameters())


@needs_bitsandbytes
def test_an_exported_adapter_computes_the_same_above_the_same_base(quantized: TransformersPolicy, tmp_path: Path):
    quantized.eval()
    quantized.export(tmp_path / "out")
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tmp_path / "base")
    again = pretrained("any", str(tmp_path / "out"), max_prompt_tokens=64, quantization="nf4")
    assert torch.equal(logprobs(again), logprobs(quantized))
    whole = pretrained("any", str(tmp_path / "out"), max_prompt_tokens=64)  # merged, decoded and exported as any other
    difference = (logprobs(whole) - logprobs(quantized)).abs().max()
    assert 1e-3 < difference < 5  # the rounding of random weights
    whole.export(tmp_path / "merged")
    assert (tmp_path / "merged" / "adapter" / "adapter_config.json").is_file()


@needs_bitsandbytes
def test_weights_that_are_in_4_bits_already_are_taken_as_they_are(on_cpu: None, tmp_path: Path):
    policy = quantized_policy("llama", tmp_path / "base")
    from transformers import BitsAndBytesConfig

    options = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path / "base", quantization_config=options, device_map={"": "cpu"}, dtype=torch.float32
    )
    model.save_pretrained(tmp_path / "packed")
    policy.tokenizer.save_pretrained(tmp_path / "packed")
    again = pretrained("packed", str(tmp_path / "packed"), max_prompt_tokens=64, lora=LORA, quantization="nf4")
    again.load_state_dict({n: w for n, w in policy.named_parameters() if "lora_" in n}, strict=False)
    assert torch.equal(logprobs(again), logprobs(policy))


@needs_bitsandbytes
def test_a_copy_shares_the_weights_in_4_bits_and_no_others(on_cpu: None, tmp_path: Path):
    policy = quantized_policy("t5", tmp_path)
    copied = policy.copy()
    assert torch.equal(logprobs(copied), logprobs(policy))
    for weight, of_copy in zip(policy.parameters(), copied.parameters(), strict=True):
        assert (weight.data_ptr() == of_copy.data_ptr()) == quantization.is_quantized(weight)
    assert copied.tokenizer is policy.tokenizer


@needs_bitsandbytes
def test_checkpoints_hold_adapters_alone(quantized: TransformersPolicy):
    checkpoint = {"state_dict": dict(quantized.state_dict())}
    assert any("quant_state" in name for name in checkpoint["state_dict"])
    drop_frozen_weights(quantized, checkpoint)
    assert all("lora_" in name for name in checkpoint["state_dict"])
    assert checkpoint["state_dict"]
    restore_frozen_weights(quantized, checkpoint)
    before = logprobs(quantized)
    quantized.load_state_dict(checkpoint["state_dict"], strict=False)
    assert torch.equal(logprobs(quantized), before)


@needs_bitsandbytes
def test_packed_weights_count_as_many_as_they_stand_for(on_cpu: None, tmp_path: Path):
    policy = quantized_policy("llama", tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    counted = sum(
        quantization.weight_count(weight) for name, weight in policy.named_parameters() if "lora_" not in name
    )
    assert counted == sum(weight.numel() for weight in plain.parameters())
