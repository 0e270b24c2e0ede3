"""What a report says, before it becomes a web page, Markdown or a W&B report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rltf.report.draw.chart import Chart
from rltf.report.read.examples import Example


@dataclass(frozen=True)
class Table:
    """Cells of plain text; the first of each row names it."""

    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    note: str = ""
    """A sentence below."""
    folded: bool = False
    """A chart shows the same: the page keeps the numbers behind a click."""


@dataclass(frozen=True)
class Section:
    """A question a reader has, and what answers it."""

    title: str
    parts: tuple[Table | Chart, ...]
    note: str = ""
    """A sentence above."""

    @property
    def tables(self) -> list[Table]:
        """Its tables."""
        return [part for part in self.parts if isinstance(part, Table)]

    @property
    def charts(self) -> list[Chart]:
        """Its charts."""
        return [part for part in self.parts if isinstance(part, Chart)]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    facts: tuple[tuple[str, str], ...]
    """Names and values of a line below the title."""
    commands: tuple[str, ...]
    """What the user typed."""
    tiles: tuple[tuple[str, str], ...]
    """The numbers one looks for first."""
    notices: tuple[str, ...]
    """Sentences on what is missing, damaged or left out."""
    sections: tuple[Section, ...]
    gallery: tuple[Example, ...]
    versions: str

    @property
    def charts(self) -> list[Chart]:
        """Those of all sections."""
        return [chart for section in self.sections for chart in section.charts]


def section(title: str, *parts: Table | Chart | None, note: str = "") -> list[Section]:
    """The section in a list; an empty list when it has no parts."""
    present = tuple(part for part in parts if part is not None)
    return [Section(title, present, note)] if present else []


def table(head: Sequence[str], body: Sequence[Sequence[str]], note: str = "", folded: bool = False) -> Table | None:
    """None without rows."""
    return Table(tuple(head), tuple(map(tuple, body)), note, folded) if body else None
