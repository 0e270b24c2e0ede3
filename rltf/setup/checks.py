"""A user's mistakes in a config, each one sentence with the key's path. `check_config` finds those that need neither
torch nor Lightning: a command calls it before it imports them, so that it answers within a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rltf.execution.executor import check_options
from rltf.runs.warm_starts import check_origin
from rltf.setup.benchmark import check_benchmark
from rltf.setup.combinations import check_combinations, check_credit, check_trained_critic
from rltf.setup.config import EvaluationConfig, GenerationConfig, RunConfig, typed_node
from rltf.setup.devices import check_devices, check_precision
from rltf.setup.instantiate import build
from rltf.setup.keys import check_keys, leaves
from rltf.setup.learning import check_learning
from rltf.setup.packages import check_packages
from rltf.setup.quantization import check_quantization
from rltf.validation import OptionError, require

AT_LEAST_ONE = (
    "trainer.max_epochs",
    "trainer.accumulate_grad_batches",
    "trainer.check_val_every_n_epoch",
    "trainer.log_every_n_steps",
    *("model.max_prompt_tokens", "model.d_model", "model.d_ff", "model.layers", "model.heads"),
)
"""Whole numbers of nodes that libraries build, or classes that say less about a mistake."""
MISSING: Mapping[str, str] = {
    "policy": "policy=FOLDER of a run or of a model, policy=HUB_ID, or a name of configs/model",
    "benchmark.run": "the folder of a run, whose failed programs are used",
    "job.data": "the folder of a run of job=prm_data, or a list of them",
    "job.runs": "the folder of a run, whose judged programs are read, or a list of them",
    "job.source": "a folder or file of Python code, JSON lines of programs, or a list of them",
    "benchmark.path": "mined.jsonl of a run of job=mine",
    "benchmark.parts.mined.path": "mined.jsonl of a run of job=mine",
    "reward.terms.prm.model": "the folder of a run of job=prm",
}
"""Key without a default -> what is expected."""
FILES: Mapping[str, str] = {
    "model.path": "a folder in the Hugging Face layout",
    "model.tokenizer": "a tokenizer.json",
    "benchmark.path": "a file or folder of problems",
    "benchmark.run": MISSING["benchmark.run"],
    "benchmark.parts.*.path": "a file or folder of problems",
    "critic.weights": "the file critic.pt of a run, or null",
    "critic.body": "a folder with a policy, such as policy/ of a run of job=atc, or null",
    "job.data": MISSING["job.data"],
    "job.runs": MISSING["job.runs"],
    "job.source": MISSING["job.source"],
    "reward.terms.prm.model": MISSING["reward.terms.prm.model"],
}
"""Key that names files -> what is expected there; `*` stands for any name."""


LIGHT_NODES = ("reward", "benchmark", "auxiliary", "algorithm.advantages", "algorithm.selection", "tasks")
LIGHT_MODULES = (
    *(
        "rltf.rewards.",
        "rltf.grounding.",
        "rltf.contrast.auxiliary_options.",
        "rltf.benchmarks.mini",
        "rltf.algorithms.advantages.",
        "rltf.algorithms.dynamic_sampling.",
        "rltf.rollouts.tasks.",
    ),
)
"""Nodes that are built for the sake of their mistakes, where all their classes are in modules that import nothing heavy
and read no files."""


def check_config(cfg: DictConfig, command: str) -> None:
    """Finds every mistake that can be told from the config and the files it names.

    Args:
        cfg: the whole config.
        command: `train` or `eval`.

    Raises:
        ValueError: the first mistake.
    """
    config = _resolved(cfg)
    if not isinstance(config["trusted"], list):
        raise OptionError("trusted", config["trusted"], "a list of packages, such as [rltf,lightning,my_package]")
    if cfg.get("trainer") is None:
        raise ValueError("trainer is not named, and this model's recipe has none: expected trainer=NAME")
    check_benchmark(cfg)
    require("seed", cfg.seed, at_least=0, whole=True)
    require("quiet", cfg.get("quiet", False), choices=(True, False))
    check_keys(config, command)
    for key in AT_LEAST_ONE:
        require(key, OmegaConf.select(cfg, key), at_least=1, whole=True, optional=True)
    if "path" in config["model"] and config["model"]["path"] is config["model"].get("name") is None:
        raise OptionError(
            "model.path", config["model"].get("path"), "model.path=FOLDER with weights, or model.name=HUB_ID"
        )
    _check_executor(config["executor"])
    if command == "train":
        _check_training(cfg)
    else:
        typed_node(cfg, "evaluation", EvaluationConfig)
        typed_node(cfg, "generation", GenerationConfig)
        check_trained_critic(cfg)
    _check_sizes(config, command)
    check_devices(config["trainer"])
    check_quantization(cfg)
    check_packages(config)
    _check_files(config)


def read_training_config(cfg: DictConfig) -> RunConfig:
    """The typed nodes of a training config, all of which was checked.

    Raises:
        ValueError: the first mistake.
    """
    check_config(cfg, "train")
    _check_target(cfg)
    _check_optimizer(cfg)
    return RunConfig.of(cfg)


def read_evaluation_config(cfg: DictConfig) -> EvaluationConfig:
    """The typed node of an evaluation config, all of which was checked.

    Raises:
        ValueError: the first mistake.
    """
    check_config(cfg, "eval")
    return typed_node(cfg, "evaluation", EvaluationConfig)


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    """The config as plain values."""
    for key in sorted(OmegaConf.missing_keys(cfg)):
        raise ValueError(f"{key} is missing: expected {MISSING.get(key, f'{key}=VALUE')}")
    try:
        return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise ValueError(f"{error.full_key}: {str(error).splitlines()[0]}") from error


def _check_training(cfg: DictConfig) -> None:
    config = RunConfig.of(cfg)
    check_precision(cfg.trainer.get("precision"))
    require("critic_lr", cfg.critic_lr, above=0)
    if cfg.get("optimizer") is not None:
        require("optimizer.lr", cfg.optimizer.get("lr"), above=0)
        require("optimizer.weight_decay", cfg.optimizer.get("weight_decay"), at_least=0, optional=True)
    if cfg.get("job") is None:
        check_combinations(cfg)
    else:
        check_credit(cfg)
    check_learning(cfg, config.rollouts)
    if config.warmup.steps and not cfg.resume:
        check_origin(config.warmup.from_)
    for key in LIGHT_NODES:
        node = OmegaConf.select(cfg, key)
        content = OmegaConf.to_container(node, resolve=True) if node is not None else {}
        targets = [value for path, value in leaves(content) if path.rpartition(".")[2] == "_target_"]
        if all(target.startswith(LIGHT_MODULES) for target in targets):
            build(cfg, key)


def _check_sizes(config: Mapping[str, Any], command: str) -> None:
    """Whether a benchmark that is generated has problems in the splits that are used."""
    sizes = config["benchmark"].get("sizes")
    if not isinstance(sizes, dict):
        return
    evaluated = [] if config.get("job") is not None else [config["evaluation"]["split"]]
    for split in [*(["train"] if command == "train" else []), *evaluated]:
        require(f"benchmark.sizes.{split}", sizes.get(split, 0), at_least=1, whole=True)


def _check_executor(node: Mapping[str, Any]) -> None:
    try:
        check_options(node)
    except OptionError as error:
        raise error.below("executor") from error


def _check_files(config: Mapping[str, Any]) -> None:
    for key, value in leaves(config):
        expected = next((text for pattern, text in FILES.items() if _matches(key, pattern)), None)
        if expected is None or value is None:
            continue
        for path in value if isinstance(value, list) else [value]:
            if not Path(str(path)).expanduser().exists():
                raise OptionError(key, path, f"{expected}; nothing is there")


def _matches(key: str, pattern: str) -> bool:
    parts, pattern_parts = key.split("."), pattern.split(".")
    return len(parts) == len(pattern_parts) and all(
        part in (name, "*") for name, part in zip(parts, pattern_parts, strict=True)
    )


def _check_target(cfg: DictConfig) -> None:
    """Whether there is a moving average of the policy where the loss reads one, and nowhere else."""
    reads = "target" in build(cfg, "algorithm.mix").needs
    target = OmegaConf.select(cfg, "algorithm.target._target_")
    if reads != (target is not None):
        expected = "rltf.algorithms.target.TargetNetwork, which algorithm.mix reads"
        raise OptionError("algorithm.target", target, expected if reads else "null: nothing reads it")


def _check_optimizer(cfg: DictConfig) -> None:
    """Makes the optimiser for one number, since its own errors come after the warm-up's data were made."""
    import torch

    make_optimizer = build(cfg, "optimizer")
    try:
        make_optimizer([torch.nn.Parameter(torch.zeros(1))])
    except (TypeError, ValueError) as error:
        raise ValueError(f"optimizer: {error}") from error
