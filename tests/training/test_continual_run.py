"""Runs with `tasks=`: what they leave behind, and what is refused before any work."""

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from rltf.commands.evaluate import evaluate
from rltf.commands.train import train
from rltf.policies.tiny import tiny_t5

CONFIGS = Path(__file__).parents[2] / "configs"
TASKS = ["generation", "refinement", "translation", "summarisation"]
SMALL = (
    "debug=default",
    "experiment=continual",
    "benchmark.sizes={train: 24, validation: 8, test: 4}",
    "report=false",
    "rollouts.updates=2",
    "rollouts.demonstrations=4",
    "trainer.max_epochs=4",
    "trainer.check_val_every_n_epoch=1",
    "warmup.steps=0",
    "evaluation.validation_problems=8",
)


def config(folder, *overrides, name="train"):
    small = SMALL if name == "train" else ()
    if "tasks.by=difficulty" in overrides:
        small = [key for key in small if not key.startswith("experiment=")]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(name, [f"paths.output_dir={folder}", *small, *overrides])


def record_of(folder):
    return json.loads((folder / "continual.json").read_text())


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A tiny T5 as a folder, whose weights can be frozen."""
    folder = tmp_path_factory.mktemp("start")
    tiny_t5(d_model=16, d_ff=16, layers=1, heads=2).export(folder)
    return (f"model.path={folder}", "model=pretrained", "recipe=tiny_t5", "model.max_prompt_tokens=128")


POOL = ("model.prompts.keys=4", "model.prompts.tokens=2", "model.prompts.shared_per_pair=1")


@pytest.fixture(scope="module")
def with_pool(tmp_path_factory, start):
    folder = tmp_path_factory.mktemp("run") / "pool_tf"
    return folder, train(config(folder, *start, "prompts=pool_tf", *POOL))


def test_a_run_has_a_row_of_scores_after_each_task(with_pool):
    folder, _ = with_pool
    record = record_of(folder)
    assert record["tasks"] == TASKS
    assert record["iterations"] == [1, 2, 3, 4]
    assert [len(row) for row in record["matrix"]] == [4] * 4
    assert all(0 <= score <= 1 for row in record["matrix"] for score in row)
    assert record["problems"] == dict.fromkeys(TASKS, 6)
    # demonstrations are drawn in pools of 16 batches, of which an iteration uses two
    assert record["draws"] == dict.fromkeys(TASKS, 16 * 4)
    assert (record["plan"], record["replays"]) == ("sequential", False)
    assert record["prompts"] == {"kind": "pool", "teacher": "train"}


def test_the_pull_of_the_keys_has_a_metric_of_its_own(with_pool):
    columns = (with_pool[0] / "metrics.csv").read_text().partition("\n")[0].split(",")
    assert "loss/keys" in columns
    assert "loss/auxiliary" not in columns  # that of auxiliary=, which may be there beside prompts


def test_drift_is_that_of_finished_tasks(with_pool):
    drift = record_of(with_pool[0])["key_drift"]
    assert [sorted(row) for row in drift] == [sorted(TASKS[:n]) for n in range(4)]
    assert all(value >= -1e-6 for row in drift for value in row.values())


def test_the_exported_policy_is_evaluated_with_its_prompts(with_pool, tmp_path):
    folder, result = with_pool
    assert (folder / "policy" / "prompts.safetensors").is_file()
    evaluated = evaluate(
        config(
            tmp_path,
            f"policy={folder}",
            f"model.path={folder / 'policy'}",
            "model.max_prompt_tokens=128",
            "benchmark=codetask_mini",
            "benchmark.sizes={train: 24, validation: 8, test: 4}",
            "evaluation.problems=2",
            "evaluation.samples=1",
            "evaluation.ks=[1]",
            "generation.sampling.max_new_tokens=12",
            "executor.timeout=10",
            "quiet=true",
            name="eval",
        )
    )
    pool = evaluated.module.policy.prompt_pool
    assert (pool.vectors[0] == result.module.policy.prompt_pool.vectors[0]).all()


def test_a_resumed_run_ends_as_an_uninterrupted_one(with_pool, start, tmp_path):
    options = (*start, "prompts=pool_tf", *POOL)
    cfg = config(tmp_path, *options)

    class Stop(Exception):
        pass

    from rltf.callbacks.progress import Progress

    def stop(self, trainer, module):
        if module.phase_name == "rl" and trainer.current_epoch == 2:
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "on_train_epoch_start", stop)
        with pytest.raises(Stop):
            train(cfg)
    assert len(record_of(tmp_path)["matrix"]) == 2
    train(config(tmp_path, *options, f"resume={tmp_path}"))
    assert record_of(tmp_path) == record_of(with_pool[0])


def test_rl_has_tasks_too(tmp_path):
    train(
        config(
            tmp_path,
            "benchmark=mini",
            "benchmark.difficulties={easy: 1, medium: 1, hard: 0}",
            "tasks=replay",
            "tasks.by=difficulty",
            "tasks.memory=4",
            "tasks.order=[medium, easy]",
            "rollouts.problems=4",
            "rollouts.demonstrations=2",
        )
    )
    record = record_of(tmp_path)
    assert record["tasks"] == ["medium", "easy"]
    assert len(record["matrix"]) == 2
    # 4 problems in each of 4 iterations, of which the second task replays a quarter; the last one draws none (lag 1)
    assert record["draws"] == {"medium": 4 * 2 + 1, "easy": 3}


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["trainer.max_epochs=6"], r"trainer\.max_epochs is 6: expected a multiple of 4"),
        (["trainer.max_epochs=8", "trainer.check_val_every_n_epoch=4"], r"every_n_epoch is 4: expected a divisor of 2"),
        (["evaluation.validation_problems=3"], "none of the 3 validation problems is of task summarisation"),
        (["benchmark.tasks=[generation]"], r"all training problems are of one task \(generation\)"),
        (["tasks.order=[generation, poetry]"], r"tasks\.order is 'poetry'"),
        (["tasks.memory=3"], r"tasks\.memory is 3: expected 0, or at least 4"),
        (["tasks.by=colour"], r"tasks\.by is 'colour'"),
        (["prompts=pool_tf"], r"model\.prompts"),
    ],
)
def test_mistakes_are_one_sentence_before_any_work(tmp_path, overrides, sentence):
    with pytest.raises(ValueError, match=sentence):
        train(config(tmp_path, *overrides))
    assert not (tmp_path / "summary.json").exists()


def test_prompts_need_room(tmp_path, start):
    with pytest.raises(ValueError, match=r"max_prompt_tokens is 8, and model\.prompts takes 8"):
        train(config(tmp_path, *start, "prompts=pool", *POOL, "model.max_prompt_tokens=8"))
