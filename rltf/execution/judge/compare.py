"""When printed text is right: as competitive judges read it."""

from __future__ import annotations

import re
from math import isfinite

TOLERANCE = 1e-6
"""Absolute below 1, relative above; only where the expected token is a float."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_BLANKS = re.compile(r"[ \t\n\r\f\v]+")
"""What stands between tokens: not all that Unicode calls white space."""
_ENDS = " \t\n\r\f\v"


def same_output(printed: str, expected: str, tolerance: float | None = None) -> bool:
    """Exact after white space at the end; else token by token. Order and number of tokens count.

    Args:
        printed: by the program.
        expected: by the test.
        tolerance: how far numbers may be off; None: integers not at all, others by `TOLERANCE`.

    >>> same_output("2.004 x", "2 x", 0.01), same_output("2.004", "2.1", 0.01)
    (True, False)
    >>> same_output("1 2\\n", "1 2"), same_output("0.33333333", "0.333333331"), same_output("2.0", "2")
    (True, True, False)
    """
    if printed.rstrip(_ENDS) == expected.rstrip(_ENDS):
        return True
    got, want = _BLANKS.split(printed.strip(_ENDS)), _BLANKS.split(expected.strip(_ENDS))
    return len(got) == len(want) and all(_same_token(a, b, tolerance) for a, b in zip(got, want, strict=True))


def _same_token(got: str, want: str, tolerance: float | None) -> bool:
    if got == want:
        return True
    if (tolerance is None and _INTEGER.fullmatch(want)) or not _NUMBER.fullmatch(want) or not _NUMBER.fullmatch(got):
        return False
    a, b = float(got), float(want)
    return isfinite(b) and abs(a - b) <= (TOLERANCE if tolerance is None else tolerance) * max(1.0, abs(b))
