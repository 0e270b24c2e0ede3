"""Reward functions for TRL (`GRPOTrainer`, `RLOOTrainer`, `AsyncGRPO`).

    GRPOTrainer(..., reward_funcs=[TRLReward("coarse")])        # the data set has a column `tests`

Signature of TRL 1.16: `f(prompts, completions, completion_ids, trainer_state, log_extra, log_metric, **columns)`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from rltf.adapters.answers import AnswerScorer, Unjudgeable, statistics
from rltf.types import Verdict

_NOT_COLUMNS = ("completion_ids", "trainer_state", "environments")
"""What TRL passes beside the columns of the data set."""


class TRLReward:
    """A reward function: the program in each completion is judged against the tests of its row.

    Args:
        reward: `coarse`, `adaptive`, `pass_first` or `binary` (`AnswerScorer`).
        tests: column of the data set that has the tests.
        url: of a service; None: judged on this machine. With several training processes a service is better, since each
            of them would start a judge of its own.
        token: of the service.
        workers: without `url`, programs judged at the same time; None: twice the cores.
        timeout: seconds a test; None: the judge's default.
        unjudgeable: what a program earns of which nothing is known (`AnswerScorer`). TRL counts None as 0.
        values: arguments of the reward, e.g. `share_weight=0.2`.

    Raises:
        ValueError: an option makes no sense.

    Example:
        >>> reward = TRLReward("pass_first", workers=1)
        >>> reward(["Add one."], ["def f(x): return 2"], tests=[["assert f(1) == 2", "assert f(2) == 3"]])
        [0.05]
    """

    def __init__(
        self,
        reward: str = "coarse",
        tests: str = "tests",
        url: str | None = None,
        token: str | None = None,
        workers: int | None = None,
        timeout: float | None = None,
        unjudgeable: Unjudgeable = "wrong_answer",
        **values: Any,
    ) -> None:
        self.scorer = AnswerScorer(reward, values, url, token, workers, timeout, unjudgeable)
        self.tests = tests
        self.__name__ = f"rltf_{reward}"
        """What TRL's logs call it."""

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """The reward of each completion.

        Raises:
            ValueError: the data set has no column of tests, or tests cannot be read.
        """
        verdicts = self.scorer.verdicts(completions, self._tests_of(columns))
        return self._rewards(verdicts, log_extra, log_metric)

    def _tests_of(self, columns: dict[str, Any]) -> Sequence[Any]:
        if self.tests not in columns:
            known = ", ".join(name for name in columns if name not in _NOT_COLUMNS) or "no other columns"
            raise ValueError(f"the data set has no column {self.tests!r} with tests: it has {known}")
        tests: Sequence[Any] = columns[self.tests]
        return tests

    def _rewards(
        self,
        verdicts: list[Verdict],
        log_extra: Callable[[str, list[Any]], None] | None,
        log_metric: Callable[[str, float], None] | None,
    ) -> list[float | None]:
        if log_metric is not None:
            for name, share in statistics(verdicts).items():
                log_metric(f"judge/{name}", share)
        if log_extra is not None:
            log_extra("outcome", [verdict.outcome.value for verdict in verdicts])
        return self.scorer.rewards(verdicts)


class AsyncTRLReward(TRLReward):
    """The same, awaited: TRL runs it beside its other asynchronous reward functions."""

    async def __call__(  # type: ignore[override]
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """The reward of each completion.

        Raises:
            ValueError: the data set has no column of tests, or tests cannot be read.
        """
        verdicts = await asyncio.to_thread(self.scorer.verdicts, completions, self._tests_of(columns))
        return self._rewards(verdicts, log_extra, log_metric)
