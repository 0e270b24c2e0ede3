"""A sampler's first words: two greedy programs of unlike prompts, compared with transformers' own forward pass and with
what training computes of them.

A cache that does not fit a model, padding that a recurrent layer reads, a decoder that leaves out a term: all of them
draw text that looks like any other, and make every number of a run wrong. They show in these two programs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltf.generation.modes import eval_mode
from rltf.generation.sampler import Sampler
from rltf.generation.vllm import VLLMSampler
from rltf.policies.base import Policy
from rltf.types import Prompt, Request, Sample, Sampling

_QUESTIONS = ("Write a function that adds the first number of a list to the last one of another list.", "Add.")
_NEW_TOKENS = 8
_TOLERANCE = {torch.float32: 1e-2, torch.float64: 1e-2}
"""Nats. Samplers, trainer and transformers differ by 1e-5 in float32; a wrong cache, by a tenth at least."""
_HALF_TOLERANCE = 0.5


def check_sampler(policy: Policy, sampler: Sampler, max_new_tokens: int) -> None:
    """Refuses a sampler that does not draw from the policy, or a policy whose training does not see what was drawn.

    Args:
        policy: the policy, on any device.
        sampler: whatever draws; vLLM is not asked, since its first draw decides for which lengths it is started.
        max_new_tokens: of a program.

    Raises:
        ValueError: they disagree; one sentence.
    """
    if isinstance(sampler, VLLMSampler):
        return
    prompts = [policy.encode_prompt(Prompt(head="", question=question, tail="\n")) for question in _QUESTIONS]
    requests = [Request(f"self-check/{i}", ids, (), greedy=True) for i, ids in enumerate(prompts)]
    try:
        greedy = Sampling(max_new_tokens=min(_NEW_TOKENS, max_new_tokens))
        drawn = list(sampler.sample(policy, requests, greedy, seed=0))
    except (ValueError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # of transformers or torch, deep inside a model that has never met this cache
        raise ValueError(_refusal(policy, sampler, f"it ends in {type(error).__name__}: {error}")) from error
    samples = sorted(drawn, key=lambda sample: sample.request)
    stored = torch.cat([torch.tensor(sample.logprobs) for sample in samples])
    with eval_mode(policy):
        pairs = [_own(policy, prompt, sample) for prompt, sample in zip(prompts, samples, strict=True)]
        trained = _trained(policy, prompts, samples)
    own, best = torch.cat([logprobs for logprobs, _ in pairs]), torch.cat([most for _, most in pairs])
    tolerance = _TOLERANCE.get(policy.model.dtype, _HALF_TOLERANCE)
    for gap, what in (
        ((best - own).max(), "it draws less likely tokens than the best, by {:.2g} nats"),
        (
            (stored - own).abs().max(),
            "its log-probs differ by {:.2g} nats from transformers' own",
        ),
        ((trained - own).abs().max(), "log-probs of training differ by {:.2g} nats from transformers' own"),
    ):
        if not gap <= tolerance:
            raise ValueError(_refusal(policy, sampler, what.format(float(gap))))


def _refusal(policy: Policy, sampler: Sampler, reason: str) -> str:
    reason = " ".join(reason.split())
    return (
        f"generation: {type(sampler).__name__} does not serve a {type(policy.model).__name__} exactly ({reason}): "
        "expected a model that it serves; generation.self_check=false goes on all the same"
    )


def _own(policy: Policy, prompt: tuple[int, ...], sample: Sample) -> tuple[Tensor, Tensor]:
    """log-probs (T,) of the drawn tokens and of the most probable ones, by a forward pass without cache or padding."""
    model, device = policy.model, policy.model.device
    if model.config.is_encoder_decoder:
        inputs = {"decoder_input_ids": torch.tensor([(model.config.decoder_start_token_id, *sample.token_ids[:-1])])}
        ids, first = prompt, 0
    else:
        inputs, ids, first = {}, prompt + sample.token_ids[:-1], len(prompt) - 1
    on_device = {name: value.to(device) for name, value in inputs.items()}
    logits = model(input_ids=torch.tensor([ids], device=device), use_cache=False, **on_device).logits[0, first:]
    logprobs_TV = logits.float().log_softmax(-1).cpu()
    return logprobs_TV.gather(-1, torch.tensor(sample.token_ids)[:, None])[:, 0], logprobs_TV.amax(-1)


def _trained(policy: Policy, prompts: list[tuple[int, ...]], samples: list[Sample]) -> Tensor:
    """log-probs of the drawn tokens as training computes them: padded, and with each prompt shared by two rows."""
    rows = list(zip(prompts, samples, strict=True)) * 2
    width, length = max(map(len, prompts)), max(len(sample.token_ids) for sample in samples)
    prompt_BS, prompt_mask_BS = (torch.zeros(len(rows), width, dtype=kind) for kind in (torch.long, torch.bool))
    response_BT, mask_BT = (torch.zeros(len(rows), length, dtype=kind) for kind in (torch.long, torch.bool))
    prompt_BS += policy.pad_id
    for i, (prompt, sample) in enumerate(rows):
        at = slice(width - len(prompt), width) if policy.prompt_padding == "left" else slice(0, len(prompt))
        prompt_BS[i, at], prompt_mask_BS[i, at] = torch.tensor(prompt), True
        response_BT[i, : len(sample.token_ids)], mask_BT[i, : len(sample.token_ids)] = (
            torch.tensor(sample.token_ids),
            True,
        )
    device = policy.model.device
    logprobs_BT = policy.token_logprobs(
        prompt_BS.to(device), prompt_mask_BS.to(device), response_BT.to(device), mask_BT.to(device), entropy=False
    )[0].cpu()
    policy.token_count.pop_efficiency()  # these tokens are no training
    return logprobs_BT[: len(prompts)][mask_BT[: len(prompts)]]
