"""pass@k of one policy on one benchmark: what `eval.py` does."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from omegaconf import DictConfig
from rich.console import Console

from rltf.inference.base import Inference
from rltf.inference.results import print_search, search_record
from rltf.metrics.evaluation import EvaluationResult
from rltf.rollouts.clock import PhaseClock
from rltf.runs.folder import check_folder
from rltf.runs.summary import evaluation_record, print_table, write_json, write_samples
from rltf.setup.checks import check_numbers
from rltf.setup.components import Components
from rltf.setup.instantiate import build
from rltf.setup.trainer import make_trainer
from rltf.training.datamodule import RolloutDataModule
from rltf.training.module import RLTFModule
from rltf.training.ranks import all_gather


def evaluate(cfg: DictConfig) -> Outcome:
    """pass@k of one policy on one benchmark; writes `samples.jsonl` and `results.json`.

    Raises:
        ValueError: the config asks for what cannot be; one sentence that names the key.
    """
    clock = PhaseClock()
    folder, console = begin(cfg)
    with Components.of(cfg, clock) as parts:
        trainer = make_trainer(cfg, folder, [], [])
        module = RLTFModule(parts.policy, parts.sampling, cfg.evaluation.ks)
        inference: Inference = build(cfg, "inference", pipeline=parts.pipeline)
        data = parts.datamodule(cfg, trainer.global_rank, trainer.world_size, inference)
        result = _evaluate(console, trainer, module, data, parts, parts.benchmark.name)
        found = [one for of_rank in all_gather(inference.results) for one in of_rank]
        record = {
            "policy": str(cfg.policy),
            "benchmark": parts.benchmark.name,
            "n": cfg.evaluation.samples,
            "k": list(result.ks),
            "temperature": cfg.evaluation.temperature,
            "top_p": cfg.evaluation.top_p,
            "seed": cfg.seed,
            "problems": len(result.problems),
            **evaluation_record(result),
            "inference": search_record(inference.name, found, result.ks),
            "isolation": parts.executor.report(),
        }
        if trainer.is_global_zero:
            write_json(folder / "results.json", record)
            write_samples(
                folder / "samples.jsonl", (triple for group in module.test_groups for triple in group.triples())
            )
            print_table(console, {parts.benchmark.name: record})
            print_search(console, record["inference"])
            outcomes = "  ".join(f"{name} {count}" for name, count in result.outcomes().items())
            console.print(f"{outcomes}\nresults {folder / 'results.json'}")
        return Outcome(result.pass_at_k[min(result.ks)], record, folder, module, data)


@dataclass(frozen=True)
class Outcome:
    """What a command found."""

    score: float
    """Held-out pass@1 (afterwards): what a Hydra sweeper maximises."""
    summary: dict[str, Any]
    """The content of `summary.json` or `results.json`."""
    folder: Path
    module: RLTFModule
    data: RolloutDataModule


def begin(cfg: DictConfig) -> tuple[Path, Console]:
    """What is checked before anything is built; the run's folder, and where it prints."""
    _quiet()
    check_numbers(cfg)
    folder = Path(cfg.paths.output_dir)
    check_folder(folder, 0)
    return folder, Console(highlight=False, soft_wrap=True)


def _evaluate(
    console: Console, trainer: L.Trainer, module: RLTFModule, data: RolloutDataModule, parts: Components, what: str
) -> EvaluationResult:
    with parts.clock("evaluation", hold=True):
        trainer.test(module, datamodule=data, verbose=False)
    result = module.test_result
    assert result is not None
    if trainer.is_global_zero:
        k = min(result.ks)
        console.print(f"held-out {what}: pass@{k} {result.pass_at_k[k]:.1%} over {len(result.problems)} problems")
    return result


def _quiet() -> None:
    """Lightning's and transformers' remarks about choices that are ours."""
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
