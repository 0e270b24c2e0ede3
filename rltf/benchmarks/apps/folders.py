"""Rows of APPS folders: the official layout (`train/` and `test/`, each with one folder per problem), or the hub's two
files (`train.jsonl`, `test.jsonl`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rltf.benchmarks.files import Row, long_integers, read_rows

SPLITS = ("train", "test")


def folder_rows(root: Path) -> list[Row]:
    """One row for each problem below `root`, which may also be the folder `train` or `test` of the official layout.

    A problem folder holds `question.txt` and, where they exist, `input_output.json`, `solutions.json`,
    `starter_code.py` and `metadata.json` (`difficulty`).

    Raises:
        ValueError: there are no problem folders, or one is malformed.
    """
    parents = [root] if root.name in SPLITS else [root / split for split in SPLITS if (root / split).is_dir()]
    rows = [_row(folder, parent.name) for parent in parents for folder in sorted(parent.iterdir()) if folder.is_dir()]
    packed = [(root / f"{split}.jsonl", split) for split in SPLITS if (root / f"{split}.jsonl").is_file()]
    rows += [
        Row(row.place, {"problem_id": number, **row.fields, "split": split})  # TACO's rows have no number of their own
        for file, split in packed
        for number, row in enumerate(read_rows(file))
    ]
    if not rows:
        raise ValueError(f"benchmark.path: {root} has no folders train/NUMBER or test/NUMBER, nor train.jsonl")
    return rows


def _row(folder: Path, split: str) -> Row:
    metadata = _json(folder / "metadata.json", {})
    return Row(
        str(folder),
        {
            "id": f"apps/{split}/{folder.name}",
            "split": split,
            "difficulty": metadata.get("difficulty"),
            "question": _text(folder / "question.txt"),
            "starter_code": _text(folder / "starter_code.py"),
            "solutions": _json(folder / "solutions.json", []),
            "input_output": _json(folder / "input_output.json", {}),
        },
    )


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8") if file.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"benchmark.path: {file} cannot be read as UTF-8 text ({error})") from error


def _json(file: Path, default: Any) -> Any:
    text = _text(file)
    if not (text or "").strip():
        return default
    try:
        with long_integers():
            value = json.loads(str(text))
    except json.JSONDecodeError as error:
        raise ValueError(f"benchmark.path: {file} line {error.lineno} is not JSON ({error.msg})") from None
    if not isinstance(value, type(default)):
        raise ValueError(
            f"benchmark.path: {file} holds a JSON {type(value).__name__}, expected {type(default).__name__}"
        )
    return value
