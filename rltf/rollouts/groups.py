"""Programs by problem: drawn and not yet judged (`PendingRollouts`), and judged (`JudgedGroup`)."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from rltf.rollouts.packing import PackedRollout, from_state, to_state
from rltf.types import Problem, Program, Rollout, Verdict


@dataclass(frozen=True, slots=True)
class PendingRollouts:
    """Programs that are drawn and not yet judged, by problem."""

    groups: tuple[tuple[Problem, tuple[Program, ...], tuple[Future[Verdict], ...]], ...]
    """(problem, its programs, a verdict to come for each); the greedy program comes first, then draws in order."""

    @property
    def programs(self) -> int:
        """Number of programs."""
        return sum(len(programs) for _, programs, _ in self.groups)

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, loadable under `torch.load(weights_only=True)`. Waits for all verdicts."""
        return {
            "problems": [problem.id for problem, _, _ in self.groups],
            "sizes": [len(programs) for _, programs, _ in self.groups],
            "judged": to_state(
                [
                    PackedRollout.pack(Rollout(program, future.result()))
                    for _, programs, futures in self.groups
                    for program, future in zip(programs, futures, strict=True)
                ]
            ),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any], problems: Mapping[str, Problem]) -> PendingRollouts:
        """The pending programs of a checkpoint, verdicts included.

        Args:
            state: a state that `state_dict` returned.
            problems: problem id -> problem.
        """
        rollouts = (packed.unpack() for packed in from_state(state["judged"]))
        groups = []
        for problem_id, size in zip(state["problems"], state["sizes"], strict=True):
            group = [next(rollouts) for _ in range(size)]
            futures: list[Future[Verdict]] = [Future() for _ in group]
            for future, rollout in zip(futures, group, strict=True):
                future.set_result(rollout.verdict)
            groups.append((problems[problem_id], tuple(r.program for r in group), tuple(futures)))
        return cls(tuple(groups))


@dataclass(frozen=True, slots=True)
class JudgedGroup:
    """One problem's programs of one iteration, with their verdicts."""

    problem: Problem
    programs: tuple[Program, ...]
    verdicts: tuple[Verdict, ...]

    def triples(self) -> list[tuple[Problem, Program, Verdict]]:
        """(problem, program, verdict) of each program: the arguments of a reward term."""
        return [(self.problem, *pair) for pair in zip(self.programs, self.verdicts, strict=True)]

    def judgeable(self) -> JudgedGroup:
        """The group without the programs that could not be judged."""
        judged = [pair for pair in zip(self.programs, self.verdicts, strict=True) if not pair[1].unjudgeable]
        if len(judged) == len(self.programs):
            return self
        return JudgedGroup(self.problem, tuple(p for p, _ in judged), tuple(v for _, v in judged))

    def unjudgeable(self) -> list[tuple[Program, Verdict]]:
        """The programs that could not be judged, with their verdicts."""
        return [pair for pair in zip(self.programs, self.verdicts, strict=True) if pair[1].unjudgeable]

    def to(self, device: object) -> JudgedGroup:
        """The group itself, which holds no tensors; Lightning calls this when it moves a batch to a device."""
        return self
