"""Requests that tests are sure to make, read from their text: they are sent together (pipelining), since to wait for an
answer costs two switches between processes.

The answers are those that the tests would have got one at a time, as long as they make exactly these requests. Where
they make another one, or leave one unmade, the program may have done what it was not asked for: the grader says so, and
the program runs once more in a fresh process, one request at a time (`rltf.execution.judge.runs`).

A program can read what was sent to it. So no call goes together with an earlier one that should answer what this one is
given, or a part of it (`rltf.execution.values.parts`).
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Hashable, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from rltf.execution.grader.connection import framed
from rltf.execution.grader.names import WELL_KNOWN
from rltf.execution.grader.requests import Request
from rltf.execution.text_names import bound_names, nodes_of
from rltf.execution.values.codec import CannotSend, Encoder, encode
from rltf.execution.values.parts import CallsTogether, parts_of

_MAX_BYTES = 1 << 15
"""Of a call, and of its answer, that go with others."""
_MAX_TEXT = 1 << 16
"""Characters of test text that is read for its calls."""
_OF_LIBRARY = frozenset(vars(builtins)) | WELL_KNOWN.keys() | sys.stdlib_module_names
"""Names that a test does not ask the program for, unless it calls a function of that name."""
_CONDITIONAL = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
"""Expressions whose parts may be evaluated several times, or never."""
_QUICK_NAMES = "abs dict frozenset isclose isinstance len list max min round set sorted sum tuple"
_QUICK = frozenset(_QUICK_NAMES.split())
"""Functions whose time is that of reading what they are given."""
UNKNOWN: Any = ...
"""Of an answer: none is likely."""
_CODE_OF_CONSTANT = len(compile("1.5", "", "eval").co_code)
_NO_VALUES = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


class SureCall(NamedTuple):
    """A call that a test makes whatever the program answered before."""

    request: Request
    size: int
    """Bytes of the request as it travels."""
    inputs: frozenset[Hashable]
    """What it is given, and all parts of it."""
    answers: frozenset[Hashable]
    """Values that the test names beside it, and all parts of them."""
    likely_answer: Any
    """The first of these values, encoded, or what else would please the test: not known to. `UNKNOWN`: nothing is
    likely, or the test might compute for long with it."""


class SureCalls(NamedTuple):
    """The calls at the beginning of a test."""

    calls: tuple[SureCall, ...] = ()
    complete: bool = False
    """A test that passes makes no other request."""


def groups_from(tests: Iterable[SureCalls], stop_at_first_failure: bool) -> list[list[Request]]:
    """Requests that go together, in groups, one after another: those of the first test, and of tests behind it as long
    as they fit into the first group.

    A test of several calls that fails at one of them leaves the others unmade, which plays no part where no test comes
    behind it. The same holds for tests behind one that fails, where that ends the job.

    Args:
        tests: those that are to run, in their order.
        stop_at_first_failure: a test that fails ends the job.
    """
    calls: list[SureCall] = []
    together = CallsTogether()
    upcoming = iter(tests)
    test = next(upcoming, None)
    while test is not None:
        following = next(upcoming, None)
        several = len(test.calls) > 1
        if several and following is not None and not stop_at_first_failure:
            break
        if test.calls and not together.may_take(test.calls[0].size, test.calls[0].inputs):
            break
        calls += test.calls
        for call in test.calls:
            together.add(call.size, call.answers)
        if several or stop_at_first_failure or not test.complete:
            break
        test = following
    return groups_of(calls)


def groups_of(calls: Iterable[SureCall]) -> list[list[Request]]:
    """Requests of calls in groups as large as may be on their way at once."""
    groups: list[list[Request]] = []
    together = CallsTogether()
    for call in calls:
        if not groups or not together.may_take(call.size, call.inputs):
            groups.append([])
            together = CallsTogether()
        groups[-1].append(call.request)
        together.add(call.size, call.answers)
    return groups


def calls_of_values(function: str, args: list[Any], expected: Any, last: bool) -> SureCalls:
    """The call of a `call` test.

    Args:
        function: its name.
        args: what it is given, encoded.
        expected: what it should answer, encoded.
        last: no request comes behind it.
    """
    request = ["result", function, [args, {}], last]
    size = len(framed(request))
    if size > _MAX_BYTES or len(framed(expected)) > _MAX_BYTES:
        return SureCalls()
    return SureCalls((SureCall(request, size, parts_of(args), parts_of([expected]), expected),), complete=True)


@lru_cache(maxsize=512)
def calls_of_check(text: str, entry_point: str) -> SureCalls:
    """The calls at the beginning of `check(candidate)`.

    >>> text = "def check(c):\\n    assert c(1) == 2\\n    assert abs(c(x=[3]) - 4) < 1\\n    for i in []: c(i)"
    >>> calls = calls_of_check(text, "f").calls
    >>> [call.request for call in calls], sorted(calls[1].answers)
    ([['call', 'f', [[1], {}], []], ['call', 'f', [[], {'x': [3]}], []]], [1, 4])
    """
    check, imports = None, []
    for statement in _statements(text):
        match statement:
            case ast.FunctionDef(name="check", decorator_list=[]) if check is None:
                check = statement
            case ast.Import() | ast.ImportFrom():
                imports.append(statement)
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Assign(value=value) if not any(isinstance(n, ast.Name | ast.Call) for n in nodes_of(value)):
                continue
            case _:
                return SureCalls()
    if check is None or len(nodes_of(check.args)) != 2 or not check.args.args:  # one parameter, and no more about it
        return SureCalls()
    return _calls([*imports, *check.body], check.args.args[0].arg, entry_point)


@lru_cache(maxsize=4096)
def calls_of_assert(text: str, setup: str) -> SureCalls:
    """The calls at the beginning of an `assert` test of a function that only the program can have.

    >>> calls_of_assert("assert f((1, 2)) == [3] and f(4)", "")
    SureCalls(calls=(), complete=False)
    >>> calls_of_assert("assert set(f((1, 2))) == {3}", "").calls[0].request
    ['call', 'f', [[{'tuple': [1, 2]}], {}], []]
    """
    body = _statements(text)
    called = {n.func.id for n in nodes_of(*body) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    called -= frozenset(vars(builtins)) | WELL_KNOWN.keys() | bound_names([*body, *_statements(setup)])
    if len(called) != 1:
        return SureCalls()
    (function,) = called
    return _calls(body, function, function)


def _statements(text: str) -> list[ast.stmt]:
    """The statements of a text, in which `3 * 19` is 57; none where it is long or no Python."""
    try:
        return _Folded().visit(ast.parse(text)).body if len(text) <= _MAX_TEXT else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


class _Folded(ast.NodeTransformer):
    """Replaces arithmetic on constants by its result, as far as the compiler does, which bounds its size."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """The result, where it is known."""
        self.generic_visit(node)
        if not (isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant)):
            return node
        code = compile(ast.Expression(node), "<test>", "eval")
        is_constant = len(code.co_code) <= _CODE_OF_CONSTANT
        return ast.copy_location(ast.Constant(code.co_consts[0]), node) if is_constant else node


def _calls(body: list[ast.stmt], name: str, target: str) -> SureCalls:
    """The calls of a function by the assertions of a block, up to the first statement that may make another request.

    Args:
        body: the statements.
        name: what the function is called there.
        target: what it is called in the program.
    """
    calls: list[SureCall] = []
    known = set(_OF_LIBRARY)
    for statement in body:
        match statement:
            case ast.Assert(test=value) | ast.Expr(value=ast.Constant() as value):
                names = [node.id for node in nodes_of(statement) if isinstance(node, ast.Name)]
            case ast.Import() | ast.ImportFrom():
                known |= bound_names([statement])
                continue
            case ast.Pass():
                continue
            case _:
                return SureCalls(tuple(calls))
        if names.count(name) > 1 or not known.issuperset({*names} - {name}):
            return SureCalls(tuple(calls))
        if name in names:
            try:
                call = _sure_call(value, name)
                operands = None if call is None else _literal_operands(call)
                literals = None if call is None else _literals_beside(value, call)
            except RecursionError:
                return SureCalls(tuple(calls))
            if operands is None or literals is None:
                return SureCalls(tuple(calls))
            request, (args, keywords) = ["call", target, operands, []], operands
            inputs = parts_of([*args, *keywords.values()])
            likely = literals[0] if literals else not isinstance(value, ast.UnaryOp)
            likely = likely if call is not None and _is_quick(value, call) else UNKNOWN
            calls.append(SureCall(request, len(framed(request)), inputs, parts_of(literals), likely))
    return SureCalls(tuple(calls), complete=True)


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


def _is_quick(expression: ast.AST, call: ast.Call) -> bool:
    """Whether an expression takes no longer than the value of a call in it is large (`10 ** f(x)` may)."""
    match expression:
        case ast.BinOp(op=operator) if not isinstance(operator, ast.Add | ast.Sub):
            return False
        case ast.Call(func=ast.Name(id=name)) if expression is not call and name not in _QUICK:
            return False
        case ast.Call(func=ast.Attribute(attr=name)) if name not in _QUICK:
            return False
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp() | ast.BinOp() | ast.Call():
            below = [child for child in ast.iter_child_nodes(expression) if call in ast.walk(child)]
            return expression is call or all(_is_quick(child, call) for child in below)
    return False


def _literals_beside(expression: ast.AST, call: ast.Call) -> list[Any] | None:
    """The values that an expression names beside a call in it, encoded; None where it computes one."""
    if expression is call or isinstance(expression, _NO_VALUES):
        return []
    if call in ast.walk(expression):
        parts = list(ast.iter_child_nodes(expression))
        if isinstance(expression, ast.Call) and call not in ast.walk(expression.func):
            parts.remove(expression.func)  # `abs`, `math.isclose`
        values = [_literals_beside(part, call) for part in parts]
        return None if None in values else [value for several in values for value in several or ()]
    try:
        return [encode(ast.literal_eval(expression))]
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, CannotSend):
        return None


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
