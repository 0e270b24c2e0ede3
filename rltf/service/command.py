"""`rltf serve`: the judge over HTTP, on this machine alone unless a file of tokens is named."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rltf.execution.jsonl import MAX_DIGITS
from rltf.execution.local import LocalExecutor
from rltf.service.settings import LOCAL_HOSTS, ServiceSettings, read_tokens
from rltf.validation import OptionError, import_extra

if TYPE_CHECKING:
    from rltf.service.app import Service

_SHUTDOWN_SECONDS = 5
"""After what is not judged has been given back, answers may take so long to be sent."""
_CONNECTIONS = 4096
"""Open connections; more are answered by 503."""


def main(argv: Sequence[str] | None = None, prog: str = "rltf serve") -> int:
    """Serves until SIGTERM or Ctrl-C; returns 0, 1 when the sandbox does not start, or 2 for options that make no
    sense, a port that is taken, or a missing package."""
    arguments = _parser(prog).parse_args(argv)
    try:
        for package in ("fastapi", "uvicorn", "prometheus_client"):
            import_extra(package, prog, "serve")
        settings = _settings(arguments)
        listener = _listener(arguments.host, arguments.port)
    except OptionError as e:
        print(f"error: --{e.key.replace('_', '-')} is {e.value!r}: expected {e.expected}", file=sys.stderr)
        return 2
    except ValueError as e:
        print(f"error: {e}", file=sys.stderr)
        return 2
    with listener:
        try:
            return _serve(arguments, settings, listener)
        except KeyboardInterrupt:  # before it served
            return 130


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Judges untrusted programs against unit tests over HTTP, in a sandbox (docs/use-the-judge.md).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    limits = ServiceSettings()
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; any but this machine's needs --token"
    )
    parser.add_argument("--port", type=int, default=8080, help="0: any that is free, which is printed")
    parser.add_argument("--token", type=Path, help="file of tokens, one a line, of which each client must send one")
    parser.add_argument("--workers", type=int, help="programs judged at the same time (None: twice the cores)")
    parser.add_argument("--timeout", type=float, default=4.0, help="seconds a test, unless a client asks for others")
    parser.add_argument("--memory-mb", type=int, default=512, help="of a program, unless a client asks for another")
    parser.add_argument("--require", action="append", default=[], help="isolation layer without which not to start")
    parser.add_argument("--max-body-mb", type=int, default=limits.max_body_mb, help="MB of one request")
    parser.add_argument("--max-total-mb", type=int, default=limits.max_total_mb, help="MB of all open requests")
    parser.add_argument("--max-waiting", type=int, default=limits.max_waiting, help="waiting programs of one client")
    parser.add_argument(
        "--max-timeout", type=float, default=limits.max_timeout, help="longest seconds a test to ask for"
    )
    parser.add_argument(
        "--job-seconds", type=float, default=limits.job_seconds, help="seconds for all tests of a program"
    )
    parser.add_argument("--body-seconds", type=float, default=limits.body_seconds, help="seconds for sending a request")
    parser.add_argument(
        "--grace-seconds", type=float, default=limits.grace_seconds, help="seconds to finish after SIGTERM"
    )
    return parser


def _settings(arguments: argparse.Namespace) -> ServiceSettings:
    tokens = () if arguments.token is None else read_tokens(arguments.token)
    if not tokens and arguments.host not in LOCAL_HOSTS:
        expected = "127.0.0.1, or a file of tokens by --token: whoever reaches this address could run programs here"
        raise OptionError("host", arguments.host, expected)
    names = (
        "max_body_mb",
        "max_total_mb",
        "max_waiting",
        "max_timeout",
        "job_seconds",
        "body_seconds",
        "grace_seconds",
    )
    return ServiceSettings(tokens, **{name: getattr(arguments, name) for name in names})


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        OptionError: the address is not this machine's, or the port is taken.
    """
    if not 0 <= port < 1 << 16:
        raise OptionError("port", port, "a number from 0 to 65535")
    try:
        [family, kind, protocol, _, address] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as e:
        raise OptionError("host", host, f"an address of this machine ({e.strerror or e})") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as e:
        listener.close()
        key, value = ("host", host) if e.errno == 99 else ("port", port)
        raise OptionError(key, value, f"one that is free and allowed ({e.strerror})") from None
    return listener


def _serve(arguments: argparse.Namespace, settings: ServiceSettings, listener: socket.socket) -> int:
    from rltf.service.app import Service

    sys.set_int_max_str_digits(MAX_DIGITS)  # as the judge's lines allow; set once, as handlers take turns
    try:
        executor = LocalExecutor(arguments.workers, arguments.timeout, arguments.memory_mb, require=arguments.require)
    except OptionError as e:
        print(f"error: --{e.key.replace('_', '-')} is {e.value!r}: expected {e.expected}", file=sys.stderr)
        return 2
    with executor:
        try:
            report = executor.report()
        except RuntimeError as e:
            print(f"error: {e}", file=sys.stderr)
            return 1
        host, port = listener.getsockname()[:2]
        lines = [f"listening on http://{f'[{host}]' if ':' in host else host}:{port}"]
        lines += [f"warning: isolation layer {k} is {state}" for k, state in report.items() if state != "active"]
        _run(Service(executor, settings, local=not settings.tokens), settings, listener, "\n".join(lines))
    return 0


def _run(service: Service, settings: ServiceSettings, listener: socket.socket, welcome: str) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        """Gives back what is not judged in time before it ends."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            self.loop = asyncio.get_running_loop()
            self.draining: asyncio.Task[None] | None = None
            await super().startup(sockets)
            print(welcome, file=sys.stderr, flush=True)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            self.loop.call_soon_threadsafe(self._drain)
            super().handle_exit(sig, frame)

        def _drain(self) -> None:
            self.draining = self.draining or self.loop.create_task(service.drain())

    config = uvicorn.Config(
        service.app,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=int(settings.grace_seconds) + _SHUTDOWN_SECONDS,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises them once more when it has ended
    Server(config).run(sockets=[listener])
