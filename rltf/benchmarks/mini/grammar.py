"""Draws typed expressions with a given number of operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from random import Random

from rltf.benchmarks.mini.forms import FORMS, Apply, Expression, Form, Literal, Type, Variable

ELEMENT = Variable("x", Type.INT)
"""The element inside a comprehension."""

_LITERALS: dict[Type, Sequence[int | str]] = {Type.DIGIT: range(2, 10), Type.FEW: (1, 2, 3), Type.LETTER: "abcd"}
_TRIES = 8


@dataclass(frozen=True, slots=True)
class _FormSizes:
    """An operation, and the least numbers of operations in it."""

    form: Form
    args: tuple[int, ...]
    """Of each argument."""
    total: int
    """Of the smallest expression with this one on top."""
    open_places: tuple[int, ...]
    """Indices of the arguments that may have more."""


def _sizes(form: Form) -> _FormSizes:
    # No variable is a BOOL, and `[x for x in xs]` is no task.
    args = tuple(int(type is Type.BOOL or i in form.bound) for i, type in enumerate(form.args))
    return _FormSizes(form, args, 1 + sum(args), tuple(i for i, t in enumerate(form.args) if not t.is_literal))


_BY_RESULT: dict[Type, tuple[_FormSizes, ...]] = {t: tuple(_sizes(f) for f in FORMS if f.result is t) for t in Type}


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
    if type in _LITERALS:
        return Literal(rng.choice(_LITERALS[type]))
    if operations == 0:
        leaves = [v for v in scope if v.type is type]
        return rng.choice(leaves) if leaves else None
    forms, cumulative_weights = _choices(type, operations, ELEMENT in scope)
    if not forms:
        return None
    for sizes in rng.choices(forms, cum_weights=cumulative_weights, k=_TRIES):
        args = _arguments(rng, sizes, operations - 1, scope)
        if args is not None:
            return Apply(sizes.form, args)
    return None


def mentions(expression: Expression, variable: Variable) -> bool:
    """True if the variable occurs in the expression."""
    if isinstance(expression, Apply):
        return any(mentions(a, variable) for a in expression.args)
    return expression == variable


@cache
def _choices(type: Type, operations: int, inside: bool) -> tuple[Sequence[_FormSizes], Sequence[float]]:
    """The operations that fit, and their relative frequencies added up.

    Args:
        type: Type of the result.
        operations: Number of operations, with this one.
        inside: An element of a list is in scope: no comprehension stands in another.
    """
    forms = [f for f in _BY_RESULT[type] if f.total <= operations and not (inside and f.form.bound)]
    return forms, list(accumulate(f.form.weight for f in forms))


def _arguments(
    rng: Random, sizes: _FormSizes, operations: int, scope: Sequence[Variable]
) -> tuple[Expression, ...] | None:
    form, arg_sizes = sizes.form, list(sizes.args)
    for _ in range(operations - sizes.total + 1):
        arg_sizes[rng.choice(sizes.open_places)] += 1
    args: list[Expression] = []
    for i, type in enumerate(form.args):
        bound = i in form.bound
        inner = [ELEMENT, ELEMENT, *(v for v in scope if v.type is Type.INT)] if bound else scope
        arg = draw_expression(rng, type, arg_sizes[i], inner)
        if arg is None or (bound and not mentions(arg, ELEMENT)) or arg in args:
            return None
        args.append(arg)
    return tuple(args)
