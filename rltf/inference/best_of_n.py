"""`inference=best_of_n`: sampled programs that pass the example tests are submitted first, ties broken by mean
log-prob (Chen et al. 2021, arXiv 2107.03374, found the mean better than the sum), or by how well CodeT5+ 220M bimodal
says that they match the problem's text (`score=match`; Wang et al. 2023, arXiv 2305.07922)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import override

from rltf.inference.search import Candidate, DrawRequest, Search, Task
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import Sampling
from rltf.validation import OptionError, require

if TYPE_CHECKING:
    from rltf.policies.codet5p.matching import Matcher


class BestOfN(Search):
    """One round of sampled programs; `Search` orders them for submission.

    Args:
        pipeline: draws and judges programs.
        score: what orders programs that pass equally many example tests: `logprob` or `match`.
        matcher: keywords of `rltf.policies.codet5p.matching.Matcher`, which is loaded for `match` alone.

    Raises:
        OptionError: an option is none of its choices.
        ValueError: the matcher does not load.
    """

    name = "best_of_n"

    def __init__(
        self,
        pipeline: RolloutPipeline,
        score: Literal["logprob", "match"] = "logprob",
        matcher: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(pipeline)
        require("score", score, choices=("logprob", "match"))
        self._matcher = _load_matcher(matcher or {}) if score == "match" else None

    @override
    def search(
        self, tasks: Sequence[Task], draws: Sequence[int], sampling: Sampling, seed: int
    ) -> list[list[Candidate]]:
        requests = [DrawRequest(task, tuple(draws), task.prompt_ids) for task in tasks]
        candidates = self.draw_candidates(requests, sampling, seed, "drawn")
        if self._matcher is None:
            return candidates
        self._matcher.model.to(self._pipeline.policy.model.device)
        return [self._matched(task, group) for task, group in zip(tasks, candidates, strict=True)]

    def _matched(self, task: Task, candidates: list[Candidate]) -> list[Candidate]:
        assert self._matcher is not None
        scores = self._matcher.scores(
            task.problem.statement or task.problem.starter, [c.program.text for c in candidates]
        )
        return [replace(candidate, match=score) for candidate, score in zip(candidates, scores, strict=True)]


def _load_matcher(keywords: Mapping[str, Any]) -> Matcher:
    from rltf.policies.codet5p.matching import Matcher  # imports transformers

    try:
        return Matcher(**keywords)
    except OptionError as error:
        raise error.below("matcher") from error
