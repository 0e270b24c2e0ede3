"""Where a program says which values it computes: statements of ours behind its own, each with a number.

| statement | what is recorded behind it |
|---|---|
| `x = ...`, `x, y = ...`, `x += ...` | the value of each name; else what was assigned |
| `return ...`, `yield ...`, the end of a function | the value |
| `f(...)`, `x.f(...)` and other expressions | containers among `x` and the names in the brackets; what was printed |
| `for x in ...` | each name, at the beginning of each round; that it ended without `break` |
| `while ...`, `if ...` | whether the condition held |

The numbers follow from the text alone, so who reads a trace finds out by itself what they stand for, and asks nothing
of the process that ran the program.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Any

from rltf.execution.inside.instrument import STAND_IN, last_header_line

SITES = 1 << 14
"""Sites of a program at most; later statements say nothing."""
HASHED, CONTAINER, PLAIN, PRINTED = range(4)
"""What is made of a recorded value: its hash; the same, of a container alone; itself; a hash of what was printed."""
METHOD = "returned"
"""Method of the recorder through which a value passes that is returned."""


class Kind(IntEnum):
    """What a site records."""

    VALUE = auto()
    """A value that a name was given, or the state of a container."""
    RETURN = auto()
    """A value that was returned or yielded."""
    STATEMENT = auto()
    """An expression was evaluated; what was printed so far, if it printed."""
    ENTRY = auto()
    """A value that a function was called with."""
    ROUND = auto()
    """A value that a loop gives a name."""
    IF = auto()
    WHILE = auto()
    END = auto()
    """A loop came to its end."""

    @property
    def is_value(self) -> bool:
        """True for what has a value that another program may have, too."""
        return self in (Kind.VALUE, Kind.RETURN, Kind.ENTRY, Kind.ROUND)


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A place at which a program records a value."""

    kind: Kind
    line: int
    """First line of the statement, or of the header of a compound one; 1-based."""
    end_line: int
    """Last line of it."""
    scope: int
    """Number of the function or class that it stands in; 0: the module."""
    reads: tuple[ast.AST, ...]
    """What the value was computed from."""
    writes: tuple[ast.AST, ...]
    """What it was assigned to."""
    last_inside: int = 0
    """Last line of the blocks of a compound statement."""


def insert_records(tree: ast.Module) -> list[Site]:
    """Puts records into a tree; returns their sites, of which the first has the number 1."""
    return _Insertion().run(tree)


