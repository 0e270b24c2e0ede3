"""What all critics share: they read rollouts, and predict.

A critic predicts the programs of an iteration before it learns from them: metrics of a critic are of unseen programs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from rltf.critics.learner import Learner
from rltf.critics.network import CriticNetwork
from rltf.rollouts.collate import collate_programs
from rltf.types import CriticPrediction, Program, Rollout, RolloutBatch

PREDICTION_BATCH_SIZE = 64
"""Programs per forward pass without gradient."""


class Critic(Learner[Rollout]):
    """A network, its optimiser and its predictions. B rows, T response tokens.

    Args:
        network: the network to train.
        pad_id: the policy's token id at padding.
        prompt_padding: side of prompts that the policy pads, `left` or `right`.
        lr: learning rate of AdamW.
        weight_decay: weight decay of AdamW.
        passes: passes over the programs of each iteration; below 1: over a share of them, chosen anew each time.
        batch_size: programs per optimiser step and process.
        weights: a `critic.pt` to start from; None: the body is the policy as it is when RL starts, the head is fresh.

    Raises:
        OptionError: an option is out of range, or there is no such file.
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
        super().__init__(network, lr, weight_decay, passes, batch_size, weights)
        self._pad_id, self._prompt_padding = pad_id, prompt_padding

    @abstractmethod
    def predict(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> list[CriticPrediction]:
        """The prediction for each row.

        Args:
            batch: the programs as tensors.
            rollouts: the same programs, with verdicts.
        """

    @abstractmethod
    def loss(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> tuple[Tensor, int]:
        """(sum of losses over rows or tokens, number of these).

        Args:
            batch: the programs as tensors.
            rollouts: the same programs, with the targets of the loss.
        """

    def add_predictions(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The same rollouts with `critic`, the prediction for each."""
        self.network.eval()
        predicted: list[Rollout] = []
        with torch.no_grad(), self._precision():
            for start in range(0, len(rollouts), PREDICTION_BATCH_SIZE):
                chunk = rollouts[start : start + PREDICTION_BATCH_SIZE]
                predictions = self.predict(self._collate([rollout.program for rollout in chunk]), chunk)
                predicted += [replace(r, critic=prediction) for r, prediction in zip(chunk, predictions, strict=True)]
        return predicted

    @override
    def learn(self, items: Sequence[Rollout], passes: float | None = None) -> dict[str, float]:
        """Trains the network on the sampled programs of an iteration; greedy ones are left out. A collective call."""
        return super().learn([rollout for rollout in items if not rollout.program.greedy], passes)

    @override
    def batch_loss(self, items: Sequence[Rollout]) -> tuple[Tensor, int]:
        return self.loss(self._collate([rollout.program for rollout in items]), items)

    def _collate(self, programs: Sequence[Program]) -> RolloutBatch:
        return collate_programs(programs, self._pad_id, self._prompt_padding).to(self._device)


def masked_rows(values_BT: Tensor, mask_BT: Tensor) -> Iterator[tuple[float, ...]]:
    """The values of each row where the mask is True."""
    for value_T, mask_T in zip(values_BT.float().cpu(), mask_BT.cpu(), strict=True):
        yield tuple(value_T[mask_T].tolist())
