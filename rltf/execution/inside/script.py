"""A program that runs as a script: its streams, and an end as CPython's, so that what it has written comes out.

The end follows `Py_FinalizeEx` of CPython 3.11: threads are joined, functions of `atexit` called, stdout and stderr
flushed (those that `sys` names now; only what fails here makes the status 120), garbage collected, the module dropped
and collected with its globals, which calls `__del__` and closes files. What other modules keep is not torn down: our
forks share them. Streams that are still open are flushed, as they would be when their modules go.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

from rltf.execution.inside import error_location, program, trace
from rltf.execution.inside.channel import Channel

_STREAMS = ("stdin", "stdout", "stderr")
_TEXT, _BYTES = io.TextIOWrapper, (io.BufferedWriter, io.BufferedRandom)

_exit_functions: list[Callable[[], object]] = [
    threading._shutdown,  # type: ignore[attr-defined]
    atexit._run_exitfuncs,
]

Error = dict[str, Any] | None


def run(channel: Channel, job: dict[str, Any]) -> int:
    """Runs a job's program as a script and says how it ended; returns the exit status of the process.

    The last message is `{"end": exit status, "error": record or None, "loaded": the module came to its end}`.
    """
    _open_streams()
    try:
        status, error, loaded = _executed(job)
    except _NotCompiled as e:
        channel.send({"syntax": e.args[0]})
        return 1
    _is_flushed(sys.stderr)
    _is_flushed(sys.stdout)
    status = status if _finalize() else 120
    channel.send({"end": status, "error": error, "loaded": loaded})
    return status


def warm_up(channel: Channel, job: dict[str, Any], runs: int) -> None:
    """Runs a script as children will, whose copies of this code have settled then; this process goes on after it."""
    streams = {name: getattr(sys, name) for name in (*_STREAMS, *(f"__{name}__" for name in _STREAMS))}
    main, exit_functions = sys.modules["__main__"], _exit_functions[:]
    _exit_functions.clear()
    for _ in range(runs):
        run(channel, job)
    _exit_functions.extend(exit_functions)
    sys.modules["__main__"] = main
    for name, stream in streams.items():
        setattr(sys, name, stream)


class _NotCompiled(Exception):
    """The program does not compile; its argument is the error's record."""


def _open_streams() -> None:
    for fd, name in enumerate(_STREAMS):
        errors = "backslashreplace" if fd == 2 else "surrogateescape"
        stream = open(fd, "w" if fd else "r", encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        stream = trace.recorded_stdout(stream) if fd == 1 else stream
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _executed(job: dict[str, Any]) -> tuple[int, Error, bool]:
    """Executes the module; returns its exit status, its error, and whether it came to its end.

    Nothing here refers to the module afterwards.
    """
    module = program.module("__main__", job)
    module.__dict__.update(__annotations__={}, __cached__=None)
    code = None
    try:
        if job["setup"]:
            exec(compile(job["setup"], "<setup>", "exec", dont_inherit=True), module.__dict__)
        try:
            code = program.compiled(job)
        except BaseException as e:
            raise _NotCompiled(error_location.syntax(e, program.text_of(job))) from None
        gc.collect(0)
        exec(code, module.__dict__)
    except _NotCompiled:
        raise
    except SystemExit as e:
        status = _status(e)
        answers_an_error = status and error_location.cause_of(e) is not None
        return status, error_location.runtime(e, code) if answers_an_error else None, False
    except BaseException as e:
        error = error_location.runtime(e, code)
        return *_after_hook(e, error), False
    return 0, None, True


def _status(error: SystemExit) -> int:
    """The exit status of a script that raised it."""
    try:
        code = error.code
        if code is None:
            return 0
        if isinstance(code, int):
            return int.__and__(code, 0xFF)
        if sys.stderr is not None:
            print(code, file=sys.stderr)
    except BaseException:
        return 1
    return 1


def _after_hook(error: BaseException, record: dict[str, Any]) -> tuple[int, Error]:
    """Status and error of a script that failed: a hook of its own may report it, or exit."""
    if sys.excepthook is not sys.__excepthook__:
        try:
            sys.excepthook(type(error), error, error.__traceback__)
        except SystemExit as e:
            status = _status(e)
            return status, record if status else None
        except BaseException:
            return 1, record
    return 1, record


def _finalize() -> bool:
    """Ends the script as CPython would; False when what it had printed could not be written."""
    for call in _exit_functions:
        _attempt(call)
    flushed = [_is_flushed(sys.stdout), _is_flushed(sys.stderr)]
    if gc.isenabled():
        _attempt(gc.collect)
    for name in _STREAMS:
        setattr(sys, name, getattr(sys, f"__{name}__", None))
    _attempt(_drop_module)
    for stream in _open_streams_left():
        _attempt(stream.flush)
    return all(flushed)


def _attempt(call: Callable[[], object]) -> None:
    """Calls what the program may have filled with functions of its own; CPython ignores their exceptions, too."""
    with contextlib.suppress(BaseException):
        call()


def _is_flushed(stream: Any) -> bool:
    if stream is None:
        return True
    try:
        if stream.closed:
            return True
    except BaseException:
        pass  # detached: not closed, as CPython sees it
    try:
        stream.flush()
    except BaseException:
        return False
    return True


def _drop_module() -> None:
    """Drops the module, and with it what only its globals refer to; one that lives on loses its globals one by one."""
    module = weakref.ref(sys.modules.pop("__main__"))
    gc.collect()
    if (survivor := module()) is not None:
        _clear(survivor)
        gc.collect()


def _clear(module: ModuleType) -> None:
    """Clears the globals in CPython's order: private names, then the others but the builtins."""
    names = vars(module)
    texts = [name for name in names if type(name) is str and name != "__builtins__"]
    private = {name for name in texts if name[:1] == "_" and name[1:2] != "_"}
    for name in sorted(texts, key=lambda name: name not in private):
        _attempt(partial(names.__setitem__, name, None))


def _open_streams_left() -> Iterator[Any]:
    """Streams that the program, or we for it, opened and that are still there: texts first, as they fill the others."""
    kinds = (_TEXT, *_BYTES)
    streams = [o for o in gc.get_objects() if issubclass(type(o), kinds)]
    yield from (s for s in streams if issubclass(type(s), _TEXT))
    yield from (s for s in streams if not issubclass(type(s), _TEXT))
