"""The line of the program at which an error occurred: found by code objects, never by file names or message texts.

A frame is the program's when its code object hangs in the tree that `compile` returned for the program's text, so that
`compile(..., "<program>")` inside a program forges nothing and an error inside a library is put on the program's call.
"""

from __future__ import annotations

import codeop
import warnings
from types import CodeType
from typing import Any

MAX_MESSAGE = 500
"""Characters of a message that are kept."""
_reserve = [
    bytes(4 << 20)
]  # address space for the report of a MemoryError; calloc leaves it untouched: no fork copies it


def syntax(error: BaseException, text: str) -> dict[str, Any]:
    """A failed `compile` as `{type, message, line, end_line, incomplete}`; lines are 1-based or None."""
    line = getattr(error, "lineno", None)
    end = getattr(error, "end_lineno", None)
    last = text.count("\n") + 1
    if not isinstance(line, int) or line < 1:
        line = end = None
    else:
        line = min(line, last)
        end = min(end, last) if isinstance(end, int) and end >= line else line
    message = error.msg if isinstance(error, SyntaxError) else _text(error)
    return _record(error, str(message), line, end) | {"incomplete": _incomplete(text)}


def _incomplete(text: str) -> bool:
    """True for a text that more text could complete."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return codeop.compile_command(text, "<program>", "exec") is None
    except BaseException:
        return False


def runtime(error: BaseException, code: CodeType | None) -> dict[str, Any]:
    """An exception as `{type, message, line, end_line}`, the lines those of the program's innermost frame."""
    _reserve.clear()
    line = end = None
    if code is not None:
        program_codes = {id(c) for c in _code_tree(code)}
        trace = error.__traceback__
        while trace is not None:
            if id(trace.tb_frame.f_code) in program_codes:
                line, end = _lines(trace.tb_frame.f_code, trace.tb_lasti, trace.tb_lineno)
            trace = trace.tb_next
    return _record(error, _text(error), line, end)


def _code_tree(code: CodeType) -> list[CodeType]:
    codes = [code]
    for code in codes:
        codes += [c for c in code.co_consts if type(c) is CodeType]
    return codes


def _lines(code: CodeType, instruction: int, line: int | None) -> tuple[int | None, int | None]:
    for at, (first, last, _, _) in enumerate(code.co_positions()):
        if at * 2 == instruction and first is not None:
            return first, max(first, last or first)
    return line, line


def _record(error: BaseException, message: str, line: int | None, end: int | None) -> dict[str, Any]:
    kind = type(error)
    try:
        classes = [c.__name__ for c in kind.__mro__ if issubclass(c, BaseException)]
    except BaseException:
        classes = ["Exception"]
    return {
        "type": str(kind.__name__)[:100],
        "classes": [str(c)[:100] for c in classes[:20]],
        "message": message[:MAX_MESSAGE],
        "line": line,
        "end_line": end,
    }


def _text(error: BaseException) -> str:
    try:
        return str.__str__(str(error))[:MAX_MESSAGE]
    except BaseException as e:
        return f"<no text: str() raised {type(e).__name__}>"
