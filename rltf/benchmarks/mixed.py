"""Training problems of several benchmarks; what is held out is the first one's alone, so results stay comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rltf.benchmarks.base import Benchmark
from rltf.types import Extraction, Problem, Prompt, Split, Test
from rltf.validation import OptionError


class Mixed(Benchmark):
    """Every problem keeps the prompt and the rules of the benchmark it comes from.

    Args:
        parts: name to benchmark, at least two. The order counts: validation and test are the first one's.
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

    def problems(self, split: Split) -> Sequence[Problem]:
        """Training problems of all parts, one part after the other; other splits of the first."""
        return [problem for problem, _ in self._train] if split == "train" else self._first.problems(split)

    def prompt(self, problem: Problem) -> Prompt:
        """As the problem's own benchmark has it."""
        return self._of(problem).prompt(problem)

    def extract(self, problem: Problem, text: str) -> Extraction:
        """As the problem's own benchmark has it."""
        return self._of(problem).extract(problem, text)

    def answer(self, problem: Problem, program: str) -> str:
        """As the problem's own benchmark has it."""
        return self._of(problem).answer(problem, program)

    def demonstrations(self, problem: Problem) -> tuple[str, ...]:
        """As the problem's own benchmark has it."""
        return self._of(problem).demonstrations(problem)

    def examples(self, problem: Problem) -> tuple[Test, ...]:
        """As the problem's own benchmark has it."""
        return self._of(problem).examples(problem)

    def _of(self, problem: Problem) -> Benchmark:
        return self._part.get(problem.id, self._first)
