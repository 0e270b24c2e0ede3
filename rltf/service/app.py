"""The judge over HTTP: `Service(executor, settings).app` is an ASGI application, which `rltf serve` runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from rltf import __version__
from rltf.execution.json_tests import InvalidInput
from rltf.execution.jsonl import dumps, parse, render
from rltf.execution.local import LocalExecutor
from rltf.service import foreign
from rltf.service.fair_queue import FairQueue, NotJudged, QueueFull
from rltf.service.gate import Gate
from rltf.service.lines import VerdictLines, awaited, departure, require_timeout
from rltf.service.metrics import ServiceMetrics
from rltf.service.schemas import (
    Health,
    Problem,
    ProgramTestRequest,
    ProgramTestResponse,
    RunCodeRequest,
    RunCodeResponse,
)
from rltf.service.settings import ServiceSettings
from rltf.types import Job, Verdict

_DESCRIPTION = """Judges untrusted Python programs against unit tests, in a sandbox.

`/judge` has the formats of `rltf judge --help`: one JSON object, or with the content type `application/x-ndjson` one a
line, answered by one a line as verdicts come. `/run_code` has the shape of SandboxFusion, `/test_program` and
`/test_program_stdio` that of open-instruct."""
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        401: "no token, or one that is not known",
        413: "too large",
        422: "no job; the detail says why",
        429: "too many programs of this client wait; `Retry-After` says for how long",
        503: "the service is ending, or its sandbox has failed",
        504: "not judged within the service's limit",
    }.items()
}


class Service:
    """The judge over HTTP.

    Args:
        executor: judges; the caller closes it.
        settings: limits.
        local: only requests whose `Host` names this machine are answered.
    """

    def __init__(self, executor: LocalExecutor, settings: ServiceSettings, local: bool = False) -> None:
        self._executor, self._settings = executor, settings
        self._metrics = ServiceMetrics()
        self._queue: FairQueue | None = None
        self._failure = ""
        api = FastAPI(title="rltf judge", version=__version__, description=_DESCRIPTION, lifespan=self._lifespan)
        self.api = api
        """The endpoints, without what guards them."""
        api.add_exception_handler(InvalidInput, _on_invalid_input)
        api.add_exception_handler(RequestValidationError, _on_invalid_request)
        api.add_exception_handler(QueueFull, _on_queue_full)
        api.add_exception_handler(NotJudged, self._on_not_judged)
        api.add_api_route("/judge", self.judge, methods=["POST"], responses=_PROBLEMS, openapi_extra=_JUDGE_BODY)
        api.add_api_route("/run_code", self.run_code, methods=["POST"], responses=_PROBLEMS)
        api.add_api_route("/test_program", self.test_program, methods=["POST"], responses=_PROBLEMS)
        api.add_api_route("/test_program_stdio", self.test_program_stdio, methods=["POST"], responses=_PROBLEMS)
        api.add_api_route("/health", self.health, methods=["GET"], response_model=Health)
        api.add_api_route("/metrics", self.metrics, methods=["GET"])
        paths = frozenset(path for route in api.routes if (path := getattr(route, "path", None)))
        self._gate = Gate(api, settings, self._metrics, paths, local)

    @property
    def app(self) -> ASGIApp:
        """The ASGI application."""
        return self._gate

    async def drain(self) -> None:
        """Takes in nothing new; what is not judged within `grace_seconds` is given back unjudged."""
        self._gate.draining = True
        queue = self._queue
        end = asyncio.get_running_loop().time() + self._settings.grace_seconds
        while queue is not None and queue.waiting + queue.running and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.05)
        if queue is not None:
            queue.fail_all("the service was stopped")

    @asynccontextmanager
    async def _lifespan(self, api: FastAPI) -> AsyncIterator[None]:
        self._queue = FairQueue(
            self._executor,
            self._executor.workers,
            self._settings.max_waiting,
            self._settings.job_seconds,
            self._metrics.observe,
        )
        yield
        self._queue.fail_all("the service was stopped")

    async def judge(self, request: Request) -> Response:
        """The verdict on one job, or on one a line."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await request.body()
        if kind in ("application/x-ndjson", "application/jsonl"):
            assert self._queue is not None
            return VerdictLines(body, self._queue, request.scope["client_name"], self._settings)
        if kind != "application/json":
            expected = "expected the content type application/json, or application/x-ndjson for one job a line"
            return JSONResponse({"detail": expected}, 415)
        key, job = parse(body)
        return Response(dumps(render(key, await self._verdict(request, job))), media_type="application/json")

    async def run_code(self, request: Request, body: RunCodeRequest) -> RunCodeResponse:
        """What a program prints, and how it ends (SandboxFusion)."""
        return foreign.code_response(await self._verdict(request, foreign.job_of_code(body)))

    async def test_program(self, request: Request, body: ProgramTestRequest) -> ProgramTestResponse:
        """Which `assert` statements hold (open-instruct)."""
        return await self._test(request, body, stdio=False)

    async def test_program_stdio(self, request: Request, body: ProgramTestRequest) -> ProgramTestResponse:
        """Which inputs have the right outputs (open-instruct)."""
        return await self._test(request, body, stdio=True)

    async def _test(self, request: Request, body: ProgramTestRequest, stdio: bool) -> ProgramTestResponse:
        job = foreign.job_of_tests(body, stdio)
        return foreign.tests_response(None if job is None else await self._verdict(request, job))

    async def health(self, request: Request, response: Response) -> Health:
        """The state of the service; with a token, or where none is asked for, that of its sandbox, too."""
        status: Literal["healthy", "draining", "failed"]
        status = "failed" if self._failure else "draining" if self._gate.draining else "healthy"
        response.status_code = 200 if status == "healthy" else 503
        health = Health(status=status, version=__version__)
        if request.scope["trusted"] and self._queue is not None:
            health.isolation = {} if self._failure else self._executor.report()
            health.workers = self._executor.workers
            health.waiting, health.running = self._queue.waiting, self._queue.running
        return health

    async def metrics(self) -> Response:
        """Numbers for Prometheus."""
        assert self._queue is not None
        isolation = {} if self._failure else self._executor.report()
        text = self._metrics.text(self._queue.waiting, self._queue.running, isolation)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _verdict(self, request: Request, job: Job) -> Verdict:
        """The verdict on a job.

        Raises:
            InvalidInput, QueueFull, NotJudged, ClientGone: There is none.
        """
        assert self._queue is not None
        require_timeout(job, self._settings)
        future = self._queue.submit(request.scope["client_name"], job)
        async with departure(request.receive) as hangup:
            try:
                return await awaited(future, hangup)
            except ValueError as e:
                raise InvalidInput(str(e)) from None

    async def _on_not_judged(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, NotJudged)
        headers = {} if error.took_too_long else {"Retry-After": "5"}
        return JSONResponse({"detail": str(error)}, 504 if error.took_too_long else 503, headers)


_JUDGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["id", "program", "tests"]},
                "example": {"id": 1, "program": "x = 1", "tests": [{"kind": "assert", "code": "assert x == 1"}]},
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


async def _on_invalid_input(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 422)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    """One sentence of where and why, without the input, which may be long."""
    assert isinstance(error, RequestValidationError)
    sentences = [f"{'.'.join(str(part) for part in e['loc'][1:])}: {e['msg']}".lstrip(": ") for e in error.errors()[:5]]
    return JSONResponse({"detail": "; ".join(sentences)[:1000]}, 422)


async def _on_queue_full(request: Request, error: Exception) -> Response:
    assert isinstance(error, QueueFull)
    return JSONResponse({"detail": str(error)}, 429, {"Retry-After": str(round(error.retry_seconds))})
