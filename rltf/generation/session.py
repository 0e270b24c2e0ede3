"""One call of the engine: rows take seats, step together, and leave; a prompt stays as long as it has rows."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch

from rltf.generation.modes import decoding
from rltf.generation.plan import Plan
from rltf.generation.prefill import Prefill
from rltf.generation.residents import Residents
from rltf.generation.rows import Row, finish, sample_of
from rltf.generation.seats import Arrival, Seats
from rltf.policies.base import Policy
from rltf.policies.decoding import Decoder, make_cache
from rltf.types import Sample, Sampling

_STOP_EVERY = 4
"""Steps between two looks for stop strings: a look decodes the whole response."""
_ENDED_SHARE = 32
"""Seats change hands once one in so many rows has ended: a change costs about as much as a few rows' step."""


class Session:
    """Draws rows until none is left.

    Args:
        policy: decodes responses, where requests have stop strings.
        decoder: of the policy's model.
        rows: in the order in which they are begun.
        sampling: how tokens are drawn.
        plan: what is held at most.
        prefill: runs the rows' prompts.
    """

    def __init__(
        self, policy: Policy, decoder: Decoder, rows: list[Row], sampling: Sampling, plan: Plan, prefill: Prefill
    ) -> None:
        self._policy, self._decoder = policy, decoder
        self._plan, self._limit = plan, sampling.max_new_tokens
        self._waiting = deque(rows)
        self._rows: list[Row | None] = []
        """The row in each seat in use; None for one that has ended."""
        self._prompt_of = np.zeros(plan.seats, dtype=np.int64)
        self._start = np.zeros(plan.seats, dtype=np.int64)
        self._greedy: torch.Tensor | None = None
        self._with_stops: list[int] = []
        with decoding(decoder.device):
            self._cache = make_cache(decoder, plan.seats, plan.columns, plan.prompts, plan.prompt_length)
            self._seats = Seats(plan.seats, plan.columns, sampling, policy.eos_id, decoder.device, decoder.kernels)
        self._residents = Residents(self._cache.prompts, prefill, rows)
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
        rows = self._cache.rows
        clock = rows.clock
        self._cache.tick()
        token_A, position_A = self._seats.feed(rows.active, clock)
        logits_AV = self._decoder.step(token_A, position_A, self._cache)
        ended_A = self._seats.draw(logits_AV, self._greedy, clock)
        self.steps += 1
        self.row_steps += rows.active
        seats = ended_A.nonzero()[:, 0].tolist()
        if self._with_stops and self.steps % _STOP_EVERY == 0:
            seats = sorted({*seats, *self._with_stops})
        samples = [sample for seat in seats if (sample := self._leave_if_done(seat, clock)) is not None]
        rows.clock += 1
        if rows.full:
            self._make_room(1)
        return samples

    def _leave_if_done(self, seat: int, clock: int) -> Sample | None:
        row = self._rows[seat]
        if row is None:
            return None
        token_ids, logprobs = self._seats.drawn(seat, clock)
        end = finish(self._policy, row, token_ids, self._limit) if token_ids else None
        if end is None:
            return None
        self._rows[seat] = None
        self._seats.vacate(seat, clock)
        self._cache.rows.vacate(seat)
        self._residents.leave(row.index)
        return sample_of(row, token_ids, logprobs, *end)

    def _make_room(self, columns: int) -> None:
        rows = self._cache.rows
        live = [self._start[seat] for seat, row in enumerate(self._rows) if row is not None]
        shift = rows.reserve(int(min(live, default=rows.clock)), columns)
        if shift:
            self._start -= shift
            self._seats.shift(shift)

    def _change_seats(self) -> None:
        """Ended rows give their seats to waiting ones, and then to the last ones."""
        self._residents.drop(self._prompt_of)
        self._fill()
        self._close_up()
        active = len(self._rows)
        self._cache.rows.active = active
        self._make_room(1)
        if active:
            self._cache.prompts.arrange(self._prompt_of[:active])
        greedy = [seat for seat, row in enumerate(self._rows) if row is not None and row.greedy]
        self._greedy = torch.tensor(greedy, device=self._decoder.device) if greedy else None
        self._with_stops = [seat for seat, row in enumerate(self._rows) if row is not None and row.request.stop]

    def _fill(self) -> None:
        free = [seat for seat, row in enumerate(self._rows) if row is None]
        free += range(len(self._rows), self._plan.seats)
        seats: list[int] = []
        arrivals: list[Arrival] = []
        for seat in free:
            slot = self._residents.admit(self._waiting[0]) if self._waiting else None
            if slot is None:
                break
            row = self._waiting.popleft()
            given = () if self._decoder.prefix_in_prompt else row.request.prefix_ids
            seats.append(seat)
            arrivals.append(Arrival(row, given, *self._residents.lead(row)))
            self._rows[seat : seat + 1] = [row]
            self._prompt_of[seat], self._start[seat] = slot, self._cache.rows.clock
        if not arrivals:
            return
        self._make_room(1 + max(len(arrival.given) for arrival in arrivals))
        rows = self._cache.rows
        rows.begin(torch.tensor(seats, device=self._decoder.device))
        self._seats.begin(seats, arrivals, rows.clock)

    def _close_up(self) -> None:
        for seat in [seat for seat, row in enumerate(self._rows) if row is None]:
            while self._rows and self._rows[-1] is None:
                self._rows.pop()
            if seat >= len(self._rows):
                break
            last = len(self._rows) - 1
            self._cache.rows.move(last, seat)
            self._seats.move(last, seat)
            self._rows[seat] = self._rows.pop()
            self._prompt_of[seat], self._start[seat] = self._prompt_of[last], self._start[last]
