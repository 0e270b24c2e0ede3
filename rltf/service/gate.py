"""What every request passes before its handler: host, token, size, and whether the service is ending."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rltf.service.metrics import ServiceMetrics
from rltf.service.settings import LOCAL_HOSTS, ServiceSettings

OPEN_PATHS = ("/health", "/docs", "/openapi.json", "/docs/oauth2-redirect")
"""Paths that need no token. What `/health` says without one is no secret."""
_RETRY_SECONDS = 5


class Gate:
    """Middleware that reads the whole body of a request, within its limits, and hands it on. Each answer is counted.

    The scope of a request that passes has `client_name`, whose share of the workers it takes, and `trusted`: it has a
    token, or none is asked for.

    Args:
        app: the service.
        settings: its limits.
        metrics: count answers.
        paths: of the service; others are counted as `other`.
        local: only requests whose `Host` names this machine pass: a web page that the user visits cannot reach a
            service without token by a name of its own.
    """

    def __init__(
        self, app: ASGIApp, settings: ServiceSettings, metrics: ServiceMetrics, paths: frozenset[str], local: bool
    ) -> None:
        self._app, self._settings, self._metrics, self._paths, self._local = app, settings, metrics, paths, local
        self.draining = False
        """The service is ending: nothing new is taken in."""
        self._total_bytes = 0
        """Of the bodies of requests that are being answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count_request(path, message["status"])
            await send(message)

        headers = Headers(scope=scope)
        if (refusal := self._refusal(scope, headers)) is not None:
            await _refuse(counted_send, *refusal)
            return
        body = bytearray()
        try:
            refusal = await self._read_in_time(body, headers, receive)
            if refusal is not None:
                await _refuse(counted_send, *refusal)
                return
            await self._app(scope, _replayed(bytes(body), receive), counted_send)
        except ClientGone:
            self._metrics.count_gone()
        finally:
            self._total_bytes -= len(body)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str, dict[str, str]] | None:
        """Status, sentence and headers for a request that does not pass; None for one that does."""
        host = headers.get("host", "").rpartition("]")[0].strip("[") or headers.get("host", "").partition(":")[0]
        if self._local and host not in LOCAL_HOSTS:
            return 421, f"this service answers to {', '.join(LOCAL_HOSTS)} alone, not to {host!r:.100}", {}
        token = _bearer(headers)
        number = next((i for i, secret in enumerate(self._settings.tokens) if hmac.compare_digest(secret, token)), None)
        scope["trusted"] = number is not None or not self._settings.tokens
        if not scope["trusted"] and scope["path"] not in OPEN_PATHS:
            problem = "the token is not known" if token else "expected a header `Authorization: Bearer TOKEN`"
            return 401, problem, {"www-authenticate": "Bearer"}
        if self.draining and scope["method"] == "POST":
            return 503, "the service is ending", {"retry-after": str(_RETRY_SECONDS)}
        address = scope["client"][0] if scope.get("client") else ""
        scope["client_name"] = f"{number}/{headers.get('x-client-id', address)[:100]}"
        return None

    async def _read_in_time(
        self, body: bytearray, headers: Headers, receive: Receive
    ) -> tuple[int, str, dict[str, str]] | None:
        seconds = self._settings.body_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._read(body, headers, receive)
        except TimeoutError:
            return 408, f"the request did not arrive within {seconds:g} s", {"connection": "close"}

    async def _read(
        self, body: bytearray, headers: Headers, receive: Receive
    ) -> tuple[int, str, dict[str, str]] | None:
        """Reads the body; returns a refusal where it is too large."""
        limit, total = self._settings.max_body_mb << 20, self._settings.max_total_mb << 20
        too_large = 413, f"the request has more than {self._settings.max_body_mb} MB", {"connection": "close"}
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            return too_large
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            if len(body) + len(chunk) > limit:
                return too_large
            if self._total_bytes + len(chunk) > total:
                retry = {"retry-after": str(_RETRY_SECONDS), "connection": "close"}
                return 429, "too many large requests are being answered", retry
            body += chunk
            self._total_bytes += len(chunk)
            if not message.get("more_body", False):
                return None


class ClientGone(Exception):
    """The client hung up before it had its answer."""


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    return token if token.isascii() else ""


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, and then what comes from the client."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _refuse(send: Send, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
    """Sends an answer of one sentence, in FastAPI's form."""
    body = json.dumps({"detail": sentence}).encode()
    fields: dict[str, Any] = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode(), str(value).encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
