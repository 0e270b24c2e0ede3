"""One call of the engine: rows take seats, step together, and leave; a prompt stays as long as it has rows."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch

from rltf.generation.engine.decode_state import DecodeState
from rltf.generation.engine.memory_plan import Plan
from rltf.generation.engine.prefill import Prefill
from rltf.generation.engine.prompt_slots import PromptSlots
from rltf.generation.engine.rows_state import RowAdmission
from rltf.generation.modes import decoding
from rltf.generation.rows import Row, finish, sample_of
from rltf.policies.base import Policy
from rltf.types import Sample, Sampling

_STOP_EVERY = 4
"""Steps between two looks for stop strings: a look decodes the whole response."""
_ENDED_SHARE = 32
"""Seats change hands once one in so many rows has ended: a change costs about as much as a few rows' step."""


class DecodeLoop:
    """Draws rows until none is left.

    Args:
        policy: decodes responses, where requests have stop strings.
        room: what decodes them.
        rows: in the order in which they are begun.
        sampling: how tokens are drawn.
        plan: what is held at most.
        prefill: runs the rows' prompts.
    """

    def __init__(
        self, policy: Policy, room: DecodeState, rows: list[Row], sampling: Sampling, plan: Plan, prefill: Prefill
    ) -> None:
        self._policy, self._room, self._decoder = policy, room, room.decoder
        self._cache, self._seats = room.cache, room.seats
        self._plan, self._limit = plan, sampling.max_new_tokens
        self._waiting = deque(rows)
        self._rows: list[Row | None] = []
        """The row in each seat in use; None for one that has ended."""
        self._prompt_of = np.zeros(plan.seats, dtype=np.int64)
        self._begun = np.zeros(plan.seats, dtype=np.int64)
        """The step at which each row was fed its first token."""
        self._given = np.zeros(plan.seats, dtype=np.int64)
        """Tokens it was made to begin with."""
        self._now = self._oldest = self._next_limit = self._stops_seen = 0
        self._with_stops: list[int] = []
        self._seats.given = not self._decoder.prefix_in_prompt and any(row.request.prefix_ids for row in rows)
        self._cache.prompts.clear()
        self._residents = PromptSlots(self._cache.prompts, prefill, rows)
        self.steps = 0
        """Decode steps so far."""
        self.row_steps = 0
        """Rows decoded, summed over steps: what sampling has cost."""

    def advance(self) -> list[Sample]:
        """Decodes until a row ends; the samples of those that did, none when all rows have been drawn."""
        with decoding(self._decoder.device):
            while True:
                if self._rows.count(None) * _ENDED_SHARE >= len(self._rows):
                    self._change_seats()
                if not self._rows:
                    return []
                ended = self._step()
                if ended:
                    return ended

    def _step(self) -> list[Sample]:
        shape = self._cache.shape(len(self._rows), min(self._now - self._oldest + 1, self._plan.columns))
        self._room.step(shape, (self._seats.given, self._seats.greedy))
        self._now += 1
        self.steps += 1
        self.row_steps += shape.rows
        if self._now % self._room.look_every and self._now < self._next_limit:
            return []
        return self._look()

    def _look(self) -> list[Sample]:
        """The samples of rows that are known to have ended, the first to end first."""
        seats = {*self._seats.ended(len(self._rows))}
        if self._now >= self._next_limit:
            seats.update(np.flatnonzero(self._limits <= self._now).tolist())
            later = self._limits[self._limits > self._now]
            self._next_limit = int(later.min(initial=np.iinfo(np.int64).max))
        if self._with_stops and self._now - self._stops_seen >= _STOP_EVERY:
            self._stops_seen = self._now
            seats.update(self._with_stops)
        left = [found for seat in sorted(seats) if (found := self._leave_if_done(seat)) is not None]
        return [sample for _, sample in sorted(left, key=lambda found: found[0])]

    @property
    def _limits(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The step by which each row must have ended."""
        count = len(self._rows)
        return self._begun[:count] + self._given[:count] + self._limit

    def _leave_if_done(self, seat: int) -> tuple[int, Sample] | None:
        """The step at which the row ended, and what it drew."""
        row = self._rows[seat]
        if row is None:
            return None
        begun, given = int(self._begun[seat]), int(self._given[seat])
        token_ids, logprobs = self._seats.drawn(seat, given, self._now - begun)
        end = finish(self._policy, row, token_ids, self._limit) if token_ids else None
        if end is None:
            return None
        self._rows[seat] = None
        self._seats.vacate(seat)
        self._cache.vacate(seat)
        self._residents.leave(row.index)
        return begun + given + end[0], sample_of(row, token_ids, logprobs, *end)

    def _change_seats(self) -> None:
        """Ended rows give their seats to waiting ones, and then to the last ones."""
        self._residents.drop(self._prompt_of)
        self._fill()
        self._close_up()
        active = len(self._rows)
        self._seats.clear(active)
        if not active:
            return
        self._cache.prompts.arrange(self._prompt_of[:active])
        live = [row for row in self._rows if row is not None]
        self._oldest = int(self._begun[:active].min())
        self._next_limit = int(self._limits.min())
        self._seats.greedy = any(row.greedy for row in live)
        self._with_stops = [seat for seat, row in enumerate(live) if row.request.stop]

    def _fill(self) -> None:
        free = [seat for seat, row in enumerate(self._rows) if row is None]
        free += range(len(self._rows), self._plan.seats)
        seats: list[int] = []
        arrivals: list[RowAdmission] = []
        for seat in free:
            slot = self._residents.admit(self._waiting[0]) if self._waiting else None
            if slot is None:
                break
            row = self._waiting.popleft()
            given = () if self._decoder.prefix_in_prompt else row.request.prefix_ids
            seats.append(seat)
            arrivals.append(RowAdmission(row, given, *self._residents.lead(row)))
            self._rows[seat : seat + 1] = [row]
            self._prompt_of[seat], self._begun[seat], self._given[seat] = slot, self._now, len(given)
        if arrivals:
            self._cache.begin(torch.tensor(seats, device=self._decoder.device))
            self._seats.begin(seats, arrivals)

    def _close_up(self) -> None:
        for seat in [seat for seat, row in enumerate(self._rows) if row is None]:
            while self._rows and self._rows[-1] is None:
                self._rows.pop()
            if seat >= len(self._rows):
                break
            last = len(self._rows) - 1
            self._cache.move(last, seat, self._now - int(self._begun[last]))
            self._seats.move(last, seat)
            self._rows[seat] = self._rows.pop()
            for of_seat in (self._prompt_of, self._begun, self._given):
                of_seat[seat] = of_seat[last]
