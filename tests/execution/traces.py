"""Programs of these tests, run here with their values noted. They are our own, short, and end."""

from __future__ import annotations

import mmap
from typing import Any

import pytest

from rltf.execution.inside import trace
from rltf.execution.inside.sites import Kind
from rltf.execution.inside.trace import Recorder, TraceMemory
from rltf.execution.inside.value_hash import value_hash
from rltf.execution.judge.traced_program import TracedProgram


def traced_program(patch: pytest.MonkeyPatch, text: str, *args: Any) -> TracedProgram:
    """A program whose function `f` was called once."""
    memory = TraceMemory()
    memory.clear()
    patch.setattr(trace, "_recorder", Recorder(mmap.mmap(memory.fd, trace._SIZE), None))
    code = trace.traced(text, "<program>")
    assert code is not None
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(code, namespace)
    namespace["f"](*args)
    return TracedProgram(text, memory.trace())


def rows(program: TracedProgram) -> list[tuple[str, int, int]]:
    """Kind, line and number of each event."""
    return [(event.site.kind.name, event.site.line, event.value) for event in program.events]


def row(kind: Kind, line: int, value: Any) -> tuple[str, int, int]:
    """The same for a value worked out by hand."""
    return kind.name, line, value_hash(value)[0]
