"""`train(cfg)` and `evaluate(cfg)`: what the two commands do, as functions that return what they found."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from rich.console import Console

from rltf import runs
from rltf.algorithms.mix import LossMix, Term
from rltf.algorithms.supervised import Supervised
from rltf.assembly import Assembly
from rltf.build import build
from rltf.callbacks.checkpoints import Checkpoints, forget, newest
from rltf.callbacks.collapse import Collapse
from rltf.callbacks.phases import Phases
from rltf.callbacks.progress import Progress
from rltf.callbacks.samples import Samples
from rltf.callbacks.signals import Signals
from rltf.checks import check_checkpoint, check_folder, check_numbers, read_checkpoint
from rltf.crediting import critic_callbacks, critic_weights, penalty_of
from rltf.endings import why_stopped
from rltf.inference.base import Inference
from rltf.inference.results import print_search, search_record
from rltf.metrics.evaluation import EvaluationResult
from rltf.placement import generation_callback
from rltf.rollouts.clock import PhaseClock
from rltf.summary import RunSummary, evaluation_record, print_table, write_evaluation, write_json, write_samples
from rltf.trainers import close_loggers, make_loggers, make_trainer
from rltf.training.datamodule import RolloutDataModule, StreamPlan
from rltf.training.module import RLTFModule
from rltf.training.phase import Phase
from rltf.training.ranks import gather

log = logging.getLogger(__name__)


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


def train(cfg: DictConfig) -> Outcome:
    """Supervised warm-up, held-out evaluation, RL, held-out evaluation, export, report.

    Raises:
        ValueError: the config asks for what cannot be; one sentence that names the key.
    """
    clock = PhaseClock()
    folder, console = begin(cfg)
    runs.begin(cfg, folder)
    with Assembly.of(cfg, clock) as parts:
        check_folder(folder, _checkpoint_bytes(parts))
        mix: LossMix = build(cfg, "algorithm.mix")
        at = newest(folder, ("last", "warmup")) if cfg.resume else None
        if at is not None:
            read_checkpoint(at, mmap=True)  # refused now rather than after an evaluation
        elif cfg.resume:
            forget(folder)
        loggers = make_loggers(cfg, folder)
        samples = Samples(
            folder, cfg.callbacks.table_rows, cfg.callbacks.table_every, list(parts.pipeline.rewards.terms)
        )
        generation = generation_callback(cfg, parts)
        phases = Phases(parts.clock)
        collapse = Collapse(**cfg.callbacks.collapse) if cfg.callbacks.collapse else None
        callbacks: list[L.Callback] = [phases, samples, Signals()]
        callbacks += [generation, *critic_callbacks(parts.pipeline)] if mix.needs_rollouts else []
        callbacks += [Progress(console)] if cfg.callbacks.progress else []
        every = cfg.callbacks.checkpoint_every
        saving: list[L.Callback] = [Checkpoints(folder, "last", every)] if cfg.callbacks.checkpoint else []
        callbacks += [collapse] if collapse is not None else []
        trainer = make_trainer(cfg, folder, loggers, callbacks + saving)
        keeps_start = bool(
            cfg.reference or not cfg.rollouts.online or mix.needs_reference or penalty_of(parts.pipeline)
        )
        module = RLTFModule(parts.policy, parts.sampling, cfg.evaluation.ks, keeps_start)
        data = parts.datamodule(cfg, trainer.global_rank, trainer.world_size)
        summary = RunSummary.begin(cfg, folder, parts.benchmark.name, trainer.is_global_zero)
        try:
            in_rl = at is not None and at.name.startswith("last")
            if cfg.warmup.steps and in_rl:
                _load_start(module, folder)
            elif cfg.warmup.steps:
                _warm_up(cfg, module, data, _warm_up_trainer(cfg, folder, loggers, callbacks), at)
            if summary.before is None:
                before = _evaluate(console, trainer, module, data, parts, "before RL")
                if trainer.is_global_zero:  # before the summary, which says that this evaluation is done
                    write_evaluation(folder / "evaluation.json", "before", before)
                summary.before = evaluation_record(before)
                summary.write()
            _reinforce(cfg, module, data, trainer, mix, at if in_rl else None)
            after = _evaluate(console, trainer, module, data, parts, "after RL")
            sampled = sum(gather(generation.sampled))
            if trainer.is_global_zero:
                with parts.clock("evaluation"):
                    parts.policy.export(folder / "policy")
                counts = {"programs_sampled": sampled, "programs_judged": samples.judged}
                write_evaluation(folder / "evaluation.json", "after", after)
                if collapse is not None and collapse.reason:
                    summary.content["stopped_early"] = collapse.reason
                summary.finish(after, module.steps, trainer.current_epoch, counts, phases)
                _report(cfg, folder)
                print_table(console, summary.content["evaluation"])
                console.print(f"run folder {folder}")
        except BaseException as error:
            summary.abort(error, phases)
            if (sentence := why_stopped(error, folder, trainer.world_size)) is not None:
                raise runs.Stopped(sentence) from error
            if trainer.world_size > 1 and isinstance(error, Exception):
                log.error("process %d ended: %s: %s", trainer.global_rank, type(error).__name__, error)
            raise
        finally:
            close_loggers(loggers)
        return Outcome(after.pass_at_k[min(after.ks)], summary.content, folder, module, data)


def evaluate(cfg: DictConfig) -> Outcome:
    """pass@k of one policy on one benchmark; writes `samples.jsonl` and `results.json`.

    Raises:
        ValueError: the config asks for what cannot be; one sentence that names the key.
    """
    clock = PhaseClock()
    folder, console = begin(cfg)
    with Assembly.of(cfg, clock) as parts:
        trainer = make_trainer(cfg, folder, [], [])
        module = RLTFModule(parts.policy, parts.sampling, cfg.evaluation.ks)
        inference: Inference = build(cfg, "inference", pipeline=parts.pipeline)
        data = parts.datamodule(cfg, trainer.global_rank, trainer.world_size, inference)
        result = _evaluate(console, trainer, module, data, parts, parts.benchmark.name)
        found = [one for of_rank in gather(inference.results) for one in of_rank]
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
            write_samples(folder / "samples.jsonl", module.judged)
            print_table(console, {parts.benchmark.name: record})
            print_search(console, record["inference"])
            outcomes = "  ".join(f"{name} {count}" for name, count in result.outcomes().items())
            console.print(f"{outcomes}\nresults {folder / 'results.json'}")
        return Outcome(result.pass_at_k[min(result.ks)], record, folder, module, data)


def begin(cfg: DictConfig) -> tuple[Path, Console]:
    """What is checked before anything is built; the run's folder, and where it prints."""
    _quiet()
    check_numbers(cfg)
    folder = Path(cfg.paths.output_dir)
    check_folder(folder, 0)
    return folder, Console(highlight=False, soft_wrap=True)


