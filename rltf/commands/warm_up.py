"""Supervised warm-up of a run, or the policy that another one has made already."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from rltf.algorithms.loss_mix import LossMix, WeightedObjective
from rltf.algorithms.supervised import Supervised
from rltf.commands.run import Run
from rltf.runs.atomic import replacing
from rltf.runs.checkpoint_file import check_checkpoint, checkpoint_path, is_whole, read_checkpoint
from rltf.runs.warm_starts import (
    NAMED,
    SHIPPED,
    START,
    Cache,
    WarmStart,
    differences_from_shipped,
    keep_in_run,
    start_of_run,
    warmup_settings,
)
from rltf.setup.choices import in_sweep, typed_overrides
from rltf.setup.instantiate import build
from rltf.setup.trainer import build_warmup_trainer
from rltf.training.phase import Phase
from rltf.training.plans import StreamPlan
from rltf.validation import OptionError

log = logging.getLogger(__name__)


def warm_up(run: Run, checkpoint: Path | None) -> None:
    """Gives the policy that RL starts with: trained on demonstrations, from a checkpoint or from the beginning, or
    taken from where `warmup.from` says.

    Raises:
        ValueError: the policy there is of another model.
    """
    if not run.config.warmup.steps:
        return
    if checkpoint is not None and checkpoint.name.startswith("last"):
        _load_frozen_start(run)
    elif checkpoint is not None:
        _train(run, checkpoint)
    else:
        _take_or_train(run)


def _take_or_train(run: Run) -> None:
    origin = run.config.warmup.from_
    path = checkpoint_path(run.folder, START)
    if run.cfg.resume and path.exists() and is_whole(path):
        _take(run, WarmStart(path, "this run"))
        return
    settings = warmup_settings(_plain(run))
    if origin == "shipped":
        if not (differences := differences_from_shipped(settings)):
            _take(run, WarmStart(SHIPPED, "the file that ships"))
            return
        log.info("the start that ships is of other settings (%s): the warm-up is done", ", ".join(differences))
        origin = "scratch"
    if origin == "cache" and run.trainer.world_size > 1:
        raise OptionError("warmup.from", origin, "scratch or the folder of a run where several processes train")
    if origin == "cache" or (origin == "scratch" and _is_shared(run)):
        _take_from_cache(run, settings)
    elif origin in NAMED:
        _take(run, WarmStart(NAMED[origin], f"the file that ships for {origin}"))
    elif origin != "scratch":
        folder = Path(origin).expanduser()
        start_path = start_of_run(folder)
        if start_path is None:
            raise ValueError(
                f"warmup.from is {origin!r}, whose checkpoint is damaged: expected another run, or scratch"
            )
        _take(run, WarmStart(start_path, str(folder)))
    else:
        _train(run, None)


def _is_shared(run: Run) -> bool:
    """Whether the other jobs of a sweep may take this job's warm-up: they would do the same one again."""
    return in_sweep() and run.trainer.world_size == 1 and "warmup.from=scratch" not in (typed_overrides() or [])


def _take_from_cache(run: Run, settings: dict[str, Any]) -> None:
    """Takes the start that the cache has of these settings; else trains it, for others to take."""
    cache = Cache(Path(run.cfg.paths.warm_starts), settings, run.config.seed)
    with cache.locked():
        if (start := cache.find()) is not None:
            _take(run, start)
            return
        _train(run, None)
        with replacing(cache.path) as new_file:
            content = {"state_dict": run.module.state_dict()}
            run.module.on_save_checkpoint(content)
            torch.save(content, new_file)
        cache.describe()


def _plain(run: Run) -> dict[str, Any]:
    return OmegaConf.to_container(run.cfg, resolve=True)  # type: ignore[return-value]


def _take(run: Run, start: WarmStart) -> None:
    """Loads a start in the place of training one."""
    trained = {name: weight for name, weight in run.module.named_parameters() if weight.requires_grad}
    check_checkpoint(start.path, trained, key="warmup.from")
    path = keep_in_run(start, run.folder) if run.trainer.is_global_zero else start.path
    _load(run, path)
    run.summary.content["warm_start"] = start.origin
    steps, batches = run.config.warmup.steps, run.config.warmup.steps * run.config.warmup.accumulate
    if run.mix.needs_demonstrations:  # as if they had been learned from: RL goes on with the next ones
        run.data.demonstrations.skip(batches, run.config.warmup.batch_size)
    run.console.print(f"warm-up of {steps:,} steps taken from {start.origin}; warmup.from=scratch does it")
    log.info("the policy after the warm-up is from %s (%s)", start.origin, start.path)


def _load(run: Run, path: Path) -> None:
    checkpoint = read_checkpoint(path)
    run.module.on_load_checkpoint(checkpoint)
    run.module.load_state_dict(checkpoint["state_dict"])


def _load_frozen_start(run: Run) -> None:
    """Loads the policy that RL started with, for the frozen copy; the present one comes from the checkpoint later."""
    path = start_of_run(run.folder) if run.module.keeps_start_policy else None
    if path is not None:
        _load(run, path)


def _train(run: Run, checkpoint: Path | None) -> None:
    """Supervised training, from a checkpoint or from the beginning."""
    warmup = run.config.warmup
    supervised = LossMix(supervised=WeightedObjective(Supervised(reduction="token_mean")))
    trainer = build_warmup_trainer(run.cfg, warmup, run.folder, run.loggers, run.callbacks.warmup)
    run.module.start(
        Phase(
            name="warmup",
            mix=supervised,
            optimizer=build(run.cfg, "optimizer"),
            lr=warmup.lr,
            warmup_steps=min(warmup.steps // 10, warmup.lr_warmup_steps),
            decay_steps=warmup.decay_steps,
        )
    )
    run.data.start(
        StreamPlan(
            mix=supervised,
            updates=min(warmup.steps, warmup.save_every),
            accumulate=warmup.accumulate,
            batch_size=0,
            demonstrations=warmup.batch_size,
            total_updates=warmup.steps,
        )
    )
    trainer.fit(run.module, datamodule=run.data, ckpt_path=checkpoint, weights_only=True)
