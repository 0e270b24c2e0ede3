"""The modes in which a model is run and decoded, and put back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn


def eval_mode(model: nn.Module) -> AbstractContextManager[None]:
    """Eval mode without gradient: no dropout, no gradient checkpointing. The mode of every submodule is restored."""
    return _mode(model, training=False)


def training_mode(model: nn.Module) -> AbstractContextManager[None]:
    """Training mode without gradient: layers compute what they do in training. The mode of every submodule is
    restored."""
    return _mode(model, training=True)


@contextmanager
def _mode(model: nn.Module, training: bool) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        # Not inference mode, even inside one: what a model keeps of its forward must be fit for training.
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def decode_mode(device: torch.device) -> Iterator[None]:
    """Inference mode without autocast, for code that reads weights in their own precision and runs no module."""
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        yield
