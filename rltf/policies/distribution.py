"""The distribution that programs are drawn from: the sampler draws from it, the trainer takes log-probs under it.

Order: temperature, top-k, top-p, min-p, then one renormalisation; the order of transformers, so that other tools agree.
Top-p counts its mass after top-k, on the distribution renormalised over the k tokens left.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rltf.types import Sampling


def log_probs(logits: Tensor, sampling: Sampling) -> Tensor:
    """log-probabilities of the tempered, truncated and renormalised distribution, with gradient.

    Args:
        logits: (..., V), any floating type.
        sampling: `max_new_tokens` plays no part.

    Returns:
        (..., V) float32; `-inf` outside the support. A token that the sampler drew from other weights can lie outside
        the support of these: its log-prob is then `-inf`.

    Example:
        >>> warp(torch.tensor([0.0, 0.0, -9.0]), Sampling(top_k=2)).exp()
        tensor([0.5000, 0.5000, 0.0000])
    """
    tempered = logits.float()
    if sampling.temperature != 1.0:
        tempered = tempered / sampling.temperature
    if truncates(sampling):
        tempered = tempered.masked_fill(~support(tempered.detach(), sampling), -math.inf)
    return tempered.log_softmax(-1)


def truncates(sampling: Sampling) -> bool:
    """Whether `sampling` can drop any token."""
    return sampling.top_p < 1.0 or sampling.top_k > 0 or sampling.min_p > 0.0


def support(tempered: Tensor, sampling: Sampling) -> Tensor:
    """Which tokens stay: (..., V) bool. At least the most probable one does; of equal ones the lower id goes first.

    Args:
        tempered: (..., V) logits divided by the temperature, float32 or float64.
        sampling: its `top_k`, `top_p` and `min_p`.
    """
    if sampling.min_p > 0.0:
        kept = tempered >= tempered.amax(-1, keepdim=True) + math.log(sampling.min_p)
    else:
        kept = torch.ones_like(tempered, dtype=torch.bool)
    if sampling.top_p < 1.0 or 0 < sampling.top_k < tempered.shape[-1]:
        kept &= _first_by_rank(tempered, sampling)
    return kept


def check_sampling(sampling: Sampling, key: str = "generation.sampling") -> None:
    """Raises a one-sentence `ValueError` for a value no program can be drawn with.

    Args:
        sampling: what the user asked for.
        key: where in the config it stands.
    """
    if not 0.0 < sampling.temperature < math.inf:
        raise ValueError(
            f"{key}.temperature is {sampling.temperature}: expected a number above 0 (greedy programs need none)"
        )
    if not 0.0 < sampling.top_p <= 1.0:
        raise ValueError(f"{key}.top_p is {sampling.top_p}: expected a number above 0 and up to 1")
    if sampling.top_k < 0:
        raise ValueError(f"{key}.top_k is {sampling.top_k}: expected 0 (all tokens) or a positive number of tokens")
    if not 0.0 <= sampling.min_p <= 1.0:
        raise ValueError(f"{key}.min_p is {sampling.min_p}: expected a number from 0 to 1")
    if sampling.max_new_tokens < 1:
        raise ValueError(f"{key}.max_new_tokens is {sampling.max_new_tokens}: expected at least 1 token")


def _first_by_rank(tempered: Tensor, sampling: Sampling) -> Tensor:
    """Top-k and top-p: both keep a head of the tokens sorted by falling probability."""
    ranked, order = tempered.sort(dim=-1, descending=True, stable=True)
    head = ranked[..., : sampling.top_k] if sampling.top_k > 0 else ranked
    head_kept = within_mass(head, head.logsumexp(-1, keepdim=True), sampling.top_p)
    kept = torch.zeros_like(tempered, dtype=torch.bool)
    return kept.scatter_(-1, order[..., : head.shape[-1]], head_kept)


def within_mass(ranked: Tensor, total: Tensor, top_p: float) -> Tensor:
    """Which tokens are needed to reach a share of the mass.

    Args:
        ranked: (..., K) log-masses, falling.
        total: (..., 1) logarithm of the whole mass.
        top_p: the share; 1 needs all.

    Returns:
        (..., K) bool: a head, of at least one token.
    """
    if top_p >= 1.0:
        return torch.ones_like(ranked, dtype=torch.bool)
    mass = (ranked - total).exp()
    # A token stays while the mass before it falls short of p; float64 because thousands of masses add up.
    kept = mass.cumsum(-1, dtype=torch.float64) - mass < top_p
    kept[..., 0].fill_(True)
    return kept
