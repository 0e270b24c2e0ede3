"""A training run, in the order in which it happens: what `train.py` does."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Literal

import lightning.pytorch as L
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from rltf.algorithms.loss_mix import LossMix
from rltf.benchmarks.base import Benchmark
from rltf.callbacks.continual import ContinualCallback
from rltf.callbacks.phase_timer import PhaseTimer
from rltf.callbacks.rollout_writer import RolloutWriter
from rltf.callbacks.stop_on_collapse import StopOnCollapse
from rltf.commands.evaluate import CommandResult, evaluate_held_out, log_evaluations
from rltf.commands.heap import frozen_heap
from rltf.commands.run import Run
from rltf.commands.start import record_command, start_command
from rltf.commands.warm_up import warm_up
from rltf.metrics.evaluation import EvaluationResult
from rltf.policies.quantization import is_quantized
from rltf.rollouts.clock import PhaseClock
from rltf.runs.checkpoint_file import check_checkpoint, forget, newest, read_checkpoint
from rltf.runs.failures import Stopped, explain_stop
from rltf.runs.files import POLICY_FOLDER
from rltf.runs.folder import prepare_folder
from rltf.runs.model_card import write_card
from rltf.runs.summary import RunSummary, evaluation_record, print_table, write_evaluation
from rltf.setup.callbacks import build_callbacks
from rltf.setup.checks import read_training_config
from rltf.setup.choices import group_choices
from rltf.setup.combinations import check_skipped_programs
from rltf.setup.components import Components
from rltf.setup.config import RunConfig
from rltf.setup.credit import count_learned_weights, kl_penalty
from rltf.setup.generation import build_multi_round_sampler
from rltf.setup.instantiate import build
from rltf.setup.loggers import open_loggers
from rltf.setup.tasks import check_tasks
from rltf.setup.trainer import build_trainer
from rltf.training.auxiliary import AuxiliaryOptions
from rltf.training.module import RLTFModule
from rltf.training.phase import Phase
from rltf.training.plans import StreamPlan
from rltf.training.ranks import all_gather

log = logging.getLogger(__name__)


def train(cfg: DictConfig, benchmark: Benchmark | None = None) -> CommandResult:
    """Supervised warm-up, held-out evaluation, RL, held-out evaluation, export, report.

    Args:
        cfg: the whole config.
        benchmark: the config's, where it is built already.

    Raises:
        ValueError: the config asks for what cannot be; one sentence that names the key.
    """
    config = read_training_config(cfg)
    with (
        start_command(cfg, repeats=False) as (folder, console),
        Components.build(cfg, PhaseClock(), benchmark=benchmark) as components,
    ):
        checkpoint = find_checkpoint(cfg, folder, components)
        with open_loggers(cfg) as loggers:
            run = build_run(cfg, config, folder, console, components, loggers)
            begin(run, checkpoint)
            with summary_on_failure(run), frozen_heap():
                warm_up(run, checkpoint)
                evaluate_before(run, checkpoint)
                train_rl(run, checkpoint)
                final_result = evaluate_after(run)
                export(run)
                finish(run, final_result)
        return CommandResult(
            final_result.pass_at_k[min(final_result.ks)], run.summary.content, folder, run.module, run.data
        )


def find_checkpoint(cfg: DictConfig, folder: Path, components: Components) -> Path | None:
    """The checkpoint to continue from: of RL, else of the warm-up; None: the run begins. Checks the disk's room."""
    averages = sum(OmegaConf.select(cfg, key) is not None for key in ("algorithm.target", "auxiliary"))
    prepare_folder(folder, _checkpoint_bytes(components, averages))
    checkpoint = newest(folder, ("last", "warmup")) if cfg.resume else None
    if checkpoint is not None:
        read_checkpoint(checkpoint, mmap=True)  # refused now rather than after an evaluation
    elif cfg.resume:
        forget(folder)
    return checkpoint


