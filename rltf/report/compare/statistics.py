"""Numbers with their uncertainty: pass@k, intervals over seeds, paired differences over problems and seeds.

The held-out problems are the same for every seed, so the values of a row form a table of seeds by problems (a crossed
design). `paired_difference` draws both anew, which is the bootstrap of Owen 2007, "The pigeonhole bootstrap"; it errs
on the wide side. It draws n - 1 of n, which makes the variance of a mean of n unbiased (Rao and Wu 1988). The interval
is Student's around the difference, with the bootstrap's standard error and as many degrees of freedom as Satterthwaite
1946 gives the sum of the two variances: about as many as seeds where these matter most, else up to the problems."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Of every interval in a report."""

BLOCK = 250
"""Resamples computed together."""

Values = NDArray[np.float64]
"""Seeds by problems."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; `low` and `high` are None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """(low, high), or None."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def pass_at_k(draws: int, passed: int, k: int) -> float:
    """Probability that one of k programs passes, estimated without bias (arXiv 2107.03374, equation 1).

    Example:
        >>> pass_at_k(draws=5, passed=2, k=2)
        0.7
    """
    return 1.0 - math.comb(draws - passed, k) / math.comb(draws, k)


def over_seeds(values: Sequence[float], bounded: bool = True) -> Estimate:
    """Mean of one value a seed with Student's interval; one seed has none. `bounded` values lie between 0 and 1.

    Example:
        >>> estimate = over_seeds([0.4, 0.5, 0.6])  # 0.5 -+ 4.303 * 0.1 / sqrt(3)
        >>> round(estimate.low, 3), round(estimate.high, 3)
        (0.252, 0.748)
    """
    mean = fmean(values)
    if len(values) < 2:
        return Estimate(mean)
    half = student_quantile(0.5 + LEVEL / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    low, high = mean - half, mean + half
    return Estimate(mean, max(0.0, low), min(1.0, high)) if bounded else Estimate(mean, low, high)


def over_problems(values: Values, resamples: int = 4000, seed: int = 0) -> Estimate:
    """Mean over the problems of one seed; the interval is the bootstrap over problems.

    Args:
        values: one number a problem.
        resamples: bootstrap means.
        seed: fixes the draws.
    """
    generator = np.random.default_rng(seed)
    means = [values[drawn].mean(axis=1) for drawn in _draws(generator, len(values), len(values), resamples)]
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(values.mean()), float(low), float(high))


def paired_difference(
    first: Values, second: Values, paired_seeds: bool, resamples: int = 4000, seed: int = 0
) -> Estimate:
    """Mean of `second` minus mean of `first`, over the same problems.

    Args:
        first: seeds by problems.
        second: seeds by the same problems.
        paired_seeds: both have the same seeds in the same order, which are then drawn together.
        resamples: bootstrap differences.
        seed: fixes the draws.

    Returns:
        The difference of two shares; its interval is None when either has one seed only.
    """
    assert first.shape[1] == second.shape[1]
    difference = float(second.mean() - first.mean())
    seeds = min(len(first), len(second))
    if seeds < 2:
        return Estimate(difference)
    generator = np.random.default_rng(seed)
    problems = first.shape[1]
    differences, over_seeds_alone = [], []
    for drawn in _draws(generator, problems, max(problems - 1, 1), resamples):
        weights_first = _weights(generator, len(first), len(drawn))
        weights_second = weights_first if paired_seeds else _weights(generator, len(second), len(drawn))
        by_problem = weights_second @ second - weights_first @ first
        differences.append(np.take_along_axis(by_problem, drawn, axis=1).mean(axis=1))
        over_seeds_alone.append(by_problem.mean(axis=1))
    error = float(np.concatenate(differences).std())
    of_seeds = float(np.concatenate(over_seeds_alone).var())
    of_problems = float((second.mean(axis=0) - first.mean(axis=0)).var()) / max(problems - 1, 1)
    freedom = _satterthwaite((of_seeds, seeds - 1), (of_problems, max(problems - 1, 1)))
    half = student_quantile(0.5 + LEVEL / 2, freedom) * error
    return Estimate(difference, max(-1.0, difference - half), min(1.0, difference + half))


def _satterthwaite(*variances: tuple[float, int]) -> int:
    """Whole degrees of freedom of a sum of (variance, its degrees of freedom), rounded down."""
    total = math.fsum(variance for variance, _ in variances)
    parts = math.fsum(variance**2 / freedom for variance, freedom in variances)
    return max(1, int(total**2 / parts + 1e-9)) if parts else min(freedom for _, freedom in variances)


def student_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t for a whole number of degrees of freedom and a probability above a half.

    Example:
        >>> round(student_quantile(0.975, 4), 3)
        2.776
    """
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if _student_cdf(middle, freedom) > probability else (middle, high)
    return (low + high) / 2


def _student_cdf(t: float, freedom: int) -> float:
    """For t >= 0: the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    square, term, total = math.cos(angle) ** 2, 1.0, 1.0
    if freedom % 2 == 0:
        for j in range(1, freedom // 2):
            term *= square * (2 * j - 1) / (2 * j)
            total += term
        return 0.5 + math.sin(angle) * total / 2
    if freedom == 1:
        return 0.5 + angle / math.pi
    for j in range(1, (freedom - 1) // 2):
        term *= square * 2 * j / (2 * j + 1)
        total += term
    return 0.5 + (angle + math.sin(angle) * math.cos(angle) * total) / math.pi


def _draws(generator: np.random.Generator, size: int, drawn: int, resamples: int) -> Iterator[NDArray[np.int64]]:
    """Indices below `size`, one row a resample, block by block: at once, 5,000 problems would take 160 MB."""
    for start in range(0, resamples, BLOCK):
        yield generator.integers(size, size=(min(BLOCK, resamples - start), drawn))


def _weights(generator: np.random.Generator, size: int, resamples: int) -> Values:
    """Weights of `size` seeds in each of the draws of `size - 1` of them; rows sum to 1."""
    return generator.multinomial(size - 1, np.full(size, 1 / size), size=resamples) / (size - 1)
