"""Bounds of an executor's options and of a job's limits: larger numbers fit no clock, poll or rlimit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LAYERS = ("limits", "user", "files", "pids", "network", "seccomp", "landlock", "memory")
"""Isolation layers that may be required."""

LARGEST = {
    "workers": 4096,
    "node_workers": 4096,
    "timeout": 86_400,  # seconds: a day
    "memory_mb": 1 << 20,  # a TiB
    "output_kb": 1 << 20,  # a GiB
    "tasks": 32_768,
    "scratch_mb": 1 << 20,
    "max_timeouts": 1_000_000,
}


def require_limit(key: str, value: Any, name: str = "") -> None:
    """Checks a limit: a number above 0 and at most `LARGEST[key]`; a whole one, but for `timeout`.

    Args:
        key: One of `LARGEST`.
        value: What was given.
        name: What the user calls it, such as `executor.timeout`; the key itself when empty.

    Raises:
        ValueError: It makes no sense.

    >>> require_limit("timeout", 1e10)
    Traceback (most recent call last):
    ValueError: timeout is 10000000000.0: expected a number greater than 0 and at most 86400
    """
    kinds, kind = ((int, float), "number") if key == "timeout" else ((int,), "whole number")
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value <= LARGEST[key]:
        raise ValueError(f"{name or key} is {value!r}: expected a {kind} greater than 0 and at most {LARGEST[key]}")


def check_options(numbers: Mapping[str, Any], require: Sequence[str]) -> None:
    """Raises a ValueError that names the first option which makes no sense."""
    for key, value in numbers.items():
        require_limit(key, value, f"executor.{key}")
    for layer in require:
        if layer not in LAYERS:
            raise ValueError(f"executor.require names {layer!r}: expected some of {', '.join(LAYERS)}")
