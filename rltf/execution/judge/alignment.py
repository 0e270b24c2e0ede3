"""Two sequences aligned by the fewest edits (Levenshtein 1966), from their beginning as far as somebody asks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

WINDOW = 96
"""Items of both sequences that are aligned at once, so that the cost does not grow with the square of their lengths."""


class Alignment:
    """The partners of the items of a sequence in a reference.

    Args:
        items: whose partners are asked for.
        reference: the sequence that the partners are in.
    """

    def __init__(self, items: Sequence[Hashable], reference: Sequence[Hashable]) -> None:
        self._items, self._reference = items, reference
        self._partners: list[int | None] = []
        self._next = 0
        """Position in the reference behind everything that is a partner or was passed by."""

    def partner(self, at: int) -> int | None:
        """Position of an item's partner, equal to it or in its place; None: it has none."""
        while len(self._partners) <= at:
            self._advance()
        return self._partners[at]

    def is_behind_the_end(self, at: int) -> bool:
        """Whether the reference had ended before an item."""
        self.partner(at)
        return self._next >= len(self._reference) and self._partners[at:].count(None) == len(self._partners) - at

    def _advance(self) -> None:
        start, begin = len(self._partners), self._next
        if begin < len(self._reference) and self._items[start] == self._reference[begin]:
            self._partners.append(begin)
            self._next += 1
            return
        item_window = self._items[start : start + WINDOW]
        reference_window = self._reference[begin : begin + WINDOW]
        is_last = start + WINDOW >= len(self._items)
        partners = partners_of(item_window, reference_window, is_last)
        for partner in partners if is_last else partners[: WINDOW // 2]:
            self._partners.append(None if partner is None else begin + partner)
            self._next = self._next if partner is None else begin + partner + 1


def partners_of(items: Sequence[Hashable], reference: Sequence[Hashable], is_whole: bool) -> list[int | None]:
    """For each item the position of its partner in the reference, equal or not, by the fewest edits.

    Args:
        items: one sequence.
        reference: another one; what is left of it at the end costs nothing.
        is_whole: False: what is left of the items at the end costs nothing either, as both go on.

    >>> partners_of("abxc", "abyc?", True), partners_of("sts", "xsts", True)
    ([0, 1, 2, 3], [1, 2, 3])
    """
    rows = [list(range(len(reference) + 1))]
    for item in items:
        above = rows[-1]
        cost = above[0] + 1
        row = [cost]
        for j, reference_item in enumerate(reference):
            cost = min(above[j] + (item != reference_item), above[j + 1] + 1, cost + 1)
            row.append(cost)
        rows.append(row)
    ends = [(cost, len(items), j) for j, cost in enumerate(rows[-1])]
    if not is_whole:
        ends += [(row[-1], i, len(reference)) for i, row in enumerate(rows)]
    _, i, j = min(ends, key=lambda end: (end[0], end[2] if is_whole else -end[1] - end[2]))
    partners: list[int | None] = [None] * len(items)
    while i and j:
        if rows[i][j] == rows[i - 1][j - 1] + (items[i - 1] != reference[j - 1]):
            i, j = i - 1, j - 1
            partners[i] = j
        elif rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return partners
