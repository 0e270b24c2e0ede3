"""Every yaml composes, and names classes that exist; the documented combinations say what they promise."""

from pathlib import Path

import pytest
from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf

CONFIGS = Path(__file__).parents[2] / "configs"
GROUPS = ("algorithm", "auxiliary", "benchmark", "buffer", "callbacks", "credit", "critic", "curriculum", "debug")
GROUPS += ("executor", "generation", "job", "logger", "model", "optimizer", "prompts", "recipe", "reward", "tasks")
GROUPS += ("trainer",)


def _choices():
    for group in GROUPS:
        for file in sorted((CONFIGS / group).glob("*.yaml")):
            if not file.stem.startswith("_") and (group, file.stem) != ("model", "pretrained"):
                yield f"{group}={file.stem}"


def _targets(node):
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield node["_target_"]
        for key in node:
            if not OmegaConf.is_missing(node, key):
                yield from _targets(node[key])
    elif isinstance(node, ListConfig):
        for child in node:
            yield from _targets(child)


@pytest.mark.parametrize("choice", list(_choices()))
def test_every_choice_composes_and_names_real_classes(composed, choice):
    cfg = composed("train", choice)
    OmegaConf.to_container(cfg, resolve=True)
    for target in _targets(cfg):
        assert callable(get_object(target)), target


@pytest.mark.parametrize("model", sorted({f.stem for f in (CONFIGS / "recipe").glob("*.yaml")} - {"default"}))
def test_every_recipe_belongs_to_a_model(model):
    assert (CONFIGS / "model" / f"{model}.yaml").is_file()


def test_the_paper_setting_is_one_command(composed):
    cfg = composed("train", "reward=fine+adaptive", "model=codet5_770m")
    assert cfg.benchmark._target_ == "rltf.benchmarks.apps.benchmark.Apps"
    assert cfg.model.name == "Salesforce/codet5-large-ntp-py"
    assert set(cfg.reward.terms) == {"fine", "adaptive"}
    assert (cfg.optimizer.lr, cfg.optimizer.weight_decay, cfg.schedule.warmup_steps) == (2e-6, 0.05, 500)
    assert (cfg.buffer.capacity, cfg.rollouts.updates, cfg.rollouts.samples) == (6400, 50, 20)
    assert (cfg.model.max_prompt_tokens, cfg.generation.sampling.max_new_tokens) == (800, 512)
    assert (cfg.generation.sampling.temperature, cfg.generation.sampling.top_p) == (1.0, 0.95)
    assert cfg.algorithm.advantages.baseline == "best_so_far"
    assert cfg.reward.terms.fine.weight == -0.3


@pytest.mark.parametrize("algorithm", sorted(f.stem for f in (CONFIGS / "algorithm").glob("*.yaml")))
@pytest.mark.parametrize("model", ["tiny_t5", "smollm2_135m", "codet5_770m"])
def test_a_recipe_never_alters_the_algorithm_that_was_asked_for(composed, model, algorithm):
    chosen = composed("train", f"model={model}", f"algorithm={algorithm}").algorithm
    assert chosen == composed("train", "recipe=default", "benchmark=mini", f"algorithm={algorithm}").algorithm


@pytest.mark.parametrize("reward", ["coarse", "binary", "fine+adaptive"])
def test_a_recipe_never_alters_the_reward_that_was_asked_for(composed, reward):
    alone = composed("train", "recipe=default", "benchmark=mini", f"reward={reward}").reward
    assert composed("train", f"reward={reward}").reward == alone


def test_the_command_line_wins_over_a_recipe(composed):
    cfg = composed("train", "model=codet5_770m", "benchmark=mbpp", "optimizer.lr=1e-5")
    assert cfg.benchmark._target_ == "rltf.benchmarks.mbpp.Mbpp"
    assert cfg.optimizer.lr == 1e-5


def test_each_granularity_adds_its_term(composed):
    for reward in ("coarse", "coarse+fine", "coarse+adaptive", "coarse+fine+adaptive"):
        assert set(composed("train", f"reward={reward}").reward.terms) == set(reward.split("+"))


def test_an_evaluation_has_neither_reward_nor_algorithm(composed):
    cfg = composed("eval", "policy=x")
    assert not {"reward", "algorithm", "buffer", "rollouts", "optimizer"} & set(cfg)


def test_several_loggers_are_chosen_at_once(composed):
    assert list(composed("train", "logger=[csv,tensorboard,trackio]").logger) == ["csv", "tensorboard", "trackio"]
    assert list(composed("train", "logger=none").logger) == ["csv"]
    assert list(composed("train").logger) == ["csv", "wandb"]


@pytest.mark.parametrize("model", ["tiny_t5", "tiny_causal", "smollm2_135m", "codet5_770m", "codegen_2b"])
def test_a_recipe_never_alters_the_trainer_that_was_asked_for(composed, model):
    gpu = composed("train", f"model={model}", "trainer=gpu").trainer
    assert (gpu.accelerator, gpu.precision) == ("gpu", "bf16-mixed")
    ddp = composed("train", f"model={model}", "trainer=ddp").trainer
    assert (ddp.accelerator, ddp.devices, ddp.strategy, ddp.precision) == ("auto", "auto", "ddp", "32-true")
    assert composed("train", f"model={model}", "trainer=cpu").trainer.precision == "32-true"
    lengths = composed("train", f"model={model}").trainer
    assert (gpu.max_epochs, gpu.accumulate_grad_batches) == (lengths.max_epochs, lengths.accumulate_grad_batches)


def test_debug_never_alters_the_logger_that_was_asked_for(composed):
    assert list(composed("train", "debug=default").logger) == ["csv"]
    assert list(composed("train", "debug=default", "logger=tensorboard").logger) == ["tensorboard"]


@pytest.mark.parametrize("benchmark", ["mbpp", "apps", "humaneval"])
def test_debug_has_few_problems_of_any_benchmark(composed, benchmark):
    assert composed("train", f"benchmark={benchmark}", "debug=default").benchmark.limit == 20
    assert composed("train", f"benchmark={benchmark}", "debug=default", "benchmark.limit=7").benchmark.limit == 7
    assert composed("train", f"benchmark={benchmark}").benchmark.limit is None


def test_debug_generates_few_problems(composed):
    assert dict(composed("train").benchmark.sizes) == {"train": 3000, "validation": 100, "test": 300}
    few = composed("train", "debug=default", "benchmark.sizes.train=7").benchmark.sizes
    assert dict(few) == {"train": 7, "validation": 20, "test": 20}
