"""`job=atc`: a body that critics begin with."""

import json

import pytest
import torch
from contrast_cases import POLICIES, mini, references, write_run

from rltf.contrast.job import ContrastTraining
from rltf.critics.outcome import OutcomeCritic
from rltf.validation import OptionError


class Pipeline:
    def __init__(self, policy):
        self.benchmark, self.policy = mini(), policy


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
def test_it_learns_which_program_goes_on_and_a_critic_begins_with_it(make, tmp_path):
    runs = write_run(tmp_path)
    options = {"runs": runs, "warmup": 10, "lr": 3e-3, "rows": 24, "held_out": 0.3, "k": 0, "tau": 0.05}
    untrained = ContrastTraining(**options, steps=0)(Pipeline(make()), None, 1, tmp_path)
    policy = make()
    numbers = ContrastTraining(**options, steps=60)(Pipeline(policy), None, 1, tmp_path)
    assert numbers["programs"] == untrained["programs"] > 20
    assert numbers["accuracy"] > 0.4 > 10 * numbers["chance"]
    assert numbers["accuracy"] > 2 * untrained["accuracy"]
    assert numbers["loss"] < untrained["loss"] / 2
    critic = OutcomeCritic(make(), body=str(tmp_path / "policy"), train_body=False)
    critic.start(torch.device("cpu"))
    for trained, loaded in zip(policy.parameters(), critic.network.body.parameters(), strict=True):
        torch.testing.assert_close(trained, loaded)


def test_without_a_step_the_model_is_exported_as_it_is(tmp_path):
    policy = POLICIES["T5"]()
    before = [weight.clone() for weight in policy.parameters()]
    ContrastTraining(runs=write_run(tmp_path), steps=0)(Pipeline(policy), None, 1, tmp_path)
    body = OutcomeCritic(POLICIES["T5"](), body=str(tmp_path / "policy")).network.body
    assert all(torch.equal(old, new) for old, new in zip(before, body.parameters(), strict=True))


def test_the_seed_decides_and_nothing_else(tmp_path):
    runs = write_run(tmp_path)
    results = [
        ContrastTraining(runs=runs, steps=3, rows=8)(Pipeline(POLICIES["T5"]()), None, seed, tmp_path)["loss"]
        for seed in (1, 1, 2)
    ]
    assert results[0] == results[1] != results[2]


def test_a_contrast_that_learned_nothing_is_told(tmp_path, caplog):
    policy = POLICIES["T5"]()
    with torch.no_grad():
        for weight in policy.parameters():  # all programs look alike
            weight.zero_()
    with caplog.at_level("WARNING"):
        ContrastTraining(runs=write_run(tmp_path), steps=1, lr=1e-9)(Pipeline(policy), None, 1, tmp_path)
    assert "the contrast collapsed: accuracy" in caplog.text


def test_runs_without_programs_that_have_lines_are_refused(tmp_path):
    row = {"problem_id": references()[0][0], "program": "print(1)"}
    (tmp_path / "rollouts.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=r"^job\.runs has 0 programs of benchmark=mini with at least 2 lines"):
        ContrastTraining(runs=str(tmp_path))(Pipeline(POLICIES["T5"]()), None, 1, tmp_path)


@pytest.mark.parametrize(("option", "expected"), [({"steps": -1}, "steps is -1"), ({"held_out": 0}, "held_out is 0")])
def test_a_number_that_makes_no_sense_is_refused_by_its_key(option, expected):
    with pytest.raises(OptionError, match=f"^{expected}: expected"):
        ContrastTraining(runs="x", **option)
