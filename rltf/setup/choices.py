"""The choices that Hydra made for a run, and the names that follow from them."""

from __future__ import annotations

from omegaconf import DictConfig


def group_choices() -> dict[str, str]:
    """Config group -> choice; empty where the config was composed without the command line (tests, notebooks)."""
    from hydra.core.hydra_config import HydraConfig

    return dict(HydraConfig.get().runtime.choices) if HydraConfig.initialized() else {}


def fill_names(cfg: DictConfig) -> None:
    """Sets `name` and `group`, where they are null: model, reward, algorithm and seed; the sweep's folder."""
    if cfg.name is None:
        choices = group_choices()
        names = [str(choices[group]) for group in ("model", "reward", "algorithm") if group in choices]
        cfg.name = "-".join([*names, f"seed{cfg.seed}"])
    if cfg.group is None:
        cfg.group = _sweep_folder()


def _sweep_folder() -> str | None:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return str(HydraConfig.get().sweep.dir)
    return None
