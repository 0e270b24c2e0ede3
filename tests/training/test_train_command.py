"""The whole loop, small: `train(cfg)` with the debug config, and what it leaves behind."""

import csv
import json
import time
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from rltf.callbacks.phase_timer import PhaseTimer
from rltf.commands.evaluate import evaluate
from rltf.commands.train import train
from rltf.report.write.files import write_report

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = ("debug=default", "benchmark.sizes={train: 20, validation: 4, test: 6}", "report=false")


def rollouts_of(folder):
    return [json.loads(line) for line in (folder / "rollouts.jsonl").read_text().splitlines()]


def metrics_of(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run: (result, folder, wall seconds until its summary was written)."""
    folder = tmp_path_factory.mktemp("run")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("train", [f"paths.output_dir={folder}", *SMALL])
    start = time.time()
    result = train(cfg)
    return result, folder, (folder / "summary.json").stat().st_mtime - start


def test_the_summary_says_what_the_run_did(finished):
    _, folder, _ = finished
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "finished"
    assert summary["benchmark"] == "mini"
    assert set(summary["pass_at_k"]) == {"before", "after"}
    assert set(summary["pass_at_k"]["after"]) == {"1", "2"}
    assert (summary["problems"], summary["iterations"]) == (4, 2)
    assert summary["optimizer_steps"] == 4 + 2 * 2  # warm-up, then two updates in each of two iterations
    assert summary["programs_sampled"] == summary["programs_judged"] == 4  # lag 1: the last iteration launches nothing
    assert torch.__version__.startswith(summary["versions"]["torch"])  # which may go on with the build, +cu130


def test_phases_add_up_to_the_wall_time(finished):
    _, folder, wall = finished
    seconds = json.loads((folder / "summary.json").read_text())["seconds"]
    parts = sum(value for name, value in seconds.items() if name != "total")
    assert parts == pytest.approx(seconds["total"], rel=0.02)
    assert seconds["total"] == pytest.approx(wall, rel=0.1)
    assert set(seconds) == {"total", "setup", "warmup", "generation", "execution_wait", "training", "evaluation"}


def test_every_judged_program_is_a_line(finished):
    _, folder, _ = finished
    records = rollouts_of(folder)
    assert len(records) == 4
    for record in records:
        assert record["outcome"]
        assert record["total"] == 6
        assert all(0 <= start <= end <= len(record["program"]) for start, end in record["offsets"])
        assert {credit["term"] for credit in record["credits"]} <= {"coarse", "fine", "adaptive"}


def test_metrics_answer_the_reports_questions(finished):
    _, folder, _ = finished
    columns = set(metrics_of(folder)[0])
    trained = {(row["phase"], row["iteration"]) for row in metrics_of(folder) if row["perf/token_efficiency"]}
    assert trained == {("warmup", "0"), ("rl", "0"), ("rl", "1")}
    assert {"phase", "iteration", "step", "rollout/reward_mean", "rollout/outcome/passed", "val/pass@1"} <= columns
    assert {"perf/seconds/generation", "loss/total", "loss/rl", "loss/supervised", "policy/entropy"} <= columns
    assert {"optimizer/lr", "optimizer/grad_norm", "buffer/size", "policy/staleness_mean"} <= columns


def test_the_policy_loads_with_plain_transformers(finished):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    result, folder, _ = finished
    model = AutoModelForSeq2SeqLM.from_pretrained(folder / "policy")
    AutoTokenizer.from_pretrained(folder / "policy")
    trained = result.module.policy.model.state_dict()
    assert all(torch.equal(value, trained[name]) for name, value in model.state_dict().items())


def test_the_report_is_one_page(finished):
    _, folder, _ = finished
    page = write_report(folder).read_text()
    assert "pass@1" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_an_exported_policy_is_evaluated(finished, composed, tmp_path):
    _, folder, _ = finished
    result = evaluate(
        composed(
            "eval",
            f"policy={folder / 'policy'}",
            f"model.path={folder / 'policy'}",
            "benchmark.sizes={train: 20, validation: 4, test: 6}",
            "evaluation.samples=2",
            "evaluation.ks=[1,2]",
            "generation.sampling.max_new_tokens=16",
        )
    )
    found = json.loads((result.folder / "results.json").read_text())
    assert set(found["pass_at_k"]) == {"1", "2"}
    assert sum(found["outcomes"].values()) == 2 * 6
    samples = [json.loads(line) for line in (result.folder / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 2 * 6
    assert len((result.folder / "samples_greedy.jsonl").read_text().splitlines()) == 6
    assert {"task_id", "completion", "solution"} <= set(samples[0])
    problems = json.loads((result.folder / "evaluation.json").read_text())["before"]
    assert [problem["problem_id"] for problem in problems] == [f"mini/0/test/{i}" for i in range(6)]
    assert [problem["draws"].count("passed") for problem in problems] == [
        r.passed for r in result.module.test_result.problems
    ]


def test_the_buffer_holds_what_its_config_says(composed):
    result = train(composed("train", *SMALL, "buffer.capacity=3"))
    assert len(result.data.buffer) == result.data.buffer.capacity == 3


def test_supervised_training_alone_samples_nothing(composed):
    result = train(composed("train", *SMALL, "algorithm=sft", "report=true"))
    assert (result.folder / "report.html").exists()
    assert result.summary["programs_sampled"] == 0
    assert result.summary["optimizer_steps"] == 8
    assert not (result.folder / "rollouts.jsonl").exists()


@pytest.mark.parametrize("lag", [0, 1])
def test_a_run_that_died_goes_on_as_if_it_had_not(composed, tmp_path, monkeypatch, lag):
    options = (*SMALL, "trainer.max_epochs=4", f"rollouts.lag={lag}", "trainer.check_val_every_n_epoch=10")
    whole = train(composed("train", *options, f"paths.output_dir={tmp_path / 'whole'}"))

    def dies(self, trainer, module):
        if trainer.max_epochs == 4 and trainer.current_epoch == 2:
            raise RuntimeError("power loss")

    broken = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(PhaseTimer, "on_train_epoch_start", dies)
        with pytest.raises(RuntimeError, match="power loss"):
            train(composed("train", *options, f"paths.output_dir={broken}"))
    assert json.loads((broken / "summary.json").read_text())["status"] == "failed"

    resumed = train(composed("train", *options, f"paths.output_dir={broken}", f"resume={broken}"))
    before, after = whole.module.policy.state_dict(), resumed.module.policy.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    programs = [(r["problem_id"], r["draw"], r["program"]) for r in rollouts_of(tmp_path / "whole")]
    assert [(r["problem_id"], r["draw"], r["program"]) for r in rollouts_of(broken)] == programs
    assert resumed.summary["programs_judged"] == whole.summary["programs_judged"]
    assert (whole.summary["pieces"], resumed.summary["pieces"]) == (1, 2)
    seconds = resumed.summary["seconds"]
    assert seconds["warmup"] > 0, "of the piece before"
    assert sum(value for name, value in seconds.items() if name != "total") == pytest.approx(seconds["total"], abs=0.01)


def test_the_frozen_reference_is_in_no_checkpoint(composed):
    result = train(composed("train", *SMALL, "reference=true"))
    state = torch.load(result.folder / "checkpoints" / "last.ckpt", weights_only=True)
    names = set(result.module.policy.state_dict(prefix="policy."))
    assert {name for name in state["state_dict"] if name.startswith("policy.")} == names
    assert any("policy/kl" in row and row["policy/kl"] for row in metrics_of(result.folder))
