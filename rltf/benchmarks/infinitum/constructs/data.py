"""Constructs of values and containers: arithmetic, unpacking, dictionaries, sets, comprehensions."""

from __future__ import annotations

from rltf.benchmarks.infinitum.constructs.base import Statement, statement
from rltf.benchmarks.infinitum.english import VARIANTS, bracketed, phrase
from rltf.benchmarks.infinitum.names import ELEMENTS, TABLES
from rltf.benchmarks.infinitum.scope import FORM, Scope
from rltf.benchmarks.mini.forms import Apply, Expression, Literal, Type, Variable

_RELATIONS = {
    "&": ("in both {0} and {1}", "in {0} and also in {1}", "shared by {0} and {1}"),
    "|": ("in {0} or in {1}", "in at least one of {0} and {1}", "of {0} together with {1}"),
    "-": ("in {0} but not in {1}", "in {0} and missing in {1}", "of {0} without those of {1}"),
}
"""Operator of sets -> its phrasings."""
_SUMMARIES = {
    "sorted": (Type.INTS, "the sorted list of"),
    "sum": (Type.INT, "the total of"),
    "len": (Type.INT, "the count of"),
}
"""What is made of a set -> its type, and its English."""
_SET_MEMBERS = range(-6, 7)


def arithmetic(scope: Scope) -> Statement:
    """An expression of one operation more than those inside other constructs."""
    operands = [scope.number()]
    if scope.rng.random() < 0.5 and (parameter := scope.parameter(Type.INT)) not in operands:
        operands.append(parameter)
    value = scope.expression(*operands, operations=_more_operations(scope))
    result = scope.variable(Type.INT)
    templates = ("Let {v} be {e}.", "Set {v} to {e}.", "Compute {v} as {e}.")
    return statement("arithmetic", result, (f"{result.name} = {value.code()}",), templates, e=value)


def _more_operations(scope: Scope) -> int:
    """One operation more than inside other constructs: without it few programs have a constant of their own."""
    return scope.rng.randint(1, scope.depth) + 1


def unpacking(scope: Scope) -> Statement:
    """Quotient and remainder, or the first of a list and the others, by one assignment to two names."""
    previous = scope.previous
    of_list = previous.type is Type.INTS if previous is not None else scope.rng.random() < 0.5
    return _head_and_tail(scope) if of_list else _quotient_and_remainder(scope)


def _quotient_and_remainder(scope: Scope) -> Statement:
    operand, divisor = scope.number(), scope.factor()
    quotient, remainder = scope.variable(Type.INT), scope.variable(Type.INT)
    value = scope.expression(quotient, remainder, operations=_more_operations(scope))
    result = scope.variable(Type.INT)
    q, r = quotient.name, remainder.name
    code = (f"{q}, {r} = divmod({operand.code()}, {divisor})", f"{result.name} = {value.code()}")
    templates = (
        "Divide {a} by {d}, rounding down, into {q} with remainder {r}, and let {v} be {e}.",
        "Let {q} and {r} be the floor quotient and the remainder of {a} by {d}; then let {v} be {e}.",
        "Unpack the rounded-down quotient and the remainder of {a} divided by {d} into {q} and {r}; set {v} to {e}.",
    )
    return statement("unpacking", result, code, templates, a=operand, d=divisor, q=q, r=r, e=value)


def _head_and_tail(scope: Scope) -> Statement:
    source = scope.source(Type.INTS)
    head, tail = scope.variable(Type.INT), scope.variable(Type.INTS)
    summary = Apply(FORM[scope.rng.choice(("sum", "length"))], (tail,))
    value, result = scope.expression(head, summary, operations=_more_operations(scope)), scope.variable(Type.INT)
    code = (f"{head.name}, *{tail.name} = {source.name}", f"{result.name} = {value.code()}")
    templates = (
        "Split {xs} into its first number {q} and the list {r} of the others, and let {v} be {e}.",
        "Let {q} be the first number of {xs} and {r} the list of all after it; then let {v} be {e}.",
        "Unpack {xs} into its head {q} and its tail {r}; set {v} to {e}.",
    )
    return statement("unpacking", result, code, templates, xs=source, q=head, r=tail, e=value)


