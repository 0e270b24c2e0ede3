"""What vLLM is asked and how its answers are read; vLLM itself is in `test_vllm_engine.py`."""

import random
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rltf.generation.rows import rows_of
from rltf.generation.vllm import (
    VLLMSampler,
    check_supported,
    exported_weights,
    sample_of,
    sampling_keywords,
)
from rltf.policies.tiny import tiny_causal
from rltf.types import FinishReason, Request, Sampling

EOS = 1


def completion(token_ids, finish_reason, stop_reason=None):
    """The fields of a `vllm.CompletionOutput` that are read. Each position has the drawn token alone."""
    logprobs = [{token: SimpleNamespace(logprob=-0.5 * i)} for i, token in enumerate(token_ids)]
    return SimpleNamespace(token_ids=token_ids, logprobs=logprobs, finish_reason=finish_reason, stop_reason=stop_reason)


def rows(**fields):
    return rows_of([Request("p", (5, 6), (0, 1), **fields)], seed=3)


def test_a_drawn_program_has_its_own_seed_and_ends_at_our_tokens_alone():
    first, second = (sampling_keywords(row, Sampling(0.7, 0.9, 40, 0.0, 64), (EOS, 7)) for row in rows())
    assert first["seed"] != second["seed"]
    assert 0 <= first["seed"] < 2**63
    assert (first["temperature"], first["top_p"], first["top_k"], first["max_tokens"]) == (0.7, 0.9, 40, 64)
    assert (first["ignore_eos"], first["stop_token_ids"], first["stop"], first["detokenize"]) == (
        True,
        [1, 7],
        None,
        False,
    )
    assert (
        sampling_keywords(rows_of([Request("p", (9,), (1,))], seed=3)[0], Sampling(), (EOS,))["seed"] == second["seed"]
    )


def test_the_greedy_program_is_drawn_without_temperature_or_truncation():
    greedy = sampling_keywords(rows(greedy=True, stop=("\n#",))[0], Sampling(0.7, 0.9), (EOS,))
    assert greedy["temperature"] == 0.0
    assert "top_p" not in greedy
    assert (greedy["stop"], greedy["detokenize"]) == (["\n#"], True)


@pytest.mark.parametrize(
    ("answer", "stop", "length", "reason"),
    [
        (completion([4, 7, EOS], "stop", EOS), (), 3, FinishReason.EOS),
        (completion([4, 7, 8], "length"), (), 3, FinishReason.LENGTH),
        # tokens 4, 7, 8 read "ae", "ah", "ai" (see BarePolicy): "ea" is complete with the second one
        (completion([4, 7, 8], "stop", "ea"), ("ea",), 2, FinishReason.STOP),
        (completion([4, 7, EOS], "stop", EOS), ("ah",), 2, FinishReason.STOP),
    ],
)
def test_answers_become_samples(make_policy, answer, stop, length, reason):
    policy = make_policy(SimpleNamespace(config=SimpleNamespace(is_encoder_decoder=False)))
    row = rows(stop=stop)[1]
    sample = sample_of(policy, row, answer)
    assert (sample.request, sample.draw, sample.finish) == (0, 1, reason)
    assert sample.token_ids == tuple(answer.token_ids[:length])
    assert sample.logprobs == (0.0, -0.5, -1.0)[:length]


def test_weights_have_the_names_of_an_exported_folder_and_no_adapters():
    policy = tiny_causal(layers=1)
    names = {name for name, _ in exported_weights(policy)}
    assert "model.embed_tokens.weight" in names
    assert "model.layers.0.self_attn.q_proj.weight" in names
    assert "lm_head.weight" not in names  # tied


def test_the_start_of_vllm_leaves_the_random_state_of_the_process():
    def seeded(**options):
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)

    sampler = object.__new__(VLLMSampler)  # whose constructor asks for the package
    sampler._vllm, sampler._options, sampler._max_tokens = SimpleNamespace(LLM=seeded), {}, 64
    policy, seed = tiny_causal(layers=1), 20230
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    sampler._start(policy)
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected


def test_what_vllm_cannot_do_is_one_sentence(t5_policy, make_policy, monkeypatch):
    with pytest.raises(ValueError, match=r"generation=vllm serves causal models and T5ForConditionalGeneration is an"):
        check_supported(t5_policy, Sampling())
    with pytest.raises(ValueError, match=r"min_p=0.1 and top_p=0.9"):
        check_supported(tiny_causal(layers=1), Sampling(top_p=0.9, min_p=0.1))
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ValueError, match=r"generation=vllm needs the package vllm: install it with"):
        VLLMSampler()
