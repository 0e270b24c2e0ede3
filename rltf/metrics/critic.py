"""Accuracy and calibration of a critic on programs that it has not learned from yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, pvariance

from rltf.types import CriticPrediction, Outcome

BINS = 10
"""Equal parts of the scale of probabilities."""


def critic_metrics(predictions: Sequence[tuple[CriticPrediction | None, Outcome]]) -> dict[str, float]:
    """Metric name -> value, of the sampled programs of an iteration; empty without a critic.

    Args:
        predictions: what the critic said of each program, and the program's outcome.
    """
    readings = [(reading, outcome) for reading, outcome in predictions if reading is not None]
    if not readings:
        return {}
    return _value_metrics([r for r, _ in readings]) if not readings[0][0].classes else _outcome_metrics(readings)


def _outcome_metrics(readings: Sequence[tuple[CriticPrediction, Outcome]]) -> dict[str, float]:
    truth = [outcome.stage for _, outcome in readings]
    classes = [reading.classes for reading, _ in readings]
    tokens = [q for reading, _ in readings for q in reading.tokens]
    return {
        "accuracy": fmean(max(range(len(p)), key=p.__getitem__) == k for p, k in zip(classes, truth, strict=True)),
        "true_probability": fmean(p[k] for p, k in zip(classes, truth, strict=True)),
        "token_probability": fmean(tokens) if tokens else 0.0,
        "calibration_error": calibration_error(
            (p[-1], outcome is Outcome.PASSED) for p, (_, outcome) in zip(classes, readings, strict=True)
        ),
    }


def _value_metrics(readings: Sequence[CriticPrediction]) -> dict[str, float]:
    values = [v for reading in readings for v in reading.tokens]
    returns = [r for reading in readings for r in reading.returns]
    if not values or len(returns) != len(values):
        return {}
    errors = [r - v for r, v in zip(returns, values, strict=True)]
    spread = pvariance(returns)
    metrics = {
        "value_mean": fmean(values),
        "return_mean": fmean(returns),
        "value_error": fmean(e * e for e in errors) ** 0.5,
    }
    return metrics | ({"explained_variance": 1 - pvariance(errors) / spread} if spread > 0 else {})


def calibration_error(predictions: Iterable[tuple[float, bool]]) -> float:
    """Expected calibration error: mean over programs of |probability of passing - share that passed|, both of the
    program's tenth of the scale.

    Args:
        predictions: predicted probability of passing, and whether the program passed.

    Example:
        >>> calibration_error([(0.25, True), (0.25, False), (0.95, True)])
        0.18333333333333335
    """
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for probability, passed in predictions:
        bins[min(int(probability * BINS), BINS - 1)].append((probability, passed))
    total = sum(map(len, bins.values()))
    gaps = (abs(sum(p for p, _ in pairs) - sum(passed for _, passed in pairs)) for pairs in bins.values())
    return sum(gaps) / total if total else 0.0
