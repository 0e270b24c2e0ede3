"""The critic in a run: it starts with RL, learns from every iteration's rollouts, and is saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L

from rltf.callbacks.base import RLTFCallback
from rltf.credit.kl_penalty import KlPenalty
from rltf.critics.base import Critic
from rltf.metrics.critic import critic_metrics
from rltf.runs.files import CRITIC_FILE
from rltf.training.module import RLTFModule
from rltf.training.ranks import all_gather
from rltf.types import Rollout


class CriticCallback(RLTFCallback):
    """Trains a critic on rollouts, and logs the quality of its predictions.

    Args:
        critic: predicts before credit is given (in the pipeline) and learns here.
        penalty: KL penalty whose coefficient is adapted here; None: there is none.
    """

    def __init__(self, critic: Critic, penalty: KlPenalty | None) -> None:
        self.critic, self.penalty = critic, penalty

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the critic, whose body is a copy of the present policy, or continues the checkpoint's."""
        module = self.module
        module.gather_policy()
        self.critic.start(trainer.strategy.root_device, mixed=trainer.precision == "bf16-mixed")
        if self.penalty is not None:
            self.penalty.set_reference(module.start_policy, module.sampling)

    def on_rollouts(self, trainer: L.Trainer, module: RLTFModule, groups: Sequence[Sequence[Rollout]]) -> None:
        """Logs one row of `critic/*`: predictions of all ranks against outcomes, then what learning gave."""
        rollouts = [rollout for group in groups for rollout in group]
        predictions = all_gather([(r.critic, r.verdict.outcome) for r in rollouts if not r.program.greedy])
        row = critic_metrics([prediction for rank in predictions for prediction in rank])
        with self.data.pipeline.clock("critic"):
            row |= self.critic.learn(rollouts)
        if self.penalty is not None:
            row |= self.penalty.adapt_beta()
        module.log_row({f"critic/{name}": value for name, value in row.items()})

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Writes `critic.pt` into the run folder, which `critic.weights` reads."""
        if trainer.is_global_zero:
            self.critic.save(self.folder / CRITIC_FILE)

    def state_dict(self) -> dict[str, Any]:
        """States of critic and penalty."""
        return {"critic": self.critic.state_dict(), "penalty": self.penalty.state_dict() if self.penalty else {}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores critic and penalty of a run that is resumed."""
        self.critic.load_state_dict(state_dict["critic"])
        if self.penalty is not None:
            self.penalty.load_state_dict(state_dict["penalty"])
