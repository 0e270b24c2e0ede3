"""What the benchmarks that come from files share: where rows come from, which problems are left out, and the prompt
format. A subclass says what a row means."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, get_args

from rltf.benchmarks.base import Benchmark
from rltf.benchmarks.constant import constant_passes
from rltf.benchmarks.examples import shown_examples
from rltf.benchmarks.files import Row, read_rows
from rltf.benchmarks.hub import hub_rows
from rltf.benchmarks.prompts import FORMATS, PromptFormat
from rltf.execution.pool.pending import encode_tests
from rltf.types import CheckTest, Extraction, Problem, Prompt, Split, Test
from rltf.validation import OptionError, require

logger = logging.getLogger(__name__)

TESTS = "tests that can be judged"
NO_TESTS = "without tests"
ONE_TEST = "with one test, which a constant program passes (left out of training only)"
UNJUDGEABLE = "with tests that cannot be judged"
CONSTANT = "with equal tests, which a constant program passes (left out of training only)"


class FileBenchmark(Benchmark):
    """Problems read when the object is built, so that a bad file ends a run before any long work.

    Args:
        path: local file (JSON lines or a JSON list, plain or .gz); null: `hub` is fetched.
        hub: Hugging Face data set id; null: only local files.
        prompt: `doc`, `chat` or `paper` (see `rltf.benchmarks.prompts`).
        limit: problems kept of each split, the first ones; null: all.
        keep_constant: trains on problems that a constant program passes, too.
    """

    formats: ClassVar[Mapping[str, PromptFormat]] = FORMATS
    left_out: Mapping[str, tuple[str, ...]]
    """Reason -> ids of the problems that are in no split, or for constant programs not in training."""

    def __init__(
        self, path: str | None, hub: str | None, prompt: str, limit: int | None, keep_constant: bool = False
    ) -> None:
        self._format = _choice(self.formats, prompt)
        require("limit", limit, at_least=1, whole=True, optional=True)
        if path is None and hub is None:
            raise ValueError("benchmark.path and benchmark.hub are both null, expected a local file or a hub id")
        self._source = hub if path is None else path
        rows = self._hub_rows(str(hub)) if path is None else self._file_rows(Path(path).expanduser())
        self._splits, self.left_out = _sort(self._problems(rows), keep_constant)
        if not any(self._splits.values()):
            raise ValueError(f"benchmark.path: none of the {len(rows)} problems of {self._source} has {self._wanted()}")
        self._splits = {split: problems[:limit] for split, problems in self._splits.items()}
        self._log()

    def problems(self, split: Split) -> Sequence[Problem]:
        """Problems of a split, in the order of the file.

        Raises:
            ValueError: the split has none.
        """
        if not self._splits.get(split):
            found = ", ".join(f"{len(problems)} {name}" for name, problems in self._splits.items() if problems)
            raise ValueError(f"benchmark={self.name} has no {split} problems in {self._source}, only {found}")
        return self._splits[split]

    def prompt(self, problem: Problem) -> Prompt:
        """What the policy reads, as `benchmark.prompt` says."""
        return self._format.prompt(problem)

    def extract(self, problem: Problem, text: str) -> Extraction:
        """Where the program lies in an answer."""
        return self._format.extract(problem, text)

    def answer(self, problem: Problem, program: str) -> str:
        """The answer that `extract` maps back to `program`; a ValueError for a program that the prompt's format cannot
        ask for (`demonstrations` has none of those)."""
        return self._format.answer(problem, program)

    def demonstrations(self, problem: Problem) -> tuple[str, ...]:
        """Reference programs that the prompt's format can ask for: `doc` has no place for a program that opens with an
        import, so it teaches without it."""
        programs = super().demonstrations(problem)
        return tuple(program for program in programs if self._format.fits(problem, program))

    def examples(self, problem: Problem) -> tuple[Test, ...]:
        """Tests that the prompt or the statement shows."""
        return shown_examples(problem, self.prompt(problem))

    @abstractmethod
    def _problem(self, row: Row) -> tuple[Split, Problem] | None:
        """The problem in a row and its split; None for rows that the config filters out."""

    def _file_rows(self, path: Path) -> list[Row]:
        return read_rows(path)

    def _hub_rows(self, hub: str) -> list[Row]:
        return hub_rows(hub)

    def _wanted(self) -> str:
        return TESTS

    def _problems(self, rows: Iterable[Row]) -> Iterable[tuple[Split, Problem]]:
        places: dict[str, str] = {}
        for row in rows:
            try:
                found = self._problem(row)
            except SyntaxError as error:
                raise ValueError(f"benchmark.path: {row.place} has a test that is no Python ({error.msg})") from error
            if found is None:
                continue
            other = places.setdefault(found[1].id, row.place)
            if other != row.place:
                raise ValueError(f"benchmark.path: {row.place} repeats the id {found[1].id} of {other}")
            yield found

    def _log(self) -> None:
        train = self._splits["train"]
        taught = sum(bool(self.demonstrations(problem)) for problem in train)
        logger.info(
            "%s: %s from %s; %d of %d train problems have demonstrations in this prompt; left out: %s",
            self.name,
            ", ".join(f"{len(problems)} {split}" for split, problems in self._splits.items()),
            self._source,
            taught,
            len(train),
            ", ".join(f"{len(ids)} {reason}" for reason, ids in self.left_out.items()) or "none",
        )


def _choice(formats: Mapping[str, PromptFormat], prompt: str) -> PromptFormat:
    if prompt not in formats:
        near = get_close_matches(str(prompt), formats, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise OptionError("prompt", prompt, f"one of {', '.join(formats)}{hint}")
    return formats[prompt]


def _sort(
    problems: Iterable[tuple[Split, Problem]], keep_constant: bool
) -> tuple[dict[Split, tuple[Problem, ...]], Mapping[str, tuple[str, ...]]]:
    splits: dict[Split, list[Problem]] = {split: [] for split in get_args(Split)}
    left_out: dict[str, list[str]] = {}
    for split, problem in problems:
        if not problem.tests:
            left_out.setdefault(NO_TESTS, []).append(problem.id)
        elif not _judgeable(problem):
            left_out.setdefault(UNJUDGEABLE, []).append(problem.id)
        elif split == "train" and not keep_constant and constant_passes(problem):
            left_out.setdefault(_reason(problem), []).append(problem.id)
        else:
            splits[split].append(problem)
    return (
        {split: tuple(chosen) for split, chosen in splits.items()},
        MappingProxyType({reason: tuple(ids) for reason, ids in left_out.items()}),
    )


def _judgeable(problem: Problem) -> bool:
    """False when the sandbox could not be sent the tests, such as a list in 200 lists."""
    try:
        encode_tests(problem.tests)
    except ValueError as error:
        logger.warning("%s is left out: its %s", problem.id, error)
        return False
    return True


def _reason(problem: Problem) -> str:
    single = len(problem.tests) == 1 and not isinstance(problem.tests[0], CheckTest)  # a check holds many asserts
    return ONE_TEST if single else CONSTANT
