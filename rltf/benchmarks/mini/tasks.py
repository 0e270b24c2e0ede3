"""Four tasks on the programs of `mini`, for continual learning: the procedural small sister of CodeTask-CL
(arXiv 2307.02435), whose tasks are generation, refinement, translation and summarisation.

How it deviates from CodeTask-CL:
1. All four are made from one source of programs, so tasks differ in what is asked and not in what it is asked of.
2. Answers are judged: programs by their tests, English by comparison, since each program has one English. CodeTask-CL
   measures BLEU.
3. Translation is between two forms of Python, a function and a script that reads and prints; refinement has mistakes
   that can be told from the program alone.
4. Every prompt begins with a word for its task, as the paper's code puts tags there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from random import Random
from typing import get_args

from rltf.benchmarks.base import Benchmark
from rltf.benchmarks.forked_value import ForkedValue
from rltf.benchmarks.mini.bugs import break_program
from rltf.benchmarks.mini.checks import as_tests, choose_cases, passes
from rltf.benchmarks.mini.shapes import SHAPES, draw_source
from rltf.benchmarks.mini.skeleton import skeleton, split_of
from rltf.benchmarks.mini.steps import ENTRY, Mode, Source
from rltf.types import Extraction, Problem, Prompt, Split, Test, TextTest
from rltf.validation import OptionError, require

WORDS: Mapping[str, str] = {
    "generation": "write",
    "refinement": "fix",
    "translation": "script",
    "summarisation": "tell",
}
"""Task -> the word that its prompts begin with."""
REPAIRABLE: Mapping[str, float] = {
    "printed": 1,
    "missing_colon": 1,
    "missing_bracket": 1,
    "missing_return": 1,
    "attribute": 1,
    "quoted": 1,
}
"""Mistakes that can be told from the program alone, with their relative frequency."""
_SIZES: Mapping[Split, int] = {"train": 2000, "validation": 200, "test": 400}
_DIFFICULTIES: Mapping[str, float] = {"easy": 1.0}
_ATTEMPTS = 20_000
"""Draws without a new problem after which the generator gives up."""


class MiniTasks(Benchmark):
    """Generated problems of four tasks, which take turns in every split.

    Args:
        seed: changes every problem; the split of a program structure does not depend on it.
        sizes: problems per split, of all tasks together. A longer split starts with the problems of a shorter one.
        tasks: names among generation, refinement, translation and summarisation.
        difficulties: relative frequency of `easy`, `medium` and `hard`.
        tests_per_problem: tests of a program, at least 3.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> problem = MiniTasks(sizes={"train": 4}).problems("train")[3]
        >>> problem.task, problem.tests[0].expected == problem.references[0]
        ('summarisation', True)
    """

    name = "codetask_mini"

    def __init__(
        self,
        seed: int = 0,
        sizes: Mapping[Split, int] = _SIZES,
        tasks: Sequence[str] = tuple(WORDS),
        difficulties: Mapping[str, float] = _DIFFICULTIES,
        tests_per_problem: int = 6,
    ) -> None:
        for key, table, names in (("sizes", sizes, get_args(Split)), ("difficulties", difficulties, tuple(SHAPES))):
            for name, value in table.items():
                if name not in names:
                    raise OptionError(f"{key}.{name}", value, f"only the names {', '.join(names)}")
                require(f"{key}.{name}", value, at_least=0)
        if not sum(difficulties.values()):
            raise OptionError("difficulties", dict(difficulties), "a frequency above 0 of at least one of them")
        if isinstance(tasks, str) or not tasks or len(set(tasks)) < len(tasks) or not set(tasks) <= WORDS.keys():
            raise OptionError("tasks", tasks, f"a list of different names among {', '.join(WORDS)}")
        require("tests_per_problem", tests_per_problem, at_least=3, whole=True)
        self._seed, self._sizes, self._tasks = seed, dict(sizes), tuple(tasks)
        self._difficulties, self._tests = dict(difficulties), tests_per_problem
        self._problems: dict[Split, tuple[Problem, ...]] = {}
        self._forked_problems: dict[Split, ForkedValue[tuple[Problem, ...]]] = {}

    def problems(self, split: Split) -> Sequence[Problem]:
        """Problems of a split, the tasks in turn; generated at the first call."""
        if split not in self._problems:
            value = self._forked_problems.pop(split, None)
            self._problems[split] = value.result() if value is not None else self._make(split)
        return self._problems[split]

    def prepare(self, split: Split) -> None:
        """Begins to make the problems of a split in another process."""
        self._forked_problems[split] = ForkedValue(partial(self._make, split))

    def _make(self, split: Split) -> tuple[Problem, ...]:
        return tuple(islice(self.stream(split), self._sizes.get(split, 0)))

    def stream(self, split: Split) -> Iterator[Problem]:
        """Endless problems of a split; no two of a task have one statement."""
        statements: set[tuple[str, str]] = set()
        for index in count():
            task = self._tasks[index % len(self._tasks)]
            rng = Random(f"{self._seed}/{split}/{task}/{index}")
            difficulty = rng.choices(list(self._difficulties), list(self._difficulties.values()))[0]
            drafts = (self._draft(rng, split, task, difficulty) for _ in range(_ATTEMPTS))
            draft = next((d for d in drafts if d is not None and (task, d.statement) not in statements), None)
            if draft is None:
                raise ValueError(
                    f"benchmark.sizes.{split} is {self._sizes.get(split)}: found {index} different problems, and then "
                    f"no further one of {task} in {_ATTEMPTS} draws; expected fewer, or other benchmark.difficulties"
                )
            statements.add((task, draft.statement))
            yield Problem(
                id=f"codetask_mini/{self._seed}/{split}/{index}",
                statement=draft.statement,
                tests=draft.tests,
                entry_point=ENTRY if task in ("generation", "refinement") else None,
                difficulty=difficulty,
                references=(draft.answer,),
                tags=(task, *draft.tags),
                task=task,
            )

    def prompt(self, problem: Problem) -> Prompt:
        """The word of the task, the statement and a line break."""
        return Prompt(head=f"{WORDS[problem.task]}\n", question=problem.statement, tail="\n", task=problem.task)

    def extract(self, problem: Problem, text: str) -> Extraction:
        """The whole answer is the program, or the English."""
        return Extraction(0, len(text))

    def answer(self, problem: Problem, program: str) -> str:
        """The program, or the English."""
        return program

    def _draft(self, rng: Random, split: Split, task: str, difficulty: str) -> _Draft | None:
        source = draw_source(rng, difficulty, "call")
        if source is None or split_of(skeleton(source)) != split:
            return None
        mode: Mode = "stdio" if task == "translation" else "call"
        answer = replace(source, mode=mode)
        code = answer.code()
        cases = choose_cases(rng, code, source.parameters, mode, self._tests)
        if cases is None:
            return None
        if task == "summarisation":
            return _Draft(code, source.english(), (TextTest(source.english()),), source.tags())
        statement = self._statement(rng, task, source, lambda program: passes(program, mode, cases))
        return None if statement is None else _Draft(statement, code, as_tests(cases, mode), source.tags())

    @staticmethod
    def _statement(rng: Random, task: str, source: Source, is_right: Callable[[str], bool]) -> str | None:
        """What is asked; None where the program can have no mistake to be mended."""
        if task == "generation":
            return source.english()
        if task == "translation":
            return source.code()
        broken = break_program(rng, source.code(), is_right, REPAIRABLE)
        return None if broken is None else broken[0]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A problem without its place in a split."""

    statement: str
    answer: str
    tests: tuple[Test, ...]
    tags: tuple[str, ...]
