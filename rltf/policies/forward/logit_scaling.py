"""What a model does to the products of its head: logits = cap * tanh(scale * product / cap)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class LogitScaling:
    """Two numbers between the products of a head and its logits; plain by default.

    Example:
        >>> import torch
        >>> LogitScaling(scale=0.5, cap=3.0).logits(torch.tensor([0.0, 2.0, 1000.0]))
        tensor([0.0000, 0.9645, 3.0000])
    """

    scale: float = 1.0
    """Granite's, Cohere's, Falcon-H1's."""
    cap: float | None = None
    """Bound that logits come close to (Gemma 2, RecurrentGemma, T5Gemma); None: there is none."""

    def logits(self, product: Tensor) -> Tensor:
        """Logits of the products, bias included, with gradient."""
        scaled = product if self.scale == 1.0 else product * self.scale
        return scaled if self.cap is None else (scaled / self.cap).tanh() * self.cap

    def logits_(self, product: Tensor) -> Tensor:
        """`logits` in place, without gradient."""
        if self.scale != 1.0:
            product.mul_(self.scale)
        return product if self.cap is None else product.div_(self.cap).tanh_().mul_(self.cap)

    def cap_slope(self, tempered: Tensor, temperature: float) -> Tensor | None:
        """Derivative of the capped logits by what is capped, 1 - tanh^2; None without a cap.

        Args:
            tempered: logits divided by the temperature.
            temperature: of sampling.
        """
        return None if self.cap is None else tempered.mul(temperature / self.cap).square_().neg_().add_(1.0)


PLAIN = LogitScaling()
"""Logits are the products."""
