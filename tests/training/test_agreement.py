"""The sampler and the trainer mean the same distribution: log-probs stored at sampling equal those of the loss."""

import csv

import pytest
import torch

from rltf.algorithms.loss_mix import LossMix
from rltf.commands.train import train


@pytest.mark.parametrize("model", ["tiny_t5", "tiny_causal"])
@pytest.mark.parametrize(("top_p", "allowance"), [(1.0, 0), (0.9, 1e-3)])
def test_without_learning_every_ratio_stays_one(composed, model, top_p, allowance, monkeypatch):
    """Log-probs are the same on both sides, token by token; of truncated draws those of the renormalised support. There
    a token whose cumulated mass lies within rounding of top-p may belong to the support on one side alone, which moves
    the normaliser by that token's mass: one draw in some thousand, and the test allows no more."""
    honest, gaps = LossMix.__call__, []

    def measured(self, scored, *more):
        if "rl" in scored:
            batch, logprobs_BT = scored["rl"].batch, scored["rl"].logprobs_BT
            assert torch.isfinite(logprobs_BT[batch.mask_BT]).all(), "nothing that was drawn has left the support"
            gaps.append((logprobs_BT.detach() - batch.old_logprobs_BT)[batch.mask_BT].abs())
        return honest(self, scored, *more)

    monkeypatch.setattr(LossMix, "__call__", measured)
    cfg = composed(
        "train",
        f"model={model}",
        "debug=default",
        "report=false",
        "benchmark.sizes={train: 40, validation: 4, test: 6}",
        "optimizer.lr=1e-12",
        f"generation.sampling={{temperature: 0.7, top_p: {top_p}, max_new_tokens: 24}}",
        "rollouts={problems: 4, samples: 4, updates: 5, batch_size: 16, lag: 1}",
        "trainer={max_epochs: 10, accumulate_grad_batches: 1, check_val_every_n_epoch: 20}",
        "evaluation.problems=2",
    )
    folder = train(cfg).folder
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["phase"] == "rl" and row["rl/ratio_mean"]]
    assert len(rows) == len(gaps) == 50
    assert float((torch.cat(gaps) > 1e-5).float().mean()) <= allowance
    same = [(row, gap) for row, gap in zip(rows, gaps, strict=True) if float(gap.max()) <= 1e-5]
    assert len(same) >= 45
    for row, _ in same:
        assert float(row["rl/ratio_mean"]) == pytest.approx(1.0, abs=1e-5)
        assert float(row["rl/ratio_max"]) == pytest.approx(1.0, abs=2e-5)  # six digits are written
        assert float(row["rl/outside_support_share"]) == 0.0
