"""What handling a program costs in the trainer, and what of an iteration grows with the buffer."""

from __future__ import annotations

import pickle
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from rltf.rollouts.buffer import RolloutBuffer
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.collate import collate
from rltf.setup.components import Components
from rltf.types import FinishReason, Request, Rollout, Sample, Sampling
from scale.runs import Instant, composed


class Canned:
    """A sampler that costs nothing: it gives every draw of a request the same tokens."""

    def __init__(self, token_ids: tuple[int, ...]) -> None:
        self._ids = token_ids

    def sample(self, policy: Any, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        for index, request in enumerate(requests):
            for draw in request.draws:
                yield Sample(index, draw, self._ids, (-1.0,) * len(self._ids), FinishReason.EOS)


def buffer(quick: bool) -> dict[str, Any]:
    """What handling a program costs in the trainer, and what of an iteration grows with the buffer."""
    cfg = composed()
    with Components.build(cfg, PhaseClock()) as components:
        torch.set_num_threads(1)
        pipeline = components.pipeline
        found = list(components.benchmark.problems("train"))[: 8 if quick else 64]
        answer = components.policy.encode_answer("def f(x):\n    y = x + 1\n    return y * 2\n" * 30)[
            :512
        ]  # as long as CodeT5-770M writes
        pipeline.sampler, pipeline.executor = Canned(answer), Instant()  # type: ignore[assignment]
        start = time.process_time()
        groups = pipeline.collect_rollouts(pipeline.start_rollouts(found, range(8), components.sampling, 0))
        handle_ms = 1e3 * (time.process_time() - start) / (8 * len(found))
        rollouts = [rollout for group in groups for rollout in group]
    rows = [_of_buffer(rollouts, size) for size in ((100, 400) if quick else (400, 1600, 6400, 25_600))]
    last = rows[-1]
    return {
        "handle_ms": round(handle_ms, 3),
        "by_size": rows,
        "iteration_last_over_first": round(last["iteration_ms"] / rows[0]["iteration_ms"], 3),
        "rollout_bytes": round(last["state_mb"] * 1e6 / last["size"] - 16 * len(answer)),
        "unpack_gb_s": round(last["state_mb"] / 1e3 / last["unpack_s"], 3),
    }


def _of_buffer(rollouts: Sequence[Rollout], size: int) -> dict[str, float]:
    """256 rollouts in, 256 out as micro-batches of 64, metrics; and a checkpoint's state."""
    held = RolloutBuffer(size)
    while len(held) < size:
        held.extend(rollouts)
    times = []
    for number in range(5):
        start = time.process_time()
        held.extend(rollouts[:256])
        drawn = held.sample(256, number)
        for at in range(0, 256, 64):
            collate(drawn[at : at + 64], 0, "right")
        held.metrics(0)
        times.append(1e3 * (time.process_time() - start))
    start = time.process_time()
    state = pickle.dumps(held.state_dict())
    packed = time.process_time() - start
    start = time.process_time()
    pickle.loads(state)  # our own bytes: what gathering states over processes does
    unpacked = time.process_time() - start
    return {
        "size": size,
        "iteration_ms": round(statistics.median(times), 2),
        "state_mb": round(len(state) / 1e6, 3),
        "pack_s": round(packed, 4),
        "unpack_s": max(1e-4, round(unpacked, 4)),
    }
