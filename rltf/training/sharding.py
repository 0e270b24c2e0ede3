"""Weights that a process holds in part, and weights that a checkpoint leaves out.

`trainer=fsdp`: every process holds its part of weights, gradients and optimiser state (torch's `fully_shard`). A
training step gathers a layer's weights when it reaches it. Samplers read weights without running modules and as often
as they like, so they have a policy of their own, into which weights are gathered once per round of sampling.

Checkpoints, sharded or not, leave out frozen weights, e.g. those below LoRA's: the model's files have them."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from typing_extensions import override

from rltf.policies.base import Policy
from rltf.policies.compat import layer_class_names
from rltf.policies.quantization import is_quantized


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's strategy for sharded models, over all processes and without tensor parallelism. Checkpoints are one
    file, as with any other trainer."""

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    @override
    def setup_environment(self) -> None:
        # Private: the public argument `data_parallel_size` is wanted before the number of processes is known.
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


def shard_policy(policy: Policy) -> Policy:
    """A copy whose weights are sharded layer by layer; a collective call."""
    # No caller writes into the views that layers and `token_logprobs` return: gradients equal those of one process.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    policy = copy.deepcopy(policy)
    layers = layer_class_names(policy.model)
    for module in list(policy.modules()):
        if type(module).__name__ in layers:
            fully_shard(module)
    fully_shard(policy)
    register_fsdp_forward_method(policy, "token_logprobs")
    return policy


def copy_full_weights(source: Policy, target: Policy) -> None:
    """Copies the weights of a sharded policy into one that has all of them; a collective call."""
    with torch.no_grad():
        for target_weight, source_weight in zip(target.parameters(), source.parameters(), strict=True):
            target_weight.copy_(full_tensor(source_weight))


def full_tensor(tensor: Tensor) -> Tensor:
    """The value of a tensor that may be sharded; a collective call if it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def drop_frozen_weights(module: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Removes the module's frozen weights from the checkpoint's `state_dict`, with the scales of those in 4 bits."""
    frozen = _frozen_weights(module)
    scales = tuple(f"{name}." for name, weight in frozen.items() if is_quantized(weight))
    weights = checkpoint["state_dict"].items()
    checkpoint["state_dict"] = {n: w for n, w in weights if n not in frozen and not n.startswith(scales)}


def restore_frozen_weights(module: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Adds the module's own frozen weights to the checkpoint's `state_dict`. Without one it does nothing: a strategy
    that shards weights has loaded them by then, and left the frozen ones as they were."""
    if "state_dict" in checkpoint:
        checkpoint["state_dict"] = _frozen_weights(module) | checkpoint["state_dict"]


def _frozen_weights(module: nn.Module) -> dict[str, nn.Parameter]:
    """By all of their names, of which tied weights have several."""
    parameters = module.named_parameters(remove_duplicate=False)
    return {name: weight for name, weight in parameters if not weight.requires_grad}
