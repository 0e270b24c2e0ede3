"""The sampling engine (`generation=native`): many programs of few prompts, from the training weights in place.

What makes it fast, next to `generate` of transformers:
1. A prompt is run once for all its programs, and its keys and values are held once.
2. A row that has ended leaves; waiting rows take its seat at once, whatever their prompt.
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
from rltf.generation.engine.memory_plan import Plan, make_plan
from rltf.generation.engine.prefill import Prefill, context
from rltf.generation.modes import decoding
from rltf.generation.rows import rows_of
from rltf.policies.base import Policy
from rltf.policies.decoding import Decoder, decoder_for
from rltf.policies.distribution import check_sampling
from rltf.types import Request, Sample, Sampling

_log = logging.getLogger(__name__)

_SHARE_KEPT = 8
"""Of the device's memory, what one in so many parts may stay taken from draw to draw."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a call of the engine did."""

    plan: Plan
    tokens: int
    """Drawn, and yielded."""
    steps: int
    """Decode steps."""
    row_steps: int
    """Rows decoded, summed over steps; at best equal to `tokens`."""


class Engine:
    """Implements `rltf.generation.sampler.Sampler` for T5, Llama, Qwen2 and CodeGen models.

    Args:
        slots: rows decoded at once; fewer where memory or the requests give out.
        max_cache_tokens: tokens whose keys and values may be held, of rows and prompts together.
        prefill_tokens: prompt tokens run at once, padding included; one prompt may exceed it.
        compiled: for float32 on a CPU, kernels that the system's C compiler makes in half a second, once; without a
            compiler or with False, torch's.
        graphs: on CUDA, capture decode steps as graphs. "auto" keeps them, and the memory that rows and prompts take,
            from call to call where that is at most an eighth of the device's memory; True keeps them always; False
            captures none. Of no effect elsewhere.

    Example:
        >>> Engine(slots=0)
        Traceback (most recent call last):
        ValueError: generation.sampler.slots is 0: expected at least 1 row
    """

    def __init__(
        self,
        slots: int = 256,
        max_cache_tokens: int = 524288,
        prefill_tokens: int = 8192,
        compiled: bool = True,
        graphs: bool | Literal["auto"] = "auto",
    ) -> None:
        if slots < 1:
            raise ValueError(f"generation.sampler.slots is {slots}: expected at least 1 row")
        if max_cache_tokens < 1:
            raise ValueError(f"generation.sampler.max_cache_tokens is {max_cache_tokens}: expected at least 1 token")
        if prefill_tokens < 1:
            raise ValueError(f"generation.sampler.prefill_tokens is {prefill_tokens}: expected at least 1 token")
        if graphs not in ("auto", True, False):
            raise ValueError(f"generation.sampler.graphs is {graphs}: expected auto, true or false")
        self.slots = slots
        self.max_cache_tokens = max_cache_tokens
        self.prefill_tokens = prefill_tokens
        self.compiled = compiled
        self.graphs = graphs
        self._room: DecodeState | None = None
        """Kept from the last call."""
        self.report: Report | None = None
        """Of the last call that was read to its end."""

    def sample(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        """Yields each sample as it ends. The weights must not change before the last one is read.

        Prompts are taken longest first, so that the most memory is used at the start and padding stays small.
        """
        check_sampling(sampling)
        rows = rows_of(requests, seed)
        if not rows:
            return
        longest = max(len(request.prompt_ids) + len(request.prefix_ids) for request in requests)
        with decoding(policy.model.device):
            decoder = decoder_for(policy.model, longest + sampling.max_new_tokens, self.compiled)
        lengths = [len(context(decoder, request)) for request in requests]
        rows.sort(key=lambda row: (-lengths[row.index], row.index))
        given = 0 if decoder.prefix_in_prompt else max(len(request.prefix_ids) for request in requests)
        order = list(dict.fromkeys(row.index for row in rows))
        left = {(row.index, row.draw): row for row in rows}
        session: DecodeLoop | None
        room: DecodeState | None
        slots, tokens, steps, row_steps = self.slots, 0, 0, 0
        while left:
            plan = make_plan(
                requests,
                response_length=sampling.max_new_tokens + given,
                prompt_length=max(lengths),
                slots=min(slots, len(left)),
                max_cache_tokens=self.max_cache_tokens,
            )
            _log.info("generation holds %s", plan)
            try:
                wanted = {index for index, _ in left}
                room = self._room_for(decoder, plan, sampling, policy.eos_id)
                prefill = Prefill(policy, decoder, requests, [i for i in order if i in wanted], self.prefill_tokens)
                session = DecodeLoop(policy, room, list(left.values()), sampling, plan, prefill)
                while samples := session.advance():
                    for sample in samples:
                        del left[sample.request, sample.draw]
                        tokens += len(sample.token_ids)
                    steps, row_steps = steps + session.steps, row_steps + session.row_steps
                    session.steps = session.row_steps = 0
                    yield from samples
            except torch.OutOfMemoryError:
                # What is left is drawn anew, and comes out the same: a row's stream is its own.
                if plan.seats == 1:
                    raise
                session = room = self._room = None  # or memory would be held while the next ones take theirs
                slots = plan.seats // 2
                _log.warning("generation ran out of memory with %d rows at once: it goes on with %d", plan.seats, slots)
        if room is not None and self._worth_keeping(room):
            self._room = room
        self.report = Report(plan, tokens, steps, row_steps)

    def _room_for(self, decoder: Decoder, plan: Plan, sampling: Sampling, eos_id: int) -> DecodeState:
        """The last call's, where it fits; else a new one."""
        room, self._room = self._room, None
        if room is None or not room.renew(decoder, plan, sampling, eos_id):
            room = None  # its memory goes before the next one takes its own
            room = DecodeState(decoder, plan, sampling, eos_id, self.graphs is not False)
        return room

    def _worth_keeping(self, room: DecodeState) -> bool:
        """Memory without graphs is quickly taken anew."""
        if not room.captured:
            return False
        device = room.decoder.device
        whole = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0
        return self.graphs is True or room.bytes * _SHARE_KEPT <= whole
