"""`job=critic`: trains a critic of outcomes on the judged programs of runs, before another run uses it (CodeRL trains
its critic first)."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rltf.benchmarks.splits import hash_fraction
from rltf.critics.base import Critic
from rltf.metrics.critic import critic_metrics
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.runs.files import CRITIC_FILE, ROLLOUTS_FILE
from rltf.runs.rollouts_file import read_records
from rltf.types import FinishReason, Outcome, Problem, Program, Rollout, Sampling, Verdict
from rltf.validation import require

log = logging.getLogger(__name__)


class CriticPretraining:
    """Fits the run's critic to `rollouts.jsonl` of earlier runs.

    Args:
        runs: folder of a run, or a list.
        epochs: passes over the programs.
        held_out: share of problems that the critic is measured on and does not learn; which ones depends on their ids
            alone.
        programs: number of programs to learn from, chosen by the seed; None: all.

    Raises:
        OptionError: a number is out of range.
        ValueError: a folder has no rollouts.
    """

    def __init__(
        self, runs: str | Sequence[str], epochs: int = 1, held_out: float = 0.1, programs: int | None = None
    ) -> None:
        require("epochs", epochs, at_least=1, whole=True)
        require("held_out", held_out, above=0, below=1)
        require("programs", programs, at_least=1, whole=True, optional=True)
        self._records = list(read_records(runs, ROLLOUTS_FILE, "job.runs", "the folder of a run"))
        self._epochs, self._held_out, self._programs = epochs, held_out, programs

    def __call__(self, pipeline: RolloutPipeline, sampling: Sampling, seed: int, folder: Path) -> dict[str, Any]:
        """Trains the critic and writes `critic.pt`, for the option `critic.weights`.

        Returns:
            `programs`: number of training programs; `held_out_programs`; over these the metrics of a critic, and
            `constant_accuracy`, that of predicting the most frequent outcome.

        Raises:
            ValueError: there is no critic of outcomes, or too few programs of the benchmark.
        """
        critic = pipeline.critic
        if not isinstance(critic, Critic) or critic.kind != "outcome":
            raise ValueError("job=critic trains a critic of outcomes and there is none: use critic=outcome")
        training, held_out = self.rollouts(pipeline)
        if self._programs is not None and self._programs < len(training):
            training = random.Random(seed).sample(training, self._programs)
        critic.start(pipeline.policy.model.device)
        for epoch in range(self._epochs):
            log.info("epoch %d: loss %.4f", epoch + 1, critic.learn(training, passes=1)["loss"])
        critic.save(folder / CRITIC_FILE)
        metrics = critic_metrics([(r.critic, r.verdict.outcome) for r in critic.add_predictions(held_out)])
        frequent = Counter(r.verdict.outcome.stage for r in training).most_common(1)[0][0]
        metrics["constant_accuracy"] = sum(r.verdict.outcome.stage == frequent for r in held_out) / len(held_out)
        rounded = {name: round(value, 6) for name, value in metrics.items()}
        return {"programs": len(training), "held_out_programs": len(held_out), **rounded}

    def rollouts(self, pipeline: RolloutPipeline) -> tuple[list[Rollout], list[Rollout]]:
        """The judged programs to learn from, and those of held-out problems, in the order in which they were written.

        Raises:
            ValueError: one of the two is empty.
        """
        problems = {problem.id: problem for problem in pipeline.benchmark.problems("train")}
        training: list[Rollout] = []
        held_out: list[Rollout] = []
        for record in self._records:
            rollout = _recorded_rollout(pipeline, problems, record)
            if rollout is not None:
                (held_out if hash_fraction(record["problem_id"]) < self._held_out else training).append(rollout)
        if not training or not held_out:
            raise ValueError(
                f"job.runs has {len(training)} programs of benchmark={pipeline.benchmark.name} to learn from and "
                f"{len(held_out)} that are held out: expected some of both"
            )
        return training, held_out


def _recorded_rollout(
    pipeline: RolloutPipeline, problems: Mapping[str, Problem], record: Mapping[str, Any]
) -> Rollout | None:
    """The program encoded as the policy would have written it; None for a greedy program, another benchmark's, one that
    could not be judged, one that is no answer to the benchmark's prompt, or that the tokenizer changes."""
    problem = problems.get(record["problem_id"])
    if problem is None or record["greedy"] or record["outcome"] == Outcome.UNJUDGEABLE:
        return None
    try:
        answer = pipeline.benchmark.answer(problem, record["program"])
    except ValueError:
        return None
    tokens = pipeline.policy.encode_answer(answer)
    if pipeline.policy.decode(tokens)[0] != answer:
        return None
    program = Program(
        problem.id, record["program"], pipeline.prompt_ids(problem), tokens, (), (0.0,) * len(tokens), FinishReason.EOS
    )
    return Rollout(program, Verdict(Outcome(record["outcome"]), record["passed"], record["total"]))
