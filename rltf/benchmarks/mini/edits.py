"""Small changes to a syntax tree, applied in place and taken back: what test selection and bugs are made of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A place in a syntax tree that holds a node."""

    parent: ast.AST
    field: str
    index: int | None
    """Position, where the field is a list."""

    @property
    def node(self) -> ast.AST:
        """What is there."""
        held = getattr(self.parent, self.field)
        node: ast.AST = held if self.index is None else held[self.index]
        return node


def slots(tree: ast.AST) -> Iterator[Sandbox]:
    """Every place below `tree`, outer ones first."""
    for parent in ast.walk(tree):
        for field, held in ast.iter_fields(parent):
            if isinstance(held, ast.AST):
                yield Sandbox(parent, field, None)
            elif isinstance(held, list):
                yield from (Sandbox(parent, field, i) for i, n in enumerate(held) if isinstance(n, ast.AST))


@contextmanager
def replaced(slot: Sandbox, node: ast.AST | None) -> Iterator[None]:
    """The tree with another node in the slot (None: without that entry of the list), within the block."""
    before = getattr(slot.parent, slot.field)
    if slot.index is None:
        setattr(slot.parent, slot.field, node)
    else:
        new = [] if node is None else [node]
        setattr(slot.parent, slot.field, [*before[: slot.index], *new, *before[slot.index + 1 :]])
    try:
        yield
    finally:
        setattr(slot.parent, slot.field, before)
