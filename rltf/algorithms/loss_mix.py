"""Several objectives as one loss over a stated count.

    L = sum_k weight_k * (sum of totals of term k) / (count of term k)

Both sums run over everything one optimiser step sees: all micro-batches of its accumulation window, on all ranks. A
mean of micro-batch means would weigh the tokens of short micro-batches more, so 1x8 and 4x2 would train differently.

The rule that makes it exact: the trainer divides each micro-batch's loss by the window length A, and DDP averages
gradients over the ranks R. So micro-batch m returns weight * total_m / divisor, with

    divisor = (count over the window, averaged over ranks) / A,

because then (1/R) sum_ranks (1/A) sum_m total_m / divisor = (sum of totals) / (sum of counts). Counts need masks alone,
so they are known for all micro-batches of a window before its first forward pass:

    divisors = window_divisors(mean_over_ranks([mix.counts(batches) for batches in micro_batches]), accumulate)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rltf.algorithms.objective import BatchLogprobs, Loss, Need, Objective
from rltf.types import RolloutBatch
from rltf.validation import OptionError


@dataclass(frozen=True)
class WeightedObjective:
    """An objective and its weight in the mix."""

    objective: Objective
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise OptionError("weight", self.weight, "a number above 0 (null as a term drops it)")


@dataclass(frozen=True)
class MixedLoss:
    """Contribution of one micro-batch to an optimiser step."""

    total: Tensor
    """Scalar to call `backward` on."""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Detached: `loss/total`, `loss/<term>` (mean over this micro-batch), `<term>/<metric of the objective>`."""


class LossMix:
    """The supervised term on demonstrations plus the RL term on judged programs.

    Args:
        supervised: term on demonstrations; None: no such term.
        rl: term on rollouts; None: no such term, and no programs are sampled.

    Example:
        >>> from rltf.algorithms.supervised import Supervised
        >>> LossMix(supervised=WeightedObjective(Supervised())).needs_rollouts
        False
    """

    def __init__(self, supervised: WeightedObjective | None = None, rl: WeightedObjective | None = None) -> None:
        terms = {"supervised": supervised, "rl": rl}
        self.terms: dict[str, WeightedObjective] = {name: term for name, term in terms.items() if term is not None}
        if not self.terms:
            raise ValueError("algorithm.mix has neither a supervised nor an rl term, expected at least one")

    @property
    def needs_demonstrations(self) -> bool:
        """True when there is a supervised term."""
        return "supervised" in self.terms

    @property
    def needs_rollouts(self) -> bool:
        """True when there is an RL term."""
        return "rl" in self.terms

    @property
    def sampled_terms(self) -> tuple[str, ...]:
        """Names of the terms whose log-probs are those of the distribution that programs were drawn from: the RL term,
        but for an objective whose `own_distribution` is True. All others are the policy's own."""
        rl = self.terms.get("rl")
        return () if rl is None or getattr(rl.objective, "own_distribution", False) else ("rl",)

    @property
    def reads_zero_weights(self) -> bool:
        """False where programs whose tokens all weigh 0 have no loss, whatever the policy. An objective that does not
        say so reads them."""
        rl = self.terms.get("rl")
        return rl is not None and getattr(rl.objective, "reads_zero_weights", True)

    @property
    def needs(self) -> frozenset[Need]:
        """What one of the terms or several need beside log-probs."""
        return frozenset[Need]().union(*(term.objective.needs for term in self.terms.values()))

    def counts(self, batches: Mapping[str, RolloutBatch]) -> dict[str, float]:
        """Count of each term in one micro-batch; 0 for a term without a batch."""
        return {
            name: float(term.objective.count(batches[name])) if name in batches else 0.0
            for name, term in self.terms.items()
        }

    def __call__(
        self,
        logprobs: Mapping[str, BatchLogprobs],
        divisors: Mapping[str, float] | None = None,
        others: Mapping[str, tuple[Loss, float]] | None = None,
    ) -> MixedLoss:
        """Loss of one micro-batch.

        Args:
            logprobs: term name -> batch with log-probs; a term may be absent.
            divisors: term name -> divisor, from `window_divisors`; None: the micro-batch is the whole window.
            others: losses that are no functions of log-probs, and their weights, by names that are no term's.
        """
        losses = {name: self.terms[name].objective(scored) for name, scored in logprobs.items()}
        weights = {name: self.terms[name].weight for name in losses}
        for name, (loss, weight) in (others or {}).items():
            losses[name], weights[name] = loss, weight
        total = combine_losses(losses, weights, divisors)
        metrics = {"loss/total": total.detach()}
        for name, loss in losses.items():
            metrics[f"loss/{name}"] = loss.total.detach() / loss.count.clamp(min=1)
            metrics.update({f"{name}/{key}": value for key, value in loss.metrics.items()})
        return MixedLoss(total, metrics)


def combine_losses(
    losses: Mapping[str, Loss], weights: Mapping[str, float], divisors: Mapping[str, float] | None = None
) -> Tensor:
    """sum_k weight_k * total_k / divisor_k. Without divisors each term is divided by its own count. A term whose whole
    window is empty has divisor 0 and contributes 0."""
    assert losses, "a micro-batch has a batch of at least one term"
    parts = []
    for name, loss in losses.items():
        if divisors is None:
            parts.append(loss.total * weights[name] / loss.count.clamp(min=1))
        else:
            parts.append(loss.total * (weights[name] / divisors[name] if divisors[name] else 0.0))
    return torch.stack(parts).sum()


def window_divisors(counts: Sequence[Mapping[str, float]], accumulate: int) -> list[dict[str, float]]:
    """Divisors of successive micro-batches, `accumulate` of which make one optimiser step.

    Args:
        counts: `LossMix.counts` of each micro-batch; under DDP averaged over the ranks.
        accumulate: micro-batches an optimiser step; must divide their number, since a window that the end of an epoch
            cuts short is still divided by its full length.

    Example:
        >>> window_divisors([{"rl": 3.0}, {"rl": 5.0}, {"rl": 1.0}, {"rl": 1.0}], accumulate=2)
        [{'rl': 4.0}, {'rl': 4.0}, {'rl': 1.0}, {'rl': 1.0}]
    """
    if accumulate < 1 or len(counts) % accumulate:
        raise ValueError(
            f"trainer.accumulate_grad_batches is {accumulate}, expected a positive divisor of the "
            f"{len(counts)} micro-batches an iteration"
        )
    divisors: list[dict[str, float]] = []
    for start in range(0, len(counts), accumulate):
        window = counts[start : start + accumulate]
        divisor = {name: sum(c[name] for c in window) / accumulate for name in window[0]}
        divisors += [divisor] * accumulate
    return divisors
