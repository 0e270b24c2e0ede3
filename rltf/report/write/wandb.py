"""The report in W&B: run sets, panels of the logged metrics, and what W&B cannot compute as tables.

This is the only module that touches `wandb_workspaces`, W&B's public report API (the optional extra `wandb-report`).
`Report._to_model` is the one private name of it that is used: the public part shows what is sent to the server only
after sending it. Run sets name no project, which means the report's own, so that nothing has to be asked of the server
before publishing."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rltf.report.compare.settings import Row, all_runs
from rltf.report.document import Document, Section
from rltf.report.read.run import Run
from rltf.report.write.markdown import code_block, latest_of_each_outcome, plain, program, table_text
from rltf.runs.atomic import write_text

SPECIFICATION = "wandb_report.json"
MOST_PROGRAMS = 12
STEP = "trainer/global_step"
"""The optimiser step, as Lightning's W&B logger calls it."""


class WandbWriter:
    """Saves the report in W&B, and its specification as `wandb_report.json`.

    Args:
        rows: rows of the report.
        project: `ENTITY/PROJECT`.
        group: W&B group of the runs; None: runs of any group.

    Raises:
        ValueError: `project` has another form, or W&B's report API is not installed.
    """

    def __init__(self, rows: Sequence[Row], project: str, group: str | None = None) -> None:
        self.rows = rows
        self.entity, self.project = check_project(project)
        self.group = group

    def write(self, document: Document, folder: Path) -> str:
        """Publishes the report where that can be done from here.

        Returns:
            A sentence for the user: the report's address, or where the specification lies and how to publish it.
        """
        report = self.build(document)
        path = folder / SPECIFICATION
        write_text(path, json.dumps(specification(report), indent=1, ensure_ascii=False) + "\n")
        obstacle = _publishing_obstacle()
        if obstacle is None:
            try:
                report.save()
                return f"W&B report: {report.url}"
            except Exception as error:  # whatever the server or the way to it said, the specification is on disk
                obstacle = f"W&B did not take the report ({type(error).__name__}: {error})"
        offline = " ".join(
            sorted({f"{run.folder}/wandb/offline-run-*" for run in all_runs(self.rows) if _offline(run)})
        )
        sync = f"`wandb sync {offline}`, " if offline else ""
        advice = f"to publish it, `wandb login`, {sync}then this command again."
        return f"{obstacle}: its specification is in {path}; {advice}"

    def build(self, document: Document) -> Any:
        """The report as a `wandb_workspaces.reports.v2.Report`; nothing is sent."""
        import wandb_workspaces.reports.v2 as wr

        run_sets = [_run_set(row, self.group) for row in self.rows]
        facts = " · ".join(f"{plain(key)} **{plain(value)}**" for key, value in document.facts)
        head = "\n\n".join([facts, *map(code_block, document.commands)])
        blocks: list[Any] = [wr.TableOfContents(), wr.MarkdownBlock(head)]
        if document.notices:
            blocks.append(wr.MarkdownBlock("\n".join(f"- {plain(notice)}" for notice in document.notices)))
        for section in document.sections:
            blocks += _blocks(section, run_sets)
        blocks.append(wr.H1("Programs"))
        if document.gallery:
            examples = latest_of_each_outcome(document.gallery, MOST_PROGRAMS)
            blocks.append(wr.MarkdownBlock("\n\n---\n\n".join(map(program, examples))))
        tables = sorted({table for run in all_runs(self.rows) for table in logged_tables(run)})
        panels = [wr.WeavePanelSummaryTable(table_name=name, layout=wr.Layout(w=24, h=14)) for name in tables[-1:]]
        blocks.append(wr.PanelGrid(runsets=run_sets, panels=[*panels, wr.RunComparer(layout=wr.Layout(w=24, h=12))]))
        if document.versions:
            blocks.append(wr.MarkdownBlock(f"Versions: {plain(document.versions)}."))
        title = document.title[:128]
        return wr.Report(entity=self.entity, project=self.project, title=title, blocks=blocks, width="fluid")


