"""Faults put into a run on purpose: what they cost, and how the run says so."""

import csv
import errno
import json
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from rltf.algorithms.loss_mix import LossMix, MixedLoss
from rltf.commands.train import train
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.runs.failures import Stopped

SMALL = ("debug=default", "benchmark.sizes={train: 20, validation: 4, test: 6}", "report=false")


def poisoned(monkeypatch, bad):
    """The loss of the n-th RL micro-batch is NaN where `bad(n)`."""
    honest, seen = LossMix.__call__, []

    def mixed(self, scored, *more):
        result = honest(self, scored, *more)
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
    monkeypatch.setattr("rltf.training.nonfinite.MAX_NONFINITE_STEPS", 3)
    poisoned(monkeypatch, lambda step: True)
    with pytest.raises(FloatingPointError, match=r"not finite in 3 steps in a row.*bad_batch.pt"):
        train(composed("train", *SMALL, "trainer.accumulate_grad_batches=1", f"paths.output_dir={folder}"))
    batch = torch.load(folder / "bad_batch.pt", weights_only=True)
    assert batch["rl"]["response_BT"].dtype == torch.int64


def test_a_disk_that_fills_while_a_checkpoint_is_written_is_one_sentence(composed, monkeypatch, tmp_path):
    folder = tmp_path / "run"
    options = (*SMALL, "warmup.steps=0", "evaluation.problems=2", "callbacks.checkpoints.every=1")
    options += (f"paths.output_dir={folder}",)
    honest = Trainer.save_checkpoint

    def fills(self, path, *args, **keywords):
        if self.current_epoch == 1:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(self, path, *args, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save_checkpoint", fills)
        with pytest.raises(Stopped, match=rf"^the disk of {folder} is full: make room, and resume={folder} goes on"):
            train(composed("train", *options))
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert json.loads((folder / "summary.json").read_text())["status"] == "failed"
    assert train(composed("train", *options, f"resume={folder}")).summary["iterations"] == 2


def test_programs_that_all_earn_the_same_teach_the_group_nothing(composed):
    """Answers of one token: no program in them, so all of a problem fail alike."""
    same = ("reward=coarse", "algorithm.mix.supervised=null", "warmup.steps=0", "generation.sampling.max_new_tokens=1")
    result = train(composed("train", *SMALL, *same, "evaluation.problems=2", "evaluation.samples=2"))
    with (result.folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["rollout/frac_groups_zero_std"] for row in rows if row["rollout/frac_groups_zero_std"]} == {"1"}
    assert {float(row["loss/rl"]) for row in rows if row["loss/rl"]} == {0.0}
    assert result.summary["status"] == "finished"


def test_an_empty_buffer_is_one_sentence(composed, monkeypatch):
    monkeypatch.setattr(RolloutPipeline, "collect_rollouts", lambda self, pending: [])
    with pytest.raises(ValueError, match=r"^the rollout buffer is empty, expected at least one judged program"):
        train(composed("train", *SMALL, "warmup.steps=0", "evaluation.problems=2"))
