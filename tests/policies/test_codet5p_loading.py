"""Folders of CodeT5+ 2B and 6B: which weights learn and in which type, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from codet5p_folders import codet5p_t5_folder
from policy_kinds import codegen_policy, codet5p_policy, seq2seq_policy
from safetensors.torch import load_file, save_file

from rltf.generation.engine.engine import Engine
from rltf.generation.hf import HFSampler
from rltf.policies.codet5p import weights
from rltf.policies.codet5p.load import codet5p
from rltf.policies.codet5p.policy import CodeT5PlusPolicy
from rltf.policies.load import pretrained
from rltf.policies.precision import check_trained_weights
from rltf.rollouts.self_check import check_sampler
from rltf.types import Prompt
from rltf.validation import OptionError

PROMPT = Prompt(head="", question="add first and second", tail="\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("codet5p")
    codet5p_policy().export(path)
    return path


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def load(folder: Path, **options: object) -> CodeT5PlusPolicy:
    return codet5p("codet5p", str(folder), max_prompt_tokens=64, **options)


def step(policy: CodeT5PlusPolicy, precision: torch.dtype | None = None) -> set[str]:
    """One step of SGD on a response; the names of the weights that it changed."""
    before = {name: weight.detach().clone() for name, weight in policy.model.named_parameters()}
    prompt = torch.tensor([policy.encode_prompt(PROMPT)] * 2)
    answer = torch.tensor([policy.encode_answer("def add(a, b):\n    return a + b\n")] * 2)
    policy.train()
    with torch.autocast("cpu", precision or torch.bfloat16, enabled=precision is not None):
        logprobs, _ = policy.token_logprobs(prompt, prompt > -1, answer, answer > -1)
    logprobs.sum().backward()
    optimiser = torch.optim.SGD([w for w in policy.parameters() if w.requires_grad], lr=1e-2)
    optimiser.step()
    return {name for name, weight in policy.model.named_parameters() if not torch.equal(weight, before[name])}


@pytest.mark.parametrize("train", ["cross_attention", "encoder+cross"])
def test_the_rest_of_the_decoder_stays_bit_for_bit(folder: Path, train: str):
    changed = step(load(folder, train=train))
    assert changed
    assert all(".crossattention." in name for name in changed if name.startswith("decoder."))
    assert any(name.startswith("encoder.") for name in changed) == (train == "encoder+cross")
    assert {"enc_to_dec_proj.weight", "decoder.transformer.h.1.crossattention.q_attn.weight"} <= changed


def test_with_all_every_weight_learns(folder: Path):
    policy = load(folder)
    assert step(policy) == {name for name, _ in policy.model.named_parameters()}


@pytest.mark.parametrize("train", ["cross_attention", "encoder+cross"])
def test_what_learns_is_float32_beside_bfloat16_and_keeps_every_bit(folder: Path, train: str):
    original, policy = load(folder), load(folder, train=train, dtype="bfloat16")
    check_trained_weights(policy)
    exact = dict(original.model.named_parameters())
    for name, weight in policy.model.named_parameters():
        assert weight.dtype == (torch.float32 if weight.requires_grad else torch.bfloat16), name
        assert not weight.requires_grad or torch.equal(weight, exact[name]), name
    changed = step(policy, torch.bfloat16)
    assert changed == {name for name, weight in policy.model.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("sampler", [Engine(), Engine(compiled=False), HFSampler()], ids=["engine", "torch", "hf"])
def test_samplers_pass_the_check_with_weights_of_two_types(folder: Path, sampler: Engine | HFSampler):
    """A difference of 0.03 nats is bfloat16's, although the model's first weights are float32."""
    policy = load(folder, train="encoder+cross", dtype="bfloat16")
    assert policy.model.dtype == torch.float32
    check_sampler(policy, sampler, 8)


def test_other_families_are_refused_and_pretrained_takes_this_one(folder: Path, tmp_path: Path):
    assert type(pretrained("x", str(folder), max_prompt_tokens=64)) is CodeT5PlusPolicy
    for build, family in ((seq2seq_policy, "t5"), (codegen_policy, "codegen")):
        build().export(tmp_path / family)
        with pytest.raises(
            ValueError, match=rf"^model\.path: .*{family} holds a {family}: expected a CodeT5\+ 2B or 6B"
        ):
            load(tmp_path / family)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda state: state.pop("decoder.lm_head.bias"), r"lacks decoder\.lm_head\.bias: expected"),
        (
            lambda state: [state.pop(name) for name in list(state) if ".crossattention." in name],
            r"lacks decoder\.transformer\.h\.1\.crossattention\.out_proj\.weight and 2 more: expected",
        ),
        (
            lambda state: state.update({"decoder.transformer.h.1.alpha_xattn": torch.ones(1)}),  # of the 16B
            r"also holds decoder\.transformer\.h\.1\.alpha_xattn: expected",
        ),
    ],
    ids=["missing", "no cross-attention", "gate of the 16B"],
)
def test_weights_that_are_not_those_of_the_model_are_refused(copied: Path, change: object, fault: str):
    file = copied / "model.safetensors"
    state = load_file(file)
    change(state)  # type: ignore[operator]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"^model\.path: .*copy {fault} the weights of CodeT5\+ 2B or 6B$"):
        load(copied)


def test_weights_that_do_not_fit_into_memory_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "codet5p"
    monkeypatch.setattr(weights, "free_memory", lambda: 100_000)
    with pytest.raises(ValueError, match=r"^model: 0\.00 billion weights take .* GB in float32 and 0\.0 GB are free"):
        load(folder)
    monkeypatch.setattr(weights, "free_memory", lambda: 8_000_000_000)
    with pytest.raises(ValueError, match=r"3\.11 billion weights take 12\.4 GB in float32 and 8\.0 GB are free"):
        weights.check_memory(3_112_427_008, torch.float32)
    weights.check_memory(3_112_427_008, torch.bfloat16)


def test_the_free_memory_is_read_from_the_system():
    assert 10**8 < weights.free_memory() < 10**14


def test_options_that_contradict_each_other_are_refused(folder: Path):
    with pytest.raises(OptionError, match="train is 'encoder': expected all, cross_attention or encoder"):
        load(folder, train="encoder")
    pytest.importorskip("peft", reason="the extra lora is not installed")
    with pytest.raises(OptionError, match="train is 'cross_attention': expected all, since adapters are trained"):
        load(folder, train="cross_attention", lora={"r": 2})


def test_adapters_of_an_exported_run_are_trained_on(folder: Path, tmp_path: Path):
    pytest.importorskip("peft", reason="the extra lora is not installed")
    policy = load(folder, lora={"r": 2})
    policy.export(tmp_path / "run")
    again = load(tmp_path / "run" / "adapter")
    names = [name for name, weight in again.model.named_parameters() if weight.requires_grad]
    assert names
    assert all(".lora_" in name for name in names)
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in names} == {"qkv_proj", "q_attn"}


def test_the_context_is_what_the_decoder_and_the_encoder_can_read(folder: Path):
    assert load(folder).context == 256
    with pytest.raises(
        OptionError, match="max_prompt_tokens is 256: expected less than the model's context, 256 tokens"
    ):
        codet5p("x", str(folder), max_prompt_tokens=256)


def test_a_folder_of_the_embedding_model_is_no_policy(tmp_path: Path):
    codet5p_t5_folder(tmp_path / "e", "embedding")
    with pytest.raises(ValueError, match=r"^model\.path: .* embeds texts and writes none: expected a model that"):
        pretrained("x", str(tmp_path / "e"))
