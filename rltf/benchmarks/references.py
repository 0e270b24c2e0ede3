"""Whitespace of reference programs, normalised for supervised training."""

from __future__ import annotations

import ast
import re

from rltf.benchmarks.asserts import parse

LEADING_TABS = re.compile(r"^[ \t]*\t[ \t]*", re.MULTILINE)


def normalize_whitespace(program: str) -> str:
    r"""The program with `\n` line ends, no blanks at its end, and leading tabs as four blanks each where that parses to
    the same tree. MBPP's programs have CRLF line ends, and every seventh has tabs.

    >>> normalize_whitespace("def f(x):\r\n\treturn x \r\n")
    'def f(x):\n    return x'
    """
    text = normalize_line_ends(program)
    if "\t" not in text:
        return text
    spaced = LEADING_TABS.sub(lambda blanks: blanks[0].expandtabs(4), text)
    return spaced if _tree(spaced) == _tree(text) is not None else text


def normalize_line_ends(program: str) -> str:
    r"""The program with `\n` line ends and no blanks at its end."""
    return program.replace("\r\n", "\n").replace("\r", "\n").strip("\n").rstrip()


def _tree(program: str) -> str | None:
    try:
        return ast.dump(parse(program))
    except SyntaxError:
        return None
