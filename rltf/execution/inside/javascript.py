"""Programs in JavaScript, in the place of `runner`: QuickJS runs them in the child, behind the same layers.

What they find of Node.js is in `javascript_host.js`. Modules (`import`), files and waiting are not there: timers run in
the order of their times. An error that nobody catches in a promise is not seen, other than in one that a test awaits.
"""

from __future__ import annotations

import _socket
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import _quickjs  # type: ignore[import-not-found]

from rltf.execution.inside.channel import Channel
from rltf.execution.values.codec import decode, encode

_STACK_BYTES = 24 << 20
_OUR_LINES = 1 << 20
"""Code of ours, and setup code, begins behind so many empty lines, so that a line says whose it is."""
_FLUSH_BYTES = 1 << 16
_FRAME = re.compile(r"^ +at [^\n]*\(<input>:(\d+)", re.MULTILINE)
_UNCOMPILED = re.compile(r"SyntaxError: .*\n +at <input>:(\d+):\d+\n*", re.DOTALL)
_NAMED = re.compile(r"([A-Za-z_$][\w$]*)(?:: (.*))?\Z", re.DOTALL)
_CLASSES = {"ReferenceError": "NameError", "TypeError": "TypeError", "RangeError": "ValueError"}
"""Error of JavaScript -> the one of Python that a table of errors knows."""
_WARM_UP_RUNS = 4
_WARM_UP_PROGRAM = "function f(x) { return [x] }\nconsole.log(f(1).length)"
_SOURCE = Path(__file__).with_name("javascript_host.js").read_text(encoding="utf-8")


class Engine:
    """An engine with a program's surroundings.

    Args:
        write: writes bytes to a descriptor, and returns how many.
    """

    def __init__(self, write: Callable[[int, Any], int] = os.write) -> None:
        self._write_to = write
        self._context = _quickjs.Context()
        self._context.set_max_stack_size(_STACK_BYTES)
        self._written: dict[int, list[bytes]] = {1: [], 2: []}
        self._unwritten = 0
        self.exit: Callable[[int], object] = os._exit
        """Ends the process at the program's word."""
        names = {"hostWrite": self._write, "hostRead": _stdin, "hostExit": self._exit}
        for name, function in names.items():
            self._context.add_callable(name, function)
        self._context.eval("\n" * _OUR_LINES + f"globalThis.host = ({_SOURCE})({', '.join(names)})")
        self._host = {name: self._context.eval(f"host.{name}") for name in ("call", "result", "next", "exitCode")}
        self._context.eval("; ".join(f"delete globalThis.{name}" for name in (*names, "host")))

    def load(self, program: str, setup: str) -> None:
        """Executes setup and program.

        Raises:
            _quickjs.JSException: It does not compile, or an error was not caught.
        """
        if setup:
            self._context.eval("\n" * _OUR_LINES + setup)
        self._context.eval(program)
        self.settle()

    def settle(self) -> None:
        """Runs what promises have left to do."""
        while self._context.execute_pending_job():
            continue

    def run_events(self) -> None:
        """Runs what waits for input or for its time, until nothing does."""
        while self._host["next"]():
            self.settle()

    def call(self, function: str, args: list[Any]) -> Any:
        """What a function of the program returns, awaited where that is a promise.

        Raises:
            _quickjs.JSException: It raised an error, or there is no such function.
        """
        self._host["call"](function, json.dumps([_tagged(value) for value in args]))
        self.settle()
        self.run_events()
        return json.loads(self._host["result"](), object_hook=_untagged)

    @property
    def exit_code(self) -> int:
        """`process.exitCode`."""
        return int(self._host["exitCode"]())

    def flush(self) -> None:
        """Writes what was printed.

        Raises:
            OSError: Nobody reads it.
        """
        for fd, chunks in self._written.items():
            text = memoryview(b"".join(chunks))
            chunks.clear()
            while text:
                text = text[self._write_to(fd, text) :]
        self._unwritten = 0

    def _write(self, fd: int, text: str) -> None:
        data = text.encode("utf-8", "replace")
        self._written[2 if fd == 2 else 1].append(data)
        self._unwritten += len(data)
        if self._unwritten > _FLUSH_BYTES:
            self.flush()

    def _exit(self, status: int) -> None:
        self.flush()
        self.exit(status & 0xFF)


def _stdin() -> str:
    chunks = []
    while chunk := os.read(0, 1 << 16):
        chunks.append(chunk)
    return b"".join(chunks).decode("utf-8", "replace")


