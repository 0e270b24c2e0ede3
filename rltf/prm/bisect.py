"""Binary search for the last line from which a program can still be completed, in many programs at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

CanComplete = Callable[[Sequence[tuple[int, int]]], Sequence[bool]]
"""Maps prefixes, as pairs (index of the program, lines of the prefix), to whether some completion of each passes."""


def count_good_lines(line_counts: Sequence[int], can_complete: CanComplete) -> list[tuple[int, int]]:
    """How many of the first lines of each program are good. A prefix is good when it can be completed; no prefix is
    assumed to be good that is longer than a bad one. The empty prefix is good.

    Args:
        line_counts: lines of each program, n.
        can_complete: called once per round, with one prefix of each program that is still searched.

    Returns:
        For each program (good lines, prefixes tested); the latter at most ceil(log2(n + 1)).

    Example:
        >>> count_good_lines([4, 1], lambda prefixes: [lines <= 2 for _, lines in prefixes])
        [(2, 2), (1, 1)]
    """
    low, high, tested_prefixes = [0] * len(line_counts), list(line_counts), [0] * len(line_counts)
    while searched := [i for i in range(len(line_counts)) if low[i] < high[i]]:
        middle = {i: (low[i] + high[i] + 1) // 2 for i in searched}
        for i, good in zip(searched, can_complete(list(middle.items())), strict=True):
            tested_prefixes[i] += 1
            low[i], high[i] = (middle[i], high[i]) if good else (low[i], middle[i] - 1)
    return list(zip(low, tested_prefixes, strict=True))
