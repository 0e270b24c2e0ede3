"""The distribution that programs are drawn from: the sampler draws from it, the trainer takes log-probs under it.

Order: temperature, top-k, top-p, min-p, then one renormalisation; the order of transformers, so that other tools agree.
Top-p counts its mass after top-k, on the distribution renormalised over the k tokens left.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rltf.types import Sampling
from rltf.validation import require


def log_probs(logits: Tensor, sampling: Sampling) -> Tensor:
    """Log-probabilities of the tempered, truncated and renormalised distribution, with gradient.

    Args:
        logits: (..., V), any floating type.
        sampling: all but its `max_new_tokens`.

    Returns:
        (..., V) float32; `-inf` outside the support. A token that the sampler drew from other weights can lie outside
        the support of these: its log-prob is then `-inf`.

    Example:
        >>> log_probs(torch.tensor([0.0, 0.0, -9.0]), Sampling(top_k=2)).exp()
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
    """The support of the distribution, (..., V) bool: the tokens that truncation keeps. At least the most probable one
    does; of equal ones the lower id goes first.

    Args:
        tempered: (..., V) logits divided by the temperature, float32 or float64.
        sampling: its `top_k`, `top_p` and `min_p`.
    """
    if sampling.min_p > 0.0:
        inside = tempered >= tempered.amax(-1, keepdim=True) + math.log(sampling.min_p)
    else:
        inside = torch.ones_like(tempered, dtype=torch.bool)
    if sampling.top_p < 1.0 or 0 < sampling.top_k < tempered.shape[-1]:
        inside &= _top_ranked(tempered, sampling)
    return inside


def check_sampling(sampling: Sampling, key: str = "generation.sampling") -> None:
    """Refuses values with which no program can be drawn.

    Args:
        sampling: what the user asked for.
        key: path of `sampling` in the config.

    Raises:
        OptionError: a value is out of range.
    """
    require(f"{key}.temperature", sampling.temperature, above=0)
    require(f"{key}.top_p", sampling.top_p, above=0, at_most=1)
    require(f"{key}.top_k", sampling.top_k, at_least=0, whole=True)
    require(f"{key}.min_p", sampling.min_p, at_least=0, at_most=1)
    require(f"{key}.max_new_tokens", sampling.max_new_tokens, at_least=1, whole=True)


def _top_ranked(tempered: Tensor, sampling: Sampling) -> Tensor:
    """The support under top-k and top-p, (..., V) bool: the first of the tokens sorted by falling probability."""
    ranked, order = tempered.sort(dim=-1, descending=True, stable=True)
    top = ranked[..., : sampling.top_k] if sampling.top_k > 0 else ranked
    inside_top = within_mass(top, top.logsumexp(-1, keepdim=True), sampling.top_p)
    inside = torch.zeros_like(tempered, dtype=torch.bool)
    return inside.scatter_(-1, order[..., : top.shape[-1]], inside_top)


def within_mass(ranked: Tensor, total: Tensor, top_p: float) -> Tensor:
    """The fewest tokens that reach a share of the mass.

    Args:
        ranked: (..., K) log-masses, falling.
        total: (..., 1) logarithm of the whole mass.
        top_p: the share; 1 needs all.

    Returns:
        (..., K) bool: True for the first tokens, at least one.
    """
    if top_p >= 1.0:
        return torch.ones_like(ranked, dtype=torch.bool)
    mass = (ranked - total).exp()
    # A token stays while the mass before it falls short of p; float64 because thousands of masses add up.
    inside = mass.cumsum(-1, dtype=torch.float64) - mass < top_p
    inside[..., 0].fill_(True)
    return inside
