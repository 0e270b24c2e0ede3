"""Where control flow can go in a syntax tree: nodes of one scope, statements that nothing reaches, functions that end
with a value on every path."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
_LEAVING = ast.Return | ast.Raise | ast.Break | ast.Continue


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes in the body of a module, class or function, in order of lines; functions and classes inside it
    themselves, without what is in them."""
    waiting = list(reversed(getattr(scope, "body", [])))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Scope):
            waiting += reversed(list(ast.iter_child_nodes(node)))


def blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """Every list of statements of a tree."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block:
                yield block


def unreachable_lines(tree: ast.AST) -> list[int]:
    """The first line of each row of statements behind a return, raise, break or continue of the same block.

    >>> unreachable_lines(ast.parse("def f(x):\\n    return x\\n    x = 1\\n    print(x)"))
    [3]
    """
    lines = []
    for block in blocks(tree):
        for statement, behind in pairwise(block):
            if isinstance(statement, _LEAVING):
                lines.append(behind.lineno)
                break
    return sorted(lines)


def ends_with_value(block: Sequence[ast.stmt]) -> bool:
    """Whether every path through a block ends at a return or raise; whether these returns have values is not asked.

    >>> ends_with_value(ast.parse("if x:\\n    raise E\\nelse:\\n    return 1").body)
    True
    >>> ends_with_value(ast.parse("if x:\\n    return 1").body)
    False
    """
    return any(map(_ends, block))


def _ends(statement: ast.stmt) -> bool:
    match statement:
        case ast.Return() | ast.Raise():
            return True
        case ast.If(body=body, orelse=orelse):
            return ends_with_value(body) and ends_with_value(orelse)
        case ast.With(body=body) | ast.AsyncWith(body=body):
            return ends_with_value(body)
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
            normal = ends_with_value(body) or ends_with_value(orelse)
            return ends_with_value(final) or (normal and all(ends_with_value(h.body) for h in handlers))
        case ast.While(test=ast.Constant(value=value), body=body) if value:
            return not any(_breaks(child) for child in body)
        case ast.For(body=body, orelse=orelse) | ast.While(body=body, orelse=orelse):
            return ends_with_value(orelse) and not any(_breaks(child) for child in body)
        case ast.Match(cases=cases):
            return _catches_all(cases[-1]) and all(ends_with_value(case.body) for case in cases)
    return False


def _breaks(statement: ast.stmt) -> bool:
    """Whether a statement of a loop's body leaves that loop by `break`."""
    match statement:
        case ast.Break():
            return True
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return False
        case ast.For(orelse=orelse) | ast.AsyncFor(orelse=orelse) | ast.While(orelse=orelse):
            return any(map(_breaks, orelse))  # a break in its body leaves the inner loop
    return any(_breaks(child) for block in _direct_blocks(statement) for child in block)


def _direct_blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, [])
    for holder in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        yield holder.body


def _catches_all(case: ast.match_case) -> bool:
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
