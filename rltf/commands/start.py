"""What every command does first and last: quiet libraries, a run folder, a console, a result."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from omegaconf import DictConfig
from rich.console import Console

from rltf.metrics.evaluation import EvaluationResult
from rltf.runs.folder import check_folder
from rltf.setup.components import Components
from rltf.training.datamodule import RolloutDataModule
from rltf.training.module import RLTFModule


@dataclass(frozen=True)
class CommandResult:
    """The result of a command."""

    score: float
    """Held-out pass@1 (after RL): what a Hydra sweeper maximises."""
    summary: dict[str, Any]
    """The content of `summary.json` or `results.json`."""
    folder: Path
    module: RLTFModule
    data: RolloutDataModule


def start_command(cfg: DictConfig) -> tuple[Path, Console]:
    """The run folder, made if need be, and the console to print on.

    Raises:
        ValueError: the folder cannot be made or written.
    """
    quiet_libraries()
    folder = Path(cfg.paths.output_dir)
    check_folder(folder, 0)
    return folder, Console(highlight=False, soft_wrap=True)


def measure_policy(
    components: Components,
    trainer: L.Trainer,
    module: RLTFModule,
    data: RolloutDataModule,
    console: Console,
    label: str,
) -> EvaluationResult:
    """Held-out pass@k of the module's policy; prints one line that begins with `held-out` and the label."""
    with components.clock("evaluation", exclusive=True):
        trainer.test(module, datamodule=data, verbose=False)
    result = module.test_result
    assert result is not None
    if trainer.is_global_zero:
        k = min(result.ks)
        console.print(f"held-out {label}: pass@{k} {result.pass_at_k[k]:.1%} over {len(result.problems)} problems")
    return result


def quiet_libraries() -> None:
    """Silences remarks of Lightning and transformers about choices that are ours."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger(name).handlers.clear()  # Hydra's root handler prints already
    for message in (
        r".*does not have many workers.*",  # the stream's source is this process's GPU
        r".*Checkpoint directory .* exists and is not empty.*",  # a resumed run
        r".*is smaller than the logging interval.*",  # a short iteration logs at its end
        r".*isinstance\(treespec, LeafSpec\).*",  # torch's deprecation, called by Lightning 2.6
        r".*`IterableDataset` has `__len__` defined.*",
    ):
        warnings.filterwarnings("ignore", message)
