"""What a run recorded of itself: `summary.json`, and the yaml files that hold its config and command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rltf.runs.files import HYDRA_FOLDER, OVERRIDES_FILE, SUMMARY_FILE


def read_summary(folder: Path) -> dict[str, Any]:
    """Content of a run folder's `summary.json`.

    Raises:
        OSError: there is none that can be read.
        ValueError: it is damaged; the sentence says how.
    """
    try:
        summary = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{SUMMARY_FILE} is no JSON ({error})") from error
    if not isinstance(summary, dict):
        raise ValueError(f"{SUMMARY_FILE} holds {type(summary).__name__}, expected an object")
    return summary


def read_overrides(folder: Path) -> list[str]:
    """The overrides that started a run, as its user typed them.

    Raises:
        OSError: there is no record that can be read.
        ValueError: the record is no list.
    """
    path = overrides_path(folder)
    overrides = read_yaml(path) or []
    if not isinstance(overrides, list):
        raise ValueError(f"{path} is no list of overrides")
    return [str(override) for override in overrides]


def overrides_path(folder: Path) -> Path:
    """Where a run recorded its overrides: rltf's own file, else Hydra's, which is all that runs of version 0.1 have."""
    path, hydra_path = folder / OVERRIDES_FILE, folder / HYDRA_FOLDER / OVERRIDES_FILE
    return hydra_path if hydra_path.is_file() and not path.is_file() else path


def read_yaml(path: Path) -> Any:
    """A yaml file as plain values; interpolations stay as they are written.

    Raises:
        OSError: there is no file that can be read.
        ValueError: it is no yaml of plain values.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no yaml of plain values") from error
