"""A program with the values that it computed in one run, each at its statement."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import NamedTuple

from rltf.execution.inside.instrument import NO_PROGRAM
from rltf.execution.inside.sites import Kind, Site, insert_records
from rltf.execution.inside.trace import Trace

LARGEST_PARSED = 200_000
"""Characters of a program whose statements are read."""


class Event(NamedTuple):
    """A value at its statement."""

    site: Site
    value: int
    """Hash of the value; of a branch 1 or 0; where something was printed, a number for all that was (`printed`)."""


class TracedProgram:
    """A program with its trace. Its statements are read from its text here, and a trace that does not fit them is none.

    Args:
        text: the program.
        trace: what its process has recorded.
    """

    def __init__(self, text: str, trace: Trace) -> None:
        self.trace = trace
        self._text = text

    @cached_property
    def sites(self) -> list[Site]:
        """The statements that record values; empty for a program that cannot be read."""
        if len(self._text) > LARGEST_PARSED:
            return []
        try:
            return insert_records(ast.parse(self._text.removeprefix("\ufeff")))
        except NO_PROGRAM:
            return []

    @cached_property
    def events(self) -> list[Event]:
        """The trace; empty where it names a statement that is none."""
        sites = self.sites
        if any(site > len(sites) for site, _ in self.trace.events):
            return []
        return [Event(sites[site - 1], value) for site, value in self.trace.events]

    @cached_property
    def shape(self) -> list[tuple[Kind, int]]:
        """What programs that are alike share: the kinds of their statements, and the functions that these stand in."""
        return [(site.kind, site.scope) for site in self.sites]

    @cached_property
    def executed(self) -> list[int]:
        """Numbers of the statements that were executed, from the first line to the last."""
        numbers = {number for number, _ in self.trace.events}
        return sorted(numbers, key=lambda number: (self.sites[number - 1].line, number))

    @cached_property
    def executed_shape(self) -> list[Kind]:
        """The kinds of these statements."""
        return [self.sites[number - 1].kind for number in self.executed]


def are_alike(program: TracedProgram, reference: TracedProgram) -> bool:
    """Whether two programs have statement for statement the same kinds, or at least those that were executed."""
    return program.shape == reference.shape or program.executed_shape == reference.executed_shape
