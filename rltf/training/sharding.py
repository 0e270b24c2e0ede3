"""`trainer=fsdp`: every process holds its part of weights, gradients and optimiser state (torch's `fully_shard`).

A training step gathers a layer's weights when it reaches it. Samplers read weights without running modules and as often
as they like, so they have a policy of their own, into which weights are gathered once a round of draws."""

from __future__ import annotations

import copy
import warnings

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
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
