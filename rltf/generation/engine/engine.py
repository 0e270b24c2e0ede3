"""The sampling engine (`generation=native`): many programs of few prompts, from the training weights in place.

What makes it fast, next to `generate` of transformers:
1. A prompt is run once for all its programs, and its keys and values are held once.
2. A row that has ended is replaced by a waiting one at once, whatever its prompt.
3. A decode step is what the network needs and no more: joined projections, tables of positions, one write of the cache.
4. A token is drawn by one number of the row's own stream, without sorting or a random number for each token.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from rltf.generation.engine.decode_loop import DecodeLoop
from rltf.generation.engine.decode_state import DecodeState
from rltf.generation.engine.memory_plan import MemoryPlan
from rltf.generation.engine.prefill import Prefill, shared_tokens
from rltf.generation.modes import decode_mode
from rltf.generation.rows import check_lengths, rows_of
from rltf.policies.base import Policy
from rltf.policies.decoding import Decoder, decoder_for
from rltf.policies.distribution import check_sampling
from rltf.types import Request, Sample, Sampling
from rltf.validation import require

_log = logging.getLogger(__name__)

_REUSE_DIVISOR = 8
"""A decode state stays allocated from call to call where it takes at most one part in so many of the device's
memory."""


@dataclass(frozen=True, slots=True)
class EngineReport:
    """Counts of one call of the engine."""

    plan: MemoryPlan
    tokens: int
    """Tokens of the samples."""
    steps: int
    """Decode steps."""
    row_steps: int
    """Rows decoded, summed over steps; at best equal to `tokens`."""


class Engine:
    """Implements `rltf.generation.sampler.Sampler` for the families of `rltf.policies.decoding`.

    Args:
        max_rows: rows decoded at once; fewer where memory or the requests give out.
        max_cache_tokens: tokens whose keys and values may be held, of rows and prompts together.
        prefill_tokens: prompt tokens run at once, padding included; one prompt may exceed it.
        compiled: for float32 on a CPU, kernels that the system's C compiler makes in half a second, once; without a
            compiler or with False, torch's.
        graphs: on CUDA, capture decode steps as graphs. "auto" keeps them, and the memory that rows and prompts take,
            from call to call where that is at most an eighth of the device's memory; True keeps them always; False
            captures none. Of no effect elsewhere.

    Example:
        >>> Engine(max_rows=0)
        Traceback (most recent call last):
        rltf.validation.OptionError: max_rows is 0: expected a whole number of at least 1
    """

    def __init__(
        self,
        max_rows: int = 256,
        max_cache_tokens: int = 524288,
        prefill_tokens: int = 8192,
        compiled: bool = True,
        graphs: bool | Literal["auto"] = "auto",
    ) -> None:
        require("max_rows", max_rows, at_least=1, whole=True)
        require("max_cache_tokens", max_cache_tokens, at_least=1, whole=True)
        require("prefill_tokens", prefill_tokens, at_least=1, whole=True)
        require("graphs", graphs, choices=("auto", True, False))
        self.max_rows = max_rows
        self.max_cache_tokens = max_cache_tokens
        self.prefill_tokens = prefill_tokens
        self.compiled = compiled
        self.graphs = graphs
        self._idle_state: DecodeState | None = None
        """Decode state of the last call, for the next one."""
        self.report: EngineReport | None = None
        """Counts of the last call that was read to its end."""

    def sample(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        """Yields each sample as it ends. The weights must not change before the last one is read.

        Prompts are run longest first, so that the most memory is used at the start and padding stays small.
        """
        check_sampling(sampling)
        check_lengths(policy, requests, sampling)
        rows = rows_of(requests, seed)
        if not rows:
            return
        longest = max(len(request.prompt_ids) + len(request.prefix_ids) for request in requests)
        with decode_mode(policy.model.device):
            decoder = decoder_for(policy.model, longest + sampling.max_new_tokens, self.compiled)
        lengths = [len(shared_tokens(decoder, request)) for request in requests]
        rows.sort(key=lambda row: (-lengths[row.request_index], row.request_index))
        longest_prefix = 0 if decoder.prefix_in_prompt else max(len(request.prefix_ids) for request in requests)
        order = list(dict.fromkeys(row.request_index for row in rows))
        unfinished = {(row.request_index, row.draw): row for row in rows}
        loop: DecodeLoop | None
        state: DecodeState | None
        max_rows, tokens, steps, row_steps = self.max_rows, 0, 0, 0
        while unfinished:
            plan = MemoryPlan.of(
                requests,
                response_length=sampling.max_new_tokens + longest_prefix,
                prompt_length=max(lengths),
                max_rows=min(max_rows, len(unfinished)),
                max_cache_tokens=self.max_cache_tokens,
            )
            _log.info("generation holds %s", plan)
            try:
                unfinished_requests = {index for index, _ in unfinished}
                state = self._state_for(decoder, plan, sampling, policy.end_ids)
                prompts = [index for index in order if index in unfinished_requests]
                prefill = Prefill(policy, decoder, requests, prompts, self.prefill_tokens)
                loop = DecodeLoop(policy, state, list(unfinished.values()), sampling, plan, prefill)
                while samples := loop.advance():
                    for sample in samples:
                        del unfinished[sample.request, sample.draw]
                        tokens += len(sample.token_ids)
                    steps, row_steps = steps + loop.steps, row_steps + loop.row_steps
                    loop.steps = loop.row_steps = 0
                    yield from samples
            except torch.OutOfMemoryError:
                # Unfinished rows are drawn anew, and come out the same: a row's stream is its own.
                if plan.rows == 1:
                    raise
                loop = state = self._idle_state = None  # or memory would be held while the next state takes its own
                max_rows = plan.rows // 2
                _log.warning(
                    "generation ran out of memory with %d rows at once: it goes on with %d", plan.rows, max_rows
                )
        if state is not None and self._is_reusable(state):
            self._idle_state = state
        self.report = EngineReport(plan, tokens, steps, row_steps)

    def _state_for(
        self, decoder: Decoder, plan: MemoryPlan, sampling: Sampling, end_ids: tuple[int, ...]
    ) -> DecodeState:
        """The last call's decode state, where it fits; else a new one."""
        state, self._idle_state = self._idle_state, None
        if state is None or not state.reuse_for(decoder, plan, sampling, end_ids):
            state = None  # its memory is freed before the next one takes its own
            state = DecodeState(decoder, plan, sampling, end_ids, self.graphs is not False)
        return state

    def _is_reusable(self, state: DecodeState) -> bool:
        """Whether a state stays allocated for the next call. Memory without graphs is quickly taken anew."""
        if not state.uses_graphs:
            return False
        device = state.decoder.device
        device_bytes = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0
        return self.graphs is True or state.bytes * _REUSE_DIVISOR <= device_bytes
