"""A service in a process of its own, as `rltf serve` starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rltf.execution.sandbox.process_tree import descendants

ROOT = Path(__file__).parents[2]
CODE = "import sys; from rltf.service.command import main; sys.exit(main())"
JSON, LINES = {"content-type": "application/json"}, {"content-type": "application/x-ndjson"}


@dataclass
class Served:
    """A service that answers at `url`."""

    process: subprocess.Popen[str]
    url: str

    def client(self, **keywords: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=240, trust_env=False, **keywords)

    def post(self, path: str, **keywords: Any) -> httpx.Response:
        with self.client() as client:
            return client.post(path, **keywords)

    def lines(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Answers of `/judge` to one job a line."""
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        response = self.post("/judge", content=text, headers=LINES)
        assert response.status_code == 200, response.text
        return [json.loads(line) for line in response.text.splitlines()]

    def health(self) -> dict[str, Any]:
        with self.client() as client:
            return client.get("/health").json()

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        pids = []
        for pid in descendants(self.process.pid):
            with suppress(OSError):  # it has ended
                if b".worker import main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    pids.append(pid)
        return pids

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(120)


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def served(*arguments: str) -> Iterator[Served]:
    """A service on a free port, with two workers unless the arguments say otherwise."""
    process = command("--port", "0", "--workers", "2", *arguments)
    assert process.stderr is not None
    line = process.stderr.readline()
    try:
        assert line.startswith("listening on http://"), line + process.stderr.read()
        yield Served(process, line.split()[-1])
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(120)
        process.stderr.close()


def refused(*arguments: str) -> tuple[int, str]:
    """Exit code and last line of a service that does not start."""
    process = command(*arguments)
    _, text = process.communicate(timeout=240)
    return process.returncode, text
