"""The document as Markdown, for pull requests and papers' notes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rltf.report.document import Document, Section, Table
from rltf.report.draw.numbers import short
from rltf.report.read.examples import Example

MOST_PROGRAMS = 8
"""In the Markdown; the page has all."""


def markdown(document: Document, figures: str) -> str:
    """The whole text.

    Args:
        document: what it says.
        figures: folder of the figures, relative to the file.
    """
    parts = [f"# {plain(document.title)}", " · ".join(f"{plain(n)} **{plain(v)}**" for n, v in document.facts)]
    parts += [fenced(command) for command in document.commands]
    parts += ["\n".join(f"- {plain(notice)}" for notice in document.notices)] if document.notices else []
    for section in document.sections:
        parts += [f"## {section.title}", *_tables(section)]
        for chart in section.charts:
            parts.append(f"![{chart.title}]({figures}/{chart.name}.png)")
            parts.append(f"*{chart.title}.* {chart.note}".strip())
    if document.gallery:
        parts += ["## Programs", *(program(example) for example in chosen(document.gallery, MOST_PROGRAMS))]
    if document.versions:
        parts.append(f"Versions: {plain(document.versions)}.")
    return "\n\n".join(parts) + "\n"


def _tables(section: Section) -> list[str]:
    return [table_text(table) for table in section.tables]


def table_text(table: Table) -> str:
    """A table as pipes and dashes, its note below."""
    lines = [table.head, ("---", *("---:" for _ in table.head[1:])), *table.body]
    rows = ["| " + " | ".join(plain(cell) for cell in line) + " |" for line in lines]
    return "\n".join(rows) + (f"\n\n{table.note}" if table.note else "")


def program(example: Example) -> str:
    """A program with its verdict and whom the reward blames."""
    where = f"{example.row}, " if example.row else ""
    head = f"**{example.outcome.replace('_', ' ')}** · {plain(where)}{plain(example.problem_id)} · "
    said = [head + f"iteration {example.iteration} · {example.passed} of {example.total} tests passed"]
    if example.error is not None:
        line = "" if example.error.line is None else f" in line {example.error.line}"
        said.append(f"{code(f'{example.error.type}: {example.error.message}'[:300])}{line}")
    if example.failed is not None:
        said.append(f"test {example.failed[0]} failed: {code(example.failed[1])}")
    blamed = _blamed(example)
    return "\n\n".join([*said, fenced(example.program, "python"), *([blamed] if blamed else [])])


def chosen(examples: Sequence[Example], most: int) -> list[Example]:
    """So many of the examples at most, one outcome after the other, the latest of each first."""
    by_outcome: dict[str, list[Example]] = {}
    for example in examples:
        by_outcome.setdefault(example.outcome, []).insert(0, example)
    rounds = max(map(len, by_outcome.values()), default=0)
    return [some[i] for i in range(rounds) for some in by_outcome.values() if i < len(some)][:most]


def _blamed(example: Example) -> str:
    """Runs of equally weighted tokens, as text."""
    pieces: list[tuple[float, str]] = []
    for (start, end), weight in zip(example.offsets, example.weights(), strict=True):
        if not weight or start == end:
            continue
        if pieces and pieces[-1][0] == weight:
            pieces[-1] = (weight, pieces[-1][1] + example.program[start:end])
        else:
            pieces.append((weight, example.program[start:end]))
    shown = [
        f"{short(weight)} on each token of {code(piece.strip()[:120])}" for weight, piece in pieces if piece.strip()
    ]
    return f"Blame besides the advantage: {'; '.join(shown[:4])}." if shown else ""


def plain(words: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(words.split()))


def code(words: str) -> str:
    """One line of code, in more backticks than it holds."""
    line = " ".join(words.split())
    ticks = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def fenced(words: str, language: str = "") -> str:
    """Lines of code, in a fence longer than any inside."""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", words)), default=0) + 1)
    return f"{fence}{language}\n{words.rstrip()}\n{fence}"
