"""Limits of processes, below those that the host sets (`ulimit -H`)."""

from __future__ import annotations

import resource


def at_most(which: int, value: int) -> int:
    """A limit as the host allows it.

    Args:
        which: E.g. `resource.RLIMIT_CPU`.
        value: What we would like.
    """
    hard = resource.getrlimit(which)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
