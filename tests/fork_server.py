"""Commands of the project in processes that are forked from one which has imported everything: a start takes a tenth of
a second instead of the seconds that torch, Lightning and transformers need.

`run` and `start` take the place of `subprocess.run` and `subprocess.Popen` with `[sys.executable, SCRIPT, *arguments]`.
The server computes nothing before it forks, so that no thread of torch is lost in a fork. Environment variables that
libraries read when they are imported have the server's value: `OMP_NUM_THREADS=1`, `HF_HUB_OFFLINE=1`, and an empty
`HF_HOME`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTS = (
    "rltf.commands.cli",
    "rltf.commands.train",
    "rltf.commands.evaluate",
    "rltf.report.write.files",
    "transformers",
)
IMPORTS += ("rltf.policies.causal", "rltf.policies.seq2seq", "rltf.policies.tiny", "rltf.benchmarks.mini", "accelerate")
IMPORTS += ("transformers.generation.utils", "transformers.quantizers.auto", "torch.distributed.checkpoint")
IMPORTS += ("transformers.models.t5.modeling_t5", "transformers.models.llama.modeling_llama", "hydra._internal.hydra")

_address: str | None = None


class ForkedProcess:
    """A process of the fork server, with the interface of `subprocess.Popen` as far as tests use it."""

    def __init__(self, connection: socket.socket, out: int, err: int) -> None:
        self._connection = connection
        self.returncode: int | None = None
        self.pid = int(self._line())
        self._texts = {"out": "", "err": ""}
        self._readers = [
            threading.Thread(target=self._read, args=(name, fd), daemon=True)
            for name, fd in (("out", out), ("err", err))
        ]
        for reader in self._readers:
            reader.start()
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def _line(self) -> str:
        data = b""
        while not data.endswith(b"\n"):
            chunk = self._connection.recv(1)
            if not chunk:
                raise RuntimeError("the fork server ended")
            data += chunk
        return data.decode()

    def _read(self, name: str, fd: int) -> None:
        with os.fdopen(fd, encoding="utf-8", errors="replace") as pipe:
            self._texts[name] = pipe.read()

    def _wait(self) -> None:
        self.returncode = int(self._line())
        self._connection.close()

    def poll(self) -> int | None:
        """Exit code; None while it runs."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the process has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Standard output and error, once the process has ended.

        Raises:
            subprocess.TimeoutExpired: it runs on; it is killed.
        """
        deadline = time.monotonic() + timeout
        for thread in (self._waiter, *self._readers):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self.send_signal(signal.SIGKILL)
                raise subprocess.TimeoutExpired(["forked"], timeout)
        return self._texts["out"], self._texts["err"]


def start(
    script: str | Path, *arguments: object, cwd: str | Path = ROOT, env: Mapping[str, str] | None = None
) -> ForkedProcess:
    """Starts a script of the project."""
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_start_server())
    request = {
        "script": str(ROOT / script),
        "arguments": [str(argument) for argument in arguments],
        "cwd": str(cwd),
        "env": dict(os.environ if env is None else env),
    }
    socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], [out_write, err_write])
    os.close(out_write)
    os.close(err_write)
    return ForkedProcess(connection, out_read, err_read)


def run(
    script: str | Path,
    *arguments: object,
    cwd: str | Path = ROOT,
    env: Mapping[str, str] | None = None,
    timeout: float = 800,
) -> subprocess.CompletedProcess[str]:
    """Runs a script of the project to its end."""
    process = start(script, *arguments, cwd=cwd, env=env)
    out, err = process.communicate(timeout)
    assert process.returncode is not None
    return subprocess.CompletedProcess([str(script), *map(str, arguments)], process.returncode, out, err)


def _start_server() -> str:
    global _address
    if _address is None:
        folder = tempfile.mkdtemp(prefix="rltf-fork-")
        _address = f"{folder}/socket"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": folder}
        command = [sys.executable, __file__, _address, str(os.getpid())]
        # it detaches itself: tests look at the processes below them, and it is none of what they test
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=environment) as launcher:
            assert launcher.stdout is not None
            server = int(launcher.stdout.readline())
        atexit.register(_kill, server)
    return _address


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def serve(address: str, parent: int) -> None:
    """Forks a process for every connection, until the tests, process `parent`, end."""
    if os.fork():
        os._exit(0)
    sys.path.insert(0, str(ROOT))
    import importlib

    for module in IMPORTS:
        importlib.import_module(module)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    print(os.getpid(), flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever waits for the end of the launcher's output need not wait
    threading.Thread(target=_end_with, args=(parent, address), daemon=True).start()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            request = _attend(connection)
            _become(request)


def _end_with(parent: int, address: str) -> None:
    while Path(f"/proc/{parent}").exists():
        time.sleep(0.5)
    os.unlink(address)
    os._exit(0)


def _attend(connection: socket.socket) -> dict:
    """In a fork of the server: forks again, and tells the number and the exit code of that process. The request, in
    that process."""
    data, fds, _, _ = socket.recv_fds(connection, 1 << 20, 2)
    while not data.endswith(b"\n"):
        data += connection.recv(1 << 20)
    request = json.loads(data)
    pid = os.fork()
    if pid == 0:
        connection.close()
        os.dup2(fds[0], 1)
        os.dup2(fds[1], 2)
        os.close(fds[0])
        os.close(fds[1])
        return request
    for fd in fds:
        os.close(fd)
    connection.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: dict) -> None:
    """Runs the script; the interpreter then ends as after any script, exit code and traceback included."""
    import runpy

    os.setpgid(0, 0)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [request["script"], *request["arguments"]]
    sys.path[0] = str(Path(request["script"]).parent)
    runpy.run_path(request["script"], run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
