"""Rotary positions as complex numbers: neighbouring dimensions are one number, a position is one multiplication.

Llama pairs dimension j with j + D/2. Scores do not change when queries and keys are permuted alike, so its projections
are permuted once to bring pairs together (`neighbours`); CodeGen pairs neighbours already.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltf.policies.kernels import Kernels


def neighbours(heads: int, head_dim: int, device: torch.device) -> Tensor:
    """Order of a projection's outputs (heads * D,) that puts dimension j + D/2 of each head right behind j."""
    pairs = torch.arange(head_dim, device=device).view(2, -1).t().reshape(-1)
    return (torch.arange(heads, device=device)[:, None] * head_dim + pairs).reshape(-1)


def rotate_(x: Tensor, turn: Tensor, kernels: Kernels | None = None) -> None:
    """Turns the first 2 * r dimensions of each head, in place.

    Args:
        x: (A, heads, D), contiguous in D.
        turn: (A, 1, r) complex64.
        kernels: compiled ones, for a float32 x; None: torch's.
    """
    if kernels is not None:
        kernels.rotate_(x, turn)
        return
    part = x[..., : 2 * turn.shape[-1]]
    pairs = torch.view_as_complex(part.float().unflatten(-1, (-1, 2)))
    if x.dtype == torch.float32:
        pairs.mul_(turn)
    else:
        part.copy_(torch.view_as_real(pairs * turn).flatten(-2))
