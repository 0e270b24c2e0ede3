"""Constructs of text: building it character by character, and formatting."""

from __future__ import annotations

from rltf.benchmarks.infinitum.constructs.base import Part, Statement, statement
from rltf.benchmarks.infinitum.english import VARIANTS, bracketed
from rltf.benchmarks.infinitum.names import CHARACTERS, LETTERS, SEPARATORS, WORDS
from rltf.benchmarks.infinitum.scope import Scope
from rltf.benchmarks.mini.forms import Expression, Type

_JOINS = (" followed by ", " then ", " and ")
"""Between the parts of a formatted text, by phrasing."""


def string_building(scope: Scope) -> Statement:
    """A text made of another, character by character; one of two pieces for each."""
    rng, source = scope.rng, scope.source(Type.STR)
    c = scope.fresh(CHARACTERS)
    letters = "".join(sorted(rng.sample(LETTERS, rng.randint(1, 4))))
    (first, first_text), (second, second_text) = rng.sample(_pieces(scope, c), 2)
    carried = scope.carried(source)
    start = f"str({carried[0].code()})" if carried else "''"
    starts = tuple(f"the text of {bracketed(carried[0], i)}" if carried else "an empty text" for i in range(VARIANTS))
    result = scope.variable(Type.STR)
    v, at_end = result.name, rng.random() < 0.6

    def grown(piece: str) -> str:
        return f"{v} += {piece}" if at_end else f"{v} = {piece} + {v}"

    code = (
        *(f"{v} = {start}", f"for {c} in {source.name}:", f"    if {c} in {letters!r}:", f"        {grown(first)}"),
        *("    else:", f"        {grown(second)}"),
    )
    templates = (
        "Start {v} as {start}; for each character {c} in {s}, {grow} {v} {first} if {c} is one of {letters}, otherwise "
        "{second}.",
        "Build {v} from {start}: go through the characters {c} of {s} and {grow} {v} {first} where {c} is among "
        "{letters} "
        "and {second} where it is not.",
        "Set {v} to {start}; then, for every character {c} of {s}, if it is in {letters}, {grow} {v} {first}, else "
        "{second}.",
    )
    grow = "append to" if at_end else "put in front of"
    parts: dict[str, Part] = {"start": starts, "c": c, "s": source, "grow": grow, "letters": repr(letters)}
    return statement("string_building", result, code, templates, first=first_text, second=second_text, **parts)


def formatting(scope: Scope) -> Statement:
    """A formatted text of fixed words, numbers and texts."""
    rng, previous = scope.rng, scope.previous
    of_text = previous is not None and previous.type is Type.STR
    values: list[Expression] = [previous] if of_text and previous is not None else [scope.expression(scope.number())]
    if not of_text and rng.random() < 0.5:
        values.append(scope.parameter(Type.STR))
    elif rng.random() < 0.7:
        values.append(scope.expression(scope.parameter(Type.INT)))
    rng.shuffle(values)
    fixed = [f"{rng.choice(WORDS)}{rng.choice(SEPARATORS)}", *rng.sample(SEPARATORS, 2)]
    pieces: list[Expression | str] = [fixed[0]] if rng.random() < 0.5 else []
    for separator, value in zip(fixed[1:], values, strict=False):
        pieces += [value, separator]
    if rng.random() < 0.5:
        del pieces[-1]
    result = scope.variable(Type.STR)
    body = "".join(piece if isinstance(piece, str) else f"{{{piece.code()}}}" for piece in pieces)
    texts = tuple(
        _JOINS[i].join(repr(piece) if isinstance(piece, str) else bracketed(piece, i) for piece in pieces)
        for i in range(VARIANTS)
    )
    templates = (
        "Let {v} be the text of {parts}, without spaces.",
        "Format {v} as {parts}, without blanks in between.",
        "Set {v} to a string that joins {parts}, with nothing between them.",
    )
    return statement("formatting", result, (f'{result.name} = f"{body}"',), templates, parts=texts)


def _pieces(scope: Scope, c: str) -> list[tuple[str, str]]:
    """Python and English of what a character can become."""
    mark = scope.rng.choice(SEPARATORS)
    return [
        (c, c),
        (f"{c}.upper()", f"({c} in upper case)"),
        (f"{c} * 2", f"({c} twice)"),
        (repr(mark), repr(mark)),
        (f"({c} + {mark!r})", f"({c} with {mark!r} behind it)"),
        (f"({mark!r} + {c})", f"({c} with {mark!r} before it)"),
    ]
