"""From tokens to the lines that they wrote: the other way round than `rltf.rewards.spans`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from rltf.rewards.spans import line_spans
from rltf.types import Span


def lines_of_tokens(text: str, offsets: Sequence[Span]) -> list[range]:
    """For each token the lines (1-based) that its characters lie on; a line's end is part of it, and a token without
    characters lies on none.

    >>> [list(lines) for lines in lines_of_tokens("a\\nbc\\n", [(0, 3), (3, 4), (4, 5), (5, 5)])]
    [[1, 2], [2], [2], []]
    """
    starts = [start for start, _ in line_spans(text)]
    return [
        range(bisect_right(starts, start), bisect_right(starts, end - 1) + 1) if start < end else range(0)
        for start, end in offsets
    ]
