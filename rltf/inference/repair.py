"""Repair of failed programs (CodeRL, section 3.4): prompts that report a failed program, and a benchmark of them.

The report precedes the question in every prompt format. Its lines are comments, so that prompts which are code stay
code. A prompt that is too long loses the end of the question, as any prompt does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from typing_extensions import override

from rltf.benchmarks.base import Benchmark
from rltf.benchmarks.splits import hash_fraction
from rltf.runs.files import ROLLOUTS_FILE
from rltf.runs.rollouts_file import read_records
from rltf.types import Extraction, Outcome, Problem, Prompt, Split, Test, Verdict
from rltf.validation import require

MAX_PROGRAM_CHARACTERS = 2000
"""Longest program in a report."""
MAX_MESSAGE_CHARACTERS = 200
"""Longest error message in a report."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed program and its error."""

    program: str
    outcome: str
    type: str = ""
    """Error sub-type, e.g. `NameError`; empty for a wrong answer."""
    message: str = ""
    line: int | None = None

    @classmethod
    def from_verdict(cls, program: str, verdict: Verdict) -> Self:
        """The failure of a program that was judged."""
        error = verdict.error
        if error is None:
            return cls(program, str(verdict.outcome))
        return cls(program, str(verdict.outcome), error.type, error.message, error.line)

    def report(self) -> str:
        r"""The text that precedes the question: lines of comments.

        >>> print(Failure("print(y)", "runtime_error", "NameError", "name 'y' is not defined", 1).report(), end="")
        # This program fails: runtime_error, NameError: name 'y' is not defined, line 1
        # print(y)
        # Its task:
        """
        message = " ".join(self.message.split())[:MAX_MESSAGE_CHARACTERS]
        error = [self.outcome, *([f"{self.type}: {message}"] if self.type else [])]
        position = [] if self.line is None else [f"line {self.line}"]
        program_lines = self.program[:MAX_PROGRAM_CHARACTERS].splitlines()
        lines = [f"This program fails: {', '.join(error + position)}", *program_lines]
        return "".join(f"# {line}".rstrip() + "\n" for line in [*lines, "Its task:"])


def repair_prompt(prompt: Prompt, failure: Failure) -> Prompt:
    """The prompt of a problem with a failed program in front of the question."""
    return replace(prompt, question=failure.report() + prompt.question)


class Repairs(Benchmark):
    """Failed programs of a run (`benchmark=repair`): each problem is one failed program of a training problem, whose
    references are the demonstrations.

    Args:
        base: the run's benchmark.
        run: the run's folder, with its `rollouts.jsonl`.
        per_problem: most failed programs per training problem; the newest are taken.
        held_out: share of training problems whose failures are held out, half of them for validation and half for the
            test. The split of a problem depends on its id alone.

    Raises:
        OptionError: a number is out of range.
        ValueError: the folder has no rollouts, or too few that failed at the benchmark's training problems.
    """

    def __init__(self, base: Benchmark, run: str, per_problem: int = 4, held_out: float = 0.1) -> None:
        require("per_problem", per_problem, at_least=1, whole=True)
        require("held_out", held_out, above=0, below=1)
        self.name = f"{base.name}/repair"
        self._benchmark = base
        training_problems = {problem.id: problem for problem in base.problems("train") if problem.references}
        failures = _read_failures(run, training_problems, per_problem)
        self._sources: dict[str, tuple[Problem, Failure]] = {}
        """Problem id -> training problem and failed program."""
        self._splits: dict[Split, list[Problem]] = {"train": [], "validation": [], "test": []}
        for problem_id, problem_failures in failures.items():
            for number, failure in enumerate(problem_failures):
                source = training_problems[problem_id]
                problem = replace(source, id=f"{problem_id}/repair/{number}", demonstrations=source.references)
                self._sources[problem.id] = (source, failure)
                self._splits[_split(problem_id, held_out)].append(problem)
        empty = [split for split, problems in self._splits.items() if not problems]
        if empty:
            raise ValueError(
                f"benchmark.run={run} has {len(self._sources)} failed programs of {len(failures)} problems that are "
                f"training problems of benchmark={base.name} with references, and none for the {empty[0]} split: "
                "expected a longer run, or a larger benchmark.held_out"
            )

    @override
    def problems(self, split: Split) -> Sequence[Problem]:
        return self._splits[split]

    @override
    def prompt(self, problem: Problem) -> Prompt:
        source, failure = self._sources[problem.id]
        return repair_prompt(self._benchmark.prompt(source), failure)

    @override
    def extract(self, problem: Problem, text: str) -> Extraction:
        return self._benchmark.extract(self._sources[problem.id][0], text)

    @override
    def answer(self, problem: Problem, program: str) -> str:
        return self._benchmark.answer(self._sources[problem.id][0], program)

    @override
    def examples(self, problem: Problem) -> tuple[Test, ...]:
        return self._benchmark.examples(self._sources[problem.id][0])


def _read_failures(run: str, problems: Mapping[str, Problem], per_problem: int) -> dict[str, list[Failure]]:
    """Problem id -> its newest failed programs of different text."""
    by_problem: dict[str, dict[str, Failure]] = {}
    for record in read_records(run, ROLLOUTS_FILE, "benchmark.run", "the folder of a run"):
        if record["outcome"] in (Outcome.PASSED, Outcome.UNJUDGEABLE) or record["problem_id"] not in problems:
            continue
        by_text = by_problem.setdefault(record["problem_id"], {})
        by_text.pop(record["program"], None)  # the newest of equals counts
        by_text[record["program"]] = _recorded_failure(record)
    return {problem_id: list(by_text.values())[-per_problem:] for problem_id, by_text in by_problem.items()}


def _recorded_failure(record: Mapping[str, Any]) -> Failure:
    error = record["error"] or {}
    return Failure(
        record["program"], record["outcome"], error.get("type", ""), error.get("message", ""), error.get("line")
    )


def _split(problem_id: str, held_out: float) -> Split:
    fraction = hash_fraction(problem_id)
    if fraction >= held_out:
        return "train"
    return "validation" if fraction < held_out / 2 else "test"
