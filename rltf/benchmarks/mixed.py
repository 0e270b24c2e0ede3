"""Training problems of several benchmarks, held-out problems of the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Literal, get_args

from typing_extensions import override

from rltf.benchmarks.base import Benchmark
from rltf.types import Extraction, Problem, Prompt, Split, Test
from rltf.validation import OptionError, require

HeldOut = Literal["first", "all"]


class Mixed(Benchmark):
    """Training problems of all parts, one part after the other; validation and test problems of the first part alone,
    so that results stay comparable, or of all parts in turn. Every problem has the prompt and answer format of its own
    benchmark, and its name as `task`.

    Args:
        parts: name -> benchmark, at least two.
        weights: name -> relative frequency of the part among the training problems of RL, e.g. `{mbpp: 1, apps: 3}`; a
            part without one has 1; None: every problem is visited as often as any other, whatever its part.
            Demonstrations of the supervised term are of all problems alike.
        held_out: `first`: validation and test problems are those of the first part; `all`: of all parts.
    """

    def __init__(
        self,
        parts: Mapping[str, Benchmark],
        weights: Mapping[str, float] | None = None,
        held_out: HeldOut = "first",
    ) -> None:
        if len(parts) < 2:
            raise OptionError("parts", list(parts), "at least two benchmarks")
        require("held_out", held_out, choices=get_args(HeldOut))
        for name, weight in (weights or {}).items():
            if name not in parts:
                raise OptionError("weights", name, f"names of parts: {', '.join(parts)}")
            require(f"weights.{name}", weight, at_least=0)
        self._weights = None if weights is None else {name: float(weights.get(name, 1.0)) for name in parts}
        if self._weights is not None and not any(self._weights.values()):
            raise OptionError("weights", dict(weights or {}), "at least one above 0")
        self.name = "+".join(parts)
        self._parts, self._held_out = parts, held_out
        self._part: dict[str, Benchmark] = {}
        self._splits: dict[Split, list[Problem]] = {}
        self._splits["train"] = [problem for problems in self._by_part("train") for problem in problems]

    @override
    def problems(self, split: Split) -> Sequence[Problem]:
        if split not in self._splits:
            in_turn = zip_longest(*self._by_part(split))
            self._splits[split] = [problem for problems in in_turn for problem in problems if problem is not None]
        return self._splits[split]

    def _by_part(self, split: Split) -> list[list[Problem]]:
        """Problems of each part that has a share in the split; remembers whose they are."""
        parts = list(self._parts.items())
        by_part = []
        for name, part in parts if split == "train" or self._held_out == "all" else parts[:1]:
            by_part.append([replace(problem, task=name) for problem in part.problems(split)])
            for problem in by_part[-1]:
                if self._part.setdefault(problem.id, part) is not part:
                    raise ValueError(f"benchmark.parts: {problem.id} is the id of problems of two benchmarks")
        return by_part

    @override
    def prompt(self, problem: Problem) -> Prompt:
        return replace(self._benchmark_of(problem).prompt(problem), task=problem.task)

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
        return self._part.get(problem.id) or next(iter(self._parts.values()))
