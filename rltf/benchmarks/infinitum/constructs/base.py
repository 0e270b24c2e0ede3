"""What a construct draws: a statement, which has its Python and its English from the same parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rltf.benchmarks.infinitum.english import VARIANTS, bracketed, phrase
from rltf.benchmarks.infinitum.scope import Scope
from rltf.benchmarks.mini.forms import Apply, Expression, Literal, Type, Variable

Part = Expression | str | int | tuple[str, ...]
"""What fills a place of a clause: an expression, a text or number as it is, or a text for each phrasing."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One construct in a program: the lines that compute `result`."""

    construct: str
    result: Variable
    code: tuple[str, ...]
    """Lines of Python, brackets wherever they may be needed."""
    clauses: tuple[str, ...]
    """The same in English, one text a phrasing."""


Construct = Callable[[Scope], Statement]
"""Draws a statement, which uses the result of the statement before it, if there is one."""


def statement(
    construct: str, result: Variable, code: tuple[str, ...], templates: tuple[str, ...], **parts: Part
) -> Statement:
    """A statement whose clauses are templates with their places filled.

    Args:
        construct: its name.
        result: the variable that it computes; `{v}` in templates.
        code: lines of Python.
        templates: one a phrasing.
        **parts: name of a place -> what fills it; conditions stand there as they are, other operations in brackets.
    """
    assert len(templates) == VARIANTS
    clauses = []
    for variant, template in enumerate(templates):
        texts = {name: _text(part, variant) for name, part in parts.items()}
        clauses.append(template.format(v=result.name, **texts))
    return Statement(construct, result, code, tuple(clauses))


def _text(part: Part, variant: int) -> str:
    if isinstance(part, tuple):
        return part[variant]
    if isinstance(part, Variable | Literal | Apply):
        is_condition = isinstance(part, Apply) and part.form.result is Type.BOOL
        return phrase(part, variant) if is_condition else bracketed(part, variant)
    return str(part)
