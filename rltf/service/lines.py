"""Answers of `POST /judge`: one verdict, or one a line as they come."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rltf.execution.json_tests import InvalidInput
from rltf.execution.jsonl import dumps, parse, render
from rltf.service.fair_queue import FairQueue, NotJudged, QueueFull
from rltf.service.gate import ClientGone
from rltf.service.settings import ServiceSettings
from rltf.types import Job, Verdict
from rltf.validation import OptionError, require

_OPEN_LINES = 256
"""Lines of one request that are read ahead of the first one without a verdict."""

Answer = asyncio.Future[Verdict] | str


def require_timeout(job: Job, settings: ServiceSettings) -> None:
    """Refuses a time limit that is longer than the service's.

    Raises:
        InvalidInput: It is.
    """
    try:
        require("timeout", job.timeout, at_most=settings.max_timeout, optional=True)
    except OptionError as e:
        raise InvalidInput(f"`timeout` is {job.timeout}: expected {e.expected}") from None


@asynccontextmanager
async def departure(receive: Receive) -> AsyncIterator[asyncio.Task[None]]:
    """A task that ends when the client hangs up."""

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    task = asyncio.create_task(wait())
    try:
        yield task
    finally:
        task.cancel()


async def awaited(future: asyncio.Future[Verdict], hangup: asyncio.Task[None]) -> Verdict:
    """The verdict.

    Raises:
        ClientGone: The client hung up first; the job is withdrawn.
        NotJudged, ValueError: As `FairQueue.submit` says.
    """
    try:
        await asyncio.wait((future, hangup), return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            raise ClientGone
        return future.result()
    finally:
        future.cancel()


class VerdictLines(Response):
    """The verdicts on the jobs of a body, one JSON object a line, in the order of its lines, sent as they come.

    Lines are read as the judge has room for them: no more than 256 are open, and none is refused for lack of room.

    Args:
        body: one job a line.
        queue: judges.
        client_name: whose share of the workers it takes.
        settings: limits of the service.
    """

    media_type = "application/x-ndjson"

    def __init__(self, body: bytes, queue: FairQueue, client_name: str, settings: ServiceSettings) -> None:
        super().__init__(None)
        del self.headers["content-length"]
        self._lines: Iterator[tuple[int, bytes]] = enumerate(io.BytesIO(body), start=1)
        self._queue, self._client_name, self._settings = queue, client_name, settings
        self._open: deque[tuple[Any, Answer]] = deque()
        """Id of each line without an answer yet, oldest first; its verdict, or what is wrong with it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the answer.

        Raises:
            ClientGone: The client hung up; its jobs are withdrawn.
        """
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async with departure(receive) as hangup:
                async for rows in self._rows(hangup):
                    await send({"type": "http.response.body", "body": rows.encode(), "more_body": True})
                    if hangup.done():
                        raise ClientGone
            await send({"type": "http.response.body", "body": b""})
        finally:
            for _, answer in self._open:
                if not isinstance(answer, str):
                    answer.cancel()

    async def _rows(self, hangup: asyncio.Task[None]) -> AsyncIterator[str]:
        """Texts of one or more lines of output."""
        for number, line in self._lines:
            if line.strip():
                key, answer = await self._submit(number, line, hangup)
                self._open.append((key, answer))
            if len(self._open) >= _OPEN_LINES or number % 16 == 0:
                await asyncio.sleep(0)  # others have their turn
                if text := self._finished():
                    yield text
            while len(self._open) >= _OPEN_LINES:
                yield await self._next(hangup)
        while self._open:
            yield await self._next(hangup)

    async def _submit(self, number: int, line: bytes, hangup: asyncio.Task[None]) -> tuple[Any, Answer]:
        key: Any = None
        try:
            key, job = parse(line)
            require_timeout(job, self._settings)
            while True:
                try:
                    return key, self._queue.submit(self._client_name, job)
                except QueueFull:
                    room = asyncio.create_task(self._queue.wait_for_room())
                    await asyncio.wait((room, hangup), return_when=asyncio.FIRST_COMPLETED)
                    room.cancel()
                    if hangup.done():
                        raise ClientGone from None
        except InvalidInput as e:
            return e.id if key is None else key, f"line {number}: {e}"

    async def _next(self, hangup: asyncio.Task[None]) -> str:
        """The oldest open line's answer, and those behind it that are there."""
        answer = self._open[0][1]
        if not isinstance(answer, str):
            await asyncio.wait((answer, hangup), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ClientGone
        return self._finished()

    def _finished(self) -> str:
        rows = []
        while self._open and (isinstance(answer := self._open[0][1], str) or answer.done()):
            rows.append(dumps(_row(*self._open.popleft())))
        return "".join(rows)


def _row(key: Any, answer: Answer) -> dict[str, Any]:
    if isinstance(answer, str):
        return {"id": key, "outcome": "invalid_input", "message": answer}
    try:
        return render(key, answer.result())
    except NotJudged as e:
        return {"id": key, "outcome": "not_judged", "message": str(e)}
    except ValueError as e:
        return {"id": key, "outcome": "invalid_input", "message": str(e)}
