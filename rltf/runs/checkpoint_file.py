"""Checkpoint files of a run folder: where they lie, which is the newest complete one, what it holds; and the files that
are cut to the lengths that a checkpoint recorded."""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from rltf.runs.atomic import write_bytes
from rltf.runs.files import (
    CHECKPOINT_FOLDER,
    METRICS_FILE,
    MLFLOW_ID_FILE,
    ROLLOUTS_FILE,
    WANDB_ID_FILE,
    WANDB_POSITION_FILE,
)

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)


def checkpoint_path(folder: Path, name: str) -> Path:
    """Path of the checkpoint `name` (last, last.previous, warmup, best) of a run folder."""
    return folder / CHECKPOINT_FOLDER / f"{name}.ckpt"


def newest(folder: Path, names: Sequence[str]) -> Path | None:
    """The newest checkpoint of a run folder that can be read, None when there is none. A damaged one is renamed and
    passed over with a warning.

    Args:
        folder: the run folder.
        names: of checkpoints, in the order of preference.

    Raises:
        ValueError: there are checkpoints, and all are damaged.
    """
    for name in names:
        for path in (checkpoint_path(folder, name), checkpoint_path(folder, f"{name}.previous")):
            if path.exists():
                if is_whole(path):
                    return path
                log.warning("%s is damaged: the checkpoint before it is used", path)
                with suppress(FileNotFoundError):  # another process of this run was faster
                    os.replace(path, path.with_suffix(".damaged"))  # or the next save would keep it
    if any((folder / CHECKPOINT_FOLDER).glob("*.damaged")):
        raise ValueError(
            f"resume: no checkpoint in {folder / CHECKPOINT_FOLDER} is whole: delete that folder to begin the run anew"
        )
    return None


def is_whole(path: Path) -> bool:
    """Whether the file is a complete checkpoint: torch writes a zip archive, which has a checksum for each record."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError):
        return False


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


def check_checkpoint(path: Path, expected: Mapping[str, Tensor], key: str = "resume") -> None:
    """Compares the shapes of a checkpoint's tensors with those of the model that the config describes.

    Args:
        path: a Lightning checkpoint.
        expected: the module's own state.
        key: of the config, which names it.

    Raises:
        ValueError: a tensor is missing or has another shape, or the file is more than data.
    """
    state = read_checkpoint(path, mmap=True)["state_dict"]
    for name, tensor in expected.items():
        shape = tuple(state[name].shape) if name in state else None
        if shape != tuple(tensor.shape):
            raise ValueError(
                f"{key}: {path} is of another model, {name} has shape {shape} there and {tuple(tensor.shape)} here: "
                "expected the model of that run"
            )


def forget(folder: Path) -> None:
    """Deletes metrics, rollouts and the names in loggers of a run without a checkpoint, which begins anew."""
    for name in (ROLLOUTS_FILE, METRICS_FILE, WANDB_ID_FILE, WANDB_POSITION_FILE, MLFLOW_ID_FILE):
        (folder / name).unlink(missing_ok=True)


def cut_lines(path: Path, size: int) -> None:
    """Cuts a file to its first `size` bytes."""
    if path.exists() and path.stat().st_size > size:
        os.truncate(path, size)


def cut_rows(path: Path, rows: int) -> None:
    """Cuts a CSV file to its header and the first `rows` rows."""
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    if len(lines) > rows + 1:
        write_bytes(path, b"".join(lines[: rows + 1]))


def count_bytes(path: Path) -> int:
    """Length of a file; 0 when there is none."""
    return path.stat().st_size if path.exists() else 0


def count_rows(path: Path) -> int:
    """Rows of a CSV file below its header; 0 when there is none. Line ends are counted and no cell is parsed: this is
    done at every checkpoint, and no cell holds a line end."""
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0
