"""Weights that are not trained, those under LoRA's adapters: they are where they came from, and in no checkpoint."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def leave_out(module: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Drops them from the checkpoint's `state_dict`."""
    names = _frozen(module).keys()
    checkpoint["state_dict"] = {name: w for name, w in checkpoint["state_dict"].items() if name not in names}


def fill_in(module: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Adds the module's own to the checkpoint's `state_dict`, where it has one: a strategy that shards weights has
    loaded them by then, and left its frozen ones as they were."""
    if "state_dict" in checkpoint:
        checkpoint["state_dict"] = _frozen(module) | checkpoint["state_dict"]


def _frozen(module: nn.Module) -> dict[str, Tensor]:
    """By all of their names, of which tied weights have several."""
    named = module.named_parameters(remove_duplicate=False)
    return {name: weight.detach() for name, weight in named if not weight.requires_grad}
