"""Sampling of training programs: in the training process, between steps, or in others, while it trains."""

from __future__ import annotations

from functools import partial

from omegaconf import DictConfig

from rltf.callbacks.generation import GenerationCallback
from rltf.callbacks.remote_generation import RemoteGeneration
from rltf.generation.remote import RemoteSampler
from rltf.rollouts.interfaces import MultiRoundSampler
from rltf.setup.combinations import draws_in_rounds
from rltf.setup.components import Components
from rltf.setup.instantiate import build
from rltf.validation import OptionError


def generation_callback(cfg: DictConfig, components: Components) -> GenerationCallback:
    """The callback that fills the buffer.

    Raises:
        ValueError: `generation.hosts` or another option makes no sense.
    """
    options = {
        "pipeline": components.pipeline,
        "sampling": components.sampling,
        "problems": cfg.rollouts.problems,
        "samples": cfg.rollouts.samples,
        "seed": cfg.seed,
        "online": cfg.rollouts.online,
    }
    if cfg.generation.placement == "colocated":
        return GenerationCallback(lag=cfg.rollouts.lag, **options)
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
        ValueError: `inference` refused its options.
    """
    if not draws_in_rounds(cfg):
        return None
    sampler: MultiRoundSampler = build(cfg, "inference", pipeline=components.pipeline)
    return sampler
