"""Mutants of correct programs: one small change each, to measure what tests notice (DeMillo, Lipton and Sayward 1978).

The changes are those at which tests are aimed: comparisons, operators, constants, conditions, ranges, slices and
results. None makes a syntax error and none needs a name that is not there, so that a mutant runs and is wrong, or is
the same function in other words (equivalent): that no test kills it is no proof that tests are missing.

`rltf.mining.mistakes` makes fewer kinds of change, by which mined tests are chosen; its figures were measured with
those, so the two share how they draw (`draw_in_turn`), and no more.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Collection, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rltf.benchmarks.asserts import parse
from rltf.benchmarks.mini.edits import NodeSlot, node_slots, replaced_node
from rltf.validation import require

T = TypeVar("T")

_COMPARISONS: Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS: Mapping[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.Div: (ast.FloorDiv,),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitOr,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
}
_EXTREMES = {"max": "min", "min": "max", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A program with one change."""

    text: str
    """The whole program, written anew from its syntax tree."""
    kind: str
    """Which change (a key of `KINDS`)."""
    line: int
    """Line of the original program, from 1."""


class Change(Protocol):
    """Nodes that may take a node's place; None: the statement is left out."""

    def __call__(self, node: ast.AST) -> Iterator[ast.AST | None]:
        """The replacements of one node, none where the change is not about it."""
        ...


def mutants(
    program: str, limit: int | None = None, seed: int = 0, kinds: Collection[str] | None = None
) -> tuple[Mutant, ...]:
    """Mutants of a program, all different from it and from each other as syntax trees.

    Args:
        program: a correct program.
        limit: largest number; a sample that takes kinds in turn, so that frequent ones do not crowd out the others;
            None: all, in the order of their lines.
        seed: of the sample.
        kinds: keys of `KINDS`; None: all.

    Raises:
        SyntaxError: the program is no Python.
        OptionError: a kind is not known, or the limit is no number of at least 1.

    >>> [(mutant.text, mutant.kind) for mutant in mutants("def f(x):\\n    return x > 1", kinds=["comparison"])]
    [('def f(x):\\n    return x >= 1', 'comparison'), ('def f(x):\\n    return x < 1', 'comparison')]
    """
    require("limit", limit, at_least=1, whole=True, optional=True)
    for kind in kinds or ():
        require("kinds", kind, choices=KINDS)
    tree = parse(program)
    texts = {ast.unparse(tree)}
    candidates: list[Mutant] = []
    slots = [slot for slot in node_slots(tree) if not _is_annotation(slot) and not _is_docstring(slot)]
    for kind, change in KINDS.items():
        if kinds is not None and kind not in kinds:
            continue
        for slot in slots:
            for node in change(slot.node):
                text = _replaced_text(tree, slot, node)
                if text not in texts:
                    texts.add(text)
                    candidates.append(Mutant(text, kind, _line(slot)))
    candidates.sort(key=lambda mutant: mutant.line)
    return tuple(candidates if limit is None else _sample(candidates, limit, seed))


def draw_in_turn(piles: Sequence[MutableSequence[T]], count: int, rng: random.Random) -> list[T]:
    """At most `count` different items, one of each pile in turn, so that large piles do not crowd out the others.

    Args:
        piles: shuffled, and emptied of what is drawn.
        count: largest number of items.
        rng: random generator.

    >>> draw_in_turn([["a"], [], ["b", "b", "b"]], 3, random.Random(0))
    ['a', 'b']
    """
    for pile in piles:
        rng.shuffle(pile)
    items: dict[T, None] = {}
    while len(items) < count and any(piles):
        for pile in piles:
            if pile and len(items) < count:
                items[pile.pop()] = None
    return list(items)


def comparison(node: ast.AST) -> Iterator[ast.AST | None]:
    """`>=` or `<` for `>`, `!=` for `==`, `not in` for `in`."""
    if isinstance(node, ast.cmpop):
        yield from (kind() for kind in _COMPARISONS.get(type(node), ()))


def operator(node: ast.AST) -> Iterator[ast.AST | None]:
    """`-` for `+`, `/` for `//`, `+` for `*`."""
    if isinstance(node, ast.operator):
        yield from (kind() for kind in _OPERATORS.get(type(node), ()))


def boolean(node: ast.AST) -> Iterator[ast.AST | None]:
    """`or` for `and`, and the other way round."""
    if isinstance(node, ast.And | ast.Or):
        yield ast.Or() if isinstance(node, ast.And) else ast.And()


def negation(node: ast.AST) -> Iterator[ast.AST | None]:
    """A condition that is negated, or no longer negated; a number without its sign."""
    if isinstance(node, ast.If | ast.IfExp):
        changed = node.test.operand if _is_not(node.test) else ast.UnaryOp(ast.Not(), node.test)  # type: ignore[attr-defined]
        yield _with(node, test=changed)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand


