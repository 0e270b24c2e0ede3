"""HumanEval (Chen et al. 2021, arXiv 2107.03374): 164 function headers with docstrings, judged by hidden tests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from typing_extensions import override

from rltf.benchmarks.dataset import DatasetBenchmark
from rltf.benchmarks.files import Row
from rltf.benchmarks.prompts import FORMATS, Completion, PromptFormat
from rltf.types import CheckTest, Problem, Split


class HumanEval(DatasetBenchmark):
    """HumanEval: test problems only. `prompt=doc` is the official way, code to be continued.

    Args:
        path: `HumanEval.jsonl`, plain or .gz; null: `hub`.
        hub: Hugging Face data set id.
        prompt: `doc`, `chat` or `paper`.
        limit: largest number of problems; null: all.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
    """

    name = "humaneval"
    formats: ClassVar[Mapping[str, PromptFormat]] = MappingProxyType({**FORMATS, "doc": Completion()})

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "openai/openai_humaneval",
        prompt: str = "doc",
        limit: int | None = None,
        chat: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(path, hub, prompt, limit, chat=chat)

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem]:
        starter = row.value("prompt", str)
        entry_point = row.value("entry_point", str)
        return "test", Problem(
            id=row.value("task_id", str),
            statement=starter,
            tests=(CheckTest(row.value("test", str), entry_point),),
            entry_point=entry_point,
            starter=starter,
            # Imports and helpers of the header: an answer to `chat` may write the function alone.
            setup=starter[: starter.index(f"def {entry_point}(")] if f"def {entry_point}(" in starter else "",
            references=(starter + row.value("canonical_solution", str),),
        )
