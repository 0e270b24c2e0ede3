"""A reward term that gives NaN ends the run with one sentence; a resume after mending is the run without the fault."""

import csv
import math

import pytest
import torch

from rltf.commands.train import train
from rltf.rewards.coarse import Coarse
from rltf.rewards.faults import RewardError
from rltf.types import Credit

SMALL = (
    "debug=default",
    "benchmark.sizes={train: 20, validation: 4, test: 6}",
    "report=false",
    "evaluation.problems=2",
    "callbacks.checkpoints.every=1",
)


def numbers(folder):
    """What a run trained on and became: rows of metrics but their times, programs, weights."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{k: v for k, v in row.items() if not k.startswith("perf/")} for row in csv.DictReader(file)]
    weights = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return rows, (folder / "rollouts.jsonl").read_text().count("\n"), weights


@pytest.mark.parametrize("lag", [0, 1])
def test_nan_names_the_term_and_the_program_and_a_resume_after_mending_goes_on(composed, monkeypatch, tmp_path, lag):
    options = (*SMALL, "reward=coarse", "trainer.max_epochs=4", f"rollouts.lag={lag}")
    whole = train(composed("train", *options, f"paths.output_dir={tmp_path / 'whole'}")).folder

    honest, credited = Coarse.__call__, []

    def faulty(self, problem, program, verdict):
        credited.append(program)
        return (Credit("coarse", math.nan),) if len(credited) == 7 else honest(self, problem, program, verdict)

    folder = tmp_path / "mended"
    with monkeypatch.context() as patch:
        patch.setattr(Coarse, "__call__", faulty)
        with pytest.raises(RewardError) as error:
            train(composed("train", *options, f"paths.output_dir={folder}"))
    program = credited[6]
    assert str(error.value).startswith(
        f"reward.terms.coarse gave the program of draw {program.draw} of {program.problem_id} the value nan: expected"
    )
    assert (folder / "checkpoints" / "last.ckpt").exists()
    train(composed("train", *options, f"paths.output_dir={folder}", f"resume={folder}"))
    (rows, programs, weights), (whole_rows, whole_programs, whole_weights) = numbers(folder), numbers(whole)
    assert rows == whole_rows
    assert programs == whole_programs
    assert all(torch.equal(weights[name], whole_weights[name]) for name in whole_weights)
