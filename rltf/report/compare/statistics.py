"""Intervals over seeds, and paired differences over problems and seeds.

The held-out problems are the same for every seed, so the values of a row form a table of seeds by problems (a crossed
design). `paired_difference` draws both anew, which is the bootstrap of Owen 2007, "The pigeonhole bootstrap"; it errs
on the wide side. It draws n - 1 of n, which makes the variance of a mean of n unbiased (Rao and Wu 1988). The interval
is Student's around the difference, with the bootstrap's standard error and as many degrees of freedom as Satterthwaite
1946 gives the sum of the two variances: about as many as seeds where these matter most, else up to the problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from rltf.metrics.intervals import RESAMPLES, bootstrap_interval, resampled_indices

LEVEL = 0.95
"""Coverage of every interval in a report."""

Values = NDArray[np.float64]
"""Seeds by problems."""

NORMAL_QUANTILE = 1.959963984540054
STUDENT_QUANTILES = (
    12.7062047362, 4.3026527297, 3.1824463053, 2.7764451052, 2.5705818356, 2.4469118511, 2.3646242516, 2.3060041352,
    2.2621571628, 2.2281388520, 2.2009851601, 2.1788128297, 2.1603686565, 2.1447866879, 2.1314495456, 2.1199052992,
    2.1098155778, 2.1009220402, 2.0930240544, 2.0859634473, 2.0796138447, 2.0738730679, 2.0686576104, 2.0638985616,
    2.0595385528, 2.0555294386, 2.0518305165, 2.0484071418, 2.0452296421, 2.0422724563,
)  # fmt: skip
"""Two-sided at `LEVEL`: the 97.5 % quantiles of the normal distribution, and of Student's t with 1 to 30 degrees of
freedom."""


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


def estimate_over_seeds(values: Sequence[float], bounded: bool = True) -> Estimate:
    """Mean of one value per seed with Student's interval; one seed has none. `bounded` values lie between 0 and 1.

    Example:
        >>> estimate = estimate_over_seeds([0.4, 0.5, 0.6])  # 0.5 -+ 4.303 * 0.1 / sqrt(3)
        >>> round(estimate.low, 3), round(estimate.high, 3)
        (0.252, 0.748)
    """
    mean = fmean(values)
    if len(values) < 2:
        return Estimate(mean)
    half = student_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    low, high = mean - half, mean + half
    return Estimate(mean, max(0.0, low), min(1.0, high)) if bounded else Estimate(mean, low, high)


def estimate_over_problems(values: Values) -> Estimate:
    """Mean of one value per problem of one seed; the interval is the bootstrap over problems."""
    return Estimate(float(values.mean()), *bootstrap_interval(values, LEVEL))


def estimate_of_share(values: Sequence[float]) -> Estimate:
    """Mean of values between 0 and 1 with Wilson's interval, which holds for few of them and for shares of 0 and 1; for
    values other than 0 and 1 it errs on the wide side.

    Example:
        >>> estimate = estimate_of_share([1.0] * 3 + [0.0] * 7)
        >>> round(estimate.low, 4), round(estimate.high, 4)
        (0.1078, 0.6032)
    """
    n, share, z = len(values), fmean(values), NORMAL_QUANTILE
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Estimate(share, max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def paired_difference(
    first: Values, second: Values, paired_seeds: bool, resamples: int = RESAMPLES, seed: int = 0
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
    for indices in resampled_indices(generator, problems, max(problems - 1, 1), resamples):
        weights_first = _seed_weights(generator, len(first), len(indices))
        weights_second = weights_first if paired_seeds else _seed_weights(generator, len(second), len(indices))
        by_problem = weights_second @ second - weights_first @ first
        differences.append(np.take_along_axis(by_problem, indices, axis=1).mean(axis=1))
        over_seeds_alone.append(by_problem.mean(axis=1))
    error = float(np.concatenate(differences).std())
    seed_variance = float(np.concatenate(over_seeds_alone).var())
    problem_variance = float((second.mean(axis=0) - first.mean(axis=0)).var()) / max(problems - 1, 1)
    freedom = _satterthwaite((seed_variance, seeds - 1), (problem_variance, max(problems - 1, 1)))
    half = student_quantile(freedom) * error
    return Estimate(difference, max(-1.0, difference - half), min(1.0, difference + half))


def _satterthwaite(*variances: tuple[float, int]) -> int:
    """Whole degrees of freedom of a sum of (variance, its degrees of freedom), rounded down."""
    total = math.fsum(variance for variance, _ in variances)
    parts = math.fsum(variance**2 / freedom for variance, freedom in variances)
    return max(1, int(total**2 / parts + 1e-9)) if parts else min(freedom for _, freedom in variances)


def student_quantile(freedom: int) -> float:
    """97.5 % quantile of Student's t for a whole number of degrees of freedom, exact to 1e-6: from the table, beyond
    it by the expansion of Abramowitz and Stegun, 26.7.5.

    Example:
        >>> round(student_quantile(4), 3), round(student_quantile(120), 4)
        (2.776, 1.9799)
    """
    if freedom <= len(STUDENT_QUANTILES):
        return STUDENT_QUANTILES[freedom - 1]
    z = NORMAL_QUANTILE
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))


def _seed_weights(generator: np.random.Generator, seeds: int, resamples: int) -> Values:
    """Weights of the seeds in each of the draws of `seeds - 1` of them; rows sum to 1."""
    return generator.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=resamples) / (seeds - 1)
