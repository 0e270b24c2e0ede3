"""What is kept of each row besides keys and values: its tokens and log-probs, its random numbers, where it begins.

Columns are those of the row cache: the token drawn at column c is the one fed at column c + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rltf.generation.draw import pick, uniforms
from rltf.generation.rows import Row
from rltf.policies.decoding import Kernels
from rltf.types import Sampling

_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Arrival:
    """A row that takes a seat."""

    row: Row
    given: tuple[int, ...]
    """Tokens it is made to begin with."""
    start: int
    """The token it is fed first."""
    position: int
    """Where that token stands."""


class Seats:
    """Tensors of up to `seats` rows; the caller says how many are in use.

    Args:
        seats: rows at most.
        columns: of the row cache.
        sampling: how tokens are drawn.
        eos_id: the token that ends a response.
        device: of the model.
        kernels: compiled ones, for a float32 model on the CPU; None: torch's.
    """

    def __init__(
        self,
        seats: int,
        columns: int,
        sampling: Sampling,
        eos_id: int,
        device: torch.device,
        kernels: Kernels | None = None,
    ) -> None:
        self._sampling, self._eos_id, self._device, self._kernels = sampling, eos_id, device, kernels
        self._tokens = torch.zeros(seats, columns, dtype=torch.long, device=device)
        self._logprobs = torch.zeros(seats, columns, device=device)
        self._uniforms = torch.zeros(seats, sampling.max_new_tokens, device=device)
        self._last = torch.zeros(seats, dtype=torch.long, device=device)
        self._first_drawn = torch.zeros(seats, dtype=torch.long, device=device)
        """Column of the row's first drawn token."""
        self._final = torch.zeros(seats, dtype=torch.long, device=device)
        """Column of the last token that the limit allows."""
        self._next_final = _NEVER
        """No row in use reaches its limit before this column."""
        self._offset = torch.zeros(seats, dtype=torch.long, device=device)
        """Position less column."""
        self._forced_until = 0
        """No row in use has given tokens from this column on."""
        self._shifted = 0
        """Columns by which everything has moved to the left so far."""

    def begin(self, seats: Sequence[int], arrivals: Sequence[Arrival], clock: int) -> None:
        """Rows start at column `clock`."""
        at = torch.tensor(seats, device=self._device)
        limit = self._sampling.max_new_tokens
        lead = torch.tensor(
            [(arrival.start, clock + len(arrival.given), arrival.position - clock) for arrival in arrivals],
            device=self._device,
        )
        self._last[at], self._first_drawn[at], self._offset[at] = lead.unbind(1)
        self._final[at] = self._first_drawn[at] + limit - 1
        self._next_final = min(self._next_final, clock + min(len(each.given) for each in arrivals) + limit - 1)
        # Turned so that in any column all rows find their number at the same place.
        turned = (torch.arange(limit) - lead[:, 1:2].cpu() - self._shifted) % limit
        stream = uniforms([arrival.row.key for arrival in arrivals], limit).gather(1, turned)
        self._uniforms[at] = stream.to(self._device)
        for seat, arrival in zip(seats, arrivals, strict=True):
            if arrival.given:
                until = clock + len(arrival.given)
                self._tokens[seat, clock:until] = torch.tensor(arrival.given, device=self._device)
                self._forced_until = max(self._forced_until, until)

    def vacate(self, seat: int, clock: int) -> None:
        """The row has ended but may be stepped on for a while: it does not read beyond the tables of positions."""
        self._offset[seat] = -clock

    def move(self, source: int, target: int) -> None:
        """The row in seat `source` takes seat `target`."""
        for state in (self._tokens, self._logprobs, self._uniforms):
            state[target] = state[source]
        for mark in (self._last, self._first_drawn, self._final, self._offset):
            mark[target] = mark[source]

    def shift(self, columns: int) -> None:
        """The row cache moved everything to the left by so many columns."""
        for history in (self._tokens, self._logprobs):
            history[:, : history.shape[1] - columns] = history[:, columns:].clone()
        self._first_drawn -= columns
        self._final -= columns
        self._next_final -= columns
        self._shifted += columns
        self._offset += columns
        self._forced_until -= columns

    def feed(self, active: int, clock: int) -> tuple[Tensor, Tensor]:
        """The token that each row is fed at column `clock`, and its position: int64 (A,) both."""
        return self._last[:active], self._offset[:active] + clock

    def draw(self, logits_AV: Tensor, greedy: Tensor | None, clock: int) -> Tensor:
        """Draws a token for each row at column `clock`; True (A,) for rows that end with it."""
        active = logits_AV.shape[0]
        uniform_A = self._uniforms[:active, (clock + self._shifted) % self._sampling.max_new_tokens]
        token_A, logprob_A = pick(logits_AV, uniform_A, self._sampling, greedy, self._kernels)
        ended = token_A == self._eos_id
        if clock >= self._next_final:
            final = self._final[:active]
            ended |= final <= clock
            self._next_final = int(final.where(final > clock, _NEVER).amin())
        if clock < self._forced_until:
            given = self._first_drawn[:active] > clock
            token_A = torch.where(given, self._tokens[:active, clock], token_A)
            ended &= ~given
        self._last[:active] = token_A
        self._tokens[:active, clock] = token_A
        self._logprobs[:active, clock] = logprob_A
        return ended

    def drawn(self, seat: int, clock: int) -> tuple[list[int], list[float]]:
        """Tokens and log-probs that the row has drawn up to column `clock`, included."""
        span = slice(int(self._first_drawn[seat]), clock + 1)
        return self._tokens[seat, span].tolist(), self._logprobs[seat, span].tolist()
