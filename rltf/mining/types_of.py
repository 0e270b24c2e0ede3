"""Types of parameters: from annotations, defaults, docstrings, and the use that the body makes of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from itertools import product

from rltf.benchmarks.examples import docstring_examples
from rltf.mining.functions import Function
from rltf.mining.use import types_by_use
from rltf.mining.value_types import (
    FLOAT,
    INT,
    NONE,
    STR,
    ValueType,
    is_bare,
    list_of,
    type_of_annotation,
    type_of_value,
)
from rltf.types import CallTest

MOST_CANDIDATES = 8
"""Combinations of types that are tried on a function."""
UNDECIDED = (INT, list_of(INT), STR, list_of(STR), FLOAT, list_of(list_of(INT)))
"""Types that are tried where nothing tells."""


def candidate_types(function: Function) -> list[tuple[ValueType, ...]]:
    """Types of the parameters, as combinations to be tried: the likeliest first, at least one."""
    per_parameter = [_candidates(function, number) for number in range(len(function.parameters))]
    combinations = product(*per_parameter)
    ranked = sorted(
        (sum(map(_rank, per_parameter, combination)), number, combination)
        for number, combination in zip(range(512), combinations, strict=False)
    )
    return [combination for _, _, combination in ranked[:MOST_CANDIDATES]]


def doctest_arguments(function: Function) -> list[tuple[object, ...]]:
    """Arguments of the calls that the docstring shows."""
    if not function.docstring:
        return []
    examples = docstring_examples(ast.unparse(function.node), function.name)
    count = len(function.parameters)
    return [test.args for test in examples if isinstance(test, CallTest) and len(test.args) == count]


def _rank(candidates: Sequence[ValueType], kind: ValueType) -> int:
    return candidates.index(kind)


def _candidates(function: Function, number: int) -> list[ValueType]:
    parameter = function.parameters[number]
    annotation_type = type_of_annotation(parameter.annotation)
    if annotation_type is not None and not is_bare(parameter.annotation):
        return [annotation_type]
    default = _default(function, number)
    of_examples = [type_of_value(arguments[number]) for arguments in doctest_arguments(function)]
    of_docstring = _named_in_docstring(function.docstring, parameter.arg)
    certain = [*of_examples, annotation_type, of_docstring, default]
    certain_types = [t for t in certain if t is not None and t != NONE]
    types_of_use = list(types_by_use(function.node, parameter.arg))
    return list(dict.fromkeys([*certain_types, *types_of_use, *UNDECIDED]))


def _default(function: Function, number: int) -> ValueType | None:
    arguments = function.node.args
    all_parameters = [*arguments.posonlyargs, *arguments.args]
    at = number + function.is_method - (len(all_parameters) - len(arguments.defaults))
    if at < 0:
        return None
    try:
        return type_of_value(ast.literal_eval(arguments.defaults[at]))
    except ValueError:
        return None


def _named_in_docstring(docstring: str, name: str) -> ValueType | None:
    """The type that a docstring gives a parameter: `:type x: int`, `x (int): ...`, `x : int`."""
    escaped = re.escape(name)
    for pattern in (
        rf":type {escaped}: *(.+)",
        rf"^\s*{escaped} *\(([^)]+)\) *:",
        rf"^\s*{escaped} *: *([\w\[\], ]+)$",
    ):
        if (match := re.search(pattern, docstring, re.MULTILINE)) is not None:
            try:
                return type_of_annotation(ast.parse(match[1].split(" of ")[0].strip(), mode="eval").body)
            except SyntaxError:
                return None
    return None
