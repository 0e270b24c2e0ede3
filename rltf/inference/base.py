"""What the choices of `inference=` have in common: they find programs, and say what came of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from rltf.inference.results import SearchResult
from rltf.rollouts.groups import JudgedGroup, PendingRollouts
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import Problem, Sampling


class Inference(ABC):
    """Finds programs, and keeps account of what it spent.

    Args:
        pipeline: draws and judges.
    """

    name: str
    """As in `inference=`."""

    def __init__(self, pipeline: RolloutPipeline) -> None:
        self._pipeline = pipeline
        self.results: list[SearchResult] = []
        """Of this process, problem by problem."""

    @abstractmethod
    def start_rollouts(
        self, problems: Sequence[Problem], draws: Sequence[int], sampling: Sampling, seed: int, *, greedy: bool = False
    ) -> PendingRollouts:
        """Finds programs and hands them to the executor, to be judged by all tests. The greedy program is drawn for
        comparison and takes part in nothing else."""

    @abstractmethod
    def finish_problem(self, judged: JudgedGroup) -> JudgedGroup:
        """Learns the verdicts of one problem; gives back the programs that pass@k is taken of."""