def check_project(project: str) -> tuple[str, str]:
    """Entity and name of a project, if a report can be built for it here.

    Raises:
        ValueError: `project` has another form, or W&B's report API is not installed.
    """
    entity, slash, name = project.partition("/")
    if not (entity and slash and name) or "/" in name:
        raise ValueError(f"--wandb {project}: expected ENTITY/PROJECT")
    if find_spec("wandb_workspaces") is None:
        raise ValueError("--wandb needs W&B's report API: pip install wandb-workspaces")
    return entity, name


def specification(report: Any) -> dict[str, Any]:
    """The JSON that is sent to W&B's server."""
    model = report._to_model()
    spec = json.loads(model.spec.model_dump_json(by_alias=True, exclude_none=True))
    return {"entity": report.entity, "project": report.project, "title": report.title, "spec": spec}


def run_ids(run: Run) -> list[str]:
    """W&B's ids of a run: one, or more when it was resumed; empty when it did not log to W&B."""
    folders = (run.folder / "wandb").glob("*run-*-*")
    return sorted({folder.name.rpartition("-")[2] for folder in folders if folder.is_dir() and not folder.is_symlink()})


def logged_tables(run: Run) -> list[str]:
    """Names of the tables of programs that a run has logged, e.g. `rollouts/00010`."""
    files = (run.folder / "wandb").glob("*run-*/files/media/table/rollouts/*.table.json")
    return sorted({f"rollouts/{file.name.partition('_')[0]}" for file in files})


def _blocks(section: Section, run_sets: Sequence[Any]) -> list[Any]:
    """A heading, the tables, and a panel for each chart of logged metrics."""
    import wandb_workspaces.reports.v2 as wr

    panels = [
        wr.LinePlot(
            title=chart.title,
            x=STEP,
            y=list(chart.metrics),
            title_x="optimiser step",
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            plot_type="stacked-area" if chart.name in ("outcomes", "iteration_time") else "line",
            layout=wr.Layout(x=12 * (i % 2), y=8 * (i // 2), w=12, h=8),
        )
        for i, chart in enumerate(chart for chart in section.charts if chart.metrics)
    ]
    blocks: list[Any] = [wr.H1(section.title), *(wr.MarkdownBlock(table_text(table)) for table in section.tables)]
    blocks += [wr.PanelGrid(runsets=list(run_sets), panels=panels)] if panels else []
    return blocks if len(blocks) > 1 else []


def _run_set(row: Row, group: str | None) -> Any:
    """The runs of a row, by their ids where they are known, else by their names; drawn as one line with its range."""
    import wandb_workspaces.expr as wx
    import wandb_workspaces.reports.v2 as wr

    ids = [name for run in row.runs for name in run_ids(run)]
    filters = [wx.Metric("ID").isin(ids) if ids else wx.Metric("Name").isin([_name(run) for run in row.runs])]
    filters += [wx.Metric("Group") == group] if group else []
    return wr.Runset(name=row.label, filters=wx.And(*filters), groupby=["Group"])


def _name(run: Run) -> str:
    """Name of a run in W&B, as the W&B logger makes it."""
    parts = [run.summary.get(key) or run.setting(key) for key in ("model", "reward", "algorithm")]
    return str(run.config.get("name") or "-".join([*map(str, parts), f"seed{run.seed}"]))


def _offline(run: Run) -> bool:
    return any((run.folder / "wandb").glob("offline-run-*"))


def _publishing_obstacle() -> str | None:
    """Why nothing can be published from here; None when the user is logged in and online."""
    import wandb

    if os.environ.get("WANDB_MODE", "online") != "online":
        return f"W&B is off (WANDB_MODE={os.environ['WANDB_MODE']})"
    return None if wandb.login(prompt=False) else "Not logged in to W&B"
