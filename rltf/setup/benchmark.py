"""The benchmark of a run."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from rltf.benchmarks.base import Benchmark
from rltf.rollouts.interfaces import TokenCredit
from rltf.runs.resume import read_config
from rltf.setup.instantiate import build


def check_benchmark(cfg: DictConfig) -> None:
    """Raises ValueError when no benchmark is named."""
    if cfg.get("benchmark") is None:
        raise ValueError("benchmark is not named, and this model's recipe has none: expected benchmark=NAME")


def build_benchmark(cfg: DictConfig) -> Benchmark:
    """The benchmark that `benchmark` describes. One that builds on another run's (`benchmark=repair`) gets that run's
    recorded benchmark, unless `benchmark.base` describes one.

    Raises:
        ValueError: it refused its options.
    """
    if "base" in cfg.benchmark and cfg.benchmark.base is None:
        if OmegaConf.is_missing(cfg.benchmark, "run"):
            raise ValueError("benchmark.run is missing: expected the folder of a run, whose failed programs are used")
        with open_dict(cfg):
            cfg.benchmark.base = read_config(Path(cfg.benchmark.run)).get("benchmark")
    benchmark: Benchmark = build(cfg, "benchmark")
    return benchmark


def check_credit(benchmark: Benchmark, credit: TokenCredit | None) -> None:
    """Refuses a credit that finds nothing to read in a benchmark's programs.

    Raises:
        ValueError: it reads executed lines or compares programs with references, and no training problem asks for
            Python; or it compares, and no training problem has a reference program.
    """
    if credit is None or not (credit.needs_coverage or credit.needs_reference):
        return
    problems = benchmark.problems("train")
    languages = {problem.language for problem in problems}
    if "python" not in languages:
        raise ValueError(
            f"credit reads which lines of a program did what, which is told of Python alone, and benchmark="
            f"{benchmark.name} asks for {' and '.join(sorted(languages))}: use credit=none or a critic"
        )
    if credit.needs_reference and not any(problem.references for problem in problems):
        raise ValueError(
            "credit compares wrong answers with a reference program (credit=divergence) and no training problem of "
            f"benchmark={benchmark.name} has one: use a benchmark with references, or another credit such as "
            "credit=tests"
        )
