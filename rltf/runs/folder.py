"""A run folder: the names of its files, the config it was begun with, and whether a run may write or continue there."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rltf.runs.files import CHECKPOINT_FOLDER, CONFIG_FILE
from rltf.runs.legacy import upgrade_config
from rltf.runs.record import read_summary, read_yaml

RESUMABLE_KEYS = (
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
SLACK_BYTES = 50 * 2**20
"""Room for rollouts, metrics and the report."""


class Stopped(RuntimeError):
    """A run that cannot go on as things are, and can later: one sentence for the person who started it."""


def first_process() -> bool:
    """Whether this is the process that writes and prints for the run."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"))


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
        free = any(key == resumable or key.startswith(f"{resumable}.") for resumable in RESUMABLE_KEYS)
        if not free and old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def finished_score(folder: Path) -> float | None:
    """Held-out pass@1 after RL of a finished run; None for any other."""
    try:
        summary = read_summary(folder)
        if summary["status"] != "finished":
            return None
        scores = {int(k): float(value) for k, value in summary["pass_at_k"]["after"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return scores[min(scores)] if scores else None


def check_folder(folder: Path, needed_bytes: int) -> None:
    """Makes the run folder, if need be.

    Args:
        folder: exists or can be made.
        needed_bytes: of checkpoints and policy.

    Raises:
        ValueError: it cannot be made or written, or its disk lacks room.
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


def explain_stop(error: BaseException, folder: Path, processes: int) -> str | None:
    """A sentence for an error that the run itself did not cause and after which it can be resumed; None for any other.

    Args:
        error: ended the run.
        folder: the run folder.
        processes: number of processes of the run.
    """
    import torch

    continuation = f"resume={folder} goes on from the last checkpoint"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {folder} is full: make room, and {continuation}"
    if isinstance(error, torch.OutOfMemoryError):
        return str(error)
    if processes > 1 and peer_lost(error):
        return f"another process of this run ended, the logs are in {folder}: {continuation}"
    return None


def peer_lost(error: BaseException) -> bool:
    """Whether an error of the libraries that connect processes says that another process of the run ended.

    Gloo has no exception of its own, but names its source file; NCCL, the store and the network have theirs."""
    from torch import distributed

    if isinstance(error, distributed.DistBackendError | distributed.DistNetworkError | distributed.DistStoreError):
        return True
    return isinstance(error, ConnectionError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from _leaves(child, f"{path}.{name}" if path else str(name))
    else:
        yield path, node
