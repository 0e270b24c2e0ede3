"""Checkpoint files of a run folder: which is the newest whole one, what is in it, and what belongs to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
import logging
import zipfile
from collections.abc import Sequence
from contextlib import suppress

import torch


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


log = logging.getLogger(__name__)


METRICS_FILE = "metrics.csv"


ROLLOUTS_FILE = "rollouts.jsonl"


def forget(folder: Path) -> None:
    """A run without a checkpoint begins anew: nothing of what it wrote counts."""
    for name in (ROLLOUTS_FILE, METRICS_FILE):
        (folder / name).unlink(missing_ok=True)


def newest(folder: Path, names: Sequence[str]) -> Path | None:
    """The newest checkpoint of a run folder that can be read; a damaged one is passed over with a warning. None: there
    is none yet.

    Args:
        folder: the run folder.
        names: of checkpoints, in the order of preference.

    Raises:
        ValueError: there are, and all are damaged.
    """
    for name in names:
        for path in (folder / "checkpoints" / f"{name}.ckpt", folder / "checkpoints" / f"{name}.previous.ckpt"):
            if path.exists():
                if is_whole(path):
                    return path
                log.warning("%s is damaged: the checkpoint before it is used", path)
                with suppress(FileNotFoundError):  # another process of this run was faster
                    os.replace(path, path.with_suffix(".damaged"))  # or the next save would keep it
    if any((folder / "checkpoints").glob("*.damaged")):
        raise ValueError(
            f"resume: no checkpoint in {folder / 'checkpoints'} is whole: delete that folder to begin the run anew"
        )
    return None


def is_whole(path: Path) -> bool:
    """Whether the file is a complete checkpoint: torch writes a zip archive, which has a checksum for each record."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError):
        return False


def cut_lines(path: Path, size: int) -> None:
    """Forgets what was appended to a file after its first `size` bytes."""
    if path.exists() and path.stat().st_size > size:
        os.truncate(path, size)


def cut_rows(path: Path, rows: int) -> None:
    """Forgets all rows of a CSV file but the first `rows` below its header."""
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    if len(lines) > rows + 1:
        beside = path.with_suffix(".csv.new")
        beside.write_bytes(b"".join(lines[: rows + 1]))
        os.replace(beside, path)


def count_bytes(path: Path) -> int:
    """Length of a file; 0 when there is none."""
    return path.stat().st_size if path.exists() else 0


def count_rows(path: Path) -> int:
    """Ends of lines are counted, not cells parsed: this is done at every checkpoint, and no cell holds one."""
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0
