"""What differences between the programs of a problem are divided by, for advantages and for credits that compare
programs (`rltf.credit.comparison`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import pstdev, stdev

SPREADS: dict[str, Callable[[Sequence[float]], float]] = {
    "none": lambda values: 1.0,
    "std": lambda values: pstdev(values) if values else 0.0,
    "sample_std": lambda values: stdev(values) if len(values) > 1 else 0.0,
    "batch": lambda values: 1.0,  # of the harvest, once its groups are centred (`harvest_spread`)
}
"""`algorithm.advantages.normalize` -> function of the values of a group's sampled programs."""


def group_spread(values: Sequence[float], normalize: str) -> float:
    """What differences within a group are divided by; 1 where all values are equal, and with `none` and `batch`.

    Args:
        values: of the group's sampled programs.
        normalize: one of `SPREADS`.

    Example:
        >>> group_spread([1.0, 0.0], "std"), group_spread([0.5, 0.5], "std")
        (0.5, 1.0)
    """
    return SPREADS[normalize](values) or 1.0


def harvest_spread(differences: Sequence[float]) -> float:
    """Population spread of the differences of all groups of a harvest; 1 where all are equal, or there are none."""
    return SPREADS["std"](differences) or 1.0
