"""The report as a web page that loads nothing, with its charts inside and as files beside it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from rltf.report.document import Document
from rltf.report.draw.chart import Chart, FigureStyle, inline_svg, report_style, svg_text, write_figure
from rltf.report.visible_text import visible_text
from rltf.report.write.gallery import TEMPLATE_FUNCTIONS
from rltf.runs.atomic import write_text
from rltf.runs.files import REPORT_FILE

# Nothing is loaded and nothing runs, whatever a program in the gallery says.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class HtmlWriter:
    """Writes `report.html`.

    Args:
        figures: folder for every chart as PNG, SVG and PDF, relative to the page; None: no files of charts.
        style: width and font of these files; None: those of the page.
        refresh: seconds after which a browser reads the page again; None: it does not.
    """

    def __init__(
        self, figures: str | None = None, style: FigureStyle | None = None, refresh: float | None = None
    ) -> None:
        self.figures, self.style, self.refresh = figures, style, refresh

    def write(self, document: Document, folder: Path) -> str:
        """Draws the charts and writes the page; returns its path."""
        drawings = {}
        with report_style(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # in files; a browser has more fonts
            for chart in document.charts:
                figure = chart.draw()
                svg = svg_text(figure)
                drawings[chart.name] = inline_svg(svg, chart.name, escape(visible_text(chart.title)))
                if self.figures is not None:
                    self._write_files(chart, figure, svg, folder / self.figures)
        path = folder / REPORT_FILE
        write_text(path, render_page(document, drawings, self.refresh), errors="replace")
        return str(path)

    def _write_files(self, chart: Chart, figure: Figure, svg: str, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        if self.style is None:
            write_figure(figure, svg, folder, chart.name)
            return
        with report_style(self.style):
            figure = chart.draw()
            write_figure(figure, svg_text(figure), folder, chart.name)


def render_page(document: Document, drawings: Mapping[str, str], refresh: float | None = None) -> str:
    """The whole HTML document.

    Args:
        document: content of the report.
        drawings: name of each chart -> its SVG, as `chart.inline_svg` gives it.
        refresh: seconds after which a browser reads the page again; None: it does not.
    """
    return (
        templates()
        .get_template("page.html")
        .render(
            doc=document,
            policy=Markup(POLICY),
            refresh=refresh,
            style=Markup(_read("style.css")),
            drawings={name: Markup(svg) for name, svg in drawings.items()},
        )
    )


@cache
def templates() -> Environment:
    """`page.html` and `programs.html`; all text that they are given is escaped."""
    environment = Environment(autoescape=True, finalize=_escaped, trim_blocks=True, loader=FunctionLoader(_read))
    environment.globals |= TEMPLATE_FUNCTIONS
    return environment


def _escaped(value: object) -> Markup:
    """Our own HTML as it is, everything else as text in which nothing is hidden."""
    return value if isinstance(value, Markup) else escape(visible_text(str(value), allowed="\n\t"))


def _read(name: str) -> str:
    return files("rltf.report").joinpath(name).read_text(encoding="utf-8")
