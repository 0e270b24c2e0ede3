"""The objects of a run, built from the config in the order in which a mistake is cheapest to find."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import lightning.pytorch as L
import torch
from omegaconf import DictConfig, OmegaConf

from rltf.benchmarks.base import Benchmark
from rltf.critics.base import Critic
from rltf.execution import LocalExecutor
from rltf.execution.cores import CorePinning, CorePlan, available_cores
from rltf.execution.executor import Executor
from rltf.generation.auto import AutoSampler
from rltf.generation.sampler import Sampler
from rltf.inference.base import Inference
from rltf.policies.base import Policy
from rltf.policies.context import check_context
from rltf.policies.precision import check_trained_weights
from rltf.rewards.base import RewardStack
from rltf.rollouts.buffer import RolloutBuffer
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.interfaces import Curriculum, ProblemPlan
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.rollouts.self_check import check_sampler
from rltf.setup.benchmark import build_benchmark, check_credit
from rltf.setup.combinations import build_credit
from rltf.setup.config import EvaluationConfig
from rltf.setup.instantiate import build
from rltf.setup.prompts import start_prompts
from rltf.setup.signatures import read_signature
from rltf.training.datamodule import RolloutDataModule
from rltf.training.plans import EvaluationPlan
from rltf.types import Sampling


@dataclass(frozen=True)
class Components:
    """What draws and judges programs, in training, in evaluation and in jobs. A context manager: it owns the sandbox's
    processes."""

    policy: Policy
    benchmark: Benchmark
    executor: Executor
    sampling: Sampling
    """Distribution of training programs."""
    pipeline: RolloutPipeline
    clock: PhaseClock
    """Wall time by phase."""
    pinning: CorePinning | None
    """Of the sandbox to its cores; None: several training processes share the machine, or judging happens elsewhere."""
    tasks: ProblemPlan | None = None
    """Decides which training problem comes next; None: all have their turn, or a curriculum decides."""

    @classmethod
    def build(
        cls, cfg: DictConfig, clock: PhaseClock, training: bool = True, benchmark: Benchmark | None = None
    ) -> Self:
        """The components of a run.

        Args:
            cfg: the whole config.
            clock: started by the command.
            training: False: programs are drawn and judged, and get neither reward nor credit.
            benchmark: the config's, where it is built already.

        Raises:
            ValueError: a component refused its options.
        """
        L.seed_everything(cfg.seed, verbose=False)
        benchmark = benchmark or build_benchmark(cfg)  # files, then weights: these may be gigabytes on a hub
        advantages = build(cfg, "algorithm.advantages") if training else None
        credit = build_credit(cfg) if training else None
        check_credit(benchmark, credit)
        policy: Policy = build(cfg, "model")
        if training:
            check_trained_weights(policy)
        rewards: RewardStack | None = build(cfg, "reward") if training else None  # one may be a network, too
        if rewards is not None:
            rewards.bind(policy, benchmark)
        sampler: Sampler = build(cfg, "generation.sampler")
        if isinstance(sampler, AutoSampler):
            sampler = sampler.choose(policy)
        sampling: Sampling = build(cfg, "generation.sampling")
        check_context(policy.context, policy.max_prompt_tokens, sampling, policy.response_limit)
        if cfg.generation.self_check:
            check_sampler(policy, sampler, sampling.max_new_tokens)
        cores = CorePlan.of(available_cores(), cfg.executor.get("workers"))
        executor: Executor = build(cfg, "executor", workers=cores.workers)
        torch.set_num_threads(cores.threads)
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
            credit=credit,
            curriculum=build_curriculum(cfg, benchmark, policy),
            selection=build(cfg, "algorithm.selection"),
        )
        tasks: ProblemPlan | None = build(cfg, "tasks") if training else None
        if tasks is not None and isinstance(pipeline.curriculum, ProblemPlan):
            raise ValueError("tasks= and curriculum= both say which problem comes next: expected one of them")
        parts = (tasks, pipeline.curriculum, pipeline.multi_round_sampler)
        if benchmark.part_weights() and any(isinstance(part, ProblemPlan) for part in parts):
            raise ValueError(
                "benchmark.weights says how often a part comes, and tasks=, curriculum= or inference= which problem "
                "comes next: expected one of them (benchmark.weights=null)"
            )
        if training:
            start_prompts(policy, benchmark)
        pinning = None
        if isinstance(executor, LocalExecutor) and OmegaConf.select(cfg, "trainer.strategy", default="auto") == "auto":
            pinning = clock.on_phase = CorePinning(executor.use_cores, cores.threads)
        return cls(policy, benchmark, executor, sampling, pipeline, clock, pinning, tasks)

    def datamodule(
        self,
        evaluation: EvaluationConfig,
        seed: int,
        trainer: L.Trainer,
        buffer: RolloutBuffer | None = None,
        inference: Inference | None = None,
    ) -> RolloutDataModule:
        """The DataModule of a run.

        Args:
            evaluation: held-out problems and programs.
            seed: of the run.
            trainer: says which share of the problems this process has.
            buffer: of rollouts; None: nothing is trained.
            inference: chooses the programs of the test; None: the policy's, as drawn.
        """
        greedy = evaluation.temperature == 0
        held_out = replace(
            self.sampling,
            temperature=1.0 if greedy else evaluation.temperature,
            top_p=evaluation.top_p,
            top_k=0,
            min_p=0.0,
        )
        return RolloutDataModule(
            benchmark=self.benchmark,
            policy=self.policy,
            pipeline=self.pipeline,
            buffer=buffer if buffer is not None else RolloutBuffer(),
            validation=EvaluationPlan(
                split="validation",
                problems=evaluation.validation_problems,
                samples=evaluation.validation_samples,
                sampling=held_out,
                seed=seed,
            ),
            test=EvaluationPlan(
                split=evaluation.split,
                problems=evaluation.problems,
                samples=0 if greedy else evaluation.samples,
                sampling=held_out,
                seed=seed,
                greedy=evaluation.greedy or greedy,
            ),
            max_tokens=self.sampling.max_new_tokens,
            seed=seed,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
            inference=inference,
            problem_plan=self.problem_plan,
        )

    @property
    def problem_plan(self) -> ProblemPlan | None:
        """What decides which training problem comes next: a plan of tasks, or a curriculum or a search that does; None:
        all have their turn."""
        parts = (self.tasks, self.pipeline.curriculum, self.pipeline.multi_round_sampler)
        return next((part for part in parts if isinstance(part, ProblemPlan)), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.pinning is not None:
            self.clock.on_phase = None
            self.pinning.close()
        self.executor.close()


def build_curriculum(cfg: DictConfig, benchmark: Benchmark, policy: Policy) -> Curriculum | None:
    """The curriculum of a run, given benchmark and policy where it asks for them; None without one.

    Raises:
        ValueError: it refused its options.
    """
    target = OmegaConf.select(cfg, "curriculum._target_")
    signature = None if target is None else read_signature(target)
    parts = {"benchmark": benchmark, "policy": policy}
    arguments = (
        parts if signature is None else {name: part for name, part in parts.items() if name in signature.parameters}
    )
    curriculum: Curriculum | None = build(cfg, "curriculum", **arguments)
    return curriculum
