"""A row is one program being drawn; this file says which rows the requests ask for and when a row has finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rltf.generation.sampling import row_key
from rltf.policies.base import Policy
from rltf.types import FinishReason, Request, Sample

GREEDY_DRAW = -1


@dataclass(frozen=True, slots=True)
class Row:
    """One program to draw."""

    index: int
    """Of its request among the requests."""
    request: Request
    draw: int
    key: int
    """Names its random stream."""

    @property
    def greedy(self) -> bool:
        """True for the greedy program."""
        return self.draw == GREEDY_DRAW


def rows_of(requests: Sequence[Request], seed: int) -> list[Row]:
    """Every row of every request, in order; a request's greedy row comes first."""
    rows: list[Row] = []
    for index, request in enumerate(requests):
        if not request.prompt_ids:
            raise ValueError(f"the prompt of problem {request.problem_id} has no tokens: expected at least one")
        draws = (GREEDY_DRAW, *request.draws) if request.greedy else request.draws
        rows += [Row(index, request, draw, row_key(seed, request.problem_id, draw)) for draw in draws]
    return rows


def finish(policy: Policy, row: Row, token_ids: Sequence[int], limit: int) -> tuple[int, FinishReason] | None:
    """How many of the tokens drawn so far belong to the response, and why it ended; None while it goes on.

    Args:
        policy: decodes the tokens, where the request has stop strings.
        row: the program.
        token_ids: drawn so far; an end-of-sequence token can only be the last.
        limit: `max_new_tokens`.
    """
    stopped = stop_length(policy, tuple(token_ids), row.request.stop)
    if stopped is not None:
        return stopped, FinishReason.STOP
    if token_ids[-1] == policy.eos_id:
        return len(token_ids), FinishReason.EOS
    if len(token_ids) >= limit:
        return len(token_ids), FinishReason.LENGTH
    return None


def sample_of(row: Row, token_ids: Sequence[int], logprobs: Sequence[float], length: int, why: FinishReason) -> Sample:
    """The finished response, cut to `length` tokens."""
    return Sample(row.index, row.draw, tuple(token_ids[:length]), tuple(logprobs[:length]), why)


def stop_length(policy: Policy, token_ids: tuple[int, ...], stop: tuple[str, ...]) -> int | None:
    """Tokens up to and with the one that completes the first stop string to appear; None when there is none.

    The answer is the same however many tokens were drawn beyond that one, so a sampler may look every few steps.
    """
    if not stop or not token_ids:
        return None
    text, offsets = policy.decode(token_ids)
    ends = [at + len(string) for string in stop if (at := text.find(string)) >= 0]
    if not ends:
        return None
    first = min(ends)
    return next(i for i, (_, end) in enumerate(offsets, 1) if end >= first)
