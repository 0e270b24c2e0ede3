"""Base class of benchmarks whose problems come from files or from the Hugging Face hub: it reads the rows, excludes
problems that cannot be used, and holds the prompt format."""

from __future__ import annotations

import logging
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, get_args

from rltf.benchmarks.base import Benchmark
from rltf.benchmarks.constant import constant_passes
from rltf.benchmarks.examples import shown_examples
from rltf.benchmarks.files import Row, read_ids, read_rows
from rltf.benchmarks.hub import hub_rows
from rltf.benchmarks.prompts import FORMATS, Chat, PromptFormat
from rltf.execution.pool.pending import encode_tests
from rltf.execution.text_checks import problem_of_text
from rltf.types import AssertTest, CheckTest, Extraction, Problem, Prompt, Split, Test
from rltf.validation import OptionError, require

logger = logging.getLogger(__name__)

TESTS = "tests that can be judged"
NO_TESTS = "without tests"
KEPT_BY = "left out of training only; benchmark.keep_constant=true keeps them"
ONE_TEST = f"with one test, which a constant program passes ({KEPT_BY})"
UNJUDGEABLE = "with tests that cannot be judged"
CONSTANT = f"with equal tests, which a constant program passes ({KEPT_BY})"
LISTED = "named in benchmark.exclude (left out of training and validation)"
MOST_NAMED = 20
"""Problems that are left out and named in the log; all are in `excluded_ids`."""


class UnjudgeableRow(ValueError):
    """A problem whose tests cannot be judged: it is left out, and the run goes on.

    Args:
        problem_id: id of the problem.
        detail: what is wrong with its tests.
    """

    def __init__(self, problem_id: str, detail: str) -> None:
        super().__init__(detail)
        self.problem_id = problem_id


