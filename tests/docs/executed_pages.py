"""Code of a page, run in order; what it prints beside what the page says that it prints."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path


def run_page(page: Path) -> list[tuple[str, str]]:
    """(what the page says, what was printed) of each block of code that has a block of text behind it."""
    text = page.read_text("utf-8")
    names: dict[str, object] = {"__name__": "page"}
    pairs = []
    for code, said in re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", text, re.DOTALL | re.MULTILINE):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(page), "exec"), names)
        pairs.append((said, printed.getvalue()))
    return pairs
