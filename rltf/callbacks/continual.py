"""Scores of every task after every task: `continual.json` of a run with `tasks=`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import lightning.pytorch as L
from rich.console import Console
from rich.table import Table

from rltf.callbacks.base import RLTFCallback
from rltf.metrics.continual import forgetting, key_drift, mean_score
from rltf.policies.prompt_pool import PromptPool
from rltf.rollouts.groups import JudgedGroup
from rltf.rollouts.tasks import TaskOrder, Tasks
from rltf.runs.files import CONTINUAL_FILE
from rltf.runs.summary import write_json
from rltf.training.ranks import all_gather
from rltf.types import Outcome


class ContinualCallback(RLTFCallback):
    """Scores are pass@1 on the validation problems of each task, from the validation at the end of each task.

    Args:
        tasks: the plan.
    """

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self.names: tuple[str, ...] = ()
        self.matrix: list[list[float]] = []
        """Row i: score of each task after task i."""
        self._iterations: list[int] = []
        self._keys: dict[str, list[list[float]]] = {}
        """Task -> its keys when it ended."""
        self._drift: list[dict[str, float]] = []
        """After task i: finished task -> drift of its keys."""
        self._shares: list[tuple[str, float]] = []
        """(task, share of the sampled programs that passed) of each validation problem of this rank."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Reads the names of the tasks."""
        self.names = self.tasks.names(self.data.train_problems)

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begins a row."""
        self._shares.clear()

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Sequence[JudgedGroup], *_: Any
    ) -> None:
        """Notes what became of the sampled programs."""
        for group in batch:
            drawn = zip(group.programs, group.verdicts, strict=True)
            passed = [verdict.outcome is Outcome.PASSED for program, verdict in drawn if not program.greedy]
            self._shares.append((self.tasks.task_of(group.problem), fmean(passed)))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Logs the scores; at the end of a task they become a row of the matrix and of `continual.json`."""
        if trainer.sanity_checking or self.module.phase_name != "rl":
            return
        shares = [pair for part in all_gather(list(self._shares)) for pair in part]
        scores = {name: fmean(share for task, share in shares if task == name) for name in self.names}
        row = {f"val/task/{name}/pass@1": score for name, score in scores.items()}
        done, iterations = trainer.current_epoch + 1, trainer.max_epochs or 0
        if done * len(self.names) % iterations == 0:
            self.matrix.append([round(scores[name], 6) for name in self.names])
            self._iterations.append(done)
            self._note_keys()
            row["continual/mean"] = mean_score(self.matrix)
            if (lost := forgetting(self.matrix)) is not None:
                row["continual/forgetting"] = lost
            record = self.record()
            if trainer.is_global_zero:
                write_json(self.folder / CONTINUAL_FILE, record)
        self.module.log_row(row)

    def record(self) -> dict[str, Any]:
        """Content of `continual.json`; a collective call."""
        order = self.data.demonstrations.require_any() if self._is_supervised else self.data.problem_order
        assert isinstance(order, TaskOrder)
        draws = all_gather(dict(order.draws))
        pool = getattr(self.module.policy, "prompt_pool", None)
        return {
            "plan": type(self.tasks).__name__.lower(),
            "replays": self.tasks.replays,
            "prompts": None if pool is None else {"kind": pool.options.kind, "teacher": pool.options.teacher},
            "tasks": list(self.names),
            "score": "pass@1 of validation problems",
            "iterations": list(self._iterations),
            "matrix": [list(row) for row in self.matrix],
            "mean": round(mean_score(self.matrix), 6),
            "forgetting": None if (lost := forgetting(self.matrix)) is None else round(lost, 6),
            "problems": order.sizes,
            "draws": {name: sum(part.get(name, 0) for part in draws) for name in self.names},
            "key_drift": [dict(row) for row in self._drift],
        }

    def print(self, console: Console) -> None:
        """Prints the matrix."""
        if not self.matrix:
            return
        table = Table("after", *self.names)
        for name, row in zip(self.names, self.matrix, strict=False):
            table.add_row(name, *(f"{score:.1%}" for score in row))
        console.print(table)
        lost = forgetting(self.matrix)
        console.print(
            f"mean {mean_score(self.matrix):.1%}" + ("" if lost is None else f", forgetting {100 * lost:.1f} points")
        )

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, and keys of finished tasks."""
        return {
            "matrix": self.matrix,
            "iterations": self._iterations,
            "keys": self._keys,
            "drift": self._drift,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues a run that is resumed."""
        self.matrix, self._iterations = state_dict["matrix"], state_dict["iterations"]
        self._keys, self._drift = state_dict["keys"], state_dict["drift"]

    @property
    def _is_supervised(self) -> bool:
        plan = self.data.plan
        return plan is not None and not plan.mix.needs_rollouts

    def _note_keys(self) -> None:
        pool = getattr(self.module.policy, "prompt_pool", None)
        if not isinstance(pool, PromptPool) or pool.options.kind != "pool":
            return
        indices = {name: list(pool.options.tasks).index(name) for name in self.names if name in pool.options.tasks}
        present = {name: pool.task_keys(index).tolist() for name, index in indices.items()}
        self._drift.append({name: round(key_drift(keys, present[name]), 6) for name, keys in self._keys.items()})
        name = self.names[len(self.matrix) - 1]
        if name in present:
            self._keys[name] = present[name]
