"""What happens inside the sandboxed child: compile, run, answer with values.

The job comes through the channel as one dict: `program`, `setup`, `coverage`, `trace`, `mode`. In mode `stdio` the
program runs as a script (`rltf.execution.inside.script`); in mode `requests` it answers one request after another; in
mode `syntax` programs come one after another, and are compiled and not run. Nothing here knows what the tests expect,
and nothing that is sent from here is a verdict.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the enums of `signal` cost time
import _socket
import gc
import marshal
import os
import sys
import warnings
from typing import Any

from rltf.execution.inside import coverage, error_location, free_memory, program, script, trace
from rltf.execution.inside.channel import Channel
from rltf.execution.inside.objects import Objects
from rltf.execution.values.shared_objects import classes_of

MEMORY = 4
"""Descriptor of the memory of executed lines or of values, where the job asks for them."""
_WARM_UP_RUNS = 12


def run(fd: int) -> int:
    """Serves one job at the channel `fd`; returns the exit status of the process."""
    channel = Channel(fd)
    job = channel.receive()
    if job is None:
        return 1
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)  # ignored so far: it is for the trainer's user
    if job["coverage"]:
        coverage.attach(MEMORY)
    elif job["trace"]:
        trace.attach(MEMORY, prints=job["mode"] == "stdio")
    if job["mode"] == "stdio":
        return script.run(channel, job)
    if job["mode"] == "syntax":
        return _compile_only(channel)
    namespace = program.module("program", job).__dict__
    sys.modules["__main__"] = sys.modules["program"]  # where libraries look for its names
    code = None
    classes: dict[str, type] = {}
    try:
        if job["setup"]:
            exec(compile(job["setup"], "<setup>", "exec", dont_inherit=True), namespace)
            classes = classes_of(namespace)
        try:
            code = program.compiled(job)
        except BaseException as e:
            channel.send({"syntax": error_location.syntax(e, program.text_of(job))})
            return 1
        exec(code, namespace)
    except BaseException as e:
        channel.send({"load": error_location.runtime(e, code)})
        return 1
    Objects(namespace, code, classes).serve(channel)
    return 0


def _compile_only(channel: Channel) -> int:
    """Says of each program that comes whether it has a syntax error, and runs none."""
    warnings.simplefilter("ignore")
    while (job := channel.receive()) is not None:
        answer: dict[str, Any] = {}
        try:
            compile(program.text_of(job), program.FILE, "exec", dont_inherit=True)
        except BaseException as e:
            answer = {"syntax": error_location.syntax(e, program.text_of(job))}
        channel.send(answer)
    return 0


def main(fd: int) -> None:
    """Runs the job and ends this process without the interpreter's own shutdown."""
    status = 1
    try:
        status = run(fd)
    finally:
        os._exit(status)


def warm_up() -> None:
    """Runs small programs as children will do, so that their copies of this code have settled and stay unwritten."""
    gc.collect()
    gc.freeze()  # else each script looks for garbage among all modules
    program.install()
    interrupted, main_module = _signal.getsignal(_signal.SIGINT), sys.modules["__main__"]
    job = {"program": "def f(x):\n    return [x]\n", "setup": "", "coverage": False, "trace": False, "mode": "requests"}
    dialogues: Any = ([job, ["result", "f", [[1], {}], [], 1]], [job, ["call", "f", [[1], {}], [], 1]])
    for messages in dialogues * _WARM_UP_RUNS:
        judge, child = _socket.socketpair()
        for message in messages:
            text = marshal.dumps(message)
            judge.sendall(len(text).to_bytes(4, "big") + text)
        judge.shutdown(_socket.SHUT_WR)
        run(child.fileno())
        judge.close()
        child.close()
    judge, child = _socket.socketpair()
    script.warm_up(Channel(child.fileno()), job, _WARM_UP_RUNS)
    judge.close()
    child.close()
    coverage.warm_up(str(job["program"]), _WARM_UP_RUNS)
    _signal.signal(_signal.SIGINT, interrupted)
    del sys.modules["program"]
    sys.modules["__main__"] = main_module
    gc.collect()
    free_memory.fill()
