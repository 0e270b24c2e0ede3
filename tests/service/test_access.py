"""Who may ask, how much, and what happens to those who go away."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import JSON, LINES, Served, refused, served

from rltf import RemoteJudge
from rltf.execution import LocalExecutor
from rltf.execution.sandbox.process_tree import descendants
from rltf.service.app import Service
from rltf.service.remote import ServiceError
from rltf.service.settings import ServiceSettings, read_tokens

TOKENS = ("first-token-0123456789", "second-token-987654321")
ENDLESS = {"program": "import time\ndef f(x):\n    while True: time.sleep(0.01)", "timeout": 100}
CALL = [{"kind": "call", "function": "f", "args": [1], "expected": 2}]


def eventually(holds: Any, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def job(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "program": f"def f(x): return x + 1\n# {number}", "tests": CALL, **fields}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text("# ours\n" + "\n\n".join(TOKENS) + "\n")
    return file


def test_without_a_token_nobody_else_is_served(token_file: Path) -> None:
    with served("--token", str(token_file), "--host", "0.0.0.0") as running:
        url = running.url.replace("0.0.0.0", "127.0.0.1")
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.post("/judge", json=job(1)).status_code == 401
            assert client.get("/metrics").headers["www-authenticate"] == "Bearer"
            wrong = client.post("/judge", json=job(1), headers={"authorization": "Bearer first"})
            assert (wrong.status_code, wrong.json()["detail"]) == (401, "the token is not known")
            strange = client.post("/judge", json=job(1), headers={"authorization": "Bearer é".encode()})
            assert strange.status_code == 401
            assert client.get("/health").json() == {
                "status": "healthy",
                "version": client.get("/openapi.json").json()["info"]["version"],
                **dict.fromkeys(("isolation", "workers", "waiting", "running")),
            }
            for token in TOKENS:
                headers = {"authorization": f"Bearer {token}"}
                assert client.post("/judge", json=job(1), headers=headers).json()["outcome"] == "passed"
                assert client.get("/health", headers=headers).json()["workers"] == 2
        assert RemoteJudge(url, TOKENS[0]).judge("x = 1", ["assert x == 1"]).passed == 1
        with pytest.raises(ServiceError, match=r"refuses the request \(401\): the token is not known"):
            RemoteJudge(url, "another").judge("x = 1", ["assert x == 1"])


def test_a_name_that_a_page_in_the_browser_brings_is_not_ours(service: Served) -> None:
    response = service.post("/judge", json=job(1), headers={"host": "evil.example"})
    assert response.status_code == 421
    assert "alone, not to 'evil.example'" in response.json()["detail"]
    port = service.url.rpartition(":")[2]
    for host in ("localhost", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert service.post("/judge", json=job(1), headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--host", "0.0.0.0"), 2, "--host is '0.0.0.0': expected 127.0.0.1, or a file of tokens by --token"),
        (("--host", "192.0.2.1", "--token", "{tokens}"), 2, "--host is '192.0.2.1': expected"),
        (("--host", "no such host", "--token", "{tokens}"), 2, "--host is 'no such host': expected an address"),
        (("--port", "{taken}"), 2, "expected one that is free and allowed (Address already in use)"),
        (("--port", "70000"), 2, "--port is 70000: expected a number from 0 to 65535"),
        (("--token", "/nowhere"), 2, "--token is '/nowhere': expected a file that can be read"),
        (("--token", "{short}"), 2, "at least 16 ASCII characters and no blanks, unlike the one in place 1"),
        (("--require", "walls", "--port", "0"), 2, "--require is 'walls': expected some of"),
        (("--workers", "0", "--port", "0"), 2, "--workers is 0: expected"),
        (("--max-waiting", "0"), 2, "--max-waiting is 0: expected a whole number of at least 1"),
        (("--max-total-mb", "1"), 2, "--max-total-mb is 1: expected at least max_body_mb, which is 64"),
    ],
)
def test_a_service_that_cannot_start_says_why(
    arguments: tuple[str, ...], code: int, says: str, token_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "short").write_text("secret\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        values = {"tokens": token_file, "short": tmp_path / "short", "taken": taken.getsockname()[1]}
        exit_code, text = refused(*(argument.format(**values) for argument in arguments))
    assert (exit_code, text.count("\n")) == (code, 1), text
    assert text.startswith("error: ")
    assert says in text


def test_tokens_are_the_lines_of_their_file(token_file: Path) -> None:
    assert read_tokens(token_file) == TOKENS
    token_file.write_text("# none\n")
    with pytest.raises(ValueError, match="one token a line"):
        read_tokens(token_file)


def test_a_host_without_layers_serves_and_says_so() -> None:
    async def health(executor: LocalExecutor) -> tuple[dict[str, Any], dict[str, Any]]:
        service = Service(executor, ServiceSettings())
        transport = httpx.ASGITransport(service.app)
        async with (
            service.api.router.lifespan_context(service.api),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", trust_env=False) as client,
        ):
            return (await client.get("/health")).json(), (await client.post("/judge", json=job(1))).json()

    with LocalExecutor(workers=1, without=("namespaces",)) as executor:
        report, verdict = asyncio.run(health(executor))
    assert report["isolation"]["files"].startswith(("degraded", "absent"))
    assert verdict["isolation"]["files"] == report["isolation"]["files"]
    assert (report["status"], verdict["outcome"]) == ("healthy", "passed")


def test_requests_beyond_the_limits_are_refused_and_the_others_go_on() -> None:
    with served("--max-body-mb", "1", "--body-seconds", "1") as running:
        large = job(1, setup="#" * (1 << 20))
        assert running.post("/judge", json=large).status_code == 413
        text = json.dumps(large).encode()
        chunks = (text[i : i + 4096] for i in range(0, len(text), 4096))
        assert running.post("/judge", content=chunks, headers=JSON).status_code == 413  # without a length
        port = int(running.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(b"POST /judge HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            assert b"408" in slow.recv(1000).split(b"\r\n")[0]
        assert running.post("/judge", json=job(2)).json()["outcome"] == "passed"


def test_a_full_queue_says_when_to_come_back_and_loses_nothing() -> None:
    sleepy = "import time\ntime.sleep(0.3)\ndef f(x): return x + 1\n# {}"
    with served("--max-waiting", "2", "--workers", "1") as running:
        answers: list[httpx.Response] = []

        def ask(number: int) -> None:
            answers.append(running.post("/judge", json=job(number, program=sleepy.format(number))))

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refusals = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert all(1 <= int(answer.headers["retry-after"]) <= 30 for answer in refusals)
        # one client that waits its turn has all verdicts, and so has one that sends lines
        programs = [sleepy.format(100 + i) for i in range(6)]
        assert all(v.passed == 1 for v in RemoteJudge(running.url).judge_many(programs, [CALL] * 6))


def test_a_client_that_goes_away_takes_its_programs_along(service: Served) -> None:
    lines = "".join(json.dumps({"id": i, **ENDLESS, "tests": [*CALL] * 3, "setup": f"# {i}"}) + "\n" for i in range(50))
    for path, body, headers in (("/judge", lines, LINES), ("/judge", lines.split("\n")[0], JSON)):
        with service.client() as client, pytest.raises(httpx.ReadTimeout):
            client.post(path, content=body, headers=headers, timeout=2.0)
        assert eventually(lambda: (service.health()["waiting"], service.health()["running"]) == (0, 0), 10)
        begun = time.monotonic()
        assert service.post("/judge", json=job(int(begun * 1000))).json()["outcome"] == "passed"
        assert time.monotonic() - begun < 30  # of the 100 s that each of them may take
    with service.client() as client:
        assert "rltf_clients_gone_total 2.0" in client.get("/metrics").text


def test_a_program_that_takes_longer_than_the_service_allows_is_given_up() -> None:
    with served("--job-seconds", "5") as running:
        response = running.post("/judge", json={"id": 1, **ENDLESS, "tests": CALL})
        assert (response.status_code, response.json()["detail"]) == (504, "it was not judged within 5 s")
        rows = running.lines([{"id": 1, **ENDLESS, "tests": CALL}, job(2)])
        assert [row["outcome"] for row in rows] == ["not_judged", "passed"]


def test_killed_workers_change_no_verdict() -> None:
    with served() as running:
        remote = RemoteJudge(running.url)
        done: list[int] = []
        sleepy = "import time\ntime.sleep(0.05)\ndef f(x): return x + {}"
        programs = [sleepy.format(i % 2 + 100 * i * (i % 3 == 0)) for i in range(200)]
        tests = [CALL] * len(programs)
        thread = threading.Thread(target=lambda: done.extend(v.passed for v in remote.judge_many(programs, tests)))
        thread.start()
        for _ in range(4):
            time.sleep(0.5)
            for pid in running.workers()[:1]:
                os.kill(pid, signal.SIGKILL)
        thread.join(240)
        # f(1) == 2 holds where 1 is added: for odd numbers that 3 does not divide
        assert done == [int(i % 2 == 1 and i % 3 != 0) for i in range(200)]


def test_sigterm_lets_programs_finish_and_gives_the_others_back() -> None:
    sleepy = "import time\ntime.sleep(0.5)\ndef f(x): return x + 1\n# {}"
    with served("--grace-seconds", "8", "--workers", "1") as running:
        rows: list[dict[str, Any]] = []
        jobs = [job(i, program=sleepy.format(i)) for i in range(80)]
        thread = threading.Thread(target=lambda: rows.extend(running.lines(jobs)))
        thread.start()
        assert eventually(lambda: running.health()["running"] > 0)
        begun = time.monotonic()
        assert running.end() == 0
        assert time.monotonic() - begun < 60
        thread.join(60)
        outcomes = [row["outcome"] for row in rows]
        assert [row["id"] for row in rows] == list(range(80))  # each line once
        passed = outcomes.count("passed")
        assert 1 <= passed < 80
        assert outcomes == ["passed"] * passed + ["not_judged"] * (80 - passed)


def test_ctrl_c_ends_it_too() -> None:
    with served() as running:
        pids = descendants(running.process.pid)
        assert running.end(signal.SIGINT) == 0
        assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
