"""Rows of benchmark files: JSON lines or one JSON list, plain or gzip. A row has its file and line, for errors."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of one problem, as its file has them.

    >>> Row("mbpp.jsonl line 3", {"task_id": 3}).value("task_id", int)
    3
    """

    place: str
    """File and line, for error messages."""
    fields: Mapping[str, Any]

    def value(self, field: str, kind: type[T], default: T | None = None) -> T:
        """The field's value, checked to be of the type `kind`; `default` where the field is absent or null.

        Raises:
            ValueError: the field is absent without a default, or its value is of another type.
        """
        value = self.fields.get(field)
        if value is None:
            value = default
        if value is None:
            raise ValueError(f"benchmark.path: {self.place} has no field {field!r}, only {', '.join(self.fields)}")
        if not isinstance(value, kind):
            raise ValueError(
                f"benchmark.path: {self.place} has {type(value).__name__} in {field!r}, expected {kind.__name__}"
            )
        return value

    def strings(self, field: str) -> tuple[str, ...]:
        """A list of strings; empty where the field is absent or null."""
        values = self.value(field, list, [])
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"benchmark.path: {self.place} has values other than strings in the list {field!r}")
        return tuple(values)


def read_rows(path: Path) -> list[Row]:
    """All rows of a file, in order.

    Raises:
        ValueError: the file is missing, unreadable, empty or malformed.
    """
    text = _read_text(path)
    with long_integers():
        rows = list(_list_rows(path, text) if text.lstrip().startswith("[") else _line_rows(path, text))
    if not rows:
        raise ValueError(f"benchmark.path: {path} is empty, expected one JSON problem a line or a JSON list")
    return rows


def read_ids(path: Path) -> frozenset[str]:
    """The ids in a file, one a line.

    Raises:
        ValueError: the file is missing, unreadable or empty.
    """
    try:
        ids = frozenset(line.strip() for line in path.read_text(encoding="utf-8").split("\n") if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"benchmark.exclude: {path} cannot be read as UTF-8 text ({error})") from None
    if not ids:
        raise ValueError(f"benchmark.exclude: {path} is empty, expected a problem id a line")
    return ids


@contextmanager
def long_integers() -> Iterator[None]:
    """Lets `json` read integers of more than 4300 digits, which some APPS tests hold."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content).decode("utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"benchmark.path: there is no file {path}, expected JSON lines, plain or .gz") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"benchmark.path: {path} cannot be read as UTF-8 text, plain or .gz ({error})") from error


def _line_rows(path: Path, text: str) -> Iterator[Row]:
    # Not splitlines(): statements may hold U+2028, which JSON leaves unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"{path} line {number}"
            try:
                fields = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"benchmark.path: {place} is not JSON ({error.msg}), expected one problem") from None
            except RecursionError:
                raise ValueError(f"benchmark.path: {place} is nested too deep to be read") from None
            yield _row(place, fields)


def _list_rows(path: Path, text: str) -> Iterator[Row]:
    try:
        problems = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"benchmark.path: {path} line {error.lineno} is not JSON ({error.msg}), expected a list of problems"
        ) from None
    except RecursionError:
        raise ValueError(f"benchmark.path: {path} is nested too deep to be read") from None
    for number, fields in enumerate(problems, start=1):
        yield _row(f"{path} entry {number}", fields)


def _row(place: str, fields: Any) -> Row:
    if not isinstance(fields, dict):
        raise ValueError(f"benchmark.path: {place} holds a JSON {type(fields).__name__}, expected an object")
    return Row(place, fields)