class DatasetBenchmark(Benchmark):
    """Problems made of the rows of a data set. They are read when the object is built, so that a bad file ends a run
    before any long work.

    A new benchmark defines `name` and the first of these methods; the others only where they differ:

    - `parse_row`: the problem in a row, and its split;
    - `rows_from_hub`: the rows of the hub's data set, where its splits need a configuration or are files;
    - `rows_from_file`: the rows of a local file, where it is no JSON lines or JSON list.

    It may also change `formats`, and `requirement` where its options exclude problems.

    Args:
        path: local file (JSON lines or a JSON list, plain or .gz); null: `hub` is fetched.
        hub: Hugging Face data set id; null: only local files.
        prompt: `doc`, `chat` or `paper` (see `rltf.benchmarks.prompts`).
        limit: largest number of problems per split, the first ones; null: all.
        keep_constant: True: trains on problems whose tests a constant program passes, too.
        chat: options of `prompt=chat` (see `rltf.benchmarks.prompts.Chat`): `system`, `template`; None: none.
        exclude: file with a problem id a line, which are left out of training and validation; null: none.

    Example::

        class Katas(DatasetBenchmark):
            name = "katas"

            def parse_row(self, row: Row) -> tuple[Split, Problem]:
                tests = tuple(map(AssertTest, row.strings("asserts")))
                return "train", Problem(row.value("id", str), row.value("task", str), tests, entry_point="solve")
    """

    formats: ClassVar[Mapping[str, PromptFormat]] = FORMATS
    """`benchmark.prompt` -> prompt format."""
    excluded_ids: Mapping[str, tuple[str, ...]]
    """Reason -> ids of the problems that are in no split, or, where a constant program passes, not in training."""

    def __init__(
        self,
        path: str | None,
        hub: str | None,
        prompt: str,
        limit: int | None,
        keep_constant: bool = False,
        chat: Mapping[str, Any] | None = None,
        exclude: str | None = None,
    ) -> None:
        self._format = _with_chat_options(_find_format(self.formats, prompt), prompt, chat or {})
        require("limit", limit, at_least=1, whole=True, optional=True)
        if path is None and hub is None:
            raise ValueError("benchmark.path and benchmark.hub are both null, expected a local file or a hub id")
        self._source = hub if path is None else path
        rows = self.rows_from_hub(str(hub)) if path is None else self.rows_from_file(Path(path).expanduser())
        self._unjudgeable: dict[str, str] = {}
        """Id of a problem that cannot be judged -> its place in the files, and why."""
        listed = frozenset() if exclude is None else read_ids(Path(exclude).expanduser())
        self._splits, self.excluded_ids = _sort_problems(self._parse_rows(rows), keep_constant, listed)
        if listed and LISTED not in self.excluded_ids:
            raise ValueError(f"benchmark.exclude: {exclude} names no training problem of {self._source}")
        if self._unjudgeable:
            self.excluded_ids = MappingProxyType({**self.excluded_ids, UNJUDGEABLE: tuple(self._unjudgeable)})
        if not any(self._splits.values()):
            problems = f"none of the {len(rows)} problems of {self._source}"
            reason = f"; {reasons[0]}" if (reasons := list(self._unjudgeable.values())) else ""
            raise ValueError(f"benchmark.path: {problems} has {self.requirement()}{reason}")
        self._splits = {split: problems[:limit] for split, problems in self._splits.items()}
        self._log()

    def problems(self, split: Split) -> Sequence[Problem]:
        """Problems of a split, in the order of the file.

        Raises:
            ValueError: the split has none.
        """
        if not self._splits.get(split):
            counts = ", ".join(f"{len(problems)} {name}" for name, problems in self._splits.items() if problems)
            raise ValueError(f"benchmark={self.name} has no {split} problems in {self._source}, only {counts}")
        return self._splits[split]

    def prompt(self, problem: Problem) -> Prompt:
        """The problem's prompt in the format `benchmark.prompt`."""
        return self._format.prompt(problem)

    def extract(self, problem: Problem, text: str) -> Extraction:
        """Position of the program in an answer."""
        return self._format.extract(problem, text)

    def answer(self, problem: Problem, program: str) -> str:
        """The answer from which `extract` gets `program`.

        Raises:
            ValueError: the prompt format has no place for the program (`demonstrations` has no such programs).
        """
        return self._format.answer(problem, program)

    def demonstrations(self, problem: Problem) -> tuple[str, ...]:
        """The demonstrations for which the prompt format has a place: `doc` has none for a program that opens with an
        import."""
        programs = super().demonstrations(problem)
        return tuple(program for program in programs if self._format.fits(problem, program))

    def examples(self, problem: Problem) -> tuple[Test, ...]:
        """Tests that the prompt or the statement shows to a solver."""
        return shown_examples(problem, self.prompt(problem))

    @abstractmethod
    def parse_row(self, row: Row) -> tuple[Split, Problem] | None:
        """(split, problem) of a row; None for a row that the options exclude.

        Raises:
            ValueError: the row is malformed; `Row.value` and `Row.strings` raise it with file and line.
            UnjudgeableRow: only its tests are; the problem is left out.
            SyntaxError: a test is no Python.
        """

    def rows_from_file(self, path: Path) -> list[Row]:
        """All rows of the local file `path`."""
        return read_rows(path)

    def rows_from_hub(self, hub: str) -> list[Row]:
        """All rows of the data set `hub`; `rltf.benchmarks.hub.hub_rows` puts their split into the field `split`."""
        return hub_rows(hub)

    def requirement(self) -> str:
        """What a problem must have to be used, for the error when no row has it."""
        return TESTS

    def _parse_rows(self, rows: Iterable[Row]) -> Iterable[tuple[Split, Problem]]:
        places: dict[str, str] = {}
        for row in rows:
            try:
                parsed = self.parse_row(row)
            except UnjudgeableRow as error:
                self._unjudgeable[error.problem_id] = f"{row.place}: {error}"
                continue
            except SyntaxError as error:
                raise ValueError(f"benchmark.path: {row.place} has a test that is no Python ({error.msg})") from error
            if parsed is None:
                continue
            split, problem = parsed
            if split not in get_args(Split):
                raise ValueError(
                    f"benchmark.path: {row.place} is of split {split!r}: expected train, validation or test"
                )
            first_place = places.setdefault(problem.id, row.place)
            if first_place != row.place:
                raise ValueError(f"benchmark.path: {row.place} repeats the id {problem.id} of {first_place}")
            if problem.tests and (reason := _unjudgeable(problem)):
                self._unjudgeable[problem.id] = f"{row.place}: {reason}"
            else:
                yield split, problem

    def _log(self) -> None:
        for number, (problem_id, reason) in enumerate(self._unjudgeable.items()):
            if number == MOST_NAMED:
                logger.warning("%d more problems are left out", len(self._unjudgeable) - MOST_NAMED)
                break
            logger.warning("%s is left out: %s", problem_id, reason)
        train = self._splits["train"]
        demonstrated = sum(bool(self.demonstrations(problem)) for problem in train)
        logger.info(
            "%s: %s from %s; %d of %d train problems have demonstrations in this prompt; left out: %s",
            self.name,
            ", ".join(f"{len(problems)} {split}" for split, problems in self._splits.items()),
            self._source,
            demonstrated,
            len(train),
            ", ".join(f"{len(ids)} {reason}" for reason, ids in self.excluded_ids.items()) or "none",
        )


