"""What the page on models says is executed; the engine draws with the page's decoder what transformers would."""

from __future__ import annotations

import importlib

import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

from rltf.policies.decoding import families
from rltf.policies.tiny import load_tokenizer
from rltf.setup.instantiate import build
from rltf.types import Prompt, Request, Sampling

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


@pytest.fixture
def saved(tmp_path):
    """Saves a tiny random model with its tokenizer as a folder in the Hugging Face layout."""

    def save(model_class, config_class):
        tokens = load_tokenizer(None)
        torch.manual_seed(0)
        ids = {"bos_token_id": None, "eos_token_id": tokens.eos_token_id, "pad_token_id": tokens.pad_token_id}
        model = model_class(config_class(vocab_size=len(tokens), **SIZES, **ids))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(8 if parameter.dim() == 2 else 1)
        folder = tmp_path / "weights"
        model.save_pretrained(folder)
        tokens.save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def my_coder(written, composed):
    """The config of the page's model, read from a folder."""
    search_path = f"hydra.searchpath=[file://{written('add_model_family.md')}/configs]"

    def compose(folder, *overrides):
        return composed("train", "model=my_coder", "recipe=my_coder", search_path, f"model.path={folder}", *overrides)

    return compose


def greedy_tokens(policy, sampler):
    prompts = [policy.encode_prompt(Prompt("", text, "")) for text in ("def f(x):", "a = [1, 2, 3]\nprint(")]
    requests = [Request(f"p{i}", ids, (), greedy=True) for i, ids in enumerate(prompts)]
    samples = sampler.sample(policy, requests, Sampling(max_new_tokens=12), 0)
    drawn = {sample.request: list(sample.token_ids) for sample in samples}
    return prompts, [drawn[i] for i in range(len(prompts))]


def generated(policy, prompts):
    texts = []
    for ids in prompts:
        out = policy.model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)
        texts.append(out[0, len(ids) :].tolist())
    return texts


def test_a_llama_needs_one_yaml_and_has_its_recipe(saved, my_coder):
    cfg = my_coder(saved(LlamaForCausalLM, LlamaConfig))
    assert (cfg.benchmark._target_, cfg.rollouts.problems) == ("rltf.benchmarks.mbpp.Mbpp", 8)
    policy = build(cfg, "model")
    prompts, drawn = greedy_tokens(policy, build(cfg, "generation.sampler"))
    assert drawn == generated(policy, prompts)


def test_an_unknown_family_is_refused_by_the_engine_and_drawn_by_hf(saved, my_coder):
    folder = saved(GPTNeoXForCausalLM, GPTNeoXConfig)
    policy = build(my_coder(folder), "model")
    with pytest.raises(ValueError, match="generation=native has no decoder for GPTNeoXForCausalLM"):
        greedy_tokens(policy, build(my_coder(folder, "generation=native"), "generation.sampler"))
    for sampler in ("auto", "hf"):
        prompts, drawn = greedy_tokens(policy, build(my_coder(folder, f"generation={sampler}"), "generation.sampler"))
        assert drawn == generated(policy, prompts)


@pytest.mark.parametrize("compiled", ["true", "false"])
def test_the_engine_draws_with_the_pages_decoder(saved, my_coder, monkeypatch, compiled):
    cfg = my_coder(saved(GPTNeoXForCausalLM, GPTNeoXConfig), f"generation.sampler.compiled={compiled}")
    decoder = importlib.import_module("mine.gpt_neox").GPTNeoXDecoder
    monkeypatch.setattr(families, "DECODERS", [*families.DECODERS, decoder])
    policy = build(cfg, "model")
    prompts, drawn = greedy_tokens(policy, build(cfg, "generation.sampler"))
    assert drawn == generated(policy, prompts)


def test_the_pages_own_test_passes(written, run_tests):
    assert "4 passed" in run_tests(written("add_model_family.md"))
