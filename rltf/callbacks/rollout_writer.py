"""What was sampled, for people: every judged program in `rollouts.jsonl`, feedback metrics, a table in W&B."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.loggers import WandbLogger

from rltf.metrics.feedback import feedback_metrics
from rltf.runs.rollouts_file import rollout_record
from rltf.training.module import RLTFModule
from rltf.training.ranks import all_gather
from rltf.types import Rollout

COLUMNS = ["iteration", "problem_id", "draw", "outcome", "passed", "total", "error_type", "error_line", "reward"]
COLUMNS += ["advantage", "credits", "program"]


class RolloutWriter(L.Callback):
    """Streams rollouts to disk and to W&B as they are harvested.

    Args:
        folder: the run folder.
        table_rows: programs in each W&B table `rollouts/<iteration>`; 0: no table. None is overwritten.
        table_every: iterations between tables.
        terms: reward terms, which keep their columns even when they give nothing.
    """

    def __init__(self, folder: Path, table_rows: int = 16, table_every: int = 10, terms: Sequence[str] = ()) -> None:
        self.terms = tuple(terms)
        self.path = folder / "rollouts.jsonl"
        self.table_rows, self.table_every = table_rows, table_every
        self.judged = 0
        """Programs judged so far."""

    def on_rollouts(self, trainer: L.Trainer, module: RLTFModule, groups: Sequence[Sequence[Rollout]]) -> None:
        """One line a program, one row of feedback metrics, of all ranks."""
        rollouts = [r for part in all_gather([r for group in groups for r in group]) for r in part]
        self.judged += len(rollouts)
        if not trainer.is_global_zero:
            return
        iteration = trainer.current_epoch
        tests = {p.id: p.tests for p in trainer.datamodule.train_problems}  # type: ignore[attr-defined]
        records = [rollout_record(r, iteration, tests[r.program.problem_id]) for r in rollouts]
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        data = trainer.datamodule  # type: ignore[attr-defined]
        more = data.buffer.metrics(module.steps) | data.pipeline.metrics()
        module.log_row(feedback_metrics(rollouts, self.terms) | more)
        if self.table_rows and iteration % self.table_every == 0:
            self._table(trainer, module, records[: self.table_rows])

    def _table(self, trainer: L.Trainer, module: RLTFModule, records: Sequence[dict[str, Any]]) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                rows = [[_cell(record, column) for column in COLUMNS] for record in records]
                logger.log_table(f"rollouts/{trainer.current_epoch:05d}", columns=COLUMNS, data=rows, step=module.steps)

    def state_dict(self) -> dict[str, Any]:
        """Programs judged so far."""
        return {"judged": self.judged}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on counting."""
        self.judged = state["judged"]


def _cell(record: dict[str, Any], column: str) -> Any:
    if column.startswith("error_"):
        return (record["error"] or {}).get(column.removeprefix("error_"))
    return json.dumps(record[column]) if column == "credits" else record[column]
