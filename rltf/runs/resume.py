"""Resumed runs: the config that a run was begun with, and the keys that may differ when it is resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rltf.runs.files import CHECKPOINT_FOLDER, CONFIG_FILE
from rltf.runs.folder import first_process
from rltf.runs.legacy import upgrade_config
from rltf.runs.record import read_yaml

CHANGEABLE_KEYS = (
    "resume",
    "name",
    "group",
    "report",
    "trusted",
    "paths",
    "logger",
    "callbacks",
    "benchmark.path",
    "model.path",
    "executor.workers",
    "executor.require",
    "generation.sampler",
    "generation.hosts",
    "trainer.max_epochs",
    "trainer.log_every_n_steps",
)
"""Keys (with all below them) that a resumed run may have otherwise: where things lie, what is printed and logged, how
much hardware is used, and how long the run goes on. All others decide its numbers."""


def begin_run(config: Mapping[str, Any], folder: Path, resumed: bool) -> None:
    """Records the config of a new run; compares that of a resumed one. Processes other than the first do nothing: the
    record was there before they were started.

    Args:
        config: the whole config, resolved, as plain values.
        folder: the run folder.
        resumed: whether `resume` names this folder.

    Raises:
        ValueError: the folder holds a run and `resume` does not name it, or a key differs that decides numbers.
    """
    if not first_process():
        return
    path = folder / CONFIG_FILE
    has_checkpoint = any((folder / CHECKPOINT_FOLDER).glob("*.ckpt"))
    if not path.exists() or (resumed and not has_checkpoint):  # a run without a checkpoint begins anew
        from omegaconf import OmegaConf

        path.write_text(OmegaConf.to_yaml(OmegaConf.create(dict(config))), encoding="utf-8")
        return
    if not resumed:
        raise ValueError(f"{folder} holds a run already: resume={folder} goes on with it, or choose another folder")
    for key, recorded, present in differences(read_config(folder), config):
        raise ValueError(
            f"{key} is {present} and was {recorded} when this run began: a resumed run keeps the keys that decide its "
            "numbers (others, like logger, callbacks or paths, may change)"
        )


def read_config(folder: Path) -> dict[str, Any]:
    """The config that a run recorded, in today's names.

    Raises:
        ValueError: the folder has none that can be read.
    """
    path = folder / CONFIG_FILE
    try:
        config = read_yaml(path)
    except (ValueError, OSError):
        config = None
    if not isinstance(config, dict):
        raise ValueError(f"resume: {path} is not the config of a run")
    return upgrade_config(config)


def differences(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Keys that decide numbers and differ: (dotted key, recorded value, present value); None stands for a missing one.

    Example:
        >>> list(differences({"seed": 1, "logger": 1}, {"seed": 2, "logger": 2}))
        [('seed', 1, 2)]
    """
    old, new = dict(_leaves(recorded, "")), dict(_leaves(present, ""))
    for key in [*old, *(key for key in new if key not in old)]:
        free = any(key == resumable or key.startswith(f"{resumable}.") for resumable in CHANGEABLE_KEYS)
        if not free and old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from _leaves(child, f"{path}.{name}" if path else str(name))
    else:
        yield path, node
