"""Checkpoints that survive whatever stops a run: written beside, then renamed; the last two good ones stay.

A checkpoint holds the state of every rank (random numbers here; buffers and orders are gathered by the DataModule), and
how far the append-only files of the run folder had come, so that a run which goes on writes what an uninterrupted one
would have written."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint

from rltf.runs.checkpoint_file import METRICS_FILE, ROLLOUTS_FILE, count_bytes, count_rows, cut_lines, cut_rows
from rltf.training.module import RLTFModule
from rltf.training.ranks import all_gather


class Checkpoints(Checkpoint):
    """`NAME.ckpt` after every iteration and `NAME.previous.ckpt`, the one before; `best.ckpt` holds the weights with
    the best validation pass@1 (RL only).

    Args:
        folder: the run folder.
        name: `last` in RL, `warmup` before it.
        every: iterations between two checkpoints; the last one is always saved, also of a run that stops early.
    """

    def __init__(self, folder: Path, name: str, every: int = 1) -> None:
        self.folder, self.name, self.every = folder, name, every
        self._best = -1.0
        self._restored: dict[str, Any] | None = None

    @property
    def state_key(self) -> str:
        """One state, whichever phase wrote it."""
        return "Checkpoints"

    def path(self, which: str) -> Path:
        """Of a checkpoint."""
        return self.folder / "checkpoints" / f"{which}.ckpt"

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """A run that goes on: its files are as they were."""
        if self._restored is not None and trainer.is_global_zero:
            cut_lines(self.folder / ROLLOUTS_FILE, self._restored["files"][ROLLOUTS_FILE])
            cut_rows(self.folder / METRICS_FILE, self._restored["files"][METRICS_FILE])

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """And so are its random numbers."""
        restored, self._restored = self._restored, None
        if restored is not None and len(restored["random"]) == trainer.world_size:
            _set_random_state(restored["random"][trainer.global_rank])

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """The same where nothing was left to train."""
        self.on_train_start(trainer, module)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Saves; every rank takes part."""
        assert isinstance(module, RLTFModule)
        done = trainer.current_epoch + 1
        if done % self.every == 0 or done == trainer.max_epochs or trainer.should_stop:
            self._save(trainer, self.name, weights_only=False)
        score = trainer.callback_metrics.get("val/pass@1")
        if score is not None and float(score) > self._best:
            self._best = float(score)
            self._save(trainer, "best", weights_only=True)

    def _save(self, trainer: L.Trainer, which: str, weights_only: bool) -> None:
        target = self.path(which)
        beside = target.with_suffix(".new")
        try:
            trainer.save_checkpoint(beside, weights_only=weights_only)
            if not trainer.is_global_zero:
                return
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
        except OSError:  # a full disk: the half that was written must not fill it further
            beside.unlink(missing_ok=True)
            raise
        if not weights_only and target.exists():
            os.replace(target, self.path(f"{which}.previous"))
        os.replace(beside, target)

    def state_dict(self) -> dict[str, Any]:
        """Random states of all ranks, and the lengths of the run's files."""
        return {
            "best": self._best,
            "random": all_gather(_random_state()),
            "files": {
                ROLLOUTS_FILE: count_bytes(self.folder / ROLLOUTS_FILE),
                METRICS_FILE: count_rows(self.folder / METRICS_FILE),
            },
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Applied when the fit starts."""
        self._best = state_dict["best"]
        self._restored = state_dict


def _random_state() -> dict[str, Any]:
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss],
        "python": random.getstate(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
