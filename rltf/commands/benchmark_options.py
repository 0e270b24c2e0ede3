"""A benchmark by its name and options, for commands that have no other config."""

from __future__ import annotations

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rltf.benchmarks.base import Benchmark
from rltf.commands.mistakes import explain
from rltf.commands.overrides import mixed_overrides
from rltf.runs.defaults import config_dir
from rltf.setup.benchmark import build_benchmark
from rltf.setup.keys import check_keys
from rltf.types import Problem


def named_benchmark(name: str, options: Sequence[str] = ()) -> Benchmark:
    """The benchmark that `benchmark=NAME benchmark.KEY=VALUE ...` describes.

    Args:
        name: of `configs/benchmark`, or several joined by `+`; with `=FILE` behind it, the file is its `path`.
        options: `KEY=VALUE`, keys below `benchmark`.

    Raises:
        ValueError: there is no such benchmark or key, or it refused its options.
    """
    name, _, path = name.partition("=")
    values = [*([f"benchmark.path={path!r}"] if path else []), *map(_below_benchmark, options)]
    overrides = mixed_overrides([], [f"benchmark={name}", *values])
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            cfg = compose("eval", ["policy=none", "paths.output_dir=none", *overrides])
        check_keys(OmegaConf.to_container(cfg, resolve=True), "eval")  # type: ignore[arg-type]
        return build_benchmark(cfg)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(explain(error, "eval", overrides)) from error


def problems_of(benchmark: Benchmark, splits: Sequence[str] = ("train", "validation", "test")) -> list[Problem]:
    """The problems of the splits that a benchmark has."""
    problems: list[Problem] = []
    for split in splits:
        try:
            problems += benchmark.problems(split)  # type: ignore[arg-type]
        except ValueError:  # it has no such split
            continue
    return problems


def _below_benchmark(option: str) -> str:
    """`benchmark.path=x` of `path=x`."""
    return option if option.lstrip("+").startswith("benchmark.") else f"benchmark.{option}"
