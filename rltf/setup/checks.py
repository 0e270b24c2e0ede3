"""A user's mistakes in numbers, found before anything is built. Each is one sentence with the key's path."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from rltf.setup.config import EvaluationConfig, RunConfig, typed_node
from rltf.setup.instantiate import build
from rltf.setup.learning import check_learning
from rltf.validation import OptionError, require

AT_LEAST_ONE = (
    "trainer.max_epochs",
    "trainer.accumulate_grad_batches",
    "trainer.check_val_every_n_epoch",
    "trainer.log_every_n_steps",
    "generation.sampling.max_new_tokens",
    "model.max_prompt_tokens",
    "buffer.capacity",
)
"""Whole numbers of nodes that are built later, or by libraries, which say less about a mistake."""


def read_training_config(cfg: DictConfig) -> RunConfig:
    """The typed nodes of a training config.

    Raises:
        ValueError: the first number that makes no sense.
    """
    config = RunConfig.of(cfg)
    require("optimizer.lr", cfg.optimizer.get("lr"), above=0)
    require("optimizer.weight_decay", cfg.optimizer.get("weight_decay"), at_least=0, optional=True)
    require("critic_lr", cfg.critic_lr, above=0)
    _check_built_nodes(cfg)
    _check_optimizer(cfg)
    _check_precision(cfg)
    check_learning(cfg, config.rollouts)
    return config


def read_evaluation_config(cfg: DictConfig) -> EvaluationConfig:
    """The typed node of an evaluation config.

    Raises:
        ValueError: the first number that makes no sense.
    """
    require("seed", cfg.seed, at_least=0, whole=True)
    _check_built_nodes(cfg)
    return typed_node(cfg, "evaluation", EvaluationConfig)


def _check_optimizer(cfg: DictConfig) -> None:
    """Makes the optimiser for one number, since its own errors come after the warm-up's data were made."""
    import torch

    make_optimizer = build(cfg, "optimizer")
    try:
        make_optimizer([torch.nn.Parameter(torch.zeros(1))])
    except TypeError as error:
        name = cfg.optimizer.get("_target_")
        reason = str(error).partition("__init__() ")[2] or str(error)
        raise ValueError(
            f"optimizer: {name} {reason}; '~optimizer.KEY' on the command line leaves a key of configs/optimizer out"
        ) from error
    except ValueError as error:
        raise ValueError(f"optimizer: {error}") from error


def _check_precision(cfg: DictConfig) -> None:
    from rltf.policies.precision import check_precision  # imports torch

    check_precision(cfg.trainer.get("precision"))


def _check_built_nodes(cfg: DictConfig) -> None:
    for key in AT_LEAST_ONE:
        require(key, OmegaConf.select(cfg, key), at_least=1, whole=True, optional=True)
    temperature = OmegaConf.select(cfg, "generation.sampling.temperature")
    if isinstance(temperature, bool | str) or temperature <= 0:
        raise OptionError(
            "generation.sampling.temperature",
            temperature,
            "a number above 0: training compares different programs of a problem",
        )
