"""Programs compiled with statements of ours in them, which reach an object of ours: executed lines (`coverage`) and
values (`trace`), both told in memory that another process reads."""

from __future__ import annotations

import ast
import fcntl
import os
import sys
from types import CodeType
from typing import Any

STAND_IN = os.urandom(16)
"""What the object is called until the program is compiled, since only plain constants compile; no constant of a
program, which is written before this process starts."""
NO_PROGRAM = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python raises of a text that is no program, or is too deep or too large for one."""
_DEPTH = 4000
"""Recursion limit under which a tree is compiled whose text is nested as deep as plain Python compiles."""


def sealed_memory(name: str, size: int) -> int:
    """Descriptor of an anonymous file that nobody can shrink or grow, for memory that two processes share."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


def compile_tree(tree: ast.Module, text: str, file: str) -> CodeType:
    """The code of a tree, also of one nested deeper than Python reads trees, though not than it compiles text.

    Python 3.12 reads no tree of more than 1,500 levels, whatever the recursion limit, and compiles text of up to 2,977.
    """
    try:
        return compile(tree, file, "exec", dont_inherit=True)
    except RecursionError:
        compile(text, file, "exec", dont_inherit=True)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _DEPTH))
    try:
        return compile(tree, file, "exec", dont_inherit=True)
    finally:
        sys.setrecursionlimit(limit)


def with_object(code: CodeType, instance: Any) -> CodeType:
    """The code with an object in the place of its stand-in."""
    constants = tuple(
        with_object(c, instance) if type(c) is CodeType else instance if type(c) is bytes and c == STAND_IN else c
        for c in code.co_consts
    )
    return code.replace(co_consts=constants)


def last_header_line(statement: Any) -> int:
    """The last line of the header of a compound statement, such as that of the colon of an `if`."""
    if type(statement) is ast.Match:
        return int(statement.subject.end_lineno or 0)
    first = statement.body[0]
    above = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", ()))]) - 1
    header = getattr(statement, "test", None) or getattr(statement, "iter", None)
    return max(statement.lineno, above, header.end_lineno if header is not None else 0)
