"""What all critics share: they read every harvest, then learn from it, and are saved with the run.

What a critic says of a program it says before it has learned from it, so every figure on it is of unseen programs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, distributed

from rltf.critics.network import CriticNetwork
from rltf.rollouts.batch import collate_programs
from rltf.training.ranks import all_gather
from rltf.types import CriticReading, Rollout, RolloutBatch

MAX_GRADIENT = 1.0
READ_ROWS = 64
"""Programs read together, without gradient."""


class Critic(ABC):
    """A network, its optimiser, and what it makes of programs. B rows, T response tokens.

    Args:
        network: what is trained.
        pad_id, prompt_padding: of the policy.
        lr: learning rate of AdamW.
        weight_decay: of AdamW.
        passes: over each harvest; below 1: over a share of its programs, drawn anew each time.
        batch_size: programs an optimiser step and process.
        weights: a `critic.pt` to begin from; None: the body is the policy as it is when RL begins, the head is fresh.

    Raises:
        ValueError: a number is out of range, or there is no such file.
    """

    kind: ClassVar[Literal["outcome", "value"]]

    def __init__(
        self,
        network: CriticNetwork,
        pad_id: int,
        prompt_padding: str,
        lr: float,
        weight_decay: float,
        passes: float,
        batch_size: int,
        weights: str | None,
    ) -> None:
        for key, value in (("lr", lr), ("passes", passes), ("batch_size", batch_size)):
            if not value > 0:
                raise ValueError(f"critic.{key} is {value}: expected a number above 0")
        if weights is not None and not Path(weights).expanduser().is_file():
            raise ValueError(f"critic.weights={weights} is no file: expected the critic.pt of a run, or null")
        self.network = network
        self._pad, self._passes, self._size, self._weights = (pad_id, prompt_padding), passes, batch_size, weights
        self._optimizer = torch.optim.AdamW(network.trained().values(), lr=lr, weight_decay=weight_decay, fused=True)
        self._rounds = 0
        """Harvests it has learned from."""
        self._device = torch.device("cpu")
        self._mixed = False
        self._restored: Mapping[str, Any] | None = None

    @property
    def has_learned(self) -> bool:
        """From a harvest, or in the run whose weights it began with."""
        return self._rounds > 0 or self._weights is not None

    # -------------------------------------------------------------------------------------------- what it says

    @abstractmethod
    def predict(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> list[CriticReading]:
        """What the network says of each row."""

    @abstractmethod
    def loss(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> tuple[Tensor, int]:
        """A sum over rows or tokens, with gradient, and how many."""

    def read(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts of a harvest with what the critic says of them."""
        self.network.eval()
        found: list[Rollout] = []
        with torch.no_grad(), self._precision():
            for start in range(0, len(rollouts), READ_ROWS):
                chosen = rollouts[start : start + READ_ROWS]
                said = self.predict(self._batch(chosen), chosen)
                found += [replace(rollout, critic=one) for rollout, one in zip(chosen, said, strict=True)]
        return found

    # -------------------------------------------------------------------------------------------- learning

    def learn(self, rollouts: Sequence[Rollout], passes: float | None = None) -> dict[str, float]:
        """`passes` (its own, if None) over the sampled programs of a harvest; all processes together. Means over its
        steps: `loss`, and `grad_norm` before clipping."""
        sampled = [rollout for rollout in rollouts if not rollout.program.greedy]
        wanted = math.ceil((self._passes if passes is None else passes) * len(sampled))
        draw = torch.Generator().manual_seed(self._rounds)
        order: list[int] = []
        while len(order) < wanted:
            order += torch.randperm(len(sampled), generator=draw).tolist()
        self.network.train()
        found = []
        for start in range(0, max(all_gather(wanted)), self._size):
            chosen = [sampled[i] for i in order[start : min(start + self._size, wanted)]]
            found.append(self._step(chosen))
        self._rounds += 1
        if not found:
            return {}
        return {
            name: sum(values) / len(found)
            for name, values in zip(("loss", "grad_norm"), zip(*found, strict=True), strict=True)
        }

    def _step(self, rollouts: Sequence[Rollout]) -> tuple[float, float]:
        self._optimizer.zero_grad()
        loss, count = torch.zeros((), device=self._device), 0
        if rollouts:
            with self._precision():
                loss, count = self.loss(self._batch(rollouts), rollouts)
        loss = loss / max(1, sum(all_gather(count)))  # so that gradients of processes add up
        if rollouts:
            loss.backward()
        trained = list(self.network.trained().values())
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            for weight in trained:
                weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
                distributed.all_reduce(weight.grad)
        norm = torch.nn.utils.clip_grad_norm_(trained, MAX_GRADIENT)
        if torch.isfinite(norm):
            self._optimizer.step()
        return sum(all_gather(loss.detach().item())), norm.item()

    def _batch(self, rollouts: Sequence[Rollout]) -> RolloutBatch:
        """Where every drawn token counts, whatever `credit` made of it."""
        return collate_programs([rollout.program for rollout in rollouts], *self._pad).to(self._device)

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device.type, torch.bfloat16) if self._mixed else nullcontext()

    # -------------------------------------------------------------------------------------------- state

    def start(self, device: torch.device, mixed: bool = False) -> None:
        """RL begins or goes on.

        Args:
            device: where the network is from now on.
            mixed: run its layers in bfloat16.
        """
        self._device, self._mixed = device, mixed
        self.network.to(device)
        self.network.sync_from_policy()
        if self._restored is not None:
            self._load(self._restored["weights"])
            self._optimizer.load_state_dict(dict(self._restored["optimizer"]))
            self._rounds, self._restored = self._restored["rounds"], None
        elif self._weights is not None:
            self._load(torch.load(Path(self._weights).expanduser(), map_location="cpu", weights_only=True))

    def save(self, path: Path) -> None:
        """What `weights` reads."""
        torch.save({name: weight.detach().cpu() for name, weight in self.network.trained().items()}, path)

    def state_dict(self) -> dict[str, Any]:
        """Trained weights, optimiser and harvests so far; the same on all processes."""
        if self._restored is not None:
            return dict(self._restored)
        weights = {name: weight.detach() for name, weight in self.network.trained().items()}
        return {"weights": weights, "optimizer": self._optimizer.state_dict(), "rounds": self._rounds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Applied when RL goes on."""
        self._restored = state

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        expected = self.network.trained()
        for name, weight in expected.items():
            shape = tuple(weights[name].shape) if name in weights else None
            if shape != tuple(weight.shape):
                raise ValueError(
                    f"critic: the weights that were saved are of another critic, {name} has shape {shape} there and "
                    f"{tuple(weight.shape)} here: use the critic and the model of that run"
                )
        with torch.no_grad():
            for name, weight in expected.items():
                weight.copy_(weights[name])


def rows(values_BT: Tensor, mask_BT: Tensor) -> Iterator[tuple[float, ...]]:
    """The values of each row where the mask is True."""
    for value_T, mask_T in zip(values_BT.float().cpu(), mask_BT.cpu(), strict=True):
        yield tuple(value_T[mask_T].tolist())
