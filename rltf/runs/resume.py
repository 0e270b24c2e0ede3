"""Resumed runs: the config that a run was begun with, and the keys that may differ when it is resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rltf.runs.atomic import write_text
from rltf.runs.files import CHECKPOINT_FOLDER, CONFIG_FILE, OVERRIDES_FILE
from rltf.runs.folder import FolderRefused, finished_score, first_process
from rltf.runs.legacy import upgrade_config
from rltf.runs.record import read_yaml

CHANGEABLE_KEYS = (
    "resume",
    "name",
    "group",
    "report",
    "quiet",
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
    "generation.self_check",
    "trainer.max_epochs",
    "trainer.log_every_n_steps",
)
"""Keys (with all below them) that a resumed run may have otherwise: where things lie, what is printed and logged, how
much hardware is used, and how long the run goes on. All others decide its numbers."""


def begin_run(
    config: Mapping[str, Any],
    folder: Path,
    resumed: bool,
    repeats: bool = False,
    overrides: Sequence[str] | None = None,
) -> None:
    """Checks the folder (`check_folder`), then records the config of a new run and the command line of any. Processes
    other than the first do nothing: the record was there before they were started.

    Args:
        config: the whole config, resolved, as plain values.
        folder: the run folder.
        resumed: whether `resume` names this folder.
        repeats: whether the command, given again, replaces its results: an evaluation or a job.
        overrides: of the command line; None: the config was composed without one.

    Raises:
        FolderRefused: as `check_folder`.
    """
    if not first_process():
        return
    check_folder(config, folder, resumed, repeats)
    if not _is_begun(folder, repeats):
        from omegaconf import OmegaConf

        write_text(folder / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.create(dict(config))))
    if overrides is not None:
        write_text(folder / OVERRIDES_FILE, json.dumps(list(overrides), indent=0, ensure_ascii=False) + "\n")


def check_folder(config: Mapping[str, Any], folder: Path, resumed: bool, repeats: bool = False) -> None:
    """Whether a run may begin or go on in the folder; changes nothing. The arguments are those of `begin_run`.

    Raises:
        FolderRefused: the folder holds a run and `resume` does not name it, a key differs that decides numbers, or
            there is nothing to go on from.
    """
    if not _is_begun(folder, repeats) and (resumed or not (folder / CONFIG_FILE).exists()):
        return
    if not (resumed or repeats):
        raise FolderRefused(f"{folder} holds a run already: resume={folder} goes on with it, or choose another folder")
    for key, recorded, present in differences(read_config(folder), config):
        if not resumed:
            raise FolderRefused(
                f"{folder} holds the results of another command, where {key} was {recorded} (now {present}): choose "
                "another folder"
            )
        raise FolderRefused(
            f"{key} is {present} and was {recorded} when this run began: a resumed run keeps the keys that decide its "
            "numbers (others, like logger, callbacks or paths, may change)"
        )
    if resumed and not repeats and not _has_checkpoint(folder):
        raise FolderRefused(f"resume: the run in {folder} is finished and kept no checkpoint to go on from")


def _is_begun(folder: Path, repeats: bool) -> bool:
    """Whether the folder holds what must not be lost; a run without a checkpoint begins anew."""
    if not (folder / CONFIG_FILE).exists():
        return False
    return repeats or _has_checkpoint(folder) or finished_score(folder) is not None


def _has_checkpoint(folder: Path) -> bool:
    return any((folder / CHECKPOINT_FOLDER).glob("*.ckpt"))


def read_config(folder: Path) -> dict[str, Any]:
    """The config that a run recorded, in today's names.

    Raises:
        FolderRefused: the folder has none that can be read.
    """
    path = folder / CONFIG_FILE
    try:
        config = read_yaml(path)
    except (ValueError, OSError):
        config = None
    if not isinstance(config, dict):
        raise FolderRefused(f"resume: {path} is not the config of a run")
    return upgrade_config(config)


def recorded_config(folder: Path) -> dict[str, Any]:
    """As `read_config`; empty where the folder has none that can be read."""
    try:
        return read_config(folder)
    except FolderRefused:
        return {}


def differences(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Keys that decide numbers and differ: (dotted key, recorded value, present value); None stands for a missing one.

    Example:
        >>> list(differences({"seed": 1, "logger": 1}, {"seed": 2, "logger": 2}))
        [('seed', 1, 2)]
    """
    old, new = dict(_leaves(recorded, "")), dict(_leaves(present, ""))
    for key in [*old, *(key for key in new if key not in old)]:
        if not is_changeable(key) and old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def is_changeable(key: str) -> bool:
    """Whether a resumed run may have the key otherwise."""
    return any(key == changeable or key.startswith(f"{changeable}.") for changeable in CHANGEABLE_KEYS)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from _leaves(child, f"{path}.{name}" if path else str(name))
    else:
        yield path, node
