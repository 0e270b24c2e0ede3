"""The document as a web page that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from jinja2 import Environment
from markupsafe import Markup

from rltf.report.document import Document, Table
from rltf.report.write.escape import tag, text
from rltf.report.write.gallery import gallery

# Nothing is loaded and nothing runs, whatever a program in the gallery says.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(document: Document, drawings: Mapping[str, str]) -> str:
    """The whole HTML document.

    Args:
        document: what it says.
        drawings: name of each chart -> its SVG, as `charts.inline` gives it.
    """
    room = files("rltf.report")
    environment = Environment(autoescape=True, finalize=_shown, trim_blocks=True)
    template = environment.from_string(room.joinpath("page.html").read_text(encoding="utf-8"))
    return template.render(
        doc=document,
        policy=Markup(POLICY),
        style=Markup(room.joinpath("style.css").read_text(encoding="utf-8")),
        drawings={name: Markup(svg) for name, svg in drawings.items()},
        gallery=Markup(gallery(document.gallery)),
        show=_table,
        wide=Markup(' class="wide"'),
    )


def _shown(value: object) -> Markup:
    """Our own HTML as it is, everything else as text in which nothing is hidden."""
    return value if isinstance(value, Markup) else Markup(text(value))


def _table(table: Table) -> Markup:
    head = "".join(tag("th", text(name), scope="col") for name in table.head)
    body = "".join(
        tag("tr", tag("th", text(row[0]), scope="row") + "".join(tag("td", _cell(cell)) for cell in row[1:]))
        for row in table.body
    )
    drawn = tag("div", tag("table", tag("thead", tag("tr", head)) + tag("tbody", body)), class_="scroll")
    return Markup(drawn + (tag("p", text(table.note), class_="note") if table.note else ""))


def _cell(cell: str) -> str:
    """A line may break before an interval, nowhere else."""
    value, bracket, interval = cell.partition(" [")
    parts = [value, f"[{interval}"] if bracket else [value]
    return " ".join(tag("span", text(part), class_="unbroken") for part in parts)
