"""A run folder as the report reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rltf.report.read.continual import Continual, read_continual
from rltf.report.read.evaluation import HeldOut, read_heldout
from rltf.report.read.metrics import Metrics, read_metrics
from rltf.report.read.rollouts import Rollouts, read_rollouts
from rltf.runs.defaults import flat_config
from rltf.runs.files import CONTINUAL_FILE, EVALUATION_FILE, METRICS_FILE, ROLLOUTS_FILE, SUMMARY_FILE
from rltf.runs.record import read_overrides, read_summary, read_yaml

FILES = (METRICS_FILE, ROLLOUTS_FILE, SUMMARY_FILE)


@dataclass(frozen=True)
class Run:
    """Everything the report reads from a run folder; what is missing there is empty here."""

    folder: Path
    metrics: Metrics = field(default_factory=lambda: Metrics({}))
    rollouts: Rollouts = field(default_factory=Rollouts)
    summary: Mapping[str, Any] = field(default_factory=dict)
    """Content of `summary.json`; empty when there is none."""
    heldout: HeldOut | None = None
    """None when the folder has no `evaluation.json`."""
    continual: Continual | None = None
    """Scores by task; None when the folder has no `continual.json`."""
    overrides: tuple[str, ...] = ()
    """Overrides that the user typed behind `python train.py`."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Dotted key of the composed config -> value; empty when not recorded."""
    choices: Mapping[str, Any] = field(default_factory=dict)
    """Config group -> the choice that was made."""
    notices: tuple[str, ...] = ()
    """Sentences on what is missing or damaged."""

    @property
    def seed(self) -> Any:
        """The run's seed; None when neither summary nor config has it."""
        return self.summary.get("seed", self.config.get("seed"))

    @property
    def benchmark(self) -> str | None:
        """Name of its benchmark; None when neither summary nor config has it."""
        name = self.summary.get("benchmark") or self.choices.get("benchmark")
        return None if name is None else str(name)

    def setting(self, key: str) -> Any:
        """Value of a config group or key, for a section a mapping of the keys below it; None if it is not recorded."""
        if key in self.choices:
            return self.choices[key]
        if key in self.config:
            return self.config[key]
        section = {name.removeprefix(f"{key}."): v for name, v in self.config.items() if name.startswith(f"{key}.")}
        return section or self.summary.get(key)

    @property
    def finished(self) -> bool:
        """True when the summary has held-out results after RL."""
        return "after" in as_object(self.summary.get("pass_at_k"))


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
    notices = [f"There is no {name}." for name in (METRICS_FILE, ROLLOUTS_FILE) if name not in present]
    metrics, rollouts = Metrics({}), Rollouts()
    summary: dict[str, Any] = {}
    if METRICS_FILE in present:
        metrics, file_notices = read_metrics(folder / METRICS_FILE)
        notices += file_notices
    if ROLLOUTS_FILE in present:
        rollouts, file_notices = read_rollouts(folder / ROLLOUTS_FILE)
        notices += file_notices
    if SUMMARY_FILE in present:
        try:
            summary = read_summary(folder)
            notices += _unfinished(summary)
        except ValueError as error:
            notices.append(f"{error}; it is left out.")
    else:
        notices.append("There is no summary.json: the run is still going, or it was stopped before its end.")
    heldout = None
    if (folder / EVALUATION_FILE).is_file():
        heldout, file_notices = read_heldout(folder / EVALUATION_FILE)
        notices += file_notices
    continual = None
    if (folder / CONTINUAL_FILE).is_file():
        continual, file_notices = read_continual(folder / CONTINUAL_FILE)
        notices += file_notices
    if not (metrics.curves or rollouts.programs or summary):
        raise ValueError(f"{folder} has nothing to show yet: {' '.join(notices)}")
    try:
        overrides = tuple(read_overrides(folder))
    except (OSError, ValueError):
        overrides = ()
    return Run(folder, metrics, rollouts, summary, heldout, continual, overrides, *_config(folder), tuple(notices))


def as_object(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _unfinished(summary: Mapping[str, Any]) -> list[str]:
    """A sentence on the `status` of a run that did not reach its end; none for one that finished."""
    match summary.get("status"):
        case "failed":
            return [f"The run failed: {summary.get('error', 'the summary does not say why')}"]
        case "interrupted":
            return ["The run was interrupted."]
        case "running":
            return ["The run was still going when this page was written."]
    return []


def _config(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hydra's record of a run: the config by dotted key, and the choices of its groups."""
    flat = flat_config(hydra_record(folder, "config.yaml"))
    hydra = as_object(hydra_record(folder, "hydra.yaml").get("hydra"))
    choices = as_object(as_object(hydra.get("runtime")).get("choices"))
    return flat, {str(group): choice for group, choice in choices.items() if not str(group).startswith("hydra/")}


def hydra_record(folder: Path, name: str) -> Mapping[str, Any]:
    """A file of `.hydra/`; empty when it is missing, damaged or of another kind."""
    try:
        return as_object(read_yaml(folder / ".hydra" / name))
    except (OSError, ValueError):
        return {}
