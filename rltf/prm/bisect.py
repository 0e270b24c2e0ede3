"""Binary search for the last line from which a program can still be completed, of many programs at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Ask = Callable[[Sequence[tuple[int, int]]], Sequence[bool]]
"""Gets (program, lines of its prefix) pairs; says of each whether some completion of it passes."""


def last_good(lines: Sequence[int], ask: Ask) -> list[tuple[int, int]]:
    """How many of the first lines of each program are good: a prefix is good when it can be completed, and what cannot
    be completed once, cannot later (assumed). The empty prefix counts as good.

    Args:
        lines: of each program, n.
        ask: called once a round with one prefix of each program that is still searched.

    Returns:
        For each program (good lines, prefixes asked about); the latter at most ceil(log2(n + 1)).

    Example:
        >>> last_good([4, 1], lambda prefixes: [lines <= 2 for _, lines in prefixes])
        [(2, 2), (1, 1)]
    """
    low, high, asked = [0] * len(lines), list(lines), [0] * len(lines)
    while searched := [i for i in range(len(lines)) if low[i] < high[i]]:
        middle = {i: (low[i] + high[i] + 1) // 2 for i in searched}
        for i, good in zip(searched, ask(list(middle.items())), strict=True):
            asked[i] += 1
            low[i], high[i] = (middle[i], high[i]) if good else (low[i], middle[i] - 1)
    return list(zip(low, asked, strict=True))
