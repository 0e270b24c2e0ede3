"""The program in a whole answer of a chat model: prose, thinking, several fenced blocks, fences that are never closed.

The rule, in this order:

1. What the model thought is left out: from a tag such as `<think>` at the start of a line to its closing tag, or to the
   end where it is never closed; and all text before a closing tag that was never opened (templates open it).
2. Of the fenced blocks (three or more backticks or tildes) that are not empty, the last of the best kind counts:
   a. it defines the function asked for;
   b. it is marked as Python and defines a function or class, c. marked and Python, d. marked and no Python;
   e. to g. the same as b. to d. without a mark; h. it has another mark.
3. Without blocks: the whole text where it is Python, else the longest run of lines that is Python and defines a
   function or class, else the whole text.

A block ends at its first closing fence with which it is Python; where there is no such, at its first; or with the
answer. An opening fence right behind another one is the same fence, said twice. A block that is indented as a whole, in
a list of the answer, stands below `if True:`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rltf.benchmarks.asserts import parse
from rltf.types import Extraction

Source = Literal["python", "unmarked", "other", "opened", "text", "lines", "nothing"]
"""Where a program was found: in a block marked as Python, without a mark, or with another one; in the block that the
prompt had opened; the whole text; some of its lines; nowhere."""

PYTHON = frozenset({"python", "py", "python3", "py3", "python2", "pycon", "ipython"})
_TAGS = r"think|thinking|thought|thoughts|reasoning|scratchpad"
_OPENED = re.compile(
    rf"^[ \t]*(?:<(?P<tag>{_TAGS})>|\[(?P<square>THINK)\]|<\|begin_of_(?P<bar>thought)\|>|◁(?P<kimi>think)▷)",
    re.IGNORECASE | re.MULTILINE,
)
_CLOSED = re.compile(rf"</(?:{_TAGS})>|\[/THINK\]|<\|end_of_thought\|>|◁/think▷", re.IGNORECASE)
_OPENING = re.compile(r"^(?P<before>[^\n`]*?)(?P<fence>`{3,}|(?<![^\s>*-])~{3,})[ \t]*(?P<mark>[^\n`]*)$", re.MULTILINE)
_FENCES = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[^\n`]*$", re.MULTILINE)
_EMPTY_LINES = re.compile(r"(?:[ \t\r]*\n)*")
_MOST_TRIES = 200
"""Runs of lines that are parsed in search of a program, and closing fences that are tried."""


@dataclass(frozen=True, slots=True)
class AnswerProgram:
    """The program in an answer, and where it was found."""

    text: str
    """The program."""
    extraction: Extraction
    """Its position in the answer."""
    source: Source
    block: int | None = None
    """Number of its fenced block among those of the answer, from 0; None where it was in none."""
    blocks: int = 0
    """Fenced blocks of the answer that are not empty."""


@dataclass(frozen=True, slots=True)
class _Block:
    start: int
    end: int
    mark: str
    lead: str = ""

    @property
    def source(self) -> Source:
        return "python" if self.mark in PYTHON else "other" if self.mark else "unmarked"


def program_in_answer(answer: str, function: str | None = None) -> AnswerProgram:
    """The program in an answer, by the rule above.

    Args:
        answer: the whole answer of a model.
        function: the function that was asked for; None: not known, or the program is a script.

    >>> program_in_answer("Sure:\\n```python\\ndef f(): ...\\n```\\nTry it:\\n```python\\nf()\\n```").text
    'def f(): ...'
    >>> program = program_in_answer("<think>\\n```python\\nx = 1\\n```\\n</think>\\nx = 2")
    >>> program.text, program.source
    ('x = 2', 'text')
    """
    text, start = _without_thoughts(answer)
    blocks = list(_blocks(text))
    if not blocks:
        return _unfenced(answer, text, start)
    number = max(range(len(blocks)), key=lambda i: (_rank(text, blocks[i], function), i))
    block = blocks[number]
    extraction = Extraction(block.start, block.end, block.lead)
    return AnswerProgram(extraction.program(answer), extraction, block.source, number, len(blocks))


def without_thoughts(answer: str) -> str:
    """The answer without the model's thinking.

    >>> without_thoughts("<think>\\n1 or 2?\\n</think>\\nx = 2")
    'x = 2'
    """
    return _without_thoughts(answer)[0].lstrip("\n")


def has_thoughts(answer: str) -> bool:
    """True for an answer part of which is the model's thinking."""
    return _without_thoughts(answer)[0] != answer


def program_in_opened_block(answer: str, function: str | None = None) -> AnswerProgram:
    """The program in an answer whose prompt has opened the block (`benchmark.prompt=chat`): the text before the first
    closing fence, as it is. An answer that thinks, or says more behind a first part that is no Python, is a whole one.

    >>> program_in_opened_block("def f(): ...\\n```\\nThat was it.").text
    'def f(): ...'
    >>> program_in_opened_block("```python\\ndef f(): ...\\n```").text
    'def f(): ...'
    """
    end = f"\n{answer}".find("\n```")  # a fence may open the text; positions are one less without the line end
    first = Extraction(0, len(answer) if end < 0 else max(end - 1, 0))
    says_more = end >= 0 and bool(answer[end:].strip("`\r\n\t ")) and not is_python(answer[: first.end])
    if (thinks := has_thoughts(answer)) or says_more:
        program = program_in_answer(answer, function)
        if thinks or (program.block is not None and is_python(program.text)):
            return program
    return AnswerProgram(first.program(answer), first, "opened", 0, 1)


def is_python(text: str) -> bool:
    """True for text that parses and holds a statement."""
    tree = _tree(text)
    return tree is not None and bool(tree.body)


