"""Llama types with random weights that vLLM serves on a CPU, and what they are compared by."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from models import llama_model

from rltf.generation.vllm import VLLMSampler
from rltf.policies.causal import CausalPolicy
from rltf.policies.tiny import load_tokenizer
from rltf.types import Request, Sample, Sampling


def started_sampler(policy: CausalPolicy) -> VLLMSampler:
    """vLLM, started by a first draw whose warnings, all of other packages, are no errors; skips where it is not
    installed. It allows for 24 new tokens after the longest prompt."""
    with warnings.catch_warnings(action="ignore"):
        try:
            sampler = VLLMSampler(eager=True)
        except ValueError as why:
            pytest.skip(str(why))
        list(sampler.sample(policy, random_requests(draws=(0,)), Sampling(max_new_tokens=24), 0))
    return sampler


def random_llama(tied: bool) -> CausalPolicy:
    """4.5 M parameters in float32, with logits unlike enough that a wrong one shows."""
    tokenizer = load_tokenizer()
    torch.manual_seed(0)
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    model = llama_model(len(tokenizer), 256, inner=1024, heads=8, kv_heads=4, layers=4, tie_word_embeddings=tied, **ids)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 4 if parameter.dim() == 2 else 1
    return CausalPolicy(model, tokenizer, 64).eval()


def change(policy: CausalPolicy, seed: int, names: str = "") -> None:
    """Adds noise to the parameters whose name holds `names`, as steps of training do."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if names in name:
                size = 0.3 * parameter.square().mean().sqrt()
                parameter += size * torch.randn(parameter.shape, generator=generator)


def random_requests(**fields: Any) -> list[Request]:
    """Three prompts of 3, 17 and 40 tokens."""
    generator = torch.Generator().manual_seed(0)
    prompts = [tuple(torch.randint(4, 200, (n,), generator=generator).tolist()) for n in (3, 17, 40)]
    return [Request(f"p{i}", ids, **{"draws": (0, 1, 2, 3), **fields}) for i, ids in enumerate(prompts)]


def by_name(samples: Iterable[Sample]) -> dict[tuple[int, int], Sample]:
    return {(sample.request, sample.draw): sample for sample in samples}


def gap_to_trainer(
    policy: CausalPolicy, requests: list[Request], samples: dict[tuple[int, int], Sample], sampling: Sampling
) -> float:
    """Largest difference in nats between a sampled log-prob and the trainer's."""
    gaps = []
    for sample in samples.values():
        request = requests[sample.request]
        prompt = torch.tensor([[*request.prompt_ids, *request.prefix_ids]])
        response = torch.tensor([sample.token_ids])
        masks = [torch.ones_like(ids, dtype=torch.bool) for ids in (prompt, response)]
        how = None if sample.draw == -1 else sampling
        with torch.no_grad():
            expected = policy.token_logprobs(prompt, masks[0], response, masks[1], how)[0][0]
        gaps.append(float((expected - torch.tensor(sample.logprobs)).abs().max()))
    return max(gaps)
