"""The plain nodes of a config as typed records: type, range and unit of each key stand at its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, TypeVar

from omegaconf import DictConfig, OmegaConf

from rltf.types import Split
from rltf.validation import OptionError, require, unknown_key

Node = TypeVar("Node")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupConfig:
    """`warmup`: supervised training before RL."""

    steps: int
    """Optimiser steps; 0: the policy starts as it is."""
    batch_size: int
    """Demonstrations per micro-batch."""
    accumulate: int
    """Micro-batches per optimiser step."""
    lr: float
    """Peak learning rate."""
    lr_warmup_steps: int
    """Optimiser steps of linear increase of the learning rate; a tenth of `steps` at most."""
    decay: bool | int
    """Cosine to a tenth of the peak: over the warm-up, or over so many steps, of which the warm-up does the first."""
    save_every: int
    """Optimiser steps between checkpoints."""
    from_: str = "scratch"
    """`scratch`: it is done; `cache`, and `scratch` in a sweep where nobody typed it: it is done once for equal
    settings, seed and code; `shipped`: that of the package where the settings are its own, else scratch; another start
    of the package by its name; or the folder of a run, whose start is taken."""

    def __post_init__(self) -> None:
        require("steps", self.steps, at_least=0, whole=True)
        require("batch_size", self.batch_size, at_least=1, whole=True)
        require("accumulate", self.accumulate, at_least=1, whole=True)
        require("lr", self.lr, above=0)
        require("lr_warmup_steps", self.lr_warmup_steps, at_least=0, whole=True)
        require("save_every", self.save_every, at_least=1, whole=True)
        if not isinstance(self.decay, bool):
            require("decay", self.decay, at_least=max(self.steps, 1), whole=True)

    @property
    def decay_steps(self) -> int | None:
        """Optimiser steps after which the learning rate is a tenth of the peak; None: it does not fall."""
        return (self.steps if self.decay else None) if isinstance(self.decay, bool) else self.decay


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutsConfig:
    """`rollouts`: programs and updates of an RL iteration."""

    online: bool
    """False: programs of the policy as it was when RL began (offline RL)."""
    problems: int
    """Problems per iteration and rank."""
    samples: int
    """Programs per problem, besides the greedy one."""
    lag: int
    """Iterations between sampling and training, 0 or 1."""
    updates: int
    """Optimiser steps per iteration."""
    batch_size: int
    """Rollouts per micro-batch."""
    demonstrations: int
    """Demonstrations per micro-batch, for the supervised term."""
    skip_zero_weight: bool = False
    """Leave programs out of forward passes whose tokens all weigh 0."""

    def __post_init__(self) -> None:
        for key in ("problems", "samples", "updates", "batch_size", "demonstrations"):
            require(key, getattr(self, key), at_least=1, whole=True)
        require("lag", self.lag, choices=(0, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """`schedule`: the learning rate of RL, whose peak is `optimizer.lr`."""

    warmup_steps: int
    """Optimiser steps of linear increase."""
    decay: bool
    """Then a cosine to a tenth of the peak over the run; False: constant."""

    def __post_init__(self) -> None:
        require("warmup_steps", self.warmup_steps, at_least=0, whole=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """`evaluation`: held-out problems and the programs sampled for them."""

    split: Split
    problems: int | None
    """Held-out problems; None: all of the split."""
    samples: int
    """Programs per problem."""
    greedy: bool
    """Also decode the greedy program."""
    ks: tuple[int, ...]
    """Of pass@k."""
    temperature: float
    """0: greedy programs alone, with `samples` 1."""
    top_p: float
    validation_problems: int | None = None
    """Problems of the validation split; None: all."""
    validation_samples: int = 1
    """Programs per validation problem."""

    def __post_init__(self) -> None:
        require("split", self.split, choices=("train", "validation", "test"))
        require("problems", self.problems, at_least=1, whole=True, optional=True)
        require("samples", self.samples, at_least=1, whole=True)
        require("temperature", self.temperature, at_least=0)
        require("top_p", self.top_p, above=0, at_most=1)
        require("validation_problems", self.validation_problems, at_least=1, whole=True, optional=True)
        require("validation_samples", self.validation_samples, at_least=1, whole=True)
        if not isinstance(self.ks, tuple) or not self.ks or any(type(k) is not int or k < 1 for k in self.ks):
            ks = list(self.ks) if isinstance(self.ks, tuple) else self.ks
            raise OptionError("ks", ks, "a list of whole numbers of at least 1")
        if max(self.ks) > self.samples and self.temperature > 0:
            least = [k for k in self.ks if k <= self.samples] or [self.samples]
            raise OptionError(
                "ks",
                list(self.ks),
                f"numbers of at most evaluation.samples, which is {self.samples}, e.g. evaluation.ks={least}",
            )
        if self.temperature == 0 and self.samples > 1:
            raise OptionError(
                "samples", self.samples, "1 with temperature=0, where all programs of a problem are the same"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationConfig:
    """`generation`: the sampler, what it draws from, and where."""

    sampling: Mapping[str, Any]
    """The node of an `rltf.types.Sampling`."""
    self_check: bool
    """Compare two programs with transformers' own forward before work."""
    placement: Literal["colocated", "separate"]
    """Whether other processes draw while this one trains."""
    refresh: int
    """Separate: iterations between two publications of the weights."""
    max_staleness: int
    """Separate: iterations after which programs that were asked for are waited for."""
    hosts: Mapping[str, Any]
    """Separate: keywords of `rltf.generation.remote.RemoteSampler`."""
    sampler: Mapping[str, Any] | None = None
    """The node of a sampler."""

    def __post_init__(self) -> None:
        if self.sampler is None:
            raise OptionError("sampler", None, "the node of a sampler: generation=auto, native, hf, vllm or server")
        require("placement", self.placement, choices=("colocated", "separate"))
        require("refresh", self.refresh, at_least=1, whole=True)
        require("max_staleness", self.max_staleness, at_least=1, whole=True)
        require("sampling.top_p", self.sampling.get("top_p", 1.0), above=0, at_most=1)
        require("sampling.top_k", self.sampling.get("top_k", 0), at_least=0, whole=True)
        require("sampling.min_p", self.sampling.get("min_p", 0.0), at_least=0, at_most=1)
        require("sampling.max_new_tokens", self.sampling.get("max_new_tokens", 512), at_least=1, whole=True)
        temperature = self.sampling.get("temperature", 1.0)
        if isinstance(temperature, bool | str) or temperature is None or temperature <= 0:
            raise OptionError(
                "sampling.temperature",
                temperature,
                "a number above 0: training compares different programs of a problem",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """The plain nodes of `configs/train.yaml`."""

    seed: int
    reference: bool
    """Keep a frozen copy of the policy that RL starts with."""
    report: bool
    """Write report.html at the end."""
    warmup: WarmupConfig
    rollouts: RolloutsConfig
    schedule: ScheduleConfig
    evaluation: EvaluationConfig
    generation: GenerationConfig

    def __post_init__(self) -> None:
        require("seed", self.seed, at_least=0, whole=True)
        for key in ("reference", "report"):
            require(key, getattr(self, key), choices=(True, False))

    @classmethod
    def of(cls, cfg: DictConfig) -> Self:
        """The typed nodes of a whole config.

        Raises:
            ValueError: a value makes no sense, or a key is not known; one sentence with the key's path.
        """
        return cls(
            seed=cfg.seed,
            reference=cfg.reference,
            report=cfg.report,
            warmup=typed_node(cfg, "warmup", WarmupConfig),
            rollouts=typed_node(cfg, "rollouts", RolloutsConfig),
            schedule=typed_node(cfg, "schedule", ScheduleConfig),
            evaluation=typed_node(cfg, "evaluation", EvaluationConfig),
            generation=typed_node(cfg, "generation", GenerationConfig),
        )


def typed_node(cfg: DictConfig, key: str, kind: type[Node]) -> Node:
    """The node at `key` as a record.

    Raises:
        ValueError: a value makes no sense, or a key is unknown or missing; one sentence with the key's path.
    """
    values: dict[str, Any] = OmegaConf.to_container(cfg[key], resolve=True)  # type: ignore[assignment]
    fields_of = {field.name.rstrip("_"): field.name for field in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields_of:
            raise unknown_key(f"{key}.{name}", [f"{key}.{known}" for known in fields_of])
        if kind.__annotations__[fields_of[name]] == "bool":
            require(f"{key}.{name}", values[name], choices=(True, False))
    frozen = {fields_of[name]: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        return kind(**frozen)
    except OptionError as error:
        raise error.below(key) from error
    except TypeError as error:
        raise ValueError(f"{key}: {error}") from error