def counting(scope: Scope) -> Statement:
    """How often a key occurs, counted in a dictionary."""
    source, modulus = scope.source(Type.INTS), scope.factor()
    item, counts = Variable(scope.fresh(ELEMENTS), Type.INT), scope.fresh(TABLES)
    key = Apply(FORM["modulo_k"], (scope.expression(item), Literal(modulus)))
    carried = scope.carried(source)
    target: Expression = Literal(scope.rng.randrange(modulus))
    if carried:
        target = Apply(FORM["modulo_k"], (scope.expression(*carried), Literal(modulus)))
    result = scope.variable(Type.INT)
    code = (
        *(f"{counts} = {{}}", f"for {item.name} in {source.name}:"),
        f"    {counts}[{key.code()}] = {counts}.get({key.code()}, 0) + 1",
        f"{result.name} = {counts}.get({target.code()}, 0)",
    )
    templates = (
        "Count in a dictionary {d} how often each value of {e} occurs over all {x} in {xs}, and let {v} be the count "
        "of "
        "{r}, 0 if it does not occur.",
        "For each {x} in {xs}, add 1 to the entry of {e} in a dictionary {d}, whose entries start at 0; let {v} be the "
        "entry of {r}.",
        "Make a dictionary {d} from {e} to the number of times it appears, for every {x} in {xs}; set {v} to the "
        "number "
        "for {r}, or to 0 without one.",
    )
    return statement("counting", result, code, templates, d=counts, e=key, x=item, xs=source, r=target)


def lookup(scope: Scope) -> Statement:
    """A value from a dictionary of constants, with a default."""
    rng, table = scope.rng, scope.fresh(TABLES)
    modulus = rng.randint(3, 6)
    keys = sorted(rng.sample(range(modulus), rng.randint(2, modulus - 1)))
    pairs = {key: scope.constant() for key in keys}
    key = Apply(FORM["modulo_k"], (scope.expression(scope.number()), Literal(modulus)))
    default, result = scope.constant(), scope.variable(Type.INT)
    code = (f"{table} = {pairs}", f"{result.name} = {table}.get({key.code()}, {default})")
    *first, last = (f"{key} to {value}" for key, value in pairs.items())
    templates = (
        "Let {d} map {pairs}; let {v} be the value of {e} in {d}, or {k} if it has none.",
        "With a dictionary {d} that maps {pairs}, look up {e} and let {v} be what it gives, {k} for a missing key.",
        "Define a dictionary {d} from {pairs}; set {v} to its entry for {e}, with {k} as the default.",
    )
    pairs_text = f"{', '.join(first)} and {last}"
    return statement("lookup", result, code, templates, d=table, pairs=pairs_text, e=key, k=default)


def set_algebra(scope: Scope) -> Statement:
    """Union, intersection or difference of two sets of numbers, sorted, added up or counted."""
    rng, first = scope.rng, scope.source(Type.INTS)
    operator, summary = rng.choice(list(_RELATIONS)), rng.choice(list(_SUMMARIES))
    carried = scope.carried(first)
    # a second list in its place would leave a dozen programs, which every seed has
    operands = (*carried, *map(Literal, sorted(rng.sample(_SET_MEMBERS, rng.randint(2, 5)))))
    second_code = f"{{{', '.join(o.code() for o in operands)}}}"
    second_texts = [f"{{{', '.join(bracketed(o, i) for o in operands)}}}" for i in range(VARIANTS)]
    type, text = _SUMMARIES[summary]
    result = scope.variable(type)
    code = (f"{result.name} = {summary}(set({first.name}) {operator} {second_code})",)
    relations = tuple(r.format(first.name, s) for r, s in zip(_RELATIONS[operator], second_texts, strict=True))
    templates = (
        "Let {v} be {summary} the distinct numbers that are {relation}.",
        "Take the distinct numbers {relation}, and let {v} be {summary} them.",
        "Using sets, set {v} to {summary} the numbers {relation}, each taken once.",
    )
    return statement("set_algebra", result, code, templates, summary=text, relation=relations)


def comprehension(scope: Scope) -> Statement:
    """A list made of the items of another, or of those that satisfy a condition."""
    source = scope.source(Type.INTS)
    item = Variable(scope.fresh(ELEMENTS), Type.INT)
    # each filter in a row halves the list, and little is left to compare after three
    is_filtered = scope.rng.random() < (0.7 if scope.previous is None else 0.3)
    condition = scope.condition(item) if is_filtered else None
    value, result = scope.expression(item, *scope.carried(source)), scope.variable(Type.INTS)
    where = f" if {condition.code()}" if condition else ""
    code = (f"{result.name} = [{value.code()} for {item.name} in {source.name}{where}]",)
    words = (" for which", " such that", " where")
    wheres = tuple(f"{words[i]} {phrase(condition, i)}" if condition else "" for i in range(VARIANTS))
    templates = (
        "Let {v} be the list of {e} for each {x} in {xs}{where}.",
        "For every {x} in {xs}{where}, put {e} into a new list {v}.",
        "Set {v} to a list with {e} for all {x} of {xs}{where}, in the same order.",
    )
    return statement("comprehension", result, code, templates, e=value, x=item, xs=source, where=wheres)
