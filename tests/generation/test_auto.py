"""`generation=auto`: the engine where it decodes the model, else transformers' own forward; one line says which."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from models import gpt2_model, llama_model

from rltf.generation.auto import AutoSampler
from rltf.generation.engine.engine import Engine
from rltf.generation.hf import HFSampler
from rltf.types import Sampling


class Quantized(torch.nn.Linear):
    """A layer whose weight is not to be read as it is."""


def quantized_llama() -> Any:
    model = llama_model(48)
    mlp = model.model.layers[1].mlp
    mlp.down_proj = Quantized(64, 32, bias=False)
    return model


@pytest.mark.parametrize(
    ("make_model", "kind", "line"),
    [
        (lambda: llama_model(48), Engine, "generation=auto takes native for LlamaForCausalLM"),
        (
            lambda: gpt2_model(48),
            HFSampler,
            "generation=auto takes hf for GPT2LMHeadModel: generation=native has no decoder for GPT2LMHeadModel",
        ),
        (
            quantized_llama,
            HFSampler,
            "generation=auto takes hf for LlamaForCausalLM: generation=native cannot read a layer of type Quantized",
        ),
    ],
)
def test_one_line_says_which_sampler_is_taken(
    make_model: Any, kind: type, line: str, make_policy: Any, make_requests: Any, caplog: pytest.LogCaptureFixture
):
    torch.manual_seed(0)
    policy, requests, sampling = make_policy(make_model()), make_requests([5, 9], 2), Sampling(max_new_tokens=4)
    sampler = AutoSampler()
    with caplog.at_level(logging.INFO, logger="rltf.generation.auto"):
        samples = sorted((s.request, s.draw, s.token_ids) for s in sampler.sample(policy, requests, sampling, 0))
        assert isinstance(sampler.choose(policy), kind)
    assert [record.getMessage() for record in caplog.records if record.name == "rltf.generation.auto"] == [line]
    assert samples == sorted((s.request, s.draw, s.token_ids) for s in kind().sample(policy, requests, sampling, 0))


def test_another_model_gets_its_own_sampler(make_policy: Any):
    sampler = AutoSampler()
    assert isinstance(sampler.choose(make_policy(gpt2_model(48))), HFSampler)
    assert isinstance(sampler.choose(make_policy(llama_model(48))), Engine)


def test_options_reach_the_sampler_that_reads_them(make_policy: Any):
    sampler = AutoSampler(max_rows=5, max_cache_tokens=900, prefill_tokens=70, compiled=False, graphs=False, hf_rows=3)
    engine = sampler.choose(make_policy(llama_model(48)))
    assert isinstance(engine, Engine)
    read = (engine.max_rows, engine.max_cache_tokens, engine.prefill_tokens, engine.compiled, engine.graphs)
    assert read == (5, 900, 70, False, False)
    plain = sampler.choose(make_policy(gpt2_model(48)))
    assert isinstance(plain, HFSampler)
    assert plain.max_rows == 3


@pytest.mark.parametrize("key", ["max_rows", "hf_rows"])
def test_sizes_below_one_are_refused_by_their_key(key: str):
    with pytest.raises(ValueError, match=f"^{key} is 0: expected a whole number of at least 1"):
        AutoSampler(**{key: 0})
