"""The LightningModule: policy, frozen reference, loss mix and optimiser; `rltf.training.evaluated` is its other half.

One module serves both phases, `warmup` (supervised) and `rl`; `start` switches. Metrics of a step are collected in one
dict and written every `log_every_n_steps`: each `self.log` would cost 0.25 ms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor
from typing_extensions import override

from rltf.algorithms.objective import BatchLogprobs
from rltf.algorithms.ratios import k1, masked_mean, policy_metrics
from rltf.policies.base import Policy
from rltf.runs.legacy import upgrade_checkpoint
from rltf.training.auxiliary import AUXILIARY, Auxiliary
from rltf.training.evaluated import EvaluatedModule
from rltf.training.idle import IdleIterations
from rltf.training.log import StepMetrics, log_row
from rltf.training.micro_batches import TrainBatch
from rltf.training.nonfinite import SkippedSteps
from rltf.training.oom_retry import OOMRetry
from rltf.training.phase import Phase
from rltf.training.scoring import Scorer, with_key_loss
from rltf.training.sharding import (
    ShardedStrategy,
    copy_full_weights,
    drop_frozen_weights,
    full_tensor,
    restore_frozen_weights,
    shard_policy,
)
from rltf.training.target import TargetPolicy
from rltf.types import Sampling


class RLTFModule(EvaluatedModule):
    """Trains a policy on demonstrations and judged programs.

    Args:
        policy: the policy to train.
        sampling: distribution that rollouts are drawn from; log-probs of the RL term are taken under it.
        ks: values of k of pass@k in validation and test.
        keeps_start_policy: keep a frozen copy of the policy as it is when RL starts: the reference of KL terms.
    """

    strict_loading = False  # the frozen reference is left out of checkpoints

    def __init__(self, policy: Policy, sampling: Sampling, ks: Sequence[int], keeps_start_policy: bool = False) -> None:
        super().__init__(ks)
        self.policy = policy
        self.sampling = sampling
        self.phase: Phase | None = None
        """The phase that `fit` trains; None: `start` was not called, as in an evaluation."""
        self.keeps_start_policy = keeps_start_policy
        self._start_policy: tuple[Policy, ...] = ()  # in a tuple: no submodule, so neither trained nor saved
        self._unsharded_policy: tuple[Policy, ...] = ()  # the same
        self._target: TargetPolicy | None = None
        self.auxiliary: Auxiliary | None = None
        """The loss beside that of RL, and its layers; None: there is none, or RL has not begun."""
        self._step_metrics = StepMetrics()
        self._trained: list[torch.nn.Parameter] = []
        self.start_version = 0
        """Policy version at the start of the phase: optimiser steps of earlier phases."""
        self.last_loss: float | None = None
        """Mean over the last logged steps, for the progress display."""
        self._logged_metrics: dict[str, float] = {}
        self._logged_step = -1
        self._skipped_steps = SkippedSteps()
        self._idle_iterations = IdleIterations()
        self._last_batch: TrainBatch | None = None
        self._oom_retry = OOMRetry(self._forward, self._add_gradient, lambda: self.trainer.optimizers[0].zero_grad())

    def start(self, phase: Phase, start_version: int = 0) -> None:
        """Sets the phase that the next `fit` trains.

        Args:
            phase: loss, optimiser and schedule.
            start_version: optimiser steps of earlier phases.
        """
        self.phase, self.start_version = phase, start_version
        self.policy.train()
        self.policy.start_phase(supervised=phase.name != "rl" or not phase.mix.needs_rollouts)
        if phase.name == "rl" and self.keeps_start_policy:
            policy = self._unsharded_policy[0] if self._unsharded_policy else self.policy
            self._start_policy = (policy.copy().requires_grad_(False).eval(),)
        self._target = None if phase.target is None else TargetPolicy(self.policy, phase.target)
        self.auxiliary = phase.auxiliary
        if self.auxiliary is not None:
            self.auxiliary.start(self.policy)

    @property
    def phase_name(self) -> str:
        """`warmup` or `rl`; empty before `start`."""
        return self.phase.name if self.phase else ""

    @property
    def start_policy(self) -> Policy:
        """The policy as it was when RL started, frozen; only with `keeps_start_policy`."""
        return self._start_policy[0]

    @property
    def steps(self) -> int:
        """Optimiser steps over all phases: the policy version."""
        return self.start_version + self.trainer.global_step

    @property
    def _followers(self) -> list[TargetPolicy | Auxiliary]:
        """What goes after the policy, step by step, with a state of its own in checkpoints."""
        return [follower for follower in (self._target, self.auxiliary) if follower is not None]

    @override
    def on_fit_start(self) -> None:
        for policy in self._start_policy:
            policy.to(self.device)
        for follower in self._followers:
            follower.place(self.device)

    @override
    def on_train_start(self) -> None:
        self._logged_step = self.steps  # no row before the first step, also of a resumed run

    @override
    def configure_model(self) -> None:
        # Lightning calls this before every fit and test. Samplers, demonstrations and export keep the unsharded policy.
        if isinstance(self.trainer.strategy, ShardedStrategy) and not self._unsharded_policy:
            self._unsharded_policy = (self.policy,)
            self.policy = shard_policy(self.policy)

    def gather_policy(self) -> None:
        """Copies the present weights into the unsharded policy, where weights are sharded; a collective call."""
        for policy in self._unsharded_policy:
            copy_full_weights(self.policy, policy.to(self.device))

    @override
    def configure_optimizers(self) -> Any:
        phase = self.phase
        assert phase is not None, "start(phase) comes before fit"
        self._trained = [p for p in self.policy.parameters() if p.requires_grad]
        trained = self.policy.parameter_groups() or self._trained
        # a fused step unscales float16 gradients itself, after they were clipped: too late
        optimizer = phase.make_optimizer(trained, fused=self.trainer.precision != "16-mixed")
        if self.auxiliary is not None:
            optimizer.add_param_group({"params": self._auxiliary_weights, "lr": self.auxiliary.lr})
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, phase.lr_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @property
    def _auxiliary_weights(self) -> list[torch.nn.Parameter]:
        return [] if self.auxiliary is None else list(self.auxiliary.parameters())

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        drop_frozen_weights(self, checkpoint)
        for follower in self._followers:
            follower.save(checkpoint, self.policy)

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        upgrade_checkpoint(checkpoint)
        restore_frozen_weights(self, checkpoint)
        for follower in self._followers:
            follower.load(checkpoint)

    @override
    def training_step(self, batch: TrainBatch, batch_idx: int) -> Tensor:
        # The gradient is added here and not by Lightning, so that running out of memory can be undone.
        self._last_batch = batch
        accumulate = self.trainer.accumulate_grad_batches
        if batch_idx % accumulate == 0:
            self._oom_retry.begin_step()
        exchanges = self.trainer.world_size > 1 and (batch_idx + 1) % accumulate == 0
        shards = type(self.trainer.strategy) not in (SingleDeviceStrategy, DDPStrategy)  # forward passes are collective
        if shards or (exchanges and self._oom_retry.fits_whole(batch)):
            loss, metrics = self._forward(batch)
            self._step_metrics.add(metrics)
            return loss
        loss, piece_metrics = self._oom_retry.add_gradient(batch)
        for metrics_of_piece in piece_metrics:
            self._step_metrics.add({**metrics_of_piece, "loss/total": loss})
        weights = [*self._trained, *self._auxiliary_weights]
        return loss + sum(0.0 * weight.sum() for weight in weights) if exchanges else loss

    @override
    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        if loss.requires_grad:  # else `training_step` has added the gradient
            loss.backward()

    @override
    def optimizer_zero_grad(self, *args: Any) -> None:
        pass  # `training_step` drops gradients at the start of a step, before its first loss

    def _add_gradient(self, loss: Tensor) -> None:
        strategy, accumulate = self.trainer.strategy, self.trainer.accumulate_grad_batches
        scaled = strategy.precision_plugin.pre_backward(loss / accumulate, self)
        with torch.autocast(self.device.type, enabled=False):  # backward passes take the types of their forward pass
            scaled.backward()

    def _forward(self, batch: TrainBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and detached metrics of a micro-batch or a piece of it, from log-probs under the present weights."""
        assert self.phase is not None
        self.policy.pop_key_loss()  # of a pass that ran out of memory
        term_logprobs: dict[str, BatchLogprobs] = {}
        metrics: dict[str, Tensor] = {}
        for name, part in batch.batches.items():
            reference = self.start_policy if name == "rl" and self._start_policy else None
            target = self._target.policy if self._target else None
            scored, entropy_BT = self._scorer(name)(self.policy, part, reference, target, entropy=name == "rl")
            term_logprobs[name] = scored
            if scored.reference is not None:
                kl_BT, finite_BT = k1(scored.logprobs_BT.detach(), scored.reference.logprobs_BT)
                metrics["policy/kl"] = masked_mean(kl_BT, part.mask_BT & finite_BT)
            if name == "rl":
                self._idle_iterations.add_programs(part)
                metrics |= policy_metrics(part, entropy_BT, self.steps)
        others = {}
        if self.auxiliary is not None and batch.auxiliary is not None:
            others[AUXILIARY] = (self.auxiliary(self.policy, batch.auxiliary), self.auxiliary.weight)
        mixed = self.phase.mix(term_logprobs, batch.divisors, others)
        return with_key_loss(self.policy, mixed.total, metrics | mixed.metrics)

    def _scorer(self, name: str) -> Scorer:
        """What scores the batches of a loss term."""
        assert self.phase is not None
        mix = self.phase.mix
        return Scorer(mix.terms[name].objective.needs, self.sampling if name in mix.sampled_terms else None)

    @override
    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # One pass over the parameters clips and gives the norm before clipping, which is logged.
        if all(p.grad is None for p in self._trained):
            return  # DeepSpeed has the gradients in buffers of its own, and clips and skips by itself
        limit = gradient_clip_val if gradient_clip_val and gradient_clip_algorithm != "value" else math.inf
        norm = full_tensor(torch.nn.utils.clip_grad_norm_(self._trained, limit))
        self._idle_iterations.add_step(norm)
        nonfinite = ~torch.isfinite(norm)
        if self.auxiliary is not None:  # apart: its layers, which begin at random, do not shrink the policy's step
            nonfinite |= ~torch.isfinite(torch.nn.utils.clip_grad_norm_(self._auxiliary_weights, limit))
        self._step_metrics.add({"optimizer/skipped_share": nonfinite.float()})
        if nonfinite:
            optimizer.zero_grad(set_to_none=True)  # it leaves parameters without a gradient, and moments, as they are
            folder = Path(self.trainer.default_root_dir)
            self._skipped_steps.add(self.steps, self._last_batch, folder, writes=self.trainer.is_global_zero)
            return
        self._skipped_steps.reset()
        self._step_metrics.add({"optimizer/grad_norm": norm})
        if gradient_clip_algorithm == "value":
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    @override
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        trainer = self.trainer
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            for follower in self._followers:
                follower.move(self.policy)
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self.log_steps()

    @override
    def on_train_epoch_end(self) -> None:
        self.log_steps()
        self._idle_iterations.end_iteration()

    def log_steps(self) -> None:
        """Logs one row of metrics over the steps since the last row, if there were any."""
        if self.steps == self._logged_step:
            return
        self._logged_step = self.steps
        row = self._step_metrics.means()
        if (efficiency := self.policy.token_count.pop_efficiency()) is not None:
            row["perf/token_efficiency"] = efficiency
        row["optimizer/lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.last_loss = row.get("loss/total")
        self.log_row(row)

    def log_row(self, row: Mapping[str, float]) -> None:
        """Writes metrics with every logger, beside phase, iteration and step."""
        assert self.phase is not None
        self._logged_metrics.update(row)
        log_row(self.trainer.loggers, row, phase=self.phase.name, iteration=self.trainer.current_epoch, step=self.steps)

    @override
    def log_validation(self, row: Mapping[str, float]) -> None:
        if self.phase is not None:
            self.log_row(row)

    def pop_logged_metrics(self) -> dict[str, float]:
        """The last value of every metric that was logged since the last call."""
        metrics, self._logged_metrics = self._logged_metrics, {}
        return metrics
