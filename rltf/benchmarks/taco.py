"""TACO (Li et al. 2023, arXiv 2312.14852): 25,443 training and 1,000 test problems in the fields of APPS, with topics
and skills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from rltf.benchmarks.apps.benchmark import Apps
from rltf.benchmarks.contests import numbered
from rltf.benchmarks.files import Row
from rltf.benchmarks.hub import hub_rows
from rltf.types import Problem, Split
from rltf.validation import require


class Taco(Apps):
    """TACO. Rows have no number: a problem's id is its place in its split.

    Args:
        path: a folder with `train.jsonl` and `test.jsonl`, or one JSON-lines file, plain or .gz; null: `hub`.
        hub: Hugging Face data set id.
        prompt: `doc`, `chat` or `paper`.
        limit: largest number of problems per split; null: all.
        split: of the rows of one file: `train` or `test`.
        difficulties: of `EASY`, `MEDIUM`, `MEDIUM_HARD`, `HARD`, `VERY_HARD`, `UNKNOWN_DIFFICULTY`; null: all.
        max_statement: largest number of characters of a statement; null: any.
        max_solution: largest number of characters of the shortest reference program; null: any.
        validation_share: part of the training problems that validates instead, chosen by id.
        keep_constant: trains on problems whose tests a constant program passes, too.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
        exclude: file with a problem id a line, which are left out of training and validation; null: none.
    """

    name = "taco"
    prefix = "taco"

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "BAAI/TACO",
        prompt: str = "paper",
        limit: int | None = None,
        split: str = "train",
        difficulties: Sequence[str] | None = None,
        max_statement: int | None = None,
        max_solution: int | None = None,
        validation_share: float = 0.05,
        keep_constant: bool = False,
        chat: Mapping[str, Any] | None = None,
        exclude: str | None = None,
    ) -> None:
        require("split", split, choices=("train", "test"))
        self._file_split = split
        super().__init__(
            path,
            hub,
            prompt,
            limit,
            difficulties,
            max_statement,
            max_solution,
            validation_share,
            keep_constant,
            chat,
            exclude,
        )

    @override
    def rows_from_file(self, path: Path) -> list[Row]:
        rows = super().rows_from_file(path)
        return numbered([Row(row.place, {"split": self._file_split, **row.fields}) for row in rows])

    @override
    def rows_from_hub(self, hub: str) -> list[Row]:
        return numbered(hub_rows(hub, config="ALL"))

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem] | None:
        # A fifth of the rows have no solution; APPS writes such as "" or "[]", TACO also as null.
        empty = {field: row.fields.get(field) or None for field in ("solutions", "starter_code", "input_output")}
        return super().parse_row(Row(row.place, {**row.fields, **empty}))
