"""`rltf report RUN --follow`: the page of runs that are still going, written anew whenever their files have changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rltf.report.read.folders import run_folders
from rltf.report.read.run import FILES
from rltf.runs.files import EVALUATION_FILE, SUMMARY_FILE
from rltf.runs.record import read_summary

State = dict[Path, tuple[int, int]]
"""File -> (time of the last change in ns, size)."""


def follow(
    paths: Sequence[Path], write: Callable[[], None], every: float, wait: Callable[[float], None] = time.sleep
) -> None:
    """Calls `write` whenever files of the runs have changed, until no run is going any more. Returns at Ctrl-C.

    Args:
        paths: run folders, or folders of them; a run may have written nothing yet.
        write: writes the page.
        every: seconds between two looks.
        wait: waits so many seconds.
    """
    shown_state: State = {}
    try:
        while True:
            state = file_states(paths)
            if state != shown_state:
                write()
                shown_state = state
            if state and all(has_ended(folder) for folder in _folders(paths)):
                return
            wait(every)
    except KeyboardInterrupt:
        return


def file_states(paths: Sequence[Path]) -> State:
    """The files of all runs that a report reads."""
    states: State = {}
    for folder in _folders(paths):
        for name in (*FILES, EVALUATION_FILE):
            try:
                stat = (folder / name).stat()
            except OSError:
                continue
            states[folder / name] = (stat.st_mtime_ns, stat.st_size)
    return states


def has_ended(folder: Path) -> bool:
    """Whether a run's summary says that it is over."""
    try:
        return (folder / SUMMARY_FILE).is_file() and read_summary(folder).get("status") != "running"
    except (OSError, ValueError):
        return False


def _folders(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        try:
            yield from run_folders(path)
        except (ValueError, OSError):
            continue  # nothing there yet
