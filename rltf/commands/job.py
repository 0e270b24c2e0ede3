"""Stages of a project that train no policy (`stage.job`): they draw, judge and label, or train what judges."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from rltf.commands.evaluate import begin
from rltf.rollouts.clock import PhaseClock
from rltf.runs.summary import versions, write_json
from rltf.setup.components import Components
from rltf.setup.instantiate import build
from rltf.setup.trainer import make_trainer


def is_job(cfg: DictConfig) -> bool:
    """Whether the config's stage is one of these."""
    return OmegaConf.select(cfg, "stage.job") is not None


def run(cfg: DictConfig) -> None:
    """Does the stage's job in this process; `summary.json` has what it found.

    Raises:
        ValueError: the config asks for what cannot be; one sentence that names the key.
    """
    folder, console = begin(cfg)
    job = build(cfg, "stage.job")
    clock = PhaseClock()
    with Components.of(cfg, clock) as parts:
        parts.policy.to(make_trainer(cfg, folder, [], []).strategy.root_device)
        found = job(parts.pipeline, parts.sampling, cfg.seed, folder)
        seconds = {phase: round(spent, 3) for phase, spent in clock.seconds().items() if spent}
        summary = {"status": "finished", "benchmark": parts.benchmark.name, "seed": cfg.seed, **found}
        write_json(folder / "summary.json", {**summary, "seconds": seconds, "versions": versions()})
    console.print("  ".join(f"{name} {value}" for name, value in found.items()))
    console.print(f"run folder {folder}")
