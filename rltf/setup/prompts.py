"""Learned prompts of a run's policy, before training."""

from __future__ import annotations

from itertools import islice

from rltf.benchmarks.base import Benchmark
from rltf.policies.base import Policy
from rltf.policies.seq2seq import Seq2SeqPolicy


def start_prompts(policy: Policy, benchmark: Benchmark) -> None:
    """Sets new learned prompts by the first training problems of each task; does nothing where there are none, or where
    they come from a policy's folder.

    Raises:
        ValueError: a task of `model.prompts` has no training problem.
    """
    if not isinstance(policy, Seq2SeqPolicy) or policy.prompt_pool is None or policy.prompt_pool.is_set:
        return
    options = policy.prompt_pool.options
    problems = {
        task: islice((p for p in benchmark.problems("train") if p.task == task), options.keys) for task in options.tasks
    }
    policy.start_prompts({task: [benchmark.prompt(p) for p in first] for task, first in problems.items()})
