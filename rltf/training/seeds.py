"""Seeds derived from the run's seed. A change of either function changes the numbers of every run."""

from __future__ import annotations

import hashlib


def iteration_seed(seed: int, iteration: int, resampling: int = 0) -> int:
    """A 63-bit seed for the programs of one iteration; stable over processes and versions.

    It is a hash because programs of equal (seed, problem, draw) are equal: no two rounds of sampling, of this run or of
    runs with other seeds, may share it.

    Args:
        seed: of the run.
        iteration: 0-based.
        resampling: how often the iteration has sampled before (dynamic sampling).

    Example:
        >>> iteration_seed(1, 0) != iteration_seed(1, 1)
        True
    """
    text = f"{seed}/{iteration}{f'/{resampling}' if resampling else ''}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def minibatch_seed(seed: int, iteration: int) -> int:
    """The seed of the generator that draws an iteration's rollouts from the buffer.

    It is a plain number because that generator serves nothing else: one seed per iteration is enough.

    Args:
        seed: of the run.
        iteration: 1-based.
    """
    return seed * 1_000_003 + iteration
