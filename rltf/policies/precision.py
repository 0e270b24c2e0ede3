"""Whether weights can learn in the type that they are kept in.

A step of RL moves a weight by about the learning rate, 1e-6 to 1e-5. Next to a weight of 0.02 a bfloat16 cannot hold
that (its neighbours are 1e-4 apart), and Adam's second moment is below what a float16 can hold, so that steps get any
size. So what is trained is kept in float32, and autocast multiplies in half precision (`trainer.precision=bf16-mixed`).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from rltf.validation import OptionError

_SAMPLE = 4096
"""Weights of a tensor that are looked at."""


def check_trained_weights(model: nn.Module) -> None:
    """Refuses a model whose trained weights are not float32 (or longer).

    Raises:
        OptionError: they are kept in half precision.
    """
    for weight in model.parameters():
        if weight.requires_grad and weight.is_floating_point() and weight.dtype not in (torch.float32, torch.float64):
            raise OptionError(
                "model.dtype",
                str(weight.dtype).removeprefix("torch."),
                "float32 where weights are trained, since their steps are lost or blown up in half precision: compute "
                "in it with trainer.precision=bf16-mixed, or train float32 adapters on such weights with model.lora",
            )


@torch.no_grad()
def movable_share(parameters: Iterable[nn.Parameter], step: float) -> float:
    """The share of weights that adding `step` changes; 1 without weights. Of large tensors a sample is looked at.

    Example:
        >>> movable_share([torch.nn.Parameter(torch.tensor([0.0, 1.0]))], 1e-8)
        0.5
    """
    movable = total = 0.0
    for parameter in parameters:
        values = getattr(parameter, "to_local", parameter.detach)().detach().flatten()
        if not len(values):
            continue
        sample = values[:: -(-len(values) // _SAMPLE)]
        movable += float((sample + step != sample).float().mean()) * len(values)
        total += len(values)
    return movable / total if total else 1.0
