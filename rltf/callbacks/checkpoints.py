"""Checkpoints that survive an end at any moment: written beside, then renamed; the last two complete ones stay.

A checkpoint holds the state of every rank (random numbers here; buffers and orders are gathered by the DataModule), and
the lengths of the run folder's append-only files, so that a resumed run writes what an uninterrupted one would have
written."""

from __future__ import annotations

import os
import random
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint

from rltf.callbacks.base import RLTFCallback
from rltf.runs.checkpoint_file import checkpoint_path, count_bytes, count_rows, cut_lines, cut_rows
from rltf.runs.files import METRICS_FILE, ROLLOUTS_FILE
from rltf.training.ranks import all_gather
from rltf.validation import require


class Checkpoints(RLTFCallback, Checkpoint):
    """`last.ckpt` after every iteration (`warmup.ckpt` in the warm-up) and `last.previous.ckpt`, the one before;
    `best.ckpt` holds the weights with the best validation pass@1 (RL only).

    Args:
        every: iterations between two checkpoints; the last iteration is always saved, also of a run that stops early.
    """

    def __init__(self, every: int = 1) -> None:
        require("every", every, at_least=1, whole=True)
        self.every = every
        self._best_pass_at_1 = -1.0
        self._restored: dict[str, Any] | None = None

    @property
    def state_key(self) -> str:
        """Key of the state in checkpoints."""
        return "Checkpoints"

    @property
    def name(self) -> str:
        """`warmup` in the warm-up, `last` in RL."""
        return "warmup" if self.module.phase_name == "warmup" else "last"

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Cuts the run's files to their lengths at the checkpoint that the run is resumed from."""
        if self._restored is not None and trainer.is_global_zero:
            cut_lines(self.folder / ROLLOUTS_FILE, self._restored["files"][ROLLOUTS_FILE])
            cut_rows(self.folder / METRICS_FILE, self._restored["files"][METRICS_FILE])

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restores the random state of the checkpoint that the run is resumed from."""
        restored, self._restored = self._restored, None
        if restored is not None and len(restored["random"]) == trainer.world_size:
            _set_random_state(restored["random"][trainer.global_rank])

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restores the random state where nothing was left to train."""
        self.on_train_start(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Saves; every rank takes part."""
        done = trainer.current_epoch + 1
        if done % self.every == 0 or done == trainer.max_epochs or trainer.should_stop or self.name == "warmup":
            self._save(trainer, self.name, weights_only=False)
        score = trainer.callback_metrics.get("val/pass@1")
        if score is not None and float(score) > self._best_pass_at_1:
            self._best_pass_at_1 = float(score)
            self._save(trainer, "best", weights_only=True)

    def _save(self, trainer: L.Trainer, name: str, weights_only: bool) -> None:
        target = checkpoint_path(self.folder, name)
        new_file = target.with_suffix(".new")
        try:
            trainer.save_checkpoint(new_file, weights_only=weights_only)
            if not trainer.is_global_zero:
                return
            with new_file.open("rb+") as file:
                os.fsync(file.fileno())
        except OSError:  # a full disk: the half that was written must not fill it further
            new_file.unlink(missing_ok=True)
            raise
        if not weights_only and target.exists():
            os.replace(target, checkpoint_path(self.folder, f"{name}.previous"))
        os.replace(new_file, target)

    def state_dict(self) -> dict[str, Any]:
        """Best validation pass@1, random states of all ranks, and the lengths of the run's files."""
        files = {
            ROLLOUTS_FILE: count_bytes(self.folder / ROLLOUTS_FILE),
            METRICS_FILE: count_rows(self.folder / METRICS_FILE),
        }
        return {"best": self._best_pass_at_1, "random": all_gather(_random_state()), "files": files}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps the state until the fit starts."""
        self._best_pass_at_1 = state_dict["best"]
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