def build_run(
    cfg: DictConfig,
    config: RunConfig,
    folder: Path,
    console: Console,
    components: Components,
    loggers: Sequence[Logger],
) -> Run:
    """Loss, callbacks, trainer, module, data and summary of a run."""
    mix: LossMix = build(cfg, "algorithm.mix")
    check_skipped_programs(cfg, mix)
    options: AuxiliaryOptions | None = build(cfg, "auxiliary")
    auxiliary = None if options is None else options.bind(components.policy, components.benchmark)
    components.pipeline.multi_round_sampler = build_multi_round_sampler(cfg, components)
    callbacks = build_callbacks(cfg, components, mix.needs_rollouts)
    trainer = build_trainer(cfg, folder, loggers, callbacks.rl)
    needs_start = config.reference or not config.rollouts.online or "reference" in mix.needs
    module = RLTFModule(
        components.policy,
        components.sampling,
        config.evaluation.ks,
        bool(needs_start or kl_penalty(components.pipeline)),
    )
    data = components.datamodule(config.evaluation, config.seed, trainer, build(cfg, "buffer"))
    check_tasks(cfg, components, data)
    data.check_texts(demonstrates=bool(config.warmup.steps) or mix.needs_demonstrations)
    choices = {group: group_choices().get(group) for group in ("model", "reward", "algorithm")}
    content = {"benchmark": components.benchmark.name, **choices, "seed": config.seed}
    summary = RunSummary(folder, content, writes=trainer.is_global_zero)
    if cfg.resume:
        summary.read_before()
    return Run(
        cfg, config, folder, console, components, mix, auxiliary, loggers, callbacks, trainer, module, data, summary
    )


def begin(run: Run, checkpoint: Path | None) -> None:
    """Compares the model with the checkpoint's, then records config and command line: nothing else refuses the run."""
    if checkpoint is not None:
        trained = {name: weight for name, weight in run.module.named_parameters() if weight.requires_grad}
        check_checkpoint(checkpoint, trained)
    record_command(run.cfg, run.folder, repeats=False)


@contextmanager
def summary_on_failure(run: Run) -> Iterator[None]:
    """Inside, whatever ends the run is written to its summary."""
    try:
        yield
    except BaseException as error:
        run.summary.abort(error, *_time(run))
        processes = run.trainer.world_size
        if (sentence := explain_stop(error, run.folder, processes)) is not None:
            raise Stopped(sentence) from error
        if processes > 1 and isinstance(error, Exception):
            log.error("process %d ended: %s: %s", run.trainer.global_rank, type(error).__name__, error)
        raise


def train_rl(run: Run, checkpoint: Path | None) -> None:
    """RL: one epoch is one iteration. With `algorithm=sft` as many steps, supervised alone."""
    rollouts, schedule, trainer = run.config.rollouts, run.config.schedule, run.trainer
    run.module.start(
        Phase(
            name="rl",
            mix=run.mix,
            optimizer=build(run.cfg, "optimizer"),
            lr=run.cfg.optimizer.lr,
            warmup_steps=schedule.warmup_steps,
            decay_steps=rollouts.updates * run.cfg.trainer.max_epochs if schedule.decay else None,
            target=build(run.cfg, "algorithm.target"),
            auxiliary=run.auxiliary,
        ),
        start_version=run.config.warmup.steps,
    )
    run.data.start(
        StreamPlan(
            mix=run.mix,
            updates=rollouts.updates,
            accumulate=trainer.accumulate_grad_batches,
            batch_size=rollouts.batch_size,
            demonstrations=rollouts.demonstrations,
            auxiliary=run.auxiliary,
            skip_zero_weight=rollouts.skip_zero_weight,
            iterations=trainer.max_epochs,
        )
    )
    _fit(run, trainer, checkpoint if checkpoint is not None and _of_rl(checkpoint) else None)


