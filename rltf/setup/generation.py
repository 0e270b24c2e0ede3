"""Sampling of training programs: in the training process, between steps, or in others, while it trains."""

from __future__ import annotations

from functools import partial

from omegaconf import DictConfig, OmegaConf

from rltf.callbacks.generation import GenerationCallback
from rltf.callbacks.remote_generation import RemoteGeneration
from rltf.generation.remote import RemoteSampler
from rltf.inference.base import Inference
from rltf.inference.sample import PlainSampling
from rltf.rollouts.interfaces import MultiRoundSampler
from rltf.setup.components import Components
from rltf.setup.instantiate import build
from rltf.validation import OptionError


def generation_callback(cfg: DictConfig, components: Components) -> GenerationCallback:
    """The callback that fills the buffer.

    Raises:
        ValueError: `generation.placement` is unknown, or contradicts another key.
    """
    options = {
        "pipeline": components.pipeline,
        "sampling": components.sampling,
        "problems": cfg.rollouts.problems,
        "samples": cfg.rollouts.samples,
        "seed": cfg.seed,
        "online": cfg.rollouts.online,
    }
    placement = cfg.generation.placement
    if placement == "colocated":
        return GenerationCallback(lag=cfg.rollouts.lag, **options)
    if placement != "separate":
        raise OptionError("generation.placement", placement, "colocated or separate")
    if cfg.rollouts.lag == 0:
        raise ValueError(
            "rollouts.lag is 0 with generation.placement=separate: programs that are drawn while others are trained on "
            "come an iteration later, so use rollouts.lag=1 or generation.placement=colocated"
        )
    if cfg.trainer.get("strategy", "auto") != "auto":
        raise ValueError(
            "trainer.strategy starts several processes and generation.placement=separate works with one training "
            "process: use generation.placement=colocated"
        )
    if components.pipeline.multi_round_sampler is not None:
        raise ValueError(
            "inference=critic_sampling asks a critic between two draws and generation.placement=separate draws in "
            "processes that have none: use inference=sample or generation.placement=colocated"
        )
    try:
        sampler = RemoteSampler(
            policy=partial(build, cfg, "model"),
            sampler=partial(build, cfg, "generation.sampler"),
            **cfg.generation.hosts,
        )
    except OptionError as error:
        raise error.below("generation.hosts") from error
    return RemoteGeneration(sampler, cfg.generation.refresh, cfg.generation.max_staleness, **options)


def build_multi_round_sampler(cfg: DictConfig, components: Components) -> MultiRoundSampler | None:
    """What draws training programs in more than one round; None: they are drawn in one.

    Raises:
        ValueError: `inference` names what training cannot use.
    """
    if OmegaConf.select(cfg, "inference.repair") is not None:
        raise ValueError("inference.repair is set: a policy cannot train on the programs of another model")
    inference: Inference = build(cfg, "inference", pipeline=components.pipeline)
    if isinstance(inference, PlainSampling):
        return None
    if not isinstance(inference, MultiRoundSampler):
        raise ValueError(
            f"inference={inference.name} chooses among programs and training learns from all: use inference=sample, "
            "or critic_sampling"
        )
    if components.pipeline.curriculum is not None:
        raise ValueError(
            f"inference={inference.name} and curriculum both say how training programs begin: use inference=sample or "
            "curriculum=none"
        )
    return inference
