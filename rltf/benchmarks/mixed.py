"""Training problems of several benchmarks, held-out problems of the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import override

from rltf.benchmarks.base import Benchmark
from rltf.types import Extraction, Problem, Prompt, Split, Test
from rltf.validation import OptionError


class Mixed(Benchmark):
    """Training problems of all parts, one part after the other; validation and test problems of the first part alone,
    so that results stay comparable. Every problem has the prompt and answer format of its own benchmark.

    Args:
        parts: name -> benchmark, at least two.
    """

    def __init__(self, parts: Mapping[str, Benchmark]) -> None:
        if len(parts) < 2:
            raise OptionError("parts", list(parts), "at least two benchmarks")
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

    def _benchmark_of(self, problem: Problem) -> Benchmark:
        return self._part.get(problem.id, self._first)
