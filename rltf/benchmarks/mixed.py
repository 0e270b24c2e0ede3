"""Training problems of several benchmarks, held-out problems of the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import override

from rltf.benchmarks.base import Benchmark
from rltf.types import Extraction, Problem, Prompt, Split, Test
from rltf.validation import OptionError, require


class Mixed(Benchmark):
    """Training problems of all parts, one part after the other; validation and test problems of the first part alone,
    so that results stay comparable. Every problem has the prompt and answer format of its own benchmark.

    Args:
        parts: name -> benchmark, at least two.
        weights: name -> relative frequency of the part among the training problems of RL, e.g. `{mbpp: 1, apps: 3}`; a
            part without one has 1; None: every problem is visited as often as any other, whatever its part.
            Demonstrations of the supervised term are of all problems alike.
    """

    def __init__(self, parts: Mapping[str, Benchmark], weights: Mapping[str, float] | None = None) -> None:
        if len(parts) < 2:
            raise OptionError("parts", list(parts), "at least two benchmarks")
        for name, weight in (weights or {}).items():
            if name not in parts:
                raise OptionError("weights", name, f"names of parts: {', '.join(parts)}")
            require(f"weights.{name}", weight, at_least=0)
        self._weights = None if weights is None else {name: float(weights.get(name, 1.0)) for name in parts}
        if self._weights is not None and not any(self._weights.values()):
            raise OptionError("weights", dict(weights or {}), "at least one above 0")
        self._parts = dict(parts)
        self.name = "+".join(parts)
        self._first = next(iter(parts.values()))
        self._train = [(problem, part) for part in parts.values() for problem in part.problems("train")]
        self._part = {problem.id: part for problem, part in self._train}
        if len(self._part) < len(self._train):
            repeated = [problem.id for problem, part in self._train if self._part[problem.id] is not part]
            raise ValueError(f"benchmark.parts: {repeated[0]} is the id of problems of two benchmarks")

    @override
    def problems(self, split: Split) -> Sequence[Problem]:
        return [problem for problem, _ in self._train] if split == "train" else self._first.problems(split)

    @override
    def prompt(self, problem: Problem) -> Prompt:
        return self._benchmark_of(problem).prompt(problem)

    @override
    def extract(self, problem: Problem, text: str) -> Extraction:
        return self._benchmark_of(problem).extract(problem, text)

    @override
    def answer(self, problem: Problem, program: str) -> str:
        return self._benchmark_of(problem).answer(problem, program)

    @override
    def demonstrations(self, problem: Problem) -> tuple[str, ...]:
        return self._benchmark_of(problem).demonstrations(problem)

    @override
    def examples(self, problem: Problem) -> tuple[Test, ...]:
        return self._benchmark_of(problem).examples(problem)

    @override
    def part_weights(self) -> tuple[tuple[int, float], ...]:
        if self._weights is None:
            return ()
        return tuple((len(part.problems("train")), self._weights[name]) for name, part in self._parts.items())

    def _benchmark_of(self, problem: Problem) -> Benchmark:
        return self._part.get(problem.id, self._first)
