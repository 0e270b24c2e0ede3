"""Statements of a test text: what they evaluate, and which of their blocks may run."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from rltf.execution.text_names import always_true, loaded_names, nodes_of

CATCHES_ASSERTIONS = frozenset({"AssertionError", "Exception", "BaseException"})


def expressions(statement: ast.stmt) -> Iterable[ast.AST]:
    """Expressions that a statement evaluates itself, without those of its blocks."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Try() | ast.TryStar():
            return []
        case ast.ClassDef():
            return [*statement.bases, *statement.decorator_list]
        case ast.With() | ast.AsyncWith():
            return [item.context_expr for item in statement.items]
        case ast.If() | ast.While():
            return [statement.test]
        case ast.For() | ast.AsyncFor():
            return [statement.iter]
        case ast.Match():
            return [statement.subject]
    return [statement]


def live_blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The blocks of a compound statement that may run."""
    if isinstance(statement, ast.If | ast.While):
        if is_main_guard(statement) or (isinstance(statement.test, ast.Constant) and not statement.test.value):
            return [statement.orelse]
        if isinstance(statement, ast.If) and always_true(statement.test):
            return [statement.body]
    if isinstance(statement, ast.For) and isinstance(statement.iter, ast.List | ast.Tuple) and not statement.iter.elts:
        return [statement.orelse]
    return blocks(statement)


def suppresses(context: ast.AST) -> bool:
    """True for `suppress(Exception)` and its like, which hide a failed assert."""
    names = loaded_names(context) | {node.attr for node in nodes_of(context) if isinstance(node, ast.Attribute)}
    return "suppress" in names and bool(names & CATCHES_ASSERTIONS)


def is_main_guard(statement: ast.stmt) -> bool:
    """True for `if __name__ == "__main__"`: the name of test text is another."""
    if not isinstance(statement, ast.If) or not isinstance(statement.test, ast.Compare):
        return False
    return "__name__" in loaded_names(statement.test) and "__main__" in ast.unparse(statement.test)


def blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The blocks of a compound statement."""
    blocks = [getattr(statement, name) for name in ("body", "orelse", "finalbody") if hasattr(statement, name)]
    return blocks + [part.body for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ()))]
