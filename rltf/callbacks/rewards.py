"""Reward terms that learn in a run: they start with RL, learn from every iteration's rollouts, and are saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as L

from rltf.callbacks.base import RLTFCallback
from rltf.rewards.base import LearningTerm, RewardNetwork
from rltf.training.module import RLTFModule
from rltf.types import Rollout


class RewardCallback(RLTFCallback):
    """Trains reward terms on rollouts, and logs what they measured.

    Args:
        terms: name in the reward -> term. It credits programs in the pipeline and learns from them here.
    """

    def __init__(self, terms: Mapping[str, LearningTerm]) -> None:
        self.terms = terms

    @property
    def learners(self) -> dict[str, RewardNetwork]:
        """What is trained, by the name of its term."""
        return {name: term.learner for name, term in self.terms.items() if term.learner is not None}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the learners, whose bodies are copies of the present policy, or continues the checkpoint's."""
        self.module.gather_policy()
        for learner in self.learners.values():
            learner.start(trainer.strategy.root_device, mixed=trainer.precision == "bf16-mixed")

    def on_rollouts(self, trainer: L.Trainer, module: RLTFModule, groups: Sequence[Sequence[Rollout]]) -> None:
        """Logs one row of `reward/<term>/*`: what a term measured of the programs before it learned from them, then
        what learning gave."""
        rollouts = [rollout for group in groups for rollout in group]
        row: dict[str, float] = {}
        with self.data.pipeline.clock("critic"):
            for name, term in self.terms.items():
                row |= {f"reward/{name}/{metric}": value for metric, value in term.learn(rollouts).items()}
        module.log_row(row)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Writes `<term>.pt` into the run folder for each learner."""
        if trainer.is_global_zero:
            for name, learner in self.learners.items():
                learner.save(self.folder / f"{name}.pt")

    def state_dict(self) -> dict[str, Any]:
        """States of the learners."""
        return {name: learner.state_dict() for name, learner in self.learners.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the learners of a run that is resumed."""
        for name, learner in self.learners.items():
            learner.load_state_dict(state_dict[name])