def _warm_up(cfg: DictConfig, module: RLTFModule, data: RolloutDataModule, trainer: L.Trainer, at: Path | None) -> None:
    """Supervised training of the start, from a checkpoint or from the beginning. An epoch ends when one is due."""
    supervised = LossMix(supervised=Term(Supervised(reduction="token_mean")))
    steps, accumulate = cfg.warmup.steps, trainer.accumulate_grad_batches
    module.start(
        Phase(
            "warmup",
            supervised,
            cfg.warmup.lr,
            warmup_steps=min(steps // 10, cfg.warmup.get("warmup_steps", 100)),
            weight_decay=cfg.optimizer.weight_decay,
            betas=tuple(cfg.optimizer.betas),
            decay_steps=steps if cfg.warmup.decay else None,
        )
    )
    epoch = min(steps, cfg.warmup.save_every) * accumulate
    data.start(StreamPlan(epoch, accumulate, 0, cfg.warmup.batch_size, supervised, total=steps * accumulate))
    _fit(trainer, module, data, at)


def _load_start(module: RLTFModule, folder: Path) -> None:
    """The weights that RL started from, for the frozen copy; the policy's own come from the checkpoint afterwards."""
    start = newest(folder, ("warmup",)) if module.keeps_start else None
    if start is not None:
        checkpoint = read_checkpoint(start)
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"])


def _reinforce(
    cfg: DictConfig, module: RLTFModule, data: RolloutDataModule, trainer: L.Trainer, mix: LossMix, at: Path | None
) -> None:
    """The RL phase: one epoch is one iteration. With `algorithm=sft` the same steps, supervised alone."""
    accumulate = trainer.accumulate_grad_batches
    module.start(
        Phase(
            "rl",
            mix,
            cfg.optimizer.lr,
            warmup_steps=cfg.optimizer.warmup_steps,
            weight_decay=cfg.optimizer.weight_decay,
            betas=tuple(cfg.optimizer.betas),
            decay_steps=cfg.rollouts.updates * trainer.max_epochs if cfg.optimizer.decay else None,
        ),
        steps_before=cfg.warmup.steps,
    )
    plan = StreamPlan(
        cfg.rollouts.updates * accumulate, accumulate, cfg.rollouts.batch_size, cfg.rollouts.demonstrations, mix
    )
    data.start(plan)
    _fit(trainer, module, data, at)


def _fit(trainer: L.Trainer, module: RLTFModule, data: RolloutDataModule, at: Path | None) -> None:
    if at is not None:
        check_checkpoint(at, {name: weight for name, weight in module.named_parameters() if weight.requires_grad})
    trainer.fit(module, datamodule=data, ckpt_path=at, weights_only=True)


def _evaluate(
    console: Console, trainer: L.Trainer, module: RLTFModule, data: RolloutDataModule, parts: Assembly, what: str
) -> EvaluationResult:
    with parts.clock("evaluation", hold=True):
        trainer.test(module, datamodule=data, verbose=False)
    result = module.evaluated
    assert result is not None
    if trainer.is_global_zero:
        k = min(result.ks)
        console.print(f"held-out {what}: pass@{k} {result.pass_at_k[k]:.1%} over {len(result.problems)} problems")
    return result


def _warm_up_trainer(
    cfg: DictConfig, folder: Path, loggers: Sequence[Logger], callbacks: Sequence[L.Callback]
) -> L.Trainer:
    """No validation, its own length, accumulation and checkpoints."""
    shared = [c for c in callbacks if isinstance(c, Phases | Progress | Signals)]
    saving = [Checkpoints(folder, "warmup")] if cfg.callbacks.checkpoint else []
    instead = {
        "max_epochs": -(-cfg.warmup.steps // cfg.warmup.save_every),
        "reload_dataloaders_every_n_epochs": 1,  # the last epoch may be shorter
        "limit_val_batches": 0,
        "accumulate_grad_batches": cfg.warmup.accumulate,
    }
    return make_trainer(cfg, folder, loggers, [*shared, *saving], instead)


def _report(cfg: DictConfig, folder: Path) -> None:
    """The run is done: a page that cannot be drawn must not make it fail."""
    if cfg.callbacks.report:
        from rltf.report.build import write_report

        try:
            write_report(folder)
        except Exception as error:  # whatever it was, the run's results are on disk
            log.warning("report.html was not written: %s: %s", type(error).__name__, error)


def _checkpoint_bytes(parts: Assembly) -> int:
    """Trained weights and Adam's two moments in five checkpoints (two of each phase, one being written); the best
    weights and the exported policy; float32."""
    weights = sum(p.numel() for p in parts.policy.parameters())
    trained = sum(p.numel() for p in parts.policy.parameters() if p.requires_grad)
    return 4 * (5 * 3 * (trained + critic_weights(parts.pipeline)) + trained + weights)


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
