"""Lightning callbacks of a run: the nodes of its config, and those of sampling, critic and learning reward terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import lightning.pytorch as L
from omegaconf import DictConfig

from rltf.callbacks.generation import GenerationCallback
from rltf.setup.components import Components
from rltf.setup.credit import critic_callbacks, reward_callbacks
from rltf.setup.generation import generation_callback
from rltf.setup.instantiate import build
from rltf.setup.tasks import continual_callbacks

Kind = TypeVar("Kind", bound=L.Callback)


@dataclass(frozen=True)
class RunCallbacks:
    """Callbacks of both phases of a run."""

    warmup: list[L.Callback]
    """Of the supervised warm-up: the config's nodes."""
    rl: list[L.Callback]
    """Of RL: the same ones, and those that draw programs and train a critic and reward terms."""
    generation: GenerationCallback

    def of_kind(self, kind: type[Kind]) -> Kind | None:
        """The callback of a class; None where the config leaves it out."""
        return next((callback for callback in self.rl if isinstance(callback, kind)), None)


def build_callbacks(cfg: DictConfig, components: Components, needs_rollouts: bool) -> RunCallbacks:
    """The callbacks of a run.

    Args:
        cfg: the whole config.
        components: of the run.
        needs_rollouts: False for supervised training alone, which samples nothing.

    Raises:
        ValueError: a callback refused its options.
    """
    nodes = [name for name in cfg.get("callbacks") or {} if cfg.callbacks[name] is not None]
    callbacks: list[L.Callback] = [build(cfg, f"callbacks.{name}") for name in nodes]
    generation = generation_callback(cfg, components)
    plan = continual_callbacks(components)
    learning = [*critic_callbacks(components.pipeline), *reward_callbacks(components.pipeline)]
    rl = [*callbacks, *plan, *([generation, *learning] if needs_rollouts else [])]
    return RunCallbacks(callbacks, rl, generation)
