"""The modes in which a model is run and decoded, and put back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradient: no dropout, no gradient checkpointing. The mode of every submodule is restored."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        # Not inference mode, even inside one: what a model keeps of its forward must be fit for training.
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def decode_mode(device: torch.device) -> Iterator[None]:
    """Inference mode without autocast, for code that reads weights in their own precision and runs no module."""
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        yield
