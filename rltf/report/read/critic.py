"""Predictions of a critic for programs that it had not learned from yet, and what the programs turned out to be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rltf.types import Outcome

PROBABILITY_BINS = 10
"""Equal parts of the scale of probabilities."""
VALUE_BIN_WIDTH = 0.25

Bins = dict[int, tuple[int, float, float]]
"""Part of a scale -> programs, sum of predicted values, sum of actual values."""


@dataclass
class CriticStats:
    """Counts over programs, from which confusion matrix and calibration follow."""

    confusion: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(`Outcome.stage` of the program, stage that was predicted as most probable) -> programs."""
    passing: Bins = field(default_factory=dict)
    """By predicted probability of passing; the actual values are 1 for programs that passed, else 0."""
    values: Bins = field(default_factory=dict)
    """By predicted value; the actual values are returns. Both are means over a program's tokens."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Counts a line of `rollouts.jsonl`; greedy programs do not count, as they are not learned from.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        prediction = record.get("critic")
        if prediction is None or record.get("greedy"):
            return
        if classes := prediction.get("classes"):
            outcome, probability = Outcome(record["outcome"]), float(classes[-1])
            self.confusion[outcome.stage, classes.index(max(classes))] += 1
            tenth = min(int(probability * PROBABILITY_BINS), PROBABILITY_BINS - 1)
            _add_to_bin(self.passing, tenth, 1, probability, float(outcome is Outcome.PASSED))
        elif returns := prediction.get("returns"):
            value = math.fsum(prediction["tokens"]) / len(prediction["tokens"])
            _add_to_bin(self.values, math.floor(value / VALUE_BIN_WIDTH), 1, value, math.fsum(returns) / len(returns))

    def merge(self, stats: CriticStats) -> None:
        """Adds the counts of further programs."""
        self.confusion += stats.confusion
        for bins, further_bins in ((self.passing, stats.passing), (self.values, stats.values)):
            for part, totals in further_bins.items():
                _add_to_bin(bins, part, *totals)


def _add_to_bin(bins: Bins, part: int, programs: int, predicted: float, actual: float) -> None:
    count, predicted_sum, actual_sum = bins.get(part, (0, 0.0, 0.0))
    bins[part] = (count + programs, predicted_sum + predicted, actual_sum + actual)
