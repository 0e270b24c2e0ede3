"""The critic of a run, and the KL penalty of its credit."""

from __future__ import annotations

from rltf.callbacks.critic import CriticCallback
from rltf.credit.chain import CreditChain
from rltf.credit.gae import GAECredit
from rltf.credit.kl_penalty import KlPenalty
from rltf.critics.base import Critic
from rltf.rollouts.pipeline import RolloutPipeline


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