def is_syntax_error(error: BaseException) -> bool:
    """True where a program does not compile: nothing of it has run, so that only the place in its text is named.

    >>> is_syntax_error(ValueError("SyntaxError: unexpected token\\n    at <input>:2:9\\n"))
    True
    >>> is_syntax_error(ValueError("SyntaxError: in JSON\\n    at parse (native)\\n    at <eval> (<input>:1:6)\\n"))
    False
    """
    return _UNCOMPILED.fullmatch(str(error)) is not None


def _tagged(value: Any) -> Any:
    """A value with its numbers that JSON does not have in the place where JavaScript looks for them."""
    if type(value) is float and not math.isfinite(value):
        return {"$number": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if type(value) in (list, tuple):
        return [_tagged(item) for item in value]
    if type(value) is dict:
        return {key: _tagged(item) for key, item in value.items()}
    return value


def _untagged(value: dict[str, Any]) -> Any:
    match value:
        case {"$integer": str(digits)} if len(value) == 1 and digits.lstrip("-").isdecimal():
            return int(digits)
        case {"$number": ("NaN" | "Infinity" | "-Infinity") as name} if len(value) == 1:
            return float(name)
    return value


def error_record(error: BaseException, program: str) -> dict[str, Any]:
    """An error as `{type, classes, message, line, end_line}`; the line is that of the program's innermost frame.

    >>> error_record(ValueError("TypeError: x is not a function\\n    at f (<input>:2:7)"), "1\\n2")["line"]
    2
    """
    text = str(error)
    uncompiled = _UNCOMPILED.fullmatch(text)
    head, lines = text.split("\n    at ", 1)[0].rstrip(), [int(line) for line in _FRAME.findall(text)]
    lines = lines if uncompiled is None else [int(uncompiled[1])]
    name_match = _NAMED.match(head) if lines or "\n" not in text else None
    kind, message = (
        (name_match[1], name_match[2] or "") if name_match else ("Uncaught", head.removesuffix("\nundefined"))
    )
    line = next((line for line in lines if line <= program.count("\n") + 1), None)
    classes = [_CLASSES.get(kind, "Exception")]
    if kind == "InternalError":
        classes = ["MemoryError" if "memory" in message else "RecursionError"]
    return {"type": kind[:100], "classes": classes, "message": message[:500], "line": line, "end_line": line}


_engine: Engine | None = None
"""An engine that is ready for a program, made before any is forked."""


def run(channel: Channel) -> int:
    """Serves one job; returns the exit status of the process."""
    global _engine
    job = channel.receive()
    if job is None:
        return 1
    engine, _engine = _engine or Engine(), None
    program = job["program"].removeprefix("\ufeff")
    if job["mode"] == "stdio":
        return _run_script(engine, channel, program, job["setup"])
    try:
        engine.load(program, job["setup"])
    except BaseException as e:
        channel.send({"syntax" if is_syntax_error(e) else "load": error_record(e, program)})
        return 1
    return _serve(engine, channel, program)


def _run_script(engine: Engine, channel: Channel, program: str, setup: str) -> int:
    def exit_now(status: int) -> NoReturn:
        channel.send({"end": status, "error": None, "loaded": False})
        os._exit(status)

    engine.exit = exit_now
    status, error = 0, None
    try:
        engine.load(program, setup)
        engine.run_events()
        status = engine.exit_code
    except BaseException as e:
        status, error = 1, error_record(e, program)
        if is_syntax_error(e):
            channel.send({"syntax": error})
            return 1
    try:
        engine.flush()
    except OSError:
        status = status or 1
    channel.send({"end": status, "error": error, "loaded": error is None})
    return status


def _serve(engine: Engine, channel: Channel, program: str) -> int:
    while (request := channel.receive()) is not None:
        number = request[-1]
        if request[0] == "ping":
            channel.send_value(None, number)
            continue
        try:
            value = engine.call(request[1], decode(request[2][0]))
            engine.flush()
            channel.send_value(encode(value), number)
        except BaseException as e:
            channel.send({"n": number, "error": error_record(e, program)})
        if request[3]:  # the last one
            break
    return 0


def main(fd: int) -> None:
    """Runs the job and ends this process without the interpreter's own shutdown."""
    status = 1
    try:
        status = run(Channel(fd))
    finally:
        os._exit(status)


def warm_up() -> None:
    """Runs small programs as children will do, and makes the engine that they find ready."""
    global _engine
    judge, child = _socket.socketpair()
    channel = Channel(child.fileno())
    for _ in range(_WARM_UP_RUNS):
        engine = Engine(lambda fd, text: len(text))
        engine.load(_WARM_UP_PROGRAM, "")
        engine.run_events()
        channel.send_value(encode(engine.call("f", decode([1]))), 1)
        engine.flush()
    judge.close()
    child.close()
    _engine = Engine()
