"""Small policies, and programs of random tokens for critics to read."""

from __future__ import annotations

import random
from dataclasses import replace

import torch

from rltf.critics.outcome import OutcomeCritic
from rltf.critics.value import MlpCritic, ValueCritic
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.types import CriticPrediction, FinishReason, Outcome, Program, Rollout, Verdict

POLICIES = {
    "T5": lambda: tiny_t5(d_model=32, d_ff=64, layers=1, heads=2),
    "causal": lambda: tiny_causal(d_model=32, d_ff=64, layers=1, heads=2),
}
CRITICS = {"outcome": OutcomeCritic, "value": ValueCritic, "mlp": MlpCritic}


def program_of(ids, prompt=(7, 8, 9), logprobs=None, **more):
    offsets = tuple((i, i + 1) for i in range(len(ids)))
    return Program(
        "p",
        "x" * len(ids),
        tuple(prompt),
        tuple(ids),
        offsets,
        logprobs or (-1.0,) * len(ids),
        FinishReason.EOS,
        **more,
    )


def rollout_of(ids, outcome=Outcome.PASSED, reward=1.0, credits=(), critic=None, **more):
    verdict = Verdict(outcome, 0, 1)
    return Rollout(program_of(ids, **more), verdict, tuple(credits), reward, 0.0, reward, critic=critic)


def random_rollouts(count, seed=0, longest=9):
    """Programs of 1 to `longest` tokens and any outcome."""
    draw = random.Random(seed)
    return [
        rollout_of(
            [draw.randrange(3, 400) for _ in range(draw.randint(1, longest))],
            draw.choice(list(Outcome)),
            draw.uniform(-1, 1),
            prompt=[draw.randrange(3, 400) for _ in range(draw.randint(2, 5))],
        )
        for _ in range(count)
    ]


def with_returns(rollouts, seed=1):
    """As `credit=gae` would leave them."""
    draw = random.Random(seed)
    return [
        replace(r, critic=replace(r.critic, returns=tuple(draw.uniform(-1, 1) for _ in r.program.token_ids)))
        for r in rollouts
    ]


def started(critic):
    critic.start(torch.device("cpu"))
    return critic


def shaken(critic, size=0.3):
    """A critic whose head is no longer zero."""
    with torch.no_grad():
        for number, weight in enumerate(critic.network.head.parameters()):
            weight += size * torch.randn(weight.shape, generator=torch.Generator().manual_seed(number))
    return critic


def reading(values, returns=()):
    return CriticPrediction(tuple(values), returns=tuple(returns))
