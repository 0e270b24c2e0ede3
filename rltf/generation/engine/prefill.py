"""Runs prompts ahead of the rows that need them, several at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch

from rltf.generation.modes import evaluating
from rltf.policies.base import Policy
from rltf.policies.decoding import Decoder, PromptStates
from rltf.types import Request


class Prefill:
    """Prompts in the order in which their rows begin.

    Args:
        policy: its padding token fills shorter prompts up.
        decoder: of the policy's model.
        requests: all of them.
        order: indices of requests, in the order in which they are taken.
        tokens: prompt tokens, padding included, to run at once.
    """

    def __init__(
        self, policy: Policy, decoder: Decoder, requests: Sequence[Request], order: Sequence[int], tokens: int
    ) -> None:
        self._policy, self._decoder, self._tokens = policy, decoder, tokens
        self._ahead = deque((index, context(decoder, requests[index])) for index in order)
        self._done: dict[int, tuple[PromptStates, int]] = {}

    def take(self, index: int) -> tuple[PromptStates, int]:
        """The states that hold the prompt of request `index`, and its place in them."""
        if index not in self._done:
            self._run()
        return self._done.pop(index)

    def _run(self) -> None:
        batch = [self._ahead.popleft()]
        width = len(batch[0][1])
        while self._ahead and max(width, len(self._ahead[0][1])) * (len(batch) + 1) <= self._tokens:
            batch.append(self._ahead.popleft())
            width = max(width, len(batch[-1][1]))
        ids = torch.full((len(batch), width), self._policy.pad_id, dtype=torch.long)
        mask = torch.zeros((len(batch), width), dtype=torch.bool)
        for i, (_, prompt) in enumerate(batch):
            ids[i, : len(prompt)] = torch.tensor(prompt)
            mask[i, : len(prompt)] = True
        device = self._decoder.device
        with evaluating(self._policy.model):
            states = self._decoder.prefill(ids.to(device), mask.to(device))
        self._done |= {index: (states, i) for i, (index, _) in enumerate(batch)}


def context(decoder: Decoder, request: Request) -> tuple[int, ...]:
    """What is run once for all rows of a request."""
    return request.prompt_ids + request.prefix_ids if decoder.prefix_in_prompt else request.prompt_ids
