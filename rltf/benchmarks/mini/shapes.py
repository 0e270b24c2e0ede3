"""Shapes of programs by difficulty: which steps, of how many operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from rltf.benchmarks.mini.forms import Apply, Expression, Form, Type, Variable
from rltf.benchmarks.mini.grammar import draw_expression, mentions
from rltf.benchmarks.mini.steps import HELPER, Answer, Branch, Collect, Define, Let, Mode, Source, Step, expressions

A, B, XS, S = PARAMETERS = (
    Variable("a", Type.INT),
    Variable("b", Type.INT),
    Variable("xs", Type.INTS),
    Variable("s", Type.STR),
)
LOCALS = {
    Type.INT: Variable("t", Type.INT),
    Type.INTS: Variable("ys", Type.INTS),
    Type.STR: Variable("r", Type.STR),
}
ELEMENT = Variable("x", Type.INT)
INDEX = Variable("i", Type.INT)
CALL = Form("call_helper", Type.INT, (Type.INT,), f"{HELPER}({{0}})", f"{HELPER} of {{0}}", "helper")


class DeadEnd(Exception):
    """A draw that led to no program; another may."""


Shape = Callable[[Random], list[Step]]
"""Draws the steps of a program, or raises `DeadEnd`."""


def draw_source(rng: Random, difficulty: str, mode: Mode) -> Source | None:
    """A random program of a difficulty, or None where this draw led to none."""
    steps = draw_steps(rng, SHAPES[difficulty])
    if steps is None:
        return None
    used = {e for s in steps for e in expressions(s) if isinstance(e, Variable)}
    parameters = tuple(p for p in PARAMETERS if p in used)
    return Source(parameters, tuple(steps), mode) if parameters else None


def draw_steps(rng: Random, shapes: Sequence[tuple[Shape, float]]) -> list[Step] | None:
    """Steps of one of these shapes, chosen by their relative frequency; None where the draw led to none."""
    choices, weights = zip(*shapes, strict=True)
    try:
        steps: list[Step] = rng.choices(choices, weights)[0](rng)
    except DeadEnd:
        return None
    return steps


def _single_expression(operations: Sequence[int]) -> Shape:
    """One expression."""
    return lambda rng: [_answer(rng, rng.choice(operations))]


def let(first: Sequence[int], then: Sequence[int]) -> Shape:
    """A name for something, and an answer that uses it."""

    def steps(rng: Random) -> list[Step]:
        value, local = _local(rng, rng.choice(first))
        return [Let(local, value), _answer(rng, rng.choice(then), uses=local)]

    return steps


def two_cases(operations: Sequence[int]) -> Shape:
    """Two cases."""

    def steps(rng: Random) -> list[Step]:
        return [_cases(rng, rng.choice(operations), PARAMETERS)]

    return steps


def _let_branch(first: Sequence[int], operations: Sequence[int]) -> Shape:
    """A name for a number, and two cases that depend on it."""

    def steps(rng: Random) -> list[Step]:
        value = _expression(rng, Type.INT, rng.choice(first), PARAMETERS)
        local = LOCALS[Type.INT]
        return [Let(local, value), _cases(rng, rng.choice(operations), (*PARAMETERS, local), local)]

    return steps


def loop(operations: Sequence[int], where: float, then: Sequence[int] = (0,)) -> Shape:
    """A loop that adds or appends, with a condition in a share `where`, and an answer from what it collected."""

    def steps(rng: Random) -> list[Step]:
        over_list = rng.random() < 0.7
        item, source = (ELEMENT, XS) if over_list else (INDEX, A)
        scope = (item, item, A) if over_list else (item, item, B)
        condition = _expression_with(rng, Type.BOOL, 1, scope, item) if rng.random() < where else None
        value = _expression_with(rng, Type.INT, rng.choice(operations), scope, item)
        local = LOCALS[rng.choice((Type.INT, Type.INTS))]
        count = rng.choice(then)
        answer = _answer(rng, count, uses=local) if count else Answer(local, local.type)
        return [Collect(local, item, source, condition, value), answer]

    return steps


def _helper(operations: Sequence[int], then: Sequence[int]) -> Shape:
    """A helper function, and an answer that calls it."""

    def steps(rng: Random) -> list[Step]:
        result = Variable("call", Type.INT)
        value = _expression_with(rng, Type.INT, rng.choice(operations), (ELEMENT,), ELEMENT)
        answer = _answer(rng, rng.choice(then), uses=result)
        call = Apply(CALL, (rng.choice((A, B)),))
        return [Define(ELEMENT, value), Answer(_replace(answer.value, result, call), answer.type)]

    return steps


SHAPES: dict[str, tuple[tuple[Shape, float], ...]] = {
    "easy": ((_single_expression((1, 2)), 1.0),),
    "medium": (
        (_single_expression((2, 3)), 1.0),
        (let((1,), (1,)), 1.0),
        (two_cases((0, 1)), 1.0),
        (loop((1,), 0.3), 1.0),
    ),
    "hard": (
        (let((1, 2), (2,)), 1.0),
        (_let_branch((1,), (0, 1)), 1.0),
        (loop((1, 2), 0.8, (0, 1)), 1.0),
        (_helper((1, 2), (1, 2)), 1.0),
    ),
}
"""Difficulty -> shapes and their relative frequency."""


def _type(rng: Random) -> Type:
    return rng.choices((Type.INT, Type.INTS, Type.STR, Type.BOOL), (5, 3, 3, 0.5))[0]


def _expression(rng: Random, type: Type, operations: int, scope: Sequence[Variable]) -> Expression:
    expression = draw_expression(rng, type, operations, scope)
    if expression is None:
        raise DeadEnd
    return expression


def _expression_with(rng: Random, type: Type, operations: int, scope: Sequence[Variable], uses: Variable) -> Expression:
    expression = _expression(rng, type, operations, scope)
    if not mentions(expression, uses):
        raise DeadEnd
    return expression


def _local(rng: Random, operations: int) -> tuple[Expression, Variable]:
    type = rng.choice((Type.INT, Type.INTS, Type.STR))
    return _expression(rng, type, operations, PARAMETERS), LOCALS[type]


def _answer(rng: Random, operations: int, uses: Variable | None = None) -> Answer:
    type = _type(rng)
    if uses is None:
        return Answer(_expression(rng, type, operations, PARAMETERS), type)
    return Answer(_expression_with(rng, type, operations, (*PARAMETERS, uses, uses), uses), type)


def _cases(rng: Random, operations: int, scope: Sequence[Variable], uses: Variable | None = None) -> Branch:
    condition = _expression(rng, Type.BOOL, 1, scope)
    if uses is not None and not mentions(condition, uses):
        raise DeadEnd
    type = rng.choice((Type.INT, Type.INTS, Type.STR))
    yes, no = (_expression(rng, type, n, scope) for n in rng.sample((operations, 1), 2))
    if yes == no:
        raise DeadEnd
    return Branch(condition, Answer(yes, type), Answer(no, type))


def _replace(expression: Expression, old: Variable, new: Expression) -> Expression:
    if isinstance(expression, Apply):
        return Apply(expression.form, tuple(_replace(a, old, new) for a in expression.args))
    return new if expression == old else expression
