"""Programs in C++, in the place of `runner`: one process compiles, further ones become the compiled program.

The binary stays in memory that the worker passes to each of them and has sealed by then.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from rltf.execution.inside.channel import Channel

BINARY = 4
"""Descriptor of the memory that holds the compiled program."""
_OPTIONS = ("-x", "c++", "-std=c++20", "-O2", "-pipe", "-w", "-fmax-errors=1", "-fdiagnostics-color=never")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C"}
_ERROR = re.compile(r"^program\.cpp:(\d+):\d+: (?:fatal )?error: (.*)", re.MULTILINE)
_UNDEFINED = re.compile(r"undefined reference to `?(.*?)'?$", re.MULTILINE)
_MESSAGE_BYTES = 1 << 16


def run(compiler: str, fd: int) -> int:
    """Serves one job: `compile`, or `stdio`, which runs what was compiled; returns the exit status of the process."""
    channel = Channel(fd)
    job = channel.receive()
    if job is None:
        return 1
    if job["mode"] == "stdio":
        for descriptor in (fd, BINARY):
            os.set_inheritable(descriptor, False)
        os.execve(BINARY, ["program"], _ENVIRONMENT)
    record = _compiled(compiler, job["program"].removeprefix("\ufeff"), job["setup"])
    channel.send({"compiled": True} if record is None else {"syntax": record})
    return record is not None


def _compiled(compiler: str, program: str, setup: str) -> dict[str, Any] | None:
    """Compiles a program; None, or the error at which that ended."""
    with open("source.cpp", "w", encoding="utf-8", errors="surrogatepass") as source:
        source.write(f'{setup}\n#line 1 "program.cpp"\n{program}')
    command = [compiler, *_OPTIONS, "source.cpp", "-o", "program"]
    errors = os.open("errors", os.O_CREAT | os.O_RDWR, 0o600)
    actions = [(os.POSIX_SPAWN_DUP2, errors, 1), (os.POSIX_SPAWN_DUP2, errors, 2)]
    environment = _ENVIRONMENT | {"TMPDIR": os.getcwd()}
    pid = os.posix_spawn(compiler, command, environment, file_actions=actions)
    status = os.waitpid(pid, 0)[1]
    if status:
        text = os.pread(errors, _MESSAGE_BYTES, 0).decode("utf-8", "replace")
        return error_record(text, program.count("\n") + 1)
    with open("program", "rb") as binary:
        while chunk := binary.read(1 << 20):
            view = memoryview(chunk)
            while view:
                view = view[os.write(BINARY, view) :]
    return None


def error_record(text: str, lines: int) -> dict[str, Any]:
    """What a compiler says of a program, as `{type, message, line, end_line}`; the line is that of its first error.

    Args:
        text: the compiler's messages.
        lines: of the program.

    >>> error_record("program.cpp:2:5: error: expected ';' before '}' token", 3)["line"]
    2
    """
    line, message = None, text.strip().partition("\n")[0]
    if (error := _ERROR.search(text)) is not None:
        line, message = min(int(error[1]), lines), error[2]
    elif (undefined := _UNDEFINED.search(text)) is not None:
        message = f"undefined reference to {undefined[1]}"
    return {
        "type": "CompileError",
        "classes": ["SyntaxError"],
        "message": message[:500] or "the compiler failed without a message",
        "line": line,
        "end_line": line,
        "incomplete": False,
    }


def main(compiler: str, fd: int) -> None:
    """Serves the job and ends this process without the interpreter's own shutdown."""
    status = 1
    try:
        status = run(compiler, fd)
    except OSError as e:
        print(f"the program cannot be run: {e}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def warm_up() -> None:
    """Nothing stays in memory from program to program."""
