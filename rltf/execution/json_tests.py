"""Tests as JSON objects, such as `{"kind": "assert", "code": "assert f(1) == 2"}`, read and checked."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from rltf.execution.pytest_module import MODULES, module_tests
from rltf.execution.text_checks import problem_of_text
from rltf.types import AssertTest, CallTest, CheckTest, StdioTest, Test, TextTest

_FIELDS: dict[str, dict[str, type]] = {
    "assert": {"code": str},
    "stdio": {"stdin": str, "stdout": str},
    "call": {"function": str, "args": list, "expected": object},
    "check": {"code": str, "entry_point": str},
    "text": {"expected": str},
    "pytest": {"code": str},
}
_OPTIONAL: dict[str, dict[str, type]] = {
    "call": {"or_in_list": bool, "tolerance": float},
    "stdio": {"tolerance": float, "checker": str},
    "text": {"tolerance": float},
    "pytest": {"module": str},
}
"""Fields that a test may do without."""
_KINDS = ", ".join([*_FIELDS][:-1]) + f" or {[*_FIELDS][-1]}"


class InvalidInput(ValueError):
    """A line that is no job, or an object that is no test; `id` is the line's own, or None."""

    def __init__(self, message: str, id: Any = None) -> None:
        super().__init__(message)
        self.id = id


def records_of_row(where: str, row: Any, setup: str) -> tuple[Test, ...]:
    """The tests that an object stands for: one of each kind.

    Args:
        where: its place, for messages, e.g. `tests[0]`.
        row: the object.
        setup: setup code of the task, whose functions a test may call.

    Raises:
        InvalidInput: It is no test, or one that checks nothing.

    >>> records_of_row("tests[0]", {"kind": "assert", "code": "assert f(1) == 2"}, "")
    (AssertTest(code='assert f(1) == 2', kind='assert'),)
    """
    kind = row.get("kind") if isinstance(row, dict) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        actual = short(row.get("kind")) if isinstance(row, dict) else json_type(row)
        raise InvalidInput(f"{where} is {actual}: expected kind {_KINDS}")
    _check_fields(where, row, _FIELDS[kind], _OPTIONAL.get(kind, {}))
    tolerance = row.get("tolerance")
    match kind:
        case "call":
            arguments = tuple(row["args"])
            return (CallTest(row["function"], arguments, row["expected"], row.get("or_in_list", False), tolerance),)
        case "stdio":
            checker = row.get("checker", "")
            if checker and (problem := _problem_of_checker(checker)):
                raise InvalidInput(f"{where}.checker {problem}")
            return (StdioTest(row["stdin"], row["stdout"], tolerance, checker),)
        case "text":
            return (TextTest(row["expected"], tolerance),)
        case "pytest":
            return _expanded(where, row, setup)
    test = AssertTest(row["code"]) if kind == "assert" else CheckTest(row["code"], row["entry_point"])
    if (problem := problem_of_text(test.code, test.kind, setup)) is not None:
        raise InvalidInput(f"{where}.code {problem}")
    return (test,)


def _check_fields(where: str, row: Mapping[str, Any], fields: Mapping[str, type], optional: Mapping[str, type]) -> None:
    check_keys(f"{where}.", row, ("kind", *fields, *optional))
    for name, field_type in {**fields, **optional}.items():
        if name in optional and name not in row:
            continue
        accepted = (int, float) if field_type is float else field_type
        boolean = field_type is float and isinstance(row.get(name), bool)
        if name not in row or not isinstance(row[name], accepted) or boolean:
            raise InvalidInput(f"{where}.{name} is {json_type(row.get(name))}: expected {field_type.__name__}")
    for name in ("function", "entry_point", "module"):
        if not row.get(name, "f").strip():
            raise InvalidInput(
                f"{where}.{name} is empty: expected the name of a {'function' if name != 'module' else name}"
            )
    if "tolerance" in row and not 0 <= row["tolerance"] < math.inf:
        raise InvalidInput(f"{where}.tolerance is {row['tolerance']}: expected a number of at least 0")


def _problem_of_checker(code: str) -> str | None:
    """What is wrong with the text of a checker, as the end of a sentence about it."""
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        return f"does not compile: {e}"
    defined = any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in body)
    return None if defined else "does not define the function check(stdin, expected, printed)"


def _expanded(where: str, row: Mapping[str, Any], setup: str) -> tuple[Test, ...]:
    modules = (row["module"],) if "module" in row else MODULES
    try:
        tests = module_tests(row["code"], modules)
    except ValueError as e:
        raise InvalidInput(f"{where}.code {e}") from None
    for test in tests:
        if (problem := problem_of_text(test.code, "assert", setup)) is not None:
            raise InvalidInput(f"{where}.code has {test.name}, which {problem}")
    return tuple(AssertTest(test.code) for test in tests)


def check_keys(where: str, row: Mapping[str, Any], expected: tuple[str, ...]) -> None:
    """Refuses an object with a key that is not expected; its place `where` ends with a dot, or is empty.

    Raises:
        InvalidInput: It has one.
    """
    for key in row:
        if key not in expected:
            nearest = get_close_matches(key[:100], expected, 1, cutoff=0.5)
            hint = f"did you mean {nearest[0]}?" if nearest else f"expected {', '.join(expected)}"
            raise InvalidInput(f"unknown key `{where}{key[:100]}`: {hint}")


def json_type(value: Any) -> str:
    """Type of a JSON value in words, e.g. `a string`."""
    names = {dict: "an object", list: "an empty list", str: "a string", bool: "a boolean", type(None): "missing"}
    other = "a number" if isinstance(value, int | float) else type(value).__name__
    return "a list" if value and isinstance(value, list) else names.get(type(value), other)


def short(value: Any) -> str:
    """`repr` of a value, cut where it is long."""
    try:
        text = repr(value)
    except RecursionError:
        text = json_type(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
