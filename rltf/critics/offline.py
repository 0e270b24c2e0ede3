"""`stage=critic`: trains a critic of outcomes on the judged programs of runs, before it is used in another one (CodeRL
trains its critic first)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rltf.benchmarks.splits import hash_fraction
from rltf.critics.base import Critic
from rltf.metrics.critic import critic_metrics
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.runs.rollouts_file import read_records
from rltf.types import FinishReason, Outcome, Problem, Program, Rollout, Sampling, Verdict

log = logging.getLogger(__name__)


class CriticTraining:
    """Fits the run's critic to `rollouts.jsonl` of earlier runs.

    Args:
        runs: folder of a run, or a list.
        epochs: passes over the programs.
        held_out: share of problems that are measured and not learned; which ones depends on their ids alone.

    Raises:
        ValueError: a folder has no rollouts, or a number is out of range.
    """

    def __init__(self, runs: str | Sequence[str], epochs: int = 1, held_out: float = 0.1) -> None:
        if not 0 < held_out < 1:
            raise ValueError(f"stage.job.held_out is {held_out}: expected a share between 0 and 1")
        if epochs < 1:
            raise ValueError(f"stage.job.epochs is {epochs}: expected a whole number of at least 1")
        self._records = list(read_records(runs, "rollouts.jsonl", "stage.job.runs", "the folder of a run"))
        self._epochs, self._held_out = epochs, held_out

    def __call__(self, pipeline: RolloutPipeline, sampling: Sampling, seed: int, folder: Path) -> dict[str, Any]:
        """Writes `critic.pt`, which `critic.weights` reads.

        Returns:
            `programs` learned from, and of those held out: the metrics of a critic, and `constant_accuracy`, that of
            the most frequent outcome.

        Raises:
            ValueError: there is no critic of outcomes, or too few programs of the benchmark.
        """
        critic = pipeline.critic
        if not isinstance(critic, Critic) or critic.kind != "outcome":
            raise ValueError("stage=critic trains a critic of outcomes and there is none: use critic=outcome")
        known = {problem.id: problem for problem in pipeline.benchmark.problems("train")}
        learned: list[Rollout] = []
        kept: list[Rollout] = []
        for record in self._records:
            rollout = _rollout(pipeline, known, record)
            if rollout is not None:
                (kept if hash_fraction(record["problem_id"]) < self._held_out else learned).append(rollout)
        if not learned or not kept:
            raise ValueError(
                f"stage.job.runs has {len(learned)} programs of benchmark={pipeline.benchmark.name} to learn from and "
                f"{len(kept)} that are held out: expected some of both"
            )
        critic.start(pipeline.policy.model.device)
        for epoch in range(self._epochs):
            found = critic.learn(learned, passes=1)
            log.info("epoch %d: loss %.4f", epoch + 1, found["loss"])
        critic.save(folder / "critic.pt")
        metrics = critic_metrics([(r.critic, r.verdict.outcome) for r in critic.read(kept)])
        frequent = Counter(r.verdict.outcome.stage for r in learned).most_common(1)[0][0]
        constant = sum(r.verdict.outcome.stage == frequent for r in kept) / len(kept)
        rounded = {name: round(value, 6) for name, value in (metrics | {"constant_accuracy": constant}).items()}
        return {"programs": len(learned), "held_out_programs": len(kept), **rounded}


def _rollout(pipeline: RolloutPipeline, known: Mapping[str, Problem], record: Mapping[str, Any]) -> Rollout | None:
    """The program as the policy would have written it; None where it belongs to no problem, or fits no answer."""
    problem = known.get(record["problem_id"])
    if problem is None or record["greedy"]:
        return None
    try:
        answer = pipeline.benchmark.answer(problem, record["program"])
    except ValueError:  # it has parts that the benchmark's prompt cannot ask for
        return None
    tokens = pipeline.policy.encode_answer(answer)
    program = Program(
        problem.id, record["program"], pipeline.prompt_ids(problem), tokens, (), (0.0,) * len(tokens), FinishReason.EOS
    )
    return Rollout(program, Verdict(Outcome(record["outcome"]), record["passed"], record["total"]))
