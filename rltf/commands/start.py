"""The start of every command: quiet libraries, a run folder that no other process writes, a console; and the record of
the command, written once its work begins."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from rltf.runs.atomic import write_text
from rltf.runs.files import CONFIG_FILE, HYDRA_FOLDER, OVERRIDES_FILE
from rltf.runs.folder import first_process, prepare_folder
from rltf.runs.lock import locked
from rltf.runs.resume import begin_run, check_folder
from rltf.setup.choices import fill_names, typed_overrides
from rltf.setup.trainer import check_trainer


@contextmanager
def start_command(cfg: DictConfig, repeats: bool = True) -> Iterator[tuple[Path, Console]]:
    """The run folder, made if need be and locked inside the block, and the console to print on.

    Args:
        cfg: the whole config; gets its names.
        repeats: whether the command, given again, replaces its results; False for training, which is resumed.

    Raises:
        ValueError: the folder cannot be made or written.
        FolderRefused: it holds another run, or another process writes it. Nothing in it was changed.
    """
    quiet_libraries()
    check_trainer(cfg)
    folder = Path(cfg.paths.output_dir)
    prepare_folder(folder, 0)
    fill_names(cfg)
    console = Console(highlight=False, soft_wrap=True, quiet=bool(cfg.get("quiet")))
    if not first_process():
        yield folder, console
        return
    check_folder(_plain(cfg), folder, bool(cfg.get("resume")), repeats)
    with locked(folder):
        yield folder, console


def record_command(cfg: DictConfig, folder: Path, repeats: bool = True) -> None:
    """Writes config and command line to the run folder. Called when nothing is left that could refuse the command: a
    resumed run keeps its record until then.

    Args:
        cfg: the whole config.
        folder: the run folder.
        repeats: as in `start_command`.

    Raises:
        FolderRefused: a run has begun there since the command was started.
    """
    from hydra.core.hydra_config import HydraConfig

    hydra_config = HydraConfig.instance().cfg if HydraConfig.initialized() else None
    begin_run(_plain(cfg), folder, bool(cfg.get("resume")), repeats, typed_overrides())
    if hydra_config is None or not first_process():
        return
    records = {CONFIG_FILE: cfg, "hydra.yaml": hydra_config, OVERRIDES_FILE: hydra_config.hydra.overrides.task}
    (folder / HYDRA_FOLDER).mkdir(exist_ok=True)
    for name, content in records.items():
        write_text(folder / HYDRA_FOLDER / name, OmegaConf.to_yaml(content))


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


def _plain(cfg: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]
