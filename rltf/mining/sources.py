"""Programs to be mined, out of folders, Python files and JSON lines. What cannot be read is counted and passed by."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rltf.benchmarks.files import GZIP_MAGIC, long_integers

FIELDS = ("code", "solutions", "solution", "program", "canonical_solution")
"""Fields of a row that hold code; the first that is there counts."""
LARGEST_FILE = 1 << 20
"""Bytes of a Python file."""


def programs(sources: Sequence[str], field: str | None) -> Iterator[tuple[str, str] | str]:
    """(text, place) of each program, in the order of the files' names; or the reason why a file or row has none.

    Args:
        sources: folders, which are walked for `*.py`; Python files; JSON lines or a JSON list, plain or .gz.
        field: of the rows, which holds code or a list of programs, of which the first is taken; None: the first of
            `FIELDS` that is there.
    """
    for source in sources:
        path = Path(source).expanduser()
        if path.is_dir():
            for file in sorted(path.rglob("*.py")):
                yield from _python_file(file)
        elif path.suffix == ".py":
            yield from _python_file(path)
        else:
            yield from _rows(path, field)


def _python_file(path: Path) -> Iterator[tuple[str, str] | str]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            yield "a file of more than 1 MB"
            return
        yield path.read_text(encoding="utf-8-sig"), str(path)
    except UnicodeDecodeError:
        yield "a file that is no UTF-8 text"
    except OSError:
        yield "a file that cannot be read"


def _rows(path: Path, field: str | None) -> Iterator[tuple[str, str] | str]:
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError):
        yield "a file that is no UTF-8 text"
        return
    with long_integers():
        if text.lstrip().startswith("["):
            rows = _read(text)
            yield from (
                _program(row, field, f"{path} entry {number}")
                for number, row in enumerate(rows if isinstance(rows, list) else [None], start=1)
            )
            return
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield _program(_read(line), field, f"{path} line {number}")


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _program(row: Any, field: str | None, place: str) -> tuple[str, str] | str:
    if not isinstance(row, dict):
        return "a row that is no JSON object"
    names = FIELDS if field is None else (field,)
    value = next((row[name] for name in names if row.get(name)), None)
    if isinstance(value, str) and value.startswith('["'):  # APPS: a list in a text
        value = _read(value) or value
    if isinstance(value, list) and value:
        value = value[0]
    return (value, place) if isinstance(value, str) else "a row without code"
