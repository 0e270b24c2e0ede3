"""`job=prm`: trains the process reward model on the labels that `job=prm_data` wrote."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rltf.benchmarks.splits import hash_fraction
from rltf.policies.base import Policy
from rltf.prm.model import ProcessRewardModel
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.runs.files import CRITIC_FILE, POLICY_FOLDER
from rltf.runs.rollouts_file import read_records
from rltf.types import CriticPrediction, FinishReason, Outcome, Program, Rollout, Sampling, Verdict
from rltf.validation import require

log = logging.getLogger(__name__)


class PrmTraining:
    """Trains a model whose body starts as the policy, and exports it.

    Args:
        data: folder of a run of `job=prm_data`, or several, of policies at several points of an RL run.
        hidden: width of the head's ReLU layer; 0: the head is linear.
        lr: learning rate of AdamW.
        weight_decay: weight decay of AdamW.
        epochs: passes over the data.
        batch_size: programs per optimiser step.
        held_out: share of problems that the model is measured on and does not learn; which ones depends on their ids
            alone.

    Raises:
        OptionError: a number is out of range.
        ValueError: there is no data.
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
        require("hidden", hidden, at_least=0, whole=True)
        require("lr", lr, above=0)
        require("weight_decay", weight_decay, at_least=0)
        require("epochs", epochs, at_least=1, whole=True)
        require("batch_size", batch_size, at_least=1, whole=True)
        require("held_out", held_out, above=0, below=1)
        self._records = list(read_records(data, "prm_data.jsonl", "job.data", "the folder of a run of job=prm_data"))
        self._held_out, self._epochs = held_out, epochs
        self._critic_options: dict[str, Any] = {
            "hidden": hidden, "lr": lr, "weight_decay": weight_decay, "passes": 1, "batch_size": batch_size
        }  # fmt: skip

    def __call__(self, pipeline: RolloutPipeline, sampling: Sampling, seed: int, folder: Path) -> dict[str, Any]:
        """Trains the model; writes `policy/` (the body, as any policy) and `critic.pt` (body and head, for the option
        `critic.weights`).

        Returns:
            `programs`: number of training programs; and `label_errors` of the held-out ones.

        Raises:
            ValueError: the data has too few programs, or was made with another tokenizer.
        """
        policy = pipeline.policy
        _check_tokenizer(policy, self._records)
        training: list[Rollout] = []
        held_out: list[Rollout] = []
        for record in self._records:
            part = held_out if hash_fraction(record["problem_id"]) < self._held_out else training
            part.append(_labelled_rollout(record))
        if not training or not held_out:
            raise ValueError(
                f"job.data has {len(training)} programs to learn from and {len(held_out)} that are held out: expected "
                "some of both, so more data, or another job.held_out"
            )
        critic = ProcessRewardModel(policy, **self._critic_options)
        critic.start(policy.model.device)
        for epoch in range(self._epochs):
            log.info("epoch %d: loss %.4f", epoch + 1, critic.learn(training)["loss"])
        body = critic.network.body
        assert body is not None
        body.export(folder / POLICY_FOLDER)
        critic.save(folder / CRITIC_FILE)
        return {"programs": len(training), **label_errors(critic.add_predictions(held_out), _labels(training))}


def label_errors(rollouts: Sequence[Rollout], training_labels: Sequence[float]) -> dict[str, float]:
    """How far the model's outputs are from the labels.

    Args:
        rollouts: with outputs and labels in their critic reading.
        training_labels: their mean is the best constant output.

    Returns:
        `lines`: number of labels; `mean_squared_error`; `constant_error`, that of the best constant; `sign_share` of
        lines whose output has the label's sign.
    """
    pairs = [
        (output, label)
        for rollout in rollouts
        if rollout.critic is not None
        for output, label in zip(rollout.critic.tokens, rollout.critic.returns, strict=True)
        if not math.isnan(label)
    ]
    constant = fmean(training_labels)
    return {
        "lines": len(pairs),
        "mean_squared_error": round(fmean((output - label) ** 2 for output, label in pairs), 6),
        "constant_error": round(fmean((constant - label) ** 2 for _, label in pairs), 6),
        "sign_share": round(fmean((output > 0) == (label > 0) for output, label in pairs), 6),
    }


def _labels(rollouts: Sequence[Rollout]) -> list[float]:
    return [v for r in rollouts if r.critic is not None for v in r.critic.returns if not math.isnan(v)]


def _check_tokenizer(policy: Policy, records: Sequence[dict[str, Any]]) -> None:
    for record in records[:20]:
        if policy.decode(tuple(record["token_ids"]))[0] != record["answer"]:
            raise ValueError("job.data was made with another tokenizer than the model's: use the model of job=prm_data")


def _labelled_rollout(record: dict[str, Any]) -> Rollout:
    """A rollout with the labels of its lines as `returns` of the tokens that end them, NaN elsewhere."""
    tokens = tuple(record["token_ids"])
    labels = [math.nan] * len(tokens)
    for end, label in zip(record["ends"], record["labels"], strict=True):
        labels[end - 1] = label
    logprobs = (0.0,) * len(tokens)
    program = Program(
        record["problem_id"], record["answer"], tuple(record["prompt_ids"]), tokens, (), logprobs, FinishReason.EOS
    )
    reading = CriticPrediction((), returns=tuple(labels))
    return Rollout(program, Verdict(Outcome(record["outcome"]), 0, 0), critic=reading)
