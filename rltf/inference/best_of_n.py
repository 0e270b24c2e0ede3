"""`inference=best_of_n`: sampled programs that pass the example tests are submitted first, ties broken by mean
log-prob (Chen et al. 2021, arXiv 2107.03374, found the mean better than the sum)."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from rltf.inference.search import Candidate, DrawRequest, Search, Task
from rltf.types import Sampling


class BestOfN(Search):
    """One round of sampled programs; `Search` orders them for submission."""

    name = "best_of_n"

    @override
    def search(
        self, tasks: Sequence[Task], draws: Sequence[int], sampling: Sampling, seed: int
    ) -> list[list[Candidate]]:
        requests = [DrawRequest(task, tuple(draws), task.prompt_ids) for task in tasks]
        return self.draw_candidates(requests, sampling, seed, "drawn")
