"""CPU time of a training step of soft Q-learning over one of REINFORCE, on the same programs.

    python tests/perf/soft_q.py [--steps 12]

Soft Q-learning scores programs by two more networks, the frozen start and the target, without gradient. Steps of both
alternate, on one thread; CPU time, so that a busy machine matters little. Prints JSON: the median of the paired ratios
and of the CPU seconds of a step, forward and backward passes of one micro-batch of 64 programs by the
default model. Drawing and judging are the same for both.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from rltf.algorithms.objective import Objective
from rltf.algorithms.reinforce import Reinforce
from rltf.algorithms.soft_q import SoftQ
from rltf.algorithms.target import TargetNetwork
from rltf.policies.base import Policy
from rltf.policies.tiny import tiny_t5
from rltf.rollouts.collate import collate_demonstrations
from rltf.training.scoring import Scorer
from rltf.training.target import TargetPolicy
from rltf.types import RolloutBatch

PROGRAMS, SAMPLES = 64, 8


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    policy = tiny_t5()
    start, target = (TargetPolicy(policy, TargetNetwork()) for _ in range(2))
    plain, soft = [], []
    for step in range(steps + 1):
        batch = random_batch(policy, step)
        plain.append(seconds(policy, Reinforce(), batch, None, None))
        soft.append(seconds(policy, SoftQ(), batch, start, target))
    plain, soft = plain[1:], soft[1:]  # the first step makes kernels and buffers
    report = {
        "ratio": round(statistics.median(b / a for a, b in zip(plain, soft, strict=True)), 2),
        "plain_cpu_seconds": round(statistics.median(plain), 3),
        "soft_q_cpu_seconds": round(statistics.median(soft), 3),
    }
    print(json.dumps(report, indent=1))


def seconds(
    policy: Policy, objective: Objective, batch: RolloutBatch, start: TargetPolicy | None, target: TargetPolicy | None
) -> float:
    """CPU seconds of the forward and backward passes of one micro-batch, and of the target's move."""
    policy.zero_grad()
    began = time.process_time()
    scored, _ = Scorer(objective.needs, None)(policy, batch, start and start.policy, target and target.policy, True)
    loss = objective(scored)
    (loss.total / loss.count).backward()
    if target is not None:
        target.move(policy)
    return time.process_time() - began


def random_batch(policy: Policy, seed: int) -> RolloutBatch:
    """Programs of 5 to 40 random tokens, eight a prompt of 30 to 60."""
    draw = random.Random(seed)
    pairs = []
    for _ in range(PROGRAMS // SAMPLES):
        prompt = tuple(draw.randrange(5, 250) for _ in range(draw.randrange(30, 60)))
        pairs += [(prompt, tuple(draw.randrange(5, 250) for _ in range(draw.randrange(5, 40)))) for _ in range(SAMPLES)]
    return collate_demonstrations(pairs, policy.pad_id, policy.prompt_padding)


if __name__ == "__main__":
    main()
