"""The objects of a run, built from the config in the order in which a mistake is cheapest to find."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import lightning.pytorch as L
import torch
from omegaconf import DictConfig, OmegaConf

from rltf.algorithms.advantages import Advantages
from rltf.benchmarks.base import Benchmark
from rltf.critics.base import Critic
from rltf.execution import LocalExecutor
from rltf.execution.cores import CorePinning, CorePlan, available_cores
from rltf.execution.executor import Executor
from rltf.generation.sampler import Sampler
from rltf.inference.base import Inference
from rltf.policies.base import Policy
from rltf.rewards.base import RewardStack
from rltf.rollouts.buffer import RolloutBuffer
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.setup.credit import credit_of
from rltf.setup.instantiate import build
from rltf.training.datamodule import EvaluationPlan, RolloutDataModule
from rltf.types import Sampling


@dataclass(frozen=True)
class Components:
    """What training and evaluation share. Close it: it owns the sandbox's processes."""

    policy: Policy
    benchmark: Benchmark
    executor: Executor
    sampling: Sampling
    """Of training rollouts."""
    pipeline: RolloutPipeline
    clock: PhaseClock
    confinement: CorePinning | None
    """Of the sandbox to its cores; several training processes of a machine leave that to the scheduler."""

    @classmethod
    def of(cls, cfg: DictConfig, clock: PhaseClock) -> Self:
        """Builds everything; `clock` is the run's, started by the command.

        Raises:
            ValueError: a part refused its config.
        """
        L.seed_everything(cfg.seed, verbose=False)
        if cfg.get("benchmark") is None:
            raise ValueError("benchmark is not named, and this model's recipe has none: expected benchmark=NAME")
        policy: Policy = build(cfg, "model")
        benchmark: Benchmark = build(cfg, "benchmark")
        if "_target_" in (cfg.get("stage") or {}):
            benchmark = build(cfg, "stage", benchmark=benchmark)
        rewards: RewardStack = build(cfg, "reward")
        advantages: Advantages = build(cfg, "algorithm.advantages")
        sampler: Sampler = build(cfg, "generation.sampler")
        sampling: Sampling = build(cfg, "generation.sampling")
        plan = CorePlan.of(available_cores(), cfg.executor.get("workers"))
        executor: Executor = build(cfg, "executor", workers=plan.workers)
        torch.set_num_threads(plan.threads)
        critic: Critic | None = build(cfg, "critic", policy=policy)
        pipeline = RolloutPipeline(
            benchmark,
            policy,
            sampler,
            executor,
            rewards,
            advantages,
            clock,
            critic=critic,
            credit=credit_of(cfg, critic),
            curriculum=build(cfg, "curriculum", benchmark=benchmark, policy=policy),
            selection=build(cfg, "algorithm.selection"),
        )
        confinement = None
        if isinstance(executor, LocalExecutor) and OmegaConf.select(cfg, "trainer.strategy", default="auto") == "auto":
            confinement = clock.watch = CorePinning(executor.use_cores, plan.threads)
        return cls(policy, benchmark, executor, sampling, pipeline, clock, confinement)

    def datamodule(
        self, cfg: DictConfig, rank: int = 0, world_size: int = 1, inference: Inference | None = None
    ) -> RolloutDataModule:
        """The DataModule of a run; `inference` finds the programs of its test."""
        plan = cfg.evaluation
        greedy = plan.temperature == 0
        held_out = replace(
            self.sampling,
            temperature=1.0 if greedy else plan.temperature,
            top_p=plan.top_p,
            top_k=0,
            min_p=0.0,
        )
        return RolloutDataModule(
            benchmark=self.benchmark,
            policy=self.policy,
            pipeline=self.pipeline,
            buffer=build(cfg, "buffer") if "buffer" in cfg else RolloutBuffer(),
            validation=EvaluationPlan(
                split="validation",
                problems=plan.get("validation_problems"),
                samples=plan.get("validation_samples", 1),
                sampling=held_out,
                seed=cfg.seed,
            ),
            test=EvaluationPlan(
                split=plan.split,
                problems=plan.problems,
                samples=0 if greedy else plan.samples,
                sampling=held_out,
                seed=cfg.seed,
                greedy=plan.greedy or greedy,
            ),
            max_tokens=self.sampling.max_new_tokens,
            seed=cfg.seed,
            rank=rank,
            world_size=world_size,
            inference=inference,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.confinement is not None:
            self.clock.watch = None
            self.confinement.close()
        self.executor.close()
