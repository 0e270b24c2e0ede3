"""Which lines of a program its tests execute: a mark before every statement, set in memory that the judge reads.

The memory is an anonymous file shared by worker, zygote and children, so that marks outlive a program that is killed.
They are values like all others that come from a child: a program that looks for them can set them, and they decide no
verdict; where they contradict what is known of the program, all of them go (`consistent_unexecuted`). A mark costs
20 ns; nothing is traced.

| line | takes the mark of |
|---|---|
| last of a statement, or of the header of a compound one | the statement |
| any other (rest of a statement, decorator, `else:`, `except ...:`, comment, blank, docstring) | the next marked line |
| behind the last marked line | none: it counts as executed |
"""

from __future__ import annotations

import ast
import gc
import mmap
import os
import re
import weakref
from collections.abc import Iterable
from types import CodeType
from typing import Any

from rltf.execution.inside.instrument import (
    NO_PROGRAM,
    STAND_IN,
    compile_tree,
    last_header_line,
    sealed_memory,
    with_object,
)

LINES = 1 << 16
"""Lines that are looked at; a program may have more."""
EXECUTED, WAITING, EARLIER = 1, 2, 3
"""Marks of a line: its statement began; it has not; it began in an earlier test."""
_LARGEST_PARSED = 200_000
"""Characters of a program that the judge parses where its marks look contradictory."""
_FOR_NEXT_TEST = bytes([0, EARLIER, *range(2, 256)])
"""Marks -> marks before the next test."""
_EXECUTED_LINES = re.compile(b"(?<!\0)\0*+\1")
"""A marked line that was executed, and the lines above it that take its mark; found in linear time."""
_LINE_0 = bytes([WAITING])
"""Stands before line 1, which may take the mark of another."""
_memory: mmap.mmap | None = None


class CoverageMarks:
    """The reading end of the memory. It is made once a sandbox, whose programs use it in turn.

    Args:
        fd: The memory, where another process made it.
    """

    def __init__(self, fd: int | None = None) -> None:
        if fd is None:
            fd = sealed_memory("lines", LINES)
            weakref.finalize(self, os.close, fd)
        self.fd = fd
        self._memory = mmap.mmap(fd, LINES)
        self._end = 0
        """Behind the last marked line; 0 before the program is compiled."""

    def clear_all(self) -> None:
        """Clears the whole memory, before the first test of a program."""
        self._memory[:] = bytes(LINES)
        self._end = 0

    def executed_since_last(self) -> tuple[int, ...]:
        """Lines (1-based, ascending) executed since `clear_all` or the last call; lines behind the last marked one are
        never among them."""
        if not self._end:
            marks = self._memory[:]
            self._end = 1 + max(map(marks.rfind, (EXECUTED, WAITING, EARLIER)))
        marks = self._memory[: self._end]
        if EXECUTED not in marks:
            return ()
        self._memory[: self._end] = marks.translate(_FOR_NEXT_TEST)
        matches = _EXECUTED_LINES.finditer(_LINE_0 + marks[1:])
        return tuple(line for m in matches for line in range(m.start(), m.end()))

    def unexecuted(self, program: str) -> list[int] | None:
        """Lines (1-based) that no test executed; None when the program was never compiled."""
        marks = self._memory[: min(program.count("\n") + program.count("\r") + 3, LINES)]
        if not marks.strip(b"\0"):
            return None
        lines, waiting = [], False
        for line in range(len(marks) - 1, 0, -1):
            if marks[line]:
                waiting = marks[line] == WAITING
            if waiting:
                lines.append(line)
        return lines[::-1]


def consistent_unexecuted(
    program: str, unexecuted: Iterable[int] | None, loaded: bool, error_lines: Iterable[int]
) -> tuple[int, ...] | None:
    """The unexecuted lines, or None where they contradict what is known of the program: then no mark can be believed.

    A line that raised an error was executed, and so was every statement of the module that stands above it, or every
    one where the program was loaded to its end. Which lines those are is not asked of the child, which could say
    anything: statements of the module begin in the first column. The text is parsed only where such a line is called
    unexecuted, since it might yet belong to a long string, and only up to 200,000 characters.

    Args:
        program: The text.
        unexecuted: Lines as `CoverageMarks.unexecuted` gave them.
        loaded: True: some process of the program executed the module to its end (answered a request, or said so as it
            ended a script; a script that exits in the middle has not).
        error_lines: `line` of each error of a test that has one, timeouts among them; not that of a syntax error.
    """
    if unexecuted is None:
        return None
    lines = _split(program)
    numbers, last = set(unexecuted), len(lines) if loaded else 0
    for line in error_lines:
        last = max(last, line)
        if line in numbers:
            if not lines[line - 1 : line] or not lines[line - 1].lstrip().startswith(_CLAUSES):
                return None
            numbers.discard(line)  # the clause was evaluated, the mark is that of its block
    suspicious = {n for n in numbers if n <= min(last, len(lines)) and _OF_MODULE(lines[n - 1])}
    if suspicious and (len(program) > _LARGEST_PARSED or suspicious & _first_lines(program)):
        return None
    return tuple(sorted(numbers))


