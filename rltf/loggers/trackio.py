"""The Trackio logger: Hugging Face's local dashboard of metrics."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from rltf.validation import import_extra


class TrackioLogger(Logger):
    """Sends metrics to Trackio; a run that is resumed continues its Trackio run of the same name.

    Args:
        project: Trackio project.
        name: name of the run.
        group: shared by the runs of a sweep.
        space_id: Hugging Face Space to send metrics to; None: this machine.

    Raises:
        ValueError: Trackio is not installed.
    """

    logs_text = True

    def __init__(self, project: str, name: str, group: str | None = None, space_id: str | None = None) -> None:
        super().__init__()
        self._trackio = import_extra("trackio", "logger=trackio", "loggers")
        self._project, self._name, self._group, self._space_id = project, name, group, space_id
        self._config: dict[str, Any] = {}
        self._started = False

    @property
    def name(self) -> str:
        """Name of the project."""
        return self._project

    @property
    def version(self) -> str:
        """Name of the run."""
        return self._name

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Keeps the config for the start of the Trackio run."""
        self._config |= vars(params) if isinstance(params, Namespace) else params

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Sends one row."""
        if not self._started:
            self._trackio.init(
                project=self._project,
                name=self._name,
                group=self._group,
                space_id=self._space_id,
                config=self._config,
                resume="allow",
            )
            self._started = True
        self._trackio.log(metrics, step=step)

    @rank_zero_only
    def close(self, code: int) -> None:
        """Sends what is left and ends the Trackio run."""
        if self._started:
            self._trackio.finish()
            self._started = False
