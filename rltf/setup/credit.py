"""What learns beside the policy of a run, its critic and terms of its reward; and the KL penalty of its credit."""

from __future__ import annotations

from rltf.callbacks.critic import CriticCallback
from rltf.callbacks.rewards import RewardCallback
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


def reward_callbacks(pipeline: RolloutPipeline) -> list[RewardCallback]:
    """The callback that trains the pipeline's reward terms; empty where none learns."""
    terms = pipeline.rewards.learning_terms
    return [RewardCallback(terms)] if terms else []


def count_learned_weights(pipeline: RolloutPipeline) -> int:
    """Number of weights that the critic and the reward terms train; 0 where none does."""
    critic = pipeline.critic.trained_weights() if isinstance(pipeline.critic, Critic) else 0
    learners = [term.learner for term in pipeline.rewards.learning_terms.values()]
    return critic + sum(learner.trained_weights() for learner in learners if learner is not None)
