"""What may differ between two ways to compute the same samples: other processors, threads, batch shapes and kernels
round logits differently by 1e-7 to 1e-6. That moves a draw whose number lies at the border of two tokens to the other
one, and a cut of the distribution that falls between two tokens by a whole token. All else is a mistake."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from rltf.generation.rows import GREEDY_DRAW
from rltf.generation.token_sampling import row_key, uniforms
from rltf.policies.compat import decoder_prompt
from rltf.policies.distribution import support, truncates
from rltf.types import Request, Sample, Sampling

BORDER = 2e-6
"""Share of the mass by which rounding may move a draw or a cut."""
LOGIT_BORDER = 3e-5
"""Difference of two logits that rounding may turn round."""
LEAST_COMPARED = 0.99
"""Share of the tokens that must be compared, or such borders are not what sets the samples apart."""

Samples = Mapping[tuple[int, int], Sample]
"""By request and draw."""


def teacher_forced(policy: Any, request: Request, token_ids: tuple[int, ...]) -> Tensor:
    """(T, V) logits of a response under one full forward without a cache."""
    model = policy.model.eval()
    drawn = torch.tensor([request.prefix_ids + token_ids])
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            start = torch.tensor([decoder_prompt(model, request.prompt_ids)])
            out = model(
                input_ids=torch.tensor([request.prompt_ids]), decoder_input_ids=torch.cat([start, drawn], 1)[:, :-1]
            )
            return out.logits[0, start.shape[1] - 1 + len(request.prefix_ids) :]
        out = model(input_ids=torch.cat([torch.tensor([request.prompt_ids]), drawn], 1))
        return out.logits[0, len(request.prompt_ids) + len(request.prefix_ids) - 1 : -1]


def exact_logits(policy: Any, request: Request, token_ids: tuple[int, ...]) -> Tensor:
    """(T, V) float64 logits of a response."""
    return teacher_forced(SimpleNamespace(model=copy.deepcopy(policy.model).double()), request, token_ids)


def cuts_at_a_border(logits: Tensor, sampling: Sampling) -> Tensor:
    """(...) bool: whether rounding may change which tokens truncation keeps, from logits (..., V) in float64."""
    ranked = (logits / sampling.temperature).sort(-1, descending=True).values
    near = torch.zeros(logits.shape[:-1], dtype=torch.bool)
    if 0 < sampling.top_k < logits.shape[-1]:
        near |= ranked[..., sampling.top_k - 1] - ranked[..., sampling.top_k] < LOGIT_BORDER
        ranked = ranked[..., : sampling.top_k]
    if sampling.top_p < 1.0:
        near |= (ranked.softmax(-1).cumsum(-1) - sampling.top_p).abs().amin(-1) < BORDER
    if sampling.min_p > 0.0:
        near |= (ranked - ranked[..., :1] - math.log(sampling.min_p)).abs().amin(-1) < LOGIT_BORDER
    return near


def distance(logits: Tensor, token: int, number: float, sampling: Sampling) -> float:
    """How much of the mass lies between a number and the part of a token, 0 for the token that the number draws.

    Args:
        logits: (V,) float64.
        token: the one that was drawn.
        number: in [0, 1).
        sampling: the distribution.
    """
    tempered = logits / sampling.temperature
    if truncates(sampling):
        tempered = tempered.masked_fill(~support(tempered, sampling), -math.inf)
    mass = tempered.softmax(-1)
    if mass[token] == 0:
        return math.inf
    end = float(mass[: token + 1].sum())
    return max(0.0, number - end, end - float(mass[token]) - number)


def may_be_drawn(
    policy: Any, request: Request, draw: int, token_ids: tuple[int, ...], sampling: Sampling, seed: int
) -> bool:
    """Whether the last of these tokens is the one to draw after the others, or another that rounding may put there."""
    logits = exact_logits(policy, request, token_ids)[-1]
    if draw == GREEDY_DRAW:
        return bool(logits.max() - logits[token_ids[-1]] < LOGIT_BORDER)
    if cuts_at_a_border(logits, sampling):
        return True
    number = uniforms([row_key(seed, request.problem_id, draw)], len(token_ids))[0, -1]
    return distance(logits, token_ids[-1], float(number), sampling) < BORDER


def shifted_log_probs(
    policy: Any, request: Request, sample: Sample, expected: Tensor, sampling: Sampling, atol: float
) -> int:
    """How many log-probs are not those expected because rounding moved a cut; any other difference is raised.

    Args:
        policy: that drew the sample.
        request: of the sample.
        sample: its first log-probs are checked.
        expected: (T,) of its first tokens.
        sampling: the distribution.
        atol: how far each may be from the one expected.
    """
    logprobs = torch.tensor(sample.logprobs[: len(expected)], dtype=expected.dtype)
    if torch.allclose(logprobs, expected, rtol=0, atol=atol):
        return 0
    errors = ~torch.isclose(logprobs, expected, rtol=0, atol=atol)
    shifts = int(errors.sum())
    if sample.draw != GREEDY_DRAW:
        errors &= ~cuts_at_a_border(exact_logits(policy, request, sample.token_ids[: len(expected)]), sampling)
    assert not errors.any(), f"no cut explains the log-probs {logprobs[errors]} instead of {expected[errors]}"
    return shifts


def assert_same(
    policy: Any,
    requests: Sequence[Request],
    ours: Samples,
    theirs: Samples,
    sampling: Sampling,
    seed: int = 0,
    atol: float | None = None,
) -> None:
    """Raises unless all samples are the same up to rounding: two may part at a token whose number (or cut) lies at a
    border in float64, and are not compared from there on. One may always; more, where 99 % of tokens are compared.

    Args:
        policy: that drew them, with the weights of that time.
        requests: that were asked.
        ours: one side.
        theirs: the other.
        sampling: the distribution.
        seed: of the draws.
        atol: how far log-probs may lie apart; None: they are not compared.
    """
    assert ours.keys() == theirs.keys()
    tokens = omissions = partings = 0
    for (index, draw), sample in ours.items():
        other, request = theirs[index, draw], requests[index]
        pairs = zip(sample.token_ids, other.token_ids, strict=False)
        common = next((i for i, (token, another) in enumerate(pairs) if token != another), None)
        if common is None:
            assert (sample.token_ids, sample.finish) == (other.token_ids, other.finish)
            common = len(sample.token_ids)
        else:
            for ids in (sample.token_ids, other.token_ids):
                assert may_be_drawn(policy, request, draw, ids[: common + 1], sampling, seed), (
                    f"draw {draw} of request {index} is {sample.token_ids} and {other.token_ids}: no border sets token "
                    f"{common} apart"
                )
            omissions += len(sample.token_ids) - common
            partings += 1
        tokens += len(sample.token_ids)
        if atol is not None:
            expected = torch.tensor(other.logprobs[:common], dtype=torch.float64)
            shifts = shifted_log_probs(policy, request, sample, expected, sampling, atol)
            omissions, partings = omissions + shifts, partings + bool(shifts)
    assert partings <= 1 or omissions <= (1 - LEAST_COMPARED) * tokens, (
        f"{partings} of {len(ours)} samples part at borders, and {omissions} of {tokens} tokens are not compared"
    )
