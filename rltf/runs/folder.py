"""A run folder: how a new one is made, whether a run may write there, and whether one is finished."""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path

from rltf.runs.record import read_summary

SLACK_BYTES = 50 * 2**20
"""Room for rollouts, metrics and the report."""


class FolderRefused(ValueError):
    """A run may not write the folder it was given: one sentence for the person who started it. Nothing in the folder
    was changed."""


def first_process() -> bool:
    """Whether this is the process that writes and prints for the run."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"))


def make_new_folder(path: Path) -> Path:
    """A folder that did not exist before: `path`, or `path-2`, `path-3`, ... where that name is taken, also by a run
    that is started at the same moment.

    Raises:
        OSError: none can be made there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def prepare_folder(folder: Path, needed_bytes: int) -> None:
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


def finished_score(folder: Path) -> float | None:
    """Held-out pass@k after RL of a finished run, for the smallest k; None for any other."""
    try:
        summary = read_summary(folder)
        if summary["status"] != "finished":
            return None
        scores = {int(k): float(value) for k, value in summary["pass_at_k"]["after"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return scores[min(scores)] if scores else None
