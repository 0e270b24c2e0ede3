"""Intervals, against enumeration, published quantiles and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from coverage_simulation import coverage

from rltf.report.compare.statistics import (
    estimate_over_problems,
    estimate_over_seeds,
    paired_difference,
    student_quantile,
)


@pytest.mark.parametrize(
    ("freedom", "published"),
    [
        (1, 12.7062),
        (2, 4.3027),
        (3, 3.1824),
        (4, 2.7764),
        (5, 2.5706),
        (10, 2.2281),
        (30, 2.0423),
        (31, 2.0395),
        (40, 2.0211),
        (120, 1.9799),
    ],
)
def test_students_quantiles_are_those_of_the_tables(freedom, published):
    assert student_quantile(freedom) == pytest.approx(published, abs=5e-5)


def test_the_interval_over_seeds_is_students():
    estimate = estimate_over_seeds([0.42, 0.48, 0.45, 0.44, 0.51])  # mean 0.46, s = 0.0353553, t = 2.7764
    half = 2.7764 * 0.0353553 / math.sqrt(5)
    assert estimate.value == pytest.approx(0.46)
    assert estimate.interval == (pytest.approx(0.46 - half, abs=1e-5), pytest.approx(0.46 + half, abs=1e-5))


def test_one_seed_has_no_interval_and_two_that_differ_have_a_wide_one():
    assert estimate_over_seeds([0.4]).interval is None
    assert estimate_over_seeds([0.4, 0.5]).interval == (0.0, 1.0)  # 0.45 -+ 12.7 * 0.05, and shares end at 0 and 1
    assert estimate_over_seeds([0.4, 0.5], bounded=False).low == pytest.approx(0.45 - 12.7062 * 0.05, abs=1e-4)


def test_the_interval_over_problems_is_near_the_normal_one_for_many_problems():
    values = np.random.default_rng(0).random(400)
    estimate = estimate_over_problems(values)
    half = 1.96 * values.std() / 20
    assert estimate.interval == (
        pytest.approx(values.mean() - half, abs=0.15 * half),
        pytest.approx(values.mean() + half, abs=0.15 * half),
    )


def test_a_constant_shift_has_an_interval_of_no_width():
    first = np.random.default_rng(0).random((3, 50))
    estimate = paired_difference(first, first + 0.125, paired_seeds=True)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.125, 0.125, 0.125))


def test_pairing_by_seed_takes_out_what_seeds_have_in_common():
    generator = np.random.default_rng(1)
    first = generator.random((5, 80)) / 10 + generator.normal(0.5, 0.2, (5, 1))
    second = first + 0.05 + generator.normal(0, 0.01, (5, 80))
    together = paired_difference(first, second, paired_seeds=True)
    apart = paired_difference(first, second, paired_seeds=False)
    assert together.high - together.low < 0.1 * (apart.high - apart.low)


def test_the_error_is_that_of_the_enumerated_draws_with_satterthwaites_freedom():
    # of 3 seeds 2 are drawn, of 3 problems 2: 81 draws in all
    second = np.array([[0.10, 0.20, 0.15], [0.12, 0.22, 0.20], [0.11, 0.21, 0.10]])
    pairs = list(itertools.product(range(3), repeat=2))
    draws = [second[np.ix_(seeds, problems)].mean() for seeds in pairs for problems in pairs]
    of_seeds = np.var(second.mean(axis=1)) / 2
    of_problems = np.var(second.mean(axis=0)) / 2
    freedom = int((of_seeds + of_problems) ** 2 / (of_seeds**2 / 2 + of_problems**2 / 2))
    half = {2: 4.3027, 3: 3.1824, 4: 2.7764}[freedom] * np.std(draws)
    estimate = paired_difference(np.zeros((3, 3)), second, paired_seeds=True, resamples=200_000)
    assert estimate.value == pytest.approx(second.mean())
    assert estimate.high - estimate.value == pytest.approx(half, rel=0.01)
    assert estimate.value - estimate.low == pytest.approx(half, rel=0.01)


def test_without_a_spread_over_problems_the_interval_is_students_over_seeds():
    second = np.repeat(np.array([[0.1], [0.3], [0.2], [0.6]]), 30, axis=1)
    estimate = paired_difference(np.zeros((4, 30)), second, paired_seeds=True, resamples=100_000)
    alone = estimate_over_seeds([0.1, 0.3, 0.2, 0.6], bounded=False)
    assert estimate.interval == (pytest.approx(alone.low, abs=2e-3), pytest.approx(alone.high, abs=2e-3))


def test_seeds_that_agree_leave_the_freedom_to_the_problems():
    second = np.repeat(np.random.default_rng(5).random((1, 200)) / 2, 2, axis=0)
    estimate = paired_difference(np.zeros((2, 200)), second, paired_seeds=True, resamples=20_000)
    half = 1.972 * second[0].std(ddof=1) / math.sqrt(200)  # Student's t of 199
    assert estimate.high - estimate.value == pytest.approx(half, rel=0.03)


def test_one_seed_a_row_gives_a_difference_without_an_interval():
    estimate = paired_difference(np.zeros((1, 3)), np.ones((1, 3)), paired_seeds=True)
    assert (estimate.value, estimate.interval) == (1.0, None)


@pytest.mark.parametrize("spread", [0.0, 0.03, 0.08], ids=lambda s: f"seeds differ by {s}")
def test_of_five_seeds_the_interval_holds_the_truth_nineteen_times_of_twenty(spread):
    assert coverage(5, spread, times=150) >= 0.91  # 0.95 less two standard errors of the simulation
