"""Which prompts are held in which slot, and for how long: from a prompt's first row to the end of its last one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rltf.generation.engine.prefill import Prefill
from rltf.generation.rows import Row
from rltf.policies.decoding import Prompts


class PromptSlots:
    """Keeps the books of `Prompts`.

    Args:
        cache: holds the prompts.
        prefill: runs them.
        rows: all rows that will be drawn.
    """

    def __init__(self, cache: Prompts, prefill: Prefill, rows: Iterable[Row]) -> None:
        self._cache, self._prefill = cache, prefill
        self._rows_left = Counter(row.index for row in rows)
        self._slots: list[int] = []
        """The request whose prompt is in each slot."""
        self._leads: dict[int, tuple[int, int]] = {}

    def admit(self, row: Row) -> int | None:
        """The slot of the row's prompt, which is run and put there if need be; None while there is no place."""
        if row.index in self._leads:
            return self._slots.index(row.index)
        if self._cache.alive == self._cache.slots:
            return None
        states, place = self._prefill.take(row.index)
        self._leads[row.index] = (int(states.start_P[place]), int(states.position_P[place]))
        self._slots.append(row.index)
        return self._cache.put(states, place)

    def lead(self, row: Row) -> tuple[int, int]:
        """The token that rows of this prompt are fed first, and its position."""
        return self._leads[row.index]

    def leave(self, index: int) -> None:
        """A row of request `index` has ended."""
        self._rows_left[index] -= 1

    def drop(self, slot_of_seat: NDArray[np.int64]) -> None:
        """Forgets prompts that no row needs any more, and renumbers the slots that others have moved from."""
        for index in [index for index in self._slots if not self._rows_left[index]]:
            slot = self._slots.index(index)
            last = self._cache.drop(slot)
            slot_of_seat[slot_of_seat == last] = slot
            self._slots[slot] = self._slots[last]
            self._slots.pop()
            del self._leads[index]