def _without_thoughts(answer: str) -> tuple[str, int]:
    """The answer, its thoughts made empty lines, so that positions stay; and where the text behind them starts."""
    text, position, start = answer, 0, 0
    if (closed := _CLOSED.search(text)) and not _OPENED.search(text, 0, closed.start()) and _alone(text, closed):
        text, position, start = _blank(text, 0, closed.end()), closed.end(), closed.end()
    while opened := _OPENED.search(text, position):
        closed = _CLOSED.search(text, opened.end())
        end = len(text) if closed is None else closed.end()
        text, position, start = _blank(text, opened.start(), end), end, end
    return text, start


def _alone(text: str, tag: re.Match[str]) -> bool:
    """True for a tag that starts or ends its line: others stand in code."""
    head = text[text.rfind("\n", 0, tag.start()) + 1 : tag.start()]
    tail = text[tag.end() :].partition("\n")[0]
    return not head.strip() or not tail.strip()


def _blank(text: str, start: int, end: int) -> str:
    return text[:start] + "\n" * (end - start) + text[end:]


def _blocks(text: str) -> Iterator[_Block]:
    """The fenced blocks that are not empty."""
    position = 0
    while opening := _OPENING.search(text, position):
        start = min(opening.end() + 1, len(text))
        fence, mark = opening["fence"], _mark(opening["mark"])
        while (repeat := _OPENING.match(text, _after_empty_lines(text, start))) and not repeat["before"].strip():
            if not (repeat_mark := _mark(repeat["mark"])) or mark not in ("", repeat_mark):
                break  # a closing fence, or another block
            start, mark = min(repeat.end() + 1, len(text)), repeat_mark
        end, position = _end(text, start, fence)
        if text[start:end].strip():
            yield _Block(start, end, mark, _lead(text[start:end]))


def _after_empty_lines(text: str, position: int) -> int:
    match = _EMPTY_LINES.match(text, position)
    return match.end() if match else position


def _mark(info: str) -> str:
    """Language of a block: the first word behind its fence, `{.python}` included."""
    return next(iter(re.findall(r"[\w+#]+", info.lower())), "")


def _end(text: str, start: int, fence: str) -> tuple[int, int]:
    """(end of the block, position behind its fence)."""
    pattern = rf"(?:^[ \t]*|(?<=[^\s{fence[0]}])){fence[0]}{{{len(fence)},}}[ \t]*\r?$"
    closing = re.compile(pattern, re.MULTILINE)
    first: tuple[int, int] | None = None
    for number, match in enumerate(closing.finditer(text, start)):
        end = match.start()
        if text[start:end].endswith("\n"):
            end -= 2 if text[start:end].endswith("\r\n") else 1
        end = max(end, start)
        first = first or (end, match.end())
        block = text[start:end]
        if is_python(_lead(block) + block):
            return end, match.end()
        if number == _MOST_TRIES or _OPENING.search(text, match.end(), match.end() + 1):
            break
        if _opens_again(text, match.end()):
            break
    return first or (len(text), len(text))


def _opens_again(text: str, position: int) -> bool:
    """True where the next fence has a mark: it opens another block."""
    following = _OPENING.search(text, position)
    return following is not None and bool(following["mark"].strip())


def _lead(block: str) -> str:
    """What makes a block that is indented as a whole (in a list of the answer) a program."""
    lines = [line for line in block.split("\n") if line.strip()]
    return "if True:\n" if lines and all(line[0] in " \t" for line in lines) else ""


def _rank(text: str, block: _Block, function: str | None) -> int:
    """How much speaks for a block; of equal ones the last counts."""
    tree = _tree(block.lead + text[block.start : block.end])
    if tree is not None and function is not None and function in _defined(tree):
        return 8
    quality = 0 if tree is None or not tree.body else 2 if _defined(tree, functions_only=True) else 1
    return {"python": 4, "unmarked": 1, "other": 0}[block.source] + (0 if block.source == "other" else quality)


def _defined(tree: ast.Module, functions_only: bool = False) -> set[str]:
    """Names of functions and classes anywhere in a program; also of what it assigns, unless `functions_only`."""
    nodes = list(ast.walk(tree))
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    if functions_only:
        return names
    return names | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _unfenced(answer: str, text: str, start: int) -> AnswerProgram:
    """The program of an answer without blocks."""
    start += len(text[start:]) - len(text[start:].lstrip("\r\n"))
    full_text = Extraction(start, max(len(text.rstrip()), start) if start else len(text))
    if not _FENCES.sub("", text[start:]).strip():
        return AnswerProgram("", Extraction(start, start), "nothing")
    run = None if is_python(full_text.program(text)) else _longest_run(text, start)
    extraction = run or full_text
    return AnswerProgram(extraction.program(answer), extraction, "lines" if run else "text")


def _longest_run(text: str, start: int) -> Extraction | None:
    """The longest run of lines that is Python and defines a function or class."""
    lines = [match.span() for match in re.compile(r"[^\n]*\n?").finditer(text, start) if match.end() > match.start()]
    openings = re.compile(r"(?:async |def |class |import |from |@)")
    best, tries = None, 0
    for first, (begin, _) in enumerate(lines):
        if not openings.match(text, begin):
            continue
        for last in range(len(lines) - 1, first - 1, -1):
            end = lines[last][1]
            if best is not None and end - begin <= best.end - best.start:
                break
            if not text[slice(*lines[last])].strip():
                continue
            tries += 1
            if tries > _MOST_TRIES:
                return best
            tree = _tree(text[begin:end])
            if tree is not None and _defined(tree, functions_only=True):
                best = Extraction(begin, len(text[:end].rstrip()))
                break
    return best


def _tree(text: str) -> ast.Module | None:
    try:
        return parse(text)
    except (SyntaxError, RecursionError, MemoryError):
        return None
