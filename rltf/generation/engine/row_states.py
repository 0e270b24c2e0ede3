"""What is stored of each row besides keys and values: its tokens and log-probs, its random numbers, its length.

The token drawn at column t of a row is fed to the model at column t + 1. All of it lies on the device, and no step asks
the host for any of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rltf.generation.rows import Row
from rltf.generation.token_sampling import sample_tokens, uniforms
from rltf.policies.decoding import Kernels
from rltf.types import Sampling


@dataclass(frozen=True, slots=True)
class RowAdmission:
    """A row that is about to be decoded."""

    row: Row
    prefix: tuple[int, ...]
    """Tokens that it begins with, whatever the model would draw."""
    start: int
    """The token that it is fed first."""
    position: int
    """Position of that token."""


class RowStates:
    """Tensors of up to as many rows as `column` has; the caller says how many are stepped.

    Args:
        column: int64, of the cache: tokens that each row was fed before the present one.
        columns: tokens of a row at most, its prefix included.
        sampling: how tokens are drawn.
        end_ids: the tokens that end a response.
        kernels: compiled ones, for a float32 model on the CPU; None: torch's.
        allow_host_sync: see `rltf.generation.token_sampling.sample_tokens`.
    """

    has_prefixes = False
    """Whether rows may have a prefix."""
    has_greedy = False
    """Whether a row in use is greedy."""

    def __init__(
        self,
        column: Tensor,
        columns: int,
        sampling: Sampling,
        end_ids: tuple[int, ...],
        kernels: Kernels | None = None,
        allow_host_sync: bool = True,
    ) -> None:
        self._column, self._sampling, self._end_ids = column, sampling, end_ids
        self._kernels, self._allow_host_sync = kernels, allow_host_sync
        rows, device = len(column), column.device
        self._tokens = torch.zeros(rows, columns, dtype=torch.long, device=device)
        self._logprobs = torch.zeros(rows, columns, device=device)
        self._uniforms = torch.zeros(rows, columns, device=device)
        self._last_token = torch.zeros(rows, dtype=torch.long, device=device)
        self._position = torch.zeros(rows, dtype=torch.long, device=device)
        """Position of the last token."""
        self._prefix_length = torch.zeros(rows, dtype=torch.long, device=device)
        self._greedy = torch.zeros(rows, dtype=torch.bool, device=device)
        self._ended = torch.zeros(rows, dtype=torch.bool, device=device)
        """Whether the row has drawn the token that ends it, at any column."""

    def admit_rows(self, row_indices: Sequence[int], admissions: Sequence[RowAdmission]) -> None:
        """Starts a row at each of these indices."""
        limit, columns = self._sampling.max_new_tokens, self._tokens.shape[1]
        numbers_B4 = torch.tensor([(a.start, a.position, len(a.prefix), a.row.greedy) for a in admissions])
        tokens = torch.zeros(len(admissions), columns, dtype=torch.long)
        for i, admission in enumerate(admissions):
            tokens[i, : len(admission.prefix)] = torch.tensor(admission.prefix)
        draw_index = (torch.arange(columns) - numbers_B4[:, 2:3]).clamp(0, limit - 1)
        stream = uniforms([admission.row.key for admission in admissions], limit).gather(1, draw_index)
        device = self._last_token.device
        at, numbers_B4 = torch.tensor(row_indices, device=device), numbers_B4.to(device)
        self._last_token[at], self._position[at], self._prefix_length[at] = numbers_B4[:, :3].unbind(1)
        self._greedy[at] = numbers_B4[:, 3].bool()
        self._tokens[at], self._uniforms[at] = tokens.to(device), stream.to(device)
        self._ended[at] = False

    def move_row(self, source: int, target: int) -> None:
        """Moves the row at index `source` to index `target`."""
        for state in self._row_tensors:
            state[target] = state[source]

    def reset_from(self, first: int) -> None:
        """Sets rows from index `first` on, which are not in use, to column 0: they may be stepped, and must stay within
        all tables."""
        self._column[first:] = 0
        self._position[first:] = 0

    def release_row(self, row_index: int) -> None:
        """Marks a row as ended; it may be stepped on for a while."""
        self._position[row_index] = 0
        self._ended[row_index] = False

    def next_inputs(self, rows: int) -> tuple[Tensor, Tensor]:
        """The token that each row is fed next, and its position: int64 (A,) both."""
        return self._last_token[:rows], self._position[:rows]

    def append_tokens(self, logits_AV: Tensor) -> None:
        """Draws a token for each row, marks the rows that end with it, and moves all rows on by one column."""
        rows = logits_AV.shape[0]
        column_A1 = self._column[:rows, None]
        uniform_A = self._uniforms[:rows].gather(1, column_A1)[:, 0]
        greedy_A = self._greedy[:rows] if self.has_greedy else None
        token_A, logprob_A = sample_tokens(
            logits_AV, uniform_A, self._sampling, greedy_A, self._kernels, self._allow_host_sync
        )
        ended_A = token_A == self._end_ids[0]
        for end_id in self._end_ids[1:]:
            ended_A = ended_A | (token_A == end_id)
        if self.has_prefixes:
            in_prefix_A = self._prefix_length[:rows] > column_A1[:, 0]
            token_A = torch.where(in_prefix_A, self._tokens[:rows].gather(1, column_A1)[:, 0], token_A)
            ended_A = ended_A & ~in_prefix_A
        self._ended[:rows].logical_or_(ended_A)
        self._last_token[:rows] = token_A
        self._tokens[:rows].scatter_(1, column_A1, token_A[:, None])
        self._logprobs[:rows].scatter_(1, column_A1, logprob_A[:, None])
        self._column[:rows].add_(1)
        self._position[:rows].add_(1)

    def ended_rows(self, rows: int) -> list[int]:
        """Indices of rows that have drawn the token that ends them. Waits for the device."""
        return self._ended[:rows].nonzero()[:, 0].tolist()

    def response(self, row_index: int, first: int, end: int) -> tuple[list[int], list[float]]:
        """Tokens and log-probs of the columns `[first, end)`, up to the first token that ends a row. Waits for the
        device."""
        tokens: list[int] = self._tokens[row_index, first:end].tolist()
        if ends := [tokens.index(end_id) for end_id in self._end_ids if end_id in tokens]:
            tokens = tokens[: min(ends) + 1]
        return tokens, self._logprobs[row_index, first : first + len(tokens)].tolist()

    @property
    def _row_tensors(self) -> tuple[Tensor, ...]:
        per_row = (self._last_token, self._position, self._prefix_length, self._greedy, self._ended)
        return (self._tokens, self._logprobs, self._uniforms, *per_row)
