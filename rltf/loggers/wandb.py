"""The W&B logger: offline unless the user is logged in, one run a job, one group a sweep."""

from __future__ import annotations

import logging
import netrc
import os
import secrets
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import Logger, WandbLogger
from wandb.errors import CommError

log = logging.getLogger(__name__)

Mode = Literal["auto", "online", "offline", "disabled"]


def wandb_logger(
    folder: str,
    name: str,
    config: dict[str, Any],
    project: str = "rltf",
    entity: str | None = None,
    group: str | None = None,
    tags: list[str] | None = None,
    mode: Mode = "auto",
) -> Logger:
    """A logger that writes to W&B, or to `folder/wandb` when offline.

    Args:
        folder: the run folder.
        name: of the run.
        config: the resolved config, plain values.
        project: W&B project.
        entity: W&B user or team; None: the default one.
        group: runs of one sweep share it.
        tags: for filters in the web page.
        mode: `auto` is online when a key is known, else offline. `WANDB_MODE` wins over `auto`.

    Raises:
        ValueError: an unknown mode.
    """
    if mode not in ("auto", "online", "offline", "disabled"):
        raise ValueError(f"logger.wandb.mode={mode} is not known: expected auto, online, offline or disabled")
    identity = Path(folder) / ".wandb_id"
    if not identity.exists():
        identity.write_text(secrets.token_hex(4))
    chosen = os.environ.get("WANDB_MODE", "online" if logged_in() else "offline") if mode == "auto" else mode
    os.environ.setdefault("WANDB_INIT_TIMEOUT", "30")  # seconds, before a run goes on offline
    os.environ.setdefault("WANDB_SILENT", "true")  # its lines would tear the progress display

    def make(mode: str) -> WandbLogger:
        logger = WandbLogger(
            name=name,
            project=project,
            entity=entity,
            group=group,
            tags=tags,
            save_dir=folder,
            config=config,
            mode=mode,
            id=identity.read_text(),  # a run that goes on is the same run in W&B
            resume="allow",
        )
        logger._wandb_init.pop("anonymous", None)  # Lightning 2.6 always passes it, and wandb warns that it is gone
        return logger

    logger = make(chosen)
    if chosen != "online":
        return logger
    try:
        _ = logger.experiment  # connects now, on rank 0: a run of days must not end because W&B was away when it began
    except CommError:
        identity.write_text(secrets.token_hex(4))  # this process's W&B service holds the first one
        log.warning("W&B cannot be reached: this run is kept offline in %s/wandb, wandb sync sends it later", folder)
        return make("offline")
    return logger


def logged_in() -> bool:
    """True when W&B would find an API key without asking."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        hosts = netrc.netrc(os.environ.get("NETRC", str(Path.home() / ".netrc"))).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return any("wandb" in host for host in hosts)
