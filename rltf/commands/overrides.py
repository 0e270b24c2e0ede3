"""Command-line overrides before Hydra reads them: `resume=`, `policy=`, and names of version 0.1."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from rltf.runs.defaults import config_dir
from rltf.runs.files import CONFIG_FILE, OVERRIDES_FILE
from rltf.runs.folder import first_process
from rltf.runs.legacy import recipe_overrides, sampler_overrides, upgrade_overrides
from rltf.runs.record import overrides_path, read_overrides, read_yaml

NEVER_INHERITED_KEYS = ("trusted", "trust_remote_code")
"""Keys that a resumed run takes from its own command line alone."""
EVALUATION_LACKS = ("reward", "algorithm")
"""Groups that `eval.py` had in version 0.1 and never read."""


def train_overrides(arguments: list[str]) -> list[str]:
    """Overrides of `train.py`. `resume=RUN_DIR` stands for the overrides that started that run, and its folder; further
    ones follow them. A model without a recipe gets `recipe=default`.

    Raises:
        ValueError: `resume` names no run folder, or one whose overrides may not be taken over.
    """
    flags, overrides = split_flags(arguments)
    overrides = mixed_overrides(flags, _present(overrides))
    model = last_value(overrides, "model")
    lacks_recipe = model and _has_choice(flags, "model", model) and not _has_choice(flags, "recipe", model)
    if lacks_recipe and last_value(overrides, "recipe") is None:
        overrides = ["recipe=default", *overrides]
    folder = last_value(overrides, "resume")
    if folder is None or folder == "null":
        return [*flags, *overrides]
    return [*flags, *recorded_overrides(Path(folder), overrides), *overrides, f"hydra.run.dir='{folder}'"]


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
    present = _present(overrides)
    return [*_since(folder, names_sampler=last_value(present, "generation") is not None), *present]


def _since(folder: Path, names_sampler: bool) -> list[str]:
    """What recipes and, unless the run's command line names a sampler, defaults said otherwise when the run began."""
    try:
        config = read_yaml(folder / CONFIG_FILE)
    except (ValueError, OSError):
        return []
    if not isinstance(config, dict):
        return []
    return [*recipe_overrides(config), *([] if names_sampler else sampler_overrides(config))]


def policy_overrides(arguments: list[str]) -> list[str]:
    """Overrides of `eval.py`. Where `policy=` names models of `configs/model`, one or several of a sweep, these are
    chosen; any other policy is found when the config is there (`rltf.commands.policy`).

    Raises:
        ValueError: a sweep over names of `configs/model` and others.
    """
    flags, overrides = split_flags(arguments)
    overrides = mixed_overrides(flags, _present(overrides))
    for group in EVALUATION_LACKS:
        for override in [override for override in overrides if override.startswith(f"{group}=")]:
            _warn(f"{override} is of version 0.1 and will end with the next: an evaluation has no {group}")
            overrides.remove(override)
    policy = last_value(overrides, "policy")
    policies = policy.split(",") if policy else []
    named = [choice for choice in policies if _has_choice(flags, "model", choice)]
    if named and len(named) < len(policies):
        raise ValueError(f"policy={policy} mixes names of configs/model with others: expected a sweep over either")
    if len(named) > 1:  # each job's policy is its model (`find_policy`)
        overrides = [override for override in overrides if not override.startswith("policy=")]
    return [*flags, *overrides, *([f"model={policy}"] if named else [])]


def mixed_overrides(flags: list[str], overrides: list[str]) -> list[str]:
    """The overrides, `benchmark=a+b` of benchmarks that have no file together as `benchmark=mixed` with both as parts.

    Example:
        >>> mixed_overrides([], ["benchmark=mini+mbpp", "seed=2"])
        ['benchmark=mixed', '+benchmark@benchmark.parts.mini=mini', '+benchmark@benchmark.parts.mbpp=mbpp', 'seed=2']
    """
    result: list[str] = []
    for override in overrides:
        key, _, value = override.partition("=")
        name = value.strip("\"'")
        parts = _parts(flags, name) if key == "benchmark" and not _has_choice(flags, key, name) else ()
        if len(set(parts)) < 2:
            result.append(override)
            continue
        # `mbpp+` is the part `mbpp_plus`: a key has letters alone
        nodes = [re.sub(r"\W", "_", part.replace("+", "_plus")) for part in parts]
        result += ["benchmark=mixed"]
        result += [f"+benchmark@benchmark.parts.{node}={part}" for node, part in zip(nodes, parts, strict=True)]
    return result


def _parts(flags: list[str], name: str) -> tuple[str, ...]:
    """The benchmarks that a name joins with `+`, which may itself end a name: `mbpp++apps` is `mbpp+` and `apps`. Empty
    where some part is none."""
    if _has_choice(flags, "benchmark", name):
        return (name,)
    for match in re.finditer(r"\+", name):
        first = name[: match.start()]
        if _has_choice(flags, "benchmark", first) and (rest := _parts(flags, name[match.end() :])):
            return (first, *rest)
    return ()


def split_flags(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Hydra's options with their values, and the overrides. Typed in any order, they are handed on in this one, which
    is all that Hydra's parser takes.

    Example:
        >>> split_flags(["policy=x", "--cfg", "job", "seed=2"])
        (['--cfg', 'job'], ['policy=x', 'seed=2'])

    Raises:
        ValueError: a flag is not known, or lacks its value.
    """
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise ValueError(f"{message}: flags are {', '.join(f for f in parser._option_string_actions if f[:2] == '--')}")

    parser.error = refuse
    overrides: list[str] = parser.parse_intermixed_args(arguments).overrides
    flags = list(arguments)
    for override in overrides:
        flags.remove(override)
    return flags, overrides


def last_value(arguments: list[str], key: str) -> str | None:
    """The last value that the command line gives to `key`, without quotes; None when it gives none."""
    values = [argument.partition("=")[2] for argument in arguments if argument.startswith(f"{key}=")]
    return values[-1].strip("\"'") if values else None


def config_folders(flags: list[str]) -> list[Path]:
    """Our config folder, then those of `--config-dir`."""
    folders = [config_dir()]
    for option, value in pairwise(flags):
        folders += [Path(value)] if option in ("--config-dir", "-cd") else []
    return folders + [Path(flag.partition("=")[2]) for flag in flags if flag.startswith("--config-dir=")]


def _has_choice(flags: list[str], group: str, choice: str) -> bool:
    """Whether one of the config folders has a file for the choice."""
    return any((folder / group / f"{choice}.yaml").is_file() for folder in config_folders(flags))


def _present(overrides: list[str]) -> list[str]:
    """The overrides in today's names, with a warning for each of version 0.1; `+quiet=` is `quiet=`, which silences
    Hydra's lines of a sweep, too."""
    present, warnings = upgrade_overrides(overrides)
    for sentence in warnings:
        _warn(sentence)
    present = [override.removeprefix("+") if override.startswith("+quiet=") else override for override in present]
    return [*present, "hydra/hydra_logging=none"] if last_value(present, "quiet") == "true" else present


def _warn(sentence: str) -> None:
    if first_process():
        print(f"warning: {sentence}", file=sys.stderr)
