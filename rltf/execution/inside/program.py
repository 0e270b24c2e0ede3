"""The module in which a program runs, prepared for what its text asks for, and its code.

What little is done for every program is done here with few objects: each page of memory that a fork touches is copied.
"""

from __future__ import annotations

import builtins
import io
import linecache
import os
import sys
from types import CodeType, ModuleType
from typing import Any

from rltf.execution.inside import coverage, standard_library, trace

FILE = "<program>"
"""The file of the program's code objects."""
_path = ""
"""The file of the program's module, in the scratch folder; written only for a program that could read it."""
_get_limit, _set_limit = sys.getrecursionlimit, sys.setrecursionlimit
_FRAMES_BELOW = 9
"""Frames of ours, calls of C among them, from the start of the zygote to a script's module or a function that a test
calls: they do not count against the program's recursion limit. (Tests in `test_scripts.py` tell when they change.)"""


def install() -> None:
    """Prepares what is the same for every program, before any is forked."""
    global _path
    _path = f"{os.getcwd()}/program.py"
    sys.argv = [_path]
    sys.getrecursionlimit, sys.setrecursionlimit = getrecursionlimit, setrecursionlimit
    _set_limit(1000 + _FRAMES_BELOW)


def getrecursionlimit() -> int:
    """Return the current value of the recursion limit, the maximum depth of the Python interpreter stack."""
    return _get_limit() - _FRAMES_BELOW


def setrecursionlimit(limit: int, /) -> None:
    """Set the maximum depth of the Python interpreter stack to n."""
    _set_limit(limit + _FRAMES_BELOW if type(limit) is int and 0 < limit < 1 << 30 else limit)


def module(name: str, job: dict[str, Any]) -> ModuleType:
    """An empty module called `name`, known to `sys.modules`, with a file and whatever else the program asks for."""
    empty_module = ModuleType(name)
    empty_module.__builtins__ = builtins  # type: ignore[attr-defined]
    empty_module.__file__ = _path
    sys.modules[name] = empty_module
    words = job["program"] + job["setup"]
    if (  # each a constant beside the others, so that a fork copies one page of them
        "__file__" in words
        or "argv" in words
        or "inspect" in words
        or "traceback" in words
        or "linecache" in words
        or "uuid" in words
        or "platform" in words
        or "/dev/" in words
        or "/proc/self/fd" in words
        or "find_library" in words
        or "shared_memory" in words
    ):
        _prepare(job["program"], words)
    return empty_module


def _prepare(text: str, words: str) -> None:
    """Does what only few programs need."""
    if "__file__" in words or "argv[0]" in words:
        _write_file(text)
    if "inspect" in words or "traceback" in words or "linecache" in words:
        lines = io.StringIO(text, newline=None).readlines()
        linecache.cache[FILE] = linecache.cache[_path] = (len(text), None, lines, FILE)
    standard_library.adapt(words)


def _write_file(text: str) -> None:
    try:
        with open(_path, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.write(text)
    except OSError:
        return  # larger than the scratch folder


def text_of(job: dict[str, Any]) -> str:
    """The program as it is compiled."""
    return str(job["program"]).removeprefix("\ufeff")


def compiled(job: dict[str, Any]) -> CodeType:
    """The program's code, with marks or records where the job asks for them.

    Raises:
        SyntaxError: The program does not compile; or whatever else `compile` raises.
    """
    text = text_of(job)
    code = None
    if job["coverage"]:
        code = coverage.marked(text, FILE)
    elif job["trace"]:
        code = trace.traced(text, FILE)
    return code or compile(text, FILE, "exec", dont_inherit=True)
