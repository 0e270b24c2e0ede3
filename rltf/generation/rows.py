"""Rows: the programs that are drawn for requests, and where a row's response ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rltf.generation.token_sampling import row_key
from rltf.policies.base import Policy
from rltf.types import FinishReason, Request, Sample, Sampling

GREEDY_DRAW = -1
"""Draw index of the greedy row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One program to draw."""

    request_index: int
    """Index of its request among the requests."""
    request: Request
    draw: int
    key: int
    """Seed of its random stream; see `rltf.generation.token_sampling.row_key`."""

    @property
    def greedy(self) -> bool:
        """Whether the row takes the most probable token each time."""
        return self.draw == GREEDY_DRAW


def rows_of(requests: Sequence[Request], seed: int) -> list[Row]:
    """Every row of every request, in order; a request's greedy row comes first."""
    rows: list[Row] = []
    for index, request in enumerate(requests):
        if not request.prompt_ids:
            raise ValueError(f"the prompt of problem {request.problem_id} has no tokens: expected at least one")
        rows += [Row(index, request, draw, row_key(seed, request.problem_id, draw)) for draw in draws_of(request)]
    return rows


def check_lengths(policy: Policy, requests: Sequence[Request], sampling: Sampling) -> None:
    """Refuses requests whose programs could get longer than the model's context: those that begin with a prefix, where
    `rltf.policies.context.check_context` has seen to the others.

    Raises:
        ValueError: one could.
    """
    longest = max((len(r.prompt_ids) + len(r.prefix_ids) for r in requests), default=0) + sampling.max_new_tokens
    if policy.context is not None and longest > policy.context:
        raise ValueError(
            f"generation.sampling.max_new_tokens is {sampling.max_new_tokens}, which with prompt and prefix makes "
            f"{longest} tokens: expected at most {policy.context}, the model's context"
        )
    limit = policy.response_limit
    longest = max((len(r.prefix_ids) for r in requests), default=0) + sampling.max_new_tokens
    if limit is not None and longest > limit:
        raise ValueError(
            f"generation.sampling.max_new_tokens is {sampling.max_new_tokens}, which with a prefix makes {longest} "
            f"tokens: expected at most {limit}, the positions of the model's decoder"
        )


def draws_of(request: Request) -> tuple[int, ...]:
    """Draw indices of the request's rows, that of the greedy row first."""
    return (GREEDY_DRAW, *request.draws) if request.greedy else request.draws


def response_end(policy: Policy, row: Row, token_ids: Sequence[int], limit: int) -> tuple[int, FinishReason] | None:
    """Number of tokens in the response, and the reason why it ended; None while it goes on.

    Args:
        policy: decodes the tokens, where the request has stop strings.
        row: the program.
        token_ids: drawn so far; one that ends a response can only be the last.
        limit: `max_new_tokens`.
    """
    length = stop_length(policy, tuple(token_ids), row.request.stop)
    if length is not None:
        return length, FinishReason.STOP
    if token_ids[-1] in policy.end_ids:
        return len(token_ids), FinishReason.EOS
    if len(token_ids) >= limit:
        return len(token_ids), FinishReason.LENGTH
    return None


def sample_of(
    row: Row, token_ids: Sequence[int], logprobs: Sequence[float], length: int, reason: FinishReason
) -> Sample:
    """The finished response, cut to `length` tokens."""
    return Sample(row.request_index, row.draw, tuple(token_ids[:length]), tuple(logprobs[:length]), reason)


def stop_length(policy: Policy, token_ids: tuple[int, ...], stop: tuple[str, ...]) -> int | None:
    """Number of tokens up to and with the one that completes the first stop string to appear; None without one.

    The answer is the same however many tokens were drawn beyond that one, so a sampler may search every few steps.
    """
    if not stop or not token_ids:
        return None
    text, offsets = policy.decode(token_ids)
    ends = [at + len(string) for string in stop if (at := text.find(string)) >= 0]
    if not ends:
        return None
    first = min(ends)
    return next(i for i, (_, end) in enumerate(offsets, 1) if end >= first)


def cut_at_stop(
    text: str, offsets: tuple[tuple[int, int], ...], stop: tuple[str, ...]
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Text up to the first stop string; tokens beyond it keep an empty range at its end."""
    stop_positions = [position for s in stop if (position := text.find(s)) >= 0]
    if not stop_positions:
        return text, offsets
    end = min(stop_positions)
    return text[:end], tuple((min(a, end), min(b, end)) for a, b in offsets)
