"""Runs prompts ahead of the rows that need them, several at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch

from rltf.generation.modes import eval_mode
from rltf.policies.base import Policy
from rltf.policies.decoding import Decoder, PromptStates
from rltf.types import Request


class Prefill:
    """A queue of prompts, in the order in which their rows begin.

    Args:
        policy: its padding token fills shorter prompts up.
        decoder: of the policy's model.
        requests: all of them.
        order: indices of requests, in the order in which their prompts are needed.
        tokens: prompt tokens, padding included, to run at once.
    """

    def __init__(
        self, policy: Policy, decoder: Decoder, requests: Sequence[Request], order: Sequence[int], tokens: int
    ) -> None:
        self._policy, self._decoder, self._tokens = policy, decoder, tokens
        self._queue = deque((index, shared_tokens(decoder, requests[index])) for index in order)
        self._states: dict[int, tuple[PromptStates, int]] = {}

    def pop(self, request_index: int) -> tuple[PromptStates, int]:
        """The states of a request's prompt and its place in them; the prompt is run if it has not been yet."""
        if request_index not in self._states:
            self._run_batch()
        return self._states.pop(request_index)

    def _run_batch(self) -> None:
        batch = [self._queue.popleft()]
        width = len(batch[0][1])
        while self._queue and max(width, len(self._queue[0][1])) * (len(batch) + 1) <= self._tokens:
            batch.append(self._queue.popleft())
            width = max(width, len(batch[-1][1]))
        ids = torch.full((len(batch), width), self._policy.pad_id, dtype=torch.long)
        mask = torch.zeros((len(batch), width), dtype=torch.bool)
        for i, (_, prompt) in enumerate(batch):
            ids[i, : len(prompt)] = torch.tensor(prompt)
            mask[i, : len(prompt)] = True
        device = self._decoder.device
        with eval_mode(self._policy.model):
            states = self._decoder.prefill(ids.to(device), mask.to(device))
        self._states |= {request_index: (states, i) for i, (request_index, _) in enumerate(batch)}


def shared_tokens(decoder: Decoder, request: Request) -> tuple[int, ...]:
    """The tokens that are run once for all rows of a request: its prompt, and for causal models its prefix."""
    return request.prompt_ids + request.prefix_ids if decoder.prefix_in_prompt else request.prompt_ids
