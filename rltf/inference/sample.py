"""`inference=sample`: plain sampling, without a search."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from rltf.inference.base import Inference
from rltf.inference.results import SearchResult
from rltf.rollouts.groups import JudgedGroup, PendingRollouts
from rltf.types import Outcome, Problem, Sampling


class PlainSampling(Inference):
    """Draws programs and judges them, each as soon as its last token is drawn."""

    name = "sample"

    @override
    def start_rollouts(
        self, problems: Sequence[Problem], draws: Sequence[int], sampling: Sampling, seed: int, *, greedy: bool = False
    ) -> PendingRollouts:
        return self._pipeline.start_rollouts(problems, draws, sampling, seed, greedy=greedy)

    @override
    def finish_problem(self, judged: JudgedGroup) -> JudgedGroup:
        sampled = [(p, v) for p, v in zip(judged.programs, judged.verdicts, strict=True) if not p.greedy]
        passed = tuple(verdict.outcome is Outcome.PASSED for _, verdict in sampled)
        tokens = sum(len(program.token_ids) for program, _ in sampled)
        self.results.append(SearchResult(judged.problem.id, passed, passed, {"drawn": len(sampled)}, {"drawn": tokens}))
        return judged
