"""Which lines of a program its tests execute: a mark before every statement, set in memory that the judge reads.

The memory is an anonymous file shared by worker, zygote and children, so that marks outlive a program that is killed.
They are values like all others that come from a child: a program that looks for them can set them, and they decide no
verdict. A mark costs 20 ns; nothing is traced.

| line | takes the mark of |
|---|---|
| last of a statement, or of the header of a compound one | the statement |
| any other (rest of a statement, decorator, `else:`, `except ...:`, comment, blank, docstring) | the next marked line |
| behind the last marked line | none: it counts as executed |
"""

from __future__ import annotations

import ast
import fcntl
import mmap
import os
import weakref
from types import CodeType
from typing import Any

LINES = 1 << 16
"""Lines that are looked at; a program may have more."""
EXECUTED, WAITING = 1, 2
"""Marks of a line: its statement began; it has not."""
_STAND_IN = b"rltf: executed lines"
"""What the memory is called until the program is compiled, since only plain constants compile."""
_memory: mmap.mmap | None = None


class CoverageMarks:
    """The worker's end of the memory. It is made once a sandbox, whose programs use it in turn."""

    def __init__(self, fd: int | None = None) -> None:
        if fd is None:
            fd = os.memfd_create("lines", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(fd, LINES)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            weakref.finalize(self, os.close, fd)
        self.fd = fd
        self._memory = mmap.mmap(self.fd, LINES)

    def clear_all(self) -> None:
        """Clears the whole memory, before the first test of a program."""
        self._memory[:] = bytes(LINES)

    def executed_since_last(self) -> tuple[int, ...]:
        """Lines executed."""
        return ()

    def clear(self, program: str) -> None:
        """Clears the marks, before the first test of a program."""
        self._memory[: _length(program)] = bytes(_length(program))

    def unexecuted(self, program: str) -> list[int] | None:
        """Lines (1-based) that no test executed; None when the program was never compiled."""
        marks = self._memory[: _length(program)]
        if not marks.strip(b"\0"):
            return None
        lines, waiting = [], False
        for line in range(len(marks) - 1, 0, -1):
            if marks[line]:
                waiting = marks[line] == WAITING
            if waiting:
                lines.append(line)
        return lines[::-1]


def attach(fd: int) -> None:
    """Maps the memory in the program's process."""
    global _memory
    _memory = mmap.mmap(fd, LINES)


def marked(text: str, file: str) -> CodeType | None:
    """The program compiled with its marks; None where it does not compile, as compiling it without them will tell."""
    memory = _memory
    if memory is None:
        return None
    lines: list[int] = []
    try:
        tree = ast.parse(text, file)
        tree.body = _block(tree.body, lines, opens=True)
        code = _with_memory(compile(tree, file, "exec", dont_inherit=True), memory)
    except BaseException:
        return None
    for line in lines:
        if not memory[line]:  # an earlier test may have been there
            memory[line] = WAITING
    return code


def _length(program: str) -> int:
    return min(program.count("\n") + program.count("\r") + 3, LINES)


def _block(statements: list[ast.stmt], lines: list[int], opens: bool = False) -> list[ast.stmt]:
    """The statements with a mark before each; one that `opens` a scope may begin with a docstring, which stays first,
    as do imports from `__future__`."""
    marked: list[ast.stmt] = []
    for statement in statements:
        fixed = opens and _must_lead(statement, bool(marked))
        opens = fixed
        line = _visit(statement, lines)
        if not fixed and line < LINES:
            lines.append(line)
            marked.append(_mark(statement, line))
        marked.append(statement)
    return marked


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


def _visit(statement: Any, lines: list[int]) -> int:
    """Marks the blocks inside a statement; returns the last line of the statement, or of its header."""
    kind = type(statement)
    if kind not in _COMPOUND:
        return int(statement.end_lineno)
    if kind is ast.Match:
        for case in statement.cases:
            case.body = _block(case.body, lines)
        return int(statement.subject.end_lineno)
    first = statement.body[0]
    above = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", ()))]) - 1
    header = getattr(statement, "test", None) or getattr(statement, "iter", None)
    statement.body = _block(statement.body, lines, opens=kind in _SCOPES)
    for name in ("orelse", "finalbody"):
        if block := getattr(statement, name, None):
            setattr(statement, name, _block(block, lines))
    for handler in getattr(statement, "handlers", ()):
        handler.body = _block(handler.body, lines)
    return max(statement.lineno, above, header.end_lineno if header is not None else 0)


def _mark(statement: ast.stmt, line: int) -> ast.stmt:
    """`memory[line] = 1`, at the place of the statement."""
    at: dict[str, Any] = {"lineno": statement.lineno, "col_offset": statement.col_offset}
    at |= {"end_lineno": statement.lineno, "end_col_offset": statement.col_offset}
    place = ast.Subscript(ast.Constant(_STAND_IN, **at), ast.Constant(line, **at), ast.Store(), **at)
    return ast.Assign([place], ast.Constant(EXECUTED, **at), **at)


def _with_memory(code: CodeType, memory: mmap.mmap) -> CodeType:
    constants = tuple(
        _with_memory(c, memory) if type(c) is CodeType else memory if c == _STAND_IN else c for c in code.co_consts
    )
    return code.replace(co_consts=constants)


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPOUND = frozenset(
    (*_SCOPES, ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
)
