"""`continual.json` of a run with `tasks=`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Continual:
    """Scores of every task after every task."""

    tasks: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    """Row i: score of each task after the i-th; fewer rows than tasks in a run that is going on."""
    forgetting: float | None
    """None before the second task ended."""
    drift: float | None
    """Mean drift of the keys of finished tasks at the end; None where there are no keys."""
    visits: tuple[float, ...]
    """Times that a problem of each task was drawn, on average."""

    @property
    def mean(self) -> float:
        """Mean score after the last row."""
        return sum(self.matrix[-1]) / len(self.matrix[-1])

    @property
    def finished(self) -> bool:
        """Whether every task has ended."""
        return len(self.matrix) == len(self.tasks)


def read_continual(path: Path) -> tuple[Continual | None, list[str]]:
    """(the file's content, sentences on what is wrong with it); None where it cannot be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        tasks = tuple(record["tasks"])
        matrix = tuple(tuple(float(score) for score in row) for row in record["matrix"])
        if not matrix or any(len(row) != len(tasks) for row in matrix):
            raise ValueError("rows and tasks differ in number")
        last_drift = list((record.get("key_drift") or [{}])[-1].values())
        drift = sum(last_drift) / len(last_drift) if last_drift else None
        visits = tuple(record["draws"][task] / record["problems"][task] for task in tasks)
        return Continual(tasks, matrix, record["forgetting"], drift, visits), []
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        return None, [f"{path.name} is damaged ({type(error).__name__}); it is left out."]
