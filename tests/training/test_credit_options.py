"""Credit, curriculum and dynamic sampling in whole runs."""

import csv
import json

import pytest
import torch

from rltf.callbacks.phase_timer import PhaseTimer
from rltf.commands.train import train

pytestmark = pytest.mark.slow

SMALL = (
    "debug=default",
    "report=false",
    "callbacks.progress=null",
    "logger=none",
    "benchmark.sizes={train: 8, validation: 4, test: 6}",
    "benchmark.difficulties={easy: 0, medium: 0.5, hard: 0.5}",
    "benchmark.bug_share=0",
    "warmup={steps: 150, batch_size: 16}",
    "rollouts={problems: 4, samples: 4, updates: 2, batch_size: 8}",
    "generation.sampling.max_new_tokens=60",
    "evaluation.problems=2",
    "trainer={max_epochs: 5, check_val_every_n_epoch: 10}",
)
SEARCH = ("inference=critic_sampling", "critic=outcome", "credit=critic_token", "benchmark.difficulties={easy: 1}")
ALL = ("reward=fine+adaptive", "algorithm=dapo", "credit=executed", "curriculum=cccs", "curriculum.points=statement")

APART = (
    *("reward=coarse+adaptive", "reward.terms.adaptive.tests=rare", "curriculum=cccs", "curriculum.points=statement"),
    *("algorithm=rltf", "algorithm.advantages.terms=apart", "algorithm.advantages.normalize=batch"),
)
"""A history of best rewards for each term."""
DIVERGENCE = tuple(option.replace("credit=executed", "credit=divergence") for option in ALL)
EASY = ("benchmark.difficulties={easy: 1}",)
POOLS = ("algorithm=dapo", "reward=binary", "curriculum=pool", *EASY)
REPAIR = ("algorithm=dapo", "reward=binary", "inference=repair", "inference.share=0.5", "model.max_prompt_tokens=256")
REPLAY = ("algorithm=grpo", "curriculum=prefix", "curriculum.target=0.9", "curriculum.within=0", *EASY)
BY_TEST = tuple(option.replace("credit=executed", "credit=tests") for option in ALL)


def records(folder):
    return [json.loads(line) for line in (folder / "rollouts.jsonl").read_text().splitlines()]


def test_options_combine_and_leave_their_marks(composed, tmp_path):
    folder = train(composed("train", *SMALL, *ALL, "rollouts.lag=0")).folder
    found = records(folder)
    assert {credit["term"] for record in found for credit in record["credits"]} == {"fine", "adaptive", "overlong"}
    assert any(record.get("given") for record in found)
    assert any("unexecuted" in record for record in found)
    for record in found:
        weights = record.get("weights")
        assert (weights is not None) == bool(record.get("unexecuted"))
        assert weights is None or len(weights) == len(record["offsets"])
        assert record["outcome"] != "syntax_error" or "unexecuted" not in record
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["curriculum/given_share"]]
    assert len(rows) == 5
    assert all(0 <= float(row["curriculum/given_share"]) < 1 for row in rows)
    assert all(0 <= float(row["rollout/unexecuted_lines"]) < 1 for row in rows)


@pytest.mark.parametrize(
    ("chosen", "lag"),
    [
        *((ALL, 0), (ALL, 1), (BY_TEST, 1), (DIVERGENCE, 1), (SEARCH, 1), (APART, 1)),
        *((REPLAY, 0), (REPLAY, 1), (REPAIR, 0), (REPAIR, 1), (POOLS, 0), (POOLS, 1)),
    ],
)
def test_a_run_with_every_option_goes_on_after_a_stop_to_the_bit(composed, tmp_path, monkeypatch, chosen, lag):
    options = (*SMALL, *chosen, f"rollouts.lag={lag}")
    whole = train(composed("train", *options, f"paths.output_dir={tmp_path / 'whole'}"))
    assert chosen is POOLS or any(record.get("given") or record.get("turn") for record in records(whole.folder))

    def dies(self, trainer, module):
        if trainer.max_epochs == 5 and trainer.current_epoch == 3:
            raise RuntimeError("power loss")

    broken = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(PhaseTimer, "on_train_epoch_start", dies)
        with pytest.raises(RuntimeError, match="power loss"):
            train(composed("train", *options, f"paths.output_dir={broken}"))
    resumed = train(composed("train", *options, f"paths.output_dir={broken}", f"resume={broken}"))
    before, after = whole.module.policy.state_dict(), resumed.module.policy.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    for state in ("pipeline", "problem_order"):
        states = [getattr(run.data, state).state_dict() for run in (whole, resumed)]
        assert states[0] == states[1]
    assert ("curriculum" in whole.summary) == (chosen is not SEARCH)
    assert resumed.summary.get("curriculum") == whole.summary.get("curriculum")
    without_time = [[{**r, "seconds": 0} for r in records(run.folder)] for run in (whole, resumed)]
    assert without_time[0] == without_time[1]
