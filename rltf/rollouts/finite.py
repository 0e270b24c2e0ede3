"""Numbers of single tokens that are not finite, such as a critic's that diverged: refused before they are trained on,
where they would cost every step that they are part of."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rltf.rewards.faults import program_name
from rltf.types import Rollout


def check_finite(key: str, verb: str, rollouts: Sequence[Rollout], numbers: Sequence[Sequence[float]]) -> None:
    """Refuses numbers of tokens that are not finite.

    Args:
        key: the config's node that they come from.
        verb: what it does with a token, in the present tense.
        rollouts: of an iteration.
        numbers: of each rollout's tokens; may be empty.

    Raises:
        ValueError: the first such number, with its program.
    """
    for rollout, row in zip(rollouts, numbers, strict=True):
        for token, number in enumerate(row):
            if not math.isfinite(number):
                raise ValueError(
                    f"{key} {verb} token {token} of {program_name(rollout.program)} by {number}: expected a finite "
                    "number; resume= goes on from the last checkpoint"
                )
