"""Probability ratios and divergences of sampled tokens, safe in float32. B rows, T tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from rltf.types import RolloutBatch

MAX_LOG_RATIO = 20.0
"""exp(20) = 4.9e8: beyond every clip range, and far from the overflow of float32 at exp(88)."""


def in_support(logprobs_BT: Tensor, batch: RolloutBatch) -> Tensor:
    """bool_BT: real tokens that both the present and the behaviour distribution can draw.

    Under top-p, top-k or min-p a token of a stale program may have left the support: its log-prob is then -inf and
    has no usable gradient.
    """
    return batch.mask_BT & torch.isfinite(logprobs_BT) & torch.isfinite(batch.old_logprobs_BT)


def log_ratio(numerator_BT: Tensor, denominator_BT: Tensor) -> Tensor:
    """log(numerator / denominator) from log-probs, within +-`MAX_LOG_RATIO`; no gradient beyond."""
    return (numerator_BT - denominator_BT).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)


def k1(logprobs_BT: Tensor, reference_logprobs_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Per-token estimate of KL(policy || reference) for sampled tokens: log(policy / reference); may be negative.

    Returns:
        (k1_BT, bool_BT of tokens that both distributions can draw; k1_BT is 0 elsewhere).
    """
    k1_BT = logprobs_BT - reference_logprobs_BT
    finite_BT = torch.isfinite(k1_BT)
    return k1_BT.masked_fill(~finite_BT, 0.0), finite_BT


def k3(logprobs_BT: Tensor, reference_logprobs_BT: Tensor) -> Tensor:
    """Per-token estimate of KL(policy || reference): e^d - d - 1 with d = log(reference / policy). Never negative."""
    d_BT = log_ratio(reference_logprobs_BT, logprobs_BT)
    return torch.exp(d_BT) - d_BT - 1.0


def masked_mean(values_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Detached mean over real tokens; 0 when there are none."""
    values_BT = values_BT.detach().to(torch.float32).masked_fill(~mask_BT, 0.0)
    return values_BT.sum() / mask_BT.sum().clamp(min=1)


def masked_max(values_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Detached maximum over real tokens of values that are not negative; 0 when there are none."""
    values_BT = values_BT.detach().masked_fill(~mask_BT, 0.0)
    return values_BT.amax() if values_BT.numel() else values_BT.new_zeros(())


def policy_metrics(batch: RolloutBatch, entropy_BT: Tensor, version: int) -> dict[str, Tensor]:
    """Detached scalars: `policy/entropy` in nats a token, `policy/staleness_mean` and `_max` in optimiser steps.

    Args:
        batch: rollouts (not demonstrations, which no policy drew).
        entropy_BT: entropy of the policy's own distribution at each response token.
        version: optimiser steps done so far.
    """
    staleness_B = (version - batch.version_B).to(torch.float32)
    return {
        "policy/entropy": masked_mean(entropy_BT, batch.mask_BT),
        "policy/staleness_mean": staleness_B.mean(),
        "policy/staleness_max": staleness_B.amax(),
    }
