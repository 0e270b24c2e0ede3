"""The choices that Hydra made for a run, and the names that follow from them."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from rltf.runs.resume import recorded_config


def group_choices() -> dict[str, str]:
    """Config group -> choice; empty where the config was composed without the command line (tests, notebooks)."""
    from hydra.core.hydra_config import HydraConfig

    return dict(HydraConfig.get().runtime.choices) if HydraConfig.initialized() else {}


def typed_overrides() -> list[str] | None:
    """Overrides that began this run or job, those of a resumed run included; None without a command line."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return None
    return [str(override) for override in HydraConfig.get().overrides.task if not override.startswith("resume=")]


def fill_names(cfg: DictConfig) -> None:
    """Sets `name` and `group`, where they are null. A resumed run has those that it recorded. Else its name is model,
    reward, algorithm and seed, and in a sweep what the sweep varies; its group is the sweep's folder."""
    recorded = recorded_config(Path(cfg.paths.output_dir)) if cfg.get("resume") else {}
    for key, make in (("name", _name), ("group", _sweep_folder)):
        if key in cfg and cfg[key] is None:
            cfg[key] = recorded.get(key) or make(cfg)


def headline(cfg: DictConfig) -> str:
    """One line for the person who started a command: what it does, and in which folder the results will be."""
    choices = group_choices()
    names = {group: choices[group] for group in ("model", "benchmark", "reward", "algorithm") if choices.get(group)}
    if names.get("benchmark") == "mixed":
        names["benchmark"] = "+".join(cfg.benchmark.parts)
    if "policy" in cfg:
        what = f"pass@k of {cfg.policy} on {names.get('benchmark')}"
    elif cfg.get("job") is not None:
        what = f"job {choices.get('job')}: {names.get('model')} on {names.get('benchmark')}"
    else:
        what = ", ".join(f"{group} {choice}" for group, choice in names.items())
        what = f"{'goes on' if cfg.get('resume') else 'training'}: {what}"
    return f"{what}, seed {cfg.seed}\nrun folder {cfg.paths.output_dir}"


def _name(cfg: DictConfig) -> str:
    from hydra.core.hydra_config import HydraConfig

    choices = group_choices()
    names = [str(choices[group]) for group in ("model", "reward", "algorithm") if group in choices]
    varied = HydraConfig.get().job.override_dirname.replace("+", "") if in_sweep() else ""
    return "-".join([*names, f"seed{cfg.seed}", *([varied] if varied else [])])


def _sweep_folder(cfg: DictConfig) -> str | None:
    from hydra.core.hydra_config import HydraConfig

    return str(HydraConfig.get().sweep.dir) if in_sweep() else None


def in_sweep() -> bool:
    """Whether this is a job of a sweep."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
