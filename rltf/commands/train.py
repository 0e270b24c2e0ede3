"""`train(cfg)` and `evaluate(cfg)`: what the two commands do, as functions that return what they found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import lightning.pytorch as L
import torch
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from rltf.algorithms.loss_mix import LossMix, Term
from rltf.algorithms.supervised import Supervised
from rltf.callbacks.checkpoints import Checkpoints
from rltf.callbacks.phase_timer import PhaseTimer
from rltf.callbacks.progress import Progress
from rltf.callbacks.rollout_writer import RolloutWriter
from rltf.callbacks.sigterm import SigtermHandler
from rltf.callbacks.stop_on_collapse import StopOnCollapse
from rltf.commands.evaluate import Outcome, _evaluate, begin
from rltf.rollouts.clock import PhaseClock
from rltf.runs.checkpoint_file import check_checkpoint, forget, newest, read_checkpoint
from rltf.runs.folder import Stopped, begin_run, check_folder, explain_stop
from rltf.runs.summary import RunSummary, evaluation_record, print_table, write_evaluation
from rltf.setup.components import Components
from rltf.setup.credit import critic_callbacks, critic_weights, penalty_of
from rltf.setup.generation import generation_callback
from rltf.setup.instantiate import build
from rltf.setup.trainer import close_loggers, make_loggers, make_trainer
from rltf.training.datamodule import RolloutDataModule, StreamPlan
from rltf.training.module import RLTFModule
from rltf.training.phase import Phase
from rltf.training.ranks import all_gather

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> Outcome:
    """Supervised warm-up, held-out evaluation, RL, held-out evaluation, export, report.

    Raises:
        ValueError: the config asks for what cannot be; one sentence that names the key.
    """
    clock = PhaseClock()
    folder, console = begin(cfg)
    begin_run(cfg, folder)
    with Components.of(cfg, clock) as parts:
        check_folder(folder, _checkpoint_bytes(parts))
        mix: LossMix = build(cfg, "algorithm.mix")
        at = newest(folder, ("last", "warmup")) if cfg.resume else None
        if at is not None:
            read_checkpoint(at, mmap=True)  # refused now rather than after an evaluation
        elif cfg.resume:
            forget(folder)
        loggers = make_loggers(cfg, folder)
        samples = RolloutWriter(
            folder, cfg.callbacks.table_rows, cfg.callbacks.table_every, list(parts.pipeline.rewards.terms)
        )
        generation = generation_callback(cfg, parts)
        phases = PhaseTimer(parts.clock)
        collapse = StopOnCollapse(**cfg.callbacks.collapse) if cfg.callbacks.collapse else None
        callbacks: list[L.Callback] = [phases, samples, SigtermHandler()]
        callbacks += [generation, *critic_callbacks(parts.pipeline)] if mix.needs_rollouts else []
        callbacks += [Progress(console)] if cfg.callbacks.progress else []
        every = cfg.callbacks.checkpoint_every
        saving: list[L.Callback] = [Checkpoints(folder, "last", every)] if cfg.callbacks.checkpoint else []
        callbacks += [collapse] if collapse is not None else []
        trainer = make_trainer(cfg, folder, loggers, callbacks + saving)
        keeps_start_policy = bool(
            cfg.reference or not cfg.rollouts.online or mix.needs_reference or penalty_of(parts.pipeline)
        )
        module = RLTFModule(parts.policy, parts.sampling, cfg.evaluation.ks, keeps_start_policy)
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
            sampled = sum(all_gather(generation.sampled))
            if trainer.is_global_zero:
                with parts.clock("evaluation"):
                    parts.policy.export(folder / "policy")
                counts = {"programs_sampled": sampled, "programs_judged": samples.judged}
                write_evaluation(folder / "evaluation.json", "after", after)
                if collapse is not None and collapse.reason:
                    summary.content["stopped_early"] = collapse.reason
                summary.finish(after, module.steps, trainer.current_epoch, counts, phases.seconds(), phases.pieces)
                _report(cfg, folder)
                print_table(console, summary.content["evaluation"])
                console.print(f"run folder {folder}")
        except BaseException as error:
            summary.abort(error, phases.seconds(), phases.pieces)
            if (sentence := explain_stop(error, folder, trainer.world_size)) is not None:
                raise Stopped(sentence) from error
            if trainer.world_size > 1 and isinstance(error, Exception):
                log.error("process %d ended: %s: %s", trainer.global_rank, type(error).__name__, error)
            raise
        finally:
            close_loggers(loggers)
        return Outcome(after.pass_at_k[min(after.ks)], summary.content, folder, module, data)


def _warm_up(cfg: DictConfig, module: RLTFModule, data: RolloutDataModule, trainer: L.Trainer, at: Path | None) -> None:
    """Supervised training of the start, from a checkpoint or from the beginning. An epoch ends when one is due."""
    supervised = LossMix(supervised=Term(Supervised(reduction="token_mean")))
    steps, accumulate = cfg.warmup.steps, trainer.accumulate_grad_batches
    module.start(
        Phase(
            name="warmup",
            mix=supervised,
            optimizer=_optimizer(cfg),
            lr=cfg.warmup.lr,
            warmup_steps=min(steps // 10, cfg.warmup.get("warmup_steps", 100)),
            decay_steps=steps if cfg.warmup.decay else None,
        )
    )
    data.start(
        StreamPlan(
            mix=supervised,
            updates=min(steps, cfg.warmup.save_every),
            accumulate=accumulate,
            batch_size=0,
            demonstrations=cfg.warmup.batch_size,
            total_updates=steps,
        )
    )
    _fit(trainer, module, data, at)


def _load_start(module: RLTFModule, folder: Path) -> None:
    """The weights that RL started from, for the frozen copy; the policy's own come from the checkpoint afterwards."""
    start = newest(folder, ("warmup",)) if module.keeps_start_policy else None
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
            name="rl",
            mix=mix,
            optimizer=_optimizer(cfg),
            lr=cfg.optimizer.lr,
            warmup_steps=cfg.optimizer.warmup_steps,
            decay_steps=cfg.rollouts.updates * trainer.max_epochs if cfg.optimizer.decay else None,
        ),
        start_version=cfg.warmup.steps,
    )
    data.start(
        StreamPlan(
            mix=mix,
            updates=cfg.rollouts.updates,
            accumulate=accumulate,
            batch_size=cfg.rollouts.batch_size,
            demonstrations=cfg.rollouts.demonstrations,
        )
    )
    _fit(trainer, module, data, at)


