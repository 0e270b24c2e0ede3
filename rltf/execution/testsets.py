"""Test sets by number: each is encoded and sent once, and forgotten when many newer ones came after it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from rltf.execution import wire
from rltf.execution.codec import CannotSend
from rltf.types import Test

_KEPT = 1024


def encode_tests(tests: Sequence[Test]) -> bytes:
    """The text of a test set as it travels to the judge.

    Raises:
        ValueError: There is no test, or one holds a value that cannot be sent.
    """
    if not tests:
        raise ValueError("tests is empty: a program without tests can neither pass nor fail")
    try:
        return wire.tests_to_json(tests)
    except (CannotSend, RecursionError) as e:
        raise ValueError(f"tests hold what cannot be judged outside the sandbox: {e}") from None


class TestSets:
    """The test sets that the judging side knows. Not thread-safe: the executor's lock guards it."""

    __test__ = False  # not a pytest class

    def __init__(self) -> None:
        self._by_identity: dict[int, tuple[tuple[Test, ...], int]] = {}
        self._by_content: dict[bytes, int] = {}
        self._sets: OrderedDict[int, tuple[bytes, int, list[int]]] = OrderedDict()
        self._users: dict[int, int] = {}
        self._next = 0

    def add(self, tests: tuple[Test, ...]) -> tuple[int, bytes]:
        """The set's number, and its text when it is new, else nothing.

        Raises:
            ValueError: There is no test, or one holds a value that cannot be sent.
        """
        known = self._by_identity.get(id(tests))
        if known is not None and known[0] is tests:
            self._sets.move_to_end(known[1])
            return known[1], b""
        body = encode_tests(tests)
        number = self._by_content.get(body)
        text = b""
        if number is None:
            self._next += 1
            number = self._next
            self._by_content[body] = number
            self._sets[number] = (body, len(tests), [])
            text = body
        self._sets.move_to_end(number)
        identities = self._sets[number][2]
        if len(identities) < 8:
            identities.append(id(tests))
            self._by_identity[id(tests)] = (tests, number)
        return number, text

    def hold(self, number: int) -> None:
        """One more job needs the set."""
        self._users[number] = self._users.get(number, 0) + 1

    def release(self, number: int) -> int | None:
        """One job less needs it; returns the number of a set that is forgotten for it, if any."""
        self._users[number] -= 1
        if not self._users[number]:
            del self._users[number]
        if len(self._sets) <= _KEPT:
            return None
        oldest = next((n for n in self._sets if n not in self._users), None)
        if oldest is None:
            return None
        body, _, identities = self._sets.pop(oldest)
        del self._by_content[body]
        for identity in identities:
            del self._by_identity[identity]
        return oldest

    def everything(self) -> bytes:
        """All sets, for a new supervisor."""
        return b"".join(wire.pack(wire.TESTS, body, count, n) for n, (body, count, _) in self._sets.items())
