"""Bootstrap interval of a mean over problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 4000
"""Of every bootstrap: one number has one interval, wherever it is shown."""
RESAMPLES_AT_ONCE = 250
"""Resamples computed together: all 4,000 of 5,000 problems would take 160 MB."""


def bootstrap_interval(
    per_problem_values: Sequence[float] | NDArray[np.float64],
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of the mean: problems are drawn anew with replacement, `resamples` times. The order of the
    problems plays no part.

    Args:
        per_problem_values: e.g. pass@1 of each problem; at least one.
        level: coverage, between 0 and 1.
        resamples: bootstrap means.
        seed: fixes the draws.

    Example:
        >>> bootstrap_interval([0.5, 0.5, 0.5])
        (0.5, 0.5)
    """
    if not len(per_problem_values):
        raise ValueError("bootstrap interval of 0 problems, expected at least 1")
    if not 0 < level < 1:
        raise ValueError(f"level of the bootstrap interval is {level}, expected between 0 and 1")
    values = np.sort(np.asarray(per_problem_values, dtype=np.float64))
    blocks = resampled_indices(np.random.default_rng(seed), len(values), len(values), resamples)
    means = np.concatenate([values[indices].mean(axis=1) for indices in blocks])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_indices(
    generator: np.random.Generator, population: int, sample_size: int, resamples: int
) -> Iterator[NDArray[np.int64]]:
    """Bootstrap samples of `range(population)`: blocks of indices, one sample of `sample_size` a row."""
    for start in range(0, resamples, RESAMPLES_AT_ONCE):
        yield generator.integers(population, size=(min(RESAMPLES_AT_ONCE, resamples - start), sample_size))
