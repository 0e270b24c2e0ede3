"""Prompts and answers in languages other than Python, whose text is not parsed here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rltf.benchmarks.answers import has_thoughts, without_thoughts
from rltf.execution.languages import LANGUAGES, installed_runtimes
from rltf.types import Extraction
from rltf.validation import OptionError

NAMES: Mapping[str, str] = {"python": "Python", "javascript": "JavaScript", "cpp": "C++"}
"""Language of programs -> what a prompt calls it."""

_BLOCK = re.compile(r"^[ \t]*```[^\n`]*\n(?P<code>.*?)(?:\n[ \t]*```[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


def other_program(answer: str) -> Extraction:
    """Position of the program in an answer whose prompt has opened the block: the text before the first closing fence.
    Of an answer that thinks, or opens a fence of its own, the last block that is not empty.

    >>> other_program("int x;\\n```\\nThat was it.").program("int x;\\n```\\nThat was it.")
    'int x;'
    >>> answer = "```cpp\\nint x;\\n```"
    >>> other_program(answer).program(answer)
    'int x;'
    """
    if not has_thoughts(answer) and not answer.lstrip().startswith("```"):
        end = f"\n{answer}".find("\n```")
        return Extraction(0, len(answer) if end < 0 else max(end - 1, 0))
    reply = without_thoughts(answer)
    offset = len(answer) - len(reply)
    blocks = [block for block in _BLOCK.finditer(reply) if block["code"].strip()]
    if not blocks:
        return Extraction(offset, len(answer))
    start, end = blocks[-1].span("code")
    return Extraction(offset + start, offset + end)


def require_installed(language: str) -> None:
    """Checks that programs of a language can be judged here.

    Raises:
        OptionError: what runs them is not installed.
    """
    runtime = LANGUAGES[language].runtime
    if runtime is not None and runtime not in installed_runtimes():
        raise OptionError("language", language, f"another one, or {LANGUAGES[language].missing}")


def require_prompt(prompt: str, language: str) -> None:
    """Checks that a whole program of a language can be asked for in a prompt format.

    Raises:
        OptionError: `doc` opens a docstring, which is Python.
    """
    if language != "python" and prompt == "doc":
        raise OptionError("prompt", prompt, f"chat or paper for programs in {NAMES[language]}")
