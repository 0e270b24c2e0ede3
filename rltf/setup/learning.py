"""Configs whose programs could teach nothing, whatever they are: refused before any work."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from rltf.algorithms.advantages import Advantages
from rltf.setup.combinations import CREDIT_KEYS, critic_kind
from rltf.setup.config import RolloutsConfig
from rltf.setup.instantiate import build
from rltf.setup.signatures import read_attribute
from rltf.validation import OptionError


def check_learning(cfg: DictConfig, rollouts: RolloutsConfig) -> None:
    """Refuses a config in which every advantage or every gradient of a judged program would be 0.

    Args:
        cfg: the whole config.
        rollouts: its node `rollouts`.

    Raises:
        OptionError: it is one.
    """
    if OmegaConf.select(cfg, "algorithm.mix.rl") is None:
        return
    _check_samples(cfg, rollouts.samples)
    _check_sampling(cfg)
    _check_weights(cfg)


def _check_samples(cfg: DictConfig, samples: int) -> None:
    baseline = OmegaConf.select(cfg, "algorithm.advantages.baseline")
    advantages: Advantages | None = build(cfg, "algorithm.advantages")
    uses_critic = any(critic_kind(cfg, key) == "value" for key in CREDIT_KEYS)
    if advantages is not None and samples < advantages.least_samples and not uses_critic:
        raise OptionError(
            "rollouts.samples",
            samples,
            f"at least {advantages.least_samples} with algorithm.advantages.baseline={baseline}, which compares the "
            "programs of a problem with each other: every advantage would be 0",
        )
    target = OmegaConf.select(cfg, "credit._target_")
    least_samples = None if target is None else read_attribute(target, "least_samples")
    if least_samples is not None and samples < least_samples:
        raise OptionError(
            "rollouts.samples",
            samples,
            f"at least {least_samples} with credit._target_={target}, which compares the programs of a problem with "
            "each other: every advantage would be 0",
        )
    if OmegaConf.select(cfg, "algorithm.selection") is not None and samples < 2:
        raise OptionError(
            "rollouts.samples", samples, "at least 2 with algorithm.selection, which drops groups that earn the same"
        )


def _check_sampling(cfg: DictConfig) -> None:
    """One token to choose from has probability 1 whatever the weights are: no gradient, and equal programs."""
    sampling = OmegaConf.select(cfg, "generation.sampling") or {}
    for key, only in (("top_k", 1), ("min_p", 1)):
        if sampling.get(key) == only:
            raise OptionError(
                f"generation.sampling.{key}",
                sampling[key],
                "a distribution of several tokens, e.g. 0 for all: with one to choose from programs of a problem are "
                "all the same and have no gradient",
            )


def _check_weights(cfg: DictConfig) -> None:
    """A weight of a term that the reward does not have would be read by nothing."""
    terms = OmegaConf.select(cfg, "reward.terms")
    for term, weight in (OmegaConf.select(cfg, "algorithm.advantages.weights") or {}).items():
        if terms is not None and term not in terms:
            raise OptionError(
                f"algorithm.advantages.weights.{term}", weight, f"a term of the reward: {', '.join(terms)}"
            )
