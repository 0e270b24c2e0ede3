"""Accuracy of critics of outcomes by the body that they begin with, by what is trained, and by the number of programs.

    PYTHONPATH=docs/results/contrastive python train.py job=critic critic=outcome logger=none seed=1 job.runs=RUN \
      'trusted=[rltf,lightning,bodies]' job._target_=bodies.BodyAccuracy '+job.bodies={random: FOLDER, start: FOLDER}'

`summary.json` of the run has a row for each. The states of a body that stays are read once for all rows.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from rltf.critics.outcome import OutcomeCritic
from rltf.critics.pretraining import CriticPretraining
from rltf.types import RolloutBatch

log = logging.getLogger(__name__)
EPOCHS = {500: 8, 2_000: 4, 8_000: 2}
"""Programs -> passes over them; of all programs one."""
LR = {False: 3e-3, True: 3e-4}
"""The body is trained -> learning rate."""


class BodyAccuracy(CriticPretraining):
    """Fits a critic to the programs of runs from each body, in each way, on each number of programs.

    Args:
        bodies: name -> folder with a policy.
        sizes: numbers of programs to learn from; 0: all.
        trained: whether bodies are trained, one table each.
        others: as `CriticPretraining`.
    """

    def __init__(
        self,
        runs: str | Sequence[str],
        bodies: Mapping[str, str],
        sizes: Sequence[int] = (500, 2_000, 8_000, 0),
        trained: Sequence[bool] = (False, True),
        **others: Any,
    ) -> None:
        super().__init__(runs, **others)
        self._bodies, self._sizes, self._trained = bodies, sizes, trained

    @override
    def __call__(self, pipeline: Any, sampling: Any, seed: int, folder: Path) -> dict[str, Any]:
        """Share of held-out programs whose outcome each critic predicts, and that of the most frequent one."""
        training, held_out = self.rollouts(pipeline)
        random.Random(seed).shuffle(training)
        stages = torch.tensor([rollout.verdict.outcome.stage for rollout in held_out])
        rows = {
            "programs": len(training),
            "held_out": len(held_out),
            "constant": stages.bincount().max().item() / len(stages),
        }
        for name, body in self._bodies.items():
            for train_body in self._trained:
                states: dict[tuple[int, ...], Tensor] = {}
                for size in self._sizes:
                    critic = OutcomeCritic(
                        pipeline.policy, lr=LR[train_body], weight_decay=0.05, body=body, train_body=train_body
                    )
                    if not train_body:
                        _read_once(critic, states)
                    critic.start(pipeline.policy.model.device)
                    torch.manual_seed(seed)
                    count = size or len(training)
                    for _ in range(EPOCHS.get(size, 1)):
                        critic.learn(training[:count], passes=1)
                    predicted = critic.add_predictions(held_out)
                    classes = torch.tensor([rollout.critic.classes for rollout in predicted if rollout.critic])
                    right = classes.argmax(1) == stages
                    row = f"{name} {'trained' if train_body else 'frozen'} {count}"
                    rows[row] = round(right.float().mean().item(), 4)
                    log.info("%s: %.1f %%", row, 100 * rows[row])
        return rows


def _read_once(critic: OutcomeCritic, states: dict[tuple[int, ...], Tensor]) -> None:
    """Has a critic with a body that stays read each program once; `states` holds what it read, for the next critic."""
    read = critic.network.states

    def stored_states(batch: RolloutBatch) -> Tensor:
        lengths = batch.response_mask_BT.sum(1).tolist()
        keys = [
            (*prompt[mask].tolist(), -1, *response[:length].tolist())
            for prompt, mask, response, length in zip(
                batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, lengths, strict=True
            )
        ]
        if any(key not in states for key in keys):
            for key, row, length in zip(keys, read(batch), lengths, strict=True):
                states[key] = row[:length].half().clone()
        width = batch.response_BT.shape[1]
        rows = [functional.pad(states[key].float(), (0, 0, 0, width - len(states[key]))) for key in keys]
        return torch.stack(rows)

    critic.network.states = stored_states  # type: ignore[method-assign]
