"""The module in which a program runs, prepared for what its text asks for, and its code."""

from __future__ import annotations

import builtins
import io
import linecache
import os
import sys
from types import CodeType, ModuleType
from typing import Any

from rltf.execution.inside import coverage, standard_library

FILE = "<program>"
"""The file of the program's code objects."""
PATH = "program.py"
"""The file of the program's module, in the scratch folder; written only for a program that could read it."""
_ASKS_FOR_FILE = ("__file__", "argv[0]")
_ASKS_FOR_LINES = ("inspect", "traceback", "linecache")
_get_limit, _set_limit = sys.getrecursionlimit, sys.setrecursionlimit
_frames_around = 0
"""Frames of ours below the program's, which do not count against its recursion limit."""


def module(name: str, job: dict[str, Any]) -> ModuleType:
    """An empty module called `name`, known to `sys.modules`, with the attributes that CPython gives to a script."""
    made = ModuleType(name)
    path = f"{os.getcwd()}/{PATH}"
    made.__dict__.update(__annotations__={}, __builtins__=builtins, __file__=path, __cached__=None)
    sys.modules[name] = made
    sys.argv = [path]
    text = job["program"]
    if any(word in text for word in _ASKS_FOR_FILE):
        _write(path, text)
    if any(word in text for word in _ASKS_FOR_LINES):
        lines = io.StringIO(text, newline=None).readlines()
        linecache.cache[FILE] = linecache.cache[path] = (len(text), None, lines, FILE)
    standard_library.adapt(text)
    if job["setup"]:
        standard_library.adapt(job["setup"])
    return made


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.write(text)
    except OSError:
        return  # larger than the scratch folder


def text_of(job: dict[str, Any]) -> str:
    """The program as it is compiled."""
    return str(job["program"]).removeprefix("\ufeff")


def compiled(job: dict[str, Any]) -> CodeType:
    """The program's code, with marks where the job asks for them.

    Raises:
        SyntaxError: The program does not compile; or whatever else `compile` raises.
    """
    text = text_of(job)
    code = coverage.marked(text, FILE) if job["coverage"] else None
    return code or compile(text, FILE, "exec", dont_inherit=True)


def exclude_frames(above: int) -> None:
    """Gives the program as many frames as it would have by itself: those in use now and `above` do not count."""
    global _frames_around
    frame, count = sys._getframe(1), above
    while frame.f_back is not None:
        frame = frame.f_back
        count += 1
    _frames_around = count
    _set_limit(1000 + count)


def getrecursionlimit() -> int:
    """Return the current value of the recursion limit, the maximum depth of the Python interpreter stack."""
    return _get_limit() - _frames_around


def setrecursionlimit(limit: int, /) -> None:
    """Set the maximum depth of the Python interpreter stack to n."""
    _set_limit(limit + _frames_around if type(limit) is int and 0 < limit < 1 << 30 else limit)


def install() -> None:
    """Hides our own frames from programs that ask for the recursion limit; called before programs are forked."""
    sys.getrecursionlimit, sys.setrecursionlimit = getrecursionlimit, setrecursionlimit