def _find_format(formats: Mapping[str, PromptFormat], prompt: str) -> PromptFormat:
    if prompt not in formats:
        matches = get_close_matches(str(prompt), formats, n=1)
        hint = f" (did you mean {matches[0]}?)" if matches else ""
        raise OptionError("prompt", prompt, f"one of {', '.join(formats)}{hint}")
    return formats[prompt]


def _with_chat_options(prompt_format: PromptFormat, prompt: str, options: Mapping[str, Any]) -> PromptFormat:
    """The format with those of its options that are set.

    Raises:
        OptionError: an option is not known, is no text or table, or the format is not `chat`.
    """
    values = {key: value for key, value in options.items() if value is not None}
    kinds: dict[str, type] = {"system": str, "template": Mapping}
    for key, value in values.items():
        if key not in kinds:
            raise OptionError(f"chat.{key}", value, f"one of the keys {', '.join(kinds)}")
        if not isinstance(value, kinds[key]):
            raise OptionError(f"chat.{key}", value, "a text" if key == "system" else "a table of keywords, or null")
        if not isinstance(prompt_format, Chat):
            raise OptionError(f"chat.{key}", value, f"null with benchmark.prompt={prompt}, which is no chat")
    return replace(prompt_format, **values) if isinstance(prompt_format, Chat) else prompt_format


def _sort_problems(
    problems: Iterable[tuple[Split, Problem]], keep_constant: bool, listed: frozenset[str]
) -> tuple[dict[Split, tuple[Problem, ...]], Mapping[str, tuple[str, ...]]]:
    splits: dict[Split, list[Problem]] = {split: [] for split in get_args(Split)}
    excluded_ids: dict[str, list[str]] = {}
    for split, problem in problems:
        if not problem.tests:
            excluded_ids.setdefault(NO_TESTS, []).append(problem.id)
        elif problem.id in listed and split != "test":
            excluded_ids.setdefault(LISTED, []).append(problem.id)
        elif split == "train" and not keep_constant and constant_passes(problem):
            excluded_ids.setdefault(_constant_reason(problem), []).append(problem.id)
        else:
            splits[split].append(problem)
    return (
        {split: tuple(split_problems) for split, split_problems in splits.items()},
        MappingProxyType({reason: tuple(ids) for reason, ids in excluded_ids.items()}),
    )


def _unjudgeable(problem: Problem) -> str:
    """Why tests cannot be judged: they check nothing, or cannot be sent to the sandbox, such as a list in 200 lists.
    Empty for those that can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if problem.language == "python":
                compile(problem.setup, "<setup>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"its setup does not compile: {error}"
    for number, test in enumerate(problem.tests, start=1):
        if isinstance(test, AssertTest | CheckTest):
            reason = problem_of_text(test.code, test.kind, problem.setup)
            if reason is not None:
                return f"its test {reason}" if len(problem.tests) == 1 else f"its test {number} {reason}"
    try:
        encode_tests(problem.tests)
    except ValueError as error:
        return f"its {error}"
    return ""


def _constant_reason(problem: Problem) -> str:
    single = len(problem.tests) == 1 and not isinstance(problem.tests[0], CheckTest)  # a check holds many asserts
    return ONE_TEST if single else CONSTANT