def _optimizer(cfg: DictConfig) -> Callable[..., torch.optim.Optimizer]:
    return partial(torch.optim.AdamW, betas=tuple(cfg.optimizer.betas), weight_decay=cfg.optimizer.weight_decay)


def _fit(trainer: L.Trainer, module: RLTFModule, data: RolloutDataModule, at: Path | None) -> None:
    if at is not None:
        check_checkpoint(at, {name: weight for name, weight in module.named_parameters() if weight.requires_grad})
    trainer.fit(module, datamodule=data, ckpt_path=at, weights_only=True)


def _warm_up_trainer(
    cfg: DictConfig, folder: Path, loggers: Sequence[Logger], callbacks: Sequence[L.Callback]
) -> L.Trainer:
    """No validation, its own length, accumulation and checkpoints."""
    shared = [c for c in callbacks if isinstance(c, PhaseTimer | Progress | SigtermHandler)]
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
        from rltf.report.write.files import write_report

        try:
            write_report(folder)
        except Exception as error:  # whatever it was, the run's results are on disk
            log.warning("report.html was not written: %s: %s", type(error).__name__, error)


def _checkpoint_bytes(parts: Components) -> int:
    """Trained weights and Adam's two moments in five checkpoints (two of each phase, one being written); the best
    weights and the exported policy; float32."""
    weights = sum(p.numel() for p in parts.policy.parameters())
    trained = sum(p.numel() for p in parts.policy.parameters() if p.requires_grad)
    return 4 * (5 * 3 * (trained + critic_weights(parts.pipeline)) + trained + weights)
