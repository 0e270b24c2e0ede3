"""Docstrings as the API reference shows them: examples as code, and a line for each of several arguments."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)Example:\n(?= *>>> )", re.MULTILINE)
BARE_EXAMPLE = re.compile(r"(?:^|\n\n)(?P<block>>>> .*?)(?=\n\n|\Z)", re.DOTALL)
SHARED_ARGUMENT = re.compile(r"^( +)(\w+(?:, \w+)+): (.*)$", re.MULTILINE)


class ReadableDocstrings(griffe.Extension):
    """Rewrites docstrings into the forms that Google style knows."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Of one module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)


def readable(text: str) -> str:
    """A docstring with a section of examples around its doctests, and arguments one by one."""
    text = EXAMPLE.sub(r"\1Examples:\n", text)
    text = BARE_EXAMPLE.sub(_as_section, text)
    return SHARED_ARGUMENT.sub(lambda m: "\n".join(f"{m[1]}{name}: {m[3]}" for name in m[2].split(", ")), text)


def _as_section(match: re.Match[str]) -> str:
    lines = match["block"].splitlines()
    return "\n\nExamples:\n" + "\n".join(f"    {line}" for line in lines)
