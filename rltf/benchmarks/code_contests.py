"""CodeContests (Li et al. 2022, arXiv 2203.07814: AlphaCode): contest problems on standard input with public, private
and generated tests, and human solutions in several languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from rltf.benchmarks.apps.benchmark import SCRIPT_SETUP
from rltf.benchmarks.dataset import DatasetBenchmark, UnjudgeableRow
from rltf.benchmarks.files import Row
from rltf.benchmarks.languages import require_installed, require_prompt
from rltf.benchmarks.references import normalize_line_ends
from rltf.types import Problem, Split, StdioTest
from rltf.validation import require

LANGUAGES: Mapping[str, int] = {"cpp": 2, "python": 3}
"""Language of programs -> its number in `solutions.language` (1 is Python 2, 4 Java)."""
SOURCES = ("unknown", "codechef", "codeforces", "hackerearth", "codejam", "atcoder", "aizu")
"""Sites by their number in `source`."""
SPLITS: Mapping[str, Split] = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}


class CodeContests(DatasetBenchmark):
    """CodeContests. Problems that read or write files are left out.

    Args:
        path: JSON lines in the fields of the hub's rows, plain or .gz; null: `hub`.
        hub: Hugging Face data set id.
        language: of programs and references: `python` or `cpp`.
        generated: True: with the tests that were generated from others and checked by solutions.
        max_tests: largest number of tests of a problem, public ones first; null: all.
        max_references: largest number of reference programs of a problem, the shortest.
        split: of the rows of a file that does not say it: `train`, `validation` or `test`.
        prompt: `chat` or `paper`; with Python also `doc`.
        limit: largest number of problems per split; null: all.
        keep_constant: trains on problems whose tests a constant program passes, too.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
        exclude: file with a problem id a line, which are left out of training and validation; null: none.
    """

    name = "code_contests"

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "deepmind/code_contests",
        language: str = "python",
        generated: bool = True,
        max_tests: int | None = None,
        max_references: int = 4,
        split: str = "train",
        prompt: str = "chat",
        limit: int | None = None,
        keep_constant: bool = False,
        chat: Mapping[str, Any] | None = None,
        exclude: str | None = None,
    ) -> None:
        require("language", language, choices=LANGUAGES)
        require("split", split, choices=SPLITS)
        require("max_tests", max_tests, at_least=1, whole=True, optional=True)
        require("max_references", max_references, at_least=0, whole=True)
        require_installed(language)
        require_prompt(prompt, language)
        self._language, self._generated, self._file_split = language, generated, split
        self._max_tests, self._max_references = max_tests, max_references
        super().__init__(path, hub, prompt, limit, keep_constant, chat, exclude)

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem]:
        split = row.value("split", str, self._file_split)
        if split not in SPLITS:
            raise ValueError(f"benchmark.path: {row.place} is of split {split!r}, expected {', '.join(SPLITS)}")
        problem_id = f"code_contests/{row.value('name', str)}"
        files = [name for name in ("input_file", "output_file") if row.value(name, str, "")]
        if files:
            raise UnjudgeableRow(problem_id, f"its {' and '.join(files)} are files, not standard input and output")
        kinds = ["public_tests", "private_tests", *(["generated_tests"] if self._generated else [])]
        tests = [test for kind in kinds for test in _tests(row, kind)]
        source = row.value("source", int, 0)
        return SPLITS[split], Problem(
            id=problem_id,
            statement=row.value("description", str).strip(),
            tests=tuple(dict.fromkeys(tests))[: self._max_tests],
            setup=SCRIPT_SETUP if self._language == "python" else "",
            difficulty=str(row.value("cf_rating", int, 0) or ""),
            references=self._references(row),
            tags=(SOURCES[source],) if 0 <= source < len(SOURCES) else (),
            language=self._language,
        )

    def _references(self, row: Row) -> tuple[str, ...]:
        """The shortest programs of the language, which leave least to be learnt by heart."""
        solutions = row.value("solutions", dict, {})
        languages, programs = (solutions.get(key) or [] for key in ("language", "solution"))
        if len(languages) != len(programs):
            raise ValueError(f"benchmark.path: {row.place} has {len(programs)} solutions in {len(languages)} languages")
        number = LANGUAGES[self._language]
        of_language = {
            normalize_line_ends(text) for text, kind in zip(programs, languages, strict=True) if kind == number
        }
        return tuple(sorted(of_language, key=lambda program: (len(program), program))[: self._max_references])


def _tests(row: Row, field: str) -> list[StdioTest]:
    """The tests of one kind."""
    cases = row.value(field, dict, {})
    inputs, outputs = cases.get("input") or [], cases.get("output") or []
    if len(inputs) != len(outputs) or not all(isinstance(text, str) for text in [*inputs, *outputs]):
        raise ValueError(f"benchmark.path: {row.place} has in {field!r} no texts in pairs of 'input' and 'output'")
    return [StdioTest(stdin, stdout) for stdin, stdout in zip(inputs, outputs, strict=True)]
