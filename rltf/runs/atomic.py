"""Files that are replaced whole: who reads one finds the old content or the new, never a part of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The path of a new file beside `path`, which takes its place at the end of the block.

    After an error inside the block `path` is as it was and the new file is deleted, so that it fills no disk.
    """
    new_file = path.with_name(path.name + ".new")
    try:
        yield new_file
    except BaseException:
        new_file.unlink(missing_ok=True)
        raise
    os.replace(new_file, path)


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces the file's content."""
    with replacing(path) as new_file:
        new_file.write_bytes(content)


def write_text(path: Path, content: str, errors: str = "strict") -> None:
    """Replaces the file's content by UTF-8 text, line ends as they are.

    Args:
        path: of the file.
        content: the whole text.
        errors: what becomes of lone surrogates, which JSON can hold and UTF-8 cannot; as in `str.encode`.
    """
    write_bytes(path, content.encode("utf-8", errors))
