"""Which slot of the cache holds which prompt: from the prompt's first row to the end of its last one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rltf.generation.engine.prefill import Prefill
from rltf.generation.rows import Row
from rltf.policies.decoding import PromptCache


class PromptSlots:
    """The slots of a `PromptCache`, with the number of rows that each prompt still has.

    Args:
        cache: holds the prompts.
        prefill: runs them.
        rows: all rows that will be drawn.
    """

    def __init__(self, cache: PromptCache, prefill: Prefill, rows: Iterable[Row]) -> None:
        self._cache, self._prefill = cache, prefill
        self._unfinished_rows = Counter(row.request_index for row in rows)
        self._request_in_slot: list[int] = []
        self._first_inputs: dict[int, tuple[int, int]] = {}

    def slot_for(self, row: Row) -> int | None:
        """The slot of the row's prompt, which is run and stored if need be; None while all slots are in use."""
        index = row.request_index
        if index in self._first_inputs:
            return self._request_in_slot.index(index)
        if self._cache.count == self._cache.capacity:
            return None
        states, place = self._prefill.pop(index)
        self._first_inputs[index] = (int(states.start_P[place]), int(states.position_P[place]))
        self._request_in_slot.append(index)
        return self._cache.add(states, place)

    def first_input(self, row: Row) -> tuple[int, int]:
        """The token that rows of this prompt are fed first, and its position."""
        return self._first_inputs[row.request_index]

    def count_finished(self, row: Row) -> None:
        """Counts a row that has ended."""
        self._unfinished_rows[row.request_index] -= 1

    def free_finished(self, slot_of_row: NDArray[np.int64]) -> None:
        """Frees the slots of prompts that have no rows left. `slot_of_row` is renumbered where a prompt moves."""
        for index in [index for index in self._request_in_slot if not self._unfinished_rows[index]]:
            slot = self._request_in_slot.index(index)
            last = self._cache.remove(slot)
            slot_of_row[slot_of_row == last] = slot
            self._request_in_slot[slot] = self._request_in_slot[last]
            self._request_in_slot.pop()
            del self._first_inputs[index]
