"""Many clients for long: equal shares; and, slow, nothing grows while workers are killed and clients go away.

`RLTF_SOAK_REQUESTS` says how many programs the slow one sends. It prints its figures, one line of JSON.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from served import Served, served
from test_access import eventually

from rltf import RemoteJudge
from rltf.types import Outcome

REQUESTS = int(os.environ.get("RLTF_SOAK_REQUESTS", "10000"))
CLIENTS = 10
GROWTH_MB = 24
CALL = [{"kind": "call", "function": "f", "args": [1], "expected": 2}]


def program(number: int, right: bool, sleep: float = 0.0) -> str:
    return f"import time\ndef f(x):\n    time.sleep({sleep})\n    return x + {1 if right else 5}\n# {number}\n"


def test_ten_clients_have_equal_shares_of_the_workers() -> None:
    """One of them sends by three connections; each of them has far more programs than can be judged in the time."""
    verdicts: Counter[str] = Counter()
    over = threading.Event()

    def stream(url: str, client: str, number: int) -> None:
        rows = (
            json.dumps({"id": i, "program": program(1000 * number + i, True, 0.03), "tests": CALL}) for i in range(1000)
        )
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=240)
        headers = {"Content-Type": "application/x-ndjson", "X-Client-Id": client}
        connection.request("POST", "/judge", "\n".join(rows), headers)
        response = connection.getresponse()
        while not over.is_set() and response.readline():
            verdicts[client] += 1
        response.close()
        connection.close()

    with served("--workers", "4") as running:
        names = [str(i) for i in range(CLIENTS)] + ["0", "0"]
        threads = [threading.Thread(target=stream, args=(running.url, name, i)) for i, name in enumerate(names)]
        for thread in threads:
            thread.start()
        assert eventually(lambda: sum(verdicts.values()) > 40 * CLIENTS, 240)
        shares = dict(verdicts)
        over.set()
        for thread in threads:
            thread.join()
        assert eventually(lambda: running.health()["waiting"] == 0)
    mean = sum(shares.values()) / CLIENTS
    assert len(shares) == CLIENTS
    assert all(0.6 * mean < share < 1.4 * mean for share in shares.values()), shares


class Client(threading.Thread):
    """Sends programs in every way that the service knows, and counts answers that are wrong."""

    def __init__(self, url: str, number: int, count: int) -> None:
        super().__init__(daemon=True)
        self._url, self._number, self._count = url, number, count
        self._draw = random.Random(number)
        self.done = 0
        self.wrong: list[Any] = []

    def run(self) -> None:
        judge = RemoteJudge(self._url, client=f"soak-{self._number}", patience=240)
        while self.done < self._count:
            first = 1_000_000 * self._number + self.done
            rights = [self._draw.random() < 0.5 for _ in range(self._draw.choice((1, 1, 7, 60)))]
            programs = [program(first + i, right) for i, right in enumerate(rights)]
            self.done += len(rights)
            if self._draw.random() < 0.05:
                self._hang_up(programs)
                continue
            verdicts = judge.judge_many(programs, [CALL] * len(programs))
            lost = Outcome.UNJUDGEABLE  # a program under which three workers were killed
            for right, verdict in zip(rights, verdicts, strict=True):
                if verdict.outcome not in (Outcome.PASSED if right else Outcome.WRONG_ANSWER, lost):
                    self.wrong.append((right, verdict))

    def _hang_up(self, programs: list[str]) -> None:
        """Sends them, and goes away before the answer."""
        body = "\n".join(json.dumps({"id": i, "program": p, "tests": CALL}) for i, p in enumerate(programs)).encode()
        parts = urlsplit(self._url)
        fields = ("Host: localhost", "Content-Type: application/x-ndjson", f"Content-Length: {len(body)}")
        head = "\r\n".join(("POST /judge HTTP/1.1", *fields, "", ""))
        with suppress(OSError), socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
            connection.sendall(head.encode() + body[: self._draw.choice((len(body), len(body) // 2))])


def census(running: Served) -> dict[str, int]:
    pid = running.process.pid
    assert eventually(lambda: (running.health()["waiting"], running.health()["running"]) == (0, 0))
    return {
        "mb": int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 >> 20,
        "files": len(os.listdir(f"/proc/{pid}/fd")),
        "workers": len(running.workers()),
    }


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_long_run_leaves_nothing_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with served("--workers", "3") as running:

        def judge(count: int, kill_seconds: float | None) -> tuple[int, list[Any], int]:
            clients = [Client(running.url, draw.randrange(1 << 20), count // CLIENTS) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            killed = 0
            while any(client.is_alive() for client in clients):
                time.sleep(kill_seconds or 0.5)
                pids = running.workers()
                if kill_seconds and pids:
                    with suppress(ProcessLookupError):
                        os.kill(draw.choice(pids), signal.SIGKILL)
                        killed += 1
            return sum(c.done for c in clients), [w for c in clients for w in c.wrong], killed

        draw = random.Random(3)
        begun = time.monotonic()
        done, wrong, killed = judge(REQUESTS // 2, 2.0)
        first = census(running)
        more, more_wrong, _ = judge(REQUESTS // 2, None)
        last = census(running)
        figures = {"programs": done + more, "seconds": round(time.monotonic() - begun), "killed": killed}
        with capsys.disabled():
            print(json.dumps({**figures, "half": first, "end": last, "wrong": len(wrong + more_wrong)}))
    assert wrong + more_wrong == []
    assert last["mb"] <= first["mb"] + GROWTH_MB
    assert last["files"] <= first["files"] + 2
    assert last["workers"] <= 3
