"""Constructs of control flow: conditions and loops."""

from __future__ import annotations

from rltf.benchmarks.infinitum.constructs.base import Part, Statement, statement
from rltf.benchmarks.infinitum.names import COUNTERS, ELEMENTS
from rltf.benchmarks.infinitum.scope import Scope
from rltf.benchmarks.mini.forms import Type, Variable


def conditional(scope: Scope) -> Statement:
    """One of two values."""
    operand, parameter = scope.number(), scope.parameter(Type.INT)
    condition = scope.condition(operand)
    yes, no = scope.expression(parameter), scope.expression(operand)
    result = scope.variable(Type.INT)
    v = result.name
    code = (f"if {condition.code()}:", f"    {v} = {yes.code()}", "else:", f"    {v} = {no.code()}")
    templates = (
        "If {c}, let {v} be {yes}, otherwise let {v} be {no}.",
        "Let {v} be {yes} if {c}, and {no} in all other cases.",
        "When {c}, set {v} to {yes}; when not, set {v} to {no}.",
    )
    return statement("conditional", result, code, templates, c=condition, yes=yes, no=no)


def nested_conditional(scope: Scope) -> Statement:
    """One of three values, by a condition inside another."""
    operand, parameter = scope.number(), scope.parameter(Type.INT)
    outer, inner = scope.condition(operand), scope.condition(parameter)
    first, second, third = scope.expression(operand), scope.expression(parameter), scope.expression(operand)
    result = scope.variable(Type.INT)
    v = result.name
    code = (
        *(f"if {outer.code()}:", f"    if {inner.code()}:", f"        {v} = {first.code()}"),
        *("    else:", f"        {v} = {second.code()}", "else:", f"    {v} = {third.code()}"),
    )
    templates = (
        "If {c}, let {v} be {first} where {d} and {second} where not; otherwise let {v} be {third}.",
        "When {c}, a second question decides: if {d}, set {v} to {first}, if not, set {v} to {second}; when the first "
        "condition fails, set {v} to {third}.",
        "Let {v} be {third}, unless {c}: then let {v} be {first} if {d}, else {second}.",
    )
    parts: dict[str, Part] = {"c": outer, "d": inner, "first": first, "second": second, "third": third}
    return statement("nested_conditional", result, code, templates, **parts)


def loop(scope: Scope) -> Statement:
    """A total over a list."""
    source = scope.source(Type.INTS)
    item = Variable(scope.fresh(ELEMENTS), Type.INT)
    value = scope.expression(item, *scope.carried(source))
    start, result = scope.rng.choice((0, scope.constant())), scope.variable(Type.INT)
    v = result.name
    code = (f"{v} = {start}", f"for {item.name} in {source.name}:", f"    {v} += {value.code()}")
    templates = (
        "Start {v} at {k}; for each {x} in {xs}, add {e} to {v}.",
        "Add up {e} for every {x} in {xs}, and let {v} be that total plus {k}.",
        "Set {v} to {k}, then go through {xs} and for each number {x} increase {v} by {e}.",
    )
    return statement("loop", result, code, templates, k=start, x=item, xs=source, e=value)


def nested_loop(scope: Scope) -> Statement:
    """A total over all pairs of a list's items and those of another list or of a range."""
    rng, source = scope.rng, scope.source(Type.INTS)
    outer, inner = (Variable(scope.fresh(ELEMENTS), Type.INT) for _ in range(2))
    if rng.random() < 0.5:
        count = rng.randint(2, 5)
        inner_code, inner_text = f"range({count})", f"the whole numbers from 0 to {count - 1}"
    else:
        parameter = scope.parameter(Type.INTS)
        inner_code = inner_text = parameter.name
    value = scope.expression(outer, inner, *scope.carried(source))
    start, result = rng.choice((0, scope.constant())), scope.variable(Type.INT)
    v = result.name
    code = (
        *(f"{v} = {start}", f"for {outer.name} in {source.name}:", f"    for {inner.name} in {inner_code}:"),
        f"        {v} += {value.code()}",
    )
    templates = (
        "Start {v} at {k}; for each {x} in {xs}, and inside that for each {y} in {ys}, add {e} to {v}.",
        "Add up {e} for every pair of a number {x} in {xs} and a number {y} in {ys}, and let {v} be that total plus "
        "{k}.",
        "Set {v} to {k}, then go through {xs} and, for each number {x} of it, through {ys}; for each number {y} there "
        "increase {v} by {e}.",
    )
    parts: dict[str, Part] = {"k": start, "x": outer, "xs": source, "y": inner, "ys": inner_text, "e": value}
    return statement("nested_loop", result, code, templates, **parts)


def while_loop(scope: Scope) -> Statement:
    """A total while a number shrinks towards a bound of at least 0, in steps of at least 2 or by division by as much:
    it ends for every input."""
    rng, operand = scope.rng, scope.number()
    counter = Variable(scope.fresh(COUNTERS), Type.INT)
    value = scope.expression(counter)
    start, bound, step, result = scope.constant(), rng.randint(0, 9), scope.factor(), scope.variable(Type.INT)
    v, n = result.name, counter.name
    operator, shrink = rng.choice([("//", f"divide {n} by {step}, rounding down"), ("-", f"subtract {step} from {n}")])
    code = (
        *(f"{n} = abs({operand.code()})", f"{v} = {start}", f"while {n} > {bound}:"),
        *(f"    {v} += {value.code()}", f"    {n} {operator}= {step}"),
    )
    templates = (
        "Let {n} be the absolute value of {a} and start {v} at {k}; while {n} is above {c}, add {e} to {v} and then "
        "{shrink}.",
        "Start {v} at {k} and {n} at the absolute value of {a}; as long as {n} exceeds {c}, increase {v} by {e} and "
        "afterwards {shrink}.",
        "Set {n} to {a} without its sign and {v} to {k}; repeat while {n} is greater than {c}: add {e} to {v}, then "
        "{shrink}.",
    )
    parts: dict[str, Part] = {"n": counter, "a": operand, "k": start, "c": bound, "e": value, "shrink": shrink}
    return statement("while_loop", result, code, templates, **parts)


def early_exit(scope: Scope) -> Statement:
    """A value from the first item of a list that satisfies a condition."""
    source = scope.source(Type.INTS)
    item = Variable(scope.fresh(ELEMENTS), Type.INT)
    condition, value = scope.condition(item), scope.expression(item, *scope.carried(source))
    default, result = scope.constant(), scope.variable(Type.INT)
    v = result.name
    code = (
        *(f"{v} = {default}", f"for {item.name} in {source.name}:", f"    if {condition.code()}:"),
        *(f"        {v} = {value.code()}", "        break"),
    )
    templates = (
        "Let {v} be {k}; go through {xs} and at the first {x} for which {c}, set {v} to {e} and stop.",
        "Find the first {x} in {xs} such that {c} and let {v} be {e}; if there is none, let {v} be {k}.",
        "Set {v} to {k}; for each {x} in {xs}, as soon as {c}, replace {v} by {e} and leave the loop.",
    )
    return statement("early_exit", result, code, templates, k=default, x=item, xs=source, c=condition, e=value)
