"""Policies of every family with random weights, loaded as a user loads them, and transformers' own numbers of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent / "policies"))

from families import SEQ2SEQ, family_model
from models import greedy_by_generate
from policy_kinds import codegen_type, roberta_type

from rltf.policies.causal import CausalPolicy
from rltf.policies.compat import decoder_prompt, is_t5
from rltf.policies.distribution import log_probs
from rltf.policies.encoder_decoder import EncoderDecoderPolicy
from rltf.policies.load import pretrained
from rltf.policies.pretrained import TransformersPolicy
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.rollouts.collate import collate_programs
from rltf.types import Program, Prompt, Request, Sample, Sampling

CONTEXT, PROMPT_TOKENS, NEW = 320, 224, 12
QUESTIONS = ("add the first and the last number of xs", "sum", "return the larger of two numbers a and b as a string")
SAMPLING = Sampling(temperature=0.8, top_k=20, max_new_tokens=NEW)  # no top-p: rounding moves its border
PLAIN = Sampling()


def save_policy(name: str, folder: Path, context: int | None = CONTEXT, prompt_tokens: int = PROMPT_TOKENS) -> None:
    """Writes a model of a family with its tokenizer, as a user has it.

    Args:
        name: a key of `families.MATRIX`.
        folder: made if need be.
        context: positions of the model; None: those of `families.CONTEXT`.
        prompt_tokens: longest prompt.
    """
    tokenizer = roberta_type() if name in SEQ2SEQ else codegen_type()
    model = family_model(name, len(tokenizer) + 3, context)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    policy_class = CausalPolicy if name not in SEQ2SEQ else Seq2SeqPolicy if is_t5(model) else EncoderDecoderPolicy
    policy_class(model, tokenizer, prompt_tokens).export(folder)


def load_policy(folder: Path, prompt_tokens: int = PROMPT_TOKENS, **options: Any) -> TransformersPolicy:
    """The policy of a folder, loaded as a user loads it."""
    return pretrained(name=folder.name, path=str(folder), max_prompt_tokens=prompt_tokens, **options)


def requests_of(policy: TransformersPolicy, draws: int = 2) -> list[Request]:
    """Prompts of unlike lengths, each drawn greedily and `draws` times more."""
    prompts = [policy.encode_prompt(Prompt(head="", question=text, tail="\n")) for text in QUESTIONS]
    return [Request(f"p/{i}", ids, tuple(range(draws)), greedy=True) for i, ids in enumerate(prompts)]


def generated(policy: TransformersPolicy, request: Request) -> list[int]:
    """The greedy program by transformers' `generate`."""
    options: dict[str, Any] = {"eos_token_id": list(policy.end_ids), "pad_token_id": policy.pad_id}
    # BART's would end a program that is cut
    return greedy_by_generate(policy.model, request.prompt_ids, max_new_tokens=NEW, forced_eos_token_id=None, **options)


@torch.no_grad()
def one_row_logits(policy: TransformersPolicy, prompt: tuple[int, ...], response: tuple[int, ...]) -> Tensor:
    """Logits (T, V) that the tokens of a response are drawn from, by the model's own forward of this row alone."""
    inputs, read = {}, (*prompt, *response)
    if policy.model.config.is_encoder_decoder:
        inputs, read = {"input_ids": torch.tensor([prompt])}, (*decoder_prompt(policy.model, prompt), *response)
    ids = torch.tensor([read[:-1]])
    if inputs:  # T5Gemma would mask tokens that are its padding
        inputs |= {"decoder_input_ids": ids, "decoder_attention_mask": torch.ones_like(ids)}
    logits: Tensor = policy.model.eval()(**inputs or {"input_ids": ids}, use_cache=False).logits[0]
    return logits[len(read) - len(response) - 1 :]


def exact(
    policy: TransformersPolicy, requests: list[Request], samples: list[Sample], sampling: Sampling = SAMPLING
) -> Tensor:
    """log-probs of all tokens of the samples by `one_row_logits`."""
    parts = []
    for sample in samples:
        logits = one_row_logits(policy, requests[sample.request].prompt_ids, sample.token_ids)
        parts.append(log_probs(logits, sampling).gather(-1, torch.tensor(sample.token_ids)[:, None])[:, 0])
    return torch.cat(parts)


def batch_logprobs(
    policy: TransformersPolicy, requests: list[Request], samples: list[Sample], sampling: Sampling = SAMPLING
) -> Tensor:
    """log-probs of all tokens of the samples as training computes them, with gradient: one padded batch."""
    programs = [
        Program("p", "", requests[s.request].prompt_ids, s.token_ids, (), s.logprobs, s.finish) for s in samples
    ]
    batch = collate_programs(programs, policy.pad_id, policy.prompt_padding)
    tensors = (batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.mask_BT)
    return policy.token_logprobs(*tensors, sampling)[0][batch.mask_BT]


def gap(actual: Tensor, expected: Tensor) -> float:
    """The largest difference."""
    return float((actual - expected).detach().abs().max())
