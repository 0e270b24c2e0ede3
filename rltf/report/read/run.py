"""A run folder as the report reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped, unused-ignore]

from rltf.report.read.evaluation import HeldOut, read_heldout
from rltf.report.read.metrics import Metrics, read_metrics
from rltf.report.read.rollouts import Rollouts, read_rollouts

FILES = ("metrics.csv", "rollouts.jsonl", "summary.json")


@dataclass(frozen=True)
class Run:
    """What a run left on disk, as far as it got."""

    folder: Path
    metrics: Metrics = field(default_factory=lambda: Metrics({}))
    rollouts: Rollouts = field(default_factory=Rollouts)
    summary: Mapping[str, Any] = field(default_factory=dict)
    """Empty before the run has finished."""
    heldout: HeldOut | None = None
    """None when the folder has no `evaluation.json`."""
    overrides: tuple[str, ...] = ()
    """What the user typed behind `python train.py`."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The composed config by dotted key; empty when not recorded."""
    choices: Mapping[str, Any] = field(default_factory=dict)
    """Config group -> its choice."""
    notices: tuple[str, ...] = ()
    """Sentences on what is missing or damaged."""

    @property
    def seed(self) -> Any:
        """The run's seed; None when nothing says it."""
        return self.summary.get("seed", self.config.get("seed"))

    @property
    def benchmark(self) -> str | None:
        """Name of its benchmark; None when nothing says it."""
        name = self.summary.get("benchmark") or self.choices.get("benchmark")
        return None if name is None else str(name)

    def setting(self, key: str) -> Any:
        """What a config group or key was set to; None when the record knows no such key.

        A section is given as a mapping of the keys below it.
        """
        if key in self.choices:
            return self.choices[key]
        if key in self.config:
            return self.config[key]
        below = {name.removeprefix(f"{key}."): v for name, v in self.config.items() if name.startswith(f"{key}.")}
        return below or self.summary.get(key)

    @property
    def finished(self) -> bool:
        """True when it has its held-out results after RL."""
        return "after" in object_of(self.summary.get("pass_at_k"))


def read_run(folder: Path) -> Run:
    """Reads a run folder, finished or not.

    Raises:
        ValueError: there is no such folder, it is no run folder, or nothing in it can be shown.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: expected a run folder, which holds {' or '.join(FILES)}")
    present = [name for name in FILES if (folder / name).is_file()]
    if not present:
        raise ValueError(f"{folder} holds none of {', '.join(FILES)}: expected the folder that a run has written")
    notices = [f"There is no {name}." for name in ("metrics.csv", "rollouts.jsonl") if name not in present]
    metrics, rollouts = Metrics({}), Rollouts()
    summary: dict[str, Any] = {}
    if "metrics.csv" in present:
        metrics, said = read_metrics(folder / "metrics.csv")
        notices += said
    if "rollouts.jsonl" in present:
        rollouts, said = read_rollouts(folder / "rollouts.jsonl")
        notices += said
    if "summary.json" in present:
        summary, said = _read_summary(folder / "summary.json")
        notices += said + _unfinished(summary)
    else:
        notices.append("There is no summary.json: the run is still going, or it was stopped before its end.")
    heldout = None
    if (folder / "evaluation.json").is_file():
        heldout, said = read_heldout(folder / "evaluation.json")
        notices += said
    if not (metrics.curves or rollouts.programs or summary):
        raise ValueError(f"{folder} has nothing to show yet: {' '.join(notices)}")
    overrides = tuple(map(str, _yaml(folder / ".hydra" / "overrides.yaml", [])))
    return Run(folder, metrics, rollouts, summary, heldout, overrides, *_config(folder), tuple(notices))


def object_of(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _read_summary(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return {}, [f"summary.json is no JSON ({error}); it is left out."]
    if not isinstance(summary, dict):
        return {}, [f"summary.json holds {type(summary).__name__}, expected an object; it is left out."]
    return summary, []


def _unfinished(summary: Mapping[str, Any]) -> list[str]:
    """What `status` means to a reader, for a run that did not reach its end."""
    match summary.get("status"):
        case "failed":
            return [f"The run failed: {summary.get('error', 'the summary does not say why')}"]
        case "interrupted":
            return ["The run was interrupted."]
        case "running":
            return ["The run was still going when this page was written."]
    return []


def _config(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hydra's record of a run: the config, flat, and the choices of its groups."""
    flat: dict[str, Any] = {}

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict) and (value or not key):
            for name, inside in value.items():
                walk(inside, f"{key}.{name}" if key else str(name))
        else:
            flat[key] = value

    walk(_yaml(folder / ".hydra" / "config.yaml", {}), "")
    hydra = object_of(_yaml(folder / ".hydra" / "hydra.yaml", {}).get("hydra"))
    choices = object_of(object_of(hydra.get("runtime")).get("choices"))
    return flat, {str(group): choice for group, choice in choices.items() if not str(group).startswith("hydra/")}


def _yaml(path: Path, default: Any) -> Any:
    """A yaml file as plain values; the default when it is missing, damaged or of another kind."""
    if not path.is_file():
        return default
    try:
        value = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (OSError, YAMLError, OmegaConfBaseException):
        return default
    return value if isinstance(value, type(default)) else default
