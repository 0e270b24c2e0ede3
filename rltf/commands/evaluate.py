"""pass@k of one policy on one benchmark: what `eval.py` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from rich.console import Console

from rltf.callbacks.progress import Progress
from rltf.commands.start import record_command, start_command
from rltf.inference.base import Inference
from rltf.inference.results import print_search, search_record
from rltf.metrics.evaluation import EvaluationResult
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.groups import JudgedGroup
from rltf.runs.files import RESULTS_FILE
from rltf.runs.samples import write_samples
from rltf.runs.summary import evaluation_metrics, evaluation_record, print_table, write_evaluation, write_json
from rltf.setup.checks import read_evaluation_config
from rltf.setup.components import Components
from rltf.setup.instantiate import build
from rltf.setup.trainer import build_trainer
from rltf.training.datamodule import RolloutDataModule
from rltf.training.log import log_row
from rltf.training.module import RLTFModule
from rltf.training.ranks import all_gather
from rltf.types import Outcome


@dataclass(frozen=True)
class CommandResult:
    """The result of a command."""

    score: float
    """Held-out pass@k (after RL) for the smallest k of `evaluation.ks`: what a Hydra sweeper maximises."""
    summary: dict[str, Any]
    """The content of `summary.json` or `results.json`."""
    folder: Path
    module: RLTFModule
    data: RolloutDataModule


def evaluate(cfg: DictConfig) -> CommandResult:
    """Draws and judges programs of held-out problems; writes `samples.jsonl`, `results.json` and `evaluation.json`.

    Raises:
        ValueError: the config asks for what cannot be; one sentence that names the key.
    """
    evaluation = read_evaluation_config(cfg)
    with start_command(cfg) as (folder, console), Components.build(cfg, PhaseClock(), training=False) as components:
        trainer = build_trainer(cfg, folder, callbacks=[Progress(quiet=bool(cfg.get("quiet")))])
        module = RLTFModule(components.policy, components.sampling, evaluation.ks)
        inference: Inference = build(cfg, "inference", pipeline=components.pipeline)
        data = components.datamodule(evaluation, cfg.seed, trainer, inference=inference)
        record_command(cfg, folder)
        benchmark = components.benchmark.name
        result = evaluate_held_out(components, trainer, module, data, console, benchmark)
        searches = [search for rank in all_gather(inference.results) for search in rank]
        groups = order_by_problem(all_gather(module.test_groups), result)
        record = {
            "policy": str(cfg.policy),
            "benchmark": benchmark,
            "n": evaluation.samples,
            "k": list(result.ks),
            "temperature": evaluation.temperature,
            "top_p": evaluation.top_p,
            "seed": cfg.seed,
            "problems": len(result.problems),
            **evaluation_record(result),
            "inference": search_record(inference.name, searches, result.ks),
            "isolation": components.executor.report(),
        }
        if trainer.is_global_zero:
            write_json(folder / RESULTS_FILE, record)
            write_evaluation(folder, "before", result)
            write_samples(folder, [group.triples() for group in groups])
            print_table(console, {benchmark: record})
            print_search(console, record["inference"])
            outcomes = "  ".join(f"{name} {count}" for name, count in result.outcomes().items())
            console.print(f"{outcomes}\nresults {folder / RESULTS_FILE}")
        return CommandResult(result.pass_at_k[min(result.ks)], record, folder, module, data)


def order_by_problem(groups_of_ranks: Sequence[Sequence[JudgedGroup]], result: EvaluationResult) -> list[JudgedGroup]:
    """The groups of all ranks in the benchmark's order of problems."""
    groups = {group.problem.id: group for groups in groups_of_ranks for group in groups}
    return [groups[problem.problem_id] for problem in result.problems]


def evaluate_held_out(
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
        unjudgeable = result.outcomes().get(Outcome.UNJUDGEABLE, 0)
        note = f" ({unjudgeable} programs could not be judged and count as not passed)" if unjudgeable else ""
        console.print(
            f"held-out {label}: pass@{k} {result.pass_at_k[k]:.1%} over {len(result.problems)} problems{note}"
        )
    return result


def log_evaluations(
    loggers: Sequence[Logger], records: Mapping[str, Mapping[str, Any]], iteration: int, step: int
) -> None:
    """Logs one row of held-out pass@k.

    Args:
        loggers: of the run.
        records: `before`, `after` -> `evaluation_record` of it.
        iteration: iterations of RL so far.
        step: optimiser steps so far.
    """
    row = {f"heldout/{name}/{k}": v for name, record in records.items() for k, v in evaluation_metrics(record).items()}
    log_row(loggers, row, phase="evaluation", iteration=iteration, step=step)
