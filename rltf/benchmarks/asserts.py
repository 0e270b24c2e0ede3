"""Parses `assert` lines: the function that is called, its arguments, and the expected value."""

from __future__ import annotations

import ast
import builtins
import math
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from rltf.types import AssertTest, CallTest


@dataclass(frozen=True, slots=True)
class Expectation:
    """The value for which an assert holds, when the function returns it."""

    value: Any


def called_function(code: str, defined: Collection[str] = ()) -> str | None:
    """Name of the function that an assert tests: the outermost call of a name in `defined`, else of one that is no
    builtin.

    >>> called_function("assert set(similar((3, 4), (5, 4))) == set((4,))")
    'similar'
    """
    names = list(_called_names(parse(code.strip())))
    candidates = [name for name in names if name in defined] or [name for name in names if not hasattr(builtins, name)]
    return candidates[0] if candidates else None


def function_names(program: str) -> set[str]:
    """Names of the functions at a program's top level; empty when it does not parse."""
    try:
        return {node.name for node in parse(program).body if isinstance(node, ast.FunctionDef)}
    except SyntaxError:
        return set()


def call_test(code: str) -> AssertTest | CallTest:
    """The test of an assert line: a `CallTest` for `assert f(...) == ...` with values that JSON can hold, else an
    `AssertTest` of the line, since JSON turns tuples into lists and has no sets.

    >>> call_test("assert f(1, [2]) == 'a'")
    CallTest(function='f', args=(1, [2]), expected='a', or_in_list=False, tolerance=None, kind='call')
    >>> call_test("assert f((1, 2)) == 3")
    AssertTest(code='assert f((1, 2)) == 3', kind='assert')
    """
    equality = _equality(parse(code.strip()))
    if equality is None:
        return AssertTest(code)
    call, right = equality
    if not isinstance(call.func, ast.Name) or call.keywords:
        return AssertTest(code)
    try:
        args = tuple(ast.literal_eval(arg) for arg in call.args)
        expected = ast.literal_eval(right)
    except ValueError:
        return AssertTest(code)
    return CallTest(call.func.id, args, expected) if _is_json([*args, expected]) else AssertTest(code)


def expectation(statement: ast.stmt, function: str) -> Expectation | None:
    """The constant for which an assert on `function` holds, where the assert has one of the forms
    `f(..) == v`, `f(..) is v`, `f(..)`, `not f(..)`, `isclose(f(..), v)`, or a builtin round both sides."""
    if not isinstance(statement, ast.Assert):
        return None
    test = statement.test
    if _is_call_of(test, function):
        return Expectation(True)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and _is_call_of(test.operand, function):
        return Expectation(False)
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is):
        return _side(test.left, test.comparators[0], function)
    if isinstance(test, ast.Call) and ast.unparse(test.func) in ("math.isclose", "isclose") and len(test.args) == 2:
        return _side(test.args[0], test.args[1], function)
    return None


def _side(left: ast.expr, right: ast.expr, function: str) -> Expectation | None:
    if not _is_call_of(left, function):
        inner, outer = _one_argument(left), _one_argument(right)
        if inner is None or outer is None or ast.unparse(left.func) != ast.unparse(right.func):  # type: ignore[attr-defined]
            return None
        left, right = inner, outer  # set(f(..)) == set(v): returning v passes
        if not _is_call_of(left, function):
            return None
    try:
        return Expectation(ast.literal_eval(right))
    except ValueError:
        return None


def _one_argument(node: ast.expr) -> ast.expr | None:
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        return node.args[0]
    return None


def _is_call_of(node: ast.expr, function: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function


def _called_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):  # breadth first: outer calls come before those in their arguments
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def _equality(tree: ast.Module) -> tuple[ast.Call, ast.expr] | None:
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.Assert):
        return None
    test = tree.body[0].test
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        call, value = test.left, test.comparators[0]
        return (call, value) if isinstance(call, ast.Call) else None
    return None


def _is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(entry) for key, entry in value.items())
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def parse(code: str) -> ast.Module:
    r"""The syntax tree of a program or of a test.

    >>> len(parse("assert f('\\d')").body)
    1

    Raises:
        SyntaxError: the code is no Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except ValueError as error:  # null bytes, on some versions of Python
            raise SyntaxError(str(error)) from error
