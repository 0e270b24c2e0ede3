"""Training step with prompts shared by the samples of a problem, against the same step with every prompt repeated.

    python tests/perf/training.py [--quick] [--pairs 5]

A step is log-probs of 4 problems x 8 responses, backward, and AdamW (source 200, target 128 tokens). All sides take it
with the same weights, one after the other in one process on one thread, by the CPU clock; a figure is the median of
paired ratios. `speed` is over a step that repeats prompts, with which gradients are compared, and the bytes saved for
backward (unique storages, parameters left out). `long_tailed` is another comparison: responses of log-normal lengths
(median 150 of 512, sigma 0.7), in buckets of like length against one rectangle, both with shared prompts. `zero_weight`
is the step where the programs of three problems of four weigh 0, as where nobody passes: all rows over those of the
fourth (`rollouts.skip_zero_weight`). Prints JSON.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor

from rltf.policies.causal import CausalPolicy
from rltf.policies.forward.length_buckets import PASS_TOKENS
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.policies.tiny import tiny_causal, tiny_t5

PROBLEMS, SAMPLES, SOURCE, TARGET = 4, 8, 200, 128
Policy = Seq2SeqPolicy | CausalPolicy
CELLS: dict[str, tuple[Callable[[], Policy], dict[str, float]]] = {
    "T5 d128 2+2": (lambda: tiny_t5(layers=2, max_prompt_tokens=SOURCE), {"speed": 2.1, "saved_bytes": 0.6}),
    "T5 d256 4+4": (lambda: tiny_t5(256, 1024, layers=4, max_prompt_tokens=SOURCE), {}),
    "Llama d128 4 layers": (lambda: tiny_causal(d_ff=512, layers=4, max_prompt_tokens=SOURCE), {}),
    "Llama d256 6 layers": (lambda: tiny_causal(256, 1024, layers=6, max_prompt_tokens=SOURCE), {}),
}
QUICK = ("T5 d128 2+2", "Llama d128 4 layers")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the small shapes, 3 pairs")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", default="", help="cells whose name holds this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pairs = 3 if arguments.quick else arguments.pairs
    names = [name for name in (QUICK if arguments.quick else CELLS) if arguments.only in name]
    setting = {"threads": 1, "problems": PROBLEMS, "samples": SAMPLES, "source": SOURCE, "target": TARGET}
    cells = [
        {
            "cell": name,
            **measure(*CELLS[name], pairs),
            "long_tailed": long_tailed(CELLS[name][0](), pairs),
            "zero_weight": zero_weight(CELLS[name][0](), pairs),
        }
        for name in names
    ]
    print(json.dumps({**setting, "torch": torch.__version__, "pairs": pairs, "cells": cells}, indent=2))


def measure(build: Callable[[], Policy], goals: dict[str, float], pairs: int) -> dict[str, Any]:
    """Speed, gradients and saved bytes of one model."""
    shared = build().train()
    repeated = copy.deepcopy(shared)
    repeated.share_prompts = False
    batch = rows()
    sides = {"repeated": Side(repeated, batch), "shared": Side(shared, batch)}
    saved = {name: side.saved_bytes() for name, side in sides.items()}
    gradients = {name: side.gradients() for name, side in sides.items()}
    difference = max(
        float((a - b).norm() / b.norm()) for a, b in zip(gradients["shared"], gradients["repeated"], strict=True)
    )
    for side in sides.values():  # the first step makes the optimiser's state
        side.step()
    seconds = [{name: side.step() for name, side in sides.items()} for _ in range(pairs)]
    ratios = [pair["repeated"] / pair["shared"] for pair in seconds]
    return {
        "speed": round(statistics.median(ratios), 3),
        "speeds": [round(ratio, 2) for ratio in ratios],
        "saved_bytes": round(saved["shared"] / saved["repeated"], 3),
        "largest_relative_gradient_difference": difference,
        "goals": goals,
        "seconds": {name: round(statistics.median(pair[name] for pair in seconds), 3) for name in sides},
        "saved_megabytes": {name: round(size / 1e6, 1) for name, size in saved.items()},
    }


def long_tailed(policy: Policy, pairs: int) -> dict[str, Any]:
    """Speed of buckets over one rectangle, and the share of real tokens of both."""
    draw = random.Random(0)
    lengths = [min(512, round(150 * math.exp(0.7 * draw.gauss(0, 1)))) for _ in range(PROBLEMS * SAMPLES)]
    prompt, prompt_mask, *_ = rows()
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    response = torch.randint(3, 500, mask.shape, generator=torch.Generator().manual_seed(0))
    side = Side(policy.train(), (prompt, prompt_mask, response, mask))

    def step(pass_tokens: int) -> tuple[float, float]:
        with mock.patch.dict(PASS_TOKENS, cpu=pass_tokens):
            return side.step(), policy.token_count.pop_efficiency() or 0.0

    steps = [(step(PASS_TOKENS["cpu"]), step(10**9)) for _ in range(pairs + 1)][1:]
    speeds = [whole[0] / split[0] for split, whole in steps]
    return {
        "speed": round(statistics.median(speeds), 2),
        "speeds": [round(speed, 2) for speed in speeds],
        "token_efficiency": round(steps[0][0][1], 3),
        "token_efficiency_of_one_rectangle": round(steps[0][1][1], 3),
    }


def zero_weight(policy: Policy, pairs: int) -> dict[str, Any]:
    """Speed of the rows of one problem over those of all four."""
    batch = rows()
    every = Side(policy.train(), batch)
    weighted = Side(policy, tuple(part[:SAMPLES] for part in batch))  # type: ignore[arg-type]
    steps = [(weighted.step(), every.step()) for _ in range(pairs + 1)][1:]
    speeds = [whole / part for part, whole in steps]
    return {"speed": round(statistics.median(speeds), 2), "speeds": [round(speed, 2) for speed in speeds]}


def rows() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Prompt, its mask, response, its mask: nothing is padded, as in a bucket of like lengths."""
    draw = torch.Generator().manual_seed(0)
    prompt = torch.randint(3, 500, (PROBLEMS, SOURCE), generator=draw).repeat_interleave(SAMPLES, 0)
    response = torch.randint(3, 500, (PROBLEMS * SAMPLES, TARGET), generator=draw)
    return prompt, torch.ones_like(prompt, dtype=torch.bool), response, torch.ones_like(response, dtype=torch.bool)


class Side:
    """A policy with its optimiser."""

    def __init__(self, policy: Policy, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
        self.policy, self.batch = policy, batch
        self.optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4, fused=True)
        self.weight = torch.randn(batch[2].shape, generator=torch.Generator().manual_seed(1))

    def loss(self) -> Tensor:
        """A weighted sum of log-probs, as policy gradients are."""
        return -(self.policy.token_logprobs(*self.batch)[0] * self.weight).mean()

    def step(self) -> float:
        """CPU seconds of one step."""
        start = time.process_time()
        self.loss().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return time.process_time() - start

    def gradients(self) -> tuple[Tensor, ...]:
        """Gradients of all weights."""
        return torch.autograd.grad(self.loss(), list(self.policy.parameters()))

    def saved_bytes(self) -> int:
        """Bytes saved for backward, each storage once."""
        parameters = {weight.untyped_storage().data_ptr() for weight in self.policy.parameters()}
        storages: dict[int, tuple[int, Tensor]] = {}

        def record(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in parameters:
                storages[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no address comes twice
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
            loss = self.loss()
        total = sum(size for size, _ in storages.values())
        del loss
        return total


if __name__ == "__main__":
    main()
