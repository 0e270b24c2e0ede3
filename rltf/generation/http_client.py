"""JSON over HTTP to one server, with the standard library: several threads, retries, and requests that can be ended."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from rltf.validation import OptionError, sentence_of

_LONGEST_WAIT = 30.0
"""Seconds between two tries."""


class Refusal(ValueError):
    """A request that the server refused; the text says which and why."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class HTTPClient:
    """Asks one server. Thread-safe.

    Args:
        url: its address, e.g. `http://localhost:8000`.
        timeout: seconds to wait for an answer.
        retries: further tries where none came.
        key: bearer token; None: the server asks for none.

    Raises:
        OptionError: the url is none.
    """

    def __init__(self, url: str | None, timeout: float, retries: int, key: str | None = None) -> None:
        parts = urlsplit(url or "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OptionError("url", url, "the address of a server, e.g. http://localhost:8000")
        self.url = str(url).rstrip("/").removesuffix("/v1")
        self._timeout, self._retries = timeout, retries
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._lock = threading.Lock()
        self._open: set[http.client.HTTPConnection] = set()
        self._aborted = threading.Event()

    def get(self, path: str) -> Any:
        """The answer to a GET; errors as those of `post`."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """The answer to a POST of a JSON body; None where it has none.

        Raises:
            Refusal: the server refuses the request.
            ValueError: it does not answer.
        """
        return self._ask("POST", path, json.dumps(body).encode())

    @contextmanager
    def aborted(self) -> Iterator[None]:
        """Ends all open requests. Inside, new ones fail at once."""
        self._aborted.set()
        with self._lock:
            for connection in self._open:
                if connection.sock is not None:
                    with suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            self._aborted.clear()

    def _ask(self, method: str, path: str, payload: bytes | None) -> Any:
        reason = ""
        for attempt in range(self._retries + 1):
            if attempt and self._aborted.wait(min(2.0 ** (attempt - 1), _LONGEST_WAIT)):
                break
            try:
                status, text = self._ask_once(method, path, payload)
            except (OSError, http.client.HTTPException) as error:
                reason = f"{type(error).__name__}: {sentence_of(error)}"
                if self._aborted.is_set():
                    break
                continue
            if status < 400:
                return self._read(path, text)
            reason = f"status {status}: {sentence_of(ValueError(text[:300]))}"
            if status < 500 and status != 429:
                raise Refusal(f"generation.sampler.url is {self.url!r}: it refuses {path} ({reason})", status)
        raise ValueError(
            f"generation.sampler.url is {self.url!r}: expected a server that answers ({path}: {reason or 'aborted'})"
        )

    def _read(self, path: str, text: str) -> Any:
        try:
            return json.loads(text) if text.strip() else None
        except ValueError:
            raise ValueError(
                f"generation.sampler.url is {self.url!r}: its answer to {path} is no JSON: expected a server of vLLM "
                "or SGLang"
            ) from None

    def _ask_once(self, method: str, path: str, payload: bytes | None) -> tuple[int, str]:
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(str(parts.hostname), parts.port, timeout=self._timeout)
        with self._lock:
            if self._aborted.is_set():
                raise http.client.HTTPException("aborted")
            self._open.add(connection)
        try:
            connection.request(method, f"{parts.path}{path}", payload, self._headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
