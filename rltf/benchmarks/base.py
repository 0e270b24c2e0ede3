"""The base class of benchmarks: problems with tests, one prompt renderer for training, sampling and evaluation, and the
rule that finds the program in an answer.

To add a benchmark: a subclass of `rltf.benchmarks.dataset.DatasetBenchmark` where its problems come from files or the
hub, else of `Benchmark`, in one file; and one yaml in `configs/benchmark/`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from rltf.types import Extraction, Problem, Prompt, Split, Test


class Benchmark(ABC):
    """Problems by split, and the format of prompts and answers."""

    name: str
    """Name in metrics, logs and errors."""

    @abstractmethod
    def problems(self, split: Split) -> Sequence[Problem]:
        """Problems of a split in a fixed order, each with at least one test."""

    def prepare(self, split: Split) -> None:  # noqa: B027  # most benchmarks have nothing to do
        """Begins to make the problems of a split in another process, where that takes long: this one is about to import
        what takes as long. By default, nothing is done ahead."""

    @abstractmethod
    def prompt(self, problem: Problem) -> Prompt:
        """The prompt of a problem."""

    @abstractmethod
    def extract(self, problem: Problem, text: str) -> Extraction:
        """Position of the program in the decoded answer `text`, whose stop string is cut off."""

    @abstractmethod
    def answer(self, problem: Problem, program: str) -> str:
        """The answer from which `extract` gets `program`: the target of supervised training.

        Raises:
            ValueError: no answer in the prompt's format holds the program.
        """

    def demonstrations(self, problem: Problem) -> tuple[str, ...]:
        """Programs for supervised training; empty for a problem that has tests only."""
        return problem.demonstrations or problem.references

    def examples(self, problem: Problem) -> tuple[Test, ...]:
        """Tests that a solver may run before it answers: those that the statement or the prompt shows."""
        return ()

    def part_weights(self) -> tuple[tuple[int, float], ...]:
        """(number of training problems, weight) of each part of a benchmark whose parts are visited by weights, in the
        order of `problems("train")`; empty: every problem is visited as often as any other."""
        return ()
