"""How many rows and prompts fit into the memory that the user allows, decided before the first token is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from rltf.types import Request


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What one call of the engine holds at most."""

    rows: int
    """Rows decoded at once."""
    columns: int
    """Tokens of each row whose keys and values are held: those of the longest response."""
    prompts: int
    """Prompts whose keys and values are held at once."""
    prompt_length: int
    """Tokens of the longest prompt."""

    @property
    def tokens(self) -> int:
        """Tokens whose keys and values are held."""
        return self.rows * self.columns + self.prompts * self.prompt_length

    def __str__(self) -> str:
        return (
            f"{self.rows} rows of {self.columns} columns and {self.prompts} prompts of up to {self.prompt_length} "
            f"tokens: {self.tokens} tokens of cache"
        )

    @classmethod
    def of(
        cls,
        requests: Sequence[Request],
        *,
        response_length: int,
        prompt_length: int,
        max_rows: int,
        max_cache_tokens: int,
    ) -> Self:
        """The plan with the most rows that fit.

        Args:
            requests: what is to be drawn.
            response_length: tokens of a row at most, its prefix included.
            prompt_length: tokens of a prompt at most.
            max_rows: rows at most.
            max_cache_tokens: tokens of cache that the user allows.

        Raises:
            ValueError: not even one row fits.
        """
        rows_per_prompt = [len(request.draws) + request.greedy for request in requests]
        rows = min(max_rows, sum(rows_per_prompt))
        while rows > 0:
            # Rows end at different times, so more prompts are in use than full groups would need: twice as many.
            mean_rows = max(1, sum(rows_per_prompt) // len(requests))
            prompts = min(len(requests), rows, 2 * -(-rows // mean_rows) + 2)
            plan = cls(rows, response_length, prompts, prompt_length)
            if plan.tokens <= max_cache_tokens:
                return plan
            rows = min(rows - 1, int(rows * max_cache_tokens / plan.tokens))
        raise ValueError(
            f"generation.sampler.max_cache_tokens is {max_cache_tokens}: one program of {response_length} tokens and "
            f"its prompt of {prompt_length} need {response_length + prompt_length}"
        )
