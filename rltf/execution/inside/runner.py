"""What happens inside the sandboxed child: compile, run, answer with values.

The job comes through the channel as one dict: `program`, `setup`, `mode`. In mode `stdio` the program runs as a
script; in mode `calls` it answers a list of calls in turn; in mode `rpc` it answers one request of the judge after
another. Nothing here knows what the tests expect, and nothing that is sent from here is a verdict.
"""

from __future__ import annotations

import atexit
import builtins
import marshal
import os
import socket
import sys
import threading
import types
from typing import Any

from rltf.execution.inside import coverage, error_location
from rltf.execution.inside.channel import Channel
from rltf.execution.inside.objects import Objects
from rltf.execution.values.shared_objects import classes_of

FILE = "<program>"
MARKS = 4
"""Descriptor of the memory of executed lines, where the job asks for them."""
_WARM_UP_RUNS = 12
_FLUSH_ERRORS = (OSError, ValueError)


def run(fd: int) -> int:
    """Serves one job at the channel `fd`; returns the exit status of the process."""
    channel = Channel(fd)
    job = channel.receive()
    if job is None:
        return 1
    script = job["mode"] == "stdio"
    module = types.ModuleType("__main__" if script else "program")
    namespace = module.__dict__
    namespace["__builtins__"] = builtins
    sys.modules[module.__name__] = module
    if script:
        _standard_streams(job["program"])
    if job["coverage"]:
        coverage.attach(MARKS)
    code = None
    classes: dict[str, type] = {}
    try:
        if job["setup"]:
            exec(compile(job["setup"], "<setup>", "exec", dont_inherit=True), namespace)
            classes = classes_of(namespace)
        text = job["program"].removeprefix("\ufeff")
        try:
            code = coverage.marked(text, FILE) if job["coverage"] else None
            code = code or compile(text, FILE, "exec", dont_inherit=True)
        except BaseException as e:
            channel.send({"syntax": error_location.syntax(e, text)})
            return 1
        exec(code, namespace)
    except SystemExit as e:
        if script:
            return _leave(channel, _status(e))
        channel.send({"load": error_location.runtime(e, code)})
        return 1
    except BaseException as e:
        error = error_location.runtime(e, code)
        if script:
            return _leave(channel, 1, error)
        channel.send({"load": error})
        return 1
    if script:
        return _leave(channel, 0)
    Objects(namespace, code, classes).serve(channel)
    return 0


def _standard_streams(program: str) -> None:
    if "/dev/stdin" in program:
        _copy_stdin()
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        errors = "backslashreplace" if fd == 2 else "surrogateescape"
        stream = open(fd, "w" if fd else "r", encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = [FILE]


def _copy_stdin() -> None:
    """`/dev/stdin` of the private root is a link to this file, since there is no `/proc`."""
    try:
        with open("/tmp/.stdin", "wb") as file:
            while chunk := os.read(0, 1 << 16):
                file.write(chunk)
        os.lseek(0, 0, os.SEEK_SET)
    except OSError:
        return  # a root of another kind: /dev/stdin is the system's own


def _status(e: SystemExit) -> int:
    if e.code is None:
        return 0
    if isinstance(e.code, int):
        return e.code & 0xFF
    print(e.code, file=sys.stderr)
    return 1


def _leave(channel: Channel, status: int, error: dict[str, Any] | None = None) -> int:
    """Ends a script as the interpreter would: joins threads, runs exit functions, flushes."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException as e:
        error = error or error_location.runtime(e, None)
    if not _flush():
        status = status or 120
    channel.send({"end": status, "error": error})
    return status


def _flush() -> bool:
    """Flushes stdout and stderr; False when that fails."""
    flushed = True
    for stream in {id(s): s for s in (sys.stdout, sys.__stdout__, sys.stderr)}.values():
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except _FLUSH_ERRORS:
            flushed = False
        except BaseException:
            flushed = False
    return flushed


def main(fd: int) -> None:
    """Runs the job and ends this process without the interpreter's own shutdown."""
    status = 1
    try:
        status = run(fd)
    finally:
        os._exit(status)


def warm_up() -> None:
    """Runs a small program as children will do, so that their copies of this code have settled and stay unwritten."""
    job = {"program": "def f(x):\n    return [x]\n", "setup": "", "coverage": False, "mode": "requests"}
    dialogues: Any = ([job, ["result", "f", [[1], {}], []]], [job, ["call", "f", [[1], {}], []]])
    for messages in dialogues * _WARM_UP_RUNS:
        judge, child = socket.socketpair()
        with judge, child:
            for message in messages:
                text = marshal.dumps(message)
                judge.sendall(len(text).to_bytes(4, "big") + text)
            judge.shutdown(socket.SHUT_WR)
            run(child.fileno())
    del sys.modules["program"]
