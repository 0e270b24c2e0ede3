"""`inference=sample`: programs as they are drawn; nothing is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from rltf.inference.base import Inference
from rltf.inference.results import SearchResult
from rltf.rollouts.groups import JudgedGroup, PendingRollouts
from rltf.types import Outcome, Problem, Sampling


class Sample(Inference):
    """Draws programs and judges them."""

    name = "sample"

    def start_rollouts(
        self, problems: Sequence[Problem], draws: Sequence[int], sampling: Sampling, seed: int, *, greedy: bool = False
    ) -> PendingRollouts:
        """Each program goes to the executor the moment its last token is drawn."""
        return self._pipeline.start_rollouts(problems, draws, sampling, seed, greedy=greedy)

    def finish_problem(self, judged: JudgedGroup) -> JudgedGroup:
        """All of them."""
        drawn = [(p, v) for p, v in zip(judged.programs, judged.verdicts, strict=True) if not p.greedy]
        passed = tuple(verdict.outcome is Outcome.PASSED for _, verdict in drawn)
        tokens = sum(len(program.token_ids) for program, _ in drawn)
        self.results.append(SearchResult(judged.problem.id, passed, passed, {"drawn": len(drawn)}, {"drawn": tokens}))
        return judged
