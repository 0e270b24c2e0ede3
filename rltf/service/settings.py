"""What the service allows its clients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rltf.execution.sandbox.limits import LARGEST
from rltf.validation import OptionError, require

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine reaches."""
_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ServiceSettings:
    """Limits of the service.

    Args:
        tokens: each client must send one of them; none: no token is asked for.
        max_body_mb: MB of one request.
        max_total_mb: MB of all requests that are being answered.
        max_waiting: programs of one client that may wait.
        max_timeout: seconds a test that a client may ask for.
        job_seconds: a program that has been judged for so long, all its tests together, is given up.
        body_seconds: a client that takes longer to send its request is hung up on.
        grace_seconds: what has not been judged so long after the service was told to end is given back unjudged.

    Raises:
        ValueError: one of them makes no sense.
    """

    tokens: tuple[str, ...] = ()
    max_body_mb: int = 64
    max_total_mb: int = 1024
    max_waiting: int = 1024
    max_timeout: float = 120.0
    job_seconds: float = 600.0
    body_seconds: float = 60.0
    grace_seconds: float = 30.0

    def __post_init__(self) -> None:
        for key in ("max_body_mb", "max_total_mb", "max_waiting"):
            require(key, getattr(self, key), at_least=1, whole=True)
        require("max_timeout", self.max_timeout, above=0, at_most=LARGEST["timeout"])
        for key in ("job_seconds", "body_seconds"):
            require(key, getattr(self, key), above=0)
        require("grace_seconds", self.grace_seconds, at_least=0)
        if self.max_total_mb < self.max_body_mb:
            raise OptionError("max_total_mb", self.max_total_mb, f"at least max_body_mb, which is {self.max_body_mb}")


def read_tokens(file: Path) -> tuple[str, ...]:
    """The tokens of a file: one a line; empty lines and those that begin with `#` are left out.

    Raises:
        OptionError: the file cannot be read, has no token, or one that is short or holds blanks.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise OptionError("token", str(file), f"a file that can be read ({e})") from None
    tokens = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not tokens:
        raise OptionError("token", str(file), "a file with one token a line, such as `openssl rand -hex 32` prints")
    for number, token in enumerate(tokens, start=1):
        if len(token) < _SHORTEST_TOKEN or not token.isascii() or len(token.split()) > 1:
            expected = f"a file whose tokens have at least {_SHORTEST_TOKEN} ASCII characters and no blanks"
            raise OptionError("token", str(file), f"{expected}, unlike the one in place {number}")
    return tokens
