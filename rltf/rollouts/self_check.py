"""What a sampler draws first: two greedy programs of unlike prompts, compared with transformers' own forward pass and
with what training computes of them.

A cache that does not fit a model, padding that a recurrent layer reads, a decoder that leaves out a term: all of them
draw text that looks like any other, and make every number of a run wrong. They show in these two programs.
"""

from __future__ import annotations

import traceback

import torch
from torch import Tensor

from rltf.generation.modes import eval_mode, training_mode
from rltf.generation.sampler import Sampler
from rltf.generation.vllm import VLLMSampler
from rltf.policies.base import Policy
from rltf.policies.compat import decoder_prompt
from rltf.rollouts.collate import collate_programs
from rltf.types import Program, Prompt, Request, Sample, Sampling
from rltf.validation import sentence_of

_QUESTIONS = ("Write a function that adds the first number of a list to the last one of another list.", "Add.")
_NEW_TOKENS = 8
_TOLERANCE = 1e-2
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
        samples = sorted(sampler.sample(policy, requests, greedy, seed=0), key=lambda sample: sample.request)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # of transformers or torch, deep inside a model that has never met this cache
        if isinstance(error, ValueError) and _is_of_rltf(error):
            raise
        reason = f"it ends in {type(error).__name__}: {sentence_of(error)}"
        raise ValueError(_refusal(policy, sampler, reason)) from error
    with eval_mode(policy):
        references = [_reference(policy, prompt, sample) for prompt, sample in zip(prompts, samples, strict=True)]
    with training_mode(policy), policy.without_dropout():
        trained = _trained(policy, prompts, samples)
    sampled = torch.cat([torch.tensor(sample.logprobs) for sample in samples])
    reference, best = (torch.cat(logprobs) for logprobs in zip(*references, strict=True))
    in_half = any(weight.dtype in (torch.float16, torch.bfloat16) for weight in policy.model.parameters())
    tolerance = _HALF_TOLERANCE if in_half else _TOLERANCE  # weights that learn may be float32 beside frozen ones
    for gap, reason in (
        (best - reference, "it draws less likely tokens than the best, by {:.2g} nats"),
        ((sampled - reference).abs(), "its log-probs differ by {:.2g} nats from transformers' own"),
        ((trained - reference).abs(), "log-probs of training differ by {:.2g} nats from transformers' own"),
    ):
        if not gap.max() <= tolerance:
            raise ValueError(_refusal(policy, sampler, reason.format(float(gap.max()))))


def _refusal(policy: Policy, sampler: Sampler, reason: str) -> str:
    return (
        f"generation: {type(sampler).__name__} does not serve a {type(policy.model).__name__} exactly ({reason}): "
        "expected a model that it serves; generation.self_check=false goes on all the same"
    )


def _is_of_rltf(error: BaseException) -> bool:
    """Whether this package raised the error, whose words name a key then."""
    frames = list(traceback.walk_tb(error.__traceback__))
    return str(frames[-1][0].f_globals["__name__"]).startswith("rltf.")


def _reference(policy: Policy, prompt: tuple[int, ...], sample: Sample) -> tuple[Tensor, Tensor]:
    """log-probs (T,) of the drawn tokens and of the most probable ones, by a forward pass without cache or padding."""
    model, device = policy.model, policy.model.device
    if model.config.is_encoder_decoder:
        read_first = decoder_prompt(model, prompt)
        decoder_ids = torch.tensor([read_first + sample.token_ids[:-1]])
        inputs = {"decoder_input_ids": decoder_ids, "decoder_attention_mask": torch.ones_like(decoder_ids)}
        ids, first = prompt, len(read_first) - 1
    else:
        inputs, ids, first = {}, prompt + sample.token_ids[:-1], len(prompt) - 1
    on_device = {name: value.to(device) for name, value in inputs.items()}
    logits = model(input_ids=torch.tensor([ids], device=device), use_cache=False, **on_device).logits[0, first:]
    logprobs_TV = logits.float().log_softmax(-1).cpu()
    return logprobs_TV.gather(-1, torch.tensor(sample.token_ids)[:, None])[:, 0], logprobs_TV.amax(-1)


def _trained(policy: Policy, prompts: list[tuple[int, ...]], samples: list[Sample]) -> Tensor:
    """log-probs of the drawn tokens as training computes them: in its mode, where some layers have noise of their own,
    padded, and with each prompt shared by two rows."""
    programs = [
        Program("", "", prompt, sample.token_ids, (), sample.logprobs, sample.finish)
        for prompt, sample in zip(prompts, samples, strict=True)
    ]
    batch = collate_programs(programs * 2, policy.pad_id, policy.prompt_padding).to(policy.model.device)
    logprobs_BT, _ = policy.token_logprobs(
        batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.mask_BT, entropy=False
    )
    policy.token_count.pop_efficiency()  # these tokens are no training
    return logprobs_BT[: len(prompts)][batch.mask_BT[: len(prompts)]].cpu()
