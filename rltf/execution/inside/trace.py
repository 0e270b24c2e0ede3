"""The values that a program computes, one after another, in memory that the judge reads: (site, hash) for each.

Sites are those of `rltf.execution.inside.sites`. At most `EVENTS` values and `WORK` parts of values are looked at; then
the process ends, as nothing more could be told. So a trace has a size, whatever a program does, and costs milliseconds.
The memory belongs to one process at a time. What stands in it is the word of the program's process, like every value
that it sends: a program that looks for it can write there, about itself alone.
"""

from __future__ import annotations

import ast
import io
import mmap
import os
import struct
import sys
import weakref
from types import CodeType
from typing import Any, NamedTuple

from rltf.execution.inside.instrument import NO_PROGRAM, compile_tree, sealed_memory, with_object
from rltf.execution.inside.printed import PrintedTokens
from rltf.execution.inside.sites import CONTAINER, HASHED, PLAIN, insert_records
from rltf.execution.inside.value_hash import CONTAINERS, value_hash

EVENTS = 2048
"""Values of a trace."""
WORK = 100_000
"""Parts of values that are looked at for a trace."""
_EVENT = struct.Struct("<IQ")
_HEADER = 8
_SIZE = _HEADER + EVENTS * _EVENT.size
_FULL = 1
"""First byte of the memory: the trace holds all that it may."""
_FRAMES = 64
"""Frames that a record may take beyond those of the program."""
_pack, _getpid, _exit, _type, _value_hash = _EVENT.pack_into, os.getpid, os._exit, type, value_hash


class Trace(NamedTuple):
    """The values that a program computed."""

    events: tuple[tuple[int, int], ...]
    """Number of the site, from 1, and hash of each, in the order in which they were computed."""
    cut: bool
    """The program may have computed more."""


class TraceMemory:
    """The reading end of the memory. It is made once a sandbox, whose programs use it in turn."""

    def __init__(self) -> None:
        self.fd = sealed_memory("trace", _SIZE)
        weakref.finalize(self, os.close, self.fd)
        self._memory = mmap.mmap(self.fd, _SIZE)

    def clear(self) -> None:
        """Clears the memory, before a program is run."""
        self._memory[:] = bytes(_SIZE)

    def trace(self) -> Trace:
        """What the program has recorded."""
        memory = self._memory[:]
        events = []
        for site, value in _EVENT.iter_unpack(memory[_HEADER:]):
            if not site:
                break
            events.append((site, value))
        return Trace(tuple(events), bool(memory[0]))


class Recorder:
    """What a program's statements of ours write to; its functions were looked up before the program ran.

    Args:
        memory: where to record.
        printed: what the program has printed, if that is compared.
    """

    def __init__(self, memory: mmap.mmap, printed: PrintedTokens | None) -> None:
        self._memory, self._printed = memory, printed
        self._owner = _getpid()
        self._at, self._left = 0, WORK

    def __setitem__(self, key: int, value: Any) -> None:
        mode = key & 3
        if mode == HASHED or (mode == CONTAINER and _type(value) in CONTAINERS):
            try:
                value, parts = _value_hash(value)
            except Exception:  # another thread changes it, or the recursion is too deep
                return
            self._left -= parts
            if value:
                self._record(key >> 2, value)
        elif mode == PLAIN:
            self._record(key >> 2, value)
        elif mode != CONTAINER:
            self._record(key >> 2, 0 if self._printed is None else self._printed.new_tokens())

    def returned(self, key: int, value: Any) -> Any:
        """Records a value on its way out of a function."""
        self[key] = value
        return value

    def _record(self, site: int, value: int) -> None:
        if _getpid() != self._owner:
            return  # a process that the program forked
        if self._at < EVENTS and self._left > 0:
            _pack(self._memory, _HEADER + 12 * self._at, site, value)
            self._at += 1
        else:
            self._memory[0] = _FULL
            _exit(0)


_recorder: Recorder | None = None


def attach(fd: int, prints: bool) -> None:
    """Maps the memory in a program's process and closes its descriptor and that of the map; none may be open above.

    Args:
        fd: descriptor of the memory.
        prints: what the program prints is compared.
    """
    global _recorder
    sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES)
    memory = mmap.mmap(fd, _SIZE)
    os.closerange(fd, fd + 2)
    _recorder = Recorder(memory, PrintedTokens() if prints else None)


def recorded_stdout(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A stream in the place of stdout that tells the recorder what is printed; the same one where there is none."""
    if _recorder is None or _recorder._printed is None:
        return stream
    return _recorder._printed.stream_over(stream)


def traced(text: str, file: str) -> CodeType | None:
    """The program compiled with its records; None where it does not compile, or only without them."""
    if _recorder is None:
        return None
    try:
        tree = ast.parse(text, file)
        insert_records(tree)
        return with_object(compile_tree(tree, text, file), _recorder)
    except NO_PROGRAM:
        return None
