"""Folders of runs and sweeps that the command line does not name. Light: Hydra always loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from rltf.runs.folder import first_process, make_new_folder

KEYS_OF_EVERY_NAME = ("model", "reward", "algorithm", "seed")
"""Keys whose values every run's name holds."""


class NewFolder(Callback):
    """Makes the folder before Hydra does, which would share one that exists: two runs that are started in the same
    second get two folders. Names of a sweep's jobs hold what the sweep varies."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Makes the run's folder."""
        _make(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Makes the sweep's folder, and leaves to `hydra.job.override_dirname` only what differs between its jobs."""
        _make(config, "hydra.sweep.dir")
        fixed = [str(key) for key in config.hydra.job.config.override_dirname.exclude_keys]
        fixed += [*KEYS_OF_EVERY_NAME, *_fixed_keys(config)]
        _override(config, "hydra.job.config.override_dirname.exclude_keys", f"[{','.join(map(repr, fixed))}]", fixed)


def _fixed_keys(config: DictConfig) -> list[str]:
    """Keys that the command line of a sweep gives one value, the same for all its jobs."""
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    varied = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    typed = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    swept = {override.key_or_group for override in (*varied, *typed) if override.is_sweep_override()}
    return sorted({override.key_or_group for override in (*varied, *typed)} - swept)


def _make(config: DictConfig, key: str) -> None:
    is_typed = any(override.startswith(f"{key}=") for override in config.hydra.overrides.hydra)
    path = Path(OmegaConf.select(config, key))
    if not first_process():
        return
    try:
        if is_typed:
            path.mkdir(parents=True, exist_ok=True)
            return
        folder = str(make_new_folder(path))
    except OSError:
        return  # Hydra meets the same error, and it is told there
    _override(config, key, f"'{folder}'", folder)


def _override(config: DictConfig, key: str, text: str, value: Any) -> None:
    """Sets an option of Hydra for this process and, as if it had been typed, for the jobs of a sweep."""
    with read_write(config), open_dict(config):
        OmegaConf.update(config, key, value)
        config.hydra.overrides.hydra.append(f"{key}={text}")
