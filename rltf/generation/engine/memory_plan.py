"""How many rows and prompts fit into the memory that the user gave, decided before the first token is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rltf.types import Request


@dataclass(frozen=True, slots=True)
class Plan:
    """What one call of the sampler will hold at most."""

    seats: int
    """Rows decoded at once."""
    columns: int
    """Tokens kept of each row: those of the longest response."""
    prompts: int
    """Prompts alive at once."""
    prompt_length: int
    """Tokens of the longest prompt."""

    @property
    def tokens(self) -> int:
        """Tokens whose keys and values are held."""
        return self.seats * self.columns + self.prompts * self.prompt_length

    def __str__(self) -> str:
        return (
            f"{self.seats} rows of {self.columns} columns and {self.prompts} prompts of up to {self.prompt_length} "
            f"tokens: {self.tokens} tokens of cache"
        )


def make_plan(
    requests: Sequence[Request],
    *,
    response_length: int,
    prompt_length: int,
    slots: int,
    max_cache_tokens: int,
) -> Plan:
    """As many rows as asked for, or as fit.

    Args:
        requests: what is to be drawn.
        response_length: tokens of a row at most, given ones included.
        prompt_length: tokens of a prompt at most.
        slots: rows that the user asked for.
        max_cache_tokens: tokens of cache that the user allows.

    Raises:
        ValueError: not even one row fits.
    """
    rows_per_prompt = [len(request.draws) + request.greedy for request in requests]
    seats = min(slots, sum(rows_per_prompt))
    while seats > 0:
        # Rows end at different times, so more prompts are alive than full groups would need: twice as many.
        mean_rows = max(1, sum(rows_per_prompt) // len(requests))
        prompts = min(len(requests), seats, 2 * -(-seats // mean_rows) + 2)
        plan = Plan(seats, response_length, prompts, prompt_length)
        if plan.tokens <= max_cache_tokens:
            return plan
        seats = min(seats - 1, int(seats * max_cache_tokens / plan.tokens))
    raise ValueError(
        f"generation.sampler.max_cache_tokens is {max_cache_tokens}: one program of {response_length} tokens and its "
        f"prompt of {prompt_length} need {response_length + prompt_length}"
    )
