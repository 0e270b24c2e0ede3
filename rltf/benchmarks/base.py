"""What a benchmark is: problems with tests, one prompt renderer for training, sampling and evaluation, and the rule
that finds the program in an answer. To add one: a subclass of `Benchmark` in one file, one yaml in
`configs/benchmark/`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from rltf.types import Extraction, Problem, Prompt, Split, Test


class Benchmark(ABC):
    """Problems by split, and how they are put to a policy."""

    name: str

    @abstractmethod
    def problems(self, split: Split) -> Sequence[Problem]:
        """Problems of a split, in a fixed order; every one has at least one test."""

    @abstractmethod
    def prompt(self, problem: Problem) -> Prompt:
        """What the policy reads."""

    @abstractmethod
    def extract(self, problem: Problem, text: str) -> Extraction:
        """Where the program lies in the decoded answer `text` (stop strings already cut off)."""

    @abstractmethod
    def answer(self, problem: Problem, program: str) -> str:
        """The answer text that `extract` maps back to `program`; the target of supervised training."""

    def demonstrations(self, problem: Problem) -> tuple[str, ...]:
        """Programs for supervised training; none for problems that have tests only."""
        return problem.demonstrations or problem.references

    def examples(self, problem: Problem) -> tuple[Test, ...]:
        """Tests that whoever solves the problem may run: those that the statement or the prompt shows, none of the
        hidden ones."""
        return ()
