"""Requests that tests are sure to make, read from their text: they are sent together (pipelining), since to wait for an
answer costs two switches between processes.

The answers are those that the tests would have got one at a time, as long as they make exactly these requests. Where
they make another one, or leave one unmade, the program may have done what it was not asked for: the grader says so, and
the program runs once more in a fresh process, one request at a time (`rltf.execution.judge.runs`).
"""

from __future__ import annotations

import ast
import builtins
import marshal
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from rltf.execution.grader.names import WELL_KNOWN
from rltf.execution.grader.requests import Request
from rltf.execution.text_names import bound_names, nodes_of
from rltf.execution.values.codec import CannotSend, Encoder, encode

_MAX_REQUESTS = 256
_MAX_BYTES = 1 << 15
"""Of requests on their way: less than a socket holds, so that the grader reads answers while the program makes them."""
_MAX_TEXT = 1 << 16
"""Characters of test text that is read for its calls."""
_OF_LIBRARY = frozenset(vars(builtins)) | WELL_KNOWN.keys() | sys.stdlib_module_names
"""Names that a test does not ask the program for, unless it calls a function of that name."""
_CONDITIONAL = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
"""Expressions whose parts may be evaluated several times, or never."""


class SureCalls(NamedTuple):
    """The calls at the beginning of a test."""

    requests: tuple[Request, ...] = ()
    complete: bool = False
    """A test that passes makes no other request."""


Row = Sequence[Any]
"""A test as the grader has it: position, kind, fields."""


def pipelines(
    rows: Mapping[int, Row], indices: Sequence[int], setup: str, stop_at_first_failure: bool
) -> dict[int, list[Request]]:
    """Test -> requests to send together once it begins: its own, and those of tests behind it.

    A test of several calls that fails at one of them leaves the others unmade, which plays no part where no test comes
    behind it. The same holds for tests behind one that fails, where that ends the job.

    Args:
        rows: tests by position.
        indices: positions of those that are to run, in their order.
        setup: the task's setup code.
        stop_at_first_failure: a test that fails ends the job.
    """
    segments: dict[int, list[Request]] = {}
    begin, size = -1, 0
    for at in indices:
        last = at == indices[-1]
        calls = _calls_of(rows[at], setup, last)
        all_may_go = len(calls.requests) <= 1 or last or stop_at_first_failure
        requests, request_bytes = _fitting(calls.requests if all_may_go else ())
        if begin >= 0 and (size + request_bytes > _MAX_BYTES or len(segments[begin]) + len(requests) > _MAX_REQUESTS):
            begin = -1
        if requests and begin < 0:
            begin, size = at, 0
            segments[at] = []
        if requests:
            segments[begin] += requests
            size += request_bytes
        if stop_at_first_failure or len(requests) < len(calls.requests) or not calls.complete:
            begin = -1
    return {at: requests for at, requests in segments.items() if len(requests) > 1}


def _fitting(requests: Sequence[Request]) -> tuple[Sequence[Request], int]:
    """As many of the first requests as may be on their way at once, and their bytes."""
    total = 0
    for count, request in enumerate(requests):
        size = len(marshal.dumps(request))
        if total + size > _MAX_BYTES or count == _MAX_REQUESTS:
            return requests[:count], total
        total += size
    return requests, total


def _calls_of(row: Row, setup: str, last: bool) -> SureCalls:
    match row[1]:
        case "call":
            return SureCalls((["result", row[2], [row[3], {}], last],), complete=True)
        case "check":
            return calls_of_check(row[2], row[3])
    return calls_of_assert(row[2], setup)


