"""`trainer=fsdp`: every process holds its part of weights, gradients and optimiser state (torch's `fully_shard`).

A training step gathers a layer's weights when it reaches it. Samplers read weights without running modules and as often
as they like, so they have a policy of their own, into which weights are gathered once a round of draws."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from rltf.policies.base import Policy


class Sharded(ModelParallelStrategy):
    """Lightning's strategy for sharded models, over all processes and without tensor parallelism. Checkpoints are one
    file, as with any other trainer."""

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        """The number of processes is known by now."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


def sharded(policy: Policy) -> Policy:
    """A copy whose weights are cut up, layer by layer; all processes ask together."""
    # Nobody writes into what a layer or `token_logprobs` gives: gradients equal those of one process.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    policy = copy.deepcopy(policy)
    layers = set(policy.model._no_split_modules or ())
    for module in list(policy.modules()):
        if type(module).__name__ in layers:
            fully_shard(module)
    fully_shard(policy)
    register_fsdp_forward_method(policy, "token_logprobs")
    return policy


def copy_weights(source: Policy, target: Policy) -> None:
    """The whole weights of a sharded policy; all processes ask together."""
    with torch.no_grad():
        for old, new in zip(target.parameters(), source.parameters(), strict=True):
            old.copy_(whole(new))


def whole(tensor: Tensor) -> Tensor:
    """The value of a tensor that is spread over processes; all ask together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


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
