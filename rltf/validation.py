"""The one sentence a user reads when a reward is given a number that makes no sense."""

from __future__ import annotations

import math
from collections.abc import Mapping


def require_finite(term: str, numbers: Mapping[str, float]) -> None:
    """Refuses anything but finite numbers.

    Args:
        term: key under `reward.terms`.
        numbers: constructor keyword -> value.

    Raises:
        ValueError: names the config key, what was found and what was expected.
    """
    for keyword, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"reward.terms.{term}.{keyword} is {value!r}: expected a finite number")


def require_positive(key: str, value: float | None) -> None:
    """Raises ValueError unless `value` is None or a number above 0."""
    if value is not None and not value > 0:
        raise ValueError(f"{key} is {value}, expected null or a number above 0")


def require_not_negative(key: str, value: float) -> None:
    """Raises ValueError unless `value` is a number of at least 0."""
    if not value >= 0:
        raise ValueError(f"{key} is {value}, expected a number of at least 0")
