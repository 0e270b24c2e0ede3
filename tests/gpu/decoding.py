"""The speed of decoding on a GPU, for check.py: a T5 of CodeT5-770M's shape against its floor and `generate`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "perf")]

import torch
from generation import forced, realistic_length
from models import EOS, PAD, t5_model

from rltf.generation.engine.engine import Engine
from rltf.policies.context import context_of
from rltf.types import Request, Sampling

BYTES_A_SECOND = 3.0e12
"""What an H100 of this kind reads in practice."""


@dataclass(frozen=True)
class Sizes:
    """Of the `generation` part."""

    width: int = 1024
    inner: int = 4096
    heads: int = 16
    layers: int = 24
    vocabulary: int = 32_100
    source: int = 800
    new: int = 512
    samples: int = 16
    rows: tuple[int, ...] = (64, 256, 1024)
    compared: tuple[int, ...] = (64, 256)


class Clock:
    """The time left for everything.

    Args:
        limit: seconds from now on.
    """

    def __init__(self, limit: float) -> None:
        self._end = time.perf_counter() + limit

    def allows(self, seconds: float, what: str) -> bool:
        """Whether so many seconds are left; says so if not."""
        remaining = self._end - time.perf_counter()
        if remaining < seconds:
            print(f"left out: {what} (about {seconds:.0f} s, {remaining:.0f} s are left)", flush=True)
        return remaining >= seconds


TINY = Sizes(64, 128, 4, 2, 512, 24, 12, 4, (8, 16), (8,))


class BarePolicy:
    """What the engine asks of a policy when no request has stop strings."""

    def __init__(self, model: Any) -> None:
        self.model, self.end_ids, self.pad_id = model, (EOS,), PAD
        self.context = context_of(model.config)


def requests_of(prompts: list[list[int]], draws: int, greedy: bool = False) -> list[Request]:
    """One request a prompt."""
    return [Request(f"p{i}", tuple(ids), tuple(range(draws)), greedy) for i, ids in enumerate(prompts)]


def seconds(device: str, work: Callable[[], Any]) -> float:
    """Wall seconds, the device's queue included."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def generation(device: str, sizes: Sizes, clock: Clock) -> list[dict[str, Any]]:
    """Speed at each number of rows."""
    torch.backends.cuda.matmul.allow_tf32 = True
    head = sizes.width // sizes.heads
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = t5_model(
        sizes.vocabulary, sizes.width, inner=sizes.inner, heads=sizes.heads, layers=sizes.layers, dropout_rate=0.1
    ).to(device=device, dtype=dtype)
    with torch.no_grad():
        model.get_output_embeddings().weight[EOS] = 0  # random weights hardly ever end: all rows run to the limit
    results = []
    for rows in sizes.rows:
        if not clock.allows(10 + rows / 32, f"generation with {rows} rows"):
            continue
        prompts = [torch.randint(3, sizes.vocabulary, (sizes.source,)).tolist() for _ in range(rows // sizes.samples)]
        engine = Engine(max_rows=rows, max_cache_tokens=1 << 22, graphs=True)

        def ours(new: int, engine: Engine, prompts: list[list[int]] = prompts) -> None:
            requests = requests_of(prompts, sizes.samples)
            for _ in engine.sample(BarePolicy(model), requests, Sampling(max_new_tokens=new), 0):  # type: ignore[arg-type]
                pass

        first = seconds(device, partial(ours, sizes.new, engine))
        # The engine keeps its graphs; what one call spends before its first step (prompts, weights) is left out below.
        took = seconds(device, partial(ours, sizes.new, engine))
        before = seconds(device, partial(ours, 1, Engine(max_rows=rows, max_cache_tokens=1 << 22, graphs=False)))
        report = engine.report
        assert report is not None
        token = 2 * sizes.heads * head * sizes.layers * dtype.itemsize
        decoder = sizes.layers * (6 * sizes.width**2 + 2 * sizes.width * sizes.inner) + sizes.vocabulary * sizes.width
        moved = dtype.itemsize * decoder + len(prompts) * token * sizes.source + rows * token * sizes.new / 2
        step = (took - before) / report.steps
        result: dict[str, Any] = {
            "rows": rows,
            "tokens_per_second": round(report.tokens / took),
            "milliseconds_a_step": round(1e3 * step, 3),
            "floor_milliseconds": round(1e3 * moved / BYTES_A_SECOND, 3),
            "step_over_floor": round(step / (moved / BYTES_A_SECOND), 2),
            "terabytes_per_second": round(moved / step / 1e12, 3),
            "row_steps_over_needed": round(report.row_steps / report.tokens, 3),
            "seconds_of_first_call_beyond_later_ones": round(first - took, 2),
        }
        if rows in sizes.compared and clock.allows(20, f"no graphs, {rows} rows"):
            slow = seconds(
                device, partial(ours, sizes.new, Engine(max_rows=rows, max_cache_tokens=1 << 22, graphs=False))
            )
            result["milliseconds_a_step_without_graphs"] = round(1e3 * (slow - before) / report.steps, 3)
            result["over_no_graphs"] = round(slow / took, 2)
        if rows in sizes.compared and clock.allows(30 + rows / 8, f"generate, {rows} rows"):
            ids = torch.tensor(prompts, device=device)
            options = {"do_sample": True, "top_k": 0, "num_return_sequences": sizes.samples}

            def theirs(new: int, ids: torch.Tensor = ids, options: dict[str, Any] = options) -> Any:
                return model.generate(input_ids=ids, min_new_tokens=new, max_new_tokens=new, **options)

            theirs(2)
            rate = rows * sizes.new / seconds(device, partial(theirs, sizes.new))
            result["generate_tokens_per_second"] = round(rate)
            result["over_generate"] = round(report.tokens / took / rate, 2)
        if device == "cuda":
            result["peak_gigabytes"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
            torch.cuda.reset_peak_memory_stats()
        results.append(result)
        print(json.dumps(result), flush=True)
        del engine, ours
        if device == "cuda":
            torch.cuda.empty_cache()
    if clock.allows(40, "realistic lengths"):
        results.append(_realistic(device, sizes, model))
        print(json.dumps(results[-1]), flush=True)
    return results


def _realistic(device: str, sizes: Sizes, model: Any) -> dict[str, Any]:
    """Log-normal lengths, four times as many prompts as are decoded at once, at the second number of rows."""
    generator = torch.Generator().manual_seed(0)
    rows = sizes.rows[1]
    prompts = [torch.randint(3, sizes.vocabulary, (sizes.source,)).tolist() for _ in range(4 * rows // sizes.samples)]
    lengths = {
        (i, draw): realistic_length(sizes.new, generator) for i in range(len(prompts)) for draw in range(sizes.samples)
    }
    engine = Engine(max_rows=rows, max_cache_tokens=1 << 22, graphs=True)

    def draw() -> None:
        for _ in engine.sample(
            BarePolicy(model), requests_of(prompts, sizes.samples), Sampling(max_new_tokens=sizes.new), 0
        ):  # type: ignore[arg-type]
            pass

    with forced(lengths):
        first, took = seconds(device, draw), seconds(device, draw)
    report = engine.report
    assert report is not None
    return {
        "rows": rows,
        "lengths": "realistic",
        "tokens_per_second": round(report.tokens / took),
        "row_steps_over_needed": round(report.row_steps / report.tokens, 3),
        "seconds_of_first_call_beyond_later_ones": round(first - took, 2),
    }
