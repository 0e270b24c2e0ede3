"""The W&B logger: offline unless the user is logged in; one W&B run per run, one group per sweep.

The only module that touches private API of Lightning's W&B logger (`_wandb_init`)."""

from __future__ import annotations

import json
import logging
import netrc
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from wandb.errors import CommError

from rltf.runs.atomic import write_text
from rltf.runs.checkpoint_file import count_rows
from rltf.runs.files import METRICS_FILE, WANDB_ID_FILE, WANDB_POSITION_FILE
from rltf.validation import require

log = logging.getLogger(__name__)

LONGEST_NAME = 128
"""Characters of a run's name that W&B takes."""
Mode = Literal["auto", "online", "offline", "disabled"]


class WandbRunLogger(WandbLogger):
    """Lightning's logger, with three differences: W&B's `_step` goes on where an earlier piece of the run ended, also
    when it is offline; tables come with the next row; and the W&B run is ended with an exit code."""

    logs_text = True

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(save_dir=folder, **options)
        self._position = Position.after_earlier_pieces(folder)
        self._folder = folder
        self._next_step: int | None = None
        self._tables: dict[str, Any] = {}

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs one row, whose optimiser step is `trainer/global_step`."""
        if self._next_step is None:
            self._next_step = max(self._position.first_step, self.experiment.step)
            rows = max(0, count_rows(self._folder / METRICS_FILE) - 1)  # this row is in the file already
            Position(self._next_step, rows).write(self._folder)
        row = {**metrics, **self._tables, "trainer/global_step": step}
        self.experiment.log(row, step=self._next_step, commit=True)
        self._next_step += 1
        self._tables.clear()

    @rank_zero_only
    def log_table(
        self,
        key: str,
        columns: list[str] | None = None,
        data: list[list[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
    ) -> None:
        """Adds a table to the next row."""
        import wandb

        self._tables[key] = wandb.Table(columns=columns, data=data, dataframe=dataframe)

    @rank_zero_only
    def close(self, code: int) -> None:
        """Ends the W&B run, so that the next job of a sweep gets its own.

        Args:
            code: exit code of the command; W&B calls a run with another one than 0 failed.
        """
        import wandb

        if self._tables:
            self.experiment.log(self._tables, step=self._next_step, commit=True)
        wandb.finish(exit_code=code)


@dataclass(frozen=True)
class Position:
    """Where a piece of a run began in W&B and in `metrics.csv`: that file is cut when a run is resumed, what W&B has is
    not."""

    first_step: int
    """W&B's `_step` of the piece's first row."""
    rows: int
    """Rows of `metrics.csv` before it."""

    @classmethod
    def after_earlier_pieces(cls, folder: Path) -> Position:
        """The position of the piece that begins; called before `metrics.csv` is cut."""
        path, rows = folder / WANDB_POSITION_FILE, count_rows(folder / METRICS_FILE)
        if not path.exists():
            return cls(0, rows)
        last = cls(**json.loads(path.read_text()))
        return cls(last.first_step + rows - last.rows + 1, rows)  # 1: tables that came after the last row

    def write(self, folder: Path) -> None:
        """Keeps the position for the next piece."""
        write_text(folder / WANDB_POSITION_FILE, json.dumps(asdict(self)))


def wandb_logger(
    folder: str,
    name: str,
    project: str = "rltf",
    entity: str | None = None,
    group: str | None = None,
    tags: list[str] | None = None,
    mode: Mode = "auto",
) -> Logger:
    """A logger that writes to W&B, or to `folder/wandb` when offline.

    Args:
        folder: the run folder.
        name: name of the run.
        project: W&B project.
        entity: W&B user or team; None: the default one.
        group: shared by the runs of a sweep.
        tags: for filters in the web page.
        mode: `auto` is online when a key is known, else offline. `WANDB_MODE` wins over `auto`.

    Raises:
        ValueError: an unknown mode.
    """
    require("mode", mode, choices=get_args(Mode))
    identity = Path(folder) / WANDB_ID_FILE
    if not identity.exists():
        identity.write_text(secrets.token_hex(4))
    start_mode = os.environ.get("WANDB_MODE", "online" if logged_in() else "offline") if mode == "auto" else mode
    os.environ.setdefault("WANDB_INIT_TIMEOUT", "30")  # seconds, before a run goes on offline
    os.environ.setdefault("WANDB_SILENT", "true")  # its lines would tear the progress display

    def make(mode: str) -> WandbRunLogger:
        logger = WandbRunLogger(
            Path(folder),
            name=name[:LONGEST_NAME],
            project=project,
            entity=entity,
            group=group,
            tags=tags,
            mode=mode,
            id=identity.read_text(),  # a run that goes on is the same run in W&B
            resume="allow",
        )
        logger._wandb_init.pop("anonymous", None)  # Lightning 2.6 always passes it, and wandb warns that it is gone
        return logger

    logger = make(start_mode)
    if start_mode != "online":
        return logger
    try:
        _ = logger.experiment  # connects now, on rank 0: a run of days must not end because W&B was away when it began
    except CommError:
        identity.write_text(secrets.token_hex(4))  # this process's W&B service holds the first one
        log.warning("W&B cannot be reached: this run is kept offline in %s/wandb, wandb sync sends it later", folder)
        return make("offline")
    return logger


def logged_in() -> bool:
    """Whether W&B has an API key on this machine."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        hosts = netrc.netrc(os.environ.get("NETRC") or str(Path.home() / ".netrc")).hosts
    except (OSError, RuntimeError, netrc.NetrcParseError):  # RuntimeError: a user without a home
        return False
    return any("wandb" in host for host in hosts)
