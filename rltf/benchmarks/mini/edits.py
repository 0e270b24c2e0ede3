"""Small changes to a syntax tree, made in place and undone: test selection and bugs are made of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeSlot:
    """A place in a syntax tree that holds a node: a field of the parent, or an entry of a list in a field."""

    parent: ast.AST
    field: str
    index: int | None
    """Index of the entry; None: the field is no list."""

    @property
    def node(self) -> ast.AST:
        """The node in this place."""
        content = getattr(self.parent, self.field)
        node: ast.AST = content if self.index is None else content[self.index]
        return node


def node_slots(tree: ast.AST) -> Iterator[NodeSlot]:
    """Every place of a node below `tree`, outer ones first."""
    for parent in ast.walk(tree):
        for field, content in ast.iter_fields(parent):
            if isinstance(content, ast.AST):
                yield NodeSlot(parent, field, None)
            elif isinstance(content, list):
                yield from (NodeSlot(parent, field, i) for i, n in enumerate(content) if isinstance(n, ast.AST))


@contextmanager
def replaced_node(slot: NodeSlot, node: ast.AST | None) -> Iterator[None]:
    """Within the block, the tree has `node` in the slot; None: the list has no such entry."""
    content = getattr(slot.parent, slot.field)
    if slot.index is None:
        setattr(slot.parent, slot.field, node)
    else:
        nodes = [] if node is None else [node]
        setattr(slot.parent, slot.field, [*content[: slot.index], *nodes, *content[slot.index + 1 :]])
    try:
        yield
    finally:
        setattr(slot.parent, slot.field, content)
