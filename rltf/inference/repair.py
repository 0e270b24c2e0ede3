"""Repair: a failed program, what went wrong and the task in; a program out (CodeRL, section 3.4).

The report stands before the question in any prompt format, each line a comment, so that prompts which are code stay
code; a prompt that is too long loses the end of the question, as ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from rltf.benchmarks.base import Benchmark
from rltf.benchmarks.splits import hash_fraction
from rltf.runs.rollouts_file import read_records
from rltf.types import Extraction, Outcome, Problem, Prompt, Split, Test, Verdict

LONGEST_PROGRAM, LONGEST_MESSAGE = 2000, 200
"""Characters of a report."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A program that failed, and how."""

    program: str
    outcome: str
    type: str = ""
    """Error sub-type, e.g. `NameError`; empty for a wrong answer."""
    message: str = ""
    line: int | None = None

    @classmethod
    def of(cls, program: str, verdict: Verdict) -> Self:
        """What the tests said of a program."""
        error = verdict.error
        if error is None:
            return cls(program, str(verdict.outcome))
        return cls(program, str(verdict.outcome), error.type, error.message, error.line)

    def report(self) -> str:
        r"""Lines of comments.

        >>> print(Failure("print(y)", "runtime_error", "NameError", "name 'y' is not defined", 1).report(), end="")
        # This program fails: runtime_error, NameError: name 'y' is not defined, line 1
        # print(y)
        # Its task:
        """
        message = " ".join(self.message.split())[:LONGEST_MESSAGE]
        what = [self.outcome, *([f"{self.type}: {message}"] if self.type else [])]
        where = [] if self.line is None else [f"line {self.line}"]
        lines = [f"This program fails: {', '.join(what + where)}", *self.program[:LONGEST_PROGRAM].splitlines()]
        return "".join(f"# {line}".rstrip() + "\n" for line in [*lines, "Its task:"])


def repair_prompt(prompt: Prompt, failure: Failure) -> Prompt:
    """The prompt of a problem with a failed program in front of the question."""
    return replace(prompt, question=failure.report() + prompt.question)


class Repairs(Benchmark):
    """Failed programs of a run, to be repaired (`stage=repair`): a problem is a failed program of a training problem,
    demonstrations are the training problem's references.

    Args:
        benchmark: of the run.
        run: its folder; `rollouts.jsonl` holds what came to the buffer.
        per_problem: failed programs of a problem at most, the newest ones.
        held_out: share of training problems whose failures are held out, half of them for validation and half for the
            test. Where a problem belongs depends on its id alone.

    Raises:
        ValueError: the folder has no rollouts, or none that failed at one of the benchmark's training problems.
    """

    def __init__(self, benchmark: Benchmark, run: str, per_problem: int = 4, held_out: float = 0.1) -> None:
        if per_problem < 1:
            raise ValueError(f"stage.per_problem is {per_problem}: expected a whole number of at least 1")
        if not 0 < held_out < 1:
            raise ValueError(f"stage.held_out is {held_out}: expected a share between 0 and 1")
        self.name = f"{benchmark.name}/repair"
        self._benchmark = benchmark
        known = {problem.id: problem for problem in benchmark.problems("train") if problem.references}
        failures = _failures(run, known, per_problem)
        self._origin: dict[str, tuple[Problem, Failure]] = {}
        self._splits: dict[Split, list[Problem]] = {"train": [], "validation": [], "test": []}
        for problem_id, found in failures.items():
            for number, failure in enumerate(found):
                origin = known[problem_id]
                task = replace(origin, id=f"{problem_id}/repair/{number}", demonstrations=origin.references)
                self._origin[task.id] = (origin, failure)
                self._splits[_split(problem_id, held_out)].append(task)
        empty = [split for split, problems in self._splits.items() if not problems]
        if empty:
            raise ValueError(
                f"stage.run={run} has {len(self._origin)} failed programs of {len(failures)} problems that are "
                f"training problems of benchmark={benchmark.name} with references, and none for the {empty[0]} split: "
                "expected a longer run, or a larger stage.held_out"
            )

    def problems(self, split: Split) -> Sequence[Problem]:
        """Failed programs of a split."""
        return self._splits[split]

    def prompt(self, problem: Problem) -> Prompt:
        """The original prompt, with the failed program in front of the question."""
        origin, failure = self._origin[problem.id]
        return repair_prompt(self._benchmark.prompt(origin), failure)

    def extract(self, problem: Problem, text: str) -> Extraction:
        """As the benchmark has it."""
        return self._benchmark.extract(self._origin[problem.id][0], text)

    def answer(self, problem: Problem, program: str) -> str:
        """As the benchmark has it."""
        return self._benchmark.answer(self._origin[problem.id][0], program)

    def examples(self, problem: Problem) -> tuple[Test, ...]:
        """As the benchmark has it."""
        return self._benchmark.examples(self._origin[problem.id][0])


def _failures(run: str, known: Mapping[str, Problem], per_problem: int) -> dict[str, list[Failure]]:
    """Problem -> its newest different failed programs."""
    found: dict[str, dict[str, Failure]] = {}
    for record in read_records(run, "rollouts.jsonl", "stage.run", "the folder of a run"):
        if record["outcome"] == Outcome.PASSED or record["problem_id"] not in known:
            continue
        failures = found.setdefault(record["problem_id"], {})
        failures.pop(record["program"], None)  # the newest of equals counts
        failures[record["program"]] = _failure(record)
    return {problem_id: list(failures.values())[-per_problem:] for problem_id, failures in found.items()}


def _failure(record: Mapping[str, Any]) -> Failure:
    error = record["error"] or {}
    return Failure(
        record["program"], record["outcome"], error.get("type", ""), error.get("message", ""), error.get("line")
    )


def _split(problem_id: str, held_out: float) -> Split:
    place = hash_fraction(problem_id)
    if place >= held_out:
        return "train"
    return "validation" if place < held_out / 2 else "test"
