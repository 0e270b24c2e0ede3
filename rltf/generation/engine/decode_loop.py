"""The decode loop of one call of the engine: rows are admitted, step together, and are released when they end; a prompt
stays in the cache as long as it has rows."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch

from rltf.generation.engine.decode_state import DecodeState
from rltf.generation.engine.memory_plan import MemoryPlan
from rltf.generation.engine.prefill import Prefill
from rltf.generation.engine.prompt_slots import PromptSlots
from rltf.generation.engine.row_states import RowAdmission
from rltf.generation.modes import decode_mode
from rltf.generation.rows import Row, response_end, sample_of
from rltf.policies.base import Policy
from rltf.types import Sample, Sampling

_STOP_CHECK_STEPS = 4
"""Steps between two searches for stop strings: a search decodes the whole response."""
_REPLACE_DIVISOR = 32
"""Ended rows are replaced once they are one in so many: that costs about as much as a few rows' step."""


class DecodeLoop:
    """Draws rows until none is left.

    Args:
        policy: decodes responses, where requests have stop strings.
        state: the memory they are decoded in.
        rows: in the order in which they are begun.
        sampling: how tokens are drawn.
        plan: what is held at most.
        prefill: runs the rows' prompts.
    """

    def __init__(
        self,
        policy: Policy,
        state: DecodeState,
        rows: list[Row],
        sampling: Sampling,
        plan: MemoryPlan,
        prefill: Prefill,
    ) -> None:
        self._policy, self._state, self._decoder = policy, state, state.decoder
        self._cache, self._row_states = state.cache, state.row_states
        self._plan, self._limit = plan, sampling.max_new_tokens
        self._waiting = deque(rows)
        self._rows: list[Row | None] = []
        """The row at each index in use; None for one that has ended."""
        self._slot_of_row = np.zeros(plan.rows, dtype=np.int64)
        self._first_step = np.zeros(plan.rows, dtype=np.int64)
        """The step at which each row was fed its first token."""
        self._prefix_length = np.zeros(plan.rows, dtype=np.int64)
        self._step_index = self._earliest_first_step = self._next_limit = self._last_stop_check = 0
        self._rows_with_stops: list[int] = []
        prefixes = any(row.request.prefix_ids for row in rows)
        self._row_states.has_prefixes = prefixes and not self._decoder.prefix_in_prompt
        self._cache.prompts.clear()
        self._prompt_slots = PromptSlots(self._cache.prompts, prefill, rows)
        self.steps = 0
        """Decode steps so far."""
        self.row_steps = 0
        """Rows decoded, summed over steps: what sampling has cost."""

    def advance(self) -> list[Sample]:
        """Decodes until a row ends; the samples of those that did, none when all rows have been drawn."""
        with decode_mode(self._decoder.device):
            while True:
                if self._rows.count(None) * _REPLACE_DIVISOR >= len(self._rows):
                    self._replace_ended()
                if not self._rows:
                    return []
                samples = self._step()
                if samples:
                    return samples

    def _step(self) -> list[Sample]:
        columns = min(self._step_index - self._earliest_first_step + 1, self._plan.columns)
        shape = self._cache.shape(len(self._rows), columns)
        self._state.step(shape, (self._row_states.has_prefixes, self._row_states.has_greedy))
        self._step_index += 1
        self.steps += 1
        self.row_steps += shape.rows
        if self._step_index % self._state.host_sync_interval and self._step_index < self._next_limit:
            return []
        return self._collect_finished()

    def _collect_finished(self) -> list[Sample]:
        """The samples of rows that are known to have ended, the first to end first."""
        candidates = {*self._row_states.ended_rows(len(self._rows))}
        if self._step_index >= self._next_limit:
            candidates.update(np.flatnonzero(self._limits <= self._step_index).tolist())
            open_limits = self._limits[self._limits > self._step_index]
            self._next_limit = int(open_limits.min(initial=np.iinfo(np.int64).max))
        if self._rows_with_stops and self._step_index - self._last_stop_check >= _STOP_CHECK_STEPS:
            self._last_stop_check = self._step_index
            candidates.update(self._rows_with_stops)
        endings = [self._release_if_finished(row_index) for row_index in sorted(candidates)]
        in_order = sorted((ending for ending in endings if ending is not None), key=lambda ending: ending[0])
        return [sample for _, sample in in_order]

    @property
    def _limits(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The step by which each row must have ended."""
        count = len(self._rows)
        return self._first_step[:count] + self._prefix_length[:count] + self._limit

    def _release_if_finished(self, row_index: int) -> tuple[int, Sample] | None:
        """The step at which the row ended, and its sample; None while it goes on."""
        row = self._rows[row_index]
        if row is None:
            return None
        first_step, prefix_length = int(self._first_step[row_index]), int(self._prefix_length[row_index])
        token_ids, logprobs = self._row_states.response(row_index, prefix_length, self._step_index - first_step)
        end = response_end(self._policy, row, token_ids, self._limit) if token_ids else None
        if end is None:
            return None
        self._rows[row_index] = None
        self._row_states.release_row(row_index)
        self._cache.release_row(row_index)
        self._prompt_slots.count_finished(row)
        return first_step + prefix_length + end[0], sample_of(row, token_ids, logprobs, *end)

    def _replace_ended(self) -> None:
        """Moves waiting rows, and then the last ones, to the indices of ended rows."""
        self._prompt_slots.free_finished(self._slot_of_row)
        self._admit_waiting()
        self._compact()
        count = len(self._rows)
        self._row_states.reset_from(count)
        if not count:
            return
        self._cache.prompts.assign_rows(self._slot_of_row[:count])
        rows = [row for row in self._rows if row is not None]
        self._earliest_first_step = int(self._first_step[:count].min())
        self._next_limit = int(self._limits.min())
        self._row_states.has_greedy = any(row.greedy for row in rows)
        self._rows_with_stops = [row_index for row_index, row in enumerate(rows) if row.request.stop]

    def _admit_waiting(self) -> None:
        free_indices = [row_index for row_index, row in enumerate(self._rows) if row is None]
        free_indices += range(len(self._rows), self._plan.rows)
        row_indices: list[int] = []
        admissions: list[RowAdmission] = []
        for row_index in free_indices:
            slot = self._prompt_slots.slot_for(self._waiting[0]) if self._waiting else None
            if slot is None:
                break
            row = self._waiting.popleft()
            prefix = () if self._decoder.prefix_in_prompt else row.request.prefix_ids
            row_indices.append(row_index)
            admissions.append(RowAdmission(row, prefix, *self._prompt_slots.first_input(row)))
            self._rows[row_index : row_index + 1] = [row]
            self._slot_of_row[row_index], self._first_step[row_index] = slot, self._step_index
            self._prefix_length[row_index] = len(prefix)
        if admissions:
            self._cache.admit_rows(torch.tensor(row_indices, device=self._decoder.device))
            self._row_states.admit_rows(row_indices, admissions)

    def _compact(self) -> None:
        for row_index in [row_index for row_index, row in enumerate(self._rows) if row is None]:
            while self._rows and self._rows[-1] is None:
                self._rows.pop()
            if row_index >= len(self._rows):
                break
            last = len(self._rows) - 1
            self._cache.move_row(last, row_index, self._step_index - int(self._first_step[last]))
            self._row_states.move_row(last, row_index)
            self._rows[row_index] = self._rows.pop()
            for per_row in (self._slot_of_row, self._first_step, self._prefix_length):
                per_row[row_index] = per_row[last]
