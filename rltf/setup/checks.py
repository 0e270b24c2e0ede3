"""A user's mistakes in numbers and folders, found before any long work. Each is one sentence that names the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    pass

AT_LEAST_ONE = (
    "rollouts.problems",
    "rollouts.samples",
    "rollouts.updates",
    "rollouts.batch_size",
    "rollouts.demonstrations",
    "warmup.batch_size",
    "warmup.accumulate",
    "evaluation.samples",
    "evaluation.validation_problems",
    "evaluation.validation_samples",
    "evaluation.problems",
    "trainer.max_epochs",
    "trainer.accumulate_grad_batches",
    "trainer.check_val_every_n_epoch",
    "trainer.log_every_n_steps",
    "generation.sampling.max_new_tokens",
    "model.max_prompt_tokens",
    "buffer.capacity",
    "callbacks.collapse.iterations",
)
NOT_NEGATIVE = ("warmup.steps", "optimizer.warmup_steps", "optimizer.weight_decay", "seed")
ABOVE_ZERO = ("warmup.lr", "optimizer.lr")


def check_numbers(cfg: DictConfig) -> None:
    """Counts, rates and temperatures.

    Raises:
        ValueError: names the first bad key.
    """
    for key in AT_LEAST_ONE:
        _require(cfg, key, lambda v: isinstance(v, int) and v >= 1, "a whole number of at least 1")
    for key in NOT_NEGATIVE:
        _require(cfg, key, lambda v: isinstance(v, int | float) and v >= 0, "a number of at least 0")
    for key in ABOVE_ZERO:
        _require(cfg, key, lambda v: isinstance(v, int | float) and v > 0, "a number above 0")
    _require(cfg, "rollouts.lag", lambda v: v in (0, 1), "0 or 1")
    _require(cfg, "evaluation.temperature", lambda v: v >= 0, "a number above 0, or 0 for greedy programs")
    if cfg.evaluation.temperature == 0 and cfg.evaluation.samples > 1:
        raise ValueError(
            f"evaluation.temperature is 0 with evaluation.samples={cfg.evaluation.samples}: all programs of a problem "
            "would be the same, use evaluation.samples=1 or a temperature above 0"
        )
    _require(
        cfg,
        "generation.sampling.temperature",
        lambda v: v > 0,
        "a number above 0: training compares different programs of a problem",
    )
    collapse = OmegaConf.select(cfg, "callbacks.collapse")
    if collapse is not None and not (set(collapse) == {"iterations", "below"} and collapse.iterations):
        raise ValueError(
            f"callbacks.collapse is {collapse}, expected null or {{iterations: 10, below: {{METRIC: BOUND}}}}"
        )
    ks = cfg.evaluation.ks
    if not ks or any(not isinstance(k, int) or k < 1 for k in ks):
        raise ValueError(f"evaluation.ks is {OmegaConf.to_container(ks)}, expected whole numbers of at least 1")


def _require(cfg: DictConfig, key: str, holds: Callable[[Any], bool], expected: str) -> None:
    value = OmegaConf.select(cfg, key)
    if value is not None and (isinstance(value, bool | str) or not holds(value)):
        raise ValueError(f"{key} is {value}, expected {expected}")
