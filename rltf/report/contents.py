"""The content of a report: its sections, in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from rltf.report.compare.results import row_results
from rltf.report.compare.settings import Row, all_runs
from rltf.report.document import Document, section
from rltf.report.read.examples import Example
from rltf.report.sections.continual import continual_tables
from rltf.report.sections.critic import critic_tables
from rltf.report.sections.heldout import error_parts, flow_parts, heldout_by_row, kind_parts, pass_at_k_chart
from rltf.report.sections.metrics import (
    OUTCOMES,
    critic_charts,
    grounding_charts,
    learning_charts,
    policy_charts,
    time_charts,
)
from rltf.report.sections.overview import commands, facts, settings, tiles, title, versions
from rltf.report.sections.results import results_chart, results_table, runs_table
from rltf.runs.files import EVALUATION_FILE

MOST_PROGRAMS = 30
"""Programs in the gallery of a report of several runs."""


def build_document(rows: Sequence[Row], notices: Sequence[str], folder: Path) -> Document:
    """Content of the report of some rows.

    Args:
        rows: of one benchmark; at least one run.
        notices: sentences on the choice of runs; those on single runs are added.
        folder: where the report will lie.
    """
    runs = all_runs(rows)
    single_run = len(runs) == 1
    results = row_results(rows)
    heldout = heldout_by_row(rows)
    critic_note = "Programs of the second half of the iterations, not yet learned from."
    sections = [
        *section(
            "Held-out results",
            results_table(results, single_run),
            results_chart(results, rows),
            pass_at_k_chart(heldout, rows),
        ),
        *section("Continual learning", *continual_tables(rows)),
        *section("Learning", *learning_charts(rows)),
        *section("What became of the programs", *flow_parts(heldout), *error_parts(heldout, rows)),
        *section("Held-out problems by kind", *kind_parts(heldout, rows)),
        *section("The policy", *policy_charts(rows)),
        *section(
            "The critic",
            *critic_charts(rows),
            *(critic_tables(runs[0].rollouts.critic, critic_note) if single_run else []),
        ),
        *section("Static checks and comparison with references", *grounding_charts(rows)),
        *section("Where the time went", *time_charts(rows)),
        *([] if single_run else section("Runs", runs_table(rows))),
    ]
    return Document(
        title=title(rows),
        facts=facts(rows, folder),
        commands=commands(rows),
        tiles=tiles(rows, results),
        notices=(*notices, *_run_notices(rows, single_run)),
        results=tuple(results),
        sections=tuple(sections),
        gallery=_gallery(rows, single_run),
        versions=versions(rows),
        settings=settings(rows),
    )


def _run_notices(rows: Sequence[Row], single_run: bool) -> list[str]:
    """Sentences on what single runs lack."""
    runs = all_runs(rows)
    notices = [notice if single_run else f"{run.folder.name}: {notice}" for run in runs for notice in run.notices]
    for run in runs:
        if not run.finished and not single_run:
            notices.append(f"{run.folder.name} has no results after RL: its curves are drawn, the tables leave it out.")
        elif run.finished and run.heldout is None and not any(EVALUATION_FILE in n for n in run.notices):
            notices.append(f"{run.folder.name} has no evaluation.json: no results by problem.")
    return notices


def _gallery(rows: Sequence[Row], single_run: bool) -> tuple[Example, ...]:
    """The examples of the only run; of several, the last of each outcome, row by row."""
    if single_run:
        return rows[0].runs[0].rollouts.gallery
    order = [str(outcome) for outcome, _, _ in OUTCOMES]
    by_row = []
    for row in rows:
        last = {example.outcome: example for example in row.runs[0].rollouts.gallery}
        examples = sorted(last.values(), key=lambda example: order.index(example.outcome))
        by_row.append([example.in_row(row.label) for example in examples])
    alternating = [example for examples in zip_longest(*by_row) for example in examples if example is not None]
    return tuple(alternating[:MOST_PROGRAMS])
