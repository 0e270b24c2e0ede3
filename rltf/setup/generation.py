"""Where training programs are drawn: in this process, between steps, or beside it, while it trains."""

from __future__ import annotations

from functools import partial

from omegaconf import DictConfig, OmegaConf

from rltf.callbacks.generation import GenerationCallback
from rltf.callbacks.remote_generation import SeparateGeneration
from rltf.generation.remote import SeparateSampler
from rltf.inference.base import Inference
from rltf.inference.sample import Sample
from rltf.rollouts.hooks import Explorer
from rltf.setup.components import Components
from rltf.setup.instantiate import build


def generation_callback(cfg: DictConfig, parts: Components) -> GenerationCallback:
    """What fills the buffer.

    Raises:
        ValueError: `generation.placement` is unknown, or contradicts another key.
    """
    parts.pipeline.explorer = _explorer(cfg, parts)
    options = {
        "pipeline": parts.pipeline,
        "sampling": parts.sampling,
        "problems": cfg.rollouts.problems,
        "samples": cfg.rollouts.samples,
        "seed": cfg.seed,
        "online": cfg.rollouts.online,
    }
    placement = cfg.generation.placement
    if placement == "colocated":
        return GenerationCallback(lag=cfg.rollouts.lag, **options)
    if placement != "separate":
        raise ValueError(f"generation.placement is {placement}, expected colocated or separate")
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
    if parts.pipeline.explorer is not None:
        raise ValueError(
            "inference=critic_sampling asks a critic between two draws and generation.placement=separate draws in "
            "processes that have none: use inference=sample or generation.placement=colocated"
        )
    sampler = SeparateSampler(
        policy=partial(build, cfg, "model"), sampler=partial(build, cfg, "generation.sampler"), **cfg.generation.hosts
    )
    return SeparateGeneration(sampler, cfg.generation.refresh, cfg.generation.max_staleness, **options)


def _explorer(cfg: DictConfig, parts: Components) -> Explorer | None:
    """What finds training programs in more than one round."""
    if OmegaConf.select(cfg, "inference.repair") is not None:
        raise ValueError("inference.repair is set: a policy cannot train on the programs of another model")
    inference: Inference = build(cfg, "inference", pipeline=parts.pipeline)
    if isinstance(inference, Sample):
        return None
    if not isinstance(inference, Explorer):
        raise ValueError(
            f"inference={inference.name} chooses among programs and training learns from all: use inference=sample, "
            "or critic_sampling"
        )
    if parts.pipeline.curriculum is not None:
        raise ValueError(
            f"inference={inference.name} and curriculum both say how training programs begin: use inference=sample or "
            "curriculum=none"
        )
    return inference
