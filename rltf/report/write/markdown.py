"""The report as Markdown, for pull requests and papers' notes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from rltf.report.document import Document, Table
from rltf.report.draw.numbers import short
from rltf.report.read.examples import Example
from rltf.runs.atomic import write_text

MOST_PROGRAMS = 8
"""Programs in the Markdown; the page has all."""


class MarkdownWriter:
    """Writes `report.md`.

    Args:
        figures: folder of the charts' PNG files, relative to the file.
    """

    def __init__(self, figures: str) -> None:
        self.figures = figures

    def write(self, document: Document, folder: Path) -> None:
        """Writes the file."""
        write_text(folder / "report.md", render_markdown(document, self.figures), errors="replace")


def render_markdown(document: Document, figures: str) -> str:
    """The whole text; `figures` is the folder of the charts, relative to the file."""
    parts = [f"# {plain(document.title)}", " · ".join(f"{plain(n)} **{plain(v)}**" for n, v in document.facts)]
    parts += [code_block(command) for command in document.commands]
    parts += ["\n".join(f"- {plain(notice)}" for notice in document.notices)] if document.notices else []
    for section in document.sections:
        parts += [f"## {section.title}", *map(table_text, section.tables)]
        for chart in section.charts:
            parts.append(f"![{chart.title}]({figures}/{chart.name}.png)")
            parts.append(f"*{chart.title}.* {chart.note}".strip())
    if document.gallery:
        parts += ["## Programs", *map(program, latest_of_each_outcome(document.gallery, MOST_PROGRAMS))]
    if document.versions:
        parts.append(f"Versions: {plain(document.versions)}.")
    return "\n\n".join(parts) + "\n"


def table_text(table: Table) -> str:
    """A table as pipes and dashes, its note below."""
    lines = [table.head, ("---", *("---:" for _ in table.head[1:])), *table.body]
    rows = ["| " + " | ".join(plain(cell) for cell in line) + " |" for line in lines]
    return "\n".join(rows) + (f"\n\n{table.note}" if table.note else "")


def program(example: Example) -> str:
    """A program with its verdict and the tokens that the reward blames."""
    row = f"{plain(example.row_label)}, " if example.row_label else ""
    head = f"**{example.outcome.replace('_', ' ')}** · {row}{plain(example.problem_id)} · "
    head += "" if example.iteration is None else f"iteration {example.iteration} · "
    paragraphs = [head + f"{example.passed} of {example.total} tests passed"]
    if example.error is not None:
        line = "" if example.error.line is None else f" in line {example.error.line}"
        paragraphs.append(f"{code(f'{example.error.type}: {example.error.message}'[:300])}{line}")
    if example.failed_test is not None:
        number, test = example.failed_test
        paragraphs.append(f"test {number} failed: {code(test)}")
    paragraphs += [f"> {plain(example.task)}"] if example.task else []
    paragraphs += [code_block(example.program, "python"), _blamed_tokens(example)]
    return "\n\n".join(filter(None, paragraphs))


def latest_of_each_outcome(examples: Sequence[Example], at_most: int) -> list[Example]:
    """At most so many of the examples, one outcome after the other, the latest of each first."""
    by_outcome: dict[str, list[Example]] = {}
    for example in examples:
        by_outcome.setdefault(example.outcome, []).insert(0, example)
    alternating = zip_longest(*by_outcome.values())
    return [example for latest in alternating for example in latest if example is not None][:at_most]


def _blamed_tokens(example: Example) -> str:
    """Runs of equally weighted tokens, as text; empty when no token is blamed."""
    pieces: list[tuple[float, str]] = []
    for (start, end), weight in zip(example.offsets, example.span_weights(), strict=True):
        if not weight or start == end:
            continue
        if pieces and pieces[-1][0] == weight:
            pieces[-1] = (weight, pieces[-1][1] + example.program[start:end])
        else:
            pieces.append((weight, example.program[start:end]))
    sentences = [
        f"{short(weight)} on each token of {code(piece.strip()[:120])}" for weight, piece in pieces if piece.strip()
    ]
    return f"Blame besides the advantage: {'; '.join(sentences[:4])}." if sentences else ""


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """One line of code, in more backticks than it holds."""
    line = " ".join(text.split())
    ticks = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def code_block(text: str, language: str = "") -> str:
    """Lines of code, in a fence longer than any inside."""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