@lru_cache(maxsize=512)
def calls_of_check(text: str, entry_point: str) -> SureCalls:
    """The calls at the beginning of `check(candidate)`.

    >>> text = "def check(c):\\n    assert c(1) == 2\\n    assert abs(c(x=[3]) - 4) < 1\\n    for i in []: c(i)"
    >>> calls_of_check(text, "f")
    SureCalls(requests=(['call', 'f', [[1], {}], []], ['call', 'f', [[], {'x': [3]}], []]), complete=False)
    """
    check, body = None, _statements(text)
    for statement in body:
        match statement:
            case ast.FunctionDef(name="check", decorator_list=[]) if check is None:
                check = statement
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                continue
            case ast.Assign(value=value) if not any(isinstance(n, ast.Name | ast.Call) for n in nodes_of(value)):
                continue
            case _:
                return SureCalls()
    if check is None or len(nodes_of(check.args)) != 2:  # one parameter, which says nothing else
        return SureCalls()
    known = _OF_LIBRARY | bound_names(body)
    return _calls(check.body, check.args.args[0].arg, entry_point, known) if check.args.args else SureCalls()


@lru_cache(maxsize=4096)
def calls_of_assert(text: str, setup: str) -> SureCalls:
    """The calls at the beginning of an `assert` test of a function that only the program can have.

    >>> calls_of_assert("assert f((1, 2)) == [3] and f(4)", "")
    SureCalls(requests=(), complete=False)
    >>> calls_of_assert("assert set(f((1, 2))) == {3}", "")
    SureCalls(requests=(['call', 'f', [[{'tuple': [1, 2]}], {}], []],), complete=True)
    """
    body = _statements(text)
    called = {n.func.id for n in nodes_of(*body) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    bound = bound_names([*body, *_statements(setup)])
    called -= frozenset(vars(builtins)) | WELL_KNOWN.keys() | bound
    if len(called) != 1:
        return SureCalls()
    (function,) = called
    return _calls(body, function, function, _OF_LIBRARY | bound)


def _statements(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body if len(text) <= _MAX_TEXT else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _calls(body: list[ast.stmt], name: str, target: str, known: frozenset[str]) -> SureCalls:
    """The calls of a function by the statements of a block, up to the first that may make another request.

    Args:
        body: the statements.
        name: what the function is called there.
        target: what it is called in the program.
        known: names that are not the program's.
    """
    requests: list[Request] = []
    for statement in body:
        names = [node.id for node in nodes_of(statement) if isinstance(node, ast.Name)]
        match statement:
            case ast.Assert(test=value) | ast.Assign(value=value) | ast.Expr(value=value):
                calls = names.count(name)
            case ast.Import() | ast.ImportFrom() | ast.Pass():
                continue
            case _:
                return SureCalls(tuple(requests))
        if calls > 1 or not known.issuperset({*names} - {name}):
            return SureCalls(tuple(requests))
        if calls:
            call = _sure_call(value, name)
            operands = None if call is None else _literal_operands(call)
            if operands is None or len(requests) >= _MAX_REQUESTS:
                return SureCalls(tuple(requests))
            requests.append(["call", target, operands, []])
    return SureCalls(tuple(requests), complete=True)


def _sure_call(expression: ast.AST, name: str) -> ast.Call | None:
    """The call of a name that is made whenever an expression is evaluated."""
    match expression:
        case ast.Call(func=ast.Name(id=called)) if called == name:
            return expression
        case ast.BoolOp(values=[first, *_]) | ast.IfExp(test=first):
            parts: Iterator[ast.AST] = iter([first])
        case ast.Compare(left=left, comparators=[first, *_]):
            parts = iter([left, first])
        case _:
            parts = iter(()) if isinstance(expression, _CONDITIONAL) else ast.iter_child_nodes(expression)
    return next((call for part in parts if (call := _sure_call(part, name)) is not None), None)


def _literal_operands(call: ast.Call) -> list[Any] | None:
    """The arguments of a call as they are sent; None where its text alone does not say what they are."""
    try:
        args = [ast.literal_eval(argument) for argument in call.args]
        names = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords if word.arg is not None}
        if len(names) < len(call.keywords):
            return None
        encoder = Encoder(rich=True, shared=[], number_new=True)
        keywords = {name: encode(value, encoder) for name, value in names.items()}
        return [encoder.items(args, 0), keywords]
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, CannotSend):
        return None
