"""Calls of a program's own functions with arguments that they cannot take."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from inspect import Parameter, Signature

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def impossible_calls(tree: ast.Module) -> list[int]:
    """Lines of the calls that would raise a TypeError for their arguments.

    Only functions without decorators, outside classes, whose name nothing else binds anywhere: it is certain what such
    a call means.

    >>> impossible_calls(ast.parse("def g(a, b=1): return a + b\\ng(1)\\ng(1, 2, 3)\\ng(b=2)"))
    [3, 4]
    """
    times_bound = Counter(_bound_names(tree))
    signatures = {
        function.name: _signature(function.args)
        for function in _functions(tree)
        if times_bound[function.name] == 1 and not function.decorator_list
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return sorted(
        call.lineno
        for call in calls
        if call.func.id in signatures and not _fits(call, signatures[call.func.id])  # type: ignore[attr-defined]
    )


def _functions(tree: ast.AST) -> Iterator[FunctionNode]:
    """All functions outside classes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, FunctionNode):
            yield node
        if not isinstance(node, ast.ClassDef):
            yield from _functions(node)


def _bound_names(tree: ast.AST) -> Iterator[str]:
    """Every name that is bound, as often as it is, in any scope."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.arg(arg=name):
                yield name
            case ast.alias():
                yield (node.asname or node.name).partition(".")[0]
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name


def _signature(arguments: ast.arguments) -> Signature:
    """The signature of a function, without annotations."""
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    parameters = [
        Parameter(
            argument.arg,
            Parameter.POSITIONAL_ONLY if i < len(arguments.posonlyargs) else Parameter.POSITIONAL_OR_KEYWORD,
            default=Parameter.empty if i < first_default else None,
        )
        for i, argument in enumerate(positional)
    ]
    if arguments.vararg is not None:
        parameters.append(Parameter(arguments.vararg.arg, Parameter.VAR_POSITIONAL))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        required = Parameter.empty if default is None else None
        parameters.append(Parameter(argument.arg, Parameter.KEYWORD_ONLY, default=required))
    if arguments.kwarg is not None:
        parameters.append(Parameter(arguments.kwarg.arg, Parameter.VAR_KEYWORD))
    return Signature(parameters)


def _fits(call: ast.Call, signature: Signature) -> bool:
    """Whether a call can be made; one that unpacks arguments may hold any others that are needed."""
    written = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
    keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg is not None}
    unpacks = len(written) < len(call.args) or len(keywords) < len(call.keywords)
    try:
        (signature.bind_partial if unpacks else signature.bind)(*written, **keywords)
    except TypeError:
        return False
    return True
