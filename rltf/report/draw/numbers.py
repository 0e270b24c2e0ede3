"""Numbers as short text, and long curves as short ones."""

from __future__ import annotations

import math
from collections.abc import Sequence


def thin_out(points: Sequence[tuple[float, float]], at_most: int = 120) -> list[tuple[float, float]]:
    """At most `at_most` points, each the mean of equally many neighbours; all points when there are no more.

    >>> thin_out([(0, 1.0), (1, 3.0), (2, 5.0), (3, 7.0)], at_most=2)
    [(0.5, 2.0), (2.5, 6.0)]
    """
    size = math.ceil(len(points) / at_most)
    if size <= 1:
        return list(points)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(math.fsum(x for x, _ in g) / len(g), math.fsum(y for _, y in g) / len(g)) for g in groups]


def running_mean(points: Sequence[tuple[float, float]], window: int) -> list[tuple[float, float]]:
    """Each point with the mean of the `window` (odd) points around it, of those that are there towards the ends.

    >>> running_mean([(0, 1.0), (1, 4.0), (2, 1.0), (3, 4.0)], window=3)
    [(0, 2.5), (1, 2.0), (2, 3.0), (3, 2.5)]
    """
    reach, means = window // 2, []
    for i, (x, _) in enumerate(points):
        neighbours = [y for _, y in points[max(0, i - reach) : i + reach + 1]]
        means.append((x, math.fsum(neighbours) / len(neighbours)))
    return means


def short(value: float) -> str:
    """A number with three significant digits, or whole with commas between thousands.

    >>> short(0.12345), short(12345.6), short(3)
    ('0.123', '12,346', '3')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(share: float) -> str:
    """A share as per cent, one digit behind the point.

    >>> percent(0.4567)
    '45.7 %'
    """
    return f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of two shares in percentage points.

    >>> points(-0.0125)
    '−1.2 points'
    """
    return f"{'−' if difference < 0 else '+'}{100 * abs(difference):.1f} points"


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds.

    >>> duration(8.25), duration(183), duration(7260)
    ('8.2 s', '3 min 3 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {remainder} s"
    return f"{minutes // 60} h {minutes % 60} min"
