"""Detects problems whose tests a constant program passes, because every test expects the same value. Such a problem
rewards answers without reading the task, so it is left out of training (`benchmark.keep_constant=true` keeps it)."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from rltf.benchmarks.asserts import Expectation, called_function, expectation, parse
from rltf.types import AssertTest, CallTest, CheckTest, Problem, StdioTest, Test, TextTest

CANDIDATE = "candidate"
"""Name of the function under test in a `check` function (HumanEval)."""


def constant_passes(problem: Problem) -> bool:
    """True when all tests expect one value. A test whose expected value cannot be parsed counts as another value.

    >>> tests = (AssertTest("assert f(1) == 0"), AssertTest("assert f(2) == 0"))
    >>> constant_passes(Problem("p", "Return 0.", tests))
    True
    >>> constant_passes(Problem("p", "Add one.", (CallTest("f", (1,), 2), CallTest("f", (2,), 3))))
    False
    """
    expectations = [expected for test in problem.tests for expected in _expectations(test)]
    values = [expected.value for expected in expectations if expected is not None]
    return bool(values) and len(values) == len(expectations) and all(_equal(value, values[0]) for value in values)


def _expectations(test: Test) -> Iterable[Expectation | None]:
    match test:
        case CallTest():
            return [Expectation(test.expected)]
        case StdioTest():
            return [None if test.checker else Expectation(test.stdout.split())]
        case TextTest():
            return [Expectation(test.expected.split())]
        case AssertTest():
            function = called_function(test.code)
            body = parse(test.code.strip()).body
            return [expectation(statement, function) if function else None for statement in body]
        case CheckTest():
            return _check_expectations(test.code)


def _check_expectations(code: str) -> list[Expectation | None]:
    checks = [node for node in parse(code).body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    return [
        None if CANDIDATE in _names(statement) and not isinstance(statement, ast.Assert) else expected
        for check in checks
        for statement in check.body
        if (expected := expectation(statement, CANDIDATE)) is not None or CANDIDATE in _names(statement)
    ]


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _equal(first: Any, second: Any) -> bool:
    return bool(first == second)
