"""The config that a command has without any override, and in what a run differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

NO_SETTINGS = ("hydra", "paths", "name", "group", "resume")
"""Keys, with all below them, that say where a run lies and what it is called."""


def config_dir() -> Path:
    """Folder of the yaml files: beside the package in a checkout, inside it when installed as a wheel."""
    package = Path(__file__).parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


@cache
def default_config(command: str) -> Mapping[str, Any]:
    """Dotted key -> value of `train.yaml` or `eval.yaml` with its default choices; interpolations as they stand."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    if GlobalHydra.instance().is_initialized():  # at the end of a run, whose config came from there
        cfg = GlobalHydra.instance().config_loader().load_configuration(command, [], RunMode.RUN)
    else:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            cfg = compose(command)
    return flat_config(OmegaConf.to_container(cfg, resolve=False))


def flat_config(value: Any, key: str = "") -> dict[str, Any]:
    """Dotted key -> value of nested mappings; an empty mapping is a value.

    >>> flat_config({"a": {"b": 1, "c": {}}})
    {'a.b': 1, 'a.c': {}}
    """
    if not isinstance(value, dict) or (key and not value):
        return {key: value}
    flat: dict[str, Any] = {}
    for name, inside in value.items():
        flat |= flat_config(inside, f"{key}.{name}" if key else str(name))
    return flat


def differences(config: Mapping[str, Any], command: str) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (value, default; None where there is no such key by default) of what a recorded config has
    otherwise, or beyond, than the defaults.

    Args:
        config: dotted key -> value, interpolations as they are written.
        command: `train` or `eval`.
    """
    defaults = default_config(command)
    return {
        key: (value, defaults.get(key))
        for key, value in config.items()
        if key.partition(".")[0] not in NO_SETTINGS and (key not in defaults or defaults[key] != value)
    }
