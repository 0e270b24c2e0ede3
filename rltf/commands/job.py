"""Jobs of a project that train no policy (`job=`): they draw, judge and label programs, or train a critic."""

from __future__ import annotations

from omegaconf import DictConfig

from rltf.commands.start import record_command, start_command
from rltf.rollouts.clock import PhaseClock
from rltf.runs.files import SUMMARY_FILE
from rltf.runs.summary import versions, write_json
from rltf.setup.checks import read_training_config
from rltf.setup.components import Components
from rltf.setup.instantiate import build
from rltf.setup.trainer import build_trainer


def run_job(cfg: DictConfig) -> None:
    """Does the config's job in this process; `summary.json` gets its numbers.

    Raises:
        ValueError: the config asks for what cannot be; one sentence that names the key.
    """
    read_training_config(cfg)
    clock = PhaseClock()
    with start_command(cfg) as (folder, console):
        job = build(cfg, "job")
        with Components.build(cfg, clock) as components:
            components.policy.to(build_trainer(cfg, folder).strategy.root_device)
            record_command(cfg, folder)
            numbers = job(components.pipeline, components.sampling, cfg.seed, folder)
            seconds = {phase: round(spent, 3) for phase, spent in clock.seconds().items() if spent}
            summary = {"status": "finished", "benchmark": components.benchmark.name, "seed": cfg.seed, **numbers}
            write_json(folder / SUMMARY_FILE, {**summary, "seconds": seconds, "versions": versions()})
        console.print("  ".join(f"{name} {value}" for name, value in numbers.items()))
        console.print(f"run folder {folder}")
