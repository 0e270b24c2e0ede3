"""A run folder that exists already: whose it is, whether it is done, and whether this config may go on with it."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

CONFIG = "config.yaml"
"""The whole config of a run, resolved; written when it begins."""
RESUMABLE_KEYS = (
    "resume",
    "name",
    "group",
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


class Stopped(RuntimeError):
    """A run that cannot go on as things are, and can later: one sentence for whoever started it."""


def first_process() -> bool:
    """Whether this is the process that writes and speaks for the run."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"))


def begin_run(cfg: DictConfig, folder: Path) -> None:
    """Records the config of a new run; of one that goes on, checks it. Other processes than the first do nothing: it
    was there before they were started.

    Args:
        cfg: the whole config.
        folder: of the run.

    Raises:
        ValueError: the folder holds a run and `resume` does not say so, or a key differs that may not.
    """
    if not first_process():
        return
    record = folder / CONFIG
    now = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(now, dict)
    begun = any((folder / "checkpoints").glob("*.ckpt"))
    if not record.exists() or (cfg.resume and not begun):  # nothing is there to be gone on with
        record.write_text(OmegaConf.to_yaml(OmegaConf.create(now)), encoding="utf-8")
        return
    if not cfg.resume:
        raise ValueError(f"{folder} holds a run already: resume={folder} goes on with it, or choose another folder")
    before = _recorded(record)
    for key, old, new in differences(before, now):
        raise ValueError(
            f"{key} is {new} and was {old} when this run began: a resumed run keeps the keys that decide its numbers "
            f"(others, like {', '.join(RESUMABLE_KEYS[4:7])}, may change)"
        )


def _recorded(path: Path) -> Mapping[Any, Any]:
    try:
        config = OmegaConf.to_container(OmegaConf.load(path))
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError):
        config = None
    if not isinstance(config, dict):
        raise ValueError(f"resume: {path} is not the config of a run")
    return config


def differences(before: Mapping[Any, Any], now: Mapping[Any, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Keys that may not change and did: (dotted key, old value, new value); None stands for a missing one.

    Example:
        >>> list(differences({"seed": 1, "logger": 1}, {"seed": 2, "logger": 2}))
        [('seed', 1, 2)]
    """
    old, new = dict(_flat(before, "")), dict(_flat(now, ""))
    for key in [*old, *(key for key in new if key not in old)]:
        frozen = not any(key == free or key.startswith(f"{free}.") for free in RESUMABLE_KEYS)
        if frozen and old.get(key) != new.get(key):
            yield key, old.get(key), new.get(key)


def finished_score(folder: Path) -> float | None:
    """Held-out pass@1 after RL of a run that is done; None for any other."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        if summary["status"] != "finished":
            return None
        scores = {int(k): float(value) for k, value in summary["pass_at_k"]["after"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return scores[min(scores)] if scores else None


def _flat(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from _flat(child, f"{path}.{name}" if path else str(name))
    else:
        yield path, node


def explain_stop(error: BaseException, folder: Path, processes: int) -> str | None:
    """A sentence for the person who started the run; None for what is a fault of the program.

    Args:
        error: that ended the run.
        folder: of the run.
        processes: of the run.
    """
    import torch

    again = f"resume={folder} goes on from the last checkpoint"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {folder} is full: make room, and {again}"
    if isinstance(error, torch.OutOfMemoryError):
        return str(error)
    if processes > 1 and peer_lost(error):
        return f"another process of this run ended, the logs are in {folder}: {again}"
    return None


SLACK_BYTES = 50 * 2**20
"""Room for rollouts, metrics and the report."""


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


def peer_lost(error: BaseException) -> bool:
    """Whether an error says that another process of the run is gone: it comes from what connects them.

    Gloo has no exception of its own, but names its source file; NCCL, the store and the network have theirs."""
    from torch import distributed

    if isinstance(error, distributed.DistBackendError | distributed.DistNetworkError | distributed.DistStoreError):
        return True
    return isinstance(error, ConnectionError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))
