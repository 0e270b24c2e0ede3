"""Training and state of networks that learn beside the policy: critics, and reward terms that learn."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, distributed, nn

from rltf.critics.network import CriticNetwork
from rltf.runs.files import CRITIC_FILE
from rltf.training.ranks import all_gather
from rltf.validation import OptionError, require

MAX_GRADIENT_NORM = 1.0

Item = TypeVar("Item")
"""What a learner learns from: rollouts, pairs of programs."""


class Learner(ABC, Generic[Item]):
    """A network and its optimiser, trained on the items of every iteration.

    Args:
        network: the network to train.
        lr: learning rate of AdamW.
        weight_decay: weight decay of AdamW.
        passes: passes over the items of each iteration; below 1: over a share of them, chosen anew each time.
        batch_size: items per optimiser step and process.
        weights: a file that `save` wrote, to start from; None: the body is the policy as it is when RL starts, the head
            is fresh.

    Raises:
        OptionError: an option is out of range, or there is no such file.
    """

    noun: ClassVar[str] = "critic"
    """Its name in messages."""
    file_name: ClassVar[str] = CRITIC_FILE
    """The file of a run that `weights` names."""

    def __init__(
        self,
        network: CriticNetwork,
        lr: float,
        weight_decay: float,
        passes: float,
        batch_size: int,
        weights: str | None,
    ) -> None:
        require("lr", lr, above=0)
        require("weight_decay", weight_decay, at_least=0)
        require("passes", passes, above=0)
        require("batch_size", batch_size, at_least=1, whole=True)
        if weights is not None and not Path(weights).expanduser().is_file():
            raise OptionError("weights", weights, f"the file {self.file_name} of a run, or null")
        self.network = network
        self._passes, self._batch_size, self._weights_file = passes, batch_size, weights
        self._optimizer = adamw(network.trainable_parameters().values(), lr, weight_decay)
        self._learned_iterations = 0
        self._device = torch.device("cpu")
        self._bfloat16 = False
        self._restored_state: Mapping[str, Any] | None = None

    @property
    def has_learned(self) -> bool:
        """True once it was trained, in this run or by the file it started from."""
        return self._learned_iterations > 0 or self._weights_file is not None

    @abstractmethod
    def batch_loss(self, items: Sequence[Item]) -> tuple[Tensor, int]:
        """(sum of the losses of the items or of their tokens, number of these)."""

    def learn(self, items: Sequence[Item], passes: float | None = None) -> dict[str, float]:
        """Trains the network on the items of an iteration; a collective call.

        Args:
            items: of this process.
            passes: passes over them; None: those of the constructor.

        Returns:
            Means over its optimiser steps: `loss`, and `grad_norm` before clipping; empty if there was no step.
        """
        count = math.ceil((self._passes if passes is None else passes) * len(items))
        generator = torch.Generator().manual_seed(self._learned_iterations)
        order: list[int] = []
        while len(order) < count:
            order += torch.randperm(len(items), generator=generator).tolist()
        self.network.train()
        steps = []
        for start in range(0, max(all_gather(count)), self._batch_size):
            steps.append(self._step([items[i] for i in order[start : min(start + self._batch_size, count)]]))
        self._learned_iterations += 1
        if not steps:
            return {}
        losses, norms = zip(*steps, strict=True)
        return {"loss": sum(losses) / len(steps), "grad_norm": sum(norms) / len(steps)}

    def _step(self, items: Sequence[Item]) -> tuple[float, float]:
        """Loss of all processes and gradient norm of one optimiser step."""
        self._optimizer.zero_grad()
        loss, count = torch.zeros((), device=self._device), 0
        if items:
            with self._precision():
                loss, count = self.batch_loss(items)
        loss = loss / max(1, sum(all_gather(count)))  # so that gradients of processes add up
        if items:
            loss.backward()
        parameters = list(self.network.trainable_parameters().values())
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            for weight in parameters:
                weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
                distributed.all_reduce(weight.grad)
        norm = torch.nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM)
        if torch.isfinite(norm):
            self._optimizer.step()
        return sum(all_gather(loss.detach().item())), norm.item()

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device.type, torch.bfloat16) if self._bfloat16 else nullcontext()

    def start(self, device: torch.device, mixed: bool = False) -> None:
        """Moves the network to a device and sets its weights; called when RL starts or resumes.

        Args:
            device: where the network stays.
            mixed: run its layers in bfloat16.

        Raises:
            ValueError: the weights are those of another network.
        """
        self._device, self._bfloat16 = device, mixed
        self.network.to(device)
        self.network.sync_from_policy()
        if self._restored_state is not None:
            self._load_weights(self._restored_state["weights"])
            self._optimizer.load_state_dict(dict(self._restored_state["optimizer"]))
            self._learned_iterations, self._restored_state = self._restored_state["rounds"], None
        elif self._weights_file is not None:
            path = Path(self._weights_file).expanduser()
            self._load_weights(torch.load(path, map_location="cpu", weights_only=True))

    def trained_weights(self) -> int:
        """Number of weights that it trains."""
        return sum(weight.numel() for weight in self.network.trainable_parameters().values())

    def save(self, path: Path) -> None:
        """Writes the trained weights, for the option `weights` of another run."""
        weights = self.network.trainable_parameters()
        torch.save({name: weight.detach().cpu() for name, weight in weights.items()}, path)

    def state_dict(self) -> dict[str, Any]:
        """Trained weights, optimiser state and number of learned iterations; the same on all processes."""
        if self._restored_state is not None:
            return dict(self._restored_state)
        weights = {name: weight.detach() for name, weight in self.network.trainable_parameters().items()}
        return {"weights": weights, "optimizer": self._optimizer.state_dict(), "rounds": self._learned_iterations}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Keeps a state that `state_dict` returned, until `start` restores it."""
        self._restored_state = state

    def _load_weights(self, weights: Mapping[str, Tensor]) -> None:
        parameters = self.network.trainable_parameters()
        for name, parameter in parameters.items():
            shape = tuple(weights[name].shape) if name in weights else None
            if shape != tuple(parameter.shape):
                raise ValueError(
                    f"{self.noun}: the weights that were saved are of another {self.noun}, {name} has shape {shape} "
                    f"there and {tuple(parameter.shape)} here: use the {self.noun} and the model of that run"
                )
        if unread := [name for name in weights if name not in parameters]:
            raise ValueError(
                f"{self.noun}: the weights that were saved hold {unread[0]}, which is not trained here: use the "
                f"{self.noun} and the model of that run, and its train_body"
            )
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])


def adamw(parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> torch.optim.AdamW:
    """The optimiser of a learner, which steps in one kernel."""
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)
