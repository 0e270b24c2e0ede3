"""What is kept of each row besides keys and values: its tokens and log-probs, its random numbers, where it stands.

A row's columns are its ages: the token drawn at age t is the one fed at age t + 1. All of it lies on the device, and a
step's part of it needs no look from the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rltf.generation.rows import Row
from rltf.generation.sampling import sample_tokens, uniforms
from rltf.policies.decoding import Kernels
from rltf.types import Sampling


@dataclass(frozen=True, slots=True)
class RowAdmission:
    """A row that takes a seat."""

    row: Row
    given: tuple[int, ...]
    """Tokens it is made to begin with."""
    start: int
    """The token it is fed first."""
    position: int
    """Where that token stands."""


class RowStates:
    """Tensors of up to as many rows as `age` has; the caller says how many are stepped.

    Args:
        age: int64, of the cache: tokens that each row was fed before the present one.
        columns: tokens of a row at most, given ones included.
        sampling: how tokens are drawn.
        eos_id: the token that ends a response.
        kernels: compiled ones, for a float32 model on the CPU; None: torch's.
        look: see `rltf.generation.sampling.sample_tokens`.
    """

    given = False
    """Whether rows may have given tokens."""
    greedy = False
    """Whether a row in use is greedy."""

    def __init__(
        self,
        age: Tensor,
        columns: int,
        sampling: Sampling,
        eos_id: int,
        kernels: Kernels | None = None,
        look: bool = True,
    ) -> None:
        self._age, self._sampling, self._eos_id, self._kernels, self._look = age, sampling, eos_id, kernels, look
        seats, device = len(age), age.device
        self._tokens = torch.zeros(seats, columns, dtype=torch.long, device=device)
        self._logprobs = torch.zeros(seats, columns, device=device)
        self._uniforms = torch.zeros(seats, columns, device=device)
        self._last = torch.zeros(seats, dtype=torch.long, device=device)
        self._position = torch.zeros(seats, dtype=torch.long, device=device)
        """Where the last token stands."""
        self._given = torch.zeros(seats, dtype=torch.long, device=device)
        """Given tokens of the row."""
        self._greedy = torch.zeros(seats, dtype=torch.bool, device=device)
        self._ended = torch.zeros(seats, dtype=torch.bool, device=device)
        """Whether the row has drawn the token that ends it, at some age."""

    def begin(self, seats: Sequence[int], arrivals: Sequence[RowAdmission]) -> None:
        """Rows take these seats."""
        limit, columns = self._sampling.max_new_tokens, self._tokens.shape[1]
        marks = [(each.start, each.position, len(each.given), each.row.greedy) for each in arrivals]
        marks_B4 = torch.tensor(marks)
        tokens = torch.zeros(len(arrivals), columns, dtype=torch.long)
        for i, arrival in enumerate(arrivals):
            tokens[i, : len(arrival.given)] = torch.tensor(arrival.given)
        drawn = (torch.arange(columns) - marks_B4[:, 2:3]).clamp(0, limit - 1)
        stream = uniforms([arrival.row.key for arrival in arrivals], limit).gather(1, drawn)
        device = self._last.device
        at, marks_B4 = torch.tensor(seats, device=device), marks_B4.to(device)
        self._last[at], self._position[at], self._given[at] = marks_B4[:, :3].unbind(1)
        self._greedy[at] = marks_B4[:, 3].bool()
        self._tokens[at], self._uniforms[at] = tokens.to(device), stream.to(device)
        self._ended[at] = False

    def move(self, source: int, target: int) -> None:
        """The row in seat `source` takes seat `target`."""
        for state in self._of_rows:
            state[target] = state[source]

    def clear(self, first: int) -> None:
        """Seats from `first` on are free; they may be stepped, and must stay within all tables."""
        self._age[first:] = 0
        self._position[first:] = 0

    def vacate(self, seat: int) -> None:
        """The row in this seat has ended, but may be stepped on for a while."""
        self._position[seat] = 0
        self._ended[seat] = False

    def feed(self, rows: int) -> tuple[Tensor, Tensor]:
        """The token that each row is fed, and its position: int64 (A,) both."""
        return self._last[:rows], self._position[:rows]

    def draw(self, logits_AV: Tensor) -> None:
        """Draws a token for each row, notes those that end with it, and makes all a token older."""
        rows = logits_AV.shape[0]
        age_A1 = self._age[:rows, None]
        uniform_A = self._uniforms[:rows].gather(1, age_A1)[:, 0]
        greedy_A = self._greedy[:rows] if self.greedy else None
        token_A, logprob_A = sample_tokens(logits_AV, uniform_A, self._sampling, greedy_A, self._kernels, self._look)
        ended_A = token_A == self._eos_id
        if self.given:
            given_A = self._given[:rows] > age_A1[:, 0]
            token_A = torch.where(given_A, self._tokens[:rows].gather(1, age_A1)[:, 0], token_A)
            ended_A = ended_A & ~given_A
        self._ended[:rows].logical_or_(ended_A)
        self._last[:rows] = token_A
        self._tokens[:rows].scatter_(1, age_A1, token_A[:, None])
        self._logprobs[:rows].scatter_(1, age_A1, logprob_A[:, None])
        self._age[:rows].add_(1)
        self._position[:rows].add_(1)

    def ended(self, rows: int) -> list[int]:
        """Seats whose rows have drawn the token that ends them. Waits for the device."""
        return self._ended[:rows].nonzero()[:, 0].tolist()

    def drawn(self, seat: int, first: int, end: int) -> tuple[list[int], list[float]]:
        """Tokens and log-probs of ages `[first, end)`, up to the token that ends the row. Waits for the device."""
        tokens: list[int] = self._tokens[seat, first:end].tolist()
        if self._eos_id in tokens:
            tokens = tokens[: tokens.index(self._eos_id) + 1]
        return tokens, self._logprobs[seat, first : first + len(tokens)].tolist()

    @property
    def _of_rows(self) -> tuple[Tensor, ...]:
        marks = (self._last, self._position, self._given, self._greedy, self._ended)
        return (self._tokens, self._logprobs, self._uniforms, *marks)
