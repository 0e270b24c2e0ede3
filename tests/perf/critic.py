"""What a critic costs: an iteration's training with it, against the same without.

    python tests/perf/critic.py [--pairs 5] [--only T5]

An iteration has `--programs` programs, and `--updates` optimiser steps of the policy on 16 of them each: log-probs, a
clipped loss, backward, AdamW. With a critic it also has the critic's predictions for all programs, and its training on
a share of them.
Each pair takes both in turn, on one thread, by the CPU clock, in either order; a figure is the median of paired ratios.
Goal: at most 1.6 for a critic of the policy's size. The policy trains 2.5 times on each program by default, as in
configs/train.yaml; `--programs 32 --updates 2` is once, as in the recipes of the small models. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from rltf.algorithms.grpo import GRPO
from rltf.algorithms.objective import BatchLogprobs
from rltf.credit.gae import GAECredit
from rltf.critics.base import Critic
from rltf.critics.outcome import OutcomeCritic
from rltf.critics.value import MlpCritic, ValueCritic
from rltf.policies.base import Policy
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.rollouts.collate import collate
from rltf.types import FinishReason, Outcome, Program, Rollout, Verdict

POLICIES: dict[str, Callable[[], Policy]] = {"T5 d128 3+3": tiny_t5, "Llama d128 6 layers": tiny_causal}
CRITICS: dict[str, Callable[..., Critic]] = {"outcome": OutcomeCritic, "value": ValueCritic, "mlp": MlpCritic}
MICRO = 16
GOAL = 1.6


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--programs", type=int, default=64)
    parser.add_argument("--updates", type=int, default=10, help="of the policy")
    parser.add_argument("--passes", type=float, default=0.25, help="of the critic over the programs")
    parser.add_argument("--only", default="", help="policies whose name holds this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    programs = random_rollouts(arguments.programs)
    cells = [
        {"policy": name, "critic": kind, **measure(build(), make, programs, arguments)}
        for name, build in POLICIES.items()
        for kind, make in CRITICS.items()
        if arguments.only in name
    ]
    setting = {
        "programs": len(programs),
        "updates": arguments.updates,
        "passes": arguments.passes,
        "threads": 1,
        "goal": GOAL,
    }
    print(json.dumps({**setting, "load": os.getloadavg()[0], "torch": torch.__version__, "cells": cells}, indent=2))


def measure(
    policy: Policy, make: Callable[..., Critic], programs: list[Rollout], arguments: argparse.Namespace
) -> dict[str, object]:
    """Ratios of an iteration with the critic to one without."""
    critic = make(policy, passes=arguments.passes)
    critic.start(torch.device("cpu"))
    policy.train()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-5, fused=True)

    def without() -> None:
        train(policy, optimizer, programs, arguments.updates)

    def with_critic() -> None:
        predicted = critic.add_predictions(programs)
        critic.learn(GAECredit()(predicted) if critic.kind == "value" else predicted)
        train(policy, optimizer, programs, arguments.updates)

    for action in (without, with_critic):  # first steps make the optimisers' states
        action()
    ratios, alone = [], []
    for number in range(arguments.pairs):
        order = (without, with_critic) if number % 2 else (with_critic, without)
        seconds = {action: timed(action) for action in order}
        ratios.append(seconds[with_critic] / seconds[without])
        alone.append(seconds[without])
    return {
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "seconds_without": round(statistics.median(alone), 2),
    }


def train(policy: Policy, optimizer: torch.optim.Optimizer, programs: list[Rollout], updates: int) -> None:
    """The policy's optimiser steps."""
    draw = random.Random(0)
    for _ in range(updates):
        batch = collate(draw.sample(programs, MICRO), policy.pad_id, policy.prompt_padding)
        logprobs_BT, _ = policy.token_logprobs(
            batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.response_mask_BT, entropy=True
        )
        scored = BatchLogprobs(replace(batch, old_logprobs_BT=logprobs_BT.detach()), logprobs_BT)
        loss = GRPO(reduction="token_mean")(scored)
        (loss.total / loss.count).backward()
        optimizer.step()
        optimizer.zero_grad()


def random_rollouts(count: int) -> list[Rollout]:
    """Programs of 20 to 100 tokens, 16 per problem, with prompts of 60 to 120 tokens."""
    draw = random.Random(0)
    rollouts = []
    for number in range(count):
        if number % 16 == 0:
            prompt = tuple(draw.randrange(3, 500) for _ in range(draw.randint(60, 120)))
        ids = tuple(draw.randrange(3, 500) for _ in range(draw.randint(20, 100)))
        offsets = tuple((i, i + 1) for i in range(len(ids)))
        program = Program(str(number // 16), "x" * len(ids), prompt, ids, offsets, (-1.0,) * len(ids), FinishReason.EOS)
        reward = draw.uniform(-1, 1)
        rollouts.append(Rollout(program, Verdict(draw.choice(list(Outcome)), 0, 1), (), reward, 0.0, reward))
    return rollouts


def timed(action: Callable[[], None]) -> float:
    """CPU seconds."""
    start = time.process_time()
    action()
    return time.process_time() - start


if __name__ == "__main__":
    main()
