"""Continual learning in numbers: `b[i][j]` is the score on task j after task i (arXiv 2307.02435, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

Matrix = Sequence[Sequence[float]]
"""Row i: scores on all tasks after the i-th segment of training."""


def mean_score(matrix: Matrix) -> float:
    """Mean over tasks of the scores after the last segment.

    >>> round(mean_score([[80, 0, 0], [50, 90, 0], [60, 70, 40]]), 3)
    56.667
    """
    return fmean(matrix[-1])


def forgetting(matrix: Matrix) -> float | None:
    """Mean over all tasks but the last of (best score before the last segment) - (score after it); negative where
    scores rose; None before there are two rows.

    Args:
        matrix: one row a segment, so far; the last row is taken as the end.

    >>> forgetting([[80, 0, 0], [50, 90, 0], [60, 70, 40]]), forgetting([[80, 0]])
    (20.0, None)
    """
    if len(matrix) < 2:
        return None
    *before, last = matrix
    tasks = range(min(len(matrix), len(last)) - 1)
    return fmean(max(row[task] for row in before) - last[task] for task in tasks)


def key_drift(start: Sequence[Sequence[float]], present: Sequence[Sequence[float]]) -> float:
    """How far keys turned, mean of 1 - cosine: 0 for keys that kept their direction.

    Args:
        start: keys as they were.
        present: the same keys now.

    >>> round(key_drift([[1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [0.0, 1.0]]), 3)
    0.146
    """
    return fmean(1 - _cosine(a, b) for a, b in zip(start, present, strict=True))


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return float(product / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5)
