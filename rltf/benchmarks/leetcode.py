"""LeetCodeDataset (Xia et al. 2025, arXiv 2504.14655): methods of `class Solution` with about a hundred asserts each,
and the day on which each problem appeared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from typing_extensions import override

from rltf.benchmarks.apps.benchmark import Apps
from rltf.benchmarks.files import Row
from rltf.benchmarks.hub import hub_rows
from rltf.benchmarks.livecodebench import read_day, row_day
from rltf.types import Problem, Split
from rltf.validation import require


class LeetCode(Apps):
    """LeetCode problems. Two layouts are read: rows as published (`task_id`, `problem_description`, `starter_code`,
    `prompt` with the imports, `completion`, `entry_point`, `test`, `estimated_date`), and packed rows of
    `benchmark=apps`.

    Args:
        path: JSON lines, plain or .gz, or a folder with `train.jsonl` and `test.jsonl`; null: `hub`.
        hub: Hugging Face data set id.
        prompt: `doc`, `chat` or `paper`.
        limit: largest number of problems per split; null: all.
        split: of the rows of a published file that does not say it: `train` or `test`.
        since: first day on which a problem appeared; null: any. Rows without a day are then left out.
        until: last day; null: any.
        difficulties: of `Easy`, `Medium`, `Hard` (packed rows: in lower case); null: all.
        validation_share: part of the training problems that validates instead, chosen by id.
        keep_constant: trains on problems whose tests a constant program passes, too.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
        exclude: file with a problem id a line, which are left out of training and validation; null: none.
    """

    name = "leetcode"
    prefix = "leetcode"

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "newfacade/LeetCodeDataset",
        prompt: str = "chat",
        limit: int | None = None,
        split: str = "train",
        since: str | date | None = None,
        until: str | date | None = None,
        difficulties: Sequence[str] | None = None,
        validation_share: float = 0.05,
        keep_constant: bool = False,
        chat: Mapping[str, Any] | None = None,
        exclude: str | None = None,
    ) -> None:
        require("split", split, choices=("train", "test"))
        self._since, self._until, self._file_split = read_day("since", since), read_day("until", until), split
        super().__init__(
            path,
            hub,
            prompt,
            limit,
            difficulties,
            validation_share=validation_share,
            keep_constant=keep_constant,
            chat=chat,
            exclude=exclude,
        )

    @override
    def rows_from_hub(self, hub: str) -> list[Row]:
        return hub_rows(hub)

    @override
    def requirement(self) -> str:
        days = {"since": self._since, "until": self._until}
        return " and ".join([super().requirement(), *(f"benchmark.{key}={day}" for key, day in days.items() if day)])

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem] | None:
        if self._since or self._until:
            if row.fields.get("estimated_date") is None:
                return None
            day = row_day(row, "estimated_date")
            if not (self._since or date.min) <= day <= (self._until or date.max):
                return None
        return super().parse_row(self._packed(row) if "problem_description" in row.fields else row)

    def _packed(self, row: Row) -> Row:
        """A published row in the fields of packed ones."""
        return Row(
            row.place,
            {
                "id": f"leetcode/{row.value('task_id', str)}",
                "split": row.value("split", str, self._file_split),
                "difficulty": row.value("difficulty", str, ""),
                "question": row.value("problem_description", str),
                "starter_code": row.value("starter_code", str, ""),
                "prelude": row.value("prompt", str, ""),
                "solutions": [row.value("completion", str)],
                "entry_point": row.value("entry_point", str),
                "test": row.value("test", str),
            },
        )
