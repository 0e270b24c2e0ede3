"""A chart: drawn by matplotlib, put into the page as SVG whose colours are the style sheet's, and written to files.

Colours come from the style sheet's light theme (Okabe and Ito's palette, darkened to stand out from white). In the page
each becomes its CSS variable again, so that the same drawing serves light, dark and print."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from rltf.report.visible_text import visible_text

WIDTH = 5.2
"""Inches; with 8.5 points its text can be read in a column of 370 to 560 pixels."""

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same widths everywhere
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.4,
    "figure.constrained_layout.use": True,
    "figure.dpi": 72.0,
    "savefig.dpi": 200.0,
    "svg.fonttype": "none",
    "text.parse_math": False,  # a `$` in a name is a `$`
    "svg.hashsalt": "rltf",
    "pdf.fonttype": 42,  # letters stay text, which journals ask for
}
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2.2), (1.2, 1.6), (7, 2, 1.5, 2), (9, 2.5), (3, 1.5))
MARKERS = "os^DvPX*<>ph"
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++")
STYLES = len(MARKERS)
"""Lines that differ without colour, by dashes and markers."""


@dataclass(frozen=True)
class FigureStyle:
    """Width and letters of the figures that are written as files, those of a column of the paper that they are for.

    Raises:
        ValueError: a width or size that no figure can be drawn with.
    """

    width: float = WIDTH
    """Inches; wide figures and those of several panels are as many times as wide as on the page."""
    font: str = "DejaVu Sans"
    """A font of this machine, or `serif`, `sans-serif`, `monospace`; letters that it lacks are DejaVu's."""
    size: float = 8.5
    """Points of the letters."""

    def __post_init__(self) -> None:
        if not 2 <= self.width <= 20:
            raise ValueError(f"--width {self.width:g}: expected 2 to 20 inches")
        if not 4 <= self.size <= 24:
            raise ValueError(f"--font-size {self.size:g}: expected 4 to 24 points")
        if self.font not in ("serif", "sans-serif", "monospace") and self.font not in font_names():
            raise ValueError(f"--font {self.font} is not on this machine: expected serif, or one of {_some_fonts()}")


@cache
def font_names() -> tuple[str, ...]:
    """Fonts that matplotlib finds on this machine."""
    from matplotlib.font_manager import fontManager

    return tuple(sorted(set(fontManager.get_font_names())))


def _some_fonts() -> str:
    return ", ".join(font_names()[:8])


@dataclass(frozen=True)
class Chart:
    """One figure: its name, title and note, and the function that draws it."""

    name: str
    """Name of its files; unique on a page."""
    title: str
    draw: Callable[[], Figure]
    note: str = ""
    """Sentences below the chart."""
    metrics: tuple[str, ...] = ()
    """Names of the logged metrics that it shows, for W&B; empty for a chart computed from programs."""
    wide: bool = False
    """Whether it takes the page's whole width."""


@cache
def colours() -> dict[str, str]:
    """Name of each colour of the style sheet -> `#rrggbb` of the light theme."""
    style = files("rltf.report").joinpath("style.css").read_text(encoding="utf-8")
    light = style[: style.index("@media")]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", light))


def colour(name: str) -> str:
    """Colour of the light theme by its name in the style sheet."""
    return colours()[name]


def line_style(number: int | None) -> dict[str, object]:
    """Colour, dashes and marker of a line, for `Axes.plot`; None: the style of values before RL."""
    if number is None:
        return {"color": colour("soft"), "dashes": (2.5, 1.5), "marker": "."}
    return {
        "color": colour(f"c{number % 6}"),
        "dashes": DASHES[(number + number // 6) % 6],
        "marker": MARKERS[number % STYLES],
    }


def report_style(style: FigureStyle | None = None) -> AbstractContextManager[None]:
    """A context with the report's matplotlib settings, in which figures are drawn and written; `style` is another width
    and font than the page's."""
    style = style or FigureStyle()
    ink, soft, rule, paper = (colour(name) for name in ("ink", "soft", "rule", "paper"))
    texts: Any = {"text.color": ink, "axes.labelcolor": soft, "xtick.color": soft, "ytick.color": soft}
    lines: Any = {"axes.edgecolor": soft, "grid.color": rule, "axes.facecolor": paper, "figure.facecolor": paper}
    families = [style.font] if style.font == "DejaVu Sans" else [style.font, "DejaVu Sans"]
    letters: Any = {"font.family": families, "font.size": style.size, "legend.fontsize": style.size - 0.5}
    return mpl.rc_context({**STYLE, **texts, **lines, **letters, "figure.figsize": (style.width, style.width)})


def canvas(height: float, width: float = WIDTH) -> Figure:
    """An empty figure; sizes in inches as they are on the page, which another width of figures scales."""
    scale, letters = mpl.rcParams["figure.figsize"][0] / WIDTH, mpl.rcParams["font.size"] / STYLE["font.size"]
    return Figure(figsize=(width * scale, height * max(scale, letters)))


def letters_per_line(width: float) -> float:
    """Letters of a legend that fit into so many inches."""
    return 90 * width / WIDTH * STYLE["font.size"] / mpl.rcParams["font.size"]


def drawable_label(label: str, max_length: int = 48) -> str:
    """A label, perhaps a stranger's, as it can be drawn: printable, short, and never hidden from a legend.

    >>> drawable_label("_x\\n" + "y" * 60, max_length=8)
    '‹_x‹U+00…›'
    """
    name = visible_text(label)
    name = name if len(name) <= max_length else name[: max_length - 1] + "…"
    return f"‹{name}›" if name.startswith("_") else name


def svg_text(figure: Figure) -> str:
    """The figure as an SVG document."""
    file = io.StringIO()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout stands: no second one for the PNG
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(file, format="svg", metadata=no_metadata)
    return file.getvalue()


def write_figure(figure: Figure, svg: str, folder: Path, name: str) -> None:
    """Writes `name.svg`, `name.pdf` and `name.png`."""
    (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    figure.savefig(folder / f"{name}.pdf", format="pdf", metadata={"CreationDate": None, "Producer": None})
    figure.savefig(folder / f"{name}.png", format="png")


def inline_svg(svg: str, name: str, title: str) -> str:
    """An SVG document as an element of the page: colours as CSS variables, ids that no other chart has.

    Args:
        svg: the document.
        name: of the chart.
        title: for screen readers, escaped.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (xmlns(:\w+)?|version|width|height)="[^"]*"', "", svg[: svg.index(">")]) + svg[svg.index(">") :]
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", "inherit", svg)
    by_value = {value: f"var(--{key})" for key, value in colours().items()}
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda match: by_value.get(match[0], match[0]), svg)
    return svg.replace("<svg", f'<svg class="chart" role="img" aria-label="{title}"', 1)