_CLAUSES = ("except", "case")
_OF_MODULE = re.compile(r"(?!(?:else|elif|except|finally)\b)[^\W\d]|@").match
"""Matches a line that begins a statement of the module, unless it belongs to a longer one."""


def _split(program: str) -> list[str]:
    return program.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _first_lines(program: str) -> set[int]:
    """Lines at which statements of the module and their decorators begin; all lines where the text does not parse."""
    try:
        body = ast.parse(program.removeprefix("\ufeff")).body
    except NO_PROGRAM:
        return set(range(1, len(_split(program)) + 1))
    return {node.lineno for statement in body for node in (statement, *getattr(statement, "decorator_list", ()))}


def attach(fd: int) -> None:
    """Maps the memory in a program's process and closes its descriptor and that of the map; none may be open above."""
    global _memory
    _memory = mmap.mmap(fd, LINES)
    os.closerange(fd, fd + 2)


def warm_up(text: str, runs: int) -> None:
    """Marks a text as children will, whose copies of this code have settled then."""
    global _memory
    _memory = mmap.mmap(-1, LINES)
    for _ in range(runs):
        marked(text, "")
    _memory = None


def marked(text: str, file: str) -> CodeType | None:
    """The program compiled with its marks; None where it does not compile, as compiling it without them will tell, and
    where it does so only without marks (`compile_tree`)."""
    memory = _memory
    if memory is None:
        return None
    collecting = gc.isenabled()
    gc.disable()  # a tree is large and no garbage
    try:
        tree = ast.parse(text, file)
        lines = _insert_marks(tree)
        code = with_object(compile_tree(tree, text, file), memory)
    except NO_PROGRAM:
        return None
    finally:
        if collecting:
            gc.enable()
    for line in lines:
        if not memory[line]:  # an earlier test may have been there
            memory[line] = WAITING
    return code


def _insert_marks(tree: ast.Module) -> list[int]:
    """Puts a mark before each statement of the tree, at any depth; returns the marked lines."""
    lines: list[int] = []
    blocks: list[tuple[Any, str, bool]] = [(tree, "body", True)]
    while blocks:
        parent, name, opens = blocks.pop()
        block: list[ast.stmt] = []
        for statement in getattr(parent, name):
            kind = type(statement)
            if kind in _COMPOUND:
                line = last_header_line(statement)
                _push_blocks(statement, kind, blocks)
            else:
                line = statement.end_lineno or 0
            opens = opens and _must_lead(statement, bool(block))
            if not opens and line < LINES:
                lines.append(line)
                block.append(_mark(statement, line))
            block.append(statement)
        setattr(parent, name, block)
    return lines


def _must_lead(statement: ast.stmt, after_mark: bool) -> bool:
    """True for what no mark may precede: imports from `__future__`, and a docstring where no mark does."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    return (
        not after_mark
        and isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _push_blocks(statement: Any, kind: type, blocks: list[tuple[Any, str, bool]]) -> None:
    """Adds the blocks inside a compound statement; one that opens a scope may begin with a docstring."""
    if kind is ast.Match:
        blocks += [(case, "body", False) for case in statement.cases]
        return
    blocks.append((statement, "body", kind in _SCOPES))
    blocks += [(statement, name, False) for name in ("orelse", "finalbody") if getattr(statement, name, None)]
    blocks += [(handler, "body", False) for handler in getattr(statement, "handlers", ())]


def _mark(statement: ast.stmt, line: int) -> Any:
    """`memory[line] = 1`, at the place of the statement, whose attributes are set one by one, since that is fastest."""
    memory, key, value = _CONSTANT(STAND_IN), _CONSTANT(line), _CONSTANT(EXECUTED)
    place = _SUBSCRIPT(memory, key, _STORE)
    mark = _ASSIGN([place], value)
    first, column = statement.lineno, statement.col_offset
    for node in (mark, place, memory, key, value):
        node.lineno, node.col_offset = first, column
    return mark


_STORE = ast.Store()
_ASSIGN: Any = ast.Assign
_SUBSCRIPT: Any = ast.Subscript
_CONSTANT: Any = ast.Constant
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPOUND = frozenset(
    (*_SCOPES, ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
)
