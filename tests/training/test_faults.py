"""Faults put into a run on purpose: what they cost, and how the run says so."""

import csv

import pytest
import torch

from rltf.algorithms.mix import LossMix, MixedLoss
from rltf.main import train

SMALL = ("debug=default", "benchmark.sizes={train: 20, validation: 4, test: 6}", "callbacks.report=false")


def poisoned(monkeypatch, bad):
    """The loss of the n-th RL micro-batch is NaN where `bad(n)`."""
    honest, seen = LossMix.__call__, []

    def mixed(self, scored, divisors):
        result = honest(self, scored, divisors)
        seen.extend(["rl"] if "rl" in scored else [])
        spoils = "rl" in scored and bad(len(seen))
        return MixedLoss(result.total * float("nan"), result.metrics) if spoils else result

    monkeypatch.setattr(LossMix, "__call__", mixed)


def test_a_step_without_a_finite_gradient_is_skipped_and_counted(composed, monkeypatch):
    poisoned(monkeypatch, lambda step: step == 2)
    result = train(composed("train", *SMALL, "trainer.accumulate_grad_batches=1"))
    assert all(torch.isfinite(value).all() for value in result.module.policy.state_dict().values())
    with (result.folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["phase"] == "rl" and row["optimizer/skipped_share"]]
    assert [float(row["optimizer/skipped_share"]) for row in rows] == [0, 1, 0, 0]
    assert [bool(row["optimizer/grad_norm"]) for row in rows] == [True, False, True, True]


def test_a_run_that_is_lost_stops_and_keeps_the_batch(composed, monkeypatch, tmp_path):
    folder = tmp_path / "lost"
    monkeypatch.setattr("rltf.training.module.MOST_BAD_STEPS", 3)
    poisoned(monkeypatch, lambda step: True)
    with pytest.raises(FloatingPointError, match=r"not finite in 3 steps in a row.*bad_batch.pt"):
        train(composed("train", *SMALL, "trainer.accumulate_grad_batches=1", f"paths.output_dir={folder}"))
    batch = torch.load(folder / "bad_batch.pt", weights_only=True)
    assert batch["rl"]["response_BT"].dtype == torch.int64
