"""The content of a report, before it becomes a web page, Markdown or a W&B report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rltf.report.compare.results import Result
from rltf.report.draw.chart import Chart
from rltf.report.read.examples import Example


@dataclass(frozen=True)
class Table:
    """Cells of plain text; the first of each row names it."""

    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    note: str = ""
    """Sentences below the table."""
    folded: bool = False
    """Whether a chart shows the same, so that the page hides the numbers behind a click."""


@dataclass(frozen=True)
class Section:
    """A heading with the tables and charts that answer one question of a reader."""

    title: str
    parts: tuple[Table | Chart, ...]

    @property
    def tables(self) -> list[Table]:
        """The parts that are tables."""
        return [part for part in self.parts if isinstance(part, Table)]

    @property
    def charts(self) -> list[Chart]:
        """The parts that are charts."""
        return [part for part in self.parts if isinstance(part, Chart)]


@dataclass(frozen=True)
class Document:
    """A whole report of some rows."""

    title: str
    facts: tuple[tuple[str, str], ...]
    """Names and values of the line below the title."""
    commands: tuple[str, ...]
    """Command lines that started the runs."""
    tiles: tuple[tuple[str, str], ...]
    """Names and values of the headline numbers."""
    notices: tuple[str, ...]
    """Sentences on what is missing, damaged or left out."""
    results: tuple[Result, ...]
    """Held-out results, measure by measure and row by row."""
    sections: tuple[Section, ...]
    gallery: tuple[Example, ...]
    """Programs to read."""
    versions: str
    """Packages of the runs and their versions."""
    settings: Table | None = None
    """Keys of the only run that differ from the defaults."""

    @property
    def charts(self) -> list[Chart]:
        """The charts of all sections."""
        return [chart for section in self.sections for chart in section.charts]


def section(title: str, *parts: Table | Chart | None) -> list[Section]:
    """The section in a list; an empty list when all parts are None."""
    shown_parts = tuple(part for part in parts if part is not None)
    return [Section(title, shown_parts)] if shown_parts else []


def table(head: Sequence[str], body: Sequence[Sequence[str]], note: str = "", folded: bool = False) -> Table | None:
    """The table; None without rows."""
    return Table(tuple(head), tuple(map(tuple, body)), note, folded) if body else None
