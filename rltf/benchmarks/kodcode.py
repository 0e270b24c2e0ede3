"""KodCode (Xu et al. 2025, arXiv 2503.02951): synthetic questions whose solutions passed pytest-style tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from rltf.benchmarks.dataset import TESTS, DatasetBenchmark, UnjudgeableRow
from rltf.benchmarks.files import Row
from rltf.benchmarks.hub import hub_rows
from rltf.benchmarks.references import normalize_whitespace
from rltf.benchmarks.splits import hash_fraction
from rltf.execution.pytest_module import module_tests
from rltf.types import AssertTest, Problem, Split
from rltf.validation import OptionError, require


class KodCode(DatasetBenchmark):
    """KodCode: one test for each test function. The file has training rows alone; some of them, chosen by id, validate
    and test instead.

    Args:
        path: JSON lines in the fields of the hub's rows (V1, Light-RL, or SFT with `test_code`), plain or .gz; null:
            `hub`.
        hub: Hugging Face data set id.
        subsets: e.g. `[Leetcode, Codeforces, Prefill]`; null: all.
        styles: of `instruct`, `complete` and `online_judge`; null: all.
        difficulties: of `easy`, `medium`, `hard` (`gpt_difficulty`); null: all.
        validation_share: part of the problems that validates instead.
        test_share: part of the problems that tests instead.
        prompt: `chat`, `doc` or `paper`.
        limit: largest number of problems per split; null: all.
        keep_constant: trains on problems whose tests a constant program passes, too.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
        exclude: file with a problem id a line, which are left out of training and validation; null: none.
    """

    name = "kodcode"

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "KodCode/KodCode-V1",
        subsets: Sequence[str] | None = None,
        styles: Sequence[str] | None = None,
        difficulties: Sequence[str] | None = None,
        validation_share: float = 0.01,
        test_share: float = 0.01,
        prompt: str = "chat",
        limit: int | None = None,
        keep_constant: bool = False,
        chat: Mapping[str, Any] | None = None,
        exclude: str | None = None,
    ) -> None:
        require("validation_share", validation_share, at_least=0, below=1)
        require("test_share", test_share, at_least=0, below=1)
        if validation_share + test_share >= 1:
            raise OptionError("test_share", test_share, f"less than 1 - validation_share = {1 - validation_share:g}")
        self._validation_share, self._test_share = validation_share, test_share
        only = {"subset": ("subsets", subsets), "style": ("styles", styles)}
        only["gpt_difficulty"] = ("difficulties", difficulties)
        for key, names in only.values():
            if isinstance(names, str) or (names is not None and not names):
                raise OptionError(key, names, "a list of names, or null for all")
        self._only = {field: tuple(names) for field, (_, names) in only.items() if names is not None}
        super().__init__(path, hub, prompt, limit, keep_constant, chat, exclude)

    @override
    def rows_from_hub(self, hub: str) -> list[Row]:
        # Its other splits hold questions whose solutions failed their tests.
        return [row for row in hub_rows(hub) if row.fields["split"] == "train"]

    @override
    def requirement(self) -> str:
        return " and ".join([TESTS, *(f"a {field} of {list(names)}" for field, names in self._only.items())])

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem] | None:
        if any(row.value(field, str, "") not in names for field, names in self._only.items()):
            return None
        number = row.value("question_id" if "question_id" in row.fields else "conversation_id", str)
        problem_id = f"kodcode/{number}"
        module = row.value("test" if "test" in row.fields else "test_code", str)
        try:
            tests = tuple(AssertTest(test.code) for test in module_tests(module))
        except ValueError as error:
            raise UnjudgeableRow(problem_id, f"its test module {error}") from None
        return self._split(problem_id), Problem(
            id=problem_id,
            statement=row.value("question", str).strip(),
            tests=tests,
            entry_point=_function(row),
            difficulty=row.value("gpt_difficulty", str, ""),
            references=(normalize_whitespace(row.value("solution", str)),),
            tags=tuple(filter(None, (row.value("subset", str, ""),))),
        )

    def _split(self, problem_id: str) -> Split:
        fraction = hash_fraction(problem_id)
        if fraction < self._test_share:
            return "test"
        return "validation" if fraction < self._test_share + self._validation_share else "train"


def _function(row: Row) -> str | None:
    """The function to be written, the first where there are several; None where the row does not say."""
    if isinstance(row.fields.get("test_entry_point"), str):
        return row.value("test_entry_point", str)
    names = [info.get("function_name") for info in row.value("test_info", list, []) if isinstance(info, dict)]
    return next((name for name in names if isinstance(name, str) and name), None)
