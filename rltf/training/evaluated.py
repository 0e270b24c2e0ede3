"""The half of the LightningModule that evaluates: held-out programs become pass@k in validation and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import lightning.pytorch as L
from typing_extensions import override

from rltf.metrics.evaluation import Evaluation, EvaluationResult
from rltf.rollouts.groups import JudgedGroup


class EvaluatedModule(L.LightningModule):
    """A module whose validation and test batches are judged groups.

    Args:
        ks: values of k of pass@k in validation and test.
    """

    def __init__(self, ks: Sequence[int]) -> None:
        super().__init__()
        self.evaluation = Evaluation(ks)
        self.test_result: EvaluationResult | None = None
        """Figures of the last test, over all ranks."""
        self.test_groups: list[JudgedGroup] = []
        """Programs of the last test, of this rank."""

    def log_validation(self, row: Mapping[str, float]) -> None:
        """Writes the metrics of a validation; by default, nowhere."""

    @override
    def on_validation_epoch_start(self) -> None:
        self.evaluation.reset()

    @override
    def on_test_epoch_start(self) -> None:
        self.evaluation.reset()
        self.test_groups.clear()

    @override
    def validation_step(self, batch: Sequence[JudgedGroup], batch_idx: int) -> None:
        for group in batch:
            self.evaluation.update(group.problem, group.programs, group.verdicts)

    @override
    def test_step(self, batch: Sequence[JudgedGroup], batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)
        self.test_groups.extend(batch)

    @override
    def on_validation_epoch_end(self) -> None:
        evaluation = self.evaluation.compute()
        row = {f"val/{name}": value for name, value in evaluation.metrics().items()}
        for k in evaluation.ks:  # for checkpoints of the best weights; the same on all ranks
            self.log(f"val/pass@{k}", row[f"val/pass@{k}"], logger=False, sync_dist=True)
        if not self.trainer.sanity_checking:
            self.log_validation(row)

    @override
    def on_test_epoch_end(self) -> None:
        self.test_result = self.evaluation.compute()
