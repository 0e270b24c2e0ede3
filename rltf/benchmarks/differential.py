"""Differential tests: a program and a reference get the same inputs, and their results are compared (evalplus: Liu et
al. 2023, arXiv 2305.01210).

The reference is part of the test's text, which runs where programs cannot read it. An input on which it raises is no
input of the task and is left out.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rltf.benchmarks.asserts import parse

RELATIVE_TOLERANCE = 1e-7
FLOAT_TOLERANCE = 1e-6
"""evalplus: of a task without a tolerance of its own, where the reference returns floats."""

ORACLES: Mapping[str, str] = {
    "are_equivalent": "True",
    "sum_div": "_same(got, expected) or got == 0",
    "surface_Area": "_same(got, expected) or abs(got - _slanted_surface(*args)) <= _TOLERANCE",
    "digit_distance_nums": "_same(got, expected) or got == _digit_distance(*args)",
    "find_zero": "abs(sum(c * got**i for i, c in enumerate(args[0]))) <= _TOLERANCE",
    **dict.fromkeys(
        (
            *("similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly"),
            *("larg_nnum", "intersection_array", "find_dissimilar", "Diff"),
        ),
        "set(got) == set(expected)",
    ),
    **dict.fromkeys(
        ("check_str", "text_match_three", "text_starta_endb"),
        "got == bool(expected) if isinstance(got, bool) else bool(expected) == (got is not None)",
    ),
}
"""Function -> when its result counts as right, where the benchmark's evaluator has a rule of its own: several right
answers, sets given as lists, matches of which only the truth counts. All others: equal, or floats that are near."""

_HELPERS: Mapping[str, str] = {
    "surface_Area": """\
def _slanted_surface(base, height):
    slant = math.sqrt((base / 2) ** 2 + height**2)
    return round(base**2 + 2 * base * slant)
""",
    "digit_distance_nums": """\
def _digit_distance(a, b):
    width = max(len(str(a)), len(str(b)))
    return sum(abs(int(x) - int(y)) for x, y in zip(str(a).zfill(width), str(b).zfill(width)))
""",
}

_COMPARISON = """\
def _is_floats(value):
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)

def _near(got, expected, tolerance):
    if isinstance(expected, (list, tuple)):
        return len(got) == len(expected) and all(_near(a, b, tolerance) for a, b in zip(got, expected))
    return abs(got - expected) <= tolerance + RELATIVE * abs(expected)

def _same(got, expected):
    if got == expected:
        return True
    tolerance = _TOLERANCE or (FLOATS if _is_floats(expected) else 0)
    if not tolerance or type(got) is not type(expected):
        return False
    try:
        return _near(got, expected, tolerance)
    except TypeError:
        return False
""".replace("RELATIVE", str(RELATIVE_TOLERANCE)).replace("FLOATS", str(FLOAT_TOLERANCE))


def differential_check(reference: str, function: str, inputs: Sequence[Sequence[Any]], tolerance: float = 0.0) -> str:
    """Text of a `CheckTest` that compares a program with a reference.

    Args:
        reference: a correct program.
        function: the function that both define.
        inputs: argument lists.
        tolerance: how far numbers may be off, absolutely; 0: floats by 1e-6, others not at all.

    Raises:
        SyntaxError: the reference is no Python.

    >>> scope = {}
    >>> exec(differential_check("def f(x): return x + 1", "f", [[1], [2.5], ["a"]]), scope)
    >>> scope["check"](lambda x: x + 1)
    >>> scope["check"](lambda x: 3)
    Traceback (most recent call last):
    AssertionError: input 1
    """
    right = ORACLES.get(function, "_same(got, expected)")
    return "\n".join(
        [
            "import copy, math",
            *_star_imports(reference),
            f"_TOLERANCE = {float(tolerance)!r}",
            f"_INPUTS = {literal(list(inputs))}",
            _in_a_function(reference, function),
            _HELPERS.get(function, ""),
            _COMPARISON,
            "def check(candidate):",
            "    reference = _reference()",
            "    for number, args in enumerate(_INPUTS, start=1):",
            "        try:",
            "            expected = reference(*copy.deepcopy(args))",
            "        except Exception:",
            "            continue",
            "        got = candidate(*copy.deepcopy(args))",
            f"        assert {right}, f'input {{number}}'",
            "",
        ]
    )


def literal(value: Any) -> str:
    """A value as Python text, also numbers that are not finite, which have no literal.

    >>> literal([1.5, float("inf"), {"a": (2,)}])
    "[1.5, float('inf'), {'a': (2,)}]"
    """
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, set):
        return f"{{{', '.join(map(literal, value))}}}" if value else "set()"
    return repr(value)


def shaped(value: Any, example: Any) -> Any:
    """The value with tuples and sets where the example has them: JSON has neither. Of an example's items the first one
    stands for all where there are more items than it has. Text in the place of a number is a complex number, which
    JSON does not have either.

    >>> shaped([[1, 2], [3]], ((0, 0),)), shaped(["1j"], [2])
    (((1, 2), (3,)), [1j])
    """
    if isinstance(value, str) and isinstance(example, int | float | complex):
        try:
            return complex(value)
        except ValueError:
            return value
    if not isinstance(value, list) or not isinstance(example, list | tuple | set | frozenset):
        return value
    patterns = list(example)
    if isinstance(example, set | frozenset):
        patterns = patterns[:1]
    items = [
        shaped(item, patterns[index] if index < len(patterns) else patterns[0]) if patterns else item
        for index, item in enumerate(value)
    ]
    try:
        return type(example)(items)
    except TypeError:  # a set of lists
        return value


def _in_a_function(reference: str, function: str) -> str:
    """The reference inside of `_reference()`, which returns its function: a task may be called `check`, too."""
    tree = parse(reference)
    body = [node for node in tree.body if not _is_star_import(node)]
    returned = ast.Return(ast.Name(function, ast.Load()))
    wrapper = ast.parse("def _reference(): pass").body[0]
    assert isinstance(wrapper, ast.FunctionDef)
    wrapper.body = [*body, returned]
    return ast.unparse(ast.fix_missing_locations(wrapper))


def _star_imports(reference: str) -> list[str]:
    return [ast.unparse(node) for node in parse(reference).body if _is_star_import(node)]


def _is_star_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
