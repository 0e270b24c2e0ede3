"""Why a run stopped that could go on, in one sentence; every other error keeps its traceback."""

from __future__ import annotations

import errno
from pathlib import Path

import torch

from rltf.training.ranks import peer_lost


def why_stopped(error: BaseException, folder: Path, processes: int) -> str | None:
    """A sentence for the person who started the run; None for what is a fault of the program.

    Args:
        error: that ended the run.
        folder: of the run.
        processes: of the run.
    """
    again = f"resume={folder} goes on from the last checkpoint"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {folder} is full: make room, and {again}"
    if isinstance(error, torch.OutOfMemoryError):
        return str(error)
    if processes > 1 and peer_lost(error):
        return f"another process of this run ended, the logs are in {folder}: {again}"
    return None
