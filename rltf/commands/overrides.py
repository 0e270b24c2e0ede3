"""Command-line overrides before Hydra reads them: `resume=`, `policy=`, and names of version 0.1."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path

from rltf.runs.files import OVERRIDES_FILE, POLICY_FOLDER
from rltf.runs.folder import first_process
from rltf.runs.legacy import upgrade_overrides
from rltf.runs.record import overrides_path, read_overrides

NEVER_INHERITED_KEYS = ("trusted", "trust_remote_code")
"""Keys that a resumed run takes from its own command line alone."""
EVALUATION_LACKS = ("reward", "algorithm")
"""Groups that `eval.py` had in version 0.1 and never read."""


def config_dir() -> Path:
    """Folder of the yaml files: beside the package in a checkout, inside it when installed as a wheel."""
    package = Path(__file__).parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def train_overrides(arguments: list[str]) -> list[str]:
    """Overrides of `train.py`. `resume=RUN_DIR` stands for the overrides that started that run, and its folder; further
    ones follow them. A model without a recipe gets `recipe=default`.

    Raises:
        ValueError: `resume` names no run folder, or one whose overrides may not be taken over.
    """
    arguments = _present(arguments)
    model = last_value(arguments, "model")
    lacks_recipe = model and _has_choice(arguments, "model", model) and not _has_choice(arguments, "recipe", model)
    if lacks_recipe and last_value(arguments, "recipe") is None:
        arguments = ["recipe=default", *arguments]
    folder = last_value(arguments, "resume")
    if folder is None or folder == "null":
        return arguments
    return [*recorded_overrides(Path(folder), arguments), *arguments, f"hydra.run.dir='{folder}'"]


def recorded_overrides(folder: Path, arguments: list[str]) -> list[str]:
    """The overrides that started a run. They are data, the folder may be somebody else's: what lets code outside of
    rltf run (`NEVER_INHERITED_KEYS`, options of Hydra itself) is not taken from there.

    Raises:
        ValueError: the folder records none, or one that may not be taken over.
    """
    path = overrides_path(folder)
    if not path.is_file():
        raise ValueError(f"resume={folder} is no run folder: expected one that holds {OVERRIDES_FILE}")
    try:
        recorded = read_overrides(folder)
    except (ValueError, OSError) as error:
        raise ValueError(f"resume: {path} is no list of overrides") from error
    overrides = [override for override in recorded if not override.startswith("resume=")]
    for override in overrides:
        if not re.match(r"[+~]{0,2}(?!hydra\b)[A-Za-z_]", override):
            raise ValueError(f"resume: {path} has {override!r}, which starts no run of rltf")
        for key in NEVER_INHERITED_KEYS:
            if key in override and not any(key in argument for argument in arguments):
                raise ValueError(
                    f"resume: that run was started with {override}, which lets code run that is not rltf's: "
                    "give it again to go on"
                )
    return _present(overrides)


def policy_overrides(arguments: list[str]) -> list[str]:
    """Overrides of `eval.py`. `policy=` names a folder (or a run folder, whose `policy/` is meant), a model of
    `configs/model`, or a hub id."""
    arguments = _present(arguments)
    for group in EVALUATION_LACKS:
        for argument in [argument for argument in arguments if argument.startswith(f"{group}=")]:
            _warn(f"{argument} is of version 0.1 and will end with the next: an evaluation has no {group}")
            arguments.remove(argument)
    policy = last_value(arguments, "policy")
    if policy is None:
        return arguments
    if _has_choice(arguments, "model", policy):
        return [*arguments, f"model={policy}"]
    folder = Path(policy)
    folder = folder / POLICY_FOLDER if (folder / POLICY_FOLDER).is_dir() else folder
    if folder.is_dir():
        return [*arguments, f"model.path='{folder}'"]
    return arguments


def last_value(arguments: list[str], key: str) -> str | None:
    """The last value that the command line gives to `key`, without quotes; None when it gives none."""
    values = [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{key}=")]
    return values[-1].strip("\"'") if values else None


def _has_choice(arguments: list[str], group: str, choice: str) -> bool:
    """Whether our configs or those of `--config-dir` have a file for the choice."""
    folders = [config_dir()]
    for option, value in pairwise(arguments):
        folders += [Path(value)] if option in ("--config-dir", "-cd") else []
    folders += [Path(argument.partition("=")[2]) for argument in arguments if argument.startswith("--config-dir=")]
    return any((folder / group / f"{choice}.yaml").is_file() for folder in folders)


def _present(arguments: list[str]) -> list[str]:
    """The arguments in today's names, with a warning for each of version 0.1."""
    present, warnings = upgrade_overrides(arguments)
    for sentence in warnings:
        _warn(sentence)
    return present


def _warn(sentence: str) -> None:
    if first_process():
        print(f"warning: {sentence}", file=sys.stderr)
