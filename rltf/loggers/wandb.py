"""The W&B logger: offline unless the user is logged in; one W&B run per run, one group per sweep.

The only module that touches private API of Lightning's W&B logger (`_wandb_init`)."""

from __future__ import annotations

import logging
import netrc
import os
import secrets
from pathlib import Path
from typing import Literal, get_args

from lightning.pytorch.loggers import Logger, WandbLogger
from wandb.errors import CommError

from rltf.validation import require

log = logging.getLogger(__name__)

Mode = Literal["auto", "online", "offline", "disabled"]


class WandbRunLogger(WandbLogger):
    """Lightning's logger, which can end its W&B run."""

    logs_text = True

    def close(self) -> None:
        """Ends the W&B run, so that the next job of a sweep gets its own."""
        import wandb

        wandb.finish()


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
    identity = Path(folder) / ".wandb_id"
    if not identity.exists():
        identity.write_text(secrets.token_hex(4))
    start_mode = os.environ.get("WANDB_MODE", "online" if logged_in() else "offline") if mode == "auto" else mode
    os.environ.setdefault("WANDB_INIT_TIMEOUT", "30")  # seconds, before a run goes on offline
    os.environ.setdefault("WANDB_SILENT", "true")  # its lines would tear the progress display

    def make(mode: str) -> WandbRunLogger:
        logger = WandbRunLogger(
            name=name,
            project=project,
            entity=entity,
            group=group,
            tags=tags,
            save_dir=folder,
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
        hosts = netrc.netrc(os.environ.get("NETRC", str(Path.home() / ".netrc"))).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return any("wandb" in host for host in hosts)
