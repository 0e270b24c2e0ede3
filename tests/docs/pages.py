"""The pages of the documentation, their code blocks, and the files that these are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
HISTORY = ROOT / "CHANGELOG.md"
"""Names what is gone, too."""
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
"""A fenced block."""


def code_blocks(page: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks of a page in these languages, in order."""
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE):
        if language in languages:
            yield text


def write_files(page: Path, folder: Path) -> None:
    """Writes the files of a page below `folder`: the blocks that begin with a comment `# path/of/file`, and blocks of
    JSON lines behind a sentence that ends with their path in backticks. Those of one path follow each other."""
    files: dict[str, list[str]] = {}
    for block in code_blocks(page, "python", "yaml"):
        if named := re.match(r"(?:# @package _global_\n)?# (\S+\.(?:py|yaml))\n", block):
            files.setdefault(named[1], []).append(block)
    for path, block in re.findall(
        r"`~/me/(\S+\.jsonl)`:\n\n```json\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    ):
        files.setdefault(path, []).append(block)
    assert files, f"{page} has no file"
    for path, blocks in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("\n\n".join(blocks), "utf-8")