def constant(node: ast.AST) -> Iterator[ast.AST | None]:
    """A number too large or too small by one, the other truth value, a text that is empty or has a letter more."""
    if not isinstance(node, ast.Constant):
        return
    match node.value:
        case bool(value):
            yield ast.Constant(not value)
        case int(value) | float(value):
            yield ast.Constant(value + 1)
            if value:
                yield ast.Constant(value - 1)
        case str(value):
            yield ast.Constant("" if value else "x")


def span(node: ast.AST) -> Iterator[ast.AST | None]:
    """A range that ends one later or starts one later; a slice one longer at its start."""
    match node:
        case ast.Call(func=ast.Name(id="range"), args=[end]):
            yield _with(node, args=[ast.BinOp(end, ast.Add(), ast.Constant(1))])
            yield _with(node, args=[ast.Constant(1), end])
        case ast.Call(func=ast.Name(id="range"), args=[start, end, *step]):
            yield _with(node, args=[start, ast.BinOp(end, ast.Add(), ast.Constant(1)), *step])
            yield _with(node, args=[ast.BinOp(start, ast.Add(), ast.Constant(1)), end, *step])
        case ast.Slice(lower=None):
            yield _with(node, lower=ast.Constant(1))
        case ast.Slice(lower=ast.expr()):
            yield _with(node, lower=None)


def extreme(node: ast.AST) -> Iterator[ast.AST | None]:
    """`min` for `max`, `all` for `any`; an order that is not made, or made the other way round."""
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in _EXTREMES:
            yield _with(node, func=ast.Name(_EXTREMES[name], ast.Load()))
        case ast.Call(func=ast.Name(id="sorted"), args=[inner], keywords=keywords):
            yield ast.Call(ast.Name("list", ast.Load()), [inner], [])
            if not any(keyword.arg == "reverse" for keyword in keywords):
                yield _with(node, keywords=[*keywords, ast.keyword("reverse", ast.Constant(True))])


def missing_statement(node: ast.AST) -> Iterator[ast.AST | None]:
    """A call, an addition or a jump that is left out; the first assignment of a name stays."""
    if isinstance(node, ast.AugAssign | ast.Break | ast.Continue) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield ast.Pass()


def result(node: ast.AST) -> Iterator[ast.AST | None]:
    """A result that is computed and dropped; an early exit that is not taken."""
    if isinstance(node, ast.Return) and node.value is not None:
        yield ast.Return(ast.Constant(None))


def branch(node: ast.AST) -> Iterator[ast.AST | None]:
    """A branch that is always or never taken, a loop that never runs."""
    match node:
        case ast.If():
            yield _with(node, test=ast.Constant(True))
            yield _with(node, test=ast.Constant(False))
        case ast.While():
            yield _with(node, test=ast.Constant(False))


KINDS: Mapping[str, Change] = {
    "comparison": comparison,
    "operator": operator,
    "boolean": boolean,
    "negation": negation,
    "constant": constant,
    "span": span,
    "extreme": extreme,
    "missing_statement": missing_statement,
    "result": result,
    "branch": branch,
}
"""Name of a change -> the function that makes it."""


def _replaced_text(tree: ast.AST, slot: NodeSlot, node: ast.AST | None) -> str:
    with replaced_node(slot, node):
        return ast.unparse(ast.fix_missing_locations(tree))


def _sample(candidates: Sequence[Mutant], limit: int, seed: int) -> list[Mutant]:
    """Mutants of all kinds in turn, in the order of their lines."""
    by_kind: dict[str, list[Mutant]] = {}
    for mutant in candidates:
        by_kind.setdefault(mutant.kind, []).append(mutant)
    return sorted(draw_in_turn(list(by_kind.values()), limit, random.Random(seed)), key=lambda mutant: mutant.line)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """A copy of a node with other fields."""
    copy = type(node)(**{name: getattr(node, name, None) for name in node._fields})
    for name, value in fields.items():
        setattr(copy, name, value)
    return ast.copy_location(copy, node)


def _is_not(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _is_annotation(slot: NodeSlot) -> bool:
    return slot.field in ("annotation", "returns") or isinstance(slot.parent, ast.alias)


def _is_docstring(slot: NodeSlot) -> bool:
    """True for a text that is a statement of its own, and for parts of an f-string, which are no expressions."""
    return isinstance(slot.parent, ast.Expr | ast.JoinedStr) and isinstance(slot.node, ast.Constant)


def _line(slot: NodeSlot) -> int:
    """Line of the node, or of what holds it where it has none (an operator)."""
    line: int = getattr(slot.node, "lineno", 0) or getattr(slot.parent, "lineno", 1)
    return line
