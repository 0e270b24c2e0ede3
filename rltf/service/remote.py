"""The judge of another machine: `RemoteJudge(url)` has the methods of `Judge` and asks a service (`rltf serve`)."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from rltf.execution.jsonl import dumps
from rltf.service.job_rows import row_of_job
from rltf.service.judge import jobs_of
from rltf.service.test_sets import Limits, TestSet
from rltf.types import Job, Verdict, decode_verdict
from rltf.validation import OptionError, require

_BYTES_A_REQUEST = 8 << 20
_LONGEST_WAIT = 30.0
"""Seconds between two tries."""


class ServiceError(RuntimeError):
    """A service that cannot be reached, or refuses a request; the text says why."""


class RemoteJudge:
    """Judges programs by a service, as `Judge` does on this machine. Needs the standard library alone.

    A service that is full, ends, or hangs up is asked again for what it has not answered, until `patience` is over;
    judging a program twice does no harm. Thread-safe, can be pickled, holds no connection between calls.

    Args:
        url: of the service, e.g. `http://127.0.0.1:8080`.
        token: one of its tokens, where it asks for one.
        client: name under which the service counts this client; clients have equal shares of its workers. None: that of
            this host and process.
        patience: seconds without any verdict after which a call fails.

    Raises:
        ValueError: the url is none, or an option makes no sense.
    """

    def __init__(self, url: str, token: str | None = None, client: str | None = None, patience: float = 900.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OptionError("url", url, "the address of a service, such as http://127.0.0.1:8080")
        require("patience", patience, above=0)
        self.url = url.rstrip("/")
        self.patience = patience
        self._token, self._client = token, client

    def judge(self, program: str, tests: TestSet, **limits: Any) -> Verdict:
        """The verdict on a program (see `Judge.judge`).

        Raises:
            ValueError: the tests cannot be read, or check nothing; or a limit makes no sense.
            ServiceError: the service refuses us, or gave no verdict.
        """
        return self.judge_many([program], [tests], **limits)[0]

    def judge_many(self, programs: Iterable[str], tests: Iterable[TestSet], **limits: Any) -> list[Verdict]:
        """The verdicts on several programs, in their order.

        Raises:
            ValueError, ServiceError: as `judge` says.
        """
        return self._verdicts(jobs_of(programs, tests, Limits(**limits)))

    def judge_answers(self, answers: Iterable[str], tests: Iterable[TestSet], **limits: Any) -> list[Verdict]:
        """The verdicts on the programs in several answers of a chat model (see `Judge.judge_answers`).

        Raises:
            ValueError, ServiceError: as `judge` says.
        """
        return self._verdicts(jobs_of(answers, tests, Limits(**limits), answers=True))

    async def judge_async(self, program: str, tests: TestSet, **limits: Any) -> Verdict:
        """The verdict on a program, awaited in a thread."""
        return await asyncio.to_thread(self.judge, program, tests, **limits)

    async def judge_many_async(self, programs: Iterable[str], tests: Iterable[TestSet], **limits: Any) -> list[Verdict]:
        """The verdicts on several programs, awaited in a thread, in their order."""
        return await asyncio.to_thread(self.judge_many, programs, tests, **limits)

    def report(self) -> Mapping[str, str]:
        """Isolation layer -> `active`, `degraded: why` or `absent: why`, as the service says.

        Raises:
            ServiceError: it does not answer.
        """
        connection = self._connect()
        try:
            connection.request("GET", f"{urlsplit(self.url).path}/health", headers=self._headers())
            health = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as e:
            raise ServiceError(f"{self.url} does not answer: {e}") from None
        finally:
            connection.close()
        return health.get("isolation") or {}

    def close(self) -> None:
        """Nothing is held; there for the sake of `Judge.close`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _verdicts(self, jobs: list[Job]) -> list[Verdict]:
        lines = {number: dumps(row_of_job(number, job)).encode() for number, job in enumerate(jobs)}
        verdicts: dict[int, Verdict] = {}
        heard_at, reason = time.monotonic(), ""
        while len(verdicts) < len(jobs):
            wait = 0.0
            for numbers in _pieces({n: line for n, line in lines.items() if n not in verdicts}):
                verdict_count = len(verdicts)
                wait, reason = self._ask(b"".join(lines[n] for n in numbers), verdicts)
                heard_at = heard_at if len(verdicts) == verdict_count else time.monotonic()
                wait = wait or float(any(number not in verdicts for number in numbers))
                if wait:
                    break
            if wait:
                if time.monotonic() - heard_at + wait > self.patience:
                    raise ServiceError(f"{self.url} gave no verdict for {self.patience:g} s: {reason}")
                time.sleep(wait)
        return [verdicts[number] for number in range(len(jobs))]

    def _ask(self, body: bytes, verdicts: dict[int, Verdict]) -> tuple[float, str]:
        """Sends jobs and takes in verdicts as they come; returns the seconds to wait before those that are missing are
        sent again, 0 where none is, and why they are."""
        headers = {**self._headers(), "Content-Type": "application/x-ndjson"}
        connection = self._connect()
        try:
            connection.request("POST", f"{urlsplit(self.url).path}/judge", body, headers)
            response = connection.getresponse()
            if response.status in (408, 429, 502, 503, 504):
                return _wait_of(response), _detail(response)
            if response.status != 200:
                raise ServiceError(f"{self.url} refuses the request ({response.status}): {_detail(response)}")
            reason = ""
            for line in response:
                row = json.loads(line)
                if row["outcome"] == "invalid_input":
                    raise ValueError(f"programs[{row['id']}]: {row['message'].partition(': ')[2] or row['message']}")
                if row["outcome"] == "not_judged":
                    reason = row["message"]
                else:
                    verdicts[row["id"]] = decode_verdict({"unexecuted": None, **row})
            return (1.0, reason) if reason else (0.0, "")
        except (OSError, http.client.HTTPException) as e:
            return 1.0, f"{type(e).__name__}: {e}"
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=self.patience)

    def _headers(self) -> dict[str, str]:
        client = self._client or f"{socket.gethostname()}-{os.getpid()}"
        return {"X-Client-Id": client} | ({} if self._token is None else {"Authorization": f"Bearer {self._token}"})


def _pieces(lines: Mapping[int, bytes]) -> Iterator[list[int]]:
    """Numbers of lines that go out in one request."""
    piece: list[int] = []
    size = 0
    for number, line in lines.items():
        if piece and size + len(line) > _BYTES_A_REQUEST:
            yield piece
            piece, size = [], 0
        piece.append(number)
        size += len(line)
    if piece:
        yield piece


def _wait_of(response: http.client.HTTPResponse) -> float:
    seconds = response.headers.get("Retry-After", "")
    return min(_LONGEST_WAIT, max(1.0, float(seconds))) if seconds.isdecimal() else 2.0


def _detail(response: http.client.HTTPResponse) -> str:
    text = response.read(10_000)
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text[:200].decode(errors="replace") or response.reason
