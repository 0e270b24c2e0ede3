"""Where a decoded response ends."""

from __future__ import annotations


def cut_at_stop(
    text: str, offsets: tuple[tuple[int, int], ...], stop: tuple[str, ...]
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Text up to the first stop string; tokens beyond it keep an empty range at its end."""
    stop_positions = [position for s in stop if (position := text.find(s)) >= 0]
    if not stop_positions:
        return text, offsets
    end = min(stop_positions)
    return text[:end], tuple((min(a, end), min(b, end)) for a, b in offsets)
