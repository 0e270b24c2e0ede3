"""`inference=best_of_n`: of the programs that were drawn, those that pass the example tests are submitted first, ties
broken by mean log-prob (Chen et al. 2021, arXiv 2107.03374, found the mean better than the sum)."""

from __future__ import annotations

from collections.abc import Sequence

from rltf.inference.search import Candidate, DrawRequest, Search, Task
from rltf.types import Sampling


class BestOfN(Search):
    """Draws once, and puts the programs in order."""

    name = "best_of_n"

    def search(
        self, tasks: Sequence[Task], draws: Sequence[int], sampling: Sampling, seed: int
    ) -> list[list[Candidate]]:
        """One round."""
        return self.draw([DrawRequest(task, tuple(draws), task.prompt_ids) for task in tasks], sampling, seed, "drawn")
