"""Constructs of functions: helpers, recursion, and an error that is caught."""

from __future__ import annotations

from rltf.benchmarks.infinitum.constructs.base import Part, Statement, statement
from rltf.benchmarks.infinitum.english import VARIANTS, bracketed
from rltf.benchmarks.infinitum.names import COUNTERS, ELEMENTS, HELPERS
from rltf.benchmarks.infinitum.scope import FORM, Scope
from rltf.benchmarks.mini.forms import Apply, Literal, Type, Variable


def helper(scope: Scope) -> Statement:
    """Two helper functions, called one on the other's result or side by side."""
    rng, operand = scope.rng, scope.number()
    first, second = scope.fresh(HELPERS), scope.fresh(HELPERS)
    x, y = (Variable(scope.fresh(ELEMENTS), Type.INT) for _ in range(2))
    first_value, second_value = scope.expression(x), scope.expression(y)
    if rng.random() < 0.5:
        call = f"{first}({second}({operand.code()}))"
        calls = tuple(f"{first} of ({second} of {bracketed(operand, i)})" for i in range(VARIANTS))
    else:
        parameter = scope.parameter(Type.INT)
        call = f"{first}({operand.code()}) + {second}({parameter.name})"
        calls = tuple(
            f"({first} of {bracketed(operand, i)}) plus ({second} of {parameter.name})" for i in range(VARIANTS)
        )
    result = scope.variable(Type.INT)
    code = (
        *(f"def {first}({x.name}):", f"    return {first_value.code()}"),
        *(f"def {second}({y.name}):", f"    return {second_value.code()}", f"{result.name} = {call}"),
    )
    templates = (
        "Define {g} of {x} as {e} and {h} of {y} as {f}; let {v} be {call}.",
        "Write two helpers: {g} of {x} gives {e}, {h} of {y} gives {f}; set {v} to {call}.",
        "Let {g} be the function that turns {x} into {e}, and {h} the one that turns {y} into {f}; compute {v} as "
        "{call}.",
    )
    parts: dict[str, Part] = {"g": first, "x": x, "e": first_value, "h": second, "y": y, "f": second_value}
    return statement("helper", result, code, templates, call=calls, **parts)


def recursion(scope: Scope) -> Statement:
    """A recursive helper whose argument falls by at least 2 down to a bound: it ends for every input."""
    rng, operand = scope.rng, scope.number()
    if scope.previous is not None:  # which may be large, and the stack is not
        operand = Apply(FORM["modulo_k"], (operand, Literal(rng.randint(20, 60))))
    name, n = scope.fresh(HELPERS), Variable(scope.fresh(COUNTERS), Type.INT)
    value, base, bound = scope.expression(n), scope.constant(), rng.randint(0, 9)
    next_argument = Apply(FORM["subtract"], (n, Literal(scope.factor())))
    result = scope.variable(Type.INT)
    code = (
        *(f"def {name}({n.name}):", f"    if {n.name} <= {bound}:", f"        return {base}"),
        *(f"    return {value.code()} + {name}({next_argument.code()})", f"{result.name} = {name}({operand.code()})"),
    )
    templates = (
        "Define {g} of {n} recursively: it is {k} if {n} is at most {c}, otherwise {e} plus {g} of {rest}; let {v} be "
        "{g} "
        "of {a}.",
        "Write a recursive helper {g} that takes {n} and returns {k} once {n} is {c} or less, and before that {e} plus "
        "the result of {g} for {rest}; set {v} to its result for {a}.",
        "Let {g} be a recursive function: for {n} not above {c} it gives {k}, for all others {e} plus what {g} gives "
        "for "
        "{rest}; compute {v} as {g} of {a}.",
    )
    parts: dict[str, Part] = {"g": name, "n": n, "k": base, "c": bound, "e": value, "rest": next_argument, "a": operand}
    return statement("recursion", result, code, templates, **parts)


def exception(scope: Scope) -> Statement:
    """A value, or another one where computing it raises an error: a division by zero or an index out of range."""
    rng, default, previous = scope.rng, scope.constant(), scope.previous
    if rng.random() < 0.5:
        operand = scope.number()
        divisor = Apply(FORM["modulo_k"], (scope.parameter(Type.INT), Literal(rng.randint(2, 5))))
        quotient = Apply(FORM["divide_k"], (scope.expression(operand), divisor))
        task, tasks, error = (
            quotient.code(),
            tuple(bracketed(quotient, i) for i in range(VARIANTS)),
            "ZeroDivisionError",
        )
        failure = "that divides by zero"
    else:
        source = scope.source(Type.INTS)
        value = scope.expression(*(scope.carried(source) or (scope.parameter(Type.INT),)))
        position = rng.randint(3, 6)
        task, error = f"{source.name}[{position}] - {value.code()}", "IndexError"
        tasks = tuple(
            f"((the number of {source.name} at index {position}) minus {bracketed(value, i)})" for i in range(VARIANTS)
        )
        failure = "there is no such index"
    assert previous is None or previous.name in task
    result = scope.variable(Type.INT)
    v = result.name
    code = ("try:", f"    {v} = {task}", f"except {error}:", f"    {v} = {default}")
    templates = (
        "Try to let {v} be {task}; if {failure}, let {v} be {k}.",
        "Let {v} be {task}, but {k} if {failure}.",
        "Compute {v} as {task} and catch the error where {failure}; then set {v} to {k}.",
    )
    return statement("exception", result, code, templates, task=tasks, failure=failure, k=default)
