"""What a program has printed so far, as one number that also follows from what it should print.

The number stands for the words that are complete, however many calls have written them, so that a prefix of the right
text is told from anything else by who has that text, and by nobody else.
"""

from __future__ import annotations

import contextlib
import io
import re
from hashlib import blake2b
from typing import Any

_blake2b, _from_bytes = blake2b, int.from_bytes
_WORDS = re.compile(rb"[^ \t\n\r\f\v]+")
"""What is compared of printed text (`rltf.execution.judge.compare`)."""
_BLANKS = b" \t\n\r\f\v"
_REAL = re.compile(rb"[+-]?(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?")


class PrefixHash:
    """A hash of words that are added one after another; a word with a decimal point counts to six digits."""

    def __init__(self) -> None:
        self._hasher = _blake2b(digest_size=4)
        self._words = 0

    def add(self, word: bytes) -> None:
        """Adds a word."""
        if _REAL.fullmatch(word):
            word = b"%.6g" % float(word)
        self._hasher.update(word + b"\n")
        self._words += 1

    @property
    def number(self) -> int:
        """32 bits for the number of words, 32 for a hash of them; 0 without words."""
        if not self._words:
            return 0
        return (self._words & 0xFFFFFFFF) << 32 | _from_bytes(self._hasher.copy().digest(), "little")


def words_of(number: int) -> int:
    """How many words a number of `PrefixHash` stands for."""
    return number >> 32


def prefix_numbers(text: str, counts: set[int]) -> set[int]:
    """The numbers of the prefixes of a text that have so many words."""
    prefix, numbers = PrefixHash(), set()
    for count, word in enumerate(_WORDS.findall(text.encode("utf-8", "surrogatepass")), start=1):
        prefix.add(word)
        if count in counts:
            numbers.add(prefix.number)
    return numbers


class PrintedTokens:
    """What is written to stdout, in text or bytes."""

    def __init__(self) -> None:
        self._prefix = PrefixHash()
        self._tail = b""
        """A word that may go on."""
        self._told = 0
        self._stream: Any = None

    def stream_over(self, stream: io.TextIOWrapper) -> io.TextIOWrapper:
        """A text stream over the same descriptor."""
        buffer = _Recorded(io.FileIO(stream.fileno(), "w", closefd=False), self._write)
        self._stream = io.TextIOWrapper(buffer, stream.encoding, stream.errors)
        return self._stream

    def new_tokens(self) -> int:
        """The number of all complete words; 0 where there is none since the last time."""
        with contextlib.suppress(Exception):  # the program may have closed it
            self._stream.flush()
        number = self._prefix.number
        if number == self._told:
            return 0
        self._told = number
        return number

    def _write(self, content: bytes) -> None:
        content = self._tail + content
        end = max(map(content.rfind, map(_byte, _BLANKS))) + 1
        self._tail = content[end:]
        for word in _WORDS.findall(content[:end]):
            self._prefix.add(word)


def _byte(number: int) -> bytes:
    return number.to_bytes(1, "little")


class _Recorded(io.BufferedWriter):
    def __init__(self, raw: io.RawIOBase, report: Any) -> None:
        super().__init__(raw)
        self._report = report

    def write(self, content: Any) -> int:
        self._report(bytes(content))
        return super().write(content)
