"""The LightningModule: policy, frozen reference, loss mix, optimiser and evaluation metrics.

One module serves both phases, `warmup` (supervised) and `rl`; `start` switches. Metrics of a step are gathered in one
dict and handed to the loggers every `log_every_n_steps`: each `self.log` would cost 0.25 ms."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor

from rltf.algorithms.loss_mix import BatchLogprobs
from rltf.algorithms.ratios import masked_mean, policy_metrics
from rltf.metrics.evaluation import Evaluation, EvaluationResult
from rltf.policies.base import Policy
from rltf.rollouts.pipeline import JudgedGroup
from rltf.training import sharding
from rltf.training.batches import TrainBatch
from rltf.training.log import StepMetrics, log_row
from rltf.training.oom_retry import OOMRetry
from rltf.training.phase import Phase
from rltf.training.sharding import Sharded, copy_weights, sharded, whole
from rltf.types import RolloutBatch, Sampling

log = logging.getLogger(__name__)

MOST_BAD_STEPS = 20
"""In a row: half precision needs up to 16 to find its scale."""


class RLTFModule(L.LightningModule):
    """Trains a policy on demonstrations and judged programs.

    Args:
        policy: what is trained.
        sampling: distribution that rollouts are drawn from; log-probs of the RL term are taken under it.
        ks: of pass@k in validation and test.
        keeps_start: keep a frozen copy of the policy as it is when RL starts: the reference of KL terms.
    """

    strict_loading = False  # the frozen reference is left out of checkpoints

    def __init__(self, policy: Policy, sampling: Sampling, ks: Sequence[int], keeps_start: bool = False) -> None:
        super().__init__()
        self.policy = policy
        self.sampling = sampling
        self.evaluation = Evaluation(ks)
        self.phase: Phase | None = None
        self.keeps_start = keeps_start
        self._reference: tuple[Policy, ...] = ()  # in a tuple: no submodule, so neither trained nor saved
        self._whole: tuple[Policy, ...] = ()  # the same
        self._step_metrics = StepMetrics()
        self._trained: list[torch.nn.Parameter] = []
        self.steps_before = 0
        """Optimiser steps of earlier phases."""
        self.evaluated: EvaluationResult | None = None
        """What the last test found."""
        self.judged: list[JudgedGroup] = []
        """Programs of the last test, of this rank."""
        self.last_loss: float | None = None
        """Mean over the last logged steps, for the progress display."""
        self._logged: dict[str, float] = {}
        self._logged_step = -1
        self._bad_steps = 0
        """Steps in a row whose gradient was not finite."""
        self._last_batch: TrainBatch | None = None
        self._pieces = OOMRetry(self._forward, self._add_gradient, lambda: self.trainer.optimizers[0].zero_grad())

    # -------------------------------------------------------------------------------------------- phases

    def start(self, phase: Phase, steps_before: int = 0) -> None:
        """The next `fit` trains this phase."""
        self.phase, self.steps_before = phase, steps_before
        self.policy.train()
        if phase.name == "rl" and self.keeps_start:
            start = self._whole[0] if self._whole else self.policy
            self._reference = (copy.deepcopy(start).requires_grad_(False).eval(),)

    @property
    def start_policy(self) -> Policy:
        """The frozen copy."""
        return self._reference[0]

    @property
    def steps(self) -> int:
        """Optimiser steps over all phases: the policy version."""
        return self.steps_before + self.trainer.global_step

    def on_fit_start(self) -> None:
        """The reference follows the policy to its device."""
        for reference in self._reference:
            reference.to(self.device)

    def on_train_start(self) -> None:
        """No row before the first step, also where a run goes on."""
        self._logged_step = self.steps

    def configure_model(self) -> None:
        """Where the trainer shards weights, it gets a copy that is cut up: samplers, demonstrations and export keep the
        policy that was given, which `gather_policy` brings up to date. Lightning calls this before every fit and
        test."""
        if isinstance(self.trainer.strategy, Sharded) and not self._whole:
            self._whole = (self.policy,)
            self.policy = sharded(self.policy)

    def gather_policy(self) -> None:
        """The policy that was given gets the present weights; all processes take part."""
        for policy in self._whole:
            copy_weights(self.policy, policy.to(self.device))

    def configure_optimizers(self) -> Any:
        """The phase's optimiser and learning-rate schedule, in Lightning's form."""
        phase = self.phase
        assert phase is not None, "start(phase) comes before fit"
        self._trained = [p for p in self.policy.parameters() if p.requires_grad]
        # a fused step unscales float16 gradients itself, after they were clipped: too late
        optimizer = phase.make_optimizer(self._trained, fused=self.trainer.precision != "16-mixed")
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, phase.lr_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Without the weights that are not trained."""
        sharding.leave_out(self, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """With the weights that are not trained."""
        sharding.fill_in(self, checkpoint)

    # -------------------------------------------------------------------------------------------- training

    def training_step(self, batch: TrainBatch, batch_idx: int) -> Tensor:
        """Recomputes log-probs with gradient; the mix makes them one loss. Its gradient is added here and not by
        Lightning: here, running out of memory can be undone (`rltf.training.oom_retry`)."""
        self._last_batch = batch
        accumulate = self.trainer.accumulate_grad_batches
        if batch_idx % accumulate == 0:
            self._pieces.begin()
        exchanges = self.trainer.world_size > 1 and (batch_idx + 1) % accumulate == 0
        shards = type(self.trainer.strategy) not in (SingleDeviceStrategy, DDPStrategy)  # forward passes are collective
        if shards or (exchanges and self._pieces.fits(batch)):
            loss, metrics = self._forward(batch)
            self._step_metrics.add(metrics)
            return loss
        loss, found = self._pieces.add(batch)
        for said in found:
            self._step_metrics.add({**said, "loss/total": loss})
        return loss + sum(0.0 * p.sum() for p in self._trained) if exchanges else loss

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """What Lightning calls with what `training_step` returned: mostly, all is done."""
        if loss.requires_grad:
            loss.backward()

    def optimizer_zero_grad(self, *args: Any) -> None:
        """Gradients are dropped when a step begins, before its first loss."""

    def _add_gradient(self, loss: Tensor) -> None:
        strategy, accumulate = self.trainer.strategy, self.trainer.accumulate_grad_batches
        scaled = strategy.precision_plugin.pre_backward(loss / accumulate, self)
        with torch.autocast(self.device.type, enabled=False):  # backward passes take the types of their forward pass
            scaled.backward()

    def _forward(self, batch: TrainBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a micro-batch or a piece of it, and detached metrics."""
        assert self.phase is not None
        scored: dict[str, BatchLogprobs] = {}
        metrics: dict[str, Tensor] = {}
        for name, part in batch.batches.items():
            logprobs_BT, entropy_BT = self._logprobs(self.policy, name, part)
            reference_BT = None
            if name == "rl" and self._reference:
                with torch.no_grad():
                    reference_BT = self._logprobs(self._reference[0], name, part)[0]
                gap_BT = (logprobs_BT - reference_BT).detach()
                metrics["policy/kl"] = masked_mean(gap_BT, part.mask_BT & torch.isfinite(gap_BT))
            scored[name] = BatchLogprobs(part, logprobs_BT, reference_BT)
            if name == "rl":
                metrics |= policy_metrics(part, entropy_BT, self.steps)
        mixed = self.phase.mix(scored, batch.divisors)
        return mixed.total, metrics | mixed.metrics

    def _logprobs(self, policy: Policy, name: str, part: RolloutBatch) -> tuple[Tensor, Tensor]:
        sampling = self.sampling if name == "rl" else None
        wanted = name == "rl" and policy is self.policy
        logprobs_BT, entropy_BT = policy.token_logprobs(
            part.prompt_BS, part.prompt_mask_BS, part.response_BT, part.read_BT, sampling, entropy=wanted
        )
        return logprobs_BT.masked_fill(~part.mask_BT, 0.0), entropy_BT

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips, and keeps the gradient's norm before it: one pass over the parameters does both. A step whose gradient
        is not finite is skipped."""
        if all(p.grad is None for p in self._trained):
            return  # DeepSpeed keeps gradients to itself, and clips and skips by itself
        limit = gradient_clip_val if gradient_clip_val and gradient_clip_algorithm != "value" else math.inf
        norm = whole(torch.nn.utils.clip_grad_norm_(self._trained, limit))
        bad = ~torch.isfinite(norm)
        self._step_metrics.add({"optimizer/skipped_share": bad.float()})
        self._bad_steps = self._bad_steps + 1 if bad else 0
        if bad:
            self._skip(optimizer)
            return
        self._step_metrics.add({"optimizer/grad_norm": norm})
        if gradient_clip_algorithm == "value":
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def _skip(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimiser passes over parameters without a gradient: weights and moments stay as they are."""
        optimizer.zero_grad(set_to_none=True)
        if self._bad_steps < MOST_BAD_STEPS:
            log.warning("step %d: the gradient is not finite, the step is skipped", self.steps)
            return
        place = Path(self.trainer.default_root_dir) / "bad_batch.pt"
        batch = self._last_batch
        if batch is not None and self.trainer.is_global_zero:
            torch.save({name: dataclasses.asdict(part) for name, part in batch.batches.items()}, place)
        raise FloatingPointError(
            f"the gradient was not finite in {MOST_BAD_STEPS} steps in a row; the last batch is in {place}"
        )

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """A row of metrics.csv every `log_every_n_steps` optimiser steps."""
        trainer = self.trainer
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if trainer.global_step % every == 0:
            self.log_steps()

    def on_train_epoch_end(self) -> None:
        """A row at the end of each iteration, however short."""
        self.log_steps()

    def log_steps(self) -> None:
        """A row of the steps since the last one, if there were any."""
        if self.steps == self._logged_step:
            return
        self._logged_step = self.steps
        row = self._step_metrics.means()
        efficiency = self.policy.tokens.take()
        if efficiency is not None:
            row["perf/token_efficiency"] = efficiency
        row["optimizer/lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.last_loss = row.get("loss/total")
        self.log_row(row)

    def log_row(self, row: Mapping[str, float]) -> None:
        """Hands metrics to every logger, with phase, iteration and step."""
        assert self.phase is not None
        self._logged.update(row)
        log_row(self.trainer.loggers, row, phase=self.phase.name, iteration=self.trainer.current_epoch, step=self.steps)

    def take_logged(self) -> dict[str, float]:
        """The last value of every metric logged since this was called before."""
        taken, self._logged = self._logged, {}
        return taken

    # -------------------------------------------------------------------------------------------- evaluation

    def on_validation_epoch_start(self) -> None:
        """Forgets the last evaluation."""
        self.evaluation.reset()

    def on_test_epoch_start(self) -> None:
        """Forgets the last evaluation and its programs."""
        self.evaluation.reset()
        self.judged.clear()

    def validation_step(self, batch: Sequence[JudgedGroup], batch_idx: int) -> None:
        """Counts the verdicts of some problems."""
        for judged in batch:
            self.evaluation.update(judged.problem, judged.programs, judged.verdicts)

    def test_step(self, batch: Sequence[JudgedGroup], batch_idx: int) -> None:
        """The same, and keeps the programs for `samples.jsonl`."""
        self.validation_step(batch, batch_idx)
        self.judged.extend(batch)

    def on_validation_epoch_end(self) -> None:
        """`val/pass@k` for checkpoints; the whole row goes to the loggers."""
        result = self.evaluation.compute()
        row = {f"val/{name}": value for name, value in result.metrics().items()}
        for k in result.ks:
            self.log(f"val/pass@{k}", row[f"val/pass@{k}"], logger=False, sync_dist=True)  # the same on all ranks
        if self.phase is not None and not self.trainer.sanity_checking:
            self.log_row(row)

    def on_test_epoch_end(self) -> None:
        """Keeps the result for whoever asked."""
        self.evaluated = self.evaluation.compute()
