"""`stage=prm`: trains the process reward model on what `stage=prm_data` labelled."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rltf.benchmarks.splits import hash_fraction
from rltf.policies.base import Policy
from rltf.prm.model import LineCritic
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.runs.rollouts_file import read_records
from rltf.types import CriticReading, FinishReason, Outcome, Program, Rollout, Sampling, Verdict

log = logging.getLogger(__name__)


class PrmTraining:
    """Fits a model, whose body begins as the policy, and exports it.

    Args:
        data: folders of `stage=prm_data`, of several policies if they are to match those of an RL run.
        hidden: width of the head's ReLU layer; 0: the head is linear.
        lr, weight_decay: of AdamW.
        epochs: passes over the data.
        batch_size: programs an optimiser step.
        held_out: share of problems that are measured and not learned; which ones depends on their ids alone.

    Raises:
        ValueError: there is no data, or a number is out of range.
    """

    def __init__(
        self,
        data: str | Sequence[str],
        hidden: int = 0,
        lr: float = 1e-5,
        weight_decay: float = 0.0,
        epochs: int = 1,
        batch_size: int = 16,
        held_out: float = 0.1,
    ) -> None:
        if not 0 < held_out < 1:
            raise ValueError(f"stage.job.held_out is {held_out}: expected a share between 0 and 1")
        if epochs < 1:
            raise ValueError(f"stage.job.epochs is {epochs}: expected a whole number of at least 1")
        expected = "the folder of a run of stage=prm_data"
        self._records = list(read_records(data, "prm_data.jsonl", "stage.job.data", expected))
        self._held_out, self._epochs = held_out, epochs
        self._settings: dict[str, Any] = {
            "hidden": hidden, "lr": lr, "weight_decay": weight_decay, "passes": 1, "batch_size": batch_size
        }  # fmt: skip

    def __call__(self, pipeline: RolloutPipeline, sampling: Sampling, seed: int, folder: Path) -> dict[str, Any]:
        """Writes `policy/` (the body, as any policy) and `critic.pt` (body and head: what `critic.weights` reads).

        Returns:
            Of the programs held out: `mean_squared_error`, that of the best constant as `constant_error`, `sign_share`
            of lines with the right sign; and `programs` learned from.
        """
        policy = pipeline.policy
        _check(policy, self._records)
        held_out = self._held_out
        learned = [_rollout(r) for r in self._records if hash_fraction(r["problem_id"]) >= held_out]
        kept = [_rollout(r) for r in self._records if hash_fraction(r["problem_id"]) < held_out]
        if not learned or not kept:
            raise ValueError(
                f"stage.job.data has {len(learned)} programs to learn from and {len(kept)} that are held out: expected "
                "some of both, so more data, or another stage.job.held_out"
            )
        critic = LineCritic(policy, **self._settings)
        critic.start(policy.model.device)
        for epoch in range(self._epochs):
            found = critic.learn(learned)
            log.info("epoch %d: loss %.4f", epoch + 1, found["loss"])
        body = critic.network.body
        assert body is not None
        body.export(folder / "policy")
        critic.save(folder / "critic.pt")
        return {"programs": len(learned), **errors_of(critic.read(kept), _labels(learned))}


def errors_of(read: Sequence[Rollout], learned: Sequence[float]) -> dict[str, float]:
    """How far what was said is from the labels, over all lines.

    Args:
        read: with readings.
        learned: labels learned from: their mean is the best constant.
    """
    pairs = [
        (said, label)
        for rollout in read
        if rollout.critic is not None
        for said, label in zip(rollout.critic.tokens, rollout.critic.returns, strict=True)
        if not math.isnan(label)
    ]
    constant = fmean(learned)
    return {
        "lines": len(pairs),
        "mean_squared_error": round(fmean((said - label) ** 2 for said, label in pairs), 6),
        "constant_error": round(fmean((constant - label) ** 2 for _, label in pairs), 6),
        "sign_share": round(fmean((said > 0) == (label > 0) for said, label in pairs), 6),
    }


def _labels(rollouts: Sequence[Rollout]) -> list[float]:
    return [v for r in rollouts if r.critic is not None for v in r.critic.returns if not math.isnan(v)]


def _check(policy: Policy, records: Sequence[dict[str, Any]]) -> None:
    for record in records[:20]:
        if policy.decode(tuple(record["token_ids"]))[0] != record["answer"]:
            raise ValueError(
                "stage.job.data was made with another tokenizer than the model's: use the model of stage=prm_data"
            )


def _rollout(record: dict[str, Any]) -> Rollout:
    tokens = tuple(record["token_ids"])
    labels = [math.nan] * len(tokens)
    for end, label in zip(record["ends"], record["labels"], strict=True):
        labels[end - 1] = label
    zeros = (0.0,) * len(tokens)
    program = Program(
        record["problem_id"], record["answer"], tuple(record["prompt_ids"]), tokens, (), zeros, FinishReason.EOS
    )
    reading = CriticReading((), returns=tuple(labels))
    return Rollout(program, Verdict(Outcome(record["outcome"]), 0, 0), critic=reading)
