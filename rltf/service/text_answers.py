"""The final answer in a text of a model, for tests of text answers."""

from __future__ import annotations

import re

from rltf.benchmarks.answers import without_thoughts

_BOX = r"\boxed{"
_MARKED = re.compile(r"^\W*(?:(?:final )?answer\W*:|####)[ \t*]*(\S.*)$", re.IGNORECASE | re.MULTILINE)


def answer_in_text(text: str) -> str:
    """The final answer, without the model's thinking: what stands in the last `\\boxed{}`; else behind the last
    `Answer:` or `####` that begins a line; else the whole text.

    >>> answer_in_text("<think>41?</think>\\nSo:\\n**Answer:** 42")
    '42'
    >>> answer_in_text("It is $" + _BOX + "x^{2}}$.")
    'x^{2}'
    """
    text = without_thoughts(text)
    if (start := text.rfind(_BOX)) >= 0:
        return _in_braces(text[start + len(_BOX) :]).strip()
    marked = _MARKED.findall(text)
    return str(marked[-1] if marked else text).strip(" \t\r\n*")


def _in_braces(text: str) -> str:
    """The text up to the brace that closes the one before it."""
    depth = 1
    for position, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if not depth:
            return text[:position]
    return text
