"""What the model learns, and what a critic of values gets from it."""

import json

import pytest
import torch
from prm_cases import small

from rltf.benchmarks.splits import hash_fraction
from rltf.commands.job import run_job
from rltf.commands.train import train
from rltf.critics.value import ValueCritic
from rltf.prm.training import PrmTraining


def test_labels_that_hang_on_one_token_are_learned(trained):
    _, found = trained
    assert found["constant_error"] > 0.5
    assert found["mean_squared_error"] < 0.1
    assert found["sign_share"] > 0.97


def test_a_value_critic_that_begins_from_the_model_values_a_prefix_as_the_model_does(model):
    folder, critic, programs = model
    value = ValueCritic(small(), weights=str(folder / "critic.pt"))
    value.start(torch.device("cpu"))
    for said, valued in zip(critic.add_predictions(programs), value.add_predictions(programs), strict=True):
        # The value before a token is of the prefix behind the token before it.
        assert valued.critic.tokens[1:] == pytest.approx(said.critic.tokens[:-1], abs=1e-5)


def test_what_is_held_out_depends_on_the_problem_alone(tmp_path, records):
    (tmp_path / "prm_data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    training = PrmTraining([str(tmp_path)] * 2, held_out=0.3)
    kept = {record["problem_id"] for record in training._records if hash_fraction(record["problem_id"]) < 0.3}
    assert 0.2 * 160 < len(kept) < 0.4 * 160
    assert len(training._records) == 320


def test_mistakes_are_named(tmp_path, records):
    with pytest.raises(ValueError, match=r"job\.data: .*prm_data\.jsonl cannot be read"):
        PrmTraining(str(tmp_path))
    wrong = [record | {"answer": "other"} for record in records[:30]]
    (tmp_path / "prm_data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in wrong))

    class Pipeline:
        policy = small()

    with pytest.raises(ValueError, match="another tokenizer"):
        PrmTraining(str(tmp_path))(Pipeline(), None, 1, tmp_path)


@pytest.mark.slow
def test_data_model_and_reward_make_a_run_and_the_critic_of_values_begins_from_the_model(composed, tmp_path):
    mini = ("debug=default", "benchmark.sizes={train: 40, validation: 4, test: 6}", "warmup.steps=0")
    mini += ("report=false", "callbacks.progress=null", "logger=none")
    mini += ("generation.sampling.max_new_tokens=30",)
    data, prm, run = tmp_path / "data", tmp_path / "prm", tmp_path / "run"
    numbers = "job={problems: 12, samples: 2, completions: 2, chunk: 5}"
    run_job(composed("train", *mini, "job=prm_data", numbers, f"paths.output_dir={data}"))
    found = json.loads((data / "summary.json").read_text())
    assert found["programs"] > 12
    assert found["completions"] == 2 * found["asked"] > 0
    fit = ("job=prm", f"job.data={data}", "job.held_out=0.3", f"paths.output_dir={prm}")
    run_job(composed("train", *mini, *fit))
    reward = ("reward=binary+prm", f"reward.terms.prm.model={prm}", "algorithm=ppo", "critic=value")
    train(composed("train", *mini, *reward, f"critic.weights={prm / 'critic.pt'}", f"paths.output_dir={run}"))
    records = [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]
    spans = [credit for record in records for credit in record["credits"] if credit["term"] == "prm"]
    assert len(spans) > len(records) / 2
    assert all(credit["span"] is not None and abs(credit["value"]) <= 0.25 for credit in spans)
