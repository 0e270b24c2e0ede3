"""A user's mistakes in numbers and folders, found before any long work. Each is one sentence that names the key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from torch import Tensor

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
SLACK_BYTES = 50 * 2**20
"""Room for rollouts, metrics and the report."""


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


def check_folder(folder: Path, needed_bytes: int) -> None:
    """The run folder can be written and its disk has room.

    Args:
        folder: exists or can be made.
        needed_bytes: of checkpoints and policy.

    Raises:
        ValueError: it cannot, or has not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"paths.output_dir={folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"paths.output_dir={folder} cannot be written: choose another with paths.root=FOLDER")
    free = shutil.disk_usage(folder).free
    needed = needed_bytes + SLACK_BYTES
    if free < needed:
        raise ValueError(
            f"paths.output_dir={folder} has {free / 2**20:.0f} MiB free and this run needs about "
            f"{needed / 2**20:.0f} MiB for checkpoints and the policy: choose another disk with paths.root=FOLDER"
        )


def check_checkpoint(path: Path, expected: Mapping[str, Tensor]) -> None:
    """The checkpoint is of the model that the config describes.

    Args:
        path: a Lightning checkpoint.
        expected: the module's own state.

    Raises:
        ValueError: a tensor is missing or has another shape, or the file is more than data.
    """
    found = read_checkpoint(path, mmap=True)["state_dict"]
    for name, tensor in expected.items():
        shape = tuple(found[name].shape) if name in found else None
        if shape != tuple(tensor.shape):
            raise ValueError(
                f"resume: {path} is of another model, {name} has shape {shape} there and {tuple(tensor.shape)} here: "
                "resume with the model of that run"
            )


def read_checkpoint(path: Path, mmap: bool = False) -> dict[str, Any]:
    """A Lightning checkpoint as data: no code in it runs.

    Args:
        path: of the file.
        mmap: leave tensors on the disk until they are read.

    Raises:
        ValueError: it holds anything but tensors and plain values.
    """
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except (UnpicklingError, RuntimeError):
        content = None
    if not isinstance(content, dict) or "state_dict" not in content:
        raise ValueError(
            f"resume: {path} is no checkpoint of tensors and plain values, and nothing else is loaded, since it could "
            "run code: resume a folder that rltf wrote"
        )
    return content
