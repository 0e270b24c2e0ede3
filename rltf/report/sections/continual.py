"""Continual learning: the matrix of scores, forgetting and the drift of keys."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from rltf.report.compare.settings import Row
from rltf.report.compare.statistics import Estimate, estimate_over_seeds
from rltf.report.document import Table, table
from rltf.report.draw.numbers import percent, short
from rltf.report.read.continual import Continual


def continual_tables(rows: Sequence[Row]) -> list[Table | None]:
    """The matrix of each row, mean over its seeds, and one line of figures a row; nothing where no run has tasks."""
    by_row = [(row, [run.continual for run in row.runs if run.continual and run.continual.finished]) for row in rows]
    by_row = [(row, records) for row, records in by_row if records]
    if not by_row:
        return []
    several = len(rows) > 1
    return [_figures(by_row, several), *(_matrix(row.label if several else "", records) for row, records in by_row)]


def _figures(by_row: Sequence[tuple[Row, Sequence[Continual]]], several: bool) -> Table | None:
    head = [*(["row"] if several else []), "seeds", "mean after the last task", "forgetting", "drift of keys"]
    body = []
    for row, records in by_row:
        mean = estimate_over_seeds([record.mean for record in records])
        losses = [record.forgetting for record in records if record.forgetting is not None]
        drifts = [record.drift for record in records if record.drift is not None]
        body.append(
            [
                *([row.label] if several else []),
                str(len(records)),
                _share(mean),
                _points(estimate_over_seeds(losses, bounded=False)) if losses else "",
                short(fmean(drifts)) if drifts else "",
            ]
        )
    note = (
        "Scores are pass@1 of validation problems. Forgetting: mean over all tasks but the last of the best score "
        "before the end minus the score at the end, in points; below 0 scores rose. Drift: mean of 1 - cosine between "
        "the keys of a task when it ended and at the end of the run. In brackets the 95 % interval over seeds "
        "(Student's t)."
    )
    return table(head, body, note)


def _matrix(label: str, records: Sequence[Continual]) -> Table | None:
    tasks = records[0].tasks
    comparable = [record for record in records if record.tasks == tasks]
    body = [
        [
            f"after {name}",
            *(percent(fmean(record.matrix[i][j] for record in comparable)) for j in range(len(tasks))),
        ]
        for i, name in enumerate(tasks)
    ]
    visits = ", ".join(
        f"{name} {short(fmean(record.visits[j] for record in comparable))}" for j, name in enumerate(tasks)
    )
    note = f"{f'Row {label}. ' if label else ''}Times that a problem was drawn, on average: {visits}."
    return table(["score of", *tasks], body, note)


def _share(estimate: Estimate) -> str:
    interval = estimate.interval
    return percent(estimate.value) + (f" [{percent(interval[0])}, {percent(interval[1])}]" if interval else "")


def _points(estimate: Estimate) -> str:
    interval = estimate.interval
    text = f"{100 * estimate.value:.1f}"
    return text + (f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else "")
