"""Draws tokens: one number of a row's own stream, put through the inverse of its cumulated distribution.

The number at position t of a row is a hash of (seed, problem id, draw index, t), so a program does not depend on what
shares its batch. Only floating point may make a difference: kernels of other batch shapes round logits differently by
about 1e-7, which moves a draw to the neighbouring token about once in a million tokens (float32).
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor

from rltf.policies.decoding import Kernels
from rltf.policies.distribution import log_probs, truncates, within_mass
from rltf.types import Sampling

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def row_key(seed: int, problem_id: str, draw: int) -> int:
    """The seed of one program's random stream, 64 bits; stable from run to run and machine to machine."""
    digest = hashlib.blake2b(f"{seed}\x1f{draw}\x1f{problem_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def uniforms(keys: list[int], length: int) -> Tensor:
    """Random numbers of several rows: (B, length) float32 in [0, 1).

    SplitMix64 started at each row's key (Steele, Lea and Flood 2014). 23 bits each, so that `u * total` stays below
    `total` in float32.
    """
    counter = (np.arange(1, length + 1, dtype=np.uint64) * _GOLDEN)[None]
    mixed = np.asarray(keys, dtype=np.uint64)[:, None] + counter
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return torch.from_numpy((mixed >> np.uint64(41)).astype(np.float32) * np.float32(2.0**-23))


def sample_tokens(
    logits_BV: Tensor,
    uniform_B: Tensor,
    sampling: Sampling,
    greedy_B: Tensor | None,
    kernels: Kernels | None = None,
    allow_host_sync: bool = True,
) -> tuple[Tensor, Tensor]:
    """The next token of each row and its log-probability under the distribution it was drawn from.

    Args:
        logits_BV: the model's logits.
        uniform_B: float32 in [0, 1).
        sampling: the distribution.
        greedy_B: bool, True for rows that take the most probable token (of equal ones the lowest id), with its
            log-probability under the untempered distribution; None: no row does.
        kernels: compiled ones, for float32 logits on the CPU; None: torch's.
        allow_host_sync: whether the host may wait for values of tensors, which lets it take a shorter way; not in a
            step that is captured as a graph.

    Returns:
        Tokens (B,) int64 and log-probs (B,) float32.
    """
    if kernels is not None and not truncates(sampling):
        return kernels.sample_tokens(logits_BV, uniform_B, sampling.temperature, greedy_B)
    logits_BV = logits_BV.float()
    if not truncates(sampling):
        tempered_BV = logits_BV if sampling.temperature == 1.0 else logits_BV / sampling.temperature
        token_B, logprob_B = _invert_cumulated(tempered_BV.softmax(-1), uniform_B)
    elif allow_host_sync and (small := _small_support(logits_BV / sampling.temperature, sampling)) is not None:
        mass_BK, token_BK = small
        index_B, logprob_B = _invert_cumulated(mass_BK, uniform_B)
        token_B = token_BK.gather(-1, index_B[:, None])[:, 0]
    else:
        token_B, logprob_B = _invert_cumulated(log_probs(logits_BV, sampling).exp(), uniform_B)
    if greedy_B is not None:
        top_logit_B, top_B = logits_BV.max(-1)
        token_B = torch.where(greedy_B, top_B, token_B)
        logprob_B = torch.where(greedy_B, top_logit_B - logits_BV.logsumexp(-1), logprob_B)
    return token_B, logprob_B


def _invert_cumulated(mass_BK: Tensor, uniform_B: Tensor) -> tuple[Tensor, Tensor]:
    """The first index of each row whose cumulated mass exceeds the row's number, so never one of mass 0, and the log of
    the mass there."""
    cumulated_BK = mass_BK.cumsum(-1)
    index_B1 = torch.searchsorted(cumulated_BK, uniform_B[:, None] * cumulated_BK[:, -1:], right=True)
    return index_B1[:, 0], mass_BK.gather(-1, index_B1).log_()[:, 0]


_SUPPORT_SIZES = (8, 64)
"""Numbers of most probable tokens that are tried before all are sorted: the support under top-p is mostly a handful,
and sorting a vocabulary costs as much as a small model's decode step."""


def _small_support(tempered_BV: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor] | None:
    """The renormalised mass (B, K) and the tokens (B, K) of the truncated distribution, in the order of ids, so that
    draws do not depend on the way here; None if some row has a larger support, or truncates between equal tokens."""
    total_B1 = tempered_BV.logsumexp(-1, keepdim=True)
    for size in (size for size in _SUPPORT_SIZES if size < tempered_BV.shape[-1]):
        if sampling.top_k >= size:
            continue
        value_BK, token_BK = tempered_BV.topk(size)
        if sampling.top_k > 0:
            total_B1 = value_BK[:, : sampling.top_k].logsumexp(-1, keepdim=True)
        support_BK = within_mass(value_BK, total_B1, sampling.top_p)
        if sampling.top_k > 0:
            support_BK[:, sampling.top_k :] = False
        if sampling.min_p > 0.0:
            support_BK &= value_BK >= value_BK[:, :1] + math.log(sampling.min_p)
        support_size_B1 = support_BK.sum(-1, keepdim=True)
        inside_B1 = support_size_B1 < size
        smallest_B1, next_B1 = (value_BK.gather(-1, (support_size_B1 - step).clamp(max=size - 1)) for step in (1, 0))
        if bool((inside_B1 & (smallest_B1 > next_B1)).all()):
            token_BK, order_BK = token_BK.sort(-1)
            mass_BK = value_BK.masked_fill(~support_BK, -math.inf).softmax(-1)
            return mass_BK.gather(-1, order_BK), token_BK
    return None
