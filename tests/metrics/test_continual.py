"""Scores of continual learning, by hand."""

import pytest

from rltf.metrics.continual import forgetting, key_drift, mean_score


def test_three_tasks():
    matrix = [[80, 0, 0], [50, 90, 0], [60, 70, 40]]
    assert mean_score(matrix) == pytest.approx(56.6667, abs=1e-4)
    assert forgetting(matrix) == 20  # (80 - 60 + 90 - 70) / 2


def test_two_tasks():
    assert mean_score([[80, 0], [50, 90]]) == 70
    assert forgetting([[80, 0], [50, 90]]) == 30


def test_nothing_forgotten_and_something_gained():
    assert forgetting([[80, 10], [80, 90]]) == 0
    assert forgetting([[80, 10], [85, 90]]) == -5


def test_rows_so_far_are_as_if_training_ended_with_the_last():
    assert forgetting([[80, 0, 0]]) is None
    assert forgetting([[80, 0, 0], [50, 90, 0]]) == 30


def test_keys_that_keep_their_direction_do_not_drift():
    assert key_drift([[1.0, 2.0]], [[2.0, 4.0]]) == pytest.approx(0)
    assert key_drift([[1.0, 0.0]], [[0.0, 3.0]]) == 1
    assert key_drift([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]]) == 1  # mean of 0 and 2
