"""The plain reference sampler (`generation=hf`): transformers' own forward and cache, one padded batch at a time.

It draws from the same random streams as the native engine, so both give the same programs up to rounding. It repeats a
prompt for each of its samples, and holds finished rows until their batch ends: that is what makes it slow.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache

from rltf.generation.modes import eval_mode
from rltf.generation.rows import Row, check_lengths, response_end, rows_of, sample_of
from rltf.generation.token_sampling import sample_tokens, uniforms
from rltf.policies.base import Policy
from rltf.policies.compat import decoder_prompt, forget_layer_states
from rltf.policies.distribution import check_sampling
from rltf.types import Request, Sample, Sampling
from rltf.validation import require

Step = Callable[[Tensor | None], Tensor]
"""Last tokens (B,), None at first -> logits of the next ones (B, V)."""


class HFSampler:
    """Implements `rltf.generation.sampler.Sampler` for models of transformers that decode padded prompts with a cache.

    Args:
        max_rows: rows in one batch.
    """

    def __init__(self, max_rows: int = 64) -> None:
        require("max_rows", max_rows, at_least=1, whole=True)
        self.max_rows = max_rows

    def sample(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        """Yields the samples of each batch when its last row has finished."""
        check_sampling(sampling)
        check_lengths(policy, requests, sampling)
        for batch in _batches(policy, rows_of(requests, seed), self.max_rows):
            with torch.no_grad(), eval_mode(policy.model):
                samples = _draw(policy, batch, sampling)
            yield from samples


def _batches(policy: Policy, rows: list[Row], size: int) -> Iterator[list[Row]]:
    """Rows whose prefixes are equally long, so that only prompts need padding; and whose prompts are, where the model
    would read that."""

    def lengths(row: Row) -> tuple[int, int]:
        return len(row.request.prefix_ids), len(row.request.prompt_ids) if policy.reads_padding else 0

    for _, group in groupby(sorted(rows, key=lengths), lengths):
        equal_rows = list(group)
        yield from (equal_rows[start : start + size] for start in range(0, len(equal_rows), size))


def _draw(policy: Policy, rows: list[Row], sampling: Sampling) -> list[Sample]:
    step = (_seq2seq if policy.model.config.is_encoder_decoder else _causal)(policy, rows)
    device = policy.model.device
    uniform_BT = uniforms([row.key for row in rows], sampling.max_new_tokens).to(device)
    greedy_B = torch.tensor([row.greedy for row in rows], device=device)
    ids: list[list[int]] = [[] for _ in rows]
    logprobs: list[list[float]] = [[] for _ in rows]
    samples: dict[int, Sample] = {}
    token_B: Tensor | None = None
    for t in range(sampling.max_new_tokens):
        token_B, logprob_B = sample_tokens(step(token_B), uniform_BT[:, t], sampling, greedy_B)
        tokens, token_logprobs = token_B.tolist(), logprob_B.tolist()
        for i in range(len(rows)):
            if i in samples:
                continue
            ids[i].append(tokens[i])
            logprobs[i].append(token_logprobs[i])
            if end := response_end(policy, rows[i], ids[i], sampling.max_new_tokens):
                samples[i] = sample_of(rows[i], ids[i], logprobs[i], *end)
        if len(samples) == len(rows):
            break
    return [samples[i] for i in range(len(rows))]


def _seq2seq(policy: Policy, rows: list[Row]) -> Step:
    model = policy.model
    prompt_BS, mask_BS = _padded([row.request.prompt_ids for row in rows], policy, "right")
    encoded = model.get_encoder()(input_ids=prompt_BS, attention_mask=mask_BS, return_dict=True)
    first_inputs = [decoder_prompt(model, row.request.prompt_ids) + row.request.prefix_ids for row in rows]
    first_ids, decoder_mask = _padded(first_inputs, policy, "left")
    is_padded = not decoder_mask.all()  # where the decoder reads prompts, too
    # Passed in because transformers sizes the one it makes by the encoder's depth (T5 with a deeper decoder fails).
    # T5Gemma's windows are in the configuration of its decoder.
    config = getattr(model.get_decoder(), "config", None)
    own = DynamicCache(config=config) if getattr(config, "layer_types", None) else DynamicCache()
    cache = EncoderDecoderCache(own, DynamicCache())

    def step(token_B: Tensor | None) -> Tensor:
        nonlocal decoder_mask
        if token_B is not None:
            decoder_mask = torch.cat([decoder_mask, decoder_mask.new_ones(len(rows), 1)], 1)
        ids = first_ids if token_B is None else token_B[:, None]
        out = model(
            encoder_outputs=encoded,
            attention_mask=mask_BS,
            decoder_input_ids=ids,
            decoder_attention_mask=decoder_mask if is_padded else None,
            past_key_values=cache,
            use_cache=True,
        )
        return out.logits[:, -1]

    return step


def _causal(policy: Policy, rows: list[Row]) -> Step:
    model = policy.model
    prompt_BS, prompt_mask_BS = _padded(
        [row.request.prompt_ids + row.request.prefix_ids for row in rows], policy, "left"
    )
    mask_BS = prompt_mask_BS
    parameters = inspect.signature(model.forward).parameters
    # By the configuration, since hybrid models have layers of several kinds; recurrent ones call it otherwise.
    cache = {"cache_params" if "cache_params" in parameters else "past_key_values": DynamicCache(config=model.config)}
    takes_positions = "position_ids" in parameters
    if policy.reads_padding:  # no row has any, and Mamba reads a mask beside a single token as one of that token
        forget_layer_states(model)

    def step(token_B: Tensor | None) -> Tensor:
        nonlocal mask_BS
        if token_B is not None:
            mask_BS = torch.cat([mask_BS, mask_BS.new_ones(len(rows), 1)], 1)
        ids = prompt_BS if token_B is None else token_B[:, None]
        position_BS = (mask_BS.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        positions = {"position_ids": position_BS} if takes_positions else {}
        mask = None if policy.reads_padding else mask_BS
        out = model(input_ids=ids, attention_mask=mask, use_cache=True, **cache, **positions)
        return out.logits[:, -1]

    return step


def _padded(prompts: list[tuple[int, ...]], policy: Policy, side: str) -> tuple[Tensor, Tensor]:
    """Token ids (B, S) and their mask (B, S), int64 both."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), policy.pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, prompt in enumerate(prompts):
        at = slice(0, len(prompt)) if side == "right" else slice(width - len(prompt), width)
        ids[i, at] = torch.tensor(prompt)
        mask[i, at] = 1
    return ids.to(policy.model.device), mask.to(policy.model.device)
