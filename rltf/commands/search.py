"""A search with optuna that can be continued: `trials.json` in the sweep's folder has its trials, trial N is job N.

The same command with the same `hydra.sweep.dir` goes on: trials that were cut are run again in their folders, with the
values they had, and then those that are left of `hydra.sweeper.n_trials`. A trial that failed stays a failed trial.
Optuna 2.10, which Hydra's sweeper needs, cannot keep a study in a file beside SQLAlchemy 2."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl, create_params_from_overrides
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from rltf.runs.atomic import write_text
from rltf.runs.files import TRIALS_FILE
from rltf.runs.folder import FolderRefused
from rltf.runs.lock import locked
from rltf.runs.resume import is_changeable
from rltf.validation import OptionError


class ResumableSearch(OptunaSweeperImpl):
    """Hydra's search with optuna, which knows the trials of an earlier start."""

    def sweep(self, arguments: list[str]) -> None:
        """Runs the trials that are left.

        Raises:
            FolderRefused: the folder holds a search with other options, or another process searches there.
            OptionError: a storage was named.
        """
        if self.storage is not None:
            raise OptionError("hydra.sweeper.storage", self.storage, f"null: trials are kept in {TRIALS_FILE}")
        optuna.logging.set_verbosity(logging.WARNING)
        self.storage = optuna.storages.InMemoryStorage()
        self.study_name = self.study_name or "rltf"
        self._file = Path(self.sweep_dir) / TRIALS_FILE
        with locked(self._file.parent):
            self._study = optuna.create_study(
                study_name=self.study_name, storage=self.storage, directions=self._get_directions()
            )
            done = self._restore(arguments)
            self.job_idx, self.n_trials = done, max(0, self.n_trials - done)
            if done and isinstance(self.sampler, optuna.samplers.BaseSampler):
                self.sampler.reseed_rng()  # a fixed seed would propose the first trials again
            try:
                super().sweep(arguments)
            except ValueError:
                if any(trial.state == TrialState.COMPLETE for trial in self._study.trials):
                    raise  # else no trial succeeded, of which the sweep's table says more
            finally:
                self._keep()

    def _configure_trials(self, trials: list[Trial], *args: Any) -> Sequence[Sequence[str]]:
        """Called with the trials of the next batch before they are run."""
        overrides = super()._configure_trials(trials, *args)
        self._keep()
        return overrides

    def _keep(self) -> None:
        write_text(self._file, json.dumps(list(map(_record, self._study.trials)), indent=1) + "\n")

    def _restore(self, arguments: list[str]) -> int:
        """Takes the trials of an earlier start; the number of those that have ended."""
        records = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else []
        self._process_searchspace_config()
        _, options = create_params_from_overrides([*self._parse_sweeper_params_config(), *arguments])
        ended = [record for record in records if TrialState[record["state"]].is_finished()]
        for record in records:
            self._check_options(record["options"], options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            for record in ended:
                self._study.add_trial(_trial(record))
            for record in records:
                if record not in ended:  # its process is gone; optuna takes these first, so that numbers stay
                    self._study.enqueue_trial(record["params"])
        return len(ended)

    def _check_options(self, recorded: dict[str, Any], present: dict[str, Any]) -> None:
        """Values of trials with different options do not compare."""
        for key in [*recorded, *(key for key in present if key not in recorded)]:
            if recorded.get(key) != present.get(key) and not is_changeable(key):
                raise FolderRefused(
                    f"{self.sweep_dir} holds another search: {key} is {present.get(key)} and was {recorded.get(key)} "
                    "there; choose another hydra.sweep.dir"
                )


def _record(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name,
        "values": trial.values,
        "params": trial.params,
        "options": trial.user_attrs,
        "distributions": {name: distribution_to_json(kind) for name, kind in trial.distributions.items()},
    }


def _trial(record: dict[str, Any]) -> FrozenTrial:
    return create_trial(
        state=TrialState[record["state"]],
        values=record["values"],
        params=record["params"],
        user_attrs=record["options"],
        distributions={name: json_to_distribution(text) for name, text in record["distributions"].items()},
    )
