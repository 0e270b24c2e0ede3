"""Names of version 0.1 in those of today: keys and choices of command lines, `_target_` paths, recorded configs.

They work for one version, with one sentence of warning. Light: `rltf.commands.cli` reads it before Hydra starts."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

TARGETS: dict[str, str] = {
    "rltf.algorithms.mix.LossMix": "rltf.algorithms.loss_mix.LossMix",
    "rltf.algorithms.mix.Term": "rltf.algorithms.loss_mix.WeightedObjective",
    "rltf.benchmarks.apps.Apps": "rltf.benchmarks.apps.benchmark.Apps",
    "rltf.callbacks.wandb.wandb_logger": "rltf.loggers.wandb.wandb_logger",
    "rltf.critics.kl.KlPenalty": "rltf.credit.kl_penalty.KlPenalty",
    "rltf.critics.mlp.MlpCritic": "rltf.critics.value.MlpCritic",
    "rltf.critics.offline.CriticTraining": "rltf.critics.pretraining.CriticPretraining",
    "rltf.generation.engine.Engine": "rltf.generation.engine.engine.Engine",
    "rltf.prm.reward.Prm": "rltf.prm.reward.PrmReward",
    "rltf.inference.sample.Sample": "rltf.inference.sample.PlainSampling",
    "rltf.rollouts.advantages.Advantages": "rltf.algorithms.advantages.Advantages",
    "rltf.rollouts.cccs.Cccs": "rltf.curricula.completion.CompletionCurriculum",
    "rltf.rollouts.chain.Chain": "rltf.credit.chain.CreditChain",
    "rltf.rollouts.critic_token.CriticToken": "rltf.credit.critic_token.CriticTokenCredit",
    "rltf.rollouts.executed.Executed": "rltf.credit.executed.ExecutedLinesCredit",
    "rltf.rollouts.gae.Gae": "rltf.credit.gae.GAECredit",
    "rltf.rollouts.selection.DynamicSampling": "rltf.algorithms.dynamic_sampling.DynamicSampling",
    "rltf.sweeps.SweepEnd": "rltf.commands.sweep.SweepEnd",
    "rltf.training.sharding.Sharded": "rltf.training.sharding.ShardedStrategy",
}
"""`_target_` of 0.1 -> that of today."""

KEYS: dict[str, str] = {
    "callbacks.checkpoint_every": "callbacks.checkpoints.every",
    "callbacks.collapse": "callbacks.stop_on_collapse",
    "callbacks.report": "report",
    "callbacks.table_every": "callbacks.rollout_writer.table_every",
    "callbacks.table_rows": "callbacks.rollout_writer.table_rows",
    "errors": "executor.errors",
    "generation.sampler.slots": "generation.sampler.max_rows",
    "optimizer.critic_lr": "critic_lr",
    "optimizer.decay": "schedule.decay",
    "optimizer.warmup_steps": "schedule.warmup_steps",
    "stage.held_out": "benchmark.held_out",
    "stage.job": "job",
    "stage.per_problem": "benchmark.per_problem",
    "stage.run": "benchmark.run",
    "warmup.warmup_steps": "warmup.lr_warmup_steps",
}
"""Key of 0.1 -> key of today; all keys below one go with it."""

OVERRIDES: dict[str, str | None] = {
    "callbacks.checkpoint=false": "callbacks.checkpoints=null",
    "callbacks.checkpoint=true": None,
    "callbacks.collapse=null": None,
    "callbacks.progress=false": "callbacks.progress=null",
    "callbacks.progress=true": None,
    "errors=paper": None,
    "stage=critic": "job=critic",
    "stage=none": None,
    "stage=prm": "job=prm",
    "stage=prm_data": "job=prm_data",
    "stage=repair": "benchmark=repair",
}
"""Override of 0.1 -> override of today; None: it says what is so anyway."""

CALLBACKS: dict[str, str] = {
    "Collapse": "StopOnCollapse",
    "Phases": "PhaseTimer",
    "Samples": "RolloutWriter",
    "SeparateGeneration": "RemoteGeneration",
}
"""Key of a callback's state in checkpoints of 0.1 -> that of today."""

_OVERRIDE = re.compile(r"(?P<sign>[+~]{0,2})(?P<key>[^=]+)(?:=(?P<value>.*))?", re.DOTALL)


def upgrade_overrides(arguments: list[str]) -> tuple[list[str], list[str]]:
    """A command line in today's names, and a sentence of warning for each that was of 0.1.

    Example:
        >>> upgrade_overrides(["seed=2", "optimizer.critic_lr=1e-4", "stage=prm"])[0]
        ['seed=2', 'critic_lr=1e-4', 'job=prm']
    """
    upgraded: list[str] = []
    warnings: list[str] = []
    repairs = "stage=repair" in arguments
    for argument in arguments:
        # a repair model's tasks were a wrapper of `benchmark`; now they find it in the config of their run
        override = None if repairs and re.match(r"\+*benchmark[=.]", argument) else _upgraded(argument)
        if override != argument:
            advice = "leave it out" if override is None else f"use {override}"
            warnings.append(f"{argument} is of version 0.1 and will end with the next: {advice}")
        if override is not None:
            upgraded.append(override)
    return upgraded, warnings


