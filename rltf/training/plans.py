"""Sizes of what the DataModule gives: a training epoch and an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from rltf.algorithms.loss_mix import LossMix
from rltf.training.auxiliary import Auxiliary
from rltf.types import Sampling, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """Sizes of a training epoch: an iteration of RL, or the warm-up between two checkpoints."""

    mix: LossMix
    """Its loss terms decide whether micro-batches hold rollouts, demonstrations or both."""
    updates: int
    """Optimiser steps per epoch."""
    accumulate: int
    """Micro-batches per optimiser step."""
    batch_size: int
    """Rollouts per micro-batch."""
    demonstrations: int
    """Demonstrations per micro-batch."""
    total_updates: int | None = None
    """Optimiser steps of all epochs, if the last epoch is shorter; None: all epochs have `updates`."""
    auxiliary: Auxiliary | None = None
    """Makes a batch of its own beside the rollouts of each micro-batch; None: there is no auxiliary loss."""
    skip_zero_weight: bool = False
    """Leave rows out of forward passes whose tokens all weigh 0. They count in the divisors."""
    iterations: int | None = None
    """Epochs over which a plan of problems stretches; None: the plan waits, and every problem has its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """Problems of an evaluation, and the programs sampled for each."""

    split: Split
    problems: int | None
    """Number of problems, from the start of the split; None: all."""
    samples: int
    """Programs per problem, besides the greedy one."""
    sampling: Sampling
    """Distribution of the sampled programs."""
    seed: int
    greedy: bool = False
    """Also decode the greedy program."""
    chunk_size: int = 64
    """Problems sampled together; the next chunk is sampled while the programs of this one are judged."""
