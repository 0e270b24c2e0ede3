"""Run folders below the paths that a user names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rltf.report.read.run import FILES, Run, read_run


def run_folders(path: Path) -> list[Path]:
    """The run folder that `path` is, or those right inside it (a multirun), by their numbers.

    Raises:
        ValueError: there is none.
    """
    if not path.exists():
        raise ValueError(f"{path} does not exist: expected a run folder")
    if _is_run(path) or not path.is_dir():
        return [path]
    jobs = sorted((folder for folder in path.iterdir() if folder.is_dir() and _is_job(folder)), key=natural_order)
    if not any(map(_is_run, jobs)):
        raise ValueError(f"{path} is no run folder and holds none: expected {' or '.join(FILES)}")
    return jobs


def read_runs(folders: Sequence[Path]) -> tuple[list[Run], dict[Path, str]]:
    """The runs that can be read, none twice, and a sentence on each folder that cannot."""
    runs, unread = [], {}
    for folder in {folder.resolve(): folder for folder in folders}.values():
        try:
            runs.append(read_run(folder))
        except (ValueError, OSError) as error:
            unread[folder] = str(error)
    return runs, unread


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in FILES)


def _is_job(path: Path) -> bool:
    """True for a run's folder, even if the run left nothing but its config."""
    return _is_run(path) or (path / ".hydra").is_dir()


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Key that sorts job 10 behind job 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name) if part]
