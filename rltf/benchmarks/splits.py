"""Splits of problems by their ids alone, so that they stay the same whatever other problems there are."""

from __future__ import annotations

import hashlib


def hash_fraction(problem_id: str) -> float:
    """A number from 0 to 1 that depends on the id alone: problems below a share form a split of about that share."""
    return int.from_bytes(hashlib.sha256(problem_id.encode()).digest()[:8]) / 2**64
