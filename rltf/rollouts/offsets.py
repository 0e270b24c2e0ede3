"""Characters of an answer as characters of the program that it holds."""

from __future__ import annotations

from collections.abc import Sequence

from rltf.types import Extraction, Span


def program_offsets(extraction: Extraction, offsets: Sequence[Span], text: str) -> tuple[Span, ...]:
    """Per token its characters in the program; tokens outside it have an empty range at its start or end.

    Args:
        extraction: position of the program in the answer.
        offsets: per token its characters in the answer.
        text: the answer.

    Example:
        >>> program_offsets(Extraction(1, 3, lead="def "), [(0, 2), (2, 3), (3, 4)], "`x`.")
        ((4, 5), (5, 6), (6, 6))
    """
    start, end = extraction.start, extraction.end
    shift = len(extraction.lead) - start
    if not shift and not start and end >= len(text):
        return tuple(offsets)
    return tuple((min(max(a, start), end) + shift, min(max(b, start), end) + shift) for a, b in offsets)
