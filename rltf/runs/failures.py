"""Ends of a run: exit codes, and a sentence each for those that it did not cause itself and that can be resumed."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

USER_MISTAKE = 2
"""Exit code."""


class Stopped(RuntimeError):
    """A run that cannot go on as things are, and can later: one sentence for the person who started it."""


def exit_code(error: BaseException | None) -> int:
    """Exit code of a command that ended with `error`: 0 for None, 2 for a mistake of its user, 130 and 143 for signals,
    1 for anything else."""
    match error:
        case None:
            return 0
        case SystemExit():
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        case KeyboardInterrupt():
            return 128 + signal.SIGINT
    return USER_MISTAKE if isinstance(error, ValueError) else 1


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
