"""Draws typed expressions with a given number of operations."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rltf.benchmarks.mini.forms import FORMS, Apply, Expression, Form, Literal, Type, Variable

ELEMENT = Variable("x", Type.INT)
"""The element inside a comprehension."""

_BY_RESULT: dict[Type, tuple[Form, ...]] = {t: tuple(f for f in FORMS if f.result is t) for t in Type}
_LITERALS: dict[Type, Sequence[int | str]] = {Type.DIGIT: range(2, 10), Type.FEW: (1, 2, 3), Type.LETTER: "abcd"}
_TRIES = 8


def draw_expression(rng: Random, type: Type, operations: int, scope: Sequence[Variable]) -> Expression | None:
    """A random expression.

    Args:
        rng: Random generator.
        type: Type of the expression.
        operations: Number of its operations.
        scope: Variables that may occur.

    Returns:
        The expression; None where this draw led to none (another may).
    """
    if type.is_literal:
        return Literal(rng.choice(_LITERALS[type]))
    if operations == 0:
        leaves = [v for v in scope if v.type is type]
        return rng.choice(leaves) if leaves else None
    inside = ELEMENT in scope
    forms = [f for f in _BY_RESULT[type] if _smallest_size(f) <= operations and not (inside and f.bound)]
    if not forms:
        return None
    weights = [f.weight for f in forms]
    for form in rng.choices(forms, weights, k=_TRIES):
        args = _arguments(rng, form, operations - 1, scope)
        if args is not None:
            return Apply(form, args)
    return None


def mentions(expression: Expression, variable: Variable) -> bool:
    """True if the variable occurs in the expression."""
    if isinstance(expression, Apply):
        return any(mentions(a, variable) for a in expression.args)
    return expression == variable


def _arguments(rng: Random, form: Form, operations: int, scope: Sequence[Variable]) -> tuple[Expression, ...] | None:
    smallest = [_smallest_argument_size(form, i) for i in range(len(form.args))]
    sizes = list(smallest)
    open_places = [i for i, t in enumerate(form.args) if not t.is_literal]
    for _ in range(operations - sum(smallest)):
        sizes[rng.choice(open_places)] += 1
    args: list[Expression] = []
    for i, type in enumerate(form.args):
        bound = i in form.bound
        inner = [ELEMENT, ELEMENT, *(v for v in scope if v.type is Type.INT)] if bound else scope
        arg = draw_expression(rng, type, sizes[i], inner)
        if arg is None or (bound and not mentions(arg, ELEMENT)) or arg in args:
            return None
        args.append(arg)
    return tuple(args)


def _smallest_size(form: Form) -> int:
    """Operations of the smallest expression with this one on top."""
    return 1 + sum(_smallest_argument_size(form, i) for i in range(len(form.args)))


def _smallest_argument_size(form: Form, i: int) -> int:
    # No variable is a BOOL, and `[x for x in xs]` is no task.
    return int(form.args[i] is Type.BOOL or i in form.bound)
