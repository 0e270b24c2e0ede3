"""Credit of a run's tokens, and the critic that it reads: whether they fit together."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from rltf.callbacks.critic import CriticCallback
from rltf.credit.chain import CreditChain
from rltf.credit.gae import GAECredit
from rltf.credit.kl_penalty import KlPenalty
from rltf.critics.base import Critic
from rltf.rollouts.interfaces import TokenCredit
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.setup.instantiate import build


def build_credit(cfg: DictConfig, critic: Critic | None) -> TokenCredit | None:
    """The token credit of a run: that of the algorithm (`algorithm.credit`), then the one chosen (`credit`); None where
    there is neither, and tokens get the advantage and the spans of the reward.

    Raises:
        ValueError: they and the critic do not fit together.
    """
    keys = ("algorithm.credit", "credit")
    credits: list[TokenCredit] = [credit for key in keys if (credit := build(cfg, key)) is not None]
    if sum(credit.critic_kind == "value" for credit in credits) > 1:
        raise ValueError("credit=gae is a part of algorithm=ppo already: leave it out")
    credit = credits[0] if len(credits) == 1 else CreditChain(credits) if credits else None
    needed = credit.critic_kind if credit is not None else None
    kind = critic.kind if critic is not None else None
    if needed == "outcome" != kind:
        raise ValueError(
            f"credit=critic_token weighs tokens by an outcome critic and there is {_described(kind)}: use "
            "critic=outcome"
        )
    if needed == "value" != kind:
        raise ValueError(
            "algorithm=ppo and credit=gae take advantages from a critic of values and there is "
            f"{_described(kind)}: use critic=value or critic=mlp"
        )
    if kind == "value" and needed is None:
        raise ValueError("critic is one of values, which nothing reads: use algorithm=ppo, credit=gae or critic=none")
    if critic is not None and OmegaConf.select(cfg, "algorithm.mix.rl") is None:
        raise ValueError("critic learns from judged programs and algorithm.mix.rl=null judges none: use critic=none")
    return credit


def check_trained_critic(cfg: DictConfig, critic: Critic | None) -> None:
    """Refuses a critic without weights where nothing trains it.

    Raises:
        ValueError: `critic.weights` is null.
    """
    if critic is not None and OmegaConf.select(cfg, "critic.weights") is None:
        raise ValueError("critic.weights is null and evaluation trains no critic: name a run's critic.pt")


def kl_penalty(pipeline: RolloutPipeline) -> KlPenalty | None:
    """The KL penalty inside the pipeline's credit; it needs the frozen reference."""
    credit = pipeline.credit
    for step in credit.steps if isinstance(credit, CreditChain) else [credit]:
        if isinstance(step, GAECredit) and isinstance(step.penalty, KlPenalty):
            return step.penalty
    return None


def critic_callbacks(pipeline: RolloutPipeline) -> list[CriticCallback]:
    """The callback that trains the pipeline's critic; empty without a critic."""
    if not isinstance(pipeline.critic, Critic):
        return []
    return [CriticCallback(pipeline.critic, kl_penalty(pipeline))]


def count_critic_weights(pipeline: RolloutPipeline) -> int:
    """Number of weights that the critic trains; 0 without a critic."""
    critic = pipeline.critic
    return (
        sum(weight.numel() for weight in critic.network.trainable_parameters().values())
        if isinstance(critic, Critic)
        else 0
    )


def _described(kind: str | None) -> str:
    return {None: "none", "outcome": "one of outcomes", "value": "one of values"}[kind]
