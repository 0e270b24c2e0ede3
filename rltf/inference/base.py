"""The interface of the choices of `inference=`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from rltf.inference.results import SearchResult
from rltf.rollouts.groups import JudgedGroup, PendingRollouts
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import Problem, Sampling


class Inference(ABC):
    """Finds programs for problems, and records what they cost.

    Args:
        pipeline: draws and judges programs.
    """

    name: str
    """The choice's name in `inference=`."""

    def __init__(self, pipeline: RolloutPipeline) -> None:
        self._pipeline = pipeline
        self.results: list[SearchResult] = []
        """Results of this process, one per problem."""

    @abstractmethod
    def start_rollouts(
        self, problems: Sequence[Problem], draws: Sequence[int], sampling: Sampling, seed: int, *, greedy: bool = False
    ) -> PendingRollouts:
        """Finds programs and submits them to the executor, to be judged by all tests.

        Args:
            problems: the problems to solve.
            draws: draw indices of the programs per problem.
            sampling: distribution of the programs.
            seed: of the random streams.
            greedy: also decode the greedy program, for comparison; the search does not use it.
        """

    @abstractmethod
    def finish_problem(self, judged: JudgedGroup) -> JudgedGroup:
        """Records the result of one problem, and returns the programs that pass@k is computed from."""