class _Insertion:
    """Walks over the blocks of a tree, whatever its depth."""

    def __init__(self) -> None:
        self._sites: list[Site] = []
        self._scope = self._scopes = 0
        self._blocks: list[tuple[Any, str, int, list[ast.stmt], list[ast.stmt]]] = []
        """Statement, name of its block, scope, what comes first in the block and what comes last."""

    def run(self, tree: ast.Module) -> list[Site]:
        self._blocks = [(tree, "body", 0, [], [])]
        while self._blocks:
            parent, name, self._scope, block, last = self._blocks.pop()
            for statement in getattr(parent, name):
                leading, trailing = self._records(statement)
                block += [*leading, statement, *trailing]
            setattr(parent, name, block + last)
        return self._sites

    def _records(self, statement: Any) -> tuple[list[ast.stmt], list[ast.stmt]]:
        """What is recorded before a statement and behind it; blocks inside are left for later."""
        match statement:
            case ast.Assign(targets=targets, value=value):
                names = [name for target in targets for name in _names(target)]
                if None not in names:
                    return [], self._of_names(statement, names, value)
                containers = _containers(targets)
                place = self._place(Kind.VALUE, HASHED, statement, (value, *targets), tuple(containers))
                targets[:0] = [] if place is None else [place]
                return [], self._of_containers(statement, containers, value)
            case ast.AnnAssign(target=ast.Name() as name, value=ast.expr() as value):
                return [], self._of_names(statement, [name], value)
            case ast.AugAssign(target=ast.Name() as name, value=value):
                return [], self._of_names(statement, [name], value, name)
            case ast.AugAssign(target=target, value=value) if not _calls(target):
                containers, reads = _containers([target]), (value, target)
                records = self._record(Kind.VALUE, HASHED, statement, _read(target), reads, tuple(containers))
                return [], records + self._of_containers(statement, containers, value)
            case ast.Return(value=None):
                return self._record(Kind.RETURN, HASHED, statement, ast.Constant(None)), []
            case ast.Return(value=ast.expr() as value) as holder:
                holder.value = self._passed(statement, value)
            case ast.Expr(value=ast.Yield(value=ast.expr() as value) as holder):
                holder.value = self._passed(statement, value)
            case ast.Expr(value=value) if not isinstance(value, ast.Constant):
                return [], self._of_expression(statement, value)
            case ast.If(test=test):
                self._branch(Kind.IF, Kind.IF, statement, test)
            case ast.While(test=test):
                self._branch(Kind.WHILE, Kind.END, statement, test)
            case ast.For() | ast.AsyncFor():
                names = [name for name in _names(statement.target) if name is not None]
                rounds = self._of_names(statement, names, statement.iter, kind=Kind.ROUND)
                ended = self._record(Kind.END, PLAIN, statement, ast.Constant(0), (statement.iter,))
                self._blocks.append((statement, "body", self._scope, rounds, []))
                self._blocks.append((statement, "orelse", self._scope, ended, []))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._enter(statement)
            case _:
                self._leave(statement)
        return [], []

    def _branch(self, body_kind: Kind, else_kind: Kind, statement: Any, test: ast.expr) -> None:
        for kind, name, truth in ((body_kind, "body", 1), (else_kind, "orelse", 0)):
            record = self._record(kind, PLAIN, statement, ast.Constant(truth), (test,))
            self._blocks.append((statement, name, self._scope, record, []))

    def _enter(self, function: Any) -> None:
        """Leaves the block of a function for later, with what it is called with and a return at its end."""
        self._scopes += 1
        outer, self._scope = self._scope, self._scopes
        arguments = function.args
        names = [ast.Name(a.arg, ast.Store()) for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        called = ast.Name(function.name, ast.Load())
        records = self._of_names(function, names, called, kind=Kind.ENTRY)
        body = function.body
        if ast.get_docstring(function, clean=False) is not None:
            records[:0] = [body.pop(0)]
        ended = self._record(Kind.RETURN, HASHED, function.body[-1], ast.Constant(None)) if function.body else []
        self._blocks.append((function, "body", self._scope, records, ended))
        self._scope = outer

    def _leave(self, statement: Any) -> None:
        """Leaves the blocks of a statement without a value for later."""
        scope = self._scope
        if isinstance(statement, ast.ClassDef):
            self._scopes = scope = self._scopes + 1
        for name in ("body", "orelse", "finalbody"):
            if getattr(statement, name, None):
                self._blocks.append((statement, name, scope, [], []))
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            self._blocks.append((part, "body", scope, [], []))

    def _of_names(
        self, statement: Any, names: list[Any], value: ast.expr, *also_read: ast.expr, kind: Kind = Kind.VALUE
    ) -> list[ast.stmt]:
        return [
            record
            for name in names
            for record in self._record(kind, HASHED, statement, _read(name), (value, *also_read), (name,))
        ]

    def _of_containers(self, statement: Any, containers: list[ast.expr], value: ast.expr) -> list[ast.stmt]:
        return [
            record
            for container in containers
            for record in self._record(Kind.VALUE, CONTAINER, statement, container, (value,), (container,))
        ]

    def _of_expression(self, statement: Any, value: ast.expr) -> list[ast.stmt]:
        records: list[ast.stmt] = []
        if isinstance(value, ast.Call):
            prints = isinstance(value.func, ast.Name) and value.func.id == "print"
            arguments = [] if prints else [_read(a) for a in value.args if isinstance(a, ast.Name)]
            records = self._of_containers(statement, _containers([value.func]) + arguments, value)
        return records + self._record(Kind.STATEMENT, PRINTED, statement, ast.Constant(None), (value,))

    def _passed(self, statement: Any, value: ast.expr) -> ast.expr:
        """`recorder.returned(key, value)`."""
        key = self._site(Kind.RETURN, HASHED, statement, (value,), ())
        if key is None:
            return value
        call = ast.Call(ast.Attribute(ast.Constant(STAND_IN), METHOD, ast.Load()), [ast.Constant(key), value], [])
        return _placed(call, statement)

    def _record(
        self,
        kind: Kind,
        mode: int,
        statement: Any,
        value: ast.expr,
        reads: tuple[ast.AST, ...] = (),
        writes: tuple[ast.AST, ...] = (),
    ) -> list[ast.stmt]:
        """`recorder[key] = value`; nothing where there are too many sites."""
        place = self._place(kind, mode, statement, reads, writes)
        return [] if place is None else [_placed(ast.Assign([place], value), statement)]

    def _place(
        self, kind: Kind, mode: int, statement: Any, reads: tuple[ast.AST, ...], writes: tuple[ast.AST, ...]
    ) -> ast.expr | None:
        key = self._site(kind, mode, statement, reads, writes)
        if key is None:
            return None
        return _placed(ast.Subscript(ast.Constant(STAND_IN), ast.Constant(key), ast.Store()), statement)

    def _site(
        self, kind: Kind, mode: int, statement: Any, reads: tuple[ast.AST, ...], writes: tuple[ast.AST, ...]
    ) -> int | None:
        """The key of a new site, which says its number and what is made of the value."""
        if len(self._sites) >= SITES:
            return None
        compound = hasattr(statement, "body")
        end = last_header_line(statement) if compound else statement.end_lineno or statement.lineno
        inside = statement.end_lineno or 0 if compound else 0
        self._sites.append(Site(kind, statement.lineno, end, self._scope, reads, writes, inside))
        return len(self._sites) << 2 | mode


def _names(target: ast.expr) -> list[ast.Name | None]:
    """The names of a target; None stands for what is no name."""
    match target:
        case ast.Name():
            return [target]
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [name for part in parts for name in _names(part)]
        case ast.Starred(value=value):
            return _names(value)
    return [None]


def _containers(targets: list[Any]) -> list[ast.expr]:
    """What holds the items or attributes that are targets, or whose methods are called: `x` of `x[i]`, `x[i].f`."""
    containers = []
    for target in targets:
        inner = _without_items(target)
        if isinstance(inner, ast.Attribute):
            inner = _without_items(inner.value)
        if inner is not target and isinstance(inner, ast.Name | ast.Attribute) and not _calls(inner):
            containers.append(_read(inner))
    return containers


def _without_items(target: Any) -> ast.expr:
    while isinstance(target, ast.Subscript):
        target = target.value
    return target


def _calls(target: ast.expr) -> bool:
    """True where evaluating a target once more may do something."""
    return any(isinstance(node, ast.Call | ast.Await | ast.NamedExpr | ast.Yield) for node in ast.walk(target))


def _read(target: Any) -> ast.expr:
    """The value of a target."""
    match target:
        case ast.Name(id=name):
            return ast.Name(name, ast.Load())
        case ast.Attribute(value=value, attr=name):
            return ast.Attribute(value, name, ast.Load())
        case ast.Subscript(value=value, slice=index):
            return ast.Subscript(value, index, ast.Load())
    raise AssertionError(f"a target that is {type(target).__name__}")


def _placed(node: Any, statement: Any) -> Any:
    """The node, it and what is new below it at the place of a statement."""
    nodes = [node]
    while nodes:
        new = nodes.pop()
        if "lineno" in type(new)._attributes and not hasattr(new, "lineno"):
            new.lineno, new.col_offset = statement.lineno, statement.col_offset
            new.end_lineno, new.end_col_offset = statement.lineno, statement.col_offset
            nodes += ast.iter_child_nodes(new)
    return node
