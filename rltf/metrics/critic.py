"""How right a critic was of programs that it had not learned from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, pvariance

from rltf.types import CriticReading, Outcome

BINS = 10


def critic_metrics(said: Sequence[tuple[CriticReading | None, Outcome]]) -> dict[str, float]:
    """Flat metrics of what was said of a harvest's sampled programs, and how these ended; empty without any."""
    readings = [(reading, outcome) for reading, outcome in said if reading is not None]
    if not readings:
        return {}
    return _of_values([r for r, _ in readings]) if not readings[0][0].classes else _of_outcomes(readings)


def _of_outcomes(readings: Sequence[tuple[CriticReading, Outcome]]) -> dict[str, float]:
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


def _of_values(readings: Sequence[CriticReading]) -> dict[str, float]:
    values = [v for reading in readings for v in reading.tokens]
    returns = [r for reading in readings for r in reading.returns]
    if not values or len(returns) != len(values):
        return {}
    errors = [r - v for r, v in zip(returns, values, strict=True)]
    spread = pvariance(returns)
    found = {
        "value_mean": fmean(values),
        "return_mean": fmean(returns),
        "value_error": fmean(e * e for e in errors) ** 0.5,
    }
    return found | ({"explained_variance": 1 - pvariance(errors) / spread} if spread > 0 else {})


def calibration_error(said: Iterable[tuple[float, bool]]) -> float:
    """Expected calibration error: mean over programs of |probability of passing - share that passed|, both of the
    program's tenth of the scale.

    Example:
        >>> calibration_error([(0.25, True), (0.25, False), (0.95, True)])
        0.18333333333333335
    """
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for probability, passed in said:
        bins[min(int(probability * BINS), BINS - 1)].append((probability, passed))
    total = sum(map(len, bins.values()))
    return sum(abs(sum(p for p, _ in one) - sum(x for _, x in one)) for one in bins.values()) / total if total else 0.0
