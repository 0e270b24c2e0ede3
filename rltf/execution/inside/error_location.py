"""The line of the program at which an error occurred: found by code objects, never by file names or message texts.

A frame is the program's when its code object hangs in the tree that `compile` returned for the program's text, so that
`compile(..., "<program>")` inside a program forges nothing and an error inside a library is put on the program's call.
"""

from __future__ import annotations

import codeop
import warnings
from collections.abc import Callable
from itertools import islice
from opcode import opmap
from types import CodeType, TracebackType
from typing import Any

from rltf.execution.values.bounds import ERRORS

MAX_MESSAGE = 500
"""Characters of a message that are kept."""
_MAX_HANDLERS = 100
"""Exceptions that are followed back from the last one."""
_RAISE = opmap["RAISE_VARARGS"]
# looked up past whatever a program's class defines
cause_of: Callable[[BaseException], BaseException | None] = vars(BaseException)["__context__"].__get__
_traceback: Callable[[BaseException], TracebackType | None] = vars(BaseException)["__traceback__"].__get__
_name: Callable[[type], str] = vars(type)["__name__"].__get__
_bases: Callable[[type], tuple[type, ...]] = vars(type)["__mro__"].__get__
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
    """An exception as `{type, message, line, end_line}`, the lines those of the program's innermost frame.

    What counts is the first place, so that catching everything and raising it again moves no blame: a `SystemExit` that
    answers another exception is reported as that one, and an exception that a handler raises as a copy of the one it
    caught (of the same class) is put where that one came from. One of another class is the program's own word: its
    place is its `raise`.
    """
    _reserve.clear()
    if code is None:
        return _record(error, _text(error), None, None)
    program_codes = {id(c) for c in _code_tree(code)}
    named_error, place = error, _innermost(error, program_codes)
    for _ in range(_MAX_HANDLERS):
        cause = cause_of(error)
        if cause is None:
            break
        if issubclass(type(error), SystemExit):
            named_error = cause if named_error is error else named_error
        elif place is None or type(cause) is not type(error) or not _raised_in_handler(place, cause):
            break
        error, place = cause, _innermost(cause, program_codes) or place
    line, end = (None, None) if place is None else _lines(place.tb_frame.f_code, place.tb_lasti, place.tb_lineno)
    return _record(named_error, _text(named_error), line, end)


def _innermost(error: BaseException, program_codes: set[int]) -> TracebackType | None:
    """The last step of an exception's way that lies in the program."""
    innermost, trace = None, _traceback(error)
    while trace is not None:
        if id(trace.tb_frame.f_code) in program_codes:
            innermost = trace
        trace = trace.tb_next
    return innermost


def _raised_in_handler(place: TracebackType, cause: BaseException) -> bool:
    """True when `place` is a `raise` in the frame that had caught `cause`."""
    caught = _traceback(cause)
    return (
        caught is not None
        and caught.tb_frame is place.tb_frame
        and place.tb_frame.f_code.co_code[place.tb_lasti] == _RAISE
    )


def _code_tree(code: CodeType) -> list[CodeType]:
    codes = [code]
    for code in codes:
        codes += [c for c in code.co_consts if type(c) is CodeType]
    return codes


def _lines(code: CodeType, instruction: int, line: int | None) -> tuple[int | None, int | None]:
    first, last, _, _ = next(islice(code.co_positions(), instruction // 2, None), (None, None, None, None))
    return (line, line) if first is None else (first, max(first, last or first))


def _record(error: BaseException, message: str, line: int | None, end: int | None) -> dict[str, Any]:
    """The report; a class of the program that is called like a builtin one does not count as that."""
    kind = type(error)
    names = [(_name(c)[:100], c) for c in _bases(kind)[:20] if issubclass(c, BaseException)]
    return {
        "type": _name(kind)[:100],
        "classes": [name for name, c in names if ERRORS.get(name, c) is c],
        "message": message[:MAX_MESSAGE],
        "line": line,
        "end_line": end,
    }


def _text(error: BaseException) -> str:
    try:
        return str.__str__(str(error))[:MAX_MESSAGE]
    except BaseException as e:
        return f"<no text: str() raised {type(e).__name__}>"