def _upgraded(argument: str) -> str | None:
    if argument in OVERRIDES:
        return OVERRIDES[argument]
    match = _OVERRIDE.fullmatch(argument)
    if match is None or argument.startswith("-"):
        return argument
    sign, key, value = match["sign"], _renamed_key(match["key"]), match["value"]
    for old, new in TARGETS.items():
        value = re.sub(rf"(?<![\w.]){re.escape(old)}(?![\w.])", new, value) if value is not None else None
    return f"{sign}{key}" + ("" if value is None else f"={value}")


def _renamed_key(key: str) -> str:
    for old, new in KEYS.items():
        if key == old or key.startswith(f"{old}."):
            return new + key[len(old) :]
    return key


def upgrade_checkpoint(checkpoint: dict[str, Any]) -> None:
    """Renames the states of callbacks in a checkpoint of 0.1."""
    states = checkpoint.get("callbacks")
    if states:
        checkpoint["callbacks"] = {CALLBACKS.get(key, key): state for key, state in states.items()}


def upgrade_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config that a run of 0.1, or an earlier one of today, recorded, with today's keys; one of today as it is.

    Args:
        config: resolved, plain values.
    """
    optimizer = config.get("optimizer")
    if not isinstance(optimizer, dict) or "_target_" in optimizer:
        return _with_new_keys(config)
    upgraded: dict[str, Any] = _with_targets(copy.deepcopy(dict(config)))
    if upgraded.pop("errors", None) is not None and isinstance(upgraded.get("executor"), dict):
        upgraded["executor"]["errors"] = None
    sampler = (upgraded.get("generation") or {}).get("sampler")
    if isinstance(sampler, dict) and "slots" in sampler:
        sampler["max_rows"] = sampler.pop("slots")
    optimizer = upgraded["optimizer"]
    upgraded["critic_lr"] = optimizer.pop("critic_lr", None)
    upgraded["schedule"] = {key: optimizer.pop(key) for key in ("warmup_steps", "decay") if key in optimizer}
    upgraded["optimizer"] = {"_target_": "torch.optim.AdamW", "_partial_": True, **optimizer}
    if isinstance(upgraded.get("warmup"), dict):
        upgraded["warmup"]["lr_warmup_steps"] = upgraded["warmup"].pop("warmup_steps", 100)
    stage = upgraded.pop("stage", None) or {}
    upgraded["job"] = stage.get("job")
    if "_target_" in stage:
        upgraded["benchmark"] = {**stage, "base": None}  # that of the run whose programs are repaired
    return _with_new_keys(upgraded)


def _with_new_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Keys that models, rollouts and the warm-up have had since the run, with the values under which it goes on as it
    began. Where weights have dropout, that is `model.rl_dropout=null`, as good as no key."""
    model, warmup = config.get("model"), config.get("warmup")
    if isinstance(warmup, dict):
        config = {**config, "warmup": {"from": "scratch"} | warmup}
    if isinstance(rollouts := config.get("rollouts"), dict):
        config = {**config, "rollouts": {"skip_zero_weight": False} | rollouts}
    if not isinstance(model, dict):
        return dict(config)
    since: dict[str, Any] = {"rl_dropout": 0.0} if model.get("dropout") == 0 else {}
    if model.get("_target_") == "rltf.policies.load.pretrained":
        since |= {"gradient_checkpointing": False, "trust_remote_code": False}
    return {**config, "model": since | model}


def recipe_overrides(config: Mapping[str, Any]) -> list[str]:
    """Overrides under which a run goes on as it began, where the recipe of the default model says otherwise since: once
    it had no start that ships, then more iterations, and four micro-batches a step.

    Args:
        config: as the run recorded it.

    Example:
        >>> recipe_overrides({"warmup": {"steps": 1200}, "trainer": {"max_epochs": 90}})
        ['trainer.max_epochs=90', 'warmup.from=scratch']
    """
    warmup, trainer, rollouts = (config.get(key) for key in ("warmup", "trainer", "rollouts"))
    if not isinstance(warmup, dict) or not isinstance(trainer, dict):
        return []
    has_start, accumulates = "from" in warmup, trainer.get("accumulate_grad_batches") == 4
    numbers: dict[str, Any] = {}
    if not has_start or accumulates:
        numbers["trainer.max_epochs"] = trainer.get("max_epochs")
    if accumulates and isinstance(rollouts, dict):
        numbers |= {f"rollouts.{key}": rollouts.get(key) for key in ("batch_size", "demonstrations")}
        numbers["trainer.accumulate_grad_batches"] = 4
    overrides = [f"{key}={number}" for key, number in numbers.items() if type(number) is int]
    return overrides if has_start else [*overrides, "warmup.from=scratch"]


def sampler_overrides(config: Mapping[str, Any]) -> list[str]:
    """`generation=native` for a run that began when that was the default.

    Args:
        config: as the run recorded it.

    Example:
        >>> sampler_overrides({"generation": {"sampler": {"_target_": "rltf.generation.engine.engine.Engine"}}})
        ['generation=native']
    """
    generation = config.get("generation")
    sampler = generation.get("sampler") if isinstance(generation, dict) else None
    target = str(sampler.get("_target_")) if isinstance(sampler, dict) else ""
    return ["generation=native"] if TARGETS.get(target, target) == "rltf.generation.engine.engine.Engine" else []


def _with_targets(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: TARGETS.get(child, child) if key == "_target_" and isinstance(child, str) else _with_targets(child)
            for key, child in node.items()
        }
    return [_with_targets(child) for child in node] if isinstance(node, list) else node
