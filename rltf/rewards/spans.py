"""From the line of an error to the tokens that wrote it.

The tokens are those that were drawn, through the offsets that decoding them gave: nothing is encoded again, and text is
never searched, so a repeated line, tabs and non-ASCII need no care (the official code searches, and blames the
first line that reads the same).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rltf.types import Span

# What CPython ends a physical line at. `str.splitlines` also breaks at form feeds, U+0085, U+2028 and more, and would
# number the lines below such a character differently from the interpreter that reports the error.
_LINE_END = re.compile(r"\r\n|\r|\n")


def line_spans(text: str) -> list[Span]:
    """Characters of each physical line, as CPython counts them, without the line end.

    >>> line_spans("a = 1\\r\\n\\nb")
    [(0, 5), (7, 7), (8, 9)]
    """
    spans: list[Span] = []
    start = 0
    for line_end in _LINE_END.finditer(text):
        spans.append((start, line_end.start()))
        start = line_end.end()
    if start < len(text):
        spans.append((start, len(text)))
    return spans


def characters_of_lines(text: str, first: int, last: int) -> Span | None:
    """Characters of the lines `first..last` (1-based, inclusive), from the first one's indentation to the last one's
    last character; the line end too where there is nothing else. A line past the end is the last one: CPython may
    report a missing block one line past the program. None for an empty text or a line below 1.

    >>> characters_of_lines("a = 1\\nb = 2\\n", 2, 2)
    (6, 11)
    """
    lines = line_spans(text)
    if not lines or first < 1:
        return None
    first = min(first, len(lines))
    last = min(max(first, last), len(lines))
    start, end = lines[first - 1][0], lines[last - 1][1]
    if start == end:
        end = lines[last][0] if last < len(lines) else len(text)
    return start, end


def tokens_of_characters(offsets: Sequence[Span], characters: Span) -> Span | None:
    """Smallest half-open range of tokens that holds every token with a character in `characters`; None when none has
    (the characters were given, not drawn). A token that straddles the border counts.

    >>> tokens_of_characters([(0, 2), (2, 7), (7, 9)], (5, 7))
    (1, 2)
    """
    start, end = characters
    touched = [t for t, (a, b) in enumerate(offsets) if a < b and a < end and b > start]
    return (touched[0], touched[-1] + 1) if touched else None


def tokens_of_lines(text: str, offsets: Sequence[Span], first: int, last: int) -> Span | None:
    """Tokens that wrote the lines `first..last` of a program.

    Args:
        text: the program.
        offsets: per token its characters in `text` (`Program.offsets`).
        first: first line, 1-based.
        last: last line, inclusive.

    Returns:
        Half-open token range; None when no token was drawn for those lines.

    Example:
        >>> tokens_of_lines("a\\nb\\n", [(0, 1), (1, 2), (2, 3), (3, 4)], 2, 2)
        (2, 3)
    """
    characters = characters_of_lines(text, first, last)
    return None if characters is None else tokens_of_characters(offsets, characters)


def tokens_within_lines(text: str, offsets: Sequence[Span], lines: Sequence[int]) -> set[int]:
    """Tokens all of whose characters lie on the given lines (1-based); a line's end is part of it, and a token without
    characters lies nowhere.

    >>> sorted(tokens_within_lines("a\\nbc\\n", [(0, 3), (3, 4), (4, 5), (5, 5)], [2]))
    [1, 2]
    """
    starts = [start for start, _ in line_spans(text)]
    ends = [*starts[1:], len(text)]
    inside: set[int] = set()
    for line in lines:
        if 0 < line <= len(starts):
            inside.update(range(starts[line - 1], ends[line - 1]))
    return {t for t, (start, end) in enumerate(offsets) if start < end and inside.issuperset(range(start, end))}
