"""The sweeper of `+sweep=search`. Hydra takes sweepers from the package `hydra_plugins` alone, and imports all of it at
every start; the search itself lies in `rltf.commands.search`."""

from __future__ import annotations

import logging
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Search(Sweeper):
    """A search with optuna whose trials lie in the sweep's folder; needs the extra `sweeps`.

    Args:
        **options: of `hydra/sweeper=optuna`.
    """

    def __init__(self, **options: Any) -> None:
        logging.getLogger("alembic").setLevel(logging.WARNING)  # a list of its plugins
        from rltf.commands.search import ResumableSearch

        self._search = ResumableSearch(**options)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called once, before `sweep`."""
        self._search.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> None:
        """Runs the trials that are left."""
        self._search.sweep(arguments)
