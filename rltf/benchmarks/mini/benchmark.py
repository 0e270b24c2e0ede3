"""`Mini`: the benchmark of the embedded default run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from random import Random
from typing import Any, get_args

from rltf.benchmarks.base import Benchmark
from rltf.benchmarks.forked_value import ForkedValue
from rltf.benchmarks.mini.bugs import break_program
from rltf.benchmarks.mini.checks import Cases, as_tests, choose_cases, passes
from rltf.benchmarks.mini.long import LEAST_TESTS, break_parts, choose_long_cases, draw_long_source
from rltf.benchmarks.mini.shapes import SHAPES, draw_source
from rltf.benchmarks.mini.skeleton import long_skeleton, skeleton, split_of
from rltf.benchmarks.mini.steps import ENTRY, Mode
from rltf.types import Extraction, Problem, Prompt, Split, Test
from rltf.validation import OptionError, require

_SIZES: Mapping[Split, int] = {"train": 2000, "validation": 100, "test": 300}
_DIFFICULTIES: Mapping[str, float] = {"easy": 0.65, "medium": 0.25, "hard": 0.1}
_LONG = "long"
_NAMES = (*SHAPES, _LONG)
_ATTEMPTS = 20_000
"""Draws without a new problem after which the generator gives up."""


class Mini(Benchmark):
    """Generated problems: the same arguments give the same problems in any process, and any number of them.

    Args:
        seed: Changes every problem; the split of a program structure does not depend on it.
        sizes: Problems per split. A longer split starts with the problems of a shorter one.
        difficulties: Relative frequency of `easy`, `medium`, `hard` and `long`.
        stdio_share: Share of problems that read stdin and write stdout; the others define a function,
            as do all long ones.
        tests_per_problem: Tests, at least 3; for long programs at least 3 a part.
        examples_per_problem: Tests that a solver may run, the first ones; the others are hidden.
        demonstrated_share: Share of training problems with demonstrations; the others have tests only.
        demonstrations_per_problem: Demonstrations of a demonstrated problem; equal ones count once.
        bug_share: Share of demonstrations with one mistake (see `bugs`), each verified to fail the tests; of long
            programs the share of their parts.
        parts: Numbers of parts of long programs, drawn evenly; a program has 1 + 3 to 6 lines a part.

    Example:
        >>> problem = Mini(seed=0).problems("test")[0]
        >>> problem.references[0].count("def f(") + problem.references[0].count("input()") > 0
        True
    """

    name = "mini"

    def __init__(
        self,
        seed: int = 0,
        sizes: Mapping[Split, int] = _SIZES,
        difficulties: Mapping[str, float] = _DIFFICULTIES,
        stdio_share: float = 0.25,
        tests_per_problem: int = 6,
        examples_per_problem: int = 2,
        demonstrated_share: float = 1.0,
        demonstrations_per_problem: int = 1,
        bug_share: float = 0.4,
        parts: Sequence[int] = (4,),
    ) -> None:
        _check_table("sizes", sizes, get_args(Split))
        _check_table("difficulties", difficulties, _NAMES)
        if not sum(difficulties.values()):
            raise OptionError("difficulties", dict(difficulties), "a frequency above 0 of at least one of them")
        shares = {"stdio_share": stdio_share, "demonstrated_share": demonstrated_share, "bug_share": bug_share}
        for key, share in shares.items():
            require(key, share, at_least=0, at_most=1)
        require("tests_per_problem", tests_per_problem, at_least=3, whole=True)
        require("demonstrations_per_problem", demonstrations_per_problem, at_least=1, whole=True)
        if not 0 <= examples_per_problem < tests_per_problem:
            expected = f"a whole number of at least 0, below tests_per_problem, which is {tests_per_problem}"
            raise OptionError("examples_per_problem", examples_per_problem, expected)
        _check_parts(parts, tests_per_problem if difficulties.get(_LONG) else None)
        self._seed = seed
        self._sizes = dict(sizes)
        self._difficulties = {d: difficulties.get(d, 0.0) for d in _NAMES}
        self._stdio_share = stdio_share
        self._tests, self._examples = tests_per_problem, examples_per_problem
        self._demonstrated_share = demonstrated_share
        self._demonstrations = demonstrations_per_problem
        self._bug_share = bug_share
        self._parts = tuple(parts)
        self._problems: dict[Split, tuple[Problem, ...]] = {}
        self._forked_problems: dict[Split, ForkedValue[tuple[Problem, ...]]] = {}

    def problems(self, split: Split) -> Sequence[Problem]:
        """Problems of a split; generated at the first call."""
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
        """Endless problems of a split, all with different statements."""
        statements: set[str] = set()
        for index in count():
            rng = Random(f"{self._seed}/{split}/{index}")
            mode: Mode = "stdio" if rng.random() < self._stdio_share else "call"
            difficulty = rng.choices(list(self._difficulties), list(self._difficulties.values()))[0]
            draws = (self._draw(rng, split, index, difficulty, mode, statements) for _ in range(_ATTEMPTS))
            problem = next((p for p in draws if p is not None), None)
            if problem is None:
                raise ValueError(
                    f"benchmark.sizes.{split} is {self._sizes.get(split)}: found {index} different problems, and then "
                    f"no further {difficulty} one in {_ATTEMPTS} draws; expected fewer, or other benchmark.difficulties"
                )
            statements.add(problem.statement)
            yield problem

    def prompt(self, problem: Problem) -> Prompt:
        """The statement and a line break."""
        return Prompt(head="", question=problem.statement, tail="\n")

    def extract(self, problem: Problem, text: str) -> Extraction:
        """The whole answer is the program."""
        return Extraction(0, len(text))

    def answer(self, problem: Problem, program: str) -> str:
        """The program."""
        return program

    def _draw(
        self, rng: Random, split: Split, index: int, difficulty: str, mode: Mode, statements: set[str]
    ) -> Problem | None:
        draft = (
            self._draft_long(rng, split, statements)
            if difficulty == _LONG
            else self._draft(rng, split, difficulty, mode, statements)
        )
        if draft is None:
            return None
        return Problem(
            id=f"mini/{self._seed}/{split}/{index}",
            statement=draft.statement,
            tests=as_tests(draft.cases, draft.mode),
            entry_point=ENTRY if draft.mode == "call" else None,
            difficulty=difficulty,
            references=(draft.code,),
            demonstrations=self._demonstrate(rng, draft) if split == "train" else (),
            tags=draft.tags,
        )

    def _draft(self, rng: Random, split: Split, difficulty: str, mode: Mode, statements: set[str]) -> _Draft | None:
        source = draw_source(rng, difficulty, mode)
        if source is None or split_of(skeleton(source)) != split:
            return None
        statement = source.english()
        if statement in statements:
            return None
        code = source.code()
        cases = choose_cases(rng, code, source.parameters, mode, self._tests)
        if cases is None:
            return None

        def demonstrate() -> str:
            buggy = rng.random() < self._bug_share
            broken = break_program(rng, code, lambda p: passes(p, mode, cases)) if buggy else None
            return broken[0] if broken else code

        return _Draft(statement, code, mode, cases, source.tags(), demonstrate)

    def _draft_long(self, rng: Random, split: Split, statements: set[str]) -> _Draft | None:
        source = draw_long_source(rng, rng.choice(self._parts))
        if source is None or split_of(long_skeleton(source)) != split or source.english() in statements:
            return None
        cases = choose_long_cases(rng, source, self._tests)
        if cases is None:
            return None
        shuffled, by_part = cases

        def demonstrate() -> str:
            return break_parts(rng, source, by_part, self._bug_share)

        return _Draft(source.english(), source.code(), "call", shuffled, source.tags(), demonstrate)

    def demonstrations(self, problem: Problem) -> tuple[str, ...]:
        """Demonstrations, which may be wrong; empty for a problem that has tests only."""
        return problem.demonstrations

    def examples(self, problem: Problem) -> tuple[Test, ...]:
        """The first tests; the statement shows none."""
        return problem.tests[: self._examples]

    def _demonstrate(self, rng: Random, draft: _Draft) -> tuple[str, ...]:
        if rng.random() >= self._demonstrated_share:
            return ()
        return tuple(dict.fromkeys(draft.demonstrate() for _ in range(self._demonstrations)))


@dataclass(frozen=True, slots=True)
class _Draft:
    """A problem without its place in a split."""

    statement: str
    code: str
    mode: Mode
    cases: Cases
    tags: tuple[str, ...]
    demonstrate: Callable[[], str]
    """A program to learn from, which may be wrong."""


def _check_table(key: str, table: Mapping[Any, float], names: Sequence[str]) -> None:
    for name, value in table.items():
        if name not in names:
            raise OptionError(f"{key}.{name}", value, f"only the names {', '.join(names)}")
        require(f"{key}.{name}", value, at_least=0)


def _check_parts(parts: Sequence[int], tests: int | None) -> None:
    if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
        raise OptionError("parts", parts, "a list of whole numbers, e.g. [4]")
    for number in parts:
        require("parts", number, at_least=1, at_most=8, whole=True)
    if tests is not None and tests < LEAST_TESTS * max(parts):
        raise OptionError("tests_per_problem", tests, f"at least {LEAST_TESTS} a part, of which there are {max(parts)}")
