"""The critic's place in a run: it starts with RL, learns from every harvest, and is saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L

from rltf.credit.kl_penalty import KlPenalty
from rltf.critics.base import Critic
from rltf.metrics.critic import critic_metrics
from rltf.rollouts.clock import PhaseClock
from rltf.training.module import RLTFModule
from rltf.training.ranks import all_gather
from rltf.types import Rollout


class CriticCallback(L.Callback):
    """Hands harvests to a critic, and logs what it said of them.

    Args:
        critic: reads harvests before credit does; learns from them here.
        penalty: steered here; None: there is none.
        clock: phase `critic` accrues here.
    """

    def __init__(self, critic: Critic, penalty: KlPenalty | None, clock: PhaseClock) -> None:
        self.critic, self.penalty, self.clock = critic, penalty, clock

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """The critic's body is the policy as it is now, or as the checkpoint has it."""
        assert isinstance(module, RLTFModule)
        module.gather_policy()
        self.critic.start(trainer.strategy.root_device, mixed=trainer.precision == "bf16-mixed")
        if self.penalty is not None:
            self.penalty.start(module.start_policy, module.sampling)

    def on_rollouts(self, trainer: L.Trainer, module: RLTFModule, groups: Sequence[Sequence[Rollout]]) -> None:
        """A row of what it said and what it learned."""
        mine = [rollout for group in groups for rollout in group]
        said = all_gather([(r.critic, r.verdict.outcome) for r in mine if not r.program.greedy])
        row = critic_metrics([one for part in said for one in part])
        with self.clock("critic"):
            row |= self.critic.learn(mine)
        if self.penalty is not None:
            row |= self.penalty.adapt()
        module.log_row({f"critic/{name}": value for name, value in row.items()})

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Leaves `critic.pt` in the run folder, which `critic.weights` reads."""
        if trainer.is_global_zero:
            self.critic.save(Path(trainer.default_root_dir) / "critic.pt")

    def state_dict(self) -> dict[str, Any]:
        """Of critic and penalty."""
        return {"critic": self.critic.state_dict(), "penalty": self.penalty.state_dict() if self.penalty else {}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """They go on when the fit starts."""
        self.critic.load_state_dict(state["critic"])
        if self.penalty is not None:
            self.penalty.load_state_dict(state["penalty"])
