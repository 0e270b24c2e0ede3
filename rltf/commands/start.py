"""The start of every command: quiet libraries, a run folder, a console."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from rltf.runs.folder import prepare_folder


def start_command(cfg: DictConfig) -> tuple[Path, Console]:
    """The run folder, made if need be, and the console to print on.

    Raises:
        ValueError: the folder cannot be made or written.
    """
    quiet_libraries()
    folder = Path(cfg.paths.output_dir)
    prepare_folder(folder, 0)
    return folder, Console(highlight=False, soft_wrap=True)


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