def evaluate_before(run: Run, checkpoint: Path | None) -> None:
    """Held-out evaluation of the policy that RL starts with; a resumed run that has it keeps it."""
    if run.summary.initial_evaluation is None:
        run.summary.initial_evaluation = evaluation_record(_evaluate(run, "before"))
        run.summary.write()
    if checkpoint is None or not _of_rl(checkpoint):  # else the row lies before those of RL, which are kept
        log_evaluations(run.loggers, {"before": run.summary.initial_evaluation}, 0, run.config.warmup.steps)


def evaluate_after(run: Run) -> EvaluationResult:
    """Held-out evaluation of the trained policy."""
    result = _evaluate(run, "after")
    assert run.summary.initial_evaluation is not None
    records = {"before": run.summary.initial_evaluation, "after": evaluation_record(result)}
    log_evaluations(run.loggers, records, run.trainer.current_epoch, run.module.steps)
    return result


def export(run: Run) -> None:
    """Writes the policy as a folder that transformers loads."""
    if run.trainer.is_global_zero:
        with run.components.clock("evaluation"):
            policy, limit = run.components.policy, run.components.sampling.max_new_tokens
            policy.export(run.folder / POLICY_FOLDER, limit)


def finish(run: Run, final_result: EvaluationResult) -> None:
    """Writes the summary and the report, and prints the table."""
    sampled = sum(all_gather(run.callbacks.generation.sampled))
    memories = all_gather(run.components.pipeline.metrics())
    if not run.trainer.is_global_zero:
        return
    writer, watch = run.callbacks.of_kind(RolloutWriter), run.callbacks.of_kind(StopOnCollapse)
    counts = {
        "iterations": run.trainer.current_epoch,
        "optimizer_steps": run.module.steps,
        "programs_sampled": sampled,
        **({} if writer is None else {"programs_judged": writer.judged}),
    }
    if all(memories):
        run.summary.content["curriculum"] = {name: round(fmean(m[name] for m in memories), 6) for name in memories[0]}
    run.summary.finish(final_result, counts, *_time(run), stop_reason=None if watch is None else watch.reason)
    write_card(run.folder, run.folder / POLICY_FOLDER)
    _write_report(run)
    print_table(run.console, run.summary.content["evaluation"])
    if (continual := run.callbacks.of_kind(ContinualCallback)) is not None:
        continual.print(run.console)
    run.console.print(f"run folder {run.folder}")


def _evaluate(run: Run, name: Literal["before", "after"]) -> EvaluationResult:
    result = evaluate_held_out(run.components, run.trainer, run.module, run.data, run.console, f"{name} RL")
    if run.trainer.is_global_zero:
        write_evaluation(run.folder, name, result)
    return result


def _fit(run: Run, trainer: L.Trainer, checkpoint: Path | None) -> None:
    trainer.fit(run.module, datamodule=run.data, ckpt_path=checkpoint, weights_only=True)


def _of_rl(checkpoint: Path) -> bool:
    return checkpoint.name.startswith("last")


def _time(run: Run) -> tuple[dict[str, float], int]:
    """Seconds of each phase, and the number of times that the run was started."""
    timer, clock = run.callbacks.of_kind(PhaseTimer), run.components.clock
    return (clock.seconds(), 1) if timer is None else (timer.seconds(clock), timer.starts)


def _write_report(run: Run) -> None:
    if not run.config.report:
        return
    from rltf.report.write.files import write_report

    try:
        write_report(run.folder)
    except Exception as error:  # the run is done and its results are on disk: a page must not make it fail
        log.warning("report.html was not written: %s: %s", type(error).__name__, error)


def _checkpoint_bytes(components: Components, averages: int) -> int:
    """Bytes of a run's files: trained weights, Adam's two moments and moving averages of weights in five checkpoints
    (two of each phase, one being written), the best weights and the exported policy, in float32. Weights in 4 bits are
    not exported."""
    parameters = [parameter for parameter in components.policy.parameters() if not is_quantized(parameter)]
    weights = sum(parameter.numel() for parameter in parameters)
    trained = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    moments = 5 * 3 * (trained + count_learned_weights(components.pipeline))
    return 4 * (moments + 5 * averages * trained + trained + weights)
