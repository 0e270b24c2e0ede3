"""Every judged program in `rollouts.jsonl`, feedback metrics of each iteration, and a table of programs."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L

from rltf.callbacks.base import RLTFCallback
from rltf.metrics.feedback import feedback_metrics
from rltf.metrics.outcomes import by_problem, is_inverted
from rltf.runs.files import ROLLOUTS_FILE
from rltf.runs.rollouts_file import rollout_record
from rltf.training.module import RLTFModule
from rltf.training.ranks import all_gather
from rltf.types import Rollout
from rltf.validation import require

log = logging.getLogger(__name__)

WARN_AFTER = 10
"""Iterations in a row in which programs that pass no test earn more than programs that pass."""
COLUMNS = [
    "iteration",
    "problem_id",
    "task",
    "draw",
    "outcome",
    "passed",
    "total",
    "error_type",
    "error_line",
    "reward",
]
COLUMNS += ["advantage", "credits", "program"]


class RolloutWriter(RLTFCallback):
    """Writes rollouts to disk, and to loggers that show tables.

    Args:
        table_rows: programs in each table `rollouts/<iteration>`; 0: no table. Earlier tables stay.
        table_every: iterations between tables.
    """

    def __init__(self, table_rows: int = 16, table_every: int = 10) -> None:
        require("table_rows", table_rows, at_least=0, whole=True)
        require("table_every", table_every, at_least=1, whole=True)
        self.table_rows, self.table_every = table_rows, table_every
        self.judged = 0
        """Programs judged so far, of all ranks."""
        self._inverted = 0

    def on_rollouts(self, trainer: L.Trainer, module: RLTFModule, groups: Sequence[Sequence[Rollout]]) -> None:
        """Appends one line per program and logs one row of feedback metrics, of all ranks."""
        rank_rollouts = [r for group in groups for r in group] + self.data.pipeline.unjudgeable
        rollouts = [r for rank in all_gather(rank_rollouts) for r in rank]
        self.judged += len(rollouts)
        if not trainer.is_global_zero:
            return
        iteration, data = trainer.current_epoch, self.data
        problems = {problem.id: problem for problem in data.train_problems}
        of_rollouts = [(rollout, problems[rollout.program.problem_id]) for rollout in rollouts]
        records = [rollout_record(r, iteration, problem.tests, problem.statement) for r, problem in of_rollouts]
        with (self.folder / ROLLOUTS_FILE).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        terms = tuple(data.pipeline.rewards.terms)  # terms that gave nothing keep their columns
        row = feedback_metrics(rollouts, terms) | data.buffer.metrics(module.steps) | data.pipeline.metrics()
        module.log_row(row)
        self._warn_of_inversion(rollouts)
        if self.table_rows and iteration % self.table_every == 0:
            self._log_table(trainer, module, records[: self.table_rows])

    def _warn_of_inversion(self, rollouts: Sequence[Rollout]) -> None:
        sampled = [r for r in rollouts if not r.program.greedy and not r.verdict.unjudgeable]
        self._inverted = self._inverted + 1 if is_inverted(by_problem(sampled)) else 0
        if self._inverted == WARN_AFTER:
            log.warning(
                "programs that pass no test have earned more than programs that pass in %d iterations in a row "
                "(rollout/advantage_by_outcome/*): groups in which nobody passes teach to run and be wrong; expected "
                "reward=pass_first or binary, or algorithm.advantages.normalize=batch or none",
                WARN_AFTER,
            )

    def _log_table(self, trainer: L.Trainer, module: RLTFModule, records: Sequence[dict[str, Any]]) -> None:
        rows = [[_cell(record, column) for column in COLUMNS] for record in records]
        for logger in trainer.loggers:
            if hasattr(logger, "log_table"):
                logger.log_table(f"rollouts/{trainer.current_epoch:05d}", columns=COLUMNS, data=rows, step=module.steps)

    def state_dict(self) -> dict[str, Any]:
        """Number of programs judged so far."""
        return {"judged": self.judged}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues the count of a run that is resumed."""
        self.judged = state_dict["judged"]


def _cell(record: dict[str, Any], column: str) -> Any:
    if column.startswith("error_"):
        return (record["error"] or {}).get(column.removeprefix("error_"))
    return json.dumps(record[column]) if column == "credits" else record[column]
