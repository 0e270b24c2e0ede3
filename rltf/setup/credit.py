"""What weighs the tokens of a run: the algorithm's own credit, then the one that was chosen; and what they read."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from rltf.callbacks.critic import CriticCallback
from rltf.credit.chain import Chain
from rltf.credit.gae import GAECredit
from rltf.credit.kl_penalty import KlPenalty
from rltf.critics.base import Critic
from rltf.rollouts.hooks import TokenCredit
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.setup.instantiate import build


def credit_of(cfg: DictConfig, critic: Critic | None) -> TokenCredit | None:
    """`algorithm.credit`, then `credit`; None where there is neither, and in evaluation.

    Raises:
        ValueError: they and the critic do not fit together.
    """
    if "buffer" not in cfg:
        if critic is not None and OmegaConf.select(cfg, "critic.weights") is None:
            raise ValueError("critic.weights is null and evaluation trains no critic: name a run's critic.pt")
        return None
    parts: list[TokenCredit] = [part for key in ("algorithm.credit", "credit") if (part := build(cfg, key)) is not None]
    if sum(part.critic_kind == "value" for part in parts) > 1:
        raise ValueError("credit=gae is a part of algorithm=ppo already: leave it out")
    credit = parts[0] if len(parts) == 1 else Chain(parts) if parts else None
    wanted, kind = credit.critic_kind if credit is not None else None, critic.kind if critic is not None else None
    if wanted == "outcome" != kind:
        raise ValueError(
            f"credit=critic_token weighs tokens by an outcome critic and there is {_named(kind)}: use critic=outcome"
        )
    if wanted == "value" != kind:
        raise ValueError(
            "algorithm=ppo and credit=gae take advantages from a critic of values and there is "
            f"{_named(kind)}: use critic=value or critic=mlp"
        )
    if kind == "value" and wanted is None:
        raise ValueError("critic is one of values, which nothing reads: use algorithm=ppo, credit=gae or critic=none")
    if critic is not None and OmegaConf.select(cfg, "algorithm.mix.rl") is None:
        raise ValueError("critic learns from judged programs and algorithm.mix.rl=null judges none: use critic=none")
    return credit


def penalty_of(pipeline: RolloutPipeline) -> KlPenalty | None:
    """The penalty that tokens of the pipeline's programs pay; it needs the frozen reference."""
    credit = pipeline.credit
    for step in credit.steps if isinstance(credit, Chain) else [credit]:
        if isinstance(step, GAECredit) and isinstance(step.penalty, KlPenalty):
            return step.penalty
    return None


def critic_callbacks(pipeline: RolloutPipeline) -> list[CriticCallback]:
    """The critic's place in the run, where there is one."""
    if not isinstance(pipeline.critic, Critic):
        return []
    return [CriticCallback(pipeline.critic, penalty_of(pipeline), pipeline.clock)]


def critic_weights(pipeline: RolloutPipeline) -> int:
    """Numbers that the critic trains; 0 without one."""
    critic = pipeline.critic
    return (
        sum(weight.numel() for weight in critic.network.trainable_parameters().values())
        if isinstance(critic, Critic)
        else 0
    )


def _named(kind: str | None) -> str:
    return {None: "none", "outcome": "one of outcomes", "value": "one of values"}[kind]
