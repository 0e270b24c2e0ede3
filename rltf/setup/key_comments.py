"""What the yaml files say of each key in the comment beside it: for `--help`, and for the schema that editors read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

KEY = re.compile(r"^( *)([\w+-]+):(?:\s+(.*))?$")
COMMENT = re.compile(r"""(?:[^#"']|"[^"]*"|'[^']*'|(?<=\S)#)*?(?:^|(?<=\s))# (.*)$""")
"""Behind a value, in whose quotes a `#` is no comment."""
PACKAGES = {"recipe": "", "experiment": "", "debug": "", "sweep": ""}
"""Groups whose keys lie at the top (`# @package _global_`)."""


def comments_of_file(path: Path, prefix: str = "") -> dict[str, str]:
    """Dotted key -> the comment behind it, with the lines of comment that go on below.

    Args:
        path: a yaml file of ours: a key a line, comments behind two blanks or more.
        prefix: what stands before its keys.
    """
    comments: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    last = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        match = KEY.match(line)
        if match is None:
            continued = re.match(r"\s+# (.*)", line)
            if continued and last in comments:
                comments[last] += f" {continued[1].strip()}"
            continue
        indent, name, rest = len(match[1]), match[2], match[3] or ""
        while stack and stack[-1][0] >= indent:
            stack.pop()
        last = ".".join(part for part in (prefix, *(name for _, name in stack), name) if part)
        stack.append((indent, name))
        if comment := COMMENT.match(rest):
            comments[last] = comment[1].strip()
    return comments


def key_comments(folder: Path, command: str, choices: Mapping[str, str]) -> dict[str, str]:
    """Dotted key -> comment, of the whole config of a command. What a choice says of a key wins over what the others of
    its group say, and all of these over nothing.

    Args:
        folder: the config folder.
        command: `train` or `eval`.
        choices: group -> choice.
    """
    comments: dict[str, str] = {}
    for group, files in groups(folder):
        prefix = PACKAGES.get(group, group)
        choice = choices.get(group)
        if not prefix:  # what a recipe says holds for it alone
            files = [file for file in files if file.stem == choice]
        for file in sorted(files, key=lambda file: (file.stem == choice, file.stem)):
            comments |= comments_of_file(file, prefix)
    return comments | comments_of_file(folder / f"{command}.yaml")


def first_line(path: Path) -> str:
    """The sentence at the top of a yaml file; empty when there is none."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @"):
            lines.append(line.removeprefix("#").strip())
    return re.split(r"(?<=[.;:])\s", " ".join(lines))[0].rstrip(".;:") if lines else ""


def groups(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Config group -> its files, parts that only other files use (`_x.yaml`) among them."""
    for group in sorted(path for path in folder.iterdir() if path.is_dir()):
        if files := sorted(group.glob("*.yaml")):
            yield group.name, files
