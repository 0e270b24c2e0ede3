"""Mutable arguments of a call: they keep their identity on the way, and what the call does to them is told.

The caller numbers the containers (lists, dicts, sets ...) that it sends; the callee makes its own in the same order.
Where the answer holds one of them, only its number travels; those that the call changed come with their new content.
"""

from __future__ import annotations

from array import array
from collections import deque
from io import BytesIO, StringIO
from operator import is_
from typing import Any

from rltf.execution.values.codec import Encoder
from rltf.execution.values.decoding import Decoder


class ReceivedContainers:
    """Containers among the arguments of a call, as they were before it.

    Args:
        containers: in the order of their numbers.
    """

    __slots__ = ("_snapshots", "containers")

    def __init__(self, containers: list[Any]) -> None:
        self.containers = containers
        self._snapshots = [_elements(container) for container in containers]

    @property
    def changed(self) -> bool:
        """True when one of them holds other elements than before."""
        pairs = zip(self.containers, self._snapshots, strict=True)
        return not all(_same(snapshot, _elements(container)) for container, snapshot in pairs)

    def changes(self, encoder: Encoder) -> list[list[Any]]:
        """`[number, content]` of each container that holds other elements than before.

        Raises:
            CannotSend: The content of one cannot be sent.
        """
        return [
            [number, encoder.content(container, type(container))]
            for number, (container, snapshot) in enumerate(zip(self.containers, self._snapshots, strict=True))
            if not _same(snapshot, _elements(container))
        ]


def take_changes(changes: Any, containers: list[Any], decoder: Decoder) -> None:
    """Gives the caller's own containers the content that `ReceivedContainers.changes` told of.

    Raises:
        ValueError: It told of no such thing.
    """
    contents = [(containers[number], decoder.decode(content)) for number, content in changes]
    for container, content in contents:
        _replace(container, content)


def _elements(container: Any) -> Any:
    kind = type(container)
    if kind in (list, set, deque):
        return list(container)
    if kind in (bytearray, array):
        return bytes(container)
    if kind in (StringIO, BytesIO):
        return None if container.closed else (container.getvalue(), container.tell())
    return [*dict.keys(container), *dict.values(container)]


def _same(old: Any, new: Any) -> bool:
    if type(old) is list and type(new) is list:
        return len(old) == len(new) and all(map(is_, old, new))
    return bool(old == new)


def _replace(old: Any, new: Any) -> None:
    """Puts the content of `new` in the place of that of `old`."""
    if type(old) is not type(new):
        raise ValueError(f"a {type(old).__name__} cannot become a {type(new).__name__}")
    if isinstance(old, (StringIO, BytesIO)):
        if new.closed:
            old.close()
            return
        position = new.tell()
        old.seek(0)
        old.truncate()
        old.write(new.getvalue())
        old.seek(position)
    elif isinstance(old, (list, bytearray, array)):
        old[:] = new
    elif isinstance(old, dict):
        dict.clear(old)
        dict.update(old, new)
    elif isinstance(old, deque):
        old.clear()
        old.extend(new)
    else:
        old.clear()
        old.update(new)
